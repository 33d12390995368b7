//! A play while it runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::playbook::{Play, RoleUse, Task};
use crate::yaml::Mapping;

/// What the tasks of a play share.
pub struct ActivePlay {
    pub play: Arc<Play>,
    pub name: String,
    /// All hosts that the play matched, those that failed since included.
    pub all_hosts: Vec<String>,
    /// The hosts of the current batch.
    pub batch: Vec<String>,
    /// `vars_files` of each host, later files first.
    pub files: HashMap<String, Vec<Arc<Mapping>>>,
    /// Grows as roles with handlers are included.
    pub handlers: Mutex<Vec<Arc<Task>>>,
    /// Roles that an inclusion made public.
    pub exposed: Mutex<Vec<Arc<RoleUse>>>,
    /// Hosts that have failed or become unreachable.
    pub lost: Mutex<Vec<String>>,
}

impl ActivePlay {
    /// Hosts of the play that are still worked on.
    pub fn active_hosts(&self) -> Vec<String> {
        let lost = self.lost.lock().map(|lost| lost.clone()).unwrap_or_default();
        self.all_hosts.iter().filter(|host| !lost.contains(host)).cloned().collect()
    }

    pub fn lose(&self, host: &str) {
        if let Ok(mut lost) = self.lost.lock()
            && !lost.iter().any(|name| name == host)
        {
            lost.push(host.to_owned());
        }
    }

    pub fn regain(&self, host: &str) {
        if let Ok(mut lost) = self.lost.lock() {
            lost.retain(|name| name != host);
        }
    }

    /// Whose variables are seen by every task: the play's roles, then those that were exposed.
    pub fn visible_roles(&self) -> Vec<Arc<RoleUse>> {
        let mut roles = self.play.roles.clone();
        roles.extend(self.exposed.lock().map(|exposed| exposed.clone()).unwrap_or_default());
        roles
    }
}

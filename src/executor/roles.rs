//! Which roles have run on which hosts: one that has run to its end is passed over when it comes again.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::playbook::{RoleUse, Task};

/// Of one play. Uses of a role are told apart by their identities.
#[derive(Debug, Default)]
pub struct RoleProgress(Mutex<Progress>);

#[derive(Debug, Default)]
struct Progress {
    /// At least one task has run there.
    begun: HashSet<(Arc<str>, String)>,
    completed: HashSet<(Arc<str>, String)>,
}

impl RoleProgress {
    /// A task has run on a host, and was not skipped.
    pub fn begin(&self, task: &Task, host: &str) {
        if let Some(used) = task.context.role() {
            self.change(|progress| progress.begun.insert(key(used, host)));
        }
    }

    /// A host is at the end of the role that the task belongs to.
    pub fn complete(&self, task: &Task, host: &str) {
        if let Some(used) = task.context.role() {
            self.change(|progress| {
                let key = key(used, host);
                progress.begun.contains(&key) && progress.completed.insert(key)
            });
        }
    }

    /// Whether the task belongs to a role that the host has done with.
    pub fn has_done(&self, task: &Task, host: &str) -> bool {
        let used = task.context.role().filter(|used| !used.duplicates);
        used.is_some_and(|used| self.change(|progress| progress.completed.contains(&key(used, host))))
    }

    fn change(&self, change: impl FnOnce(&mut Progress) -> bool) -> bool {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn key(used: &RoleUse, host: &str) -> (Arc<str>, String) {
    (Arc::clone(&used.identity), host.to_owned())
}

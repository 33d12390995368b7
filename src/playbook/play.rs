//! Plays.

use std::sync::Arc;

use super::context::{Attributes, Context};
use super::role::RoleUse;
use super::task::{Item, Task};
use crate::yaml::Node;

/// One file's plays, those of imported playbooks in their places.
#[derive(Debug)]
pub struct Playbook {
    pub name: String,
    pub folder: std::path::PathBuf,
    pub plays: Vec<Play>,
}

/// A play, static imports resolved.
#[derive(Debug)]
pub struct Play {
    pub context: Arc<Context>,
    pub hosts: Node,
    /// In order: each use of each role, dependencies before their dependants.
    pub roles: Vec<Arc<RoleUse>>,
    pub pre_tasks: Vec<Item>,
    /// The roles' tasks.
    pub role_tasks: Vec<Item>,
    pub tasks: Vec<Item>,
    pub post_tasks: Vec<Item>,
    /// The play's own first, then the roles'.
    pub handlers: Vec<Arc<Task>>,
    pub folder: std::path::PathBuf,
}

impl Play {
    pub fn attributes(&self) -> &Attributes {
        &self.context.attributes
    }

    pub fn get(&self, keyword: &str) -> Option<&Node> {
        self.context.attributes.get(keyword)
    }
}

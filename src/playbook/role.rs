//! Roles: what their folders hold, and each use of one.

use std::path::PathBuf;
use std::sync::Arc;

use crate::yaml::{Mapping, Node};

/// A role's files, read once however often it is used.
#[derive(Debug)]
pub struct Role {
    pub name: String,
    pub path: PathBuf,
    /// `defaults/main.yml`.
    pub defaults: Arc<Mapping>,
    /// `vars/main.yml`.
    pub vars: Arc<Mapping>,
    /// `tasks/main.yml`; null if there is none.
    pub tasks: Node,
    /// `handlers/main.yml`; null if there is none.
    pub handlers: Node,
    /// `meta/main.yml`; null if there is none.
    pub meta: Node,
}

/// A role as it is used in one place.
#[derive(Debug)]
pub struct RoleUse {
    pub role: Arc<Role>,
    /// Parameters: whatever stands beside `role:` that is no keyword.
    pub params: Arc<Mapping>,
}

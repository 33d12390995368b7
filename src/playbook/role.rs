//! Roles: what their folders hold, and each use of one.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::yaml::{Mapping, Node};

/// A role's files, read once however often it is used.
#[derive(Debug)]
pub struct Role {
    /// Without its collection.
    pub name: String,
    /// `NAMESPACE.NAME`, for a role that is in a collection.
    pub collection: Option<String>,
    pub path: PathBuf,
    /// The file of tasks that it starts with, without its ending: `main` unless `tasks_from` says otherwise.
    pub entry_point: String,
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
    /// `meta/argument_specs.yml`; null if there is none.
    pub argument_specs: Node,
}

impl Role {
    /// With its collection in front.
    pub fn full_name(&self) -> String {
        match &self.collection {
            Some(collection) => format!("{collection}.{}", self.name),
            None => self.name.clone(),
        }
    }

    /// The collections in which the names of its tasks are looked up.
    pub fn collections(&self) -> Vec<String> {
        let listed = self.meta.get("collections").and_then(Node::as_list);
        let listed = listed.unwrap_or_default().iter().filter_map(Node::as_str);
        self.collection
            .iter()
            .cloned()
            .chain(listed.map(str::to_owned))
            .collect()
    }

    /// What the entry point takes, if it says so.
    pub fn argument_spec(&self) -> Option<&Node> {
        let specs = match self.argument_specs.is_null() {
            true => &self.meta,
            false => &self.argument_specs,
        };
        specs.get("argument_specs")?.get(&self.entry_point)
    }
}

/// A role as it is used in one place.
#[derive(Debug)]
pub struct RoleUse {
    pub role: Arc<Role>,
    /// Parameters: whatever stands beside `role:` that is no keyword.
    pub params: Arc<Mapping>,
    /// Two uses with the same identity are one and the same: on a host on which it has run to its end, the
    /// other is passed over.
    pub identity: Arc<str>,
    /// Whether it runs again all the same.
    pub duplicates: bool,
    /// Whether the whole play sees its variables.
    pub public: bool,
    /// The roles that it depends on, theirs first: set once they are placed, which needs this use.
    pub(super) dependencies: OnceLock<Vec<Arc<RoleUse>>>,
}

impl RoleUse {
    /// The roles that it depends on, each after those that it depends on itself.
    pub fn dependencies(&self) -> &[Arc<Self>] {
        self.dependencies.get().map(Vec::as_slice).unwrap_or_default()
    }
}

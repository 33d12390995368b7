//! Inventories: which hosts there are, in which groups, and what is known of them before a play starts.
//!
//! | file | holds |
//! |---|---|
//! | [`graph`] | hosts, groups and their relations |
//! | `ini`, `yaml` | the two formats, from a text to a graph; they read no files |
//! | `words`, `literal`, `address` | the small languages inside an INI inventory |
//! | `script` | what a program says when it is asked |
//! | `constructed` | the plugins that compute hosts, groups and variables |
//! | `form` | which of these a source is read as |
//! | `load` | all sources to an [`Inventory`] |
//! | `variables` | `group_vars`, `host_vars` and the precedence of a host's variables |
//! | [`pattern`] | `web:&staging:!db[0]` to hosts |
//!
//! Nothing here evaluates a template: variables are [`Node`](crate::yaml::Node)s until they are used.
//! Inventory plugins other than those of the table in `form` are refused.

mod address;
mod constructed;
mod form;
mod graph;
mod ini;
mod literal;
mod load;
mod pattern;
mod script;
mod variables;
pub mod words;
mod yaml;

use std::collections::HashSet;
use std::path::PathBuf;

use self::graph::Graph;
pub use self::pattern::{Pattern, Selection};
use self::variables::VariableFiles;
pub use self::variables::{Class, VariableLayers};
use crate::template::Names;

/// Names that stand for this machine even where the inventory has no such host.
pub const LOCALHOST: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Everything that the sources of a run say.
#[derive(Debug, Default)]
pub struct Inventory {
    graph: Graph,
    /// The folders beside which `group_vars` and `host_vars` are looked for, weakest first.
    folders: Vec<PathBuf>,
    files: VariableFiles,
}

impl Inventory {
    /// All hosts, in the inventory's order.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.graph.group_hosts(graph::ALL).into_iter()
    }

    pub fn contains(&self, host: &str) -> bool {
        self.graph.hosts().contains_key(host)
    }

    /// All groups, `all` and `ungrouped` first, then in the order of their declaration.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.graph.groups().keys().map(String::as_str)
    }

    /// The folders of the sources, weakest first: what `inventory_dir` is made of.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// The groups of a host, those that hold it through children too: sorted, without `all`.
    pub fn group_names(&self, host: &str) -> Vec<String> {
        let mut names = self.graph.groups_of(host);
        names.retain(|name| name != graph::ALL);
        names.sort_unstable();
        names
    }

    /// The hosts of a group and of its children; none for a group that does not exist.
    pub fn group_hosts(&self, group: &str) -> Vec<String> {
        let hosts = self.graph.group_hosts(group).into_iter();
        hosts.map(str::to_owned).collect()
    }

    /// The groups directly below a group; those that are below no other are below `all`.
    pub fn children(&self, group: &str) -> Vec<&str> {
        self.graph.children(group)
    }

    /// The hosts that a group itself names.
    pub fn own_hosts(&self, group: &str) -> Vec<&str> {
        self.graph.own_hosts(group)
    }

    /// The source that named a host first: a path, or a list of hosts.
    pub fn source(&self, host: &str) -> Option<&str> {
        self.graph.hosts().get(host)?.source.as_deref()
    }

    /// The hosts that a pattern names. `localhost` is found even if the inventory does not have it.
    pub fn select(&self, pattern: &Pattern) -> Selection {
        pattern.evaluate(&self.graph)
    }

    /// The hosts that a play's pattern names and `--limit` leaves.
    pub fn select_limited(&self, pattern: &Pattern, limit: Option<&Pattern>) -> Selection {
        let mut selection = self.select(pattern);
        if let Some(limit) = limit {
            let allowed: HashSet<String> = self.select(limit).hosts.into_iter().collect();
            selection.hosts.retain(|host| allowed.contains(host));
        }
        selection
    }

    /// A host that a play has made. Groups that do not exist yet are made with it.
    pub fn add_host(&mut self, name: &str, groups: &[String], variables: Names) {
        self.graph.add_host(name);
        for (key, value) in variables {
            self.graph.set_host_variable(name, &key, value);
        }
        for group in groups {
            self.add_to_group(name, group, &[]);
        }
    }

    /// Puts a host into a group, and that below others; what does not exist is made. A parent that is already
    /// below the group stays there.
    pub fn add_to_group(&mut self, host: &str, group: &str, parents: &[String]) {
        let group = self.graph.add_group(group);
        for parent in parents {
            let parent = self.graph.add_group(parent);
            let _ = self.graph.add_child(&parent, &group);
        }
        self.graph.add_to_group(host, &group);
    }
}

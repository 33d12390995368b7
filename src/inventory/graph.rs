//! Hosts, groups, and which group holds what.
//!
//! The two groups `all` and `ungrouped` always exist. Membership in `ungrouped` is never stored: it is the
//! hosts that no other group holds, whatever was declared.

use std::collections::VecDeque;
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use crate::template::{Names, Variable, merge};
use crate::yaml::Kind;

pub const ALL: &str = "all";
pub const UNGROUPED: &str = "ungrouped";

/// The variable that orders groups of equal depth; it is a setting of the group and reaches no host.
pub const PRIORITY: &str = "ansible_group_priority";

#[derive(Debug, Clone)]
pub struct Graph {
    hosts: IndexMap<String, Host>,
    groups: IndexMap<String, Group>,
    /// What to do about groups' names that cannot be names of variables.
    pub naming: Naming,
    /// Maps that several sources set are merged.
    pub merging: bool,
    /// There were such names.
    pub odd_names: bool,
    /// What is being read: a path, or a list of hosts.
    pub source: Option<Arc<str>>,
}

/// What becomes of characters in groups' names that names of variables cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Naming {
    #[default]
    Keep,
    Replace,
}

#[derive(Debug, Clone, Default)]
pub struct Host {
    pub variables: Names,
    /// The source that named it first.
    pub source: Option<Arc<str>>,
    /// The groups that name this host themselves.
    groups: IndexSet<String>,
}

#[derive(Debug, Clone)]
pub struct Group {
    pub variables: Names,
    pub hosts: IndexSet<String>,
    children: IndexSet<String>,
    parents: IndexSet<String>,
    /// The longest way from `all`.
    depth: usize,
    pub priority: i64,
}

/// What a group's priority is unless it says so.
pub const USUAL_PRIORITY: i64 = 1;

/// The child already holds its would-be parent.
#[derive(Debug, PartialEq, Eq)]
pub struct Cycle;

impl Default for Graph {
    fn default() -> Self {
        let group = |depth| Group {
            depth,
            ..Group::new()
        };
        Self {
            hosts: IndexMap::new(),
            groups: IndexMap::from([(ALL.to_owned(), group(0)), (UNGROUPED.to_owned(), group(1))]),
            naming: Naming::default(),
            merging: false,
            odd_names: false,
            source: None,
        }
    }
}

impl Group {
    fn new() -> Self {
        Self {
            variables: Names::new(),
            hosts: IndexSet::new(),
            children: IndexSet::new(),
            parents: IndexSet::new(),
            depth: 1,
            priority: USUAL_PRIORITY,
        }
    }
}

impl Graph {
    pub fn hosts(&self) -> &IndexMap<String, Host> {
        &self.hosts
    }

    pub fn groups(&self) -> &IndexMap<String, Group> {
        &self.groups
    }

    pub fn add_host(&mut self, name: &str) {
        let source = &self.source;
        self.hosts.entry(name.to_owned()).or_insert_with(|| Host {
            source: source.clone(),
            ..Host::default()
        });
    }

    /// Makes a group unless it exists, and gives the name that it has here.
    pub fn add_group(&mut self, name: &str) -> String {
        let name = self.spelled(name);
        self.groups.entry(name.clone()).or_insert_with(Group::new);
        name
    }

    /// A group's name as it is spelled here.
    pub fn spelled(&mut self, name: &str) -> String {
        let odd = |(at, c): (usize, char)| !(c.is_alphanumeric() || c == '_') || at == 0 && c.is_numeric();
        if !name.char_indices().any(odd) {
            return name.to_owned();
        }
        self.odd_names = true;
        match self.naming {
            Naming::Keep => name.to_owned(),
            Naming::Replace => name
                .char_indices()
                .map(|(at, c)| if odd((at, c)) { '_' } else { c })
                .collect(),
        }
    }

    /// Puts a host into a group that exists.
    pub fn add_to_group(&mut self, host: &str, group: &str) {
        self.add_host(host);
        if group == UNGROUPED {
            return;
        }
        if let (Some(node), Some(holder)) = (self.hosts.get_mut(host), self.groups.get_mut(group)) {
            node.groups.insert(group.to_owned());
            holder.hosts.insert(host.to_owned());
        }
    }

    /// Puts a group that exists under another that exists.
    pub fn add_child(&mut self, parent: &str, child: &str) -> Result<(), Cycle> {
        if parent == child || child == ALL || self.descendants(child).contains(&parent) {
            return Err(Cycle);
        }
        if let Some(group) = self.groups.get_mut(parent) {
            group.children.insert(child.to_owned());
        }
        if parent == ALL {
            // Every group is below `all` as it is: saying so only puts it in front of others.
            return Ok(());
        }
        if let Some(group) = self.groups.get_mut(child) {
            group.parents.insert(parent.to_owned());
        }
        self.sink(parent);
        Ok(())
    }

    /// Restores the depths below a group that has a new child.
    fn sink(&mut self, group: &str) {
        let mut queue = VecDeque::from([group.to_owned()]);
        while let Some(name) = queue.pop_front() {
            let (depth, children) = match self.groups.get(&name) {
                Some(group) => (group.depth, group.children.clone()),
                None => continue,
            };
            for child in children {
                if let Some(below) = self.groups.get_mut(&child)
                    && below.depth <= depth
                {
                    below.depth = depth + 1;
                    queue.push_back(child);
                }
            }
        }
    }

    pub fn set_host_variable(&mut self, host: &str, name: &str, value: Variable) {
        if let Some(host) = self.hosts.get_mut(host) {
            put(&mut host.variables, name, value, self.merging);
        }
    }

    pub fn set_group_variable(&mut self, group: &str, name: &str, value: Variable) {
        let Some(group) = self.groups.get_mut(group) else {
            return;
        };
        match priority(name, &value) {
            Some(priority) => group.priority = priority,
            None => put(&mut group.variables, name, value, self.merging),
        }
    }

    /// A group and all groups below it, breadth first, each once.
    fn descendants(&self, group: &str) -> IndexSet<&str> {
        let mut found = IndexSet::new();
        let Some((name, _)) = self.groups.get_key_value(group) else {
            return found;
        };
        found.insert(name.as_str());
        if name == ALL {
            let tops = self.groups.iter().filter(|(_, group)| group.parents.is_empty());
            found.insert(UNGROUPED);
            found.extend(self.groups[ALL].children.iter().map(String::as_str));
            found.extend(tops.map(|(name, _)| name.as_str()));
        }
        let mut next = 0;
        while let Some(name) = found.get_index(next).copied() {
            next += 1;
            found.extend(self.groups[name].children.iter().map(String::as_str));
        }
        found
    }

    /// The groups directly below a group, in order; those that are below no other group are below `all`.
    pub fn children(&self, group: &str) -> Vec<&str> {
        let Some((name, node)) = self.groups.get_key_value(group) else {
            return Vec::new();
        };
        let mut children: IndexSet<&str> = IndexSet::new();
        if name == ALL {
            children.insert(UNGROUPED);
        }
        children.extend(node.children.iter().map(String::as_str));
        if name == ALL {
            let tops = self.groups.iter().filter(|(_, group)| group.parents.is_empty());
            children.extend(tops.map(|(name, _)| name.as_str()).filter(|name| *name != ALL));
        }
        children.into_iter().collect()
    }

    /// The hosts that a group itself names.
    pub fn own_hosts(&self, group: &str) -> Vec<&str> {
        match self.groups.get(group) {
            _ if group == UNGROUPED => self.ungrouped().collect(),
            Some(group) => group.hosts.iter().map(String::as_str).collect(),
            None => Vec::new(),
        }
    }

    /// The hosts of a group and of all groups below it, each once.
    pub fn group_hosts(&self, group: &str) -> Vec<&str> {
        let mut hosts: IndexSet<&str> = IndexSet::new();
        for name in self.descendants(group) {
            if name == UNGROUPED {
                hosts.extend(self.ungrouped());
            }
            hosts.extend(self.groups[name].hosts.iter().map(String::as_str));
        }
        hosts.into_iter().collect()
    }

    fn ungrouped(&self) -> impl Iterator<Item = &str> {
        self.hosts
            .iter()
            .filter(|(_, host)| host.is_ungrouped())
            .map(|(name, _)| name.as_str())
    }

    /// The groups that hold a host, at any depth, the weakest first: by depth, priority and name. A host
    /// that is not in the inventory is in `all`.
    pub fn groups_of(&self, host: &str) -> Vec<String> {
        let mut found: IndexSet<&str> = IndexSet::from([ALL]);
        if let Some(host) = self.hosts.get(host) {
            if host.is_ungrouped() {
                found.insert(UNGROUPED);
            }
            found.extend(host.groups.iter().map(String::as_str));
        }
        let mut next = 0;
        while let Some(name) = found.get_index(next).copied() {
            next += 1;
            found.extend(self.groups[name].parents.iter().map(String::as_str));
        }
        let mut names: Vec<&str> = found.into_iter().collect();
        names.sort_by_key(|name| (self.groups[*name].depth, self.groups[*name].priority, *name));
        names.into_iter().map(str::to_owned).collect()
    }
}

impl Host {
    fn is_ungrouped(&self) -> bool {
        self.groups.iter().all(|group| group == ALL)
    }
}

fn put(variables: &mut Names, name: &str, value: Variable, merging: bool) {
    let value = match variables.get(name).filter(|_| merging) {
        Some(weaker) => merge::merged(value, weaker),
        None => value,
    };
    variables.insert(name.to_owned(), value);
}

fn priority(name: &str, value: &Variable) -> Option<i64> {
    let Variable::Node(node) = value else {
        return None;
    };
    match &node.kind {
        _ if name != PRIORITY => None,
        Kind::Scalar(value) => value.as_int(),
        _ => node.as_str()?.trim().parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(groups: &[(&str, &[&str], &[&str])]) -> Graph {
        let mut graph = Graph::default();
        for (name, hosts, children) in groups {
            graph.add_group(name);
            for host in *hosts {
                graph.add_to_group(host, name);
            }
            for child in *children {
                graph.add_group(child);
                graph.add_child(name, child).unwrap();
            }
        }
        graph
    }

    #[test]
    fn hosts_come_breadth_first_and_once() {
        let mut graph = graph(&[
            ("web", &["w1", "w2"], &[]),
            ("db", &["d1", "w1"], &[]),
            ("x", &[], &["web"]),
        ]);
        graph.add_host("lonely");
        assert_eq!(graph.group_hosts(ALL), ["lonely", "d1", "w1", "w2"]);
        assert_eq!(graph.group_hosts("x"), ["w1", "w2"]);
        assert_eq!(graph.group_hosts(UNGROUPED), ["lonely"]);
        assert!(graph.group_hosts("nope").is_empty());
    }

    #[test]
    fn groups_named_under_all_come_first() {
        let graph = graph(&[
            ("a", &["a1"], &[]),
            ("b", &["b1"], &["c"]),
            ("c", &["c1"], &[]),
            ("all", &[], &["c"]),
        ]);
        assert_eq!(graph.group_hosts(ALL), ["c1", "a1", "b1"]);
        assert_eq!(graph.groups_of("c1"), ["all", "b", "c"]);
    }

    #[test]
    fn groups_sort_by_depth_then_priority_then_name() {
        let mut graph = graph(&[
            ("b", &["h"], &[]),
            ("a", &["h"], &[]),
            ("top", &[], &["a"]),
            ("root", &[], &["top"]),
        ]);
        assert_eq!(graph.groups_of("h"), ["all", "b", "root", "top", "a"]);
        let source = crate::source::Source::new("t", "");
        let ten = crate::yaml::Node::new(Kind::Scalar(10.into()), &crate::source::Span::whole(&source));
        graph.set_group_variable("b", PRIORITY, ten.into());
        assert_eq!(graph.groups_of("h"), ["all", "root", "b", "top", "a"]);
        assert!(graph.groups["b"].variables.is_empty());
        assert_eq!(graph.groups_of("stranger"), ["all"]);
    }

    #[test]
    fn cycles_are_refused() {
        let mut graph = graph(&[("a", &[], &["b"]), ("b", &[], &["c"])]);
        assert_eq!(graph.add_child("c", "a"), Err(Cycle));
        assert_eq!(graph.add_child("a", "a"), Err(Cycle));
        assert_eq!(graph.add_child("a", "all"), Err(Cycle));
        assert_eq!(graph.add_child("a", "c"), Ok(()));
    }

    #[test]
    fn ungrouped_is_what_no_other_group_holds() {
        let mut graph = graph(&[("web", &["h"], &[])]);
        graph.add_to_group("h", UNGROUPED);
        graph.add_to_group("other", ALL);
        assert_eq!(graph.group_hosts(UNGROUPED), ["other"]);
        assert_eq!(graph.groups_of("other"), ["all", "ungrouped"]);
    }
}

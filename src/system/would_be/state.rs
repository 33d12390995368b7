//! The overlay itself: paths, accounts and states that are not as the machine has them, and how they came about, change by
//! change, so that another agent of the host can follow.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::delta::{self, Content, Node, What};
use crate::system::foresight::Subject;
use crate::system::{FileKind, Follow, Group, Metadata, System, User};
use crate::value::Value;

/// Bytes of contents that are kept altogether; what comes after is known by size and digest.
const KEPT_ALTOGETHER: usize = 64 << 20;

/// One change of the state. Each says how something would be from now on, so that it can be taken over without the
/// machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delta {
    Path(#[serde(with = "delta::path")] PathBuf, Box<Node>),
    /// Gone, with all below.
    NoPath(#[serde(with = "delta::path")] PathBuf),
    User(String, Option<User>),
    Group(String, Option<Group>),
    State {
        of: Subject,
        name: String,
        is: Value,
    },
    /// Whatever is missing may be there after all.
    Anything,
    /// As the machine has it.
    Real(Thing),
}

/// What the overlay can tell of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Thing {
    Path(#[serde(with = "delta::path")] PathBuf),
    User(String),
    Group(String),
    State(Subject, String),
}

/// What would be otherwise.
#[derive(Debug, Default)]
pub struct State {
    /// None where there would be nothing. Paths are without links.
    paths: BTreeMap<PathBuf, Option<Node>>,
    users: BTreeMap<String, Option<User>>,
    groups: BTreeMap<String, Option<Group>>,
    states: BTreeMap<(Subject, String), Value>,
    uncertain: bool,
    log: Vec<Delta>,
    kept: usize,
}

/// Where to look for what is at a path.
#[derive(Debug, PartialEq)]
pub enum Origin {
    Node(Box<Node>),
    /// At this path of the machine.
    Machine(PathBuf),
    /// `doubtful`: it may be there after all.
    Nothing {
        doubtful: bool,
    },
}

/// What the machine has at one time where the overlay has something else.
#[derive(Debug)]
pub struct Seen {
    paths: BTreeMap<PathBuf, Option<Sight>>,
    users: BTreeMap<String, Option<User>>,
    groups: BTreeMap<String, Option<Group>>,
}

/// What of a file or folder would make the overlay outdated.
#[derive(Debug, PartialEq)]
enum Sight {
    Kind(FileKind),
    /// Inode, mode, user, group.
    Folder(u64, u32, u32, u32),
    All(Box<Metadata>),
}

impl Sight {
    fn is_folder(&self) -> bool {
        match self {
            Self::Kind(kind) => *kind == FileKind::Directory,
            Self::Folder(..) => true,
            Self::All(metadata) => metadata.kind == FileKind::Directory,
        }
    }
}

/// A content, by its SHA-256.
pub type Held = (String, Arc<[u8]>);

impl State {
    pub fn record(&mut self, mut delta: Delta) {
        if let Delta::Path(_, node) = &mut delta {
            self.limit(node);
        }
        self.apply(&delta);
        self.log.push(delta);
    }

    /// Keeps no more than what there is room for.
    fn limit(&mut self, node: &mut Node) {
        let What::File(content) = &mut node.what else {
            return;
        };
        if let Content::Here { sha256, bytes } = content {
            if self.kept + bytes.len() > KEPT_ALTOGETHER {
                *content = Content::Away {
                    sha256: Some(sha256.clone()),
                    size: bytes.len() as u64,
                };
            } else {
                self.kept += bytes.len();
            }
        }
    }

    fn apply(&mut self, delta: &Delta) {
        match delta.clone() {
            Delta::Path(path, node) => {
                if !matches!(node.what, What::Directory { .. }) {
                    self.forget_below(&path);
                }
                self.paths.insert(path, Some(*node));
            }
            Delta::NoPath(path) => {
                self.forget_below(&path);
                self.paths.insert(path, None);
            }
            Delta::User(name, user) => {
                self.users.insert(name, user);
            }
            Delta::Group(name, group) => {
                self.groups.insert(name, group);
            }
            Delta::State { of, name, is } => {
                self.states.insert((of, name), is);
            }
            Delta::Anything => self.uncertain = true,
            Delta::Real(Thing::Path(path)) => {
                self.paths.remove(&path);
            }
            Delta::Real(Thing::User(name)) => {
                self.users.remove(&name);
            }
            Delta::Real(Thing::Group(name)) => {
                self.groups.remove(&name);
            }
            Delta::Real(Thing::State(of, name)) => {
                self.states.remove(&(of, name));
            }
        }
    }

    /// What the machine tells of the paths and accounts that the overlay has, and of the folders above them.
    pub fn compare(&self, machine: &dyn System) -> Seen {
        let look = |path: &Path| machine.metadata(path, Follow::No).ok().flatten();
        let mut paths = BTreeMap::new();
        for (path, entry) in &self.paths {
            for folder in path.ancestors().skip(1) {
                if let Entry::Vacant(free) = paths.entry(folder.to_owned()) {
                    free.insert(look(folder).map(|found| Sight::Kind(found.kind)));
                }
            }
            let shows_through = entry
                .as_ref()
                .is_some_and(|node| matches!(node.what, What::Directory { of: Some(_), .. }));
            let sight = look(path).map(|found| {
                if shows_through && found.kind == FileKind::Directory {
                    // What is in it is seen anyway.
                    Sight::Folder(found.inode, found.mode, found.uid, found.gid)
                } else {
                    Sight::All(Box::new(Metadata {
                        accessed: SystemTime::UNIX_EPOCH,
                        ..found
                    }))
                }
            });
            paths.insert(path.clone(), sight);
        }
        let users = if self.users.is_empty() {
            Vec::new()
        } else {
            machine.users().unwrap_or_default()
        };
        let groups = if self.groups.is_empty() {
            Vec::new()
        } else {
            machine.groups().unwrap_or_default()
        };
        let user = |name: &String| users.iter().find(|user| user.name == *name).cloned();
        let group = |name: &String| groups.iter().find(|group| group.name == *name).cloned();
        Seen {
            paths,
            users: self.users.keys().map(|name| (name.clone(), user(name))).collect(),
            groups: self
                .groups
                .keys()
                .map(|name| (name.clone(), group(name)))
                .collect(),
        }
    }

    /// What the overlay tells of and has become otherwise on the machine.
    pub fn outdated(&self, before: &Seen, now: &Seen) -> BTreeSet<Thing> {
        let mut outdated = BTreeSet::new();
        for (path, sight) in &before.paths {
            let is = now.paths.get(path).and_then(Option::as_ref);
            if sight.as_ref() == is {
                continue;
            }
            outdated.insert(Thing::Path(path.clone()));
            // A folder that is there no more has taken with it what was foreseen in it.
            if sight.is_some() && is.is_none_or(|is| !is.is_folder()) {
                outdated.extend(self.below(path).into_iter().map(|(path, _)| Thing::Path(path)));
            }
        }
        let users = before
            .users
            .iter()
            .filter(|(name, user)| now.users.get(*name) != Some(user));
        outdated.extend(users.map(|(name, _)| Thing::User(name.clone())));
        let groups = before
            .groups
            .iter()
            .filter(|(name, group)| now.groups.get(*name) != Some(group));
        outdated.extend(groups.map(|(name, _)| Thing::Group(name.clone())));
        outdated.retain(|thing| match thing {
            Thing::Path(path) => self.paths.contains_key(path),
            _ => true,
        });
        outdated
    }

    fn forget_below(&mut self, path: &Path) {
        self.paths
            .retain(|known, _| known == path || !known.starts_with(path));
    }

    pub fn has_no_paths(&self) -> bool {
        self.paths.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    pub fn is_uncertain(&self) -> bool {
        self.uncertain
    }

    /// Where to look for what is at this path (without links).
    pub fn origin(&self, path: &Path) -> Origin {
        for known in path.ancestors() {
            let Some(entry) = self.paths.get(known) else {
                continue;
            };
            return match entry {
                None => Origin::Nothing { doubtful: false },
                Some(node) if known == path => Origin::Node(Box::new(node.clone())),
                Some(node) => match &node.what {
                    What::Directory { of: Some(real), .. } => {
                        let rest = path.strip_prefix(known).unwrap_or(Path::new(""));
                        Origin::Machine(real.join(rest))
                    }
                    What::Directory { known, .. } => Origin::Nothing { doubtful: !known },
                    _ => Origin::Nothing { doubtful: false },
                },
            };
        }
        Origin::Machine(path.to_owned())
    }

    /// Names in a folder that the overlay knows of, and whether they would be there.
    pub fn children(&self, folder: &Path) -> impl Iterator<Item = (&Path, bool)> {
        self.paths
            .iter()
            .filter(move |(path, _)| path.parent() == Some(folder))
            .filter_map(|(path, entry)| Some((Path::new(path.file_name()?), entry.is_some())))
    }

    /// All that the overlay has below a path.
    pub fn below(&self, path: &Path) -> Vec<(PathBuf, Option<Node>)> {
        let inside = self.paths.iter();
        inside
            .filter(|(known, _)| *known != path && known.starts_with(path))
            .map(|(path, entry)| (path.clone(), entry.clone()))
            .collect()
    }

    /// Other names of the same file.
    pub fn same_file(&self, node: &Node) -> Vec<PathBuf> {
        let is_same = |other: &Node| (other.device, other.inode) == (node.device, node.inode);
        self.paths
            .iter()
            .filter(|(_, entry)| entry.as_ref().is_some_and(is_same))
            .map(|(path, _)| path.clone())
            .collect()
    }

    /// As no machine gives it; the same on all agents, which have seen the same changes.
    pub fn next_inode(&self) -> u64 {
        u64::MAX - self.log.len() as u64
    }

    pub fn users(&self, known: Vec<User>) -> Vec<User> {
        merged(known, &self.users, |user| &user.name)
    }

    pub fn groups(&self, known: Vec<Group>) -> Vec<Group> {
        merged(known, &self.groups, |group| &group.name)
    }

    pub fn foreseen(&self, of: Subject, name: &str) -> Option<Value> {
        self.states.get(&(of, name.to_owned())).cloned()
    }

    /// How many changes there were.
    pub fn len(&self) -> usize {
        self.log.len()
    }

    /// The changes from a point on in the form in which they travel, and the contents that they are of.
    pub fn since(&self, seen: usize) -> (Vec<Value>, Vec<Held>) {
        let mut contents: BTreeMap<String, Arc<[u8]>> = BTreeMap::new();
        let mut changes = Vec::new();
        for delta in self.log.iter().skip(seen) {
            if let Delta::Path(_, node) = delta
                && let What::File(Content::Here { sha256, bytes }) = &node.what
            {
                contents.insert(sha256.clone(), Arc::clone(bytes));
            }
            changes.extend(Value::from_serialize(delta));
        }
        (changes, contents.into_iter().collect())
    }

    /// Takes over what another agent has foreseen. `content` gives what came along.
    pub fn follow(
        &mut self,
        changes: Vec<Value>,
        content: impl Fn(&str) -> Option<Arc<[u8]>>,
    ) -> Result<(), String> {
        for change in changes {
            let mut delta: Delta = change
                .deserialize_into()
                .map_err(|error| format!("a change of the would-be state is malformed: {error}"))?;
            if let Delta::Path(_, node) = &mut delta
                && let What::File(here @ Content::Here { .. }) = &mut node.what
                && let Content::Here { sha256, .. } = &*here
            {
                let sha256 = sha256.clone();
                *here = match content(&sha256) {
                    Some(bytes) => Content::Here { sha256, bytes },
                    None => Content::Away {
                        sha256: Some(sha256),
                        size: 0,
                    },
                };
            }
            self.record(delta);
        }
        Ok(())
    }
}

/// What is known, as it would be.
fn merged<T: Clone>(
    known: Vec<T>,
    changes: &BTreeMap<String, Option<T>>,
    name: impl Fn(&T) -> &String,
) -> Vec<T> {
    let mut all: Vec<T> = known
        .into_iter()
        .filter(|one| !changes.contains_key(name(one)))
        .collect();
    all.extend(changes.values().flatten().cloned());
    all
}

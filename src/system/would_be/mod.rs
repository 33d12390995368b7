//! A machine as it would be: what a check predicts is kept in memory, and later tasks of the check see it.
//!
//! Reads look into the overlay first and fall through to the machine; writes never reach the machine. A module's `check`
//! may run programs, for they only ask. While a change is carried out on the would-be state
//! ([`WouldBe::act`]) no program is run, nothing is sent and nothing is signed: what they would do is not foreseen here,
//! a module says it in words ([`Effect`]).
//!
//! What the state cannot tell is noted as a doubt: something was missing that a command may have made, or a program
//! was asked that knows nothing of the would-be state. Whoever fails while in doubt has not failed: it is unknown.

mod delta;
mod files;
mod state;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use self::delta::{Content, Node, What};
pub use self::state::State;
use self::state::{Delta, Origin, Thing};
use super::digest::digest_bytes;
use super::foresight::{Effect, Subject};
use super::links::{self, Found};
use super::{Attributes, DigestAlgorithm, FileKind, Follow, Result, System, SystemError};
use crate::value::Value;

/// A file's content is kept up to this size; of larger ones only size and digest.
const KEPT: usize = 4 << 20;

/// Why something cannot be told: it is no error of the machine's.
#[derive(Debug, thiserror::Error)]
#[error("that is not known before it is really done")]
pub struct Unforeseen;

/// The machine, and what would have become of it.
pub struct WouldBe<'a> {
    machine: &'a dyn System,
    state: &'a RefCell<State>,
    /// A change is being carried out in memory.
    acting: Cell<bool>,
    /// Something was missing, or was refused, that may be there in a real run.
    doubt: Cell<bool>,
}

impl<'a> WouldBe<'a> {
    pub fn new(machine: &'a dyn System, state: &'a RefCell<State>) -> Self {
        Self {
            machine,
            state,
            acting: Cell::new(false),
            doubt: Cell::new(false),
        }
    }

    /// Whether what was found may be otherwise in a real run.
    pub fn is_in_doubt(&self) -> bool {
        self.doubt.get()
    }

    /// From now on anything may be there.
    pub fn expect_anything(&self) {
        self.record(Delta::Anything);
    }

    /// Carries out a change in memory. What cannot be carried out there leaves the state uncertain.
    pub fn act<T, E>(&self, change: impl FnOnce(&dyn System) -> std::result::Result<T, E>) {
        let doubt = self.doubt.get();
        self.acting.set(true);
        let done = change(self);
        self.acting.set(false);
        self.doubt.set(doubt);
        if done.is_err() {
            self.expect_anything();
        }
    }

    /// Does something on the machine itself. What has become otherwise by it is as the machine has it from now on, whatever was foreseen.
    pub fn really<T>(&self, work: impl FnOnce(&dyn System) -> T) -> T {
        let before = self.state.borrow().compare(self.machine);
        let done = work(self.machine);
        let outdated = {
            let state = self.state.borrow();
            state.outdated(&before, &state.compare(self.machine))
        };
        for thing in outdated {
            self.record(Delta::Real(thing));
        }
        done
    }

    /// Of what a module has really left nothing is foreseen any more. Paths and accounts are seen by [`Self::really`].
    pub fn see(&self, effects: Vec<Effect>) {
        for effect in effects {
            let Effect::State { of, name, .. } = effect else {
                continue;
            };
            let is_foreseen = self.state.borrow().foreseen(of, &name).is_some();
            if is_foreseen {
                self.record(Delta::Real(Thing::State(of, name)));
            }
        }
    }

    /// Takes over what a module says of its change.
    pub fn expect(&self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::User(user) => self.record(Delta::User(user.name.clone(), Some(user))),
                Effect::NoUser(name) => self.record(Delta::User(name, None)),
                Effect::Group(group) => self.record(Delta::Group(group.name.clone(), Some(group))),
                Effect::NoGroup(name) => self.record(Delta::Group(name, None)),
                Effect::State { of, name, is } => self.record(Delta::State { of, name, is }),
                Effect::Path {
                    path,
                    kind,
                    attributes,
                } => self.expect_path(&path, kind, attributes),
                Effect::NoPath(path) => {
                    if let Ok(path) = self.name("remove", &path) {
                        self.record(Delta::NoPath(path));
                    }
                }
                Effect::Files => self.expect_anything(),
            }
        }
    }

    /// Something whose content nobody knows yet; folders above it that are missing come with it.
    fn expect_path(&self, path: &Path, kind: FileKind, attributes: Attributes) {
        let path = self.absolute(path);
        for folder in path.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev() {
            if self
                .metadata(folder, Follow::Yes)
                .is_ok_and(|found| found.is_none())
            {
                let known = What::Directory {
                    of: None,
                    known: true,
                };
                self.make(folder, known, 0o777 & !self.umask(), Attributes::default());
            }
        }
        let (what, mode) = if kind == FileKind::Directory {
            let of = self.find(&path).and_then(|(_, node)| match node.what {
                What::Directory { of, .. } => of,
                _ => None,
            });
            (What::Directory { of, known: false }, 0o777)
        } else {
            let content = Content::Away {
                sha256: None,
                size: 0,
            };
            (What::File(content), 0o666)
        };
        self.make(&path, what, mode & !self.umask(), attributes);
    }

    /// A node at a path, keeping what is known of the one that is there.
    fn make(&self, path: &Path, what: What, mode: u32, attributes: Attributes) {
        let Ok(place) = self.name("make", path) else {
            return;
        };
        let old = self.pull("make", &place).ok();
        let mut node = self.fresh(&place, what, mode);
        if let Some(old) = old {
            (node.mode, node.uid, node.gid) = (old.mode, old.uid, old.gid);
        }
        node.set(attributes);
        self.record(Delta::Path(place, Box::new(node)));
    }

    /// What is at a path that is followed.
    fn find(&self, path: &Path) -> Option<(PathBuf, Node)> {
        let place = self.follow("look at", path).ok()?;
        let node = self.pull("look at", &place).ok()?;
        Some((place, node))
    }

    fn record(&self, delta: Delta) {
        self.state.borrow_mut().record(delta);
    }

    /// Whether files are as they seem: then the machine is asked without a detour.
    fn is_untouched(&self) -> bool {
        self.state.borrow().has_no_paths()
    }

    /// Something is missing.
    fn missed(&self, doubtful: bool) {
        if doubtful || self.state.borrow().is_uncertain() {
            self.doubt.set(true);
        }
    }

    /// What a program or a server says knows nothing of the would-be state.
    fn noted_answer(&self, refused: bool) {
        if refused && !self.state.borrow().is_empty() {
            self.doubt.set(true);
        }
    }

    /// Passes on what the machine says.
    fn noted<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result
            && error.source.kind() == io::ErrorKind::NotFound
        {
            self.missed(false);
        }
        result
    }

    fn unforeseen<T>(&self, operation: &'static str, object: &str) -> Result<T> {
        self.doubt.set(true);
        Err(SystemError::new(operation, object, io::Error::other(Unforeseen)))
    }

    fn failed<T>(operation: &'static str, path: &Path, kind: io::ErrorKind) -> Result<T> {
        Err(SystemError::path(operation, path, kind.into()))
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        if path.is_absolute() {
            return path.to_owned();
        }
        let folder = self.machine.canonicalize(Path::new("."));
        folder.unwrap_or_else(|_| PathBuf::from("/")).join(path)
    }

    /// What is at a path without links in its folders.
    fn look(&self, path: &Path) -> io::Result<Found> {
        let origin = self.state.borrow().origin(path);
        Ok(match origin {
            Origin::Node(node) => match node.what {
                What::Link(target) => Found::Link(target),
                _ => Found::Other,
            },
            Origin::Machine(real) => match self.machine.metadata(&real, Follow::No) {
                Err(error) => return Err(error.source),
                Ok(Some(metadata)) if metadata.kind == FileKind::Link => {
                    Found::Link(self.machine.read_link(&real).map_err(|error| error.source)?)
                }
                Ok(Some(_)) => Found::Other,
                Ok(None) => {
                    self.missed(false);
                    Found::Nothing
                }
            },
            Origin::Nothing { doubtful } => {
                self.missed(doubtful);
                Found::Nothing
            }
        })
    }

    fn follow(&self, operation: &'static str, path: &Path) -> Result<PathBuf> {
        links::resolve(&self.absolute(path), |path| self.look(path))
            .map_err(|source| SystemError::path(operation, path, source))
    }

    /// The path with its folder resolved: what an operation on the name itself acts on.
    fn name(&self, operation: &'static str, path: &Path) -> Result<PathBuf> {
        let path = self.absolute(path);
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok(self.follow(operation, parent)?.join(name)),
            _ => self.follow(operation, &path),
        }
    }

    /// What is at a resolved path, as a node that can be changed.
    fn pull(&self, operation: &'static str, place: &Path) -> Result<Node> {
        let origin = self.state.borrow().origin(place);
        match origin {
            Origin::Node(node) => Ok(*node),
            Origin::Machine(real) => {
                let Some(metadata) = self.machine.metadata(&real, Follow::No)? else {
                    self.missed(false);
                    return Self::failed(operation, place, io::ErrorKind::NotFound);
                };
                let what = match metadata.kind {
                    FileKind::File => What::File(Content::Machine(real.clone())),
                    FileKind::Directory => What::Directory {
                        of: Some(real.clone()),
                        known: true,
                    },
                    FileKind::Link => What::Link(self.machine.read_link(&real)?),
                    other => What::Other(other),
                };
                let xattrs = self.machine.xattrs(&real).unwrap_or_default();
                Ok(Node::of(what, &metadata, xattrs))
            }
            Origin::Nothing { doubtful } => {
                self.missed(doubtful);
                Self::failed(operation, place, io::ErrorKind::NotFound)
            }
        }
    }

    /// A new node, owned as the agent's user would own it.
    fn fresh(&self, place: &Path, what: What, mode: u32) -> Node {
        let uid = self.machine.uid();
        let folder = place
            .parent()
            .and_then(|folder| self.pull("look at", folder).ok());
        let gid = match folder {
            Some(folder) if folder.mode & 0o2000 != 0 => folder.gid,
            _ => {
                let users = self.machine.users().unwrap_or_default();
                let own = users.iter().find(|user| user.uid == uid);
                own.map_or(uid, |user| user.gid)
            }
        };
        let now = self.machine.now();
        let inode = self.state.borrow().next_inode();
        Node::new(what, mode, (uid, gid), now, inode)
    }

    fn folder_exists(&self, operation: &'static str, place: &Path) -> Result<()> {
        let folder = place.parent().unwrap_or(Path::new("/"));
        match self.pull(operation, folder)?.what {
            What::Directory { .. } => Ok(()),
            _ => Self::failed(operation, place, io::ErrorKind::NotADirectory),
        }
    }

    /// A new name in an existing folder.
    fn create(&self, operation: &'static str, path: &Path, what: What, mode: u32) -> Result<()> {
        let place = self.name(operation, path)?;
        self.folder_exists(operation, &place)?;
        if self.is_there(&place)? {
            return Self::failed(operation, &place, io::ErrorKind::AlreadyExists);
        }
        let node = self.fresh(&place, what, mode);
        self.record(Delta::Path(place, Box::new(node)));
        Ok(())
    }

    fn is_there(&self, place: &Path) -> Result<bool> {
        match self.look(place) {
            Ok(found) => Ok(!matches!(found, Found::Nothing)),
            Err(source) => Err(SystemError::path("look at", place, source)),
        }
    }

    /// What a reader has, as far as it is kept.
    fn take(path: &Path, content: &mut dyn Read) -> Result<Content> {
        let mut bytes = Vec::new();
        match content.take(KEPT as u64 + 1).read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error)
                if error
                    .get_ref()
                    .is_some_and(<dyn std::error::Error + Send + Sync>::is::<Unforeseen>) =>
            {
                return Ok(Content::Away {
                    sha256: None,
                    size: 0,
                });
            }
            Err(error) => return Err(SystemError::path("write", path, error)),
        }
        if bytes.len() <= KEPT {
            let sha256 = digest_bytes(&bytes, DigestAlgorithm::Sha256);
            return Ok(Content::Here {
                sha256,
                bytes: bytes.into(),
            });
        }
        let size = std::cell::Cell::new(0);
        let mut all = Counted {
            inner: io::Cursor::new(bytes).chain(content),
            count: &size,
        };
        let sha256 = super::digest::digest_stream(&mut all, DigestAlgorithm::Sha256)
            .map_err(|error| SystemError::path("write", path, error))?;
        Ok(Content::Away {
            sha256: Some(sha256),
            size: size.get(),
        })
    }

    fn state_of(&self, of: Subject, name: &str) -> Option<Value> {
        let state = self.state.borrow().foreseen(of, name);
        if state.is_none() {
            self.missed(false);
        }
        state
    }
}

/// A reader that knows how much was read.
struct Counted<'a, R> {
    inner: R,
    count: &'a Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.set(self.count.get() + count as u64);
        Ok(count)
    }
}

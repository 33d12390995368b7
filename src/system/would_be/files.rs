//! [`System`] on the would-be state.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::delta::{Content, Node, What};
use super::state::{Delta, Origin};
use super::{Unforeseen, WouldBe};
use crate::system::digest::digest_bytes;
use crate::system::foresight::Subject;
use crate::system::{
    Attributes, Command, CommandOutput, Connection, DigestAlgorithm, Expected, Follow, Group, HttpRequest,
    HttpResponse, LentFile, Metadata, Reply, Result, System, User,
};
use crate::value::Value;

/// Where a file's bytes are.
enum Bytes {
    Here(Arc<[u8]>),
    Machine(PathBuf),
    Away(Option<String>),
}

impl WouldBe<'_> {
    fn bytes(&self, path: &Path) -> Result<Bytes> {
        if self.is_untouched() {
            return Ok(Bytes::Machine(path.to_owned()));
        }
        let place = self.follow("read", path)?;
        let origin = self.state.borrow().origin(&place);
        match origin {
            Origin::Machine(real) => Ok(Bytes::Machine(real)),
            Origin::Nothing { doubtful } => {
                self.missed(doubtful);
                Self::failed("read", path, io::ErrorKind::NotFound)
            }
            Origin::Node(node) => match node.what {
                What::File(Content::Here { bytes, .. }) => Ok(Bytes::Here(bytes)),
                What::File(Content::Machine(real)) => Ok(Bytes::Machine(real)),
                What::File(Content::Away { sha256, .. }) => Ok(Bytes::Away(sha256)),
                What::Directory { .. } => Self::failed("read", path, io::ErrorKind::IsADirectory),
                _ => self.unforeseen("read", &path.display().to_string()),
            },
        }
    }

    /// Puts a changed node under all its names.
    fn change(&self, operation: &'static str, place: &Path, change: impl Fn(&mut Node)) -> Result<()> {
        let mut node = self.pull(operation, place)?;
        let names = self.state.borrow().same_file(&node);
        change(&mut node);
        for name in names.into_iter().filter(|name| name != place) {
            self.record(Delta::Path(name, Box::new(node.clone())));
        }
        self.record(Delta::Path(place.to_owned(), Box::new(node)));
        Ok(())
    }

    /// One name fewer for a file that has several.
    fn unlink(&self, operation: &'static str, place: &Path) -> Result<()> {
        let node = self.pull(operation, place)?;
        if node.links > 1 && matches!(node.what, What::File(_)) {
            self.change(operation, place, |node| node.links -= 1)?;
        }
        self.record(Delta::NoPath(place.to_owned()));
        Ok(())
    }

    /// Whether the agent's user may, by the bits of a node.
    fn permitted(&self, node: &Node) -> (bool, bool, bool) {
        let uid = self.machine.uid();
        let any_execute = node.mode & 0o111 != 0 || matches!(node.what, What::Directory { .. });
        if uid == 0 {
            return (true, true, any_execute);
        }
        let own = self.users().unwrap_or_default();
        let own = own.iter().find(|user| user.uid == uid);
        let groups = self.groups().unwrap_or_default();
        let is_member = own.is_some_and(|own| {
            let further = groups.iter().find(|group| group.gid == node.gid);
            own.gid == node.gid || further.is_some_and(|group| group.members.contains(&own.name))
        });
        let shift = match (node.uid == uid, is_member) {
            (true, _) => 6,
            (_, true) => 3,
            _ => 0,
        };
        let may = |bit: u32| node.mode >> shift & bit != 0;
        (may(4), may(2), may(1))
    }

    /// What is in the way of a rename, if anything is.
    fn obstacle(&self, moved: &Node, to: &Path) -> Result<Option<io::ErrorKind>> {
        if !self.is_there(to)? {
            return Ok(None);
        }
        let there = self.pull("rename to", to)?;
        let is_folder = |node: &Node| matches!(node.what, What::Directory { .. });
        Ok(match (is_folder(moved), is_folder(&there)) {
            (true, true) if !self.read_dir(to)?.is_empty() => Some(io::ErrorKind::DirectoryNotEmpty),
            (true, false) => Some(io::ErrorKind::NotADirectory),
            (false, true) => Some(io::ErrorKind::IsADirectory),
            _ => None,
        })
    }

    /// A node and all that the overlay has below it under another name.
    fn move_to(&self, node: Node, from: &Path, to: &Path) {
        let below = self.state.borrow().below(from);
        self.record(Delta::NoPath(to.to_owned()));
        self.record(Delta::Path(to.to_owned(), Box::new(node)));
        for (path, entry) in below {
            let Ok(rest) = path.strip_prefix(from) else {
                continue;
            };
            let path = to.join(rest);
            self.record(match entry {
                Some(node) => Delta::Path(path, Box::new(node)),
                None => Delta::NoPath(path),
            });
        }
        self.record(Delta::NoPath(from.to_owned()));
    }
}

impl System for WouldBe<'_> {
    fn metadata(&self, path: &Path, follow: Follow) -> Result<Option<Metadata>> {
        if self.is_untouched() {
            let found = self.machine.metadata(path, follow)?;
            if found.is_none() {
                self.missed(false);
            }
            return Ok(found);
        }
        let place = match follow {
            Follow::Yes => self.follow("look at", path),
            Follow::No => self.name("look at", path),
        };
        let place = match place {
            Err(error)
                if matches!(
                    error.source.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(None);
            }
            place => place?,
        };
        let origin = self.state.borrow().origin(&place);
        let found = match origin {
            Origin::Machine(real) => self.machine.metadata(&real, Follow::No)?,
            Origin::Nothing { doubtful } => {
                self.missed(doubtful);
                None
            }
            Origin::Node(node) => {
                let real = match &node.what {
                    What::File(Content::Machine(real)) => Some(real),
                    What::Directory { of, .. } => of.as_ref(),
                    _ => None,
                };
                let real = real.and_then(|real| self.machine.metadata(real, Follow::No).ok().flatten());
                Some(node.metadata(real.map_or(4096, |real| real.size)))
            }
        };
        if found.is_none() {
            self.missed(false);
        }
        Ok(found)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        match self.bytes(path)? {
            Bytes::Here(bytes) => Ok(bytes.to_vec()),
            Bytes::Machine(real) => self.noted(self.machine.read(&real)),
            Bytes::Away(_) => self.unforeseen("read", &path.display().to_string()),
        }
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Read + Send>> {
        match self.bytes(path)? {
            Bytes::Here(bytes) => Ok(Box::new(Cursor::new(bytes))),
            Bytes::Machine(real) => self.noted(self.machine.open(&real)),
            Bytes::Away(_) if self.acting.get() => Ok(Box::new(Nowhere)),
            Bytes::Away(_) => self.unforeseen("read", &path.display().to_string()),
        }
    }

    fn read_part(&self, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>> {
        match self.bytes(path)? {
            Bytes::Here(bytes) => {
                let start = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
                let end = bytes.len().min(start.saturating_add(length));
                Ok(bytes[start..end].to_vec())
            }
            Bytes::Machine(real) => self.noted(self.machine.read_part(&real, offset, length)),
            Bytes::Away(_) => self.unforeseen("read", &path.display().to_string()),
        }
    }

    fn read_dir(&self, path: &Path) -> Result<Vec<PathBuf>> {
        if self.is_untouched() {
            return self.noted(self.machine.read_dir(path));
        }
        let place = self.follow("list", path)?;
        let names = match self.pull("list", &place)?.what {
            What::Directory { of: Some(real), .. } => self.machine.read_dir(&real)?,
            What::Directory { .. } => Vec::new(),
            _ => return Self::failed("list", path, io::ErrorKind::NotADirectory),
        };
        let mut names: BTreeSet<PathBuf> = names.into_iter().collect();
        for (name, is_there) in self.state.borrow().children(&place) {
            if is_there {
                names.insert(name.to_owned());
            } else {
                names.remove(name);
            }
        }
        Ok(names.into_iter().collect())
    }

    fn read_link(&self, path: &Path) -> Result<PathBuf> {
        if self.is_untouched() {
            return self.noted(self.machine.read_link(path));
        }
        let place = self.name("read the link", path)?;
        match self.pull("read the link", &place)?.what {
            What::Link(target) => Ok(target),
            _ => Self::failed("read the link", path, io::ErrorKind::InvalidInput),
        }
    }

    fn canonicalize(&self, path: &Path) -> Result<PathBuf> {
        if self.is_untouched() {
            return self.noted(self.machine.canonicalize(path));
        }
        self.follow("resolve", path)
    }

    fn digest(&self, path: &Path, algorithm: DigestAlgorithm) -> Result<String> {
        match self.bytes(path)? {
            Bytes::Here(bytes) => Ok(digest_bytes(&bytes, algorithm)),
            Bytes::Machine(real) => self.noted(self.machine.digest(&real, algorithm)),
            Bytes::Away(Some(sha256)) if algorithm == DigestAlgorithm::Sha256 => Ok(sha256),
            // What is told of a change that is only acted is not seen.
            Bytes::Away(_) if self.acting.get() => Ok(String::new()),
            Bytes::Away(_) => self.unforeseen("read", &path.display().to_string()),
        }
    }

    fn xattrs(&self, path: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
        if self.is_untouched() {
            return self.noted(self.machine.xattrs(path));
        }
        let place = self.name("read the attributes of", path)?;
        let origin = self.state.borrow().origin(&place);
        match origin {
            Origin::Node(node) => Ok(node.xattrs),
            Origin::Machine(real) => self.noted(self.machine.xattrs(&real)),
            Origin::Nothing { .. } => Self::failed("read the attributes of", path, io::ErrorKind::NotFound),
        }
    }

    fn access(&self, path: &Path) -> Result<(bool, bool, bool)> {
        if self.is_untouched() {
            return self.machine.access(path);
        }
        let Ok(place) = self.follow("look at", path) else {
            return Ok((false, false, false));
        };
        let origin = self.state.borrow().origin(&place);
        match origin {
            Origin::Node(node) => Ok(self.permitted(&node)),
            Origin::Machine(real) => self.machine.access(&real),
            Origin::Nothing { doubtful } => {
                self.missed(doubtful);
                Ok((false, false, false))
            }
        }
    }

    fn write(&self, path: &Path, content: &mut dyn Read, attributes: Attributes) -> Result<()> {
        let place = self.name("write", path)?;
        self.folder_exists("write", &place)?;
        let old = if self.is_there(&place)? {
            Some(self.pull("write", &place)?)
        } else {
            None
        };
        if old
            .as_ref()
            .is_some_and(|old| matches!(old.what, What::Directory { .. }))
        {
            return Self::failed("write", &place, io::ErrorKind::IsADirectory);
        }
        let what = What::File(Self::take(&place, content)?);
        let mut node = self.fresh(&place, what, 0o666 & !self.umask());
        if let Some(old) = old.filter(|old| matches!(old.what, What::File(_))) {
            (node.mode, node.uid, node.gid, node.xattrs) = (old.mode, old.uid, old.gid, old.xattrs);
        }
        node.set(attributes);
        self.record(Delta::Path(place, Box::new(node)));
        Ok(())
    }

    fn overwrite(&self, path: &Path, content: &mut dyn Read) -> Result<()> {
        let place = self.follow("overwrite", path)?;
        if matches!(self.pull("overwrite", &place)?.what, What::Directory { .. }) {
            return Self::failed("overwrite", path, io::ErrorKind::IsADirectory);
        }
        let content = Self::take(&place, content)?;
        let now = self.machine.now();
        self.change("overwrite", &place, |node| {
            node.what = What::File(content.clone());
            node.modified = now;
        })
    }

    fn create_dir(&self, path: &Path, mode: u32) -> Result<()> {
        let empty = What::Directory {
            of: None,
            known: true,
        };
        self.create("create folder", path, empty, mode)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        let place = self.name("remove", path)?;
        if matches!(self.pull("remove", &place)?.what, What::Directory { .. }) {
            return Self::failed("remove", path, io::ErrorKind::IsADirectory);
        }
        self.unlink("remove", &place)
    }

    fn remove_tree(&self, path: &Path) -> Result<()> {
        let place = self.name("remove", path)?;
        if matches!(self.pull("remove", &place)?.what, What::File(_) | What::Other(_)) {
            return Self::failed("remove", path, io::ErrorKind::NotADirectory);
        }
        self.unlink("remove", &place)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let (from, to) = (self.name("rename to", from)?, self.name("rename to", to)?);
        let node = self.pull("rename to", &from)?;
        self.folder_exists("rename to", &to)?;
        if from == to {
            return Ok(());
        }
        if to.starts_with(&from) {
            return Self::failed("rename to", &to, io::ErrorKind::InvalidInput);
        }
        if let Some(kind) = self.obstacle(&node, &to)? {
            Self::failed("rename to", &to, kind)
        } else {
            self.move_to(node, &from, &to);
            Ok(())
        }
    }

    fn exchange(&self, from: &Path, to: &Path) -> Result<()> {
        let (from, to) = (self.name("exchange with", from)?, self.name("exchange with", to)?);
        let (one, other) = (
            self.pull("exchange with", &from)?,
            self.pull("exchange with", &to)?,
        );
        let aside = from.with_file_name(".regdeploy-exchanged");
        self.move_to(one.clone(), &from, &aside);
        self.move_to(other, &to, &from);
        self.move_to(one, &aside, &to);
        Ok(())
    }

    fn symlink(&self, target: &Path, link: &Path) -> Result<()> {
        self.create("make the link", link, What::Link(target.to_owned()), 0o777)
    }

    fn hard_link(&self, target: &Path, link: &Path) -> Result<()> {
        const OPERATION: &str = "make the hard link";
        let target = self.name(OPERATION, target)?;
        let node = self.pull(OPERATION, &target)?;
        self.create(OPERATION, link, node.what, node.mode)?;
        self.change(OPERATION, &target, |node| node.links += 1)?;
        let node = self.pull(OPERATION, &target)?;
        self.record(Delta::Path(self.name(OPERATION, link)?, Box::new(node)));
        Ok(())
    }

    fn set_attributes(&self, path: &Path, attributes: Attributes, follow: Follow) -> Result<()> {
        const OPERATION: &str = "set the owner or mode of";
        let place = match follow {
            Follow::Yes => self.follow(OPERATION, path)?,
            Follow::No => self.name(OPERATION, path)?,
        };
        self.change(OPERATION, &place, |node| node.set(attributes))
    }

    fn set_times(
        &self,
        path: &Path,
        accessed: Option<SystemTime>,
        modified: Option<SystemTime>,
    ) -> Result<()> {
        let place = self.name("set the times of", path)?;
        self.change("set the times of", &place, |node| {
            node.accessed = accessed.unwrap_or(node.accessed).max(SystemTime::UNIX_EPOCH);
            node.modified = modified.unwrap_or(node.modified).max(SystemTime::UNIX_EPOCH);
        })
    }

    fn set_xattr(&self, path: &Path, name: &str, value: &[u8]) -> Result<()> {
        let place = self.name("set an attribute of", path)?;
        self.change("set an attribute of", &place, |node| {
            node.xattrs.insert(name.to_owned(), value.to_vec());
        })
    }

    fn run(&self, command: &Command) -> Result<CommandOutput> {
        if self.acting.get() {
            return self.unforeseen("run", &command.argv.join(" "));
        }
        let output = self.machine.run(command);
        self.noted_answer(!output.as_ref().is_ok_and(CommandOutput::success));
        output
    }

    fn run_with(&self, files: &[LentFile], command: &dyn Fn(&Path) -> Command) -> Result<CommandOutput> {
        if self.acting.get() {
            return self.unforeseen("run", &command(Path::new("/")).argv.join(" "));
        }
        // The files are gone when it has ended: on the machine itself, where the process can see them.
        let output = self.machine.run_with(files, command);
        self.noted_answer(!output.as_ref().is_ok_and(CommandOutput::success));
        output
    }

    fn lend(&self, content: &mut dyn Read) -> Result<PathBuf> {
        self.machine.lend(content)
    }

    fn take_back(&self, path: &Path) -> Result<()> {
        self.machine.take_back(path)
    }

    fn converse(
        &self,
        command: &Command,
        _echo: bool,
        _answer: &mut dyn FnMut(&[u8]) -> Reply,
    ) -> Result<CommandOutput> {
        self.unforeseen("run", &command.argv.join(" "))
    }

    fn which(&self, program: &str) -> Option<PathBuf> {
        let found = self.machine.which(program);
        if found.is_none() {
            self.missed(false);
        }
        found
    }

    fn env(&self, name: &str) -> Option<String> {
        self.machine.env(name)
    }

    fn uid(&self) -> u32 {
        self.machine.uid()
    }

    fn users(&self) -> Result<Vec<User>> {
        self.missed(false);
        Ok(self.state.borrow().users(self.machine.users()?))
    }

    fn groups(&self) -> Result<Vec<Group>> {
        self.missed(false);
        Ok(self.state.borrow().groups(self.machine.groups()?))
    }

    fn hostname(&self) -> Result<String> {
        self.machine.hostname()
    }

    fn umask(&self) -> u32 {
        self.machine.umask()
    }

    fn http(&self, request: &HttpRequest) -> Result<HttpResponse> {
        if self.acting.get() {
            return self.unforeseen("reach", &request.url);
        }
        let answer = self.machine.http(request);
        self.noted_answer(!answer.as_ref().is_ok_and(|answer| answer.status < 400));
        answer
    }

    fn connect(&self, host: &str, port: u16, timeout: Duration) -> Result<Box<dyn Connection>> {
        if self.acting.get() {
            return self.unforeseen("connect to", &format!("{host}:{port}"));
        }
        let connected = self.machine.connect(host, port, timeout);
        self.noted_answer(connected.is_err());
        connected
    }

    fn now(&self) -> SystemTime {
        self.machine.now()
    }

    fn sleep(&self, duration: Duration) {
        if !self.acting.get() {
            self.machine.sleep(duration);
        }
    }

    fn expect(&self, contents: &[Expected]) -> Result<()> {
        // What is only thought to be written needs no content.
        if self.acting.get() {
            return Ok(());
        }
        self.machine.expect(contents)
    }

    fn content(&self, digest: &str) -> Result<Box<dyn Read>> {
        if self.acting.get() && !self.machine.has_content(digest) {
            return Ok(Box::new(Nowhere));
        }
        self.machine.content(digest)
    }

    fn has_content(&self, digest: &str) -> bool {
        self.machine.has_content(digest)
    }

    fn sign(&self, authority: &str, request: &str) -> Result<String> {
        if self.acting.get() {
            return self.unforeseen("get a certificate from", authority);
        }
        self.machine.sign(authority, request)
    }

    fn executable(&self) -> Result<PathBuf> {
        self.machine.executable()
    }

    fn foreseen(&self, of: Subject, name: &str) -> Option<Value> {
        self.state_of(of, name)
    }

    fn is_acting(&self) -> bool {
        self.acting.get()
    }
}

/// What is not worth being fetched for a prediction.
struct Nowhere;

impl Read for Nowhere {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other(Unforeseen))
    }
}

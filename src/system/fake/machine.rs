//! [`System`] on the fake machine.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Content, Fake};
use crate::system::digest::digest_bytes;
use crate::system::links::Found;
use crate::system::{
    Attributes, Command, CommandOutput, Connection, DigestAlgorithm, FileKind, Follow, Group, HttpRequest,
    HttpResponse, Metadata, Reply, Result, System, SystemError, User,
};

impl System for Fake {
    fn metadata(&self, path: &Path, follow: Follow) -> Result<Option<Metadata>> {
        self.guard("look at", path)?;
        let resolved = match follow {
            Follow::Yes => self.follow("look at", path),
            Follow::No => self.name("look at", path),
        };
        let Ok(path) = resolved else { return Ok(None) };
        let nodes = self.nodes.borrow();
        let Some(node) = nodes.get(&path) else {
            return Ok(None);
        };
        let (kind, size) = match &node.content {
            Content::File(bytes) => (FileKind::File, bytes.len() as u64),
            Content::Directory => (FileKind::Directory, 4096),
            Content::Link(target) => (FileKind::Link, target.as_os_str().len() as u64),
        };
        let links = nodes.values().filter(|other| other.inode == node.inode).count();
        Ok(Some(Metadata {
            kind,
            mode: node.mode,
            uid: node.uid,
            gid: node.gid,
            size,
            accessed: node.accessed,
            modified: node.modified,
            status_changed: node.modified,
            device: 1,
            inode: node.inode,
            links: links as u64,
        }))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        match self.node("read", path)?.content {
            Content::File(bytes) => Ok(bytes),
            _ => Self::failed("read", path, io::ErrorKind::IsADirectory),
        }
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.read(path)?)))
    }

    fn read_part(&self, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>> {
        let bytes = self.read(path)?;
        let start = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
        let end = bytes.len().min(start.saturating_add(length));
        Ok(bytes[start..end].to_vec())
    }

    fn read_dir(&self, path: &Path) -> Result<Vec<PathBuf>> {
        if !matches!(self.node("list", path)?.content, Content::Directory) {
            return Self::failed("list", path, io::ErrorKind::NotADirectory);
        }
        let folder = self.follow("list", path)?;
        let children = self.children(&folder);
        Ok(children
            .iter()
            .filter_map(|child| child.file_name().map(PathBuf::from))
            .collect())
    }

    fn read_link(&self, path: &Path) -> Result<PathBuf> {
        match self.look(&self.name("read the link", path)?) {
            Found::Link(target) => Ok(target),
            Found::Other => Self::failed("read the link", path, io::ErrorKind::InvalidInput),
            Found::Nothing => Self::failed("read the link", path, io::ErrorKind::NotFound),
        }
    }

    fn canonicalize(&self, path: &Path) -> Result<PathBuf> {
        self.follow("resolve", path)
    }

    fn digest(&self, path: &Path, algorithm: DigestAlgorithm) -> Result<String> {
        Ok(digest_bytes(&self.read(path)?, algorithm))
    }

    fn xattrs(&self, path: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
        let path = self.name("read the attributes of", path)?;
        Ok(self
            .nodes
            .borrow()
            .get(&path)
            .map(|node| node.xattrs.clone())
            .unwrap_or_default())
    }

    fn access(&self, path: &Path) -> Result<(bool, bool, bool)> {
        let metadata = self.metadata(path, Follow::Yes)?;
        Ok(metadata.map_or((false, false, false), |metadata| {
            let executable = metadata.mode & 0o111 != 0 || metadata.kind == FileKind::Directory;
            (true, true, executable)
        }))
    }

    fn write(&self, path: &Path, content: &mut dyn Read, attributes: Attributes) -> Result<()> {
        self.guard("write", path)?;
        let path = self.name("write", path)?;
        self.parent_exists("write", &path)?;
        let mut bytes = Vec::new();
        content
            .read_to_end(&mut bytes)
            .map_err(|source| SystemError::path("write", &path, source))?;
        let old = self.nodes.borrow().get(&path).cloned();
        if matches!(&old, Some(node) if matches!(node.content, Content::Directory)) {
            return Self::failed("write", &path, io::ErrorKind::IsADirectory);
        }
        self.insert(&path, Content::File(bytes), 0o666 & !self.umask());
        if let Some(old) = old.filter(|node| matches!(node.content, Content::File(_))) {
            self.change("write", &path, |node| {
                (node.mode, node.uid, node.gid, node.xattrs) = (old.mode, old.uid, old.gid, old.xattrs);
            })?;
        }
        self.set_attributes(&path, attributes, Follow::No)
    }

    fn overwrite(&self, path: &Path, content: &mut dyn Read) -> Result<()> {
        let path = self.follow("overwrite", path)?;
        self.guard("overwrite", &path)?;
        let mut bytes = Vec::new();
        content
            .read_to_end(&mut bytes)
            .map_err(|source| SystemError::path("overwrite", &path, source))?;
        self.change("overwrite", &path, |node| node.content = Content::File(bytes))
    }

    fn create_dir(&self, path: &Path, mode: u32) -> Result<()> {
        self.create("create folder", path, Content::Directory, mode)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.guard("remove", path)?;
        let path = self.name("remove", path)?;
        let mut nodes = self.nodes.borrow_mut();
        match nodes.get(&path).map(|node| &node.content) {
            None => Self::failed("remove", &path, io::ErrorKind::NotFound),
            Some(Content::Directory) => Self::failed("remove", &path, io::ErrorKind::IsADirectory),
            Some(_) => {
                nodes.remove(&path);
                Ok(())
            }
        }
    }

    fn remove_tree(&self, path: &Path) -> Result<()> {
        self.guard("remove", path)?;
        let path = self.name("remove", path)?;
        if !self.nodes.borrow().contains_key(&path) {
            return Self::failed("remove", &path, io::ErrorKind::NotFound);
        }
        self.nodes.borrow_mut().retain(|node, _| !node.starts_with(&path));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.guard("rename to", to)?;
        let (from, to) = (self.name("rename to", from)?, self.name("rename to", to)?);
        self.parent_exists("rename to", &to)?;
        let mut nodes = self.nodes.borrow_mut();
        let moved: Vec<PathBuf> = nodes
            .keys()
            .filter(|path| path.starts_with(&from))
            .cloned()
            .collect();
        if moved.is_empty() {
            return Self::failed("rename to", &to, io::ErrorKind::NotFound);
        }
        for path in moved {
            let rest = path.strip_prefix(&from).expect("it was chosen by this prefix");
            let target = if rest.as_os_str().is_empty() {
                to.clone()
            } else {
                to.join(rest)
            };
            if let Some(node) = nodes.remove(&path) {
                nodes.insert(target, node);
            }
        }
        Ok(())
    }

    fn exchange(&self, from: &Path, _to: &Path) -> Result<()> {
        let unsupported = io::ErrorKind::Unsupported.into();
        Err(SystemError::path("exchange", from, unsupported))
    }

    fn symlink(&self, target: &Path, link: &Path) -> Result<()> {
        self.create("make the link", link, Content::Link(target.to_owned()), 0o777)
    }

    fn hard_link(&self, target: &Path, link: &Path) -> Result<()> {
        let node = self.node("make the hard link", target)?;
        self.create("make the hard link", link, node.content.clone(), node.mode)?;
        let link = self.name("make the hard link", link)?;
        self.change("make the hard link", &link, |new| *new = node)
    }

    fn set_attributes(&self, path: &Path, attributes: Attributes, follow: Follow) -> Result<()> {
        const OPERATION: &str = "set the owner or mode of";
        self.guard(OPERATION, path)?;
        let path = match follow {
            Follow::Yes => self.follow(OPERATION, path)?,
            Follow::No => self.name(OPERATION, path)?,
        };
        self.change(OPERATION, &path, |node| {
            node.uid = attributes.uid.unwrap_or(node.uid);
            node.gid = attributes.gid.unwrap_or(node.gid);
            if !matches!(node.content, Content::Link(_)) {
                node.mode = attributes.mode.unwrap_or(node.mode);
            }
        })
    }

    fn set_times(
        &self,
        path: &Path,
        accessed: Option<SystemTime>,
        modified: Option<SystemTime>,
    ) -> Result<()> {
        let path = self.name("set the times of", path)?;
        self.change("set the times of", &path, |node| {
            node.accessed = accessed.unwrap_or(node.accessed);
            node.modified = modified.unwrap_or(node.modified);
        })
    }

    fn set_xattr(&self, path: &Path, name: &str, value: &[u8]) -> Result<()> {
        let path = self.name("set an attribute of", path)?;
        self.change("set an attribute of", &path, |node| {
            node.xattrs.insert(name.to_owned(), value.to_vec());
        })
    }

    fn run(&self, command: &Command) -> Result<CommandOutput> {
        self.commands.borrow_mut().push(command.clone());
        // A program may add others, so that the list must not be borrowed while one runs.
        let programs = std::mem::take(&mut *self.programs.borrow_mut());
        let output = programs.iter().rev().find_map(|program| program(self, command));
        let added = std::mem::replace(&mut *self.programs.borrow_mut(), programs);
        self.programs.borrow_mut().extend(added);
        output.ok_or_else(|| SystemError::new("run", command.argv.join(" "), io::ErrorKind::NotFound.into()))
    }

    /// The program's lines are its words, one after the other; the command is recorded again with all that was typed.
    fn converse(
        &self,
        command: &Command,
        _echo: bool,
        answer: &mut dyn FnMut(&[u8]) -> Reply,
    ) -> Result<CommandOutput> {
        let mut output = self.run(command)?;
        let mut typed = Vec::new();
        for line in output.stdout.split_inclusive(|byte| *byte == b'\n') {
            match answer(line) {
                Reply::Type(text, _) => typed.extend(text),
                Reply::Wait => {}
                Reply::Stop => {
                    output.timed_out = true;
                    break;
                }
            }
        }
        self.commands.borrow_mut().push(Command {
            stdin: typed,
            ..command.clone()
        });
        Ok(output)
    }

    fn which(&self, program: &str) -> Option<PathBuf> {
        [
            "/usr/local/sbin",
            "/usr/local/bin",
            "/usr/sbin",
            "/usr/bin",
            "/sbin",
            "/bin",
        ]
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| matches!(self.access(path), Ok((_, _, true))))
    }

    fn env(&self, name: &str) -> Option<String> {
        self.environment.borrow().get(name).cloned()
    }

    fn uid(&self) -> u32 {
        0
    }

    fn users(&self) -> Result<Vec<User>> {
        Ok(self.users.borrow().clone())
    }

    fn groups(&self) -> Result<Vec<Group>> {
        Ok(self.groups.borrow().clone())
    }

    fn hostname(&self) -> Result<String> {
        Ok("fake".to_owned())
    }

    fn umask(&self) -> u32 {
        0o022
    }

    fn http(&self, request: &HttpRequest) -> Result<HttpResponse> {
        self.requests.borrow_mut().push(request.clone());
        let servers = self.servers.borrow();
        let answer = servers.iter().rev().find_map(|server| server(request));
        answer
            .map(|answer| HttpResponse {
                status: answer.status,
                headers: answer.headers,
                body: Box::new(Cursor::new(answer.body)),
            })
            .ok_or_else(|| {
                SystemError::new(
                    "reach",
                    request.url.as_str(),
                    io::ErrorKind::ConnectionRefused.into(),
                )
            })
    }

    fn connect(&self, host: &str, port: u16, _timeout: Duration) -> Result<Box<dyn Connection>> {
        let ports = self.open_ports.borrow();
        match ports.get(&(host.to_owned(), port)) {
            Some(banner) => Ok(Box::new(Cursor::new(banner.clone()))),
            None => Err(SystemError::new(
                "connect to",
                format!("{host}:{port}"),
                io::ErrorKind::ConnectionRefused.into(),
            )),
        }
    }

    fn now(&self) -> SystemTime {
        self.clock.get()
    }

    fn sleep(&self, duration: Duration) {
        let now = self.clock.get() + duration;
        self.clock.set(now);
        let (due, waiting): (Vec<_>, Vec<_>) =
            self.after.take().into_iter().partition(|(time, _)| *time <= now);
        *self.after.borrow_mut() = waiting;
        for (_, event) in due {
            event(self);
        }
    }

    fn send(&self, digest: &str, content: &mut dyn Read) -> Result<()> {
        let mut bytes = Vec::new();
        content
            .read_to_end(&mut bytes)
            .map_err(|source| SystemError::new("send", digest, source))?;
        self.sent.borrow_mut().push((digest.to_owned(), bytes));
        Ok(())
    }

    fn content(&self, digest: &str) -> Result<Box<dyn Read>> {
        self.asked.borrow_mut().push(digest.to_owned());
        match self.contents.borrow().get(digest) {
            Some(bytes) => Ok(Box::new(Cursor::new(bytes.clone()))),
            None => Err(SystemError::new(
                "fetch the content",
                digest,
                io::ErrorKind::NotFound.into(),
            )),
        }
    }

    fn has_content(&self, digest: &str) -> bool {
        self.asked.borrow().iter().any(|asked| asked == digest)
    }

    fn sign(&self, authority: &str, request: &str) -> Result<String> {
        let refused =
            |why: String| SystemError::new("get a certificate from", authority, io::Error::other(why));
        match &*self.signer.borrow() {
            Some(signer) => signer(authority, request).map_err(refused),
            None => Err(refused("there is no such authority".to_owned())),
        }
    }

    fn executable(&self) -> Result<PathBuf> {
        Ok(PathBuf::from("/root/.cache/regdeploy/agent"))
    }
}

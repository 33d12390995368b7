//! A machine in memory, for tests of modules.
//!
//! Files, folders, links, accounts; commands and requests answered from a script and recorded in order;
//! contents and certificates as the controller would give them; faults on demand. It decides nothing about
//! permissions: its user is root. Path resolution and digests are the real machine's code.

mod machine;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::digest::digest_bytes;
use super::links::{self, Found};
use super::{Command, CommandOutput, DigestAlgorithm, Group, HttpRequest, Result, System, SystemError, User};

/// Where the fake clock starts: 2023-11-14 22:13:20 UTC.
const START: Duration = Duration::from_secs(1_700_000_000);

/// What a scripted command does to the machine, and its output; none if the command is not its business.
type Program = Box<dyn Fn(&Fake, &Command) -> Option<CommandOutput>>;
/// What a scripted server answers.
type Server = Box<dyn Fn(&HttpRequest) -> Option<Answer>>;
type Event = Box<dyn Fn(&Fake)>;
type Signer = Box<dyn Fn(&str, &str) -> std::result::Result<String, String>>;

/// A scripted answer over HTTP.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Content {
    File(Vec<u8>),
    Directory,
    Link(PathBuf),
}

#[derive(Debug, Clone)]
struct Node {
    content: Content,
    mode: u32,
    uid: u32,
    gid: u32,
    accessed: SystemTime,
    modified: SystemTime,
    inode: u64,
    xattrs: BTreeMap<String, Vec<u8>>,
}

/// The machine. Build it with the methods of the first block, look at it with those of the second.
pub struct Fake {
    nodes: RefCell<BTreeMap<PathBuf, Node>>,
    next_inode: Cell<u64>,
    clock: Cell<SystemTime>,
    pub users: RefCell<Vec<User>>,
    pub groups: RefCell<Vec<Group>>,
    pub environment: RefCell<BTreeMap<String, String>>,
    programs: RefCell<Vec<Program>>,
    servers: RefCell<Vec<Server>>,
    signer: RefCell<Option<Signer>>,
    contents: RefCell<BTreeMap<String, Vec<u8>>>,
    open_ports: RefCell<BTreeMap<(String, u16), Vec<u8>>>,
    faults: RefCell<BTreeMap<(&'static str, PathBuf), io::ErrorKind>>,
    commands: RefCell<Vec<Command>>,
    requests: RefCell<Vec<HttpRequest>>,
    asked: RefCell<Vec<String>>,
    pub(super) sent: RefCell<Vec<(String, Vec<u8>)>>,
    after: RefCell<Vec<(SystemTime, Event)>>,
}

impl Default for Fake {
    fn default() -> Self {
        let user = |name: &str, uid: u32, home: &str| User {
            name: name.to_owned(),
            uid,
            gid: uid,
            comment: String::new(),
            home: home.into(),
            shell: "/bin/sh".to_owned(),
        };
        let group = |name: &str, gid: u32| Group {
            name: name.to_owned(),
            gid,
            members: Vec::new(),
        };
        let fake = Self {
            nodes: RefCell::default(),
            next_inode: Cell::new(1),
            clock: Cell::new(SystemTime::UNIX_EPOCH + START),
            users: RefCell::new(vec![user("root", 0, "/root"), user("ann", 1000, "/home/ann")]),
            groups: RefCell::new(vec![group("root", 0), group("ann", 1000)]),
            environment: RefCell::default(),
            programs: RefCell::default(),
            servers: RefCell::default(),
            signer: RefCell::default(),
            contents: RefCell::default(),
            open_ports: RefCell::default(),
            faults: RefCell::default(),
            commands: RefCell::default(),
            requests: RefCell::default(),
            asked: RefCell::default(),
            sent: RefCell::default(),
            after: RefCell::default(),
        };
        fake.directory("/");
        fake
    }
}

/// Setting the scene.
impl Fake {
    pub fn new() -> Self {
        Self::default()
    }

    /// A file of mode 0644, its parents made as needed.
    pub fn file(&self, path: &str, content: impl Into<Vec<u8>>) -> &Self {
        self.place(path, Content::File(content.into()), 0o644)
    }

    pub fn directory(&self, path: &str) -> &Self {
        self.place(path, Content::Directory, 0o755)
    }

    pub fn link(&self, path: &str, target: &str) -> &Self {
        self.place(path, Content::Link(target.into()), 0o777)
    }

    /// An executable file: what [`System::which`] finds.
    pub fn program(&self, path: &str) -> &Self {
        self.place(path, Content::File(b"#!".to_vec()), 0o755)
    }

    fn place(&self, path: &str, content: Content, mode: u32) -> &Self {
        let path = Path::new(path);
        for parent in path.ancestors().skip(1) {
            if !self.nodes.borrow().contains_key(parent) {
                self.insert(parent, Content::Directory, 0o755);
            }
        }
        self.insert(path, content, mode);
        self
    }

    fn insert(&self, path: &Path, content: Content, mode: u32) {
        let inode = self.next_inode.get();
        self.next_inode.set(inode + 1);
        let now = self.clock.get();
        let node = Node {
            content,
            mode,
            uid: 0,
            gid: 0,
            accessed: now,
            modified: now,
            inode,
            xattrs: BTreeMap::new(),
        };
        self.nodes.borrow_mut().insert(path.to_owned(), node);
    }

    /// From now on this command line (joined by single spaces) ends like this.
    pub fn answer(&self, line: &str, code: i32, stdout: &str) -> &Self {
        let line = line.to_owned();
        let output = CommandOutput {
            code,
            stdout: stdout.into(),
            ..CommandOutput::default()
        };
        self.answer_with(move |_, command| (command.argv.join(" ") == line).then(|| output.clone()))
    }

    /// A program with effects. The last one added that returns something is the one that ran.
    pub fn answer_with(&self, program: impl Fn(&Fake, &Command) -> Option<CommandOutput> + 'static) -> &Self {
        self.programs.borrow_mut().push(Box::new(program));
        self
    }

    /// This URL answers with this status and body.
    pub fn serve(&self, url: &str, status: u16, body: &str) -> &Self {
        let url = url.to_owned();
        let answer = Answer {
            status,
            headers: Vec::new(),
            body: body.into(),
        };
        self.serve_with(move |request| (request.url == url).then(|| answer.clone()))
    }

    pub fn serve_with(&self, server: impl Fn(&HttpRequest) -> Option<Answer> + 'static) -> &Self {
        self.servers.borrow_mut().push(Box::new(server));
        self
    }

    /// What the controller answers to a request for a certificate.
    pub fn sign_with(
        &self,
        signer: impl Fn(&str, &str) -> std::result::Result<String, String> + 'static,
    ) -> &Self {
        *self.signer.borrow_mut() = Some(Box::new(signer));
        self
    }

    /// Content that the controller holds; returns its digest.
    pub fn hold(&self, content: impl Into<Vec<u8>>) -> String {
        let content = content.into();
        let digest = digest_bytes(&content, DigestAlgorithm::Sha256);
        self.contents.borrow_mut().insert(digest.clone(), content);
        digest
    }

    /// A port that accepts connections and says this.
    pub fn listen(&self, host: &str, port: u16, banner: &str) -> &Self {
        self.open_ports
            .borrow_mut()
            .insert((host.to_owned(), port), banner.into());
        self
    }

    pub fn close(&self, host: &str, port: u16) {
        self.open_ports.borrow_mut().remove(&(host.to_owned(), port));
    }

    /// This operation (as error messages name it: `write`, `remove`...) fails at this path.
    pub fn fail(&self, operation: &'static str, path: &str, kind: io::ErrorKind) -> &Self {
        self.faults.borrow_mut().insert((operation, path.into()), kind);
        self
    }

    /// Something that happens once the clock has gone on by this much.
    pub fn later(&self, delay: Duration, event: impl Fn(&Fake) + 'static) -> &Self {
        self.after
            .borrow_mut()
            .push((self.clock.get() + delay, Box::new(event)));
        self
    }
}

/// Looking at what came of it.
impl Fake {
    /// Command lines in the order in which they were run.
    pub fn ran(&self) -> Vec<String> {
        self.commands
            .borrow()
            .iter()
            .map(|command| command.argv.join(" "))
            .collect()
    }

    /// The commands with all that came with them.
    pub fn commands(&self) -> Vec<Command> {
        self.commands.borrow().clone()
    }

    pub fn requests(&self) -> Vec<HttpRequest> {
        self.requests.borrow().clone()
    }

    /// Digests of the contents that were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }

    /// What the controller was sent, and under which names.
    pub fn sent(&self) -> Vec<(String, Vec<u8>)> {
        self.sent.borrow().clone()
    }

    /// A file's text.
    pub fn text(&self, path: &str) -> String {
        String::from_utf8(self.read(Path::new(path)).expect("the file exists")).expect("the file is text")
    }

    /// Kind, mode, owner, size and path of everything, one per line: equal before and after a check.
    pub fn listing(&self) -> String {
        let mut text = String::new();
        for (path, node) in self.nodes.borrow().iter() {
            let what = match &node.content {
                Content::File(bytes) => format!("file {}", digest_bytes(bytes, DigestAlgorithm::Sha1)),
                Content::Directory => "directory".to_owned(),
                Content::Link(target) => format!("link {}", target.display()),
            };
            let _ = writeln!(
                text,
                "{} {:04o} {}:{} {what}",
                path.display(),
                node.mode,
                node.uid,
                node.gid
            );
        }
        text
    }
}

impl Fake {
    fn failed<T>(operation: &'static str, path: &Path, kind: io::ErrorKind) -> Result<T> {
        Err(SystemError::path(operation, path, kind.into()))
    }

    fn guard(&self, operation: &'static str, path: &Path) -> Result<()> {
        match self.faults.borrow().get(&(operation, path.to_owned())) {
            Some(kind) => Self::failed(operation, path, *kind),
            None => Ok(()),
        }
    }

    fn look(&self, path: &Path) -> Found {
        match self.nodes.borrow().get(path).map(|node| &node.content) {
            None => Found::Nothing,
            Some(Content::Link(target)) => Found::Link(target.clone()),
            Some(_) => Found::Other,
        }
    }

    fn follow(&self, operation: &'static str, path: &Path) -> Result<PathBuf> {
        links::resolve(path, |path| Ok(self.look(path)))
            .map_err(|source| SystemError::path(operation, path, source))
    }

    /// The path with its folder resolved: what an operation on the name itself acts on.
    fn name(&self, operation: &'static str, path: &Path) -> Result<PathBuf> {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok(self.follow(operation, parent)?.join(name)),
            _ => Ok(PathBuf::from("/")),
        }
    }

    fn node(&self, operation: &'static str, path: &Path) -> Result<Node> {
        self.guard(operation, path)?;
        let path = self.follow(operation, path)?;
        match self.nodes.borrow().get(&path) {
            Some(node) => Ok(node.clone()),
            None => Self::failed(operation, &path, io::ErrorKind::NotFound),
        }
    }

    fn change(&self, operation: &'static str, path: &Path, change: impl FnOnce(&mut Node)) -> Result<()> {
        self.guard(operation, path)?;
        match self.nodes.borrow_mut().get_mut(path) {
            Some(node) => {
                change(node);
                Ok(())
            }
            None => Self::failed(operation, path, io::ErrorKind::NotFound),
        }
    }

    /// A new name in an existing folder.
    fn create(&self, operation: &'static str, path: &Path, content: Content, mode: u32) -> Result<()> {
        self.guard(operation, path)?;
        let path = self.name(operation, path)?;
        if self.nodes.borrow().contains_key(&path) {
            return Self::failed(operation, &path, io::ErrorKind::AlreadyExists);
        }
        self.parent_exists(operation, &path)?;
        self.insert(&path, content, mode);
        Ok(())
    }

    fn parent_exists(&self, operation: &'static str, path: &Path) -> Result<()> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        match self.nodes.borrow().get(parent).map(|node| &node.content) {
            Some(Content::Directory) => Ok(()),
            Some(_) => Self::failed(operation, path, io::ErrorKind::NotADirectory),
            None => Self::failed(operation, path, io::ErrorKind::NotFound),
        }
    }

    fn children(&self, path: &Path) -> Vec<PathBuf> {
        self.nodes
            .borrow()
            .keys()
            .filter(|child| child.parent() == Some(path))
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::{Attributes, Follow};

    #[test]
    fn behaves_like_a_file_system() {
        let fake = Fake::new();
        fake.file("/etc/app/main.conf", "one").link("/conf", "etc/app");
        assert_eq!(fake.text("/conf/main.conf"), "one");
        let path = Path::new("/conf/main.conf");
        let attributes = Attributes {
            mode: Some(0o600),
            ..Attributes::default()
        };
        fake.write(path, &mut "two".as_bytes(), attributes).unwrap();
        fake.write(path, &mut "three".as_bytes(), Attributes::default())
            .unwrap();
        let metadata = fake.metadata(path, Follow::No).unwrap().unwrap();
        assert_eq!((metadata.mode, metadata.size), (0o600, 5));
        fake.rename(Path::new("/etc/app"), Path::new("/srv")).unwrap();
        assert_eq!(fake.text("/srv/main.conf"), "three");
        assert!(fake.metadata(path, Follow::Yes).unwrap().is_none());
        fake.remove_tree(Path::new("/srv")).unwrap();
        assert_eq!(
            fake.read_dir(Path::new("/")).unwrap(),
            [Path::new("conf"), Path::new("etc")]
        );
    }

    #[test]
    fn commands_are_answered_and_recorded() {
        let fake = Fake::new();
        fake.answer("id -u", 0, "0\n").answer_with(|fake, command| {
            (command.argv[0] == "touch").then(|| {
                fake.file(&command.argv[1], "");
                CommandOutput::default()
            })
        });
        assert_eq!(
            fake.run(&Command::new(["id", "-u"])).unwrap().stdout_text(),
            "0\n"
        );
        assert!(fake.run(&Command::new(["touch", "/x"])).unwrap().success());
        assert!(fake.run(&Command::new(["other"])).is_err());
        assert_eq!(fake.ran(), ["id -u", "touch /x", "other"]);
        assert_eq!(fake.text("/x"), "");
    }

    #[test]
    fn faults_happen_where_they_are_put() {
        let fake = Fake::new();
        fake.fail("write", "/x", io::ErrorKind::StorageFull);
        let error = fake
            .write(Path::new("/x"), &mut "".as_bytes(), Attributes::default())
            .unwrap_err();
        assert!(error.to_string().starts_with("cannot write /x: "), "{error}");
    }
}

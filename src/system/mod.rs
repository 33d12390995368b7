//! A target as a module sees it.
//!
//! [`System`] is the only way from a module to reality: [`local`] is the machine on which the agent runs,
//! [`fake`] a machine in memory for tests. What is asked for is asked in the terms of the thing (a file's
//! attributes, an account, a command), never in those of a module.

pub mod accounts;
pub mod digest;
#[cfg(test)]
pub mod fake;
pub mod foresight;
mod lent;
mod links;
pub mod local;
pub mod would_be;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use self::foresight::Subject;
use crate::value::Value;

/// What went wrong: the operation, the object, the cause.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {object}: {source}{}", hint(.source))]
pub struct SystemError {
    /// A verb: `read`, `write`, `run`.
    pub operation: &'static str,
    /// A path, a program, an address.
    pub object: String,
    pub source: io::Error,
}

/// What to do about the causes that operators can do something about.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull => {
            " (free some space on that file system and run again; nothing was half-written)"
        }
        io::ErrorKind::PermissionDenied => " (the task may need `become: true`)",
        io::ErrorKind::ReadOnlyFilesystem => {
            " (the file system is mounted read-only: mount it writable, or take a path on another one)"
        }
        io::ErrorKind::ResourceBusy => {
            " (something is mounted there or uses it; a file that is mounted is written in place with `unsafe_writes: true`)"
        }
        io::ErrorKind::QuotaExceeded => {
            " (the owner's quota is used up: raise it or remove something and run again; nothing was half-written)"
        }
        _ => "",
    }
}

impl SystemError {
    pub fn new(operation: &'static str, object: impl Into<String>, source: io::Error) -> Self {
        Self {
            operation,
            object: object.into(),
            source,
        }
    }

    pub fn path(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::new(operation, path.display().to_string(), source)
    }
}

pub type Result<T> = std::result::Result<T, SystemError>;

/// Whether a symbolic link is looked at or through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    Yes,
    No,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    File,
    Directory,
    Link,
    Fifo,
    Socket,
    BlockDevice,
    CharDevice,
}

/// What `stat` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    pub kind: FileKind,
    /// Permission bits with set-uid, set-gid and sticky: 0..=0o7777.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    pub accessed: SystemTime,
    pub modified: SystemTime,
    pub status_changed: SystemTime,
    pub device: u64,
    pub inode: u64,
    pub links: u64,
}

/// Owner, group and permission bits, each only where it is to be set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes {
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// Digests that modules report; SHA-1 because `stat` and `copy` do so in every playbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestAlgorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// A process to run to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments; the program is looked up in `PATH`.
    pub argv: Vec<String>,
    pub directory: Option<PathBuf>,
    /// Added to the agent's own environment and that of the task.
    pub environment: BTreeMap<String, String>,
    pub stdin: Vec<u8>,
    pub timeout: Option<Duration>,
}

impl Command {
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.environment.insert(key.to_owned(), value.to_owned());
        self
    }
}

/// A file that a process is given for as long as it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LentFile {
    pub name: String,
    pub content: Vec<u8>,
    pub mode: u32,
}

/// What is done about a process's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It is to say more.
    Wait,
    /// This is typed; the words up to that length are answered.
    Type(Vec<u8>, usize),
    /// It is ended.
    Stop,
}

/// How a process ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandOutput {
    /// Exit status, or minus the number of the signal that ended it.
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub timed_out: bool,
}

impl CommandOutput {
    pub fn success(&self) -> bool {
        self.code == 0 && !self.timed_out
    }

    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// A line of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub comment: String,
    pub home: PathBuf,
    pub shell: String,
}

/// A line of `/etc/group`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub name: String,
    pub gid: u32,
    pub members: Vec<String>,
}

/// A content that the controller holds and a call will need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Hexadecimal SHA-256.
    pub digest: String,
    /// Bytes.
    pub size: u64,
    /// A file on the target that may have much in common with it.
    pub near: PathBuf,
}

/// A file that is written together with others.
pub struct NewFile<'a> {
    pub path: &'a Path,
    pub attributes: Attributes,
    /// Called when its turn comes.
    pub content: Box<dyn Fn() -> Result<Box<dyn Read + 'a>> + 'a>,
}

/// A request over HTTP or HTTPS from the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub timeout: Duration,
    pub validate_certs: bool,
    /// PEM file of authorities to trust besides the system's.
    pub ca_path: Option<PathBuf>,
    /// PEM files of the client's certificate and key.
    pub client_cert: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    pub unix_socket: Option<PathBuf>,
    /// Honour `http_proxy` and its kin.
    pub use_proxy: bool,
}

/// The answer; redirections are the caller's business.
pub struct HttpResponse {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Box<dyn Read>,
}

/// The target. Every method names the path or program in its error. Paths are absolute unless a method
/// says otherwise.
pub trait System {
    /// None if there is nothing at that path (a dangling link that is followed included).
    fn metadata(&self, path: &Path, follow: Follow) -> Result<Option<Metadata>>;
    fn read(&self, path: &Path) -> Result<Vec<u8>>;
    fn open(&self, path: &Path) -> Result<Box<dyn Read + Send>>;
    /// At most `length` bytes from `offset` on; fewer only at the end.
    fn read_part(&self, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>>;
    /// Names, sorted.
    fn read_dir(&self, path: &Path) -> Result<Vec<PathBuf>>;
    fn read_link(&self, path: &Path) -> Result<PathBuf>;
    /// Absolute path without links; the last part may be missing.
    fn canonicalize(&self, path: &Path) -> Result<PathBuf>;
    /// Lower-case hexadecimal.
    fn digest(&self, path: &Path, algorithm: DigestAlgorithm) -> Result<String>;
    fn xattrs(&self, path: &Path) -> Result<BTreeMap<String, Vec<u8>>>;
    /// Whether the agent's user may read, write, execute.
    fn access(&self, path: &Path) -> Result<(bool, bool, bool)>;

    /// Replaces or makes a file in one step: temporary file in the same folder, attributes, fsync, rename.
    /// Attributes that are not given are those of the file that is replaced (its xattrs too), else the
    /// defaults of a new file. Follows no link: the caller canonicalizes first if it wants to write through.
    fn write(&self, path: &Path, content: &mut dyn Read, attributes: Attributes) -> Result<()>;
    /// Writes each of them as [`write`](Self::write) does. Where many are written, what is on disk is made sure of for many at a
    /// time; only then do they get their names.
    fn write_all(&self, files: &[NewFile<'_>]) -> Result<()> {
        for file in files {
            self.write(file.path, &mut *(file.content)()?, file.attributes)?;
        }
        Ok(())
    }
    /// Puts content into a file that is there, in place.
    fn overwrite(&self, path: &Path, content: &mut dyn Read) -> Result<()>;
    /// One folder; its parent exists.
    fn create_dir(&self, path: &Path, mode: u32) -> Result<()>;
    fn remove_file(&self, path: &Path) -> Result<()>;
    /// A folder and all in it, never following links.
    fn remove_tree(&self, path: &Path) -> Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Lets two paths of one file system change places in one step. Not every file system and kernel can:
    /// the cause is then [`io::ErrorKind::Unsupported`] or [`io::ErrorKind::InvalidInput`].
    fn exchange(&self, from: &Path, to: &Path) -> Result<()>;
    fn symlink(&self, target: &Path, link: &Path) -> Result<()>;
    fn hard_link(&self, target: &Path, link: &Path) -> Result<()>;
    fn set_attributes(&self, path: &Path, attributes: Attributes, follow: Follow) -> Result<()>;
    fn set_times(
        &self,
        path: &Path,
        accessed: Option<SystemTime>,
        modified: Option<SystemTime>,
    ) -> Result<()>;
    fn set_xattr(&self, path: &Path, name: &str, value: &[u8]) -> Result<()>;

    /// Runs a process to its end. A program that is not there is an error; an exit status is not.
    fn run(&self, command: &Command) -> Result<CommandOutput>;
    /// Runs a process that gets files of its own, in a folder that only its user can read and that is gone afterwards. `command` is
    /// told the folder. Even where changes are only predicted, the files are there while it runs.
    fn run_with(&self, files: &[LentFile], command: &dyn Fn(&Path) -> Command) -> Result<CommandOutput> {
        lent::run_with(self, files, command)
    }
    /// Puts a content into a file of its own that only its user can read, for processes to read. It is there even where changes are
    /// only predicted, until it is [taken back](Self::take_back).
    fn lend(&self, content: &mut dyn Read) -> Result<PathBuf> {
        lent::lend(self, content)
    }
    /// Removes a file that was lent.
    fn take_back(&self, path: &Path) -> Result<()> {
        self.remove_file(path)
    }
    /// Runs a process on a terminal of its own, which shows what is typed only where `echo` says so. `answer` is told what the process
    /// has said and nobody has answered yet; output and errors are one stream.
    fn converse(
        &self,
        command: &Command,
        echo: bool,
        answer: &mut dyn FnMut(&[u8]) -> Reply,
    ) -> Result<CommandOutput>;
    /// Where `PATH` (with the `sbin`s added) finds a program.
    fn which(&self, program: &str) -> Option<PathBuf>;
    /// A variable of the agent's environment, the task's own added.
    fn env(&self, name: &str) -> Option<String>;
    /// Effective user id of the agent.
    fn uid(&self) -> u32;
    fn users(&self) -> Result<Vec<User>>;
    fn groups(&self) -> Result<Vec<Group>>;
    fn hostname(&self) -> Result<String>;
    /// The bits that new files lack.
    fn umask(&self) -> u32;

    fn http(&self, request: &HttpRequest) -> Result<HttpResponse>;
    /// A TCP connection, if it comes about in that time; reads and writes obey the same limit.
    fn connect(&self, host: &str, port: u16, timeout: Duration) -> Result<Box<dyn Connection>>;
    fn now(&self) -> SystemTime;
    fn sleep(&self, duration: Duration);

    /// These contents will be asked for, in this order: they can come in one go. Without it each is asked for by itself.
    fn expect(&self, _contents: &[Expected]) -> Result<()> {
        Ok(())
    }
    /// Gives a content to the controller, under a name of 64 hexadecimal digits that the call has told.
    fn send(&self, name: &str, _content: &mut dyn Read) -> Result<()> {
        let source = io::ErrorKind::Unsupported.into();
        Err(SystemError::new("send the content", name, source))
    }
    /// The content with this hexadecimal SHA-256: it came along with the call, or is asked for now.
    fn content(&self, digest: &str) -> Result<Box<dyn Read>>;
    /// Whether that content is here already.
    fn has_content(&self, _digest: &str) -> bool {
        true
    }
    /// A certificate (PEM chain) for this request (PEM) from an authority that the controller holds.
    fn sign(&self, authority: &str, request: &str) -> Result<String>;
    /// The agent's own executable, for what installs itself.
    fn executable(&self) -> Result<PathBuf>;

    /// What an earlier task of this check would have made of it; none on a machine that is as it seems.
    fn foreseen(&self, _of: Subject, _name: &str) -> Option<Value> {
        None
    }

    /// Whether changes are only carried out in memory: then what is not a file's business (judging one with a program,
    /// a server's interface) is left out.
    fn is_acting(&self) -> bool {
        false
    }
}

/// An open TCP connection.
pub trait Connection: Read + io::Write {}

impl<T: Read + io::Write> Connection for T {}

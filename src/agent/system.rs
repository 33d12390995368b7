//! The target as a module sees it through the agent: the machine, plus what only the agent has.
//!
//! Everything goes to the machine (which knows the task's environment) but for the contents and signatures
//! that come from the controller, and the agent's own executable.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::conversation::{Content, Conversation};
use super::incoming::Streamed;
use crate::system::local::Local;
use crate::system::{
    Attributes, Command, CommandOutput, Connection, DigestAlgorithm, Expected, Follow, Group, HttpRequest,
    HttpResponse, LentFile, Metadata, NewFile, Reply, Result, System, SystemError, User,
};
use crate::wire::frame::key;

pub struct AgentSystem {
    pub machine: Local,
    pub conversation: Rc<RefCell<Conversation>>,
}

macro_rules! delegate {
    ($(fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        $(fn $name(&self, $($argument: $type),*) $(-> $result)? {
            self.machine.$name($($argument),*)
        })*
    };
}

impl System for AgentSystem {
    delegate! {
        fn metadata(path: &Path, follow: Follow) -> Result<Option<Metadata>>;
        fn read(path: &Path) -> Result<Vec<u8>>;
        fn open(path: &Path) -> Result<Box<dyn Read + Send>>;
        fn read_part(path: &Path, offset: u64, length: usize) -> Result<Vec<u8>>;
        fn read_dir(path: &Path) -> Result<Vec<PathBuf>>;
        fn read_link(path: &Path) -> Result<PathBuf>;
        fn canonicalize(path: &Path) -> Result<PathBuf>;
        fn digest(path: &Path, algorithm: DigestAlgorithm) -> Result<String>;
        fn xattrs(path: &Path) -> Result<BTreeMap<String, Vec<u8>>>;
        fn access(path: &Path) -> Result<(bool, bool, bool)>;
        fn write(path: &Path, content: &mut dyn Read, attributes: Attributes) -> Result<()>;
        fn write_all(files: &[NewFile<'_>]) -> Result<()>;
        fn overwrite(path: &Path, content: &mut dyn Read) -> Result<()>;
        fn create_dir(path: &Path, mode: u32) -> Result<()>;
        fn remove_file(path: &Path) -> Result<()>;
        fn remove_tree(path: &Path) -> Result<()>;
        fn rename(from: &Path, to: &Path) -> Result<()>;
        fn exchange(from: &Path, to: &Path) -> Result<()>;
        fn symlink(target: &Path, link: &Path) -> Result<()>;
        fn hard_link(target: &Path, link: &Path) -> Result<()>;
        fn set_attributes(path: &Path, attributes: Attributes, follow: Follow) -> Result<()>;
        fn set_times(path: &Path, accessed: Option<SystemTime>, modified: Option<SystemTime>) -> Result<()>;
        fn set_xattr(path: &Path, name: &str, value: &[u8]) -> Result<()>;
        fn run(command: &Command) -> Result<CommandOutput>;
        fn converse(command: &Command, echo: bool, answer: &mut dyn FnMut(&[u8]) -> Reply) -> Result<CommandOutput>;
        fn run_with(files: &[LentFile], command: &dyn Fn(&Path) -> Command) -> Result<CommandOutput>;
        fn env(name: &str) -> Option<String>;
        fn which(program: &str) -> Option<PathBuf>;
        fn uid() -> u32;
        fn users() -> Result<Vec<User>>;
        fn groups() -> Result<Vec<Group>>;
        fn hostname() -> Result<String>;
        fn umask() -> u32;
        fn http(request: &HttpRequest) -> Result<HttpResponse>;
        fn connect(host: &str, port: u16, timeout: Duration) -> Result<Box<dyn Connection>>;
        fn now() -> SystemTime;
        fn sleep(duration: Duration);
    }

    fn content(&self, digest: &str) -> Result<Box<dyn Read>> {
        let content = self.conversation.borrow_mut().content(digest);
        Ok(match content.map_err(|error| receiving(digest, error))? {
            Content::Here(content) => content,
            Content::Coming(key, basis) => Box::new(Streamed::new(Rc::clone(&self.conversation), key, basis)),
        })
    }

    fn expect(&self, contents: &[Expected]) -> Result<()> {
        self.conversation
            .borrow_mut()
            .expect(contents)
            .map_err(|error| SystemError::new("ask for", format!("{} contents", contents.len()), error))
    }

    fn send(&self, digest: &str, content: &mut dyn Read) -> Result<()> {
        self.conversation
            .borrow_mut()
            .send_content(digest, content)
            .map_err(|error| SystemError::new("send", format!("content {digest}"), error))
    }

    fn has_content(&self, digest: &str) -> bool {
        key(digest).is_some_and(|key| self.conversation.borrow().contents.open(&key).is_some())
    }

    fn sign(&self, authority: &str, request: &str) -> Result<String> {
        self.conversation
            .borrow_mut()
            .sign(authority, request)
            .map_err(|error| {
                SystemError::new("get a signature from", format!("authority {authority}"), error)
            })
    }

    fn executable(&self) -> Result<PathBuf> {
        // Not the path that it was started by: another run may have removed that file since.
        Ok(PathBuf::from("/proc/self/exe"))
    }
}

fn receiving(digest: &str, error: io::Error) -> SystemError {
    SystemError::new("receive", format!("content {digest}"), error)
}

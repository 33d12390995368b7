//! From the controller to a target and back.
//!
//! A connection is one file with one thing to offer: `spawn`, a process on the target with its standard
//! streams ([`Channel`]). Everything else is written once on top of it: looking for the agent, uploading it,
//! starting it, and the conversation with it ([`Link`]).

mod binary;
mod bootstrap;
mod channel;
mod contents;
mod error;
mod foretold;
mod link;
mod local;
mod ssh;
mod traffic;
mod wire;

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

pub use self::binary::Executables;
use self::channel::Channel;
pub use self::error::ConnectionError;
pub use self::foretold::Foretold;
pub use self::link::{Content, Link};
pub use self::traffic::Traffic;
use crate::value::Secret;
use crate::wire::frame::Key;

/// A way to run a process on a host.
trait Connection: Send {
    /// Starts `command` in the user's log-in shell. Returns at once: whether it started shows in its output.
    fn spawn(&mut self, command: &str) -> Result<Channel, ConnectionError>;
}

/// Where a host is and how to log in there.
#[derive(Debug, Clone)]
pub enum Transport {
    /// This machine, without a login.
    Local,
    Ssh(SshOptions),
}

/// What variables, flags and configuration say of an SSH log-in; the rest is read from `~/.ssh/config`.
#[derive(Debug, Clone)]
pub struct SshOptions {
    /// Name or address; may be an alias in `~/.ssh/config`.
    pub host: String,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub private_key: Option<PathBuf>,
    pub private_key_passphrase: Option<Secret>,
    pub host_key_checking: bool,
    /// Instead of the `known_hosts` files that are configured.
    pub known_hosts: Option<PathBuf>,
    /// For the connection, and for any silence during start-up.
    pub timeout: Duration,
    /// Between keep-alive messages.
    pub keepalive: Duration,
}

/// What the controller can be asked for while a batch runs.
pub trait Answers: Send + Sync {
    /// The content with this hexadecimal SHA-256.
    fn content(&self, digest: &str) -> Option<Box<dyn Read + Send>>;
    /// A piece of a content that the call reads out; one without bytes is its end. What goes wrong with it is for
    /// whoever holds these answers to know.
    fn receive(&self, _digest: &Key, _piece: &[u8]) {}
    /// A certificate (PEM chain) for a request (PEM), or why there is none.
    fn sign(&self, authority: &str, request: &str) -> Result<String, String>;
}

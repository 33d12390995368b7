//! Why a target cannot be worked on, always with its name and with what to do.

use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// No network, no answer, or no longer any.
    #[error("cannot reach {host}: {reason}")]
    Unreachable { host: String, reason: String },

    #[error(
        "{host} does not let {user} log in (tried: {}; it takes: {accepted}): give another user with -u, a key \
         with --private-key or a password with -k{}", list(.tried), note(.notes)
    )]
    Authentication {
        host: String,
        user: String,
        /// What was offered, in order.
        tried: Vec<String>,
        /// The methods that the server takes.
        accepted: String,
        /// What kept an offer from being made: an encrypted key, an unreadable file.
        notes: Vec<String>,
    },

    #[error(
        "the host key of {host} is not known: {algorithm} {fingerprint}. Compare it with the one that the \
         host's console shows (ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub), then accept it with: \
         ssh-keyscan -t {kind} {port_flag}{address} >> {file}, or check none with host_key_checking=false",
        file = file.display()
    )]
    HostKeyUnknown {
        host: String,
        address: String,
        /// `-p PORT ` where it is not 22.
        port_flag: String,
        algorithm: String,
        /// ssh-keyscan's word for the algorithm.
        kind: String,
        fingerprint: String,
        file: PathBuf,
    },

    #[error(
        "THE HOST KEY OF {host} HAS CHANGED: it now shows {algorithm} {fingerprint}, but {}:{line} has \
         {expected}. Somebody may be listening in, or the host was installed anew. If you know that it was: \
         ssh-keygen -f {} -R '{entry}', then accept the new key", file.display(), file.display()
    )]
    HostKeyChanged {
        host: String,
        /// As known_hosts spells it: `host` or `[host]:port`.
        entry: String,
        algorithm: String,
        fingerprint: String,
        expected: String,
        file: PathBuf,
        line: usize,
    },

    #[error(
        "the host key of {host}, {algorithm} {fingerprint}, is marked as revoked in {}:{line}", file.display()
    )]
    HostKeyRevoked {
        host: String,
        algorithm: String,
        fingerprint: String,
        file: PathBuf,
        line: usize,
    },

    /// Something on the controller's side is wrong: a file of keys or configuration.
    #[error("cannot prepare the connection to {host}: {reason}")]
    Configuration { host: String, reason: String },

    #[error("{host} is a {machine} machine and there is no agent for it: {remedy}")]
    NoAgent {
        host: String,
        machine: String,
        remedy: String,
    },

    /// The agent could not be put or started there: full disk, noexec.
    #[error("cannot start the agent on {host}: {reason}")]
    Install { host: String, reason: String },

    /// The agent says what it should not, or has ended.
    #[error("the agent on {host} failed: {reason}")]
    Agent { host: String, reason: String },

    /// The tasks' user cannot be had; the connection remains usable.
    #[error("{host}: {reason}")]
    Refused { host: String, reason: String },
}

fn list(items: &[String]) -> String {
    if items.is_empty() {
        "nothing, as there was no key and no password".to_owned()
    } else {
        items.join(", ")
    }
}

fn note(notes: &[String]) -> String {
    notes.iter().map(|note| format!(" ({note})")).collect()
}

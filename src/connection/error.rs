//! Why a target cannot be worked on, always with its name and with what to do.

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
        "the host key of {host} is not known: {shown}. Compare it with the one that the host's console shows \
         (ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub), then accept it with: {command}, or check none with \
         ansible_host_key_checking=false"
    )]
    HostKeyUnknown {
        host: String,
        /// Algorithm and fingerprint.
        shown: String,
        /// The short word for the algorithm that file names and `ssh-keyscan` use.
        kind: String,
        /// Makes the key known.
        command: String,
    },

    #[error(
        "THE HOST KEY OF {host} HAS CHANGED: it now shows {shown}, but {place} has {expected}. Somebody may be \
         listening in, or the host was installed anew. If you know that it was: {command}, then accept the new \
         key"
    )]
    HostKeyChanged {
        host: String,
        /// Algorithm and fingerprint.
        shown: String,
        /// The fingerprint of the key that was known.
        expected: String,
        /// File and line that have it.
        place: String,
        /// Forgets the old key.
        command: String,
    },

    #[error("the host key of {host}, {shown}, is marked as revoked in {place}")]
    HostKeyRevoked {
        host: String,
        /// Algorithm and fingerprint.
        shown: String,
        /// File and line that say so.
        place: String,
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
    notes
        .iter()
        .fold(String::new(), |text, note| text + " (" + note + ")")
}

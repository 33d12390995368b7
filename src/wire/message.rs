//! The messages. Their JSON form is the protocol: a change of a field's name or meaning raises
//! [`super::PROTOCOL_VERSION`].

use std::fmt;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Passwords travel; they show themselves nowhere on the way.
pub use crate::value::Secret;
use crate::value::{Map, Value};

/// The agent's first frame: it is up, and this is who it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    pub protocol: u32,
    /// Hexadecimal SHA-256 of the agent's own executable.
    pub build: String,
    pub uid: u32,
    pub pid: u32,
}

/// Controller to agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    Run(Batch),
    /// The reply to [`Response::Ask`]; after contents, which come as data frames, it says that they have ended.
    Answer {
        id: u64,
        answer: Result<Answer, String>,
    },
}

/// Calls that run one after the other and stop at the first that fails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    pub id: u64,
    /// Who the calls run as; none for the user that the connection logged in as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub become_user: Option<Become>,
    /// The way is slow: what calls read out is worth compressing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compress: bool,
    pub calls: Vec<Call>,
    /// In a check, whose predictions share a state: what this agent has not seen of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreseen: Option<Foreseen>,
}

/// Changes that the tasks of a check would have made of a host. Whoever passes them on need not understand them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Foreseen {
    pub changes: Vec<Value>,
    /// SHA-256 of the contents that they are of; the bytes come ahead as data frames, unless the reader has sent them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contents: Vec<String>,
}

/// One module, to be run once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The module's short name, as in its table.
    pub module: String,
    /// Validated and complete: aliases resolved, defaults filled in, types coerced.
    pub arguments: Map,
    /// Predict instead of doing.
    #[serde(default)]
    pub check: bool,
    /// Report what differs.
    #[serde(default)]
    pub diff: bool,
    /// The folder that relative paths are below; the agent's own unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Added to the environment of every process that the module starts.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub environment: IndexMap<String, String>,
}

/// How to become another user on the target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Become {
    pub method: BecomeMethod,
    pub user: String,
    /// In place of the method's usual program; with words of its own, if need be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Replaces the method's usual flags (`-H -S -n` for sudo).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Where the program is called, and its tasks begin, in place of `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BecomeMethod {
    Sudo,
    Su,
}

impl BecomeMethod {
    /// What it is called with where nothing else is asked for. For sudo, `-H`: the other user's home; `-S`: ask on
    /// standard error, read from standard input; `-n`: do not ask.
    pub const fn usual_flags(self) -> &'static str {
        match self {
            Self::Sudo => "-H -S -n",
            Self::Su => "",
        }
    }
}

impl fmt::Display for Become {
    /// The beginning of the command line, for those who want to see it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.program {
            Some(program) => f.write_str(program)?,
            None => self.method.fmt(f)?,
        }
        let flags = self.flags.as_deref().unwrap_or(self.method.usual_flags());
        if !flags.is_empty() {
            write!(f, " {flags}")?;
        }
        match self.method {
            BecomeMethod::Sudo => write!(f, " -u {}", self.user),
            BecomeMethod::Su => write!(f, " {}", self.user),
        }
    }
}

impl fmt::Display for BecomeMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sudo => "sudo",
            Self::Su => "su",
        })
    }
}

/// Agent to controller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// A call has ended.
    Result {
        batch: u64,
        index: usize,
        outcome: Outcome,
    },
    /// What the call that is about to end has added to the state of the check.
    Foreseen { batch: u64, foreseen: Foreseen },
    /// No more results will come for this batch.
    Done { batch: u64 },
    /// A call cannot go on without this.
    Ask { id: u64, question: Question },
    /// Of the contents that were asked for no more are wanted: the call has failed.
    Enough { id: u64 },
    /// The batch could not be started: no such user, wrong password, no `sudo`.
    Refused { batch: u64, reason: String },
}

/// What a call may need that could not be sent ahead with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Contents, in the order in which they are needed; answered with data frames, then [`Answer::Sent`].
    Contents { wanted: Vec<Wanted> },
    /// A certificate for this request (PEM), from the authority of this name on the controller.
    Sign { authority: String, request: String },
}

/// One content that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Hexadecimal SHA-256.
    pub digest: String,
    /// Sums of chunks that are there already went ahead: chunks of this usual length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// All contents that were asked for have been sent, or as many as were still wanted.
    Sent,
    /// PEM, leaf first.
    Certificate(String),
}

/// What a module did, would do, or could not do. `values` are the result's other keys, under the names
/// that playbooks know (`msg`, `rc`, `stdout`, `dest`, `ansible_facts`, `warnings`...).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the result of its own"
)]
pub struct Outcome {
    #[serde(default)]
    pub changed: bool,
    #[serde(default)]
    pub failed: bool,
    /// The module broke down instead of saying why it cannot: the message is the error's, not the module's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub crashed: bool,
    #[serde(default)]
    pub skipped: bool,
    /// A check that cannot tell what would come of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diff: Vec<Diff>,
    #[serde(default)]
    pub values: Map,
}

impl Outcome {
    pub fn ok() -> Self {
        Self::default()
    }

    pub fn changed(changed: bool) -> Self {
        Self {
            changed,
            ..Self::default()
        }
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self {
            failed: true,
            ..Self::default()
        }
        .with("msg", message.into())
    }

    pub fn crashed(message: impl Into<String>) -> Self {
        Self {
            crashed: true,
            ..Self::failed(message)
        }
    }

    pub fn skipped(message: impl Into<String>) -> Self {
        Self {
            skipped: true,
            ..Self::default()
        }
        .with("msg", message.into())
    }

    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.values.insert(key.to_owned(), value.into());
        self
    }

    #[must_use]
    pub fn with_diff(mut self, diff: Diff) -> Self {
        self.diff.push(diff);
        self
    }

    pub fn message(&self) -> Option<&str> {
        self.values.get("msg")?.as_str()
    }
}

/// The two sides of a change; the controller turns them into unified text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Diff {
    pub before_header: String,
    pub after_header: String,
    pub before: String,
    pub after: String,
}

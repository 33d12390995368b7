//! The controller's half of tasks: what needs the playbook's files, its variables, or a key that stays here.
//!
//! An action is one file and one line in [`ACTIONS`]. It gets its arguments, looks up what it needs, and
//! either ends there (`debug`, `set_fact`) or calls a module on the target through [`Target`]. A name that is
//! in neither table is no module; one that is only in [`crate::modules::MODULES`] is sent as it is.

mod add_host;
mod argument_spec;
mod assemble;
mod assert;
mod certificate;
mod copy;
mod debug;
mod fail;
mod fetch;
mod gather_facts;
mod group_by;
mod include_vars;
pub mod own_module;
mod pause;
mod reboot;
mod received;
mod script;
mod set_fact;
mod set_stats;
mod synchronize;
mod template;
mod unarchive;
mod uri;
mod validate_argument_spec;
mod wait_for_connection;

use std::collections::HashMap;
use std::future::Future;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::connection::Answers;
use crate::connection::Content;
use crate::diagnostic::Diagnostic;
use crate::modules::Spec;
use crate::modules::files::path;
use crate::modules::spec::ArgumentError;
use crate::source::Span;
use crate::system::local::Local;
use crate::template::{EvalError, Names, Scope};
use crate::value::Map;
use crate::vault;
use crate::wire::frame::Key;
use crate::wire::message::Outcome;
use crate::yaml::Node;

/// Every action, by name.
pub static ACTIONS: &[&dyn Action] = &[
    &add_host::AddHost,
    &assemble::Assemble,
    &assert::Assert,
    &certificate::Authority,
    &certificate::Certificate,
    &copy::Copy,
    &debug::Debug,
    &fail::Fail,
    &fetch::Fetch,
    &gather_facts::GatherFacts,
    &group_by::GroupBy,
    &include_vars::IncludeVars,
    &pause::Pause,
    &reboot::Reboot,
    &script::Script,
    &set_fact::SetFact,
    &set_stats::SetStats,
    &synchronize::Synchronize,
    &template::Template,
    &unarchive::Unarchive,
    &uri::Uri,
    &validate_argument_spec::ValidateArgumentSpec,
    &wait_for_connection::WaitForConnection,
];

/// The action of this name.
pub fn find(name: &str) -> Option<&'static dyn Action> {
    ACTIONS.iter().copied().find(|action| action.spec().name == name)
}

/// A future that can be put into a table.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One kind of task.
pub trait Action: Sync {
    fn spec(&self) -> &'static Spec;

    /// Whether the arguments are taken as written, conditions and names in them included, instead of
    /// evaluated and checked against the table.
    fn takes_raw_arguments(&self) -> bool {
        false
    }

    /// Whether it concerns all hosts of the play at once: it runs for the first one only.
    fn runs_once(&self) -> bool {
        false
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>>;
}

/// What an action is run with.
pub struct Invocation<'a> {
    /// Resolved by the action's table; empty for an action that takes them raw.
    pub arguments: Map,
    /// As written.
    pub raw: &'a Node,
    pub scope: Arc<Scope>,
    pub target: &'a dyn Target,
    /// Where the task is delegated to: then `target` is that host.
    pub delegate: Option<&'a str>,
    /// The host of the task, delegated or not.
    pub host: &'a dyn Target,
    pub check: bool,
    pub diff: bool,
}

impl Invocation<'_> {
    /// The file of the controller that `argument` names, looked up in the folder `kind` of role and playbook.
    fn find_file(&self, kind: &str, argument: &str, name: &str) -> Result<PathBuf, Failure> {
        let search = &self.scope.search;
        let home = name
            .starts_with('~')
            .then(|| path::expand(name, &Local::default()).ok())
            .flatten();
        let home = home.map(|path| path.display().to_string());
        let name = home.as_deref().unwrap_or(name);
        search.find(kind, name).ok_or_else(|| {
            let places = search.candidates(kind, name);
            let places: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
            Diagnostic::error(format!("Could not find or access '{name}' on the controller"))
                .at(self.span(argument))
                .hint(format!("looked for {}", places.join(", ")))
                .into()
        })
    }

    /// A file of the controller, which `argument` names; decrypted where it is a vault.
    fn read(&self, argument: &str, path: &Path) -> Result<Vec<u8>, Failure> {
        let span = self.span(argument);
        let shown = path.display();
        let bytes = std::fs::read(path)
            .map_err(|error| Diagnostic::error(format!("cannot read {shown}: {error}")).at(span))?;
        Ok(vault::opened_bytes(bytes).map_err(|closed| {
            let mut error = closed.diagnostic().at(span);
            error.message = format!("{shown}: {}", error.message);
            error
        })?)
    }

    /// Where an argument's value is written.
    fn span(&self, argument: &str) -> &Span {
        self.raw.get(argument).map_or(&self.raw.span, |node| &node.span)
    }
}

/// The host on which an action's modules run.
pub trait Target: Send + Sync {
    /// Runs a module there, once.
    fn call<'a>(
        &'a self,
        module: &'a str,
        arguments: Map,
        held: Held,
    ) -> Pending<'a, Result<Outcome, Failure>>;

    /// Whether it is this machine.
    fn is_local(&self) -> Result<bool, Failure>;

    /// Logs in anew, in that time or in the connection's own.
    fn reconnect(&self, within: Option<Duration>) -> Pending<'_, Result<(), Failure>>;
}

/// What the controller holds ready for a call.
#[derive(Default)]
pub struct Held {
    /// Sent along: small, and likely to be needed.
    pub contents: Vec<Content>,
    /// Sent when asked for, by SHA-256.
    pub files: HashMap<String, PathBuf>,
    /// Vaults that were opened, by SHA-256: sent when asked for.
    pub opened: HashMap<String, Arc<[u8]>>,
    /// What takes the contents that the call reads out.
    pub receiver: Option<Arc<dyn Receiver>>,
    /// Certificate authorities that may be asked to sign, by name.
    pub authorities: HashMap<String, Signer>,
}

/// Takes contents of the target.
pub trait Receiver: Send + Sync {
    /// The next piece of what the call was told to send under this name; one without bytes is the end.
    fn receive(&self, name: &Key, piece: &[u8]);
}

/// A certificate authority of the controller, and for how long it signs.
#[derive(Debug, Clone)]
pub struct Signer {
    pub folder: PathBuf,
    pub valid_days: u32,
}

/// How an action ended, and what it means for the variables.
#[derive(Debug, Default)]
pub struct Done {
    pub outcome: Outcome,
    pub effects: Vec<Effect>,
    /// The result is shown whatever the verbosity.
    pub shown: bool,
    /// What the module was called with, for those who ask for details.
    pub invocation: Map,
    /// Set by the run: a module has said that it failed.
    pub by_module: bool,
}

/// What a result changes on the controller.
#[derive(Debug)]
pub enum Effect {
    /// `set_fact`; `cacheable` makes facts of them too.
    Assign {
        names: Map,
        cacheable: bool,
    },
    /// Facts, as a module reports them.
    Gather(Map),
    /// `include_vars`: as written, evaluated at use.
    Include(Names),
    /// `set_stats`.
    Stats {
        data: Map,
        per_host: bool,
        aggregate: bool,
    },
    AddHost {
        name: String,
        groups: Vec<String>,
        variables: Map,
    },
    GroupBy {
        group: String,
        parents: Vec<String>,
    },
}

impl From<Outcome> for Done {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            ..Self::default()
        }
    }
}

/// Why an action could not do its work.
#[derive(Debug)]
pub enum Failure {
    /// The task fails on this host.
    Failed {
        message: String,
        diagnostic: Option<Box<Diagnostic>>,
    },
    /// The host cannot be worked on any longer.
    Unreachable(String),
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self::Failed {
            message: message.into(),
            diagnostic: None,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed { message, .. } | Self::Unreachable(message) => f.write_str(message),
        }
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Failed {
            message: diagnostic.message.clone(),
            diagnostic: Some(Box::new(diagnostic)),
        }
    }
}

impl From<EvalError> for Failure {
    fn from(error: EvalError) -> Self {
        error.diagnostic.into()
    }
}

impl From<ArgumentError> for Failure {
    fn from(error: ArgumentError) -> Self {
        Self::new(error.message)
    }
}

impl Answers for Held {
    fn content(&self, digest: &str) -> Option<Box<dyn Read + Send>> {
        if let Some(content) = self.contents.iter().find(|content| content.digest == digest) {
            return Some(Box::new(std::io::Cursor::new(Arc::clone(&content.bytes))));
        }
        if let Some(opened) = self.opened.get(digest) {
            return Some(Box::new(std::io::Cursor::new(Arc::clone(opened))));
        }
        Some(Box::new(std::fs::File::open(self.files.get(digest)?).ok()?))
    }

    fn receive(&self, name: &Key, piece: &[u8]) {
        if let Some(receiver) = &self.receiver {
            receiver.receive(name, piece);
        }
    }

    fn sign(&self, authority: &str, request: &str) -> Result<String, String> {
        self.authorities
            .get(authority)
            .ok_or_else(|| format!("this task knows no authority `{authority}`"))?
            .sign(request)
    }
}

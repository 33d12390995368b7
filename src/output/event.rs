//! What a run has to say.

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::diagnostic::Diagnostic;
use crate::value::{Map, Value};
use crate::wire::message::Diff;

/// How a task, or one item of its loop, ended on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Ok,
    Changed,
    Skipped,
    Failed,
    Unreachable,
}

/// What a task is in its play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    #[default]
    Task,
    Handler,
}

/// A task, as it is announced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Announced {
    /// The same whenever and wherever this task runs, another for each inclusion.
    pub id: usize,
    /// As the banner shows it: evaluated, the role's in front.
    pub name: String,
    /// The module, as written.
    pub action: String,
    /// `FILE:LINE`, from the root; empty for what no file says.
    pub place: String,
    pub role: Role,
    /// Arguments as written; none where they are not to be seen.
    pub arguments: Vec<(String, String)>,
    /// Nothing is changed.
    pub check: bool,
    /// All hosts run it at the same time, so that it can be announced before its results.
    pub in_step: bool,
}

/// Which host, and on whose behalf.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Label {
    pub host: String,
    /// The host that the task was delegated to.
    pub delegate: Option<String>,
    /// Where the delegate is reached, if not under its name.
    pub address: Option<String>,
}

/// What a result is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// A task without a loop.
    Task,
    /// One item of a loop, by its label. The whole loop follows.
    Item(String),
    /// A loop as a whole. Its items have been reported.
    Loop,
}

/// Who sees a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Those who ask for it with `-v`.
    Asked,
    /// Everybody: `debug`.
    Always,
    /// Nobody, there is too much of it: facts.
    Never,
}

/// One result.
#[derive(Debug, Clone)]
pub struct Report {
    pub task: Arc<Announced>,
    pub label: Label,
    pub state: State,
    pub extent: Extent,
    /// The failure does not count: `ignore_errors`, `ignore_unreachable`.
    pub ignored: bool,
    /// The result, secrets already taken out.
    pub result: Map,
    /// Empty where none are wanted.
    pub diff: Vec<Diff>,
    pub detail: Detail,
    /// Why it failed.
    pub error: Option<Diagnostic>,
}

/// What is known of a task that goes on by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    Running,
    Ok,
    Failed,
}

/// Counts of one host for the recap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    pub ok: usize,
    pub changed: usize,
    pub unreachable: usize,
    pub failed: usize,
    pub skipped: usize,
    pub rescued: usize,
    pub ignored: usize,
    /// Tasks of a check of which it cannot tell what they would do; counted above as well.
    pub unknown: usize,
}

/// What all plays came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    pub hosts: IndexMap<String, Stats>,
    /// What `set_stats` has set, by host; that of the run under none.
    pub custom: IndexMap<Option<String>, Map>,
}

#[derive(Debug)]
pub enum Event<'a> {
    /// A file is begun.
    Playbook {
        file: &'a Path,
        check: bool,
        plays: usize,
    },
    Play {
        name: &'a str,
        check: bool,
        /// How many tasks it has, as far as is known before it runs.
        tasks: usize,
    },
    NoHostsMatched,
    NoHostsLeft,
    Task {
        task: &'a Arc<Announced>,
        /// How many hosts run it.
        hosts: usize,
    },
    /// A host starts with a task.
    Started {
        task: &'a Arc<Announced>,
        host: &'a str,
    },
    Result(&'a Report),
    Included {
        task: &'a Arc<Announced>,
        file: &'a str,
        /// What the loop is at, if there is one.
        item: Option<&'a str>,
        hosts: &'a [String],
    },
    Retrying {
        label: &'a Label,
        /// The task's own name.
        task: &'a str,
        left: u32,
        result: &'a Map,
    },
    /// What a task that steers the run has done.
    Meta {
        text: &'a str,
    },
    /// A task with `async` that is waited for.
    Job {
        host: &'a str,
        job: &'a str,
        state: JobState,
    },
    Notified {
        handler: &'a str,
        host: &'a str,
    },
    Warning(&'a str),
    Diagnostic(&'a Diagnostic),
    /// Shown to those who ask for so many `-v`.
    Chatter {
        verbosity: u8,
        text: &'a str,
    },
    /// What a connection has cost: exchanges, and bytes in each direction.
    Traffic {
        host: &'a str,
        exchanges: u64,
        sent: u64,
        received: u64,
    },
    /// The hosts that have failed were written to a file.
    Retry {
        file: &'a Path,
    },
    Recap(&'a Summary),
}

impl Report {
    /// Whether the module says that it changed something.
    pub fn changed(&self) -> bool {
        self.result.get("changed").and_then(Value::truth).unwrap_or(false)
    }
}

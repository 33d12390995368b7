//! What a run has to say.

use indexmap::IndexMap;

use crate::diagnostic::Diagnostic;
use crate::value::Value;
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

/// Which host, and on whose behalf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub host: String,
    /// The host that the task was delegated to.
    pub delegate: Option<String>,
}

/// One result.
#[derive(Debug, Clone)]
pub struct Report {
    pub label: Label,
    pub state: State,
    /// The failure does not count: `ignore_errors`, `ignore_unreachable`.
    pub ignored: bool,
    /// What the result of one item of a loop is labelled with; none for a task without a loop.
    pub item: Option<String>,
    /// The result, secrets already taken out; a map.
    pub result: Value,
    pub diff: Vec<Diff>,
    /// Shown whatever the verbosity: `debug`.
    pub always: bool,
    /// The module, by its short name.
    pub action: String,
    /// Why it failed, where a place in a file is to blame.
    pub diagnostic: Option<Diagnostic>,
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
}

/// What is known of a task that goes on by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    Running,
    Ok,
    Failed,
}

#[derive(Debug)]
pub enum Event<'a> {
    /// A file is begun.
    Playbook {
        name: &'a str,
        plays: usize,
    },
    Play {
        name: &'a str,
    },
    NoHostsMatched,
    NoHostsLeft,
    Task {
        name: &'a str,
        place: &'a str,
        handler: bool,
    },
    Result(&'a Report),
    Included {
        file: &'a str,
        /// What the loop is at, if there is one.
        item: Option<&'a str>,
        hosts: &'a [String],
    },
    Retrying {
        label: &'a Label,
        task: &'a str,
        left: u32,
    },
    /// What a task that steers the run has done.
    Meta {
        text: &'a str,
    },
    /// A task with `async` that is waited for.
    Job {
        label: &'a Label,
        job: &'a str,
        state: JobState,
    },
    Warning(&'a str),
    Diagnostic(&'a Diagnostic),
    /// What a connection has cost: exchanges, and bytes in each direction.
    Traffic {
        host: &'a str,
        exchanges: u64,
        sent: u64,
        received: u64,
    },
    Recap(&'a IndexMap<String, Stats>),
}

//! How a task ended on a host: its state, what is registered, what is shown.

use std::time::Duration;

use crate::actions::Effect;
use crate::diagnostic::Diagnostic;
use crate::output::State;
use crate::source::Span;
use crate::value::{Map, Value};
use crate::wire::message::{Diff, Outcome};
use crate::yaml::Node;

/// How it ended.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub struct End {
    pub state: State,
    /// What is registered.
    pub result: Map,
    pub diff: Vec<Diff>,
    /// What the module was called with; shown and not registered.
    pub invocation: Map,
    pub effects: Vec<Effect>,
    pub diagnostic: Option<Diagnostic>,
    /// A module has said that it failed, not the controller.
    pub by_module: bool,
    pub delegate: Option<String>,
    /// What it notifies, if it has changed something.
    pub notify: Vec<Notification>,
    pub no_log: bool,
    pub shown: bool,
    /// A check that cannot tell what would come of it.
    pub unknown: bool,
}

/// The name of a handler or topic, and where it stands.
pub type Notification = (String, Span);

impl End {
    pub fn new(state: State, result: Map) -> Self {
        Self {
            state,
            result,
            diff: Vec::new(),
            invocation: Map::new(),
            effects: Vec::new(),
            diagnostic: None,
            by_module: false,
            delegate: None,
            notify: Vec::new(),
            no_log: false,
            shown: false,
            unknown: false,
        }
    }

    pub fn failed(message: impl Into<String>, diagnostic: Option<Diagnostic>) -> Self {
        let outcome = Outcome::failed(message);
        Self {
            diagnostic,
            ..Self::new(State::Failed, result_of(outcome).0)
        }
    }

    /// Fails after all; what is known of the task stays.
    pub fn fail(&mut self, message: String) {
        self.result.shift_remove("skipped");
        self.result.insert("failed".to_owned(), Value::Bool(true));
        self.result.insert("msg".to_owned(), Value::from(message));
        self.state = State::Failed;
    }

    /// A loop over nothing.
    pub fn empty_loop() -> Self {
        let mut result = Map::new();
        result.insert("changed".to_owned(), Value::Bool(false));
        result.insert("skipped".to_owned(), Value::Bool(true));
        result.insert("skipped_reason".to_owned(), Value::from("No items in the list"));
        result.insert("results".to_owned(), Value::List(Vec::new()));
        Self::new(State::Skipped, result)
    }

    pub fn skipped(condition: &Node) -> Self {
        let mut result = Map::new();
        result.insert("changed".to_owned(), Value::Bool(false));
        result.insert("skipped".to_owned(), Value::Bool(true));
        result.insert(
            "skip_reason".to_owned(),
            Value::from("Conditional result was False"),
        );
        result.insert("false_condition".to_owned(), condition.to_value());
        Self::new(State::Skipped, result)
    }
}

/// An outcome as a result, and its differences.
pub fn result_of(outcome: Outcome) -> (Map, Vec<Diff>) {
    let mut result = outcome.values;
    result.insert("changed".to_owned(), Value::Bool(outcome.changed));
    result.insert("failed".to_owned(), Value::Bool(outcome.failed));
    if outcome.skipped {
        result.insert("skipped".to_owned(), Value::Bool(true));
    }
    for (lines, text) in [("stdout_lines", "stdout"), ("stderr_lines", "stderr")] {
        if let (Some(Value::Str(text)), false) = (result.get(text), result.contains_key(lines)) {
            let split = Value::from(text.lines().map(str::to_owned).collect::<Vec<_>>());
            result.insert(lines.to_owned(), split);
        }
    }
    (result, outcome.diff)
}

pub fn timed_out(limit: Duration) -> Outcome {
    let seconds = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
    let period = Map::from_iter([("period".to_owned(), Value::Int(seconds))]);
    Outcome::failed(format!("Timed out after {seconds} second(s).")).with("timedout", Value::Map(period))
}

pub fn flag(result: &Map, name: &str) -> bool {
    result.get(name).and_then(Value::truth).unwrap_or(false)
}

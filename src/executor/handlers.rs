//! Handlers: which of them a notification means.
//!
//! They run where the strategy flushes them; see [`super::strategy`].

use std::sync::{Arc, PoisonError};

use super::play::ActivePlay;
use crate::diagnostic::Diagnostic;
use crate::playbook::{Context, Task, tags_of};
use crate::source::Span;
use crate::template::{self, Scope};
use crate::value::Value;
use crate::yaml::Node;

impl ActivePlay {
    /// The play's handlers, and those of the roles that were included so far.
    pub fn handlers(&self) -> Vec<Arc<Task>> {
        self.handlers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The handler of this name, and all that listen to it, by their places in [`Self::handlers`].
    pub fn handlers_called(&self, name: &str, scope: &Arc<Scope>) -> Vec<usize> {
        let handlers = self.handlers.lock().unwrap_or_else(PoisonError::into_inner);
        let called = |task: &Task| {
            task.name().is_some_and(|node| {
                let own = template::evaluate(node, scope)
                    .unwrap_or_else(|_| node.to_value())
                    .to_string();
                let role = task.context.role().map(|role| role.role.name.as_str());
                own == name || role.is_some_and(|role| format!("{role} : {own}") == name)
            })
        };
        let mut found: Vec<usize> = Vec::new();
        let mut named = false;
        let mut heard: Vec<Value> = Vec::new();
        for index in by_weight(&handlers) {
            let handler = &handlers[index];
            let listens = handler
                .own("listen")
                .is_some_and(|node| tags_of(node).iter().any(|topic| topic == name));
            if !named && called(handler) {
                named = true;
                found.push(index);
            } else if listens {
                // A role that was loaded several times brings its handlers several times.
                let own = handler.name().map(Node::to_value);
                if own.as_ref().is_none_or(|own| !heard.contains(own)) {
                    found.push(index);
                }
                heard.extend(own);
            }
        }
        found
    }

    /// The error for a notification that no handler hears.
    pub fn unheard(&self, name: &str, span: &Span) -> Diagnostic {
        let known = notifiable(self);
        Diagnostic::error(format!(
            "The requested handler '{name}' was not found in either the main handlers list nor in the listening \
             handlers list"
        ))
        .at(span)
        .nearest(name, known.iter().map(String::as_str))
    }
}

/// Indices of handlers, the strongest first: what was loaded last, and in one list what stands first. The
/// play's own handlers are loaded after those of its roles.
fn by_weight(handlers: &[Arc<Task>]) -> Vec<usize> {
    let list = |index: usize| {
        let context = handlers[index]
            .context
            .chain()
            .find(|context| context.role.is_some());
        context.map(std::ptr::from_ref::<Context>)
    };
    let indices: Vec<usize> = (0..handlers.len()).collect();
    let lists = indices.chunk_by(|one, other| list(*one) == list(*other));
    lists
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .flatten()
        .copied()
        .collect()
}

/// What can be notified, for the nearest name.
fn notifiable(play: &ActivePlay) -> Vec<String> {
    let handlers = play.handlers();
    let own = handlers
        .iter()
        .filter_map(|task| Some(task.name()?.to_value().to_string()));
    let topics = handlers
        .iter()
        .filter_map(|task| task.own("listen"))
        .flat_map(tags_of);
    own.chain(topics).collect()
}

//! Handlers: who notified what, and running them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::attempt::Site;
use super::play::ActivePlay;
use crate::diagnostic::Diagnostic;
use crate::playbook::{Context, Task, tags_of};
use crate::template;
use crate::value::Value;
use crate::yaml::Node;

/// Handlers that hosts have notified and that have not run yet, by their index in the play's list.
#[derive(Default)]
pub struct Notified(Mutex<HashMap<String, Vec<usize>>>);

impl Notified {
    fn add(&self, host: &str, handler: usize) {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let handlers = hosts.entry(host.to_owned()).or_default();
        if !handlers.contains(&handler) {
            handlers.push(handler);
        }
    }

    /// Whether the host had notified it; it has not any more.
    pub fn take(&self, host: &str, handler: usize) -> bool {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(handlers) = hosts.get_mut(host) else {
            return false;
        };
        let before = handlers.len();
        handlers.retain(|index| *index != handler);
        handlers.len() < before
    }
}

impl Site {
    /// What a changed task notifies.
    pub fn notify(&self, notified: &Notified) -> Result<(), Diagnostic> {
        let nodes = self.task.context.all("notify");
        if nodes.is_empty() {
            return Ok(());
        }
        let scope = self.scope();
        for node in nodes {
            let value = template::evaluate(node, &scope).map_err(|error| error.diagnostic)?;
            let names = match value {
                Value::List(items) => items.iter().map(ToString::to_string).collect(),
                other => vec![other.to_string()],
            };
            for name in names {
                let found = self.matching(&self.play, &name);
                if found.is_empty() {
                    let known = notifiable(&self.play);
                    return Err(Diagnostic::error(format!(
                        "The requested handler '{name}' was not found in either the main handlers list nor in the \
                         listening handlers list"
                    ))
                    .at(&node.span)
                    .nearest(&name, known.iter().map(String::as_str)));
                }
                for index in found {
                    notified.add(&self.host, index);
                }
            }
        }
        Ok(())
    }

    /// The handler of this name, and all that listen to it.
    fn matching(&self, play: &ActivePlay, name: &str) -> Vec<usize> {
        let handlers = play.handlers.lock().unwrap_or_else(PoisonError::into_inner);
        let scope = self.scope();
        let called = |task: &Task, name: &str| {
            task.name().is_some_and(|node| {
                let own = template::evaluate(node, &scope)
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
            if !named && called(handler, name) {
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
    let handlers = play.handlers.lock().unwrap_or_else(PoisonError::into_inner);
    let own = handlers
        .iter()
        .filter_map(|task| Some(task.name()?.to_value().to_string()));
    let topics = handlers
        .iter()
        .filter_map(|task| task.own("listen"))
        .flat_map(tags_of);
    own.chain(topics).collect()
}

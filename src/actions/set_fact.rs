//! `set_fact`: variables of a host.

use super::{Action, Done, Effect, Failure, Invocation, Pending};
use crate::diagnostic::Diagnostic;
use crate::modules::{Arg, Spec};
use crate::template;
use crate::value::{Map, Value};
use crate::wire::message::Outcome;
use crate::yaml::Node;

pub struct SetFact;

static SPEC: Spec = Spec {
    name: "set_fact",
    summary: "set variables of a host",
    args: &[Arg::bool("cacheable")
        .default("no")
        .doc("keep them as facts, too")],
    free_form: None,
    rules: &[],
};

impl Action for SetFact {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn takes_raw_arguments(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move { set_fact(&task) })
    }
}

fn set_fact(task: &Invocation) -> Result<Done, Failure> {
    let Value::Map(mut names) = template::evaluate(task.raw, &task.scope)? else {
        return Err(Diagnostic::error("`set_fact` takes a map of names and values")
            .at(&task.raw.span)
            .into());
    };
    let cacheable = names
        .shift_remove("cacheable")
        .and_then(|value| value.truth())
        .unwrap_or(false);
    names.shift_remove(crate::playbook::arguments::RAW);
    if names.is_empty() {
        return Err(Diagnostic::error(
            "No key/value pairs provided, at least one is required for this action to succeed",
        )
        .at(&task.raw.span)
        .into());
    }
    if let Some(name) = names.keys().find(|name| !is_identifier(name)) {
        let message = format!(
            "The variable name '{name}' is not valid. Variables must start with a letter or underscore character, \
             and contain only letters, numbers and underscores."
        );
        let span = task
            .raw
            .as_map()
            .and_then(|map| map.get(name))
            .map_or(&task.raw.span, |entry| &entry.key);
        return Err(Diagnostic::error(message).at(span).into());
    }
    // `key=value` arguments are texts; these words are meant as booleans all the same.
    if task
        .raw
        .as_map()
        .is_some_and(|map| map.values().all(|entry| entry.key == task.raw.span))
    {
        booleans(&mut names, task.raw);
    }
    Ok(Done {
        outcome: Outcome::ok().with("ansible_facts", names.clone()),
        effects: vec![Effect::Assign { names, cacheable }],
        ..Done::default()
    })
}

fn booleans(names: &mut Map, raw: &Node) {
    for (name, value) in names.iter_mut() {
        let templated = raw.get(name).is_some_and(Node::is_dynamic);
        if let (Value::Str(text), false) = (&*value, templated)
            && matches!(text.to_lowercase().as_str(), "true" | "false" | "yes" | "no")
        {
            *value = Value::Bool(value.truth().unwrap_or(false));
        }
    }
}

pub(super) fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

//! `set_fact`: variables of a host.

use super::{Action, Done, Effect, Failure, Invocation, Pending};
use crate::diagnostic::Diagnostic;
use crate::modules::{Arg, Return, Spec};
use crate::playbook::arguments::{RAW, VARIABLE};
use crate::playbook::names::{HINT, check_variable};
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
    returns: &[Return::new("ansible_facts", "dict", "what was set")],
    example: "- set_fact:\n    app_url: https://{{ inventory_hostname }}:{{ app_port }}/\n    cacheable: true\n",
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
    let mut names = Map::new();
    let mut cacheable = false;
    for (key, entry) in task.raw.as_map().into_iter().flat_map(|map| map.iter()) {
        if key == RAW || template::is_omitted(&entry.value, &task.scope)? {
            continue;
        }
        let value = template::evaluate(&entry.value, &task.scope)?;
        match (key.as_str(), value) {
            ("cacheable", value) => cacheable = value.truth().unwrap_or(false),
            (VARIABLE, Value::Map(more)) => names.extend(more),
            (_, value) => {
                let name = template::evaluate(&Node::text(key, &entry.key), &task.scope)?;
                let name = check_variable(&name)
                    .map_err(|message| Diagnostic::error(message).at(&entry.key).hint(HINT))?;
                names.insert(name.to_owned(), value);
            }
        }
    }
    if names.is_empty() {
        return Err(Diagnostic::error(
            "No key/value pairs provided, at least one is required for this action to succeed",
        )
        .at(&task.raw.span)
        .into());
    }
    Ok(Done {
        outcome: Outcome::ok().with("ansible_facts", names.clone()),
        effects: vec![Effect::Assign { names, cacheable }],
        ..Done::default()
    })
}

//! `add_host`: a host that the inventory did not know.

use super::{Action, Done, Effect, Failure, Invocation, Pending};
use crate::diagnostic::Diagnostic;
use crate::modules::{Arg, Return, Spec};
use crate::template;
use crate::value::Value;
use crate::wire::message::Outcome;

pub struct AddHost;

static SPEC: Spec = Spec {
    name: "add_host",
    summary: "add a host to the inventory while the play runs",
    args: &[
        Arg::str("name")
            .aliases(&["hostname", "host"])
            .required()
            .doc("its name, with `:port` if needed"),
        Arg::strings("groups")
            .aliases(&["group", "groupname"])
            .doc("groups that it joins"),
    ],
    returns: &[Return::new(
        "add_host",
        "dict",
        "`host_name`, `groups` and `host_vars`",
    )],
    example: "- add_host:\n    name: web9\n    groups: [web]\n    ansible_host: 10.0.0.9\n",
    free_form: None,
    rules: &[],
};

impl Action for AddHost {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn takes_raw_arguments(&self) -> bool {
        true
    }

    fn runs_once(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move { add_host(&task) })
    }
}

fn add_host(task: &Invocation) -> Result<Done, Failure> {
    let Value::Map(mut given) = template::evaluate(task.raw, &task.scope)? else {
        return Err(Diagnostic::error("`add_host` takes a map")
            .at(&task.raw.span)
            .into());
    };
    let mut take = |names: &[&str]| names.iter().find_map(|name| given.shift_remove(*name));
    let name = take(&["name", "hostname", "host"])
        .ok_or_else(|| Diagnostic::error("missing required arguments: name").at(&task.raw.span))?
        .to_string();
    let groups = match take(&["groups", "group", "groupname"]) {
        Some(Value::List(items)) => items.iter().map(ToString::to_string).collect(),
        Some(Value::Null) | None => Vec::new(),
        Some(text) => text
            .to_string()
            .split(',')
            .map(|group| group.trim().to_owned())
            .collect(),
    };
    let shown = crate::value::Map::from_iter([
        ("host_name".to_owned(), Value::from(name.as_str())),
        ("groups".to_owned(), Value::from(groups.clone())),
        ("host_vars".to_owned(), Value::from(given.clone())),
    ]);
    Ok(Done {
        outcome: Outcome::changed(true).with("add_host", shown),
        effects: vec![Effect::AddHost {
            name,
            groups,
            variables: given,
        }],
        ..Done::default()
    })
}

//! `set_stats`: values of the run or of hosts, shown at the end (`show_custom_stats`).

use super::{Action, Done, Effect, Failure, Invocation, Pending};
use crate::modules::{Arg, Return, Spec};
use crate::playbook::names;
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct SetStats;

static SPEC: Spec = Spec {
    name: "set_stats",
    summary: "keep values that are shown at the end",
    args: &[
        Arg::raw("data").required().doc("values by name"),
        Arg::raw("per_host").doc("of the host, not of the run"),
        Arg::raw("aggregate").doc("add to the values that are there; unless set, they are"),
    ],
    returns: &[Return::new(
        "ansible_stats",
        "dict",
        "`data`, `per_host` and `aggregate`",
    )],
    example: "- set_stats:\n    data:\n      deployed: '{{ app_version }}'\n",
    free_form: None,
    rules: &[],
};

impl Action for SetStats {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move { set_stats(&task.arguments) })
    }
}

fn set_stats(arguments: &Map) -> Result<Done, Failure> {
    let Value::Map(data) = &arguments["data"] else {
        return Err(Failure::new("The 'data' option needs to be a dictionary/hash"));
    };
    for name in data.keys() {
        names::check_variable(&Value::from(name.as_str())).map_err(Failure::new)?;
    }
    let flag = |name: &str, usual: bool| match &arguments[name] {
        Value::Null => usual,
        value => value.truth().unwrap_or(false),
    };
    let (per_host, aggregate) = (flag("per_host", false), flag("aggregate", true));
    let stats = Map::from_iter([
        ("data".to_owned(), Value::Map(data.clone())),
        ("per_host".to_owned(), Value::Bool(per_host)),
        ("aggregate".to_owned(), Value::Bool(aggregate)),
    ]);
    Ok(Done {
        outcome: Outcome::ok().with("ansible_stats", stats),
        effects: vec![Effect::Stats {
            data: data.clone(),
            per_host,
            aggregate,
        }],
        ..Done::default()
    })
}

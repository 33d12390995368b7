//! `group_by`: groups made from facts.

use super::{Action, Done, Effect, Failure, Invocation, Pending};
use crate::modules::{Arg, Return, Spec};
use crate::value::Value;
use crate::wire::message::Outcome;

pub struct GroupBy;

static SPEC: Spec = Spec {
    name: "group_by",
    summary: "put the host into a group while the play runs",
    args: &[
        Arg::str("key").required().doc("the group's name"),
        Arg::strings("parents").default("all").doc("groups that hold it"),
    ],
    returns: &[
        Return::new("add_group", "str", "the group"),
        Return::new("parent_groups", "list of str", "groups that it is in"),
    ],
    example: "- group_by:\n    key: os_{{ ansible_distribution | lower }}\n",
    free_form: None,
    rules: &[],
};

impl Action for GroupBy {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move {
            let group = task.arguments["key"].to_string().replace(' ', "-");
            let parents: Vec<String> = task.arguments["parents"]
                .as_list()
                .unwrap_or_default()
                .iter()
                .map(ToString::to_string)
                .collect();
            let held = task.scope.value("group_names")?.unwrap_or_default();
            let held = held.as_list().unwrap_or_default();
            let is_new = |name: &String| name != "all" && !held.contains(&Value::from(name.as_str()));
            Ok(Done {
                outcome: Outcome::changed(is_new(&group) || parents.iter().any(is_new))
                    .with("add_group", group.as_str())
                    .with("parent_groups", Value::from(parents.clone())),
                effects: vec![Effect::GroupBy { group, parents }],
                ..Done::default()
            })
        })
    }
}

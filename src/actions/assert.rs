//! `assert`: fails unless all conditions hold.

use super::{Action, Done, Failure, Invocation, Pending};
use crate::diagnostic::Diagnostic;
use crate::modules::{Arg, Return, Spec};
use crate::template::{self, Variable};
use crate::wire::message::Outcome;
use crate::yaml::Node;

pub struct Assert;

static SPEC: Spec = Spec {
    name: "assert",
    summary: "fail unless conditions hold",
    args: &[
        Arg::raw("that")
            .required()
            .doc("a condition or a list of them, as in `when`"),
        Arg::str("fail_msg")
            .aliases(&["msg"])
            .doc("shown when one does not hold"),
        Arg::str("success_msg").doc("shown when all hold"),
        Arg::bool("quiet").default("no").doc("do not list each condition"),
    ],
    returns: &[
        Return::new("assertion", "str", "the condition that does not hold").when("it failed"),
        Return::new("evaluated_to", "bool", "what it came to").when("it failed"),
        Return::new("msg", "str", "what is said of it"),
    ],
    example: "- assert:\n    that:\n      - app_port is defined\n      - app_port | int > 1023\n    fail_msg: app_port must be above 1023\n",
    free_form: None,
    rules: &[],
};

impl Action for Assert {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn takes_raw_arguments(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move { assert(&task) })
    }
}

fn assert(task: &Invocation) -> Result<Done, Failure> {
    let that = task
        .raw
        .get("that")
        .ok_or_else(|| Diagnostic::error("missing required arguments: that").at(&task.raw.span))?;
    let text = |names: &[&str]| -> Result<Option<crate::value::Value>, Failure> {
        let node = names.iter().find_map(|name| task.raw.get(name));
        Ok(node
            .map(|node| template::evaluate(node, &task.scope))
            .transpose()?)
    };
    let named = variable_of(that).and_then(|name| task.scope.get(name));
    let that = match &named {
        // What a variable holds was written as conditions: each is evaluated as one.
        Some(Variable::Node(node)) if node.as_list().is_some() => node,
        _ => that,
    };
    for condition in conditions(that) {
        if !template::condition(condition, &task.scope)? {
            let message = text(&["fail_msg", "msg"])?.unwrap_or_else(|| "Assertion failed".into());
            let mut outcome = Outcome::failed("")
                .with("assertion", condition.to_value())
                .with("evaluated_to", false);
            outcome.values.insert("msg".to_owned(), message);
            return Ok(Done {
                outcome,
                shown: true,
                ..Done::default()
            });
        }
    }
    let message = text(&["success_msg"])?.unwrap_or_else(|| "All assertions passed".into());
    let quiet = text(&["quiet"])?.and_then(|value| value.truth()).unwrap_or(false);
    Ok(Done {
        outcome: Outcome::ok().with("msg", message),
        shown: !quiet,
        ..Done::default()
    })
}

fn conditions(that: &Node) -> &[Node] {
    that.as_list().unwrap_or(std::slice::from_ref(that))
}

/// The variable that a text stands for, if it is nothing but `{{ NAME }}`.
fn variable_of(node: &Node) -> Option<&str> {
    let inside = node
        .as_str()?
        .trim()
        .strip_prefix("{{")?
        .strip_suffix("}}")?
        .trim();
    let plain = |c: char| c.is_alphanumeric() || c == '_';
    inside.chars().all(plain).then_some(inside)
}

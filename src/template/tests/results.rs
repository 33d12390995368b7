//! Tests of what a task left behind: registered results.

use minijinja::Error;

use crate::template::call::{Call, Definition, row};
use crate::value::{Map, Value};

pub(super) const TESTS: &[Definition] = &[
    row("failed", "", "Whether the task failed", |call| {
        flag(call, "failed", false)
    }),
    row("failure", "", "Whether the task failed", |call| {
        flag(call, "failed", false)
    }),
    row("success", "", "Whether the task did not fail", |call| {
        negated(flag(call, "failed", false))
    }),
    row("succeeded", "", "Whether the task did not fail", |call| {
        negated(flag(call, "failed", false))
    }),
    row("successful", "", "Whether the task did not fail", |call| {
        negated(flag(call, "failed", false))
    }),
    row("changed", "", "Whether the task changed something", changed),
    row("change", "", "Whether the task changed something", changed),
    row("skipped", "", "Whether the task was skipped", |call| {
        flag(call, "skipped", false)
    }),
    row("skip", "", "Whether the task was skipped", |call| {
        flag(call, "skipped", false)
    }),
    row(
        "finished",
        "",
        "Whether the asynchronous task has ended",
        |call| flag(call, "finished", true),
    ),
    row("started", "", "Whether the asynchronous task has begun", |call| {
        flag(call, "started", true)
    }),
    row("reachable", "", "Whether the host could be reached", |call| {
        negated(flag(call, "unreachable", false))
    }),
    row(
        "unreachable",
        "",
        "Whether the host could not be reached",
        |call| flag(call, "unreachable", false),
    ),
    row("timedout", "", "Whether the task ran out of time", |call| {
        Ok(result(call)?
            .get("timedout")
            .is_some_and(|timedout| *timedout != Value::Bool(false))
            .into())
    }),
];

/// A task's result is a dict; the error says how people get here with something else.
fn result(call: &Call) -> Result<Map, Error> {
    match call.data()? {
        Value::Map(map) => Ok(map),
        other => Err(call.fail(format!(
            "it needs a task's result (a dict, from `register`), and got {}",
            crate::template::call::described(&other)
        ))),
    }
}

fn is_set(value: &Value) -> bool {
    matches!(value, Value::Bool(true)) || value.as_int().is_some_and(|number| number != 0)
}

fn flag(call: &Call, name: &str, default: bool) -> Result<Value, Error> {
    Ok(result(call)?.get(name).map_or(default, is_set).into())
}

fn negated(value: Result<Value, Error>) -> Result<Value, Error> {
    Ok((value? != Value::Bool(true)).into())
}

/// A loop's result counts as changed where one of its items does.
fn changed(call: &Call) -> Result<Value, Error> {
    let result = result(call)?;
    let of_items = || {
        let items = result.get("results").and_then(Value::as_list).unwrap_or_default();
        items.iter().any(|item| item.get("changed").is_some_and(is_set))
    };
    Ok(result.get("changed").map_or_else(of_items, is_set).into())
}

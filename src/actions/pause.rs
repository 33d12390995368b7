//! `pause`: waits for some time. It does not ask anybody anything: a run must not hang in a pipeline.

use std::time::Duration;

use super::{Action, Done, Failure, Invocation, Pending};
use crate::modules::{Arg, Rule, Spec};
use crate::wire::message::Outcome;

pub struct Pause;

static SPEC: Spec = Spec {
    name: "pause",
    summary: "wait for some time",
    args: &[
        Arg::int("seconds").doc("how long"),
        Arg::int("minutes").doc("how long"),
    ],
    returns: &[],
    example: "",
    free_form: None,
    rules: &[
        Rule::Exclusive(&["seconds", "minutes"]),
        Rule::OneOf(&["seconds", "minutes"]),
    ],
};

impl Action for Pause {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn runs_once(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move {
            let amount = |name: &str| task.arguments[name].as_int().unwrap_or(0);
            let seconds = u64::try_from(amount("seconds") + 60 * amount("minutes")).unwrap_or(0);
            if !task.check {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
            }
            let waited = i64::try_from(seconds).unwrap_or(i64::MAX);
            Ok(Outcome::ok()
                .with("delta", waited)
                .with("stdout", format!("Paused for {waited} seconds"))
                .into())
        })
    }
}

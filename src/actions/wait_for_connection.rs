//! `wait_for_connection`: waits until a host can be logged in to and worked on. After `ansible.builtin.wait_for_connection`.

use std::time::{Duration, Instant};

use super::{Action, Done, Failure, Held, Invocation, Pending};
use crate::modules::{Arg, Return, Spec};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct WaitForConnection;

static SPEC: Spec = Spec {
    name: "wait_for_connection",
    summary: "wait until the host can be worked on",
    args: &[
        Arg::int("connect_timeout")
            .default("5")
            .doc("seconds that each log-in may take"),
        Arg::int("delay")
            .default("0")
            .doc("seconds until it is first tried"),
        Arg::int("sleep").default("1").doc("seconds between two attempts"),
        Arg::int("timeout")
            .default("600")
            .doc("seconds after which it fails"),
    ],
    returns: &[Return::new("elapsed", "int", "seconds that it took")],
    example: "- wait_for_connection:\n    delay: 10\n    timeout: 300\n",
    free_form: None,
    rules: &[],
};

impl Action for WaitForConnection {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move {
            if task.check {
                return Ok(Outcome {
                    skipped: true,
                    ..Outcome::ok()
                }
                .into());
            }
            let seconds = |argument: &str| {
                let number = task.arguments[argument].as_int().unwrap_or(0);
                Duration::from_secs(u64::try_from(number).unwrap_or(0))
            };
            let start = Instant::now();
            tokio::time::sleep(seconds("delay")).await;
            let begin = Instant::now();
            let outcome = loop {
                let Err(why) = attempt(&task, seconds("connect_timeout")).await else {
                    break Outcome::ok();
                };
                if begin.elapsed() + seconds("sleep") >= seconds("timeout") {
                    break Outcome::failed(format!("timed out waiting for ping module test: {why}"));
                }
                tokio::time::sleep(seconds("sleep")).await;
            };
            let elapsed = i64::try_from(start.elapsed().as_secs()).unwrap_or(i64::MAX);
            Ok(outcome.with("elapsed", elapsed).into())
        })
    }
}

async fn attempt(task: &Invocation<'_>, connect: Duration) -> Result<(), String> {
    let told = |failure: Failure| failure.to_string();
    task.target.reconnect(Some(connect)).await.map_err(told)?;
    let arguments = Map::from_iter([("data".to_owned(), Value::from("pong"))]);
    let answer = task
        .target
        .call("ping", arguments, Held::default())
        .await
        .map_err(told)?;
    if answer.values.get("ping") == Some(&Value::from("pong")) {
        return Ok(());
    }
    Err("ping test failed".to_owned())
}

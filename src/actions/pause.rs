//! `pause`: waits for some time, or for somebody at the terminal. After ansible.builtin.pause.
//!
//! Where nobody is at a terminal nothing is asked, and the run goes on: it must not hang in a pipeline. Prompts go to standard error.
//! Ctrl-C ends the run as it does everywhere; there is no asking whether to go on early.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use super::{Action, Done, Failure, Invocation, Pending};
use crate::modules::{Arg, Return, Rule, Spec};
use crate::value::Value;
use crate::wire::message::Outcome;

pub struct Pause;

/// What is asked where the task does not say.
const PROMPT: &str = "Press enter to continue, Ctrl+C to interrupt";
const NOBODY: &str = "Not waiting for response to prompt as stdin is not interactive";
/// As users know the times of results.
const MOMENT: &str = "%Y-%m-%d %H:%M:%S%.6f";

static SPEC: Spec = Spec {
    name: "pause",
    summary: "wait for some time, or for somebody at the terminal",
    args: &[
        Arg::int("seconds").doc("how long"),
        Arg::int("minutes").doc("how long"),
        Arg::str("prompt").doc("what is asked; the answer is `user_input` of the result"),
        Arg::bool("echo").default("yes").doc("show what is typed"),
    ],
    returns: &[
        Return::new("user_input", "str", "what was typed"),
        Return::new("delta", "int", "seconds that it took"),
        Return::new("start", "str", "when it began"),
        Return::new("stop", "str", "when it ended"),
        Return::new("stdout", "str", "how long it was, in words"),
        Return::new("echo", "bool", "as in the arguments"),
    ],
    example: "- pause:\n    seconds: 10\n- pause:\n    prompt: Is the old server off?\n  register: answer\n",
    free_form: None,
    rules: &[Rule::Exclusive(&["seconds", "minutes"])],
};

impl Action for Pause {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn runs_once(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move { pause(&task).await })
    }
}

async fn pause(task: &Invocation<'_>) -> Result<Done, Failure> {
    let amount = |name: &str| task.arguments[name].as_int();
    let (unit, seconds) = match (amount("seconds"), amount("minutes")) {
        (Some(seconds), _) => ("seconds", Some(seconds)),
        (None, Some(minutes)) => ("minutes", Some(minutes.saturating_mul(60))),
        (None, None) => ("minutes", None),
    };
    let limit = seconds.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    let echo = task.arguments["echo"] != Value::Bool(false);
    let prompt = task.arguments["prompt"].as_str();
    let (start, clock) = (jiff::Zoned::now(), Instant::now());
    let mut outcome = Outcome::ok();
    let mut typed = String::new();
    if !task.check {
        match (limit, prompt) {
            // With a time, a prompt is only shown, as in Ansible.
            (Some(limit), prompt) => {
                if let Some(prompt) = prompt {
                    eprintln!("{prompt}");
                }
                tokio::time::sleep(limit).await;
            }
            (None, prompt) if std::io::stdin().is_terminal() => {
                typed = ask(prompt.unwrap_or(PROMPT).to_owned(), echo).await?;
            }
            (None, _) => outcome = outcome.with("warnings", vec![NOBODY.to_owned()]),
        }
    }
    let lasted = clock.elapsed().as_secs_f64();
    let shown = if unit == "minutes" { lasted / 60.0 } else { lasted };
    let shown = Value::Float((shown * 100.0).round() / 100.0);
    let moment = |time: &jiff::Zoned| time.strftime(MOMENT).to_string();
    Ok(outcome
        .with(
            "delta",
            i64::try_from(clock.elapsed().as_secs()).unwrap_or(i64::MAX),
        )
        .with("echo", Value::Bool(echo))
        .with("rc", 0)
        .with("start", moment(&start))
        .with("stop", moment(&jiff::Zoned::now()))
        .with("stdout", format!("Paused for {shown} {unit}"))
        .with("stderr", "")
        .with("user_input", typed)
        .into())
}

/// A line from the terminal.
async fn ask(prompt: String, echo: bool) -> Result<String, Failure> {
    let failed = |error: String| Failure::new(format!("cannot read an answer from the terminal: {error}"));
    let asked = tokio::task::spawn_blocking(move || {
        eprintln!("{prompt}:");
        if !echo {
            return rpassword::read_password();
        }
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    });
    asked
        .await
        .map_err(|error| failed(error.to_string()))?
        .map_err(|error| failed(error.to_string()))
}

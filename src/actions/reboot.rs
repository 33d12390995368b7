//! `reboot`: restarts a host and waits until it is back. After ansible.builtin.reboot.
//!
//! That it was restarted is known by what `boot_time_command` prints: it is another text afterwards. Deliberately no other systems than
//! Linux.

use std::time::{Duration, Instant};

use super::{Action, Done, Failure, Held, Invocation, Pending};
use crate::modules::{self, Arg, Return, Spec};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct Reboot;

/// Between two attempts it waits twice as long as before, and no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(12);
/// What takes no more than the answer of a program that is done at once.
const ANSWER: Duration = Duration::from_mins(1);

static SPEC: Spec = Spec {
    name: "reboot",
    summary: "restart the host and wait until it is back",
    args: &[
        Arg::int("pre_reboot_delay")
            .aliases(&["pre_reboot_delay_sec"])
            .default("0")
            .doc("seconds until it goes down; whole minutes count"),
        Arg::int("post_reboot_delay")
            .aliases(&["post_reboot_delay_sec"])
            .default("0")
            .doc("seconds until it is first looked for"),
        Arg::int("reboot_timeout")
            .aliases(&["reboot_timeout_sec"])
            .default("600")
            .doc("seconds that it may take to come back, and again for `test_command`"),
        Arg::int("connect_timeout")
            .aliases(&["connect_timeout_sec"])
            .doc("seconds that each log-in may take; the connection's own time unless given"),
        Arg::str("test_command").default("whoami").doc("run until it succeeds, when the host is back"),
        Arg::str("msg")
            .default("Reboot initiated by Ansible")
            .doc("what users of the host are told"),
        Arg::strings("search_paths")
            .default("/sbin,/bin,/usr/sbin,/usr/bin,/usr/local/sbin")
            .doc("folders with the program that restarts"),
        Arg::str("boot_time_command")
            .default("cat /proc/sys/kernel/random/boot_id")
            .doc("prints what is another text after each start"),
        Arg::str("reboot_command")
            .doc("what restarts, with its arguments; unless given, `shutdown -r`, or `reboot` where there is no shutdown"),
    ],
    returns: &[
        Return::new("rebooted", "bool", "whether it was restarted"),
        Return::new("elapsed", "int", "seconds from then until it was back"),
    ],
    example: "- reboot:\n    reboot_timeout: 300\n",
    free_form: None,
    rules: &[],
};

impl Action for Reboot {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move { reboot(&task).await.map(Done::from) })
    }
}

async fn reboot(task: &Invocation<'_>) -> Result<Outcome, Failure> {
    if task.target.is_local()? {
        return Ok(
            Outcome::failed("Running reboot with local connection would reboot the control node.")
                .with("elapsed", 0)
                .with("rebooted", false),
        );
    }
    if task.check {
        return Ok(Outcome::changed(true).with("elapsed", 0).with("rebooted", true));
    }
    let before = match boot(task).await? {
        Ok(before) => before,
        Err(why) => return Ok(Outcome::failed(why).with("reboot", false)),
    };
    let command = command(task).await?;
    let start = Instant::now();
    let elapsed = || i64::try_from(start.elapsed().as_secs()).unwrap_or(i64::MAX);
    match tokio::time::timeout(ANSWER, shell(task, &command)).await {
        Ok(Ok(answer)) if answer.values.get("rc") != Some(&Value::Int(0)) => {
            let said = format!("{}, {}", text(&answer, "stdout"), text(&answer, "stderr"));
            let message = format!("Reboot command failed. Error was: '{said}'");
            return Ok(Outcome::failed(message)
                .with("rebooted", false)
                .with("elapsed", elapsed()));
        }
        // It may be down before it could answer.
        Ok(Ok(_) | Err(Failure::Unreachable(_))) | Err(_) => {}
        Ok(Err(failure)) => return Err(failure),
    }
    tokio::time::sleep(seconds(task, "post_reboot_delay")).await;
    let limit = seconds(task, "reboot_timeout");
    let connect = task.arguments["connect_timeout"]
        .as_int()
        .map(|_| seconds(task, "connect_timeout"));
    let back = Goal::Restarted { before };
    let works = match until(task, &back, limit, connect).await {
        Ok(()) => until(task, &Goal::Works, limit, connect).await,
        timed_out => timed_out,
    };
    Ok(match works {
        Ok(()) => Outcome::changed(true),
        Err(why) => Outcome::failed(why),
    }
    .with("rebooted", true)
    .with("elapsed", elapsed()))
}

/// What tells this start of the host from others, or why that is not known.
async fn boot(task: &Invocation<'_>) -> Result<Result<String, String>, Failure> {
    let answer = shell(task, &task.arguments["boot_time_command"].to_string()).await?;
    if answer.values.get("rc") == Some(&Value::Int(0)) {
        return Ok(Ok(text(&answer, "stdout").trim().to_owned()));
    }
    let rc = answer.values.get("rc").map(Value::to_string).unwrap_or_default();
    Ok(Err(format!(
        "reboot: failed to get host boot time info, rc: {rc}, stdout: {}, stderr: {}",
        text(&answer, "stdout"),
        text(&answer, "stderr")
    )))
}

/// The line that restarts, its program found.
async fn command(task: &Invocation<'_>) -> Result<String, Failure> {
    let minutes = seconds(task, "pre_reboot_delay").as_secs() / 60;
    let message = task.arguments["msg"].to_string();
    let candidates = match &task.arguments["reboot_command"] {
        Value::Null => vec![
            (
                "shutdown".to_owned(),
                format!("-r {minutes} {}", shell_words::quote(&message)),
            ),
            ("reboot".to_owned(), String::new()),
        ],
        given => {
            let given = given.to_string();
            let (program, rest) = given.split_once(' ').unwrap_or((&given, ""));
            vec![(program.to_owned(), rest.to_owned())]
        }
    };
    let paths: Vec<String> = match &task.arguments["search_paths"] {
        Value::List(paths) => paths.iter().map(Value::to_string).collect(),
        _ => Vec::new(),
    };
    for (program, rest) in &candidates {
        if program.starts_with('/') {
            return Ok(format!("{program} {rest}"));
        }
        let places: Vec<String> = paths
            .iter()
            .map(|folder| shell_words::quote(&format!("{folder}/{program}")).into_owned())
            .collect();
        let line = format!(
            "for place in {}; do if [ -e \"$place\" ]; then echo \"$place\"; break; fi; done",
            places.join(" ")
        );
        let found = text(&shell(task, &line).await?, "stdout");
        if !found.is_empty() {
            return Ok(format!("{} {rest}", shell_words::quote(&found)));
        }
    }
    Err(Failure::new(format!(
        "Unable to find command \"{}\" in search paths: {}",
        candidates[0].0, task.arguments["search_paths"]
    )))
}

/// Runs a line on the target; that it fails is its answer.
async fn shell(task: &Invocation<'_>, line: &str) -> Result<Outcome, Failure> {
    let given = Map::from_iter([("_raw_params".to_owned(), Value::from(line))]);
    let spec = modules::find("shell").map(modules::AnyModule::spec);
    let arguments = spec.map_or(Ok(given.clone()), |spec| spec.resolve(&given))?;
    task.target.call("shell", arguments, Held::default()).await
}

/// What is waited for.
enum Goal {
    /// The host is there, and does not tell what it told before.
    Restarted {
        before: String,
    },
    Works,
}

impl Goal {
    fn name(&self) -> &'static str {
        match self {
            Self::Restarted { .. } => "last boot time check",
            Self::Works => "post-reboot test command",
        }
    }

    async fn is_met(&self, task: &Invocation<'_>, connect: Option<Duration>) -> Result<bool, Failure> {
        match self {
            Self::Restarted { before } => {
                task.target.reconnect(connect).await?;
                let now = boot(task).await?;
                Ok(now.is_ok_and(|now| !now.is_empty() && now != *before))
            }
            Self::Works => {
                let answer = shell(task, &task.arguments["test_command"].to_string()).await;
                if answer.is_err() {
                    // The connection was to a host that was still starting.
                    task.target.reconnect(connect).await?;
                }
                Ok(answer?.values.get("rc") == Some(&Value::Int(0)))
            }
        }
    }
}

/// Tries until it succeeds, or until the time is over.
async fn until(
    task: &Invocation<'_>,
    goal: &Goal,
    limit: Duration,
    connect: Option<Duration>,
) -> Result<(), String> {
    let start = Instant::now();
    let mut pause = Duration::from_secs(1);
    while start.elapsed() < limit {
        // What does not answer at all is a connection to a host that went away.
        if let Ok(Ok(true)) = tokio::time::timeout(ANSWER, goal.is_met(task, connect)).await {
            return Ok(());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Err(format!(
        "Timed out waiting for {} (timeout={})",
        goal.name(),
        limit.as_secs()
    ))
}

fn text(answer: &Outcome, key: &str) -> String {
    answer
        .values
        .get(key)
        .map(Value::to_string)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// A negative time is none.
fn seconds(task: &Invocation<'_>, argument: &str) -> Duration {
    let number = task.arguments[argument].as_int().unwrap_or(0);
    Duration::from_secs(u64::try_from(number).unwrap_or(0))
}

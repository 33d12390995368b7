//! `async_status`: what has become of a task with `async`. After `ansible.builtin.async_status`.

use serde::Deserialize;

use crate::modules::commands::job;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::{Follow, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct AsyncStatus;

#[derive(Debug, Deserialize)]
pub struct Args {
    jid: String,
    mode: String,
}

impl Module for AsyncStatus {
    type Args = Args;
    /// The file to remove.
    type Change = (String, std::path::PathBuf);
    const SPEC: Spec = Spec {
        name: "async_status",
        summary: "the state of a task that was started with `async`",
        args: &[
            Arg::str("jid")
                .required()
                .doc("the job, `ansible_job_id` of its task's result"),
            Arg::str("mode")
                .default("status")
                .choices(&["status", "cleanup"])
                .doc("`cleanup` forgets the job"),
        ],
        returns: &[
            Return::new("ansible_job_id", "str", "the job"),
            Return::new("finished", "bool", "whether it has ended"),
            Return::new("started", "bool", "whether it was started"),
            Return::new("erased", "str", "the file of its result").when("mode is cleanup"),
        ],
        example: "- command: /usr/bin/long\n  async: 600\n  poll: 0\n  register: job\n- async_status:\n    jid: '{{ job.ansible_job_id }}'\n  register: result\n  until: result.finished\n  retries: 60\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        let file = job::file_of(&args.jid, system)?;
        let name = file.display().to_string();
        let known = Map::from_iter([
            ("ansible_job_id".to_owned(), Value::from(args.jid.as_str())),
            ("results_file".to_owned(), Value::from(name.as_str())),
            ("stdout".to_owned(), Value::from("")),
            ("stderr".to_owned(), Value::from("")),
        ]);
        if system.metadata(&file, Follow::Yes)?.is_none() {
            return Err(unknown(&known));
        }
        if args.mode == "cleanup" {
            let predicted = erased(&args.jid, &name);
            return Ok(Plan::Change {
                change: (args.jid, file),
                predicted,
            });
        }
        let text = system.read(&file)?;
        let state: Map = serde_json::from_slice(&text)
            .map_err(|error| Error::new(format!("Could not parse job output: {error}")))?;
        Ok(Plan::Same(status(known, state)))
    }

    fn apply((jid, file): Self::Change, system: &dyn System) -> Result<Outcome, Error> {
        system.remove_file(&file)?;
        Ok(erased(&jid, &file.display().to_string()))
    }
}

fn unknown(known: &Map) -> Error {
    let error = Error::new("could not find job")
        .with("started", true)
        .with("finished", true);
    known
        .iter()
        .fold(error, |error, (name, value)| error.with(name, value.clone()))
}

fn erased(jid: &str, file: &str) -> Outcome {
    Outcome::ok()
        .with("ansible_job_id", jid)
        .with("erased", file)
        .with("started", false)
        .with("finished", false)
        .with("stdout", "")
        .with("stderr", "")
}

/// The result of a status: what the job's file says over what is known anyway. A result says nothing of having
/// started: the job has finished then.
fn status(known: Map, mut state: Map) -> Outcome {
    let mut take = |name: &str| {
        state
            .shift_remove(name)
            .and_then(|value| value.truth())
            .unwrap_or(false)
    };
    let mut outcome = Outcome {
        changed: take("changed"),
        failed: take("failed"),
        skipped: take("skipped"),
        ..Outcome::default()
    };
    let running = state.contains_key("started");
    outcome.values = known;
    outcome.values.extend(state);
    outcome.values.insert("started".to_owned(), Value::Bool(true));
    outcome
        .values
        .insert("finished".to_owned(), Value::Bool(!running));
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{failure, run};
    use crate::system::fake::Fake;

    fn state(text: &str) -> Outcome {
        let fake = Fake::new();
        fake.file("/root/.ansible_async/j1", text);
        run::<AsyncStatus>(&fake, r#"{"jid":"j1"}"#)
    }

    #[test]
    fn tells_running_jobs_from_ended_ones() {
        let running = state(r#"{"ansible_job_id":"j1","started":1,"finished":0}"#);
        assert_eq!(running.values["finished"], false.into());
        assert!(!running.changed);
        let ended = state(r#"{"changed":true,"failed":true,"rc":3,"stdout":"x"}"#);
        assert_eq!(ended.values["finished"], true.into());
        assert_eq!(ended.values["rc"], 3.into());
        assert_eq!(ended.values["stderr"], "".into());
        assert!(ended.changed && ended.failed);
    }

    #[test]
    fn forgets_a_job_once() {
        let fake = Fake::new();
        fake.file("/root/.ansible_async/j1", "{}");
        let outcome = run::<AsyncStatus>(&fake, r#"{"jid":"j1","mode":"cleanup"}"#);
        assert_eq!(outcome.values["erased"], "/root/.ansible_async/j1".into());
        assert_eq!(
            failure::<AsyncStatus>(&fake, r#"{"jid":"j1"}"#),
            "could not find job"
        );
    }
}

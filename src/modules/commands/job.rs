//! `job`: a module that goes on when the agent has ended, for tasks with `async`. Playbooks cannot call it.
//!
//! Its state is a file of JSON in `~/.ansible_async`, or where `ANSIBLE_ASYNC_DIR` says: what is known while it
//! runs, then its result. [`crate::modules::commands::async_status`] reads it. The job itself is [`crate::agent::job`]; its
//! request goes to that process's standard input, as arguments may hold secrets.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::modules::files::path::expand;
use crate::modules::{Arg, Error, Module, Plan, Spec};
use crate::system::{Attributes, Command, Follow, System};
use crate::value::{Map, Value};
use crate::wire::message::{Call, Outcome};

/// Jobs that do not name a folder keep their state here.
const FOLDER: &str = "~/.ansible_async";
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

pub struct Job;

#[derive(Debug, Deserialize)]
pub struct Args {
    jid: String,
    limit: u64,
    call: Call,
}

/// What the process that does the work is told.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    pub jid: String,
    pub file: PathBuf,
    /// Seconds after which the job is ended.
    pub limit: u64,
    pub call: Call,
}

impl Module for Job {
    type Args = Args;
    type Change = Request;
    const SPEC: Spec = Spec {
        name: "job",
        summary: "start a module that goes on by itself",
        args: &[
            Arg::str("jid").required().doc("the job's name"),
            Arg::int("limit").required().doc("seconds that it may take"),
            Arg::raw("call").required().doc("the module and its arguments"),
        ],
        returns: &[],
        example: "",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Request>, Error> {
        let file = file_of(&args.jid, system)?;
        Ok(Plan::Unknown {
            change: Request {
                jid: args.jid,
                file,
                limit: args.limit,
                call: args.call,
            },
            skipped: Outcome::skipped("the job would have been started"),
        })
    }

    fn apply(request: Request, system: &dyn System) -> Result<Outcome, Error> {
        let state = Map::from_iter([
            ("ansible_job_id".to_owned(), Value::from(request.jid.as_str())),
            ("started".to_owned(), Value::Bool(true)),
            ("finished".to_owned(), Value::Bool(false)),
        ]);
        make_folder(&request.file, system)?;
        write(&request.file, &state, system)?;
        let own = system.executable()?.display().to_string();
        let message = serde_json::to_vec(&request)
            .map_err(|error| Error::new(format!("the job cannot be described: {error}")))?;
        let started = system.run(&Command {
            stdin: message,
            ..Command::new([own.as_str(), "agent", "--job"])
        })?;
        if !started.success() {
            return Err(Error::new(format!(
                "the job could not be started: {}",
                started.stderr_text()
            )));
        }
        let mut outcome = Outcome::changed(true).with("results_file", request.file.display().to_string());
        outcome.values.extend(state);
        Ok(outcome)
    }
}

/// Where the state of a job is.
pub fn file_of(jid: &str, system: &dyn System) -> Result<PathBuf, Error> {
    if jid.is_empty() || jid.contains('/') || jid.starts_with('.') {
        return Err(Error::new(format!("`{jid}` is no name of a job")));
    }
    let folder = system
        .env("ANSIBLE_ASYNC_DIR")
        .filter(|folder| !folder.is_empty());
    Ok(expand(folder.as_deref().unwrap_or(FOLDER), system)?.join(jid))
}

fn make_folder(file: &Path, system: &dyn System) -> Result<(), Error> {
    let folders: Vec<&Path> = file.ancestors().skip(1).collect();
    for folder in folders.into_iter().rev() {
        if system.metadata(folder, Follow::Yes)?.is_none() {
            system.create_dir(folder, FOLDER_MODE)?;
        }
    }
    Ok(())
}

/// Replaces the state of a job.
pub fn write(file: &Path, state: &Map, system: &dyn System) -> Result<(), Error> {
    let text = serde_json::to_string(state)
        .map_err(|error| Error::new(format!("the job's state cannot be written: {error}")))?;
    let attributes = Attributes {
        mode: Some(FILE_MODE),
        ..Attributes::default()
    };
    Ok(system.write(file, &mut text.as_bytes(), attributes)?)
}

/// A module's result as the state of a job that has ended.
pub fn ended(outcome: Outcome) -> Map {
    let mut state = outcome.values;
    state.insert("changed".to_owned(), Value::Bool(outcome.changed));
    for (name, flag) in [("failed", outcome.failed), ("skipped", outcome.skipped)] {
        if flag {
            state.insert(name.to_owned(), Value::Bool(true));
        }
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{failure, run};
    use crate::system::fake::Fake;

    #[test]
    fn a_job_is_named_by_a_plain_word() {
        let fake = Fake::new();
        let call = r#"{"jid":"../x","limit":1,"call":{"module":"ping","arguments":{}}}"#;
        assert_eq!(failure::<Job>(&fake, call), "`../x` is no name of a job");
    }

    #[test]
    fn its_state_is_there_before_it_runs() {
        let fake = Fake::new();
        fake.directory("/root");
        fake.answer_with(|_, command| {
            (command.argv.last()? == "--job").then(crate::system::CommandOutput::default)
        });
        let call = r#"{"jid":"j1","limit":1,"call":{"module":"ping","arguments":{}}}"#;
        let outcome = run::<Job>(&fake, call);
        assert_eq!(outcome.values["results_file"], "/root/.ansible_async/j1".into());
        assert_eq!(
            fake.text("/root/.ansible_async/j1"),
            r#"{"ansible_job_id":"j1","started":true,"finished":false}"#
        );
    }
}

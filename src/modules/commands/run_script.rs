//! `run_script`: the target's half of `script`. Not for playbooks: the controller's action calls it with a content named by its digest.
//!
//! The file lies in a folder of its own, readable by its user alone, for as long as it runs.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::modules::commands::command::{CHDIR, CREATES, REMOVES};
use crate::modules::commands::raw::ended;
use crate::modules::commands::shell::DEFAULT_SHELL;
use crate::modules::files::path;
use crate::modules::{Arg, Error, Module, Plan, Spec};
use crate::system::foresight::Foresight;
use crate::system::{Command, Follow, LentFile, System, SystemError};
use crate::wire::message::Outcome;

pub struct RunScript;

#[derive(Deserialize)]
pub struct Args {
    name: String,
    digest: String,
    arguments: String,
    executable: Option<String>,
    chdir: Option<String>,
    creates: Option<String>,
    removes: Option<String>,
}

/// A script that is to be run.
#[derive(Debug)]
pub struct Script {
    name: String,
    digest: String,
    arguments: String,
    executable: Option<String>,
    directory: Option<PathBuf>,
}

impl Module for RunScript {
    type Args = Args;
    type Change = Script;

    const SPEC: Spec = Spec {
        name: "run_script",
        summary: "run a file that the controller holds (internal)",
        args: &[
            Arg::str("name").required().doc("what the file is called"),
            Arg::str("digest").required().doc("SHA-256 of its content"),
            Arg::str("arguments")
                .default("")
                .doc("the rest of the shell's line"),
            Arg::str("executable").doc("what is called with the file"),
            CHDIR,
            CREATES,
            REMOVES,
        ],
        returns: &[],
        example: "",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Script>, Error> {
        let exists = |name: &str| -> Result<bool, Error> {
            let path = path::expand(name, system)?;
            Ok(system.metadata(&path, Follow::Yes)?.is_some())
        };
        if let Some(name) = &args.creates
            && exists(name)?
        {
            let reason = format!("{name} exists, matching creates option");
            return Ok(Plan::Same(Outcome::skipped(reason)));
        }
        if let Some(name) = &args.removes
            && !exists(name)?
        {
            let reason = format!("{name} does not exist, matching removes option");
            return Ok(Plan::Same(Outcome::skipped(reason)));
        }
        let skipped = if args.creates.is_some() || args.removes.is_some() {
            Outcome::changed(true)
        } else {
            Outcome::skipped("Check mode is not supported for this task.")
        };
        let directory = args.chdir.map(|text| path::expand(&text, system)).transpose()?;
        Ok(Plan::Unknown {
            change: Script {
                name: args.name,
                digest: args.digest,
                arguments: args.arguments,
                executable: args.executable,
                directory,
            },
            skipped,
        })
    }

    fn foresee(_: &Script) -> Foresight {
        Foresight::Anything
    }

    fn apply(script: Script, system: &dyn System) -> Result<Outcome, Error> {
        let file = LentFile {
            name: script.name.clone(),
            content: content(&script.digest, system)?,
            mode: 0o700,
        };
        Ok(ended(
            &system.run_with(&[file], &|folder| script.command(folder))?,
        ))
    }
}

/// All of a content that the controller holds.
pub(super) fn content(digest: &str, system: &dyn System) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    system
        .content(digest)?
        .read_to_end(&mut bytes)
        .map_err(|error| SystemError::new("receive", format!("content {digest}"), error))?;
    Ok(bytes)
}

impl Script {
    fn command(&self, folder: &Path) -> Command {
        let file = folder.join(&self.name);
        let quoted = shell_words::quote(&file.to_string_lossy()).into_owned();
        let words = [
            self.executable.as_deref().unwrap_or_default(),
            &quoted,
            &self.arguments,
        ];
        let line = words.join(" ");
        let mut command = Command::new([DEFAULT_SHELL, "-c", line.trim()]);
        command.directory.clone_from(&self.directory);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, run};
    use crate::system::CommandOutput;
    use crate::system::fake::Fake;

    #[test]
    fn the_file_is_there_while_it_runs_and_not_longer() {
        let fake = Fake::new();
        fake.directory("/tmp");
        let digest = fake.hold("#!/bin/sh\n");
        fake.answer_with(|fake, command| {
            let line = command.argv[2].clone();
            let (path, rest) = line.split_once(' ').unwrap();
            assert_eq!(fake.text(path), "#!/bin/sh\n");
            Some(CommandOutput {
                stdout: rest.as_bytes().to_vec(),
                ..CommandOutput::default()
            })
        });
        let before = fake.listing();
        let arguments = format!(r#"{{"name":"a.sh","digest":"{digest}","arguments":"-x 'y z'"}}"#);
        assert!(check::<RunScript>(&fake, &arguments).skipped);
        let outcome = run::<RunScript>(&fake, &arguments);
        assert_eq!(outcome.values["stdout"], "-x 'y z'".into());
        assert_eq!(fake.listing(), before);
    }

    #[test]
    fn creates_and_removes_are_looked_at_first() {
        let fake = Fake::new();
        fake.file("/srv/done", "");
        for (condition, message) in [
            (
                r#""creates":"/srv/done""#,
                "/srv/done exists, matching creates option",
            ),
            (
                r#""removes":"/srv/not""#,
                "/srv/not does not exist, matching removes option",
            ),
        ] {
            let outcome = run::<RunScript>(
                &fake,
                &format!(r#"{{"name":"a","digest":"","arguments":"",{condition}}}"#),
            );
            assert!(outcome.skipped && !outcome.changed);
            assert_eq!(outcome.message(), Some(message));
        }
        let would = check::<RunScript>(&fake, r#"{"name":"a","digest":"","creates":"/srv/not"}"#);
        assert!(would.changed && !would.skipped);
    }
}

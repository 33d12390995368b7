//! `tempfile`: a new, empty file or folder that nobody else has the name of. After ansible.builtin.tempfile.

use std::path::PathBuf;

use serde::Deserialize;

use crate::modules::files::content::Writing;
use crate::modules::files::steps::{Source, Step, perform};
use crate::modules::files::{attributes, path};
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::foresight::Foresight;
use crate::system::{Attributes, FileKind, Follow, System};
use crate::wire::message::Outcome;

/// What Python makes such names of.
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const RANDOM_LENGTH: usize = 8;

pub struct Tempfile;

#[derive(Debug, Deserialize)]
pub struct Args {
    state: String,
    path: Option<String>,
    prefix: String,
    suffix: String,
}

/// What is to be made, under a name that was free.
#[derive(Debug)]
pub struct Change {
    path: PathBuf,
    step: Step,
}

impl Module for Tempfile {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "tempfile",
        summary: "make a temporary file or folder",
        args: &[
            Arg::str("state")
                .choices(&["file", "directory"])
                .default("file")
                .doc("which of them"),
            Arg::path("path").doc("the folder to make it in; that for temporary files unless given"),
            Arg::str("prefix")
                .default("ansible.")
                .doc("what its name begins with"),
            Arg::str("suffix").default("").doc("what its name ends with"),
        ],
        returns: &[
            Return::new("path", "str", "the file or folder"),
            Return::new("mode", "str", "permission bits, octal"),
            Return::new("owner", "str", "its user"),
            Return::new("group", "str", "its group"),
        ],
        example: "- tempfile:\n    state: directory\n    suffix: build\n  register: scratch\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        for (name, value) in [("prefix", &args.prefix), ("suffix", &args.suffix)] {
            if value.contains('/') {
                return Err(Error::new(format!(
                    "{name} must be a valid file name component, got '{value}'"
                )));
            }
        }
        let folder = args
            .path
            .or_else(|| system.env("TMPDIR"))
            .unwrap_or_else(|| "/tmp".to_owned());
        let folder = path::expand(&folder, system)?;
        if system
            .metadata(&folder, Follow::Yes)?
            .is_none_or(|found| found.kind != FileKind::Directory)
        {
            return Err(Error::new(format!(
                "[Errno 2] No such file or directory: '{}'",
                folder.display()
            )));
        }
        let path = folder.join(format!("{}{}{}", args.prefix, random()?, args.suffix));
        let step = if args.state == "directory" {
            Step::CreateDirectory(path.clone(), mode(0o700))
        } else {
            let writing = Writing {
                path: path.clone(),
                attributes: mode(0o600),
                ..Writing::default()
            };
            Step::Write(writing, Source::Bytes(Vec::new()))
        };
        Ok(Plan::Unknown {
            change: Change { path, step },
            skipped: Outcome::skipped("remote module (tempfile) does not support check mode"),
        })
    }

    /// It asks, or does what no later task of the target sees.
    fn foresee(_: &Change) -> Foresight {
        Foresight::Effects(Vec::new())
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        perform(&[change.step], system)?;
        let outcome = attributes::describe(Outcome::changed(true), &change.path, system)?;
        Ok(outcome.with("path", change.path.display().to_string()))
    }
}

fn mode(mode: u32) -> Attributes {
    Attributes {
        mode: Some(mode),
        ..Attributes::default()
    }
}

/// Enough that a name is neither taken nor guessed: 41 bits.
fn random() -> Result<String, Error> {
    let mut bytes = [0; RANDOM_LENGTH];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::new("the system gives no random numbers"))?;
    Ok(bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, failure, run};
    use crate::system::fake::Fake;

    #[test]
    fn makes_what_only_its_user_can_read() {
        let fake = Fake::new();
        fake.directory("/tmp").directory("/srv");
        assert!(check::<Tempfile>(&fake, "{}").skipped);
        let file = run::<Tempfile>(&fake, "{}");
        let path = file.values["path"].as_str().unwrap();
        assert!(path.starts_with("/tmp/ansible.") && path.len() == 21, "{path}");
        assert_eq!(
            (fake.text(path), &file.values["mode"]),
            (String::new(), &"0600".into())
        );
        let folder = run::<Tempfile>(
            &fake,
            r#"{"state":"directory","path":"/srv","prefix":"a","suffix":"z"}"#,
        );
        assert_eq!(folder.values["mode"], "0700".into());
        assert_eq!(folder.values["state"], "directory".into());
        let path = folder.values["path"].as_str().unwrap();
        assert!(path.starts_with("/srv/a") && path.ends_with('z'), "{path}");
    }

    #[test]
    fn names_are_no_paths() {
        let fake = Fake::new();
        fake.directory("/tmp");
        assert_eq!(
            failure::<Tempfile>(&fake, r#"{"prefix":"../x"}"#),
            "prefix must be a valid file name component, got '../x'"
        );
        assert_eq!(
            failure::<Tempfile>(&fake, r#"{"path":"/none"}"#),
            "[Errno 2] No such file or directory: '/none'"
        );
    }
}

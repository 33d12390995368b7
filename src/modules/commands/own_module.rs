//! `run_module`: the target's half of a user's own module. Not for playbooks: the controller's [`crate::actions::own_module`] calls it
//! with a content named by its digest.
//!
//! The module and its arguments lie in a folder that only its user can read, for as long as it runs. It is run in check mode, too: it
//! is told by `_ansible_check_mode`, as Ansible tells it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::run_script::content;
use crate::modules::{Arg, Error, Module, Plan, Spec};
use crate::system::foresight::Foresight;
use crate::system::{Command, CommandOutput, LentFile, System};
use crate::value::{Map, Value};
use crate::wire::message::{Diff, Outcome};

/// What the file of arguments is called.
const ARGUMENTS: &str = "args";
/// Stands in a module for its arguments.
pub const MARKER: &str = "<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>";
/// The folder for a module's temporary files: as with `become` in Ansible, it is left to the module.
const FOLDER: &str = "_ansible_tmpdir";
/// What a shell answers where a program is not there.
const NOT_FOUND: i32 = 127;
/// Keys with this beginning are the engine's.
const RESERVED: &str = "_ansible_";

pub struct RunModule;

/// How a module gets its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// A file of JSON.
    Json,
    /// A file of `key=value`, quoted as for a shell.
    Words,
    /// In place of [`MARKER`] in the module itself.
    Inline,
}

#[derive(Debug, Deserialize)]
pub struct Args {
    name: String,
    digest: Option<String>,
    content: Option<String>,
    style: Style,
    arguments: Map,
    interpreter: Vec<String>,
    check: bool,
}

impl Module for RunModule {
    type Args = Args;
    type Change = Args;

    const SPEC: Spec = Spec {
        name: "run_module",
        summary: "run a module of the user's own (internal)",
        args: &[
            Arg::str("name").required().doc("what its file is called"),
            Arg::str("digest").doc("SHA-256 of its content"),
            Arg::str("content").doc("the content itself in base64, for jobs"),
            Arg::str("style").required().doc("how it gets its arguments"),
            Arg::dict("arguments").required().doc("its arguments"),
            Arg::strings("interpreter").required().doc("what it is given to"),
            Arg::bool("check").required().doc("whether it is only to predict"),
        ],
        returns: &[],
        example: "",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Args>, Error> {
        if !args.check {
            return Ok(Plan::Unknown {
                change: args,
                skipped: Outcome::ok(),
            });
        }
        let predicted = args.run(system)?;
        Ok(if predicted.changed && !predicted.failed {
            Plan::Change {
                change: args,
                predicted,
            }
        } else {
            Plan::Same(predicted)
        })
    }

    fn apply(args: Args, system: &dyn System) -> Result<Outcome, Error> {
        args.run(system)
    }

    fn foresee(_change: &Args) -> Foresight {
        Foresight::Anything
    }
}

impl Args {
    fn run(&self, system: &dyn System) -> Result<Outcome, Error> {
        let mut program = match (&self.content, &self.digest) {
            (Some(text), _) => base64::Engine::decode(&base64::prelude::BASE64_STANDARD, text)
                .map_err(|error| Error::new(format!("the module's content is no base64: {error}")))?,
            (None, Some(digest)) => content(digest, system)?,
            (None, None) => return Err(Error::new("a content or its digest is required")),
        };
        let told = self.told()?;
        if self.style == Style::Inline {
            program = replaced(&program, MARKER.as_bytes(), told.as_bytes());
        }
        let mut files = vec![LentFile {
            name: self.name.clone(),
            content: program,
            mode: 0o700,
        }];
        if self.style != Style::Inline {
            files.push(LentFile {
                name: ARGUMENTS.to_owned(),
                content: told.into_bytes(),
                mode: 0o600,
            });
        }
        let ran = system.run_with(&files, &|folder| self.command(folder));
        match ran {
            Ok(output) => Ok(outcome(&output)),
            Err(error)
                if error.source.kind() == std::io::ErrorKind::NotFound && !self.interpreter.is_empty() =>
            {
                let interpreter = self.interpreter.join(" ");
                Ok(
                    Outcome::failed(format!("The module interpreter '{interpreter}' was not found."))
                        .with("module_stdout", "")
                        .with("module_stderr", error.to_string())
                        .with("rc", NOT_FOUND),
                )
            }
            Err(error) => Err(error.into()),
        }
    }

    fn told(&self) -> Result<String, Error> {
        let mut arguments = self.arguments.clone();
        arguments.insert(FOLDER.to_owned(), Value::Null);
        if self.style == Style::Words {
            let words = arguments.iter().map(|(name, value)| {
                let value = value.to_string();
                format!("{name}={} ", shell_words::quote(&value))
            });
            return Ok(words.collect());
        }
        serde_json::to_string(&arguments)
            .map_err(|error| Error::new(format!("the arguments are no JSON: {error}")))
    }

    fn command(&self, folder: &Path) -> Command {
        let file = |name: &str| folder.join(name).display().to_string();
        let mut argv = self.interpreter.clone();
        argv.push(file(&self.name));
        if self.style != Style::Inline {
            argv.push(file(ARGUMENTS));
        }
        Command::new(argv)
    }
}

/// The result that it has printed.
fn outcome(output: &CommandOutput) -> Outcome {
    let stdout = output.stdout_text();
    let broken = |why: String| {
        Outcome::failed(why)
            .with("module_stdout", stdout.as_str())
            .with("module_stderr", output.stderr_text())
            .with("rc", output.code)
    };
    let Some((json, after)) = json_part(&stdout) else {
        return broken("Module result deserialization failed: No start of json char found".to_owned());
    };
    let values: Map = match serde_json::from_str(json) {
        Ok(values) => values,
        Err(error) => return broken(format!("Module result deserialization failed: {error}")),
    };
    let mut outcome = result(values);
    if !after.is_empty() {
        let warning = format!("Module invocation had junk after the JSON data: {after}");
        let warnings = outcome
            .values
            .entry("warnings".to_owned())
            .or_insert_with(|| Value::List(Vec::new()));
        if let Value::List(warnings) = warnings {
            warnings.push(warning.into());
        }
    }
    outcome
}

/// From the first line that begins an object to the last that ends one, and what follows that.
fn json_part(text: &str) -> Option<(&str, &str)> {
    let mut at = 0;
    let mut start = None;
    let mut end = text.len();
    for line in text.split_inclusive('\n') {
        if start.is_none() && line.trim_start().starts_with('{') {
            start = Some(at);
        }
        at += line.len();
        if line.trim_end().ends_with('}') {
            end = at;
        }
    }
    let start = start.filter(|start| *start < end)?;
    Some((&text[start..end], text[end..].trim()))
}

/// A module's own words as a result.
fn result(mut values: Map) -> Outcome {
    let mut flag = |name: &str| values.shift_remove(name).and_then(|value| value.truth());
    let (changed, failed, skipped) = (flag("changed"), flag("failed"), flag("skipped"));
    let status = values.get("rc").and_then(Value::as_int).unwrap_or(0);
    values.retain(|name, _| !name.starts_with(RESERVED) && name != "invocation");
    let diff = match values.get("diff") {
        Some(Value::List(diffs)) => diffs.iter().filter_map(sides).collect(),
        Some(diff) => sides(diff).into_iter().collect(),
        None => Vec::new(),
    };
    Outcome {
        changed: changed.unwrap_or(false),
        failed: failed.unwrap_or(status != 0),
        skipped: skipped.unwrap_or(false),
        diff,
        values,
        ..Outcome::ok()
    }
}

/// What a diff shows; none if it is no pair of texts.
fn sides(diff: &Value) -> Option<Diff> {
    let Value::Map(map) = diff else { return None };
    let text = |key: &str| match map.get(key) {
        Some(Value::Map(state)) => serde_json::to_string_pretty(state).unwrap_or_default(),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    (map.contains_key("before") || map.contains_key("after")).then(|| Diff {
        before_header: text("before_header"),
        after_header: text("after_header"),
        before: text("before"),
        after: text("after"),
    })
}

fn replaced(text: &[u8], marker: &[u8], with: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + with.len());
    let mut rest = text;
    while let Some(at) = rest.windows(marker.len()).position(|window| window == marker) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(with);
        rest = &rest[at + marker.len()..];
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, run};
    use crate::system::fake::Fake;

    fn call(fake: &Fake, style: &str, check: bool) -> String {
        let digest = fake.hold("#!/bin/sh\n<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>\n");
        format!(
            r#"{{"name":"own.sh","digest":"{digest}","style":"{style}","interpreter":["/bin/sh"],
                "arguments":{{"a":"b c","l":["x"]}},"check":{check}}}"#
        )
    }

    /// A target on which the module prints `answer`.
    fn answering(answer: &'static str, code: i32) -> Fake {
        let fake = Fake::new();
        fake.directory("/tmp");
        fake.answer_with(move |fake, command| {
            assert!(fake.text(&command.argv[1]).starts_with("#!/bin/sh"));
            Some(CommandOutput {
                stdout: answer.as_bytes().to_vec(),
                code,
                ..CommandOutput::default()
            })
        });
        fake
    }

    #[test]
    fn arguments_come_in_three_styles() {
        for (style, wanted) in [
            ("json", r#"{"a":"b c","l":["x"],"_ansible_tmpdir":null}"#),
            ("words", r"a='b c' l='['\''x'\'']' _ansible_tmpdir=None "),
        ] {
            let fake = Fake::new();
            fake.directory("/tmp");
            fake.answer_with(move |fake, command| {
                assert_eq!(command.argv[0], "/bin/sh");
                assert_eq!(fake.text(&command.argv[2]), wanted);
                Some(CommandOutput {
                    stdout: b"{}".to_vec(),
                    ..CommandOutput::default()
                })
            });
            let before = fake.listing();
            assert!(!run::<RunModule>(&fake, &call(&fake, style, false)).failed);
            assert_eq!(fake.listing(), before, "nothing is left");
        }
        let fake = Fake::new();
        fake.directory("/tmp");
        fake.answer_with(|fake, command| {
            assert_eq!(command.argv.len(), 2);
            let text = fake.text(&command.argv[1]);
            assert!(text.contains("\n{\"a\":\"b c\""), "{text}");
            Some(CommandOutput {
                stdout: b"{}".to_vec(),
                ..CommandOutput::default()
            })
        });
        assert!(!run::<RunModule>(&fake, &call(&fake, "inline", false)).failed);
    }

    #[test]
    fn what_it_prints_is_the_result() {
        let fake = answering(
            "noise\n{\"changed\": true, \"rc\": 0, \"x\": [1], \"_ansible_y\": 1, \"diff\": {\"before\": \"a\", \"after\": \"b\"}}\nmore\n",
            3,
        );
        let outcome = run::<RunModule>(&fake, &call(&fake, "json", false));
        assert!(outcome.changed && !outcome.failed);
        assert_eq!(outcome.diff[0].after, "b");
        assert_eq!(outcome.values["x"], Value::List(vec![Value::Int(1)]));
        assert!(!outcome.values.contains_key("_ansible_y"));
        assert_eq!(
            outcome.values["warnings"].to_string(),
            "['Module invocation had junk after the JSON data: more']"
        );
    }

    #[test]
    fn what_is_no_json_is_a_failure_with_all_that_was_said() {
        let fake = answering("rubbish\n", 7);
        let outcome = run::<RunModule>(&fake, &call(&fake, "json", false));
        assert!(outcome.failed);
        assert_eq!(
            outcome.message(),
            Some("Module result deserialization failed: No start of json char found")
        );
        assert_eq!(outcome.values["module_stdout"], "rubbish\n".into());
        assert_eq!(outcome.values["rc"], Value::Int(7));
    }

    #[test]
    fn a_status_in_the_result_is_a_failure() {
        let fake = answering(r#"{"rc": 5}"#, 0);
        assert!(run::<RunModule>(&fake, &call(&fake, "json", false)).failed);
    }

    #[test]
    fn it_predicts_for_itself() {
        let fake = answering(r#"{"changed": true}"#, 0);
        assert!(check::<RunModule>(&fake, &call(&fake, "json", true)).changed);
    }
}

//! `raw`: a line for the target's shell, with nothing around it. After ansible.builtin.raw.
//!
//! There it is the way to hosts without Python. Here it needs the agent as everything does, and differs from `shell` by its result: the
//! output as it is, no times, no `creates`.

use serde::Deserialize;

use crate::modules::commands::command::ENDED;
use crate::modules::commands::shell::DEFAULT_SHELL;
use crate::modules::{Arg, Error, Module, Plan, Spec, tool};
use crate::system::foresight::Foresight;
use crate::system::{Command, System};
use crate::wire::message::Outcome;

pub struct Raw;

#[derive(Deserialize)]
pub struct Args {
    #[serde(rename = "_raw_params")]
    line: String,
    executable: Option<String>,
}

impl Module for Raw {
    type Args = Args;
    type Change = Command;

    const SPEC: Spec = Spec {
        name: "raw",
        summary: "Run a line with the target's shell, and give its output as it is",
        args: &[
            Arg::str("_raw_params").required().doc("The line."),
            Arg::str("executable").doc("The shell; /bin/sh unless given."),
        ],
        returns: ENDED,
        example: "- raw: cat /etc/os-release\n",
        free_form: Some("_raw_params"),
        rules: &[],
    };

    fn check(args: Args, _system: &dyn System) -> Result<Plan<Command>, Error> {
        let shell = args.executable.unwrap_or_else(|| DEFAULT_SHELL.to_owned());
        let skipped = Outcome {
            skipped: true,
            ..Outcome::ok()
        };
        Ok(Plan::Unknown {
            change: Command::new([shell, "-c".to_owned(), args.line]),
            skipped,
        })
    }

    fn foresee(_: &Command) -> Foresight {
        Foresight::Anything
    }

    fn apply(change: Command, system: &dyn System) -> Result<Outcome, Error> {
        Ok(ended(&system.run(&change)?))
    }
}

/// The result of a command of which nothing but its output and its end is told.
pub(super) fn ended(output: &crate::system::CommandOutput) -> Outcome {
    let (stdout, stderr) = (output.stdout_text(), output.stderr_text());
    let outcome = Outcome::changed(true)
        .with("rc", output.code)
        .with("stdout_lines", tool::lines(&stdout))
        .with("stderr_lines", tool::lines(&stderr))
        .with("stdout", stdout)
        .with("stderr", stderr);
    if output.code == 0 {
        return outcome;
    }
    Outcome {
        failed: true,
        ..outcome.with("msg", "non-zero return code")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, run};
    use crate::system::fake::Fake;

    #[test]
    fn output_comes_as_it_is() {
        let fake = Fake::new();
        fake.answer("/bin/sh -c echo a | cat", 0, "a\n")
            .answer("/bin/bash -c false", 1, "");
        let would = check::<Raw>(&fake, r#"{"_raw_params":"echo a | cat"}"#);
        assert!(would.skipped && fake.ran().is_empty());
        let outcome = run::<Raw>(&fake, r#"{"_raw_params":"echo a | cat"}"#);
        assert_eq!(outcome.values["stdout"], "a\n".into());
        assert!(outcome.changed && !outcome.failed);
        let failed = run::<Raw>(&fake, r#"{"_raw_params":"false","executable":"/bin/bash"}"#);
        assert!(failed.failed && failed.values["rc"] == 1.into());
    }
}

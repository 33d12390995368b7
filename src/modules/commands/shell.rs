//! `shell`: a line for the target's shell. After ansible.builtin.shell.
//!
//! Everything but the way to the process is `command`'s.

#![expect(clippy::similar_names, reason = "`args` are the task's, `argv` a program's")]

use serde::Deserialize;

use crate::modules::commands::command::{self, Execution, Setting};
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec};
use crate::system::System;
use crate::system::foresight::Foresight;
use crate::wire::message::Outcome;

/// What Ansible runs lines with unless told otherwise.
pub(super) const DEFAULT_SHELL: &str = "/bin/sh";

pub struct Shell;

#[derive(Deserialize)]
pub struct Args {
    #[serde(rename = "_raw_params")]
    free_form: Option<String>,
    cmd: Option<String>,
    executable: Option<String>,
    #[serde(flatten)]
    setting: Setting,
}

impl Module for Shell {
    type Args = Args;
    type Change = Execution;

    const SPEC: Spec = Spec {
        name: "shell",
        summary: "Run a line with the target's shell",
        args: &[
            Arg::str("_raw_params").doc("The line."),
            Arg::str("cmd").doc("The line, as an argument."),
            Arg::path("chdir").doc("Folder to run in."),
            Arg::path("creates").doc("Nothing is run if this path or pattern exists."),
            Arg::path("removes").doc("Nothing is run unless this path or pattern exists."),
            Arg::path("executable").doc("The shell; /bin/sh unless given."),
            Arg::str("stdin").doc("Text for standard input."),
            Arg::bool("stdin_add_newline")
                .default("yes")
                .doc("Append a newline to `stdin`."),
            Arg::bool("strip_empty_ends")
                .default("yes")
                .doc("Drop newlines at the end of stdout and stderr."),
        ],
        returns: &[
            Return::new("cmd", "list of str", "the command"),
            Return::new("rc", "int", "its exit status"),
            Return::new("stdout", "str", "its output"),
            Return::new("stdout_lines", "list of str", "the same by lines"),
            Return::new("stderr", "str", "its errors"),
            Return::new("stderr_lines", "list of str", "the same by lines"),
            Return::new("start", "str", "when it was started"),
            Return::new("end", "str", "when it had ended"),
            Return::new("delta", "str", "how long it took"),
            Return::new("msg", "str", "why it failed, or was not run"),
        ],
        example: "- shell: set -o pipefail; zcat dump.gz | psql app\n  args:\n    chdir: /srv\n    executable: /bin/bash\n",
        free_form: Some("_raw_params"),
        rules: &[
            Rule::OneOf(&["_raw_params", "cmd"]),
            Rule::Exclusive(&["_raw_params", "cmd"]),
        ],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Execution>, Error> {
        let line = args.free_form.or(args.cmd).unwrap_or_default();
        if line.trim().is_empty() {
            return Err(Error::new("no command given").with("rc", 256));
        }
        let shell = args.executable.unwrap_or_else(|| DEFAULT_SHELL.to_owned());
        let argv = vec![shell, "-c".to_owned(), line.clone()];
        command::plan(argv, line.into(), args.setting, system)
    }

    fn foresee(_: &Execution) -> Foresight {
        Foresight::Anything
    }

    fn apply(change: Execution, system: &dyn System) -> Result<Outcome, Error> {
        command::execute(change, system)
    }
}

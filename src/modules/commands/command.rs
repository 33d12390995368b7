//! `command`: a program with its arguments, no shell between. After ansible.builtin.command.
//!
//! The part that `shell` shares is [`Execution`]. Deliberately no `warn` and no `executable`: the latter
//! has had no effect on `command` since Ansible 2.4 and only earns a warning.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

use crate::modules::files::{expand, path};
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec, tool};
use crate::system::foresight::Foresight;
use crate::system::{self, System, SystemError};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct Command;

#[derive(Deserialize)]
pub struct Args {
    #[serde(rename = "_raw_params")]
    free_form: Option<String>,
    cmd: Option<String>,
    argv: Option<Vec<String>>,
    executable: Option<String>,
    expand_argument_vars: bool,
    #[serde(flatten)]
    setting: Setting,
}

/// What `command` and `shell` have in common.
#[derive(Deserialize)]
pub struct Setting {
    chdir: Option<String>,
    creates: Option<String>,
    removes: Option<String>,
    stdin: Option<String>,
    stdin_add_newline: bool,
    strip_empty_ends: bool,
}

/// The table of a module's own arguments with those of [`Setting`] added.
macro_rules! with_setting_args {
    ($($own:expr),* $(,)?) => {
        &[
            $($own,)*
            $crate::modules::commands::command::CHDIR,
            $crate::modules::commands::command::CREATES,
            $crate::modules::commands::command::REMOVES,
            $crate::modules::Arg::str("stdin").doc("Text for standard input."),
            $crate::modules::Arg::bool("stdin_add_newline")
                .default("yes")
                .doc("Append a newline to `stdin`."),
            $crate::modules::Arg::bool("strip_empty_ends")
                .default("yes")
                .doc("Drop newlines at the end of stdout and stderr."),
        ]
    };
}
pub(super) use with_setting_args;

pub const CHDIR: Arg = Arg::path("chdir").doc("Folder to run in.");
pub const CREATES: Arg = Arg::path("creates").doc("Nothing is run if this path or pattern exists.");
pub const REMOVES: Arg = Arg::path("removes").doc("Nothing is run unless this path or pattern exists.");

pub const RC: Return = Return::new("rc", "int", "its exit status");
pub const STDOUT: Return = Return::new("stdout", "str", "its output");
pub const STDOUT_LINES: Return = Return::new("stdout_lines", "list of str", "the same by lines");
pub const STDERR: Return = Return::new("stderr", "str", "its errors");
pub const STDERR_LINES: Return = Return::new("stderr_lines", "list of str", "the same by lines");
pub const START: Return = Return::new("start", "str", "when it was started");
pub const END: Return = Return::new("end", "str", "when it had ended");
pub const DELTA: Return = Return::new("delta", "str", "how long it took");

/// What is told of a process that has ended.
pub const ENDED: &[Return] = &[RC, STDOUT, STDOUT_LINES, STDERR, STDERR_LINES];

/// What `command` and `shell` tell.
pub const RETURNS: &[Return] = &[
    Return::new("cmd", "list of str", "the command"),
    RC,
    STDOUT,
    STDOUT_LINES,
    STDERR,
    STDERR_LINES,
    START,
    END,
    DELTA,
    Return::new("msg", "str", "why it failed, or was not run"),
];

/// A process that is to be run.
#[derive(Debug)]
pub struct Execution {
    command: system::Command,
    /// The `cmd` of the result: a list, or the shell's line.
    shown: Value,
    strip_empty_ends: bool,
    warnings: Vec<String>,
}

impl Module for Command {
    type Args = Args;
    type Change = Execution;

    const SPEC: Spec = Spec {
        name: "command",
        summary: "Run a program on the target, without a shell",
        args: with_setting_args![
            Arg::str("_raw_params").doc("The command line, split as a shell would, run without one."),
            Arg::str("cmd").doc("The command line, as an argument."),
            Arg::strings("argv").doc("Program and arguments as a list."),
            Arg::path("executable").doc("Has no effect here; see `shell`."),
            Arg::bool("expand_argument_vars")
                .default("yes")
                .doc("Expand `$NAME` and `~` in arguments."),
        ],
        returns: RETURNS,
        example: "- command: /usr/bin/make install\n  args:\n    chdir: /srv/app\n    creates: /usr/local/bin/app\n- command:\n    argv: [/usr/bin/printf, '%s', a b]\n  changed_when: false\n",
        free_form: Some("_raw_params"),
        rules: &[
            Rule::OneOf(&["_raw_params", "cmd", "argv"]),
            Rule::Exclusive(&["_raw_params", "cmd", "argv"]),
        ],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Execution>, Error> {
        let words = match (args.argv, args.free_form.or(args.cmd)) {
            (Some(words), _) => words,
            (None, Some(line)) => shell_words::split(&line).map_err(|_| {
                Error::new(format!(
                    "the command has a quote that is never closed: {}",
                    line.trim()
                ))
            })?,
            (None, None) => Vec::new(),
        };
        if words.is_empty() {
            return Err(Error::new("no command given").with("rc", 256));
        }
        let expanded = if args.expand_argument_vars {
            let expand = |word: &String| expand::home(&path::with_variables(word, system), system);
            words.iter().map(expand).collect()
        } else {
            words.clone()
        };
        let mut plan = plan(expanded, words.into(), args.setting, system)?;
        if let (Some(executable), Plan::Unknown { change, .. }) = (args.executable, &mut plan) {
            change.warnings.push(format!(
                "`executable` has no effect on the command module, `{executable}` is not used; use shell"
            ));
        }
        Ok(plan)
    }

    fn foresee(_: &Execution) -> Foresight {
        Foresight::Anything
    }

    fn apply(change: Execution, system: &dyn System) -> Result<Outcome, Error> {
        execute(change, system)
    }
}

/// Whether to run at all: the decision on `creates`, `removes` and `chdir`.
pub fn plan(
    argv: Vec<String>,
    shown: Value,
    setting: Setting,
    system: &dyn System,
) -> Result<Plan<Execution>, Error> {
    let directory = setting
        .chdir
        .as_deref()
        .map(|text| path::expand(text, system))
        .transpose()?;
    let exists = |pattern: &str| {
        let path = path::expand(pattern, system)?;
        let path = directory
            .as_ref()
            .map_or(path.clone(), |directory| directory.join(&path));
        expand::any_exists(&path, system)
    };
    let mut reason = None;
    if let Some(pattern) = &setting.creates
        && exists(pattern)?
    {
        reason = Some((pattern, "exists"));
    }
    if let Some(pattern) = &setting.removes
        && reason.is_none()
        && !exists(pattern)?
    {
        reason = Some((pattern, "does not exist"));
    }
    if let Some((pattern, state)) = reason {
        let message = format!("Did not run command since '{pattern}' {state}");
        let stdout = format!("skipped, since {pattern} {state}");
        let outcome = ended(Outcome::ok(), shown, 0, stdout, String::new()).with("msg", message);
        return Ok(Plan::Same(untimed(outcome)));
    }
    let conditional = setting.creates.is_some() || setting.removes.is_some();
    let mut skipped = ended(
        Outcome::changed(conditional),
        shown.clone(),
        0,
        String::new(),
        String::new(),
    )
    .with("msg", "Command would have run if not in check mode");
    skipped.skipped = !conditional;
    let mut stdin = setting.stdin.unwrap_or_default();
    if setting.stdin_add_newline && !stdin.is_empty() {
        stdin.push('\n');
    }
    let mut command = system::Command::new(argv);
    command.directory = directory;
    command.stdin = stdin.into_bytes();
    Ok(Plan::Unknown {
        change: Execution {
            command,
            shown,
            strip_empty_ends: setting.strip_empty_ends,
            warnings: Vec::new(),
        },
        skipped: untimed(skipped),
    })
}

/// Runs it; the result is Ansible's, a failure's included.
pub fn execute(execution: Execution, system: &dyn System) -> Result<Outcome, Error> {
    let Execution {
        command,
        shown,
        strip_empty_ends,
        warnings,
    } = execution;
    if let Some(directory) = &command.directory {
        system.read_dir(directory).map_err(|error| {
            let mut outcome = ended(Outcome::ok(), shown.clone(), 0, String::new(), String::new());
            outcome.values.insert("rc".to_owned(), Value::Null);
            Error {
                message: format!("Unable to change directory before execution: {}", error.source),
                values: untimed(outcome).values,
            }
        })?;
    }
    let start = system.now();
    let output = system
        .run(&command)
        .map_err(|error| not_started(&error, &command))?;
    let end = system.now();
    let text = |bytes: String| {
        if strip_empty_ends {
            bytes.trim_end_matches(['\r', '\n']).to_owned()
        } else {
            bytes
        }
    };
    let mut outcome = ended(
        Outcome::changed(true),
        shown,
        output.code,
        text(output.stdout_text()),
        text(output.stderr_text()),
    )
    .with("start", moment(start))
    .with("end", moment(end))
    .with("delta", span(end.duration_since(start).unwrap_or_default()))
    .with("msg", "");
    if output.code != 0 {
        outcome.failed = true;
        outcome = outcome.with("msg", "non-zero return code");
    }
    if !warnings.is_empty() {
        outcome = outcome.with("warnings", warnings);
    }
    Ok(outcome)
}

/// Python reports the errno of a program that could not be started as its exit status.
fn not_started(error: &SystemError, command: &system::Command) -> Error {
    let code = error.source.raw_os_error().unwrap_or(match error.source.kind() {
        std::io::ErrorKind::PermissionDenied => 13,
        _ => 2,
    });
    Error {
        message: format!("Error executing command: {error}"),
        values: ended(
            Outcome::ok(),
            command.argv.join(" ").into(),
            code,
            String::new(),
            String::new(),
        )
        .values,
    }
}

fn ended(outcome: Outcome, shown: Value, code: i32, stdout: String, stderr: String) -> Outcome {
    outcome
        .with("cmd", shown)
        .with("rc", code)
        .with("stdout_lines", tool::lines(&stdout))
        .with("stderr_lines", tool::lines(&stderr))
        .with("stdout", stdout)
        .with("stderr", stderr)
}

fn untimed(outcome: Outcome) -> Outcome {
    let absent: Map = ["start", "end", "delta"]
        .map(|key| (key.to_owned(), Value::Null))
        .into();
    let mut outcome = outcome;
    outcome.values.extend(absent);
    outcome
}

/// Python's `str(datetime)` in the target's time zone.
pub(super) fn moment(time: SystemTime) -> String {
    let Ok(timestamp) = jiff::Timestamp::try_from(time) else {
        return String::new();
    };
    timestamp
        .to_zoned(jiff::tz::TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S.%6f")
        .to_string()
}

/// Python's `str(timedelta)`.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let days = match seconds / 86_400 {
        0 => String::new(),
        1 => "1 day, ".to_owned(),
        days => format!("{days} days, "),
    };
    format!(
        "{days}{}:{:02}:{:02}.{:06}",
        seconds % 86_400 / 3600,
        seconds % 3600 / 60,
        seconds % 60,
        duration.subsec_micros()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_durations_as_python_does() {
        assert_eq!(span(Duration::from_micros(4_329)), "0:00:00.004329");
        assert_eq!(span(Duration::from_secs(90_061)), "1 day, 1:01:01.000000");
    }

    #[test]
    fn creates_and_removes_decide_whether_to_run() {
        use crate::modules::{AnyModule, Mode, entry};
        use crate::system::fake::Fake;

        let fake = Fake::new();
        fake.directory("/srv").file("/srv/done.txt", "");
        fake.answer("make it", 0, "made\n").answer("make fail", 2, "");
        let run = |arguments: &str, check: bool| {
            let arguments = Command::SPEC
                .resolve(&serde_json::from_str(arguments).unwrap())
                .unwrap();
            entry::<Command>().run(&arguments, Mode { check, diff: false }, &fake)
        };
        let there = run(
            r#"{"_raw_params":"make it","chdir":"/srv","creates":"done.*"}"#,
            false,
        );
        assert!(!there.changed && !there.skipped);
        assert_eq!(there.values["stdout"], "skipped, since done.* exists".into());
        assert!(fake.ran().is_empty());
        let would = run(r#"{"_raw_params":"make it","removes":"/srv/done.txt"}"#, true);
        assert!(would.changed && !would.skipped && fake.ran().is_empty());
        assert!(run(r#"{"cmd":"make it"}"#, true).skipped);
        assert_eq!(
            run(r#"{"argv":["make","it"]}"#, false).values["stdout"],
            "made".into()
        );
        let failed = run(r#"{"cmd":"make fail"}"#, false);
        assert!(failed.failed && failed.changed);
        assert_eq!(failed.message(), Some("non-zero return code"));
    }
}

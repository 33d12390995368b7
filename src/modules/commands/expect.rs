//! `expect`: a program that asks, and its answers. After ansible.builtin.expect.
//!
//! The program runs on a terminal of its own, so that what asks for passwords there is answered, too. Output and errors are one stream.

use std::time::Duration;

use serde::Deserialize;

use crate::modules::commands::command::{CHDIR, CREATES, DELTA, END, RC, REMOVES, START, STDOUT_LINES};
use crate::modules::files::{expand, path, pattern};
use crate::modules::{Arg, Error, Module, Plan, Return, Spec, tool};
use crate::system::{Command, Reply, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct Expect;

#[derive(Debug, Deserialize)]
pub struct Args {
    command: String,
    responses: Map,
    timeout: Option<u64>,
    echo: bool,
    chdir: Option<String>,
    creates: Option<String>,
    removes: Option<String>,
}

/// A program that is to be run, and what it is answered.
#[derive(Debug)]
pub struct Change {
    command: Command,
    shown: String,
    echo: bool,
    answers: Vec<Answer>,
}

/// What is said to a question: the same each time, or one text after the other.
#[derive(Debug)]
struct Answer {
    question: String,
    texts: Vec<String>,
    repeated: bool,
}

impl Module for Expect {
    type Args = Args;
    type Change = Change;
    const SPEC: Spec = Spec {
        name: "expect",
        summary: "run a program that asks, and answer it",
        args: &[
            Arg::str("command").required().doc("the program and its arguments; no shell"),
            Arg::dict("responses").required().secret().doc(
                "regular expressions of what is asked, and the answers: a text, or a list of texts for one time after the other",
            ),
            Arg::int("timeout")
                .default("30")
                .doc("seconds that it may say nothing to be answered; none: any time"),
            Arg::bool("echo").default("no").doc("the output shows the answers"),
            CHDIR,
            CREATES,
            REMOVES,
        ],
        returns: &[
            Return::new("cmd", "str", "the command"),
            RC,
            Return::new("stdout", "str", "all that it said"),
            STDOUT_LINES,
            START,
            END,
            DELTA,
        ],
        example: "- expect:\n    command: passwd app\n    responses:\n      (?i)password: '{{ app_password }}'\n  no_log: true\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let directory = args
            .chdir
            .as_deref()
            .map(|text| path::expand(text, system))
            .transpose()?;
        let exists = |text: &str| -> Result<bool, Error> {
            let path = path::expand(text, system)?;
            let path = directory
                .as_ref()
                .map_or(path.clone(), |directory| directory.join(&path));
            expand::any_exists(&path, system)
        };
        let untouched = |reason: String| {
            let outcome = Outcome::ok()
                .with("cmd", args.command.as_str())
                .with("stdout", reason)
                .with("rc", 0);
            Ok(Plan::Same(outcome))
        };
        if let Some(creates) = &args.creates
            && exists(creates)?
        {
            return untouched(format!("skipped, since {creates} exists"));
        }
        if let Some(removes) = &args.removes
            && !exists(removes)?
        {
            return untouched(format!("skipped, since {removes} does not exist"));
        }
        let words = shell_words::split(&args.command).map_err(|_| {
            Error::new(format!(
                "the command has a quote that is never closed: {}",
                args.command.trim()
            ))
        })?;
        let Some(program) = words.first() else {
            return Err(Error::new("no command given").with("rc", 256));
        };
        if system.which(program).is_none() {
            return Err(Error::new(format!(
                "The command was not found or was not executable: {program}."
            )));
        }
        let answers: Result<Vec<Answer>, Error> = args.responses.iter().map(Answer::of).collect();
        let mut command = Command::new(words);
        command.directory = directory;
        command.timeout = args.timeout.map(Duration::from_secs);
        Ok(Plan::Unknown {
            change: Change {
                command,
                shown: args.command,
                echo: args.echo,
                answers: answers?,
            },
            skipped: Outcome::skipped("This module does not support check mode."),
        })
    }

    fn apply(mut change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let patterns: Result<Vec<_>, Error> = change
            .answers
            .iter()
            .map(|answer| pattern::compile("responses", &format!("(?s){}", answer.question)))
            .collect();
        let patterns = patterns?;
        let mut unanswered = None;
        let answers = &mut change.answers;
        let mut answer = |said: &[u8]| {
            // The earliest question; of two at one place, the first of the table.
            let earliest = patterns
                .iter()
                .enumerate()
                .filter_map(|(index, pattern)| {
                    let found = pattern.find_at(said, 0)?.group("0")?;
                    Some((found.start, index, found.end))
                })
                .min();
            let Some((_, index, end)) = earliest else {
                return Reply::Wait;
            };
            if let Some(text) = answers[index].next() {
                Reply::Type(
                    format!("{}\n", text.trim_end_matches('\n')).into_bytes(),
                    end.max(1),
                )
            } else {
                unanswered = Some((
                    answers[index].question.clone(),
                    String::from_utf8_lossy(said).into_owned(),
                ));
                Reply::Stop
            }
        };
        let start = system.now();
        let output = system.converse(&change.command, change.echo, &mut answer)?;
        let end = system.now();
        if let Some((question, said)) = unanswered {
            return Err(Error::new(format!(
                "No remaining responses for '{question}', output was '{said}'"
            )));
        }
        let stdout = output.stdout_text();
        let stdout = stdout.trim_end_matches(['\r', '\n']);
        let outcome = Outcome::changed(true)
            .with("cmd", change.shown)
            .with("stdout", stdout)
            .with("stdout_lines", tool::lines(stdout))
            .with("start", super::command::moment(start))
            .with("end", super::command::moment(end))
            .with(
                "delta",
                super::command::span(end.duration_since(start).unwrap_or_default()),
            );
        let failed = |outcome: Outcome, message: &str| Outcome {
            failed: true,
            ..outcome.with("msg", message)
        };
        Ok(if output.timed_out {
            failed(outcome.with("rc", Value::Null), "command exceeded timeout")
        } else if output.code != 0 {
            failed(outcome.with("rc", output.code), "non-zero return code")
        } else {
            outcome.with("rc", 0)
        })
    }
}

impl Answer {
    fn of((question, answer): (&String, &Value)) -> Result<Self, Error> {
        pattern::compile("responses", question)?;
        let (texts, repeated) = match answer {
            Value::List(texts) => (texts.iter().rev().map(ToString::to_string).collect(), false),
            text => (vec![text.to_string()], true),
        };
        Ok(Self {
            question: question.clone(),
            texts,
            repeated,
        })
    }

    fn next(&mut self) -> Option<String> {
        if self.repeated {
            self.texts.first().cloned()
        } else {
            self.texts.pop()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, failure, run};
    use crate::system::CommandOutput;
    use crate::system::fake::Fake;

    /// A machine with a program that asks twice for a name and once for a password.
    fn machine() -> Fake {
        let fake = Fake::new();
        fake.program("/usr/bin/ask").file("/there", "");
        fake.answer_with(|_, _| {
            Some(CommandOutput {
                stdout: b"Name: \r\nName: \r\nPassword: \r\ndone\r\n".to_vec(),
                ..CommandOutput::default()
            })
        });
        fake
    }

    #[test]
    fn each_question_gets_its_answer() {
        let fake = machine();
        let arguments = r#"{"command":"ask -x","responses":{"^Name":["ann","bob"],"(?i)pass":"se cret"}}"#;
        assert!(check::<Expect>(&fake, arguments).skipped);
        let outcome = run::<Expect>(&fake, arguments);
        assert!(outcome.changed && !outcome.failed, "{outcome:?}");
        assert!(outcome.values["stdout"].to_string().ends_with("\ndone"));
        assert_eq!(fake.commands().last().unwrap().stdin, b"ann\nbob\nse cret\n");
    }

    #[test]
    fn answers_may_not_be_enough() {
        let fake = machine();
        let refused = failure::<Expect>(&fake, r#"{"command":"ask","responses":{"Name":["ann"]}}"#);
        assert!(
            refused.starts_with("No remaining responses for 'Name'"),
            "{refused}"
        );
        let refused = failure::<Expect>(&fake, r#"{"command":"none","responses":{}}"#);
        assert_eq!(refused, "The command was not found or was not executable: none.");
    }

    #[test]
    fn conditions_are_looked_at_first() {
        let fake = machine();
        let outcome = run::<Expect>(&fake, r#"{"command":"ask","responses":{},"creates":"/there"}"#);
        assert_eq!(outcome.values["stdout"], "skipped, since /there exists".into());
        assert!(!outcome.changed && fake.commands().is_empty());
    }
}

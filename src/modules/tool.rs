//! The programs of a target that modules call: run, and judged by their exit status.

use super::{Error, Plan};
use crate::system::foresight::{Effect, Foresight, Subject};
use crate::system::{Command, CommandOutput, System};
use crate::value::Value;
use crate::wire::message::Outcome;

/// A decision that is nothing but programs to run, one after the other.
#[derive(Debug)]
pub struct Calls {
    pub commands: Vec<Command>,
    /// The result if all of them succeed.
    pub outcome: Outcome,
    /// What they leave, for the later tasks of a check.
    pub effects: Vec<Effect>,
}

impl Calls {
    pub fn new(outcome: Outcome) -> Self {
        Self {
            commands: Vec::new(),
            outcome,
            effects: Vec::new(),
        }
    }

    pub fn push<S: Into<String>>(&mut self, argv: impl IntoIterator<Item = S>) {
        self.commands.push(Command::new(argv));
    }

    pub fn leaves(&mut self, of: Subject, name: impl Into<String>, is: impl Into<Value>) {
        self.effects.push(Effect::State {
            of,
            name: name.into(),
            is: is.into(),
        });
    }

    /// Nothing to run is nothing to change.
    pub fn plan(mut self) -> Plan<Self> {
        if self.commands.is_empty() {
            return Plan::Same(self.outcome);
        }
        self.outcome.changed = true;
        let predicted = self.outcome.clone();
        Plan::Change {
            change: self,
            predicted,
        }
    }

    pub fn apply(self, system: &dyn System) -> Result<Outcome, Error> {
        for command in &self.commands {
            run(system, command)?;
        }
        Ok(self.outcome)
    }

    pub fn foresee(&self) -> Foresight {
        Foresight::Effects(self.effects.clone())
    }
}

/// Runs a program; an exit status other than zero is an error that carries what it said.
pub fn run(system: &dyn System, command: &Command) -> Result<CommandOutput, Error> {
    let output = system.run(command)?;
    if output.success() {
        Ok(output)
    } else {
        Err(failure(command, &output))
    }
}

/// [`run`], standard output as text.
pub fn text_of(system: &dyn System, command: &Command) -> Result<String, Error> {
    run(system, command).map(|output| output.stdout_text())
}

/// Refuses early, with what to do, where a program is missing.
pub fn require(system: &dyn System, program: &str, purpose: &str) -> Result<(), Error> {
    match system.which(program) {
        Some(_) => Ok(()),
        None => Err(Error::new(format!(
            "`{program}` is not on the target and is needed to {purpose}; install the package that has it"
        ))),
    }
}

/// An error that says which program failed and how.
pub fn failure(command: &Command, output: &CommandOutput) -> Error {
    let (stdout, stderr) = (output.stdout_text(), output.stderr_text());
    let told = said(output);
    let ending = if output.timed_out {
        "did not end in time".to_owned()
    } else {
        format!("failed with status {}", output.code)
    };
    Error::new(format!("`{}` {ending}: {told}", command.argv.join(" ")))
        .with("cmd", command.argv.clone())
        .with("rc", output.code)
        .with("stdout_lines", lines(&stdout))
        .with("stderr_lines", lines(&stderr))
        .with("stdout", stdout)
        .with("stderr", stderr)
}

/// What a program that failed said: its errors or, without any, its output.
pub fn said(output: &CommandOutput) -> String {
    let (stdout, stderr) = (output.stdout_text(), output.stderr_text());
    let mut texts = [stderr.trim(), stdout.trim()].into_iter();
    texts
        .find(|text| !text.is_empty())
        .unwrap_or("it said nothing")
        .to_owned()
}

/// A text's lines, as results carry them beside the text itself.
pub fn lines(text: &str) -> Value {
    text.lines().map(str::to_owned).collect::<Vec<_>>().into()
}

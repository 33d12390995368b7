//! The command line: what may be written, what it means, and one file per verb.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use self::arguments::Invocation;
use crate::diagnostic::Diagnostic;

pub mod agent;
pub mod arguments;
pub mod extra_vars;
pub mod init;
pub mod keyring;
mod output;
pub mod play;
pub mod playbook_lookup;
pub mod registry;
pub mod settings;

/// The name under which the executable is the registry.
const REGISTRY: &str = "regdeploy-registry";

/// Runs what the command line asks for, the program's name first.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let called = arguments.first().and_then(|name| Path::new(name).file_name());
    if called.is_some_and(|name| name == REGISTRY) {
        return registry::main(arguments);
    }
    match Invocation::parse(arguments) {
        Ok(Invocation::Play(arguments)) => play::run(*arguments),
        Ok(Invocation::Init(arguments)) => match init::run(&arguments, &mut std::io::stdout()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, 1),
        },
        Ok(Invocation::Registry(rest)) => {
            registry::main(std::iter::once(REGISTRY.into()).chain(rest).collect())
        }
        Ok(Invocation::Agent(rest)) => agent::run(
            rest.into_iter()
                .map(|argument| argument.to_string_lossy().into_owned()),
        ),
        Err(error) => {
            // A closed pipe is no reason for another error.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
    }
}

/// Shows an error and gives its exit code.
fn fail(error: &Diagnostic, code: u8) -> ExitCode {
    use std::io::IsTerminal;
    eprintln!("{}", error.render(std::io::stderr().is_terminal()));
    ExitCode::from(code)
}

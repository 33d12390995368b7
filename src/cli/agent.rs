//! `regdeploy agent`: what the controller starts on a target, and the jobs that an agent leaves behind. Not for
//! people.

use std::process::ExitCode;

use crate::agent;
use crate::system::local::terminal;
use crate::wire::bootstrap::BUILD;

/// What the program tells the agents that it starts from its own file.
pub const FLAGS: [&str; 4] = [BUILD, agent::job::DETACH, agent::job::WORK, terminal::ATTACH];

/// Serves on standard input and output until the input ends. `--build DIGEST` tells the digest of the
/// executable to an agent whose parent knows it.
pub fn run(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let mut arguments = arguments.into_iter().peekable();
    if arguments.next_if(|word| word == terminal::ATTACH).is_some() {
        return ended(terminal::attach(arguments));
    }
    let build = match (arguments.next().as_deref(), arguments.next(), arguments.next()) {
        (None, ..) => None,
        (Some(BUILD), Some(digest), None) => Some(digest),
        (Some(agent::job::DETACH), None, None) => return ended(agent::job::detach()),
        (Some(agent::job::WORK), None, None) => return ended(agent::job::work()),
        _ => {
            eprintln!("regdeploy agent is started by regdeploy itself and takes no arguments");
            return ExitCode::from(2);
        }
    };
    ended(agent::run(build))
}

fn ended<E: std::fmt::Display>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("agent: {error}");
            ExitCode::FAILURE
        }
    }
}

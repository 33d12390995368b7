//! `regdeploy-registry`: the registry's verbs, a file for each.
//!
//! Reached by the executable's name or as `regdeploy registry`. Data goes to standard output, messages to
//! standard error. To add a verb: a file with its arguments and `run`, a variant of [`Verb`] and its arm.

mod config;
mod explain_access;
mod export;
mod gc;
mod import;
mod progress;
mod purge;
mod readonly;
mod retention;
mod scrub;
mod serve;
mod stats;
mod user;
mod workplace;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::diagnostic::Diagnostic;
use crate::registry::config::{Config, Origin};

/// A container registry: the OCI distribution protocol on a local folder.
#[derive(Parser)]
#[command(name = "regdeploy-registry", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve until SIGTERM or SIGINT
    Serve(serve::Arguments),
    /// Look at a configuration
    #[command(subcommand)]
    Config(config::Arguments),
    /// Who may log in
    #[command(subcommand)]
    User(user::Arguments),
    /// Say whether somebody may do something, by which rule, and why
    ExplainAccess(explain_access::Arguments),
    // What these do is said at their arguments, at length.
    Gc(gc::Arguments),
    Purge(purge::Arguments),
    Retention(retention::Arguments),
    Scrub(scrub::Arguments),
    Stats(stats::Arguments),
    Import(import::Arguments),
    Export(export::Arguments),
    Readonly(readonly::Arguments),
}

/// Runs the command line; `args` start with the program's name.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers, not errors; clap knows which is which.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match arguments.verb {
        Verb::Serve(arguments) => serve::run(&arguments),
        Verb::Config(arguments) => config::run(&arguments),
        Verb::User(arguments) => user::run(&arguments),
        Verb::ExplainAccess(arguments) => explain_access::run(&arguments),
        Verb::Gc(arguments) => gc::run(&arguments),
        Verb::Purge(arguments) => purge::run(&arguments),
        Verb::Retention(arguments) => retention::run(&arguments),
        Verb::Scrub(arguments) => scrub::run(&arguments),
        Verb::Stats(arguments) => stats::run(&arguments),
        Verb::Import(arguments) => import::run(&arguments),
        Verb::Export(arguments) => export::run(&arguments),
        Verb::Readonly(arguments) => readonly::run(&arguments),
    }
}

/// Reads a configuration and says on standard error what there is to say of it.
fn load(origin: &Origin) -> Option<Config> {
    match origin.read() {
        Ok(loaded) => {
            loaded.warnings.iter().for_each(say);
            Some(loaded.config)
        }
        Err(errors) => {
            errors.iter().for_each(say);
            None
        }
    }
}

fn say(diagnostic: &Diagnostic) {
    eprintln!("{}", diagnostic.render(std::io::stderr().is_terminal()));
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    say(&Diagnostic::error(error.to_string()));
    ExitCode::FAILURE
}

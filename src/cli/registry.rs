//! `regdeploy-registry`: the registry's verbs.
//!
//! Reached by the executable's name or as `regdeploy registry`. Data goes to standard output, messages to
//! standard error.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::diagnostic::Diagnostic;
use crate::registry::config::{self, Config};
use crate::registry::{access_log, server};
use crate::source::Source;

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
    Serve {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Look at a configuration
    #[command(subcommand)]
    Config(ConfigVerb),
}

#[derive(Subcommand)]
enum ConfigVerb {
    /// Say what is wrong with a configuration, if anything is
    Check { file: PathBuf },
    /// Print the configuration in force: file, environment and defaults
    Show {
        /// Without it, the defaults and the environment
        file: Option<PathBuf>,
    },
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
        Verb::Serve { config } => serve(&config),
        Verb::Config(ConfigVerb::Check { file }) => {
            load(Some(&file)).map_or(ExitCode::FAILURE, |_| ExitCode::SUCCESS)
        }
        Verb::Config(ConfigVerb::Show { file }) => match load(file.as_deref()) {
            Some(config) => {
                print!("{}", config::show(&config));
                ExitCode::SUCCESS
            }
            None => ExitCode::FAILURE,
        },
    }
}

fn serve(file: &Path) -> ExitCode {
    let Some(config) = load(Some(file)) else {
        return ExitCode::FAILURE;
    };
    if let Err(error) = access_log::start(&config.log) {
        return fail(&error);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(server::STORAGE_THREADS)
        .build();
    match runtime {
        Ok(runtime) => match runtime.block_on(server::serve(config)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
        Err(error) => fail(&error),
    }
}

/// Reads a configuration and says on standard error what there is to say of it.
fn load(file: Option<&Path>) -> Option<Config> {
    let text = match file.map(std::fs::read_to_string).transpose() {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => {
            let file = file.unwrap_or(Path::new("-"));
            say(&Diagnostic::error(format!(
                "read the configuration {}: {error}",
                file.display()
            )));
            return None;
        }
    };
    let name = file.map_or_else(|| "<defaults>".to_owned(), |file| file.display().to_string());
    // A variable that is no text is none of ours.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    match config::load(&Source::new(name, text), environment) {
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

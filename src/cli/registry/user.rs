//! `regdeploy-registry user`: who may log in. Edits the htpasswd file that the configuration names.
//!
//! A password is asked for, or read from standard input; it is never an argument, which every process could read.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{fail, load, say};
use crate::diagnostic::Diagnostic;
use crate::registry::access::audit::{Audit, Happening, Line, Outcome};
use crate::registry::access::htpasswd::{self, COSTS};
use crate::registry::config::{Config, Origin};
use crate::value::Secret;

/// A quarter of a second on a processor of 2020, as OWASP recommends at the least.
const COST: u32 = 12;

#[derive(Subcommand)]
pub enum Arguments {
    /// Add a user, or change a user's password; it is asked for, or read from standard input
    Add {
        name: String,
        #[command(flatten)]
        of: Of,
        /// How much work guessing takes: each step doubles it
        #[arg(long, default_value_t = COST, value_parser = clap::value_parser!(u32)
            .range(i64::from(*COSTS.start())..=i64::from(*COSTS.end())))]
        cost: u32,
    },
    /// Remove a user
    Remove {
        name: String,
        #[command(flatten)]
        of: Of,
    },
    /// Print the names of all users
    List {
        #[command(flatten)]
        of: Of,
    },
}

/// Whose users.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Of {
    /// The configuration file, whose `auth.htpasswd.path` is meant
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The htpasswd file itself
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let (Arguments::Add { of, .. } | Arguments::Remove { of, .. } | Arguments::List { of }) = arguments;
    let Some((file, config)) = of.find() else {
        return ExitCode::FAILURE;
    };
    let done = match arguments {
        Arguments::Add { name, cost, .. } => {
            let password = match ask(name) {
                Ok(password) => password,
                Err(reason) => {
                    say(&Diagnostic::error(reason));
                    return ExitCode::FAILURE;
                }
            };
            htpasswd::add(&file, name, password.reveal(), *cost).map(|there| {
                let what = if there { "changed the password of" } else { "added" };
                eprintln!("{what} `{name}` in {}", file.display());
                told(config.as_ref(), "user add", name);
            })
        }
        Arguments::Remove { name, .. } => htpasswd::remove(&file, name).map(|()| {
            eprintln!("removed `{name}` from {}", file.display());
            told(config.as_ref(), "user remove", name);
        }),
        Arguments::List { .. } => htpasswd::read(&file).map(|users| {
            for user in users {
                println!("{}", user.name);
            }
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

impl Of {
    fn find(&self) -> Option<(PathBuf, Option<Config>)> {
        if let Some(file) = &self.file {
            return Some((file.clone(), None));
        }
        let config = load(&Origin {
            file: self.config.clone(),
        })?;
        let Some(file) = config.auth.htpasswd.path.clone() else {
            let error = Diagnostic::error("the configuration names no file of users");
            say(&error.hint("set `auth.htpasswd.path`"));
            return None;
        };
        Some((file, Some(config)))
    }
}

/// A password from who sits there, twice, or the first line of what is piped in.
fn ask(name: &str) -> Result<Secret, String> {
    if !std::io::stdin().is_terminal() {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        read.map_err(|error| format!("read the password from standard input: {error}"))?;
        return Ok(Secret::new(line.trim_end_matches(['\n', '\r'])));
    }
    let prompt = |question: String| {
        let answer = rpassword::prompt_password(question);
        answer
            .map(Secret::new)
            .map_err(|error| format!("ask for the password: {error}"))
    };
    let password = prompt(format!("Password of {name}: "))?;
    if password != prompt("Once more: ".to_owned())? {
        return Err("the two passwords differ; nothing was changed".to_owned());
    }
    Ok(password)
}

/// Into the audit log's file; there is no log to go to where no server runs.
fn told(config: Option<&Config>, action: &str, name: &str) {
    let Some(audit) = config
        .map(|config| &config.access.audit)
        .filter(|audit| audit.file.is_some())
    else {
        return;
    };
    let who = format!("uid {}", rustix::process::getuid().as_raw());
    match Audit::open(audit) {
        Ok(log) => log.tell(Line {
            user: Some(&who),
            action: Some(action),
            reference: Some(name),
            ..Line::new(Happening::Administration, Outcome::Done)
        }),
        Err(error) => say(&Diagnostic::warning(error.to_string())),
    }
}

//! `regdeploy-registry explain-access`: whether somebody may do something, by which rule, and why.
//!
//! Asks what the server asks, so what is said here is what would happen. Exit code 0: allowed, 1: denied, 2: the
//! question or the configuration is wrong.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{load, say};
use crate::diagnostic::Diagnostic;
use crate::registry::access::htpasswd;
use crate::registry::access::identity::Subject;
use crate::registry::access::offered;
use crate::registry::access::rules::{Because, Permission, Rule};
use crate::registry::config::{Config, Origin, rule_place};
use crate::registry::name::RepositoryName;

#[derive(Args)]
pub struct Arguments {
    /// A user, `anonymous`, or `certificate:NAME`
    user: String,
    /// `pull`, `push`, `delete` or `catalog`
    #[arg(value_parser = permission)]
    action: Permission,
    /// The repository; `catalog` needs none
    #[arg(required_if_eq_any = [("action", "pull"), ("action", "push"), ("action", "delete")])]
    repository: Option<String>,
    /// The configuration file; without it, the environment and the defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

fn permission(text: &str) -> Result<Permission, &'static str> {
    Permission::parse(text).ok_or("must be pull, push, delete or catalog")
}

/// The question cannot be answered.
const UNANSWERED: u8 = 2;

pub fn run(arguments: &Arguments) -> ExitCode {
    let origin = Origin {
        file: arguments.config.clone(),
    };
    let Some(config) = load(&origin) else {
        return ExitCode::from(UNANSWERED);
    };
    let name = match arguments.repository.as_deref().unwrap_or("") {
        "" => None,
        text => match text.parse::<RepositoryName>() {
            Ok(name) => Some(name),
            Err(error) => {
                say(&Diagnostic::error(format!("`{text}`: {error}")));
                return ExitCode::from(UNANSWERED);
            }
        },
    };
    let subject = match arguments.user.split_once(':') {
        None if arguments.user == "anonymous" => Subject::default(),
        Some(("certificate", name)) => Subject {
            user: None,
            certificate: Some(name),
        },
        Some(("user", name)) => Subject::user(name),
        _ => Subject::user(&arguments.user),
    };
    warn_of_unknown(&config, subject);
    let permission = arguments.action;
    let what = match &name {
        Some(name) => format!("{permission} `{name}`"),
        None => format!("ask for the {permission}"),
    };
    let repository = name.as_ref().map_or("", RepositoryName::as_str);
    let decision = config
        .access
        .rules
        .decide(subject, permission, repository, config.auth.is_set());
    let not_offered = offered(&config, config.storage.read_only, permission).err();
    let allowed = decision.allowed && not_offered.is_none();
    println!(
        "{}: {subject} may{} {what}",
        if allowed { "allowed" } else { "denied" },
        if allowed { "" } else { " not" },
    );
    println!(
        "  {}",
        reason(&config, arguments.config.as_ref(), decision.because)
    );
    if let Some(not) = not_offered {
        println!("  {not}");
    }
    if allowed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn reason(config: &Config, file: Option<&PathBuf>, because: Because) -> String {
    let Because::Rule(index) = because else {
        return because.to_string();
    };
    let place = file.and_then(|file| rule_place(file, index));
    let place = place.unwrap_or_else(|| "in the environment".to_owned());
    format!("{because} ({place}): {}", shown(&config.access.rules.list[index]))
}

/// A rule in one line, as it is written.
fn shown(rule: &Rule) -> String {
    fn list<T: ToString>(list: &[T]) -> String {
        list.iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    }
    let parts = [
        ("who", list(&rule.who)),
        ("repositories", list(&rule.repositories)),
        ("allow", list(&rule.allow)),
        ("deny", list(&rule.deny)),
    ];
    let parts = parts.iter().filter(|(_, text)| !text.is_empty());
    parts
        .map(|(key, text)| format!("{key} {text}"))
        .collect::<Vec<_>>()
        .join("; ")
}

/// Rules may speak of users that cannot log in: a slip, more often than not.
fn warn_of_unknown(config: &Config, subject: Subject<'_>) {
    let (Some(path), Some(user)) = (&config.auth.htpasswd.path, subject.user) else {
        return;
    };
    match htpasswd::read(path) {
        Ok(users) if users.iter().all(|known| known.name != user) => {
            let warning = Diagnostic::warning(format!("{} has no user `{user}`", path.display()));
            say(&warning.nearest(user, users.iter().map(|known| known.name.as_str())));
        }
        Ok(_) => {}
        Err(error) => say(&Diagnostic::warning(error.to_string())),
    }
}

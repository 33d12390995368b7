//! `apk`: packages of Alpine. After community.general.apk.
//!
//! What is asked for stands in apk's `world` file; what would happen is asked of apk itself by `--simulate`.

#![expect(clippy::similar_names, reason = "`args` are the task's, `argv` a program's")]

use std::path::Path;

use serde::Deserialize;

use super::foreseen::{self, Foreseen, Packages};
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec, tool};
use crate::system::foresight::Foresight;
use crate::system::{Command, CommandOutput, Follow, System};
use crate::wire::message::Outcome;

pub struct Apk;

#[derive(Debug, Deserialize)]
pub struct Args {
    name: Option<Vec<String>>,
    state: String,
    no_cache: bool,
    repository: Option<Vec<String>>,
    update_cache: bool,
    upgrade: bool,
    available: bool,
    world: String,
}

/// The calls to make, in order.
#[derive(Debug)]
pub struct Change {
    refresh: Option<Command>,
    call: Option<Call>,
    /// The result where no call is made.
    otherwise: Outcome,
    packages: Packages,
}

#[derive(Debug)]
struct Call {
    command: Command,
    /// A change by being run; else its output says whether it was one.
    certain: bool,
    /// What the result says, and what a failure says.
    message: String,
    failure: String,
    /// Names that have to be gone afterwards.
    gone: Vec<String>,
}

impl Module for Apk {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "apk",
        summary: "Install and remove packages on Alpine",
        args: &[
            Arg::strings("name")
                .doc("The packages, with `=version`, `~version` or `@repository` if need be."),
            Arg::str("state")
                .choices(&["present", "installed", "absent", "removed", "latest"])
                .default("present")
                .doc("What they are to be."),
            Arg::bool("no_cache")
                .default("no")
                .doc("Use no local cache of the indexes."),
            Arg::strings("repository").doc("Take packages from these repositories alone."),
            Arg::bool("update_cache")
                .default("no")
                .doc("Fetch the repositories' indexes first."),
            Arg::bool("upgrade")
                .default("no")
                .doc("Upgrade all that is installed."),
            Arg::bool("available")
                .default("no")
                .doc("With `upgrade`: take what the repositories have, even if it is lower."),
            Arg::str("world")
                .default("/etc/apk/world")
                .doc("The file in which apk keeps what was asked for."),
        ],
        returns: &[
            Return::new("packages", "list", "what apk installed, upgraded or removed")
                .when("apk was called for packages"),
            Return::new("stdout", "str", "what apk said").when("apk was called"),
            Return::new("stderr", "str", "its errors").when("apk was called"),
        ],
        example: "\
- apk:
    name: [nginx, curl]
    update_cache: true

- apk: {upgrade: true, available: true}
",
        free_form: None,
        rules: &[
            Rule::OneOf(&["name", "update_cache", "upgrade"]),
            Rule::Exclusive(&["name", "upgrade"]),
        ],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        tool::require(system, "apk", "manage packages (is this Alpine?)")?;
        let names = args.name.clone().unwrap_or_default();
        if names.iter().any(|name| name.trim().is_empty()) {
            return Err(Error::new("Package name(s) cannot be empty or whitespace-only"));
        }
        let refresh = args.update_cache.then(|| command(&args, &["update"]));
        let absent = matches!(args.state.as_str(), "absent" | "removed");
        let decided = if args.upgrade {
            upgrade(&args, system)?
        } else if names.is_empty() {
            Decision::Nothing(Outcome::changed(true).with("msg", "updated repository indexes"))
        } else if absent {
            remove(&args, &names, system)?
        } else {
            install(&args, &names, system)?
        };
        let (call, predicted, otherwise) = match decided {
            Decision::Nothing(outcome) => (None, outcome.clone(), outcome),
            Decision::Call(call) => {
                let predicted = Outcome::changed(true).with("msg", call.message.as_str());
                (Some(call), predicted, Outcome::ok())
            }
        };
        if call.is_none() && refresh.is_none() {
            return Ok(Plan::Same(predicted));
        }
        let packages = if call.is_some() {
            Packages::of(&names, !absent)
        } else {
            Packages::default()
        };
        let change = Change {
            refresh,
            call,
            otherwise,
            packages,
        };
        Ok(Plan::Change { change, predicted })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let mut said = CommandOutput::default();
        if let Some(refresh) = &change.refresh {
            said = system.run(refresh)?;
            if !said.success() {
                return Err(failed("could not update package db", &said));
            }
        }
        let Some(call) = &change.call else {
            return Ok(tell(change.otherwise, &said));
        };
        let output = system.run(&call.command)?;
        if !output.success() {
            return Err(failed(&call.failure, &output));
        }
        for name in &call.gone {
            // What others need stays, and apk says so without failing.
            if is_installed(name, system)? {
                return Err(failed(&call.failure, &output));
            }
        }
        let touched = touched(&output);
        let outcome = Outcome::changed(call.certain || !touched.is_empty())
            .with("msg", call.message.as_str())
            .with("packages", touched);
        Ok(tell(outcome, &output))
    }

    fn foresee(change: &Change) -> Foresight {
        change.packages.foresight()
    }
}

enum Decision {
    /// No call; this is the result.
    Nothing(Outcome),
    Call(Call),
}

fn command(args: &Args, words: &[&str]) -> Command {
    let mut argv = vec!["apk"];
    if args.no_cache {
        argv.push("--no-cache");
    }
    for repository in args.repository.iter().flatten() {
        argv.extend(["--repository", repository, "--repositories-file", "/dev/null"]);
    }
    argv.extend(words);
    plain(Command::new(argv))
}

fn plain(command: Command) -> Command {
    command.env("LANG", "C").env("LC_ALL", "C")
}

fn upgrade(args: &Args, system: &dyn System) -> Result<Decision, Error> {
    let mut words = vec!["upgrade"];
    if args.available {
        words.push("--available");
    }
    let call = Call {
        command: command(args, &words),
        certain: false,
        message: "upgraded packages".to_owned(),
        failure: "failed to upgrade packages".to_owned(),
        gone: Vec::new(),
    };
    words.push("--simulate");
    let output = system.run(&command(args, &words))?;
    if !output.success() {
        return Err(failed(&call.failure, &output));
    }
    // With fresh indexes there may be something after all.
    if touched(&output).is_empty() && !args.update_cache {
        let outcome = Outcome::ok()
            .with("msg", "packages already upgraded")
            .with("packages", Vec::<String>::new());
        return Ok(Decision::Nothing(tell(outcome, &output)));
    }
    Ok(Decision::Call(call))
}

fn install(args: &Args, names: &[String], system: &dyn System) -> Result<Decision, Error> {
    let world = Path::new(&args.world);
    let world = match system.metadata(world, Follow::Yes)? {
        Some(_) => String::from_utf8_lossy(&system.read(world)?).into_owned(),
        None => String::new(),
    };
    let latest = args.state == "latest";
    let (mut missing, mut outdated) = (Vec::new(), Vec::new());
    for name in names {
        let foreseen = foreseen::of(name, system);
        if is_virtual(name, system)? {
            for dependency in dependencies(name, system)?.into_iter().filter(|_| latest) {
                if is_outdated(&dependency, system)? {
                    outdated.push(dependency);
                }
            }
        } else if foreseen == Some(Foreseen::Removed)
            || (foreseen.is_none() && !world.split_whitespace().any(|word| asks_for(word, name)))
        {
            missing.push(name.clone());
        } else if latest && foreseen.is_none() && is_outdated(name, system)? {
            outdated.push(name.clone());
        }
    }
    let mut words = vec!["add"];
    if !outdated.is_empty() {
        words.push("--upgrade");
    }
    missing.append(&mut outdated);
    if missing.is_empty() {
        return Ok(Decision::Nothing(
            Outcome::ok().with("msg", "package(s) already installed"),
        ));
    }
    words.extend(missing.iter().map(String::as_str));
    Ok(Decision::Call(Call {
        command: command(args, &words),
        certain: true,
        message: format!("installed {} package(s)", listed(&missing)),
        failure: format!("failed to install {}", listed(&missing)),
        gone: Vec::new(),
    }))
}

fn remove(args: &Args, names: &[String], system: &dyn System) -> Result<Decision, Error> {
    let mut there = Vec::new();
    for name in names {
        let installed = match foreseen::of(name, system) {
            Some(state) => state != Foreseen::Removed,
            None => is_installed(name, system)?,
        };
        if installed {
            there.push(name.clone());
        }
    }
    if there.is_empty() {
        return Ok(Decision::Nothing(
            Outcome::ok().with("msg", "package(s) already removed"),
        ));
    }
    let mut words = vec!["del", "--purge"];
    words.extend(there.iter().map(String::as_str));
    Ok(Decision::Call(Call {
        command: command(args, &words),
        certain: true,
        message: format!("removed {} package(s)", listed(&there)),
        failure: format!("failed to remove {} package(s)", listed(&there)),
        gone: there,
    }))
}

/// Whether a word of the world is a request for this name: alone, with a version or with a repository.
fn asks_for(word: &str, name: &str) -> bool {
    word.strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['@', '=', '<', '>', '~']))
}

fn info(words: &[&str], system: &dyn System) -> Result<CommandOutput, Error> {
    let argv = ["apk"].into_iter().chain(words.iter().copied());
    Ok(system.run(&plain(Command::new(argv)))?)
}

fn is_installed(name: &str, system: &dyn System) -> Result<bool, Error> {
    Ok(info(&["-v", "info", "--installed", name], system)?.success())
}

/// Whether `apk version` has a lower than what is offered: `NAME-1.0-r0 < 1.1-r0`.
fn is_outdated(name: &str, system: &dyn System) -> Result<bool, Error> {
    let text = info(&["version", name], system)?.stdout_text();
    let lower = |line: &str| {
        let mut words = line.split_whitespace();
        let of_name = words
            .next()
            .and_then(|word| word.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('-'));
        of_name && words.next() == Some("<")
    };
    Ok(text.lines().any(lower))
}

fn is_virtual(name: &str, system: &dyn System) -> Result<bool, Error> {
    let text = info(&["-v", "info", "--description", name], system)?.stdout_text();
    let mark = format!("{name}: virtual meta package");
    Ok(text.lines().any(|line| line.starts_with(&mark)))
}

fn dependencies(name: &str, system: &dyn System) -> Result<Vec<String>, Error> {
    let text = info(&["-v", "info", "--depends", name], system)?.stdout_text();
    Ok(text.split_whitespace().skip(1).map(str::to_owned).collect())
}

/// What apk says that it touched: `(1/2) Installing NAME (1.0-r0)`.
fn touched(output: &CommandOutput) -> Vec<String> {
    let name = |line: &str| {
        let (_, rest) = line.strip_prefix('(')?.split_once(')')?;
        rest.split_whitespace().nth(1).map(str::to_owned)
    };
    output.stdout_text().lines().filter_map(name).collect()
}

/// As users know lists in these messages.
fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("[{}]", quoted.join(", "))
}

fn tell(outcome: Outcome, output: &CommandOutput) -> Outcome {
    outcome
        .with("stdout", output.stdout_text())
        .with("stderr", output.stderr_text())
}

fn failed(message: &str, output: &CommandOutput) -> Error {
    Error::new(format!("{message}: {}", tool::said(output)))
        .with("rc", output.code)
        .with("packages", touched(output))
        .with("stdout", output.stdout_text())
        .with("stderr", output.stderr_text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, failure, run};
    use crate::system::fake::Fake;

    /// `curl` is asked for and installed, and there is a higher one; `nginx` can be had.
    fn target() -> Fake {
        let fake = Fake::new();
        fake.program("/sbin/apk")
            .file("/etc/apk/world", "busybox\ncurl@edge\n")
            .answer_with(|_, command| {
                let line = command.argv.join(" ");
                let (code, text) = match line.as_str() {
                    "apk -v info --installed curl" => (0, "curl-8.5.0-r0\n"),
                    "apk version curl" => (
                        0,
                        "Installed:                                Available:\ncurl-8.5.0-r0                           < 8.9.1-r0 \n",
                    ),
                    "apk add nginx" | "apk add --upgrade curl" => {
                        (0, "(1/1) Installing nginx (1.26.2-r0)\nOK: 12 MiB in 20 packages\n")
                    }
                    "apk add nosuch" => (1, "ERROR: unable to select packages:\n  nosuch (no such package):\n"),
                    "apk update" | "apk upgrade --simulate" => (0, "OK: 24 distinct packages available\n"),
                    "apk del --purge curl" => (0, "(1/1) Purging curl (8.5.0-r0)\n"),
                    line if line.starts_with("apk -v info") => (1, ""),
                    _ => return None,
                };
                Some(CommandOutput {
                    code,
                    stdout: text.into(),
                    ..CommandOutput::default()
                })
            });
        fake
    }

    #[test]
    fn what_is_asked_for_already_is_left_alone() {
        let fake = target();
        let outcome = run::<Apk>(&fake, r#"{"name":["curl","busybox"]}"#);
        assert!(!outcome.changed && !outcome.failed, "{outcome:?}");
        assert_eq!(outcome.message(), Some("package(s) already installed"));
        let outcome = run::<Apk>(&fake, r#"{"upgrade":true}"#);
        assert_eq!(outcome.message(), Some("packages already upgraded"));
        assert!(!run::<Apk>(&fake, r#"{"name":"nginx","state":"absent"}"#).changed);
    }

    #[test]
    fn packages_come_and_are_upgraded() {
        let fake = target();
        assert!(check::<Apk>(&fake, r#"{"name":["nginx","curl"]}"#).changed);
        assert!(!fake.ran().iter().any(|line| line.starts_with("apk add")));
        let outcome = run::<Apk>(&fake, r#"{"name":["nginx","curl"],"update_cache":true}"#);
        assert!(outcome.changed, "{outcome:?}");
        assert_eq!(outcome.message(), Some("installed ['nginx'] package(s)"));
        assert_eq!(outcome.values["packages"], vec!["nginx".to_owned()].into());
        let ran = fake.ran();
        assert_eq!(ran[ran.len() - 2..], ["apk update", "apk add nginx"]);
        run::<Apk>(&fake, r#"{"name":"curl","state":"latest"}"#);
        assert_eq!(fake.ran().last().unwrap(), "apk add --upgrade curl");
        assert!(run::<Apk>(&fake, r#"{"update_cache":true}"#).changed);
    }

    #[test]
    fn failures_say_what_apk_said() {
        let fake = target();
        assert_eq!(
            failure::<Apk>(&fake, r#"{"name":"nosuch"}"#),
            "failed to install ['nosuch']: ERROR: unable to select packages:\n  nosuch (no such package):"
        );
        // It is still there afterwards: something needs it.
        let message = failure::<Apk>(&fake, r#"{"name":"curl","state":"absent"}"#);
        assert!(
            message.starts_with("failed to remove ['curl'] package(s)"),
            "{message}"
        );
    }
}

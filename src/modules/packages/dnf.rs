//! `dnf` (also `yum`): packages of RHEL and its kin. After ansible.builtin.dnf.
//!
//! What is installed is asked of `rpm`; what `dnf` (or, where there is none, `yum`) would do is asked of
//! itself by `--assumeno`. Deliberately no modules streams, `security` or `bugfix` filters, and no
//! `installroot`: they are refused as unknown arguments instead of being ignored.

#![expect(clippy::similar_names, reason = "`args` are the task's, `argv` a program's")]

use std::path::Path;

use serde::Deserialize;

use crate::modules::{Arg, Error, Module, Plan, Rule, Spec, tool};
use crate::system::foresight::{Effect, Foresight};
use crate::system::{Command, System};
use crate::wire::message::{Diff, Outcome};

pub struct Dnf;

/// The programs that understand the same words, best first.
const PROGRAMS: &[&str] = &["dnf", "dnf5", "yum", "microdnf"];

#[derive(Debug, Clone, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the arguments are what playbooks know"
)]
pub struct Args {
    pub name: Option<Vec<String>>,
    pub state: Option<State>,
    pub enablerepo: Option<Vec<String>>,
    pub disablerepo: Option<Vec<String>>,
    pub exclude: Option<Vec<String>>,
    pub disable_gpg_check: bool,
    pub update_cache: bool,
    pub update_only: bool,
    pub skip_broken: bool,
    pub allow_downgrade: bool,
    pub allowerasing: bool,
    pub nobest: Option<bool>,
    pub install_weak_deps: bool,
    pub autoremove: bool,
    pub cacheonly: bool,
    pub sslverify: bool,
    pub releasever: Option<String>,
    pub conf_file: Option<String>,
    pub download_only: bool,
    pub lock_timeout: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Present,
    Installed,
    Latest,
    Absent,
    Removed,
}

/// The calls to make. Those that only refresh what is known of repositories are no change.
#[derive(Debug)]
pub struct Change {
    refresh: Option<Command>,
    calls: Vec<Command>,
}

impl Module for Dnf {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "dnf",
        summary: "Install and remove packages on RHEL and Fedora",
        args: &[
            Arg::strings("name")
                .aliases(&["pkg"])
                .doc("Names, `name-version`, files, addresses, `@groups`; `*` for all."),
            Arg::str("state")
                .choices(&["absent", "present", "installed", "removed", "latest"])
                .doc("present, or absent where `autoremove` is given, unless told."),
            Arg::strings("enablerepo").doc("Repositories to enable for this task."),
            Arg::strings("disablerepo").doc("Repositories to disable for this task."),
            Arg::strings("exclude").doc("Packages to leave alone."),
            Arg::bool("disable_gpg_check")
                .default("no")
                .doc("Do not verify signatures."),
            Arg::bool("update_cache")
                .aliases(&["expire-cache"])
                .default("no")
                .doc("Fetch the repositories' metadata first."),
            Arg::bool("update_only")
                .default("no")
                .doc("Upgrade what is installed, install nothing new."),
            Arg::bool("skip_broken")
                .default("no")
                .doc("Leave out what has broken dependencies."),
            Arg::bool("allow_downgrade")
                .default("no")
                .doc("Install a lower version."),
            Arg::bool("allowerasing")
                .default("no")
                .doc("Remove what is in the way."),
            Arg::bool("nobest").doc("Take less than the best candidate."),
            Arg::bool("install_weak_deps")
                .default("yes")
                .doc("Whether recommended packages come along."),
            Arg::bool("autoremove")
                .default("no")
                .doc("Remove dependencies that nothing needs any more."),
            Arg::bool("cacheonly")
                .default("no")
                .doc("Work from the metadata that is there."),
            Arg::bool("sslverify")
                .default("yes")
                .doc("Verify repositories' certificates."),
            Arg::str("releasever").doc("The release to take packages for."),
            Arg::path("conf_file").doc("Another configuration file."),
            Arg::bool("download_only")
                .default("no")
                .doc("Download and do not install."),
            Arg::int("lock_timeout")
                .default("30")
                .doc("Seconds to wait for another program's lock."),
            Arg::str("use_backend")
                .aliases(&["use"])
                .default("auto")
                .doc("Accepted and not needed: the target is looked at."),
        ],
        returns: &[],
        example: "",
        free_form: None,
        rules: &[Rule::OneOf(&["name", "autoremove", "update_cache"])],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let program = PROGRAMS
            .iter()
            .copied()
            .find(|program| system.which(program).is_some())
            .ok_or_else(|| {
                Error::new(
                    "none of dnf, dnf5, yum, microdnf is on the target (is this RHEL, Fedora or one of their kin?)",
                )
            })?;
        let refresh = args
            .update_cache
            .then(|| call(program, &args, &["makecache"], &[]));
        let calls = wanted_calls(program, &args, system)?;
        let mut predicted = Outcome::ok().with("rc", 0).with("results", Vec::<String>::new());
        if calls.is_empty() {
            predicted = predicted.with("msg", "Nothing to do");
            return Ok(match refresh {
                None => Plan::Same(predicted),
                Some(_) => Plan::Change {
                    change: Change { refresh, calls },
                    predicted,
                },
            });
        }
        predicted.changed = true;
        predicted.diff.push(Diff {
            before_header: "packages".to_owned(),
            after_header: "packages".to_owned(),
            before: String::new(),
            after: calls.iter().map(|call| summary(call) + "\n").collect(),
        });
        Ok(Plan::Change {
            change: Change { refresh, calls },
            predicted,
        })
    }

    fn foresee(_: &Change) -> Foresight {
        Foresight::Effects(vec![Effect::Files])
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        if let Some(refresh) = &change.refresh {
            tool::run(system, refresh)?;
        }
        let mut outcome = Outcome::ok();
        let mut results = Vec::new();
        for call in &change.calls {
            let text = tool::text_of(system, call)?;
            outcome.changed |= !says_nothing_to_do(&text);
            results.push(text);
        }
        let message = if outcome.changed { "" } else { "Nothing to do" };
        Ok(outcome
            .with("rc", 0)
            .with("msg", message)
            .with("results", results))
    }
}

/// dnf 4, dnf 5 and yum 3 in turn.
fn says_nothing_to_do(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .any(|line| matches!(line, "Nothing to do" | "Nothing to do."))
        || text.contains("No packages marked for")
}

/// The verb and the packages, without options: what a diff shows.
fn summary(call: &Command) -> String {
    let words = call.argv.iter().skip(1).filter(|word| !word.starts_with('-'));
    words.map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn call(program: &str, args: &Args, verb: &[&str], names: &[String]) -> Command {
    let mut argv = vec![program.to_owned(), "-y".to_owned()];
    let mut flag = |wanted: bool, word: &str| {
        if wanted {
            argv.push(word.to_owned());
        }
    };
    flag(args.disable_gpg_check, "--nogpgcheck");
    flag(args.skip_broken, "--skip-broken");
    flag(args.allowerasing, "--allowerasing");
    flag(args.nobest == Some(true), "--nobest");
    flag(args.cacheonly, "--cacheonly");
    flag(args.download_only, "--downloadonly");
    flag(!args.install_weak_deps, "--setopt=install_weak_deps=False");
    flag(!args.sslverify, "--setopt=sslverify=False");
    let lists = [
        ("--enablerepo", &args.enablerepo),
        ("--disablerepo", &args.disablerepo),
        ("--exclude", &args.exclude),
    ];
    for (option, values) in lists {
        for value in values.iter().flatten().filter(|value| !value.is_empty()) {
            argv.push(format!("{option}={value}"));
        }
    }
    if let Some(release) = &args.releasever {
        argv.push(format!("--releasever={release}"));
    }
    if let Some(file) = &args.conf_file {
        argv.push(format!("--config={file}"));
    }
    argv.extend(verb.iter().map(|word| (*word).to_owned()));
    argv.extend(names.iter().cloned());
    Command::new(argv).env("LANG", "C.UTF-8").env("LC_ALL", "C.UTF-8")
}

fn wanted_calls(program: &str, args: &Args, system: &dyn System) -> Result<Vec<Command>, Error> {
    let names: Vec<String> = args
        .name
        .iter()
        .flatten()
        .filter(|name| !name.is_empty())
        .cloned()
        .collect();
    let absent = match args.state {
        Some(State::Absent | State::Removed) => true,
        None => args.autoremove,
        Some(_) => false,
    };
    let mut calls = Vec::new();
    if absent {
        let mut there = Vec::new();
        for name in &names {
            if name.starts_with('@') || name.contains('*') || is_installed(name, system)? {
                there.push(name.clone());
            }
        }
        let verb = if args.autoremove { "autoremove" } else { "remove" };
        if !there.is_empty() || (names.is_empty() && args.autoremove) {
            calls.push(call(program, args, &[verb], &there));
        }
        return would_change(calls, system);
    }
    let latest = args.state == Some(State::Latest);
    let mut missing = Vec::new();
    let mut outdated = Vec::new();
    for name in names {
        if name == "*" {
            outdated.push(name);
        } else if name.starts_with('@') || is_file(&name) || !is_installed(&name, system)? {
            missing.push(name);
        } else if latest {
            outdated.push(name);
        }
    }
    if args.update_only {
        outdated.extend(missing.drain(..).filter(|_| latest));
    }
    if !missing.is_empty() {
        calls.push(call(program, args, &["install"], &missing));
    }
    if !outdated.is_empty() {
        let verb = if args.allow_downgrade {
            "distro-sync"
        } else {
            "upgrade"
        };
        outdated.retain(|name| name != "*");
        calls.push(call(program, args, &[verb], &outdated));
    }
    would_change(calls, system)
}

/// A package file or its address, which `rpm -q` cannot be asked about.
fn is_file(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "rpm")
}

/// Drops the calls that, when asked, would do nothing.
fn would_change(calls: Vec<Command>, system: &dyn System) -> Result<Vec<Command>, Error> {
    let mut needed = Vec::new();
    for call in calls {
        let mut trial = call.clone();
        // The answer to its question; it then ends with 1, or with 0 if there was nothing to ask.
        "--assumeno".clone_into(&mut trial.argv[1]);
        let output = system.run(&trial)?;
        let text = output.stdout_text();
        if says_nothing_to_do(&text) {
            continue;
        }
        let asked = text.contains("Operation aborted")
            || text.contains("Exiting on user")
            || text.contains("aborted by");
        if !output.success() && !asked {
            return Err(tool::failure(&call, &output));
        }
        needed.push(call);
    }
    Ok(needed)
}

/// Whether a package of that name (with a version or without), or one that provides it, is installed.
fn is_installed(name: &str, system: &dyn System) -> Result<bool, Error> {
    for query in [&["rpm", "-q", "--"][..], &["rpm", "-q", "--whatprovides", "--"]] {
        let argv = query.iter().copied().chain([name]);
        if system.run(&Command::new(argv))?.success() {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_that_there_is_nothing_to_do() {
        assert!(says_nothing_to_do(
            "Dependencies resolved.\nNothing to do.\nComplete!\n"
        ));
        assert!(says_nothing_to_do("No packages marked for update\n"));
        assert!(!says_nothing_to_do("Installed:\n  nginx-1.20\n"));
    }
}

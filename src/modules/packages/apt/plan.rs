//! Which calls of `apt-get` bring about what is asked for.

use std::path::Path;

use super::cache::{self, Fetch};
use super::deb::{self, Download};
use super::running::Running;
use super::wanted::{self, Affected};
use super::{ARCHIVES, Args, Error, State, Upgrade, apt_get, diff, dpkg};
use crate::modules::packages::foreseen::Packages;
use crate::modules::{Plan, tool};
use crate::system::{Command, System};
use crate::wire::message::Outcome;

/// What is to be done.
#[derive(Debug, Default)]
pub struct Change {
    pub fetch: Option<Fetch>,
    /// The lists are all that was asked for: fetching them is a change.
    pub fetch_alone: bool,
    pub calls: Vec<Call>,
    /// Packages that are there as others' dependencies and are asked for now.
    pub manual: Vec<String>,
    pub running: Running,
}

#[derive(Debug)]
pub struct Call {
    pub command: Command,
    /// Whether its output says if it changed anything; else it has by being run.
    pub counts: bool,
    pub downloads: Vec<Download>,
    /// What would be there, and what gone.
    pub packages: Packages,
    /// What is known of it without asking `apt-get`: would it change anything?
    pub known: Option<bool>,
}

impl Call {
    pub fn new(command: Command) -> Self {
        Self {
            command,
            counts: true,
            downloads: Vec::new(),
            packages: Packages::default(),
            known: None,
        }
    }
}

/// How a summary tells what a dpkg that was ended has left to be configured.
const UNFINISHED: &str = " not fully installed or removed.";

/// Whether `apt-get` says that it did, or would do, anything.
pub fn changes(stdout: &str) -> bool {
    let summary = stdout
        .lines()
        .find(|line| line.contains(" upgraded, ") && line.contains(" newly installed, "));
    summary.is_some_and(|line| {
        // `not upgraded` counts what is left alone.
        let done = line.rsplit_once(" and ").map_or(line, |(done, _)| done);
        done.split(|c: char| !c.is_ascii_digit())
            .any(|number| !number.is_empty() && number != "0")
    }) || stdout
        .lines()
        .any(|line| line.starts_with("Del ") || line.ends_with(UNFINISHED))
}

pub fn plan(args: &Args, system: &dyn System) -> Result<Plan<Change>, Error> {
    let fetch = Fetch::due(args, system)?;
    let mut names: Vec<String> = args.package.clone().unwrap_or_default();
    names.retain(|name| !name.is_empty());
    let everything = args.state == State::Latest && names.iter().any(|name| name == "*");
    if everything && names.len() > 1 {
        return Err(Error::new(
            "unable to install additional packages when upgrading all installed packages",
        ));
    }
    let mut calls = Vec::new();
    let mut manual = Vec::new();
    if args.clean {
        calls.extend(clean(args, system)?);
    }
    if args.upgrade != Upgrade::No || everything {
        calls.push(upgrade(args));
    } else if let Some(deb) = &args.deb {
        calls.extend(deb::install(args, deb, system)?);
    } else if !names.is_empty() {
        let affected = wanted::affected(args, &names, fetch.is_some(), system)?;
        if matches!(args.state, State::Present | State::Latest) {
            manual = dpkg::automatic(&names, system)?;
        }
        if !affected.words.is_empty() {
            calls.push(packages_call(args, affected, fetch.is_some()));
        }
    } else {
        calls.extend(housekeeping(args));
    }
    let asked_for_more = args.package.is_some() || args.deb.is_some() || args.upgrade != Upgrade::No;
    let mut predicted = Outcome::ok();
    simulate(&mut calls, fetch.is_some(), &mut predicted, system)?;
    let fetch_alone = !asked_for_more && calls.is_empty();
    predicted.changed |= fetch.is_some() && fetch_alone;
    predicted = predicted
        .with("cache_updated", fetch.is_some())
        .with("cache_update_time", cache::time(system)?);
    if calls.is_empty() && fetch.is_none() && manual.is_empty() {
        return Ok(Plan::Same(predicted));
    }
    let change = Change {
        fetch,
        fetch_alone,
        calls,
        manual,
        running: Running::new(args),
    };
    Ok(Plan::Change { change, predicted })
}

/// Drops the calls that would do nothing, and notes what the others would do. Where the lists are fetched first, all stay.
fn simulate(
    calls: &mut Vec<Call>,
    stale: bool,
    predicted: &mut Outcome,
    system: &dyn System,
) -> Result<(), Error> {
    let mut needed = Vec::new();
    for mut call in calls.drain(..) {
        if !call.counts || !call.downloads.is_empty() {
            predicted.changed = true;
            needed.push(call);
            continue;
        }
        if let Some(changes) = call.known {
            predicted.changed |= changes;
            needed.push(call);
            continue;
        }
        let mut trial = call.command.clone();
        trial.argv.insert(1, "--simulate".to_owned());
        let text = tool::text_of(system, &trial)?;
        if changes(&text) {
            predicted.changed = true;
            predicted.diff.push(diff(&text));
            note(&text, &mut call.packages);
            predicted.values.insert("stdout".to_owned(), text.as_str().into());
            predicted
                .values
                .insert("stdout_lines".to_owned(), tool::lines(&text));
            needed.push(call);
        } else if stale {
            needed.push(call);
        }
    }
    *calls = needed;
    Ok(())
}

/// What a simulation says would come and go: `Inst NAME [OLD] (NEW ...)`, `Remv NAME [OLD]`.
fn note(simulated: &str, packages: &mut Packages) {
    for line in simulated.lines() {
        let Some((verb, rest)) = line.split_once(' ') else {
            continue;
        };
        let name = rest.split(' ').next().unwrap_or(rest);
        match verb {
            "Inst" => {
                let new = rest.split_once('(').map_or("", |(_, new)| new);
                packages.install(name, new.split(' ').next().unwrap_or_default());
            }
            "Remv" | "Purg" => packages.remove(name),
            _ => {}
        }
    }
}

fn removal_flags(args: &Args) -> impl Iterator<Item = &'static str> {
    let autoremove = args.autoremove.then_some("--auto-remove");
    let purge = args.purge.then_some("--purge");
    let keep = (args.fail_on_autoremove && args.state != State::Absent).then_some("--no-remove");
    autoremove.into_iter().chain(purge).chain(keep)
}

fn upgrade(args: &Args) -> Call {
    let mut words = match args.upgrade {
        Upgrade::Full | Upgrade::Dist => vec!["dist-upgrade"],
        _ => vec!["upgrade", "--with-new-pkgs"],
    };
    words.extend(removal_flags(args));
    Call::new(apt_get(args, &words))
}

fn packages_call(args: &Args, affected: Affected, stale: bool) -> Call {
    let verb: &[&str] = match args.state {
        State::Present | State::Latest if args.only_upgrade => &["install", "--only-upgrade"],
        State::Present | State::Latest => &["install"],
        State::Fixed => &["install", "--fix-broken"],
        State::BuildDep => &["build-dep"],
        State::Absent => &["remove"],
    };
    let mut words = verb.to_vec();
    words.extend(removal_flags(args));
    let mut call = Call::new(apt_get(args, &words));
    let names: Vec<String> = affected
        .words
        .iter()
        .map(|word| word.split('=').next().unwrap_or(word).to_owned())
        .collect();
    if stale || affected.beyond {
        call.known = Some(affected.expected);
        call.packages = Packages::of(&names, args.state != State::Absent);
    }
    call.command.argv.push("--".to_owned());
    call.command.argv.extend(affected.words);
    call
}

/// Away with downloaded files, if there are any.
fn clean(args: &Args, system: &dyn System) -> Result<Option<Call>, Error> {
    let archives = system.read_dir(Path::new(ARCHIVES))?;
    let any = archives
        .iter()
        .any(|path| path.extension().is_some_and(|extension| extension == "deb"));
    Ok(any.then(|| Call {
        counts: false,
        ..Call::new(apt_get(args, &["clean"]))
    }))
}

/// Without packages: the flags are the task.
fn housekeeping(args: &Args) -> Vec<Call> {
    let mut calls = Vec::new();
    if args.autoclean {
        calls.push(Call::new(apt_get(args, &["autoclean"])));
    }
    if args.autoremove {
        let purge = args.purge.then_some("--purge");
        let words: Vec<&str> = ["autoremove"].into_iter().chain(purge).collect();
        calls.push(Call::new(apt_get(args, &words)));
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_summary() {
        assert!(!changes(
            "0 upgraded, 0 newly installed, 0 to remove and 130 not upgraded.\n"
        ));
        assert!(changes(
            "1 upgraded, 0 newly installed, 0 to remove and 130 not upgraded.\n"
        ));
        assert!(changes(
            "0 upgraded, 0 newly installed, 1 downgraded, 0 to remove and 1 not upgraded.\n"
        ));
        assert!(changes("Del foo 1.0 [12 kB]\n"));
        assert!(changes(
            "0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n1 not fully installed or removed.\n"
        ));
        assert!(!changes(""));
    }

    #[test]
    fn a_simulation_tells_later_tasks_what_would_be_there() {
        let mut packages = Packages::default();
        note(
            "Remv old [1.0]\nInst new [1.0] (1.1 Debian:12 [amd64]) []\nConf new (1.1 Debian:12 [amd64])\n",
            &mut packages,
        );
        let mut expected = Packages::default();
        expected.remove("old");
        expected.install("new", "1.1");
        assert_eq!(packages, expected);
    }
}

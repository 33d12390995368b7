//! `pacman`: packages of Arch Linux. After community.general.pacman.
//!
//! What is installed and offered is asked of pacman in as few calls as the task needs; what would come and go, by `--print-format`.

#![expect(clippy::similar_names, reason = "`args` are the task's, `argv` a program's")]

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::modules::packages::foreseen::{self, Foreseen, Packages};
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec, tool};
use crate::system::foresight::Foresight;
use crate::system::{Command, CommandOutput, System};
use crate::value::Value;
use crate::wire::message::{Diff, Outcome};

pub struct Pacman;

#[derive(Debug, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the arguments are what playbooks know")]
pub struct Args {
    name: Option<Vec<String>>,
    state: String,
    force: bool,
    remove_nosave: bool,
    executable: String,
    extra_args: String,
    upgrade: Option<bool>,
    upgrade_extra_args: String,
    update_cache: Option<bool>,
    update_cache_extra_args: String,
    reason: Option<String>,
    reason_for: String,
}

/// The calls to make, in order, and the result.
#[derive(Debug)]
pub struct Change {
    calls: Vec<Call>,
    outcome: Outcome,
    packages: Packages,
    /// How to ask what the repositories offer: fetching is a change if the answer differs afterwards.
    refresh: Option<Refresh>,
}

#[derive(Debug)]
struct Call {
    command: Command,
    failure: &'static str,
}

#[derive(Debug)]
struct Refresh {
    call: Call,
    list: Option<Command>,
}

impl Module for Pacman {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "pacman",
        summary: "Install and remove packages on Arch Linux",
        args: &[
            Arg::strings("name")
                .aliases(&["pkg", "package"])
                .doc("Packages, groups, files or addresses."),
            Arg::str("state")
                .choices(&["present", "installed", "latest", "absent", "removed"])
                .default("present")
                .doc("What they are to be."),
            Arg::bool("force")
                .default("no")
                .doc("Remove without regard to dependencies; fetch the databases even if they seem fresh."),
            Arg::bool("remove_nosave")
                .default("no")
                .doc("Keep no copies of changed configuration files when removing."),
            Arg::str("executable")
                .default("pacman")
                .doc("What to call in place of pacman."),
            Arg::str("extra_args")
                .default("")
                .doc("More options for installing and removing."),
            Arg::bool("upgrade").doc("Upgrade all that is installed."),
            Arg::str("upgrade_extra_args")
                .default("")
                .doc("More options for `upgrade`."),
            Arg::bool("update_cache").doc("Fetch the databases first."),
            Arg::str("update_cache_extra_args")
                .default("")
                .doc("More options for `update_cache`."),
            Arg::str("reason")
                .choices(&["explicit", "dependency"])
                .doc("Why packages are said to be installed."),
            Arg::str("reason_for")
                .choices(&["new", "all"])
                .default("new")
                .doc("`reason` is for new packages, or for all that are named."),
        ],
        returns: &[
            Return::new(
                "packages",
                "list of str",
                "what was installed, removed or upgraded",
            ),
            Return::new(
                "cache_updated",
                "bool",
                "whether the databases are other than before",
            )
            .when("update_cache"),
            Return::new("stdout", "str", "what pacman said").when("it said anything"),
            Return::new("stderr", "str", "its errors and warnings").when("it said anything"),
        ],
        example: "\
- pacman:
    name: [nginx, base-devel]
    update_cache: true

- pacman: {upgrade: true}
",
        free_form: None,
        rules: &[
            Rule::OneOf(&["name", "update_cache", "upgrade"]),
            Rule::Exclusive(&["name", "upgrade"]),
        ],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        tool::require(system, &args.executable, "manage packages (is this Arch Linux?)")?;
        let refresh = match args.update_cache {
            Some(true) => Some(Refresh::new(&args)?),
            _ => None,
        };
        let mut work = Work::new(&args, system)?;
        let names: Vec<String> = args
            .name
            .iter()
            .flatten()
            .filter(|name| !name.is_empty())
            .cloned()
            .collect();
        if args.upgrade == Some(true) {
            work.upgrade()?;
        } else if names.is_empty() {
            if refresh.is_none() {
                work.outcome = work.outcome.with("msg", "Nothing to do");
            }
        } else if matches!(args.state.as_str(), "absent" | "removed") {
            work.remove(&names)?;
        } else {
            work.install(&names)?;
        }
        let outcome = work.outcome;
        if work.calls.is_empty() && refresh.is_none() {
            return Ok(Plan::Same(outcome));
        }
        let mut predicted = outcome.clone();
        if refresh.is_some() {
            predicted.changed = true;
            predicted = predicted.with("cache_updated", true);
        }
        let change = Change {
            calls: work.calls,
            outcome,
            packages: work.packages,
            refresh,
        };
        Ok(Plan::Change { change, predicted })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let mut outcome = change.outcome;
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let mut perform = |call: &Call| -> Result<(), Error> {
            let output = run(&call.command, call.failure, system)?;
            stdout.push_str(&output.stdout_text());
            stderr.push_str(&output.stderr_text());
            Ok(())
        };
        if let Some(Refresh { call, list }) = &change.refresh {
            let offered = |command: &Command| tool::text_of(system, command);
            let before = list.as_ref().map(offered).transpose()?;
            perform(call)?;
            let after = list.as_ref().map(offered).transpose()?;
            let updated = list.is_none() || before != after;
            outcome.changed |= updated;
            outcome = outcome.with("cache_updated", updated);
            if change.calls.is_empty() {
                outcome = outcome.with("msg", "Updated package db");
            }
        }
        for call in &change.calls {
            perform(call)?;
        }
        if !stdout.is_empty() {
            outcome = outcome.with("stdout", stdout);
        }
        if !stderr.is_empty() {
            outcome = outcome.with("stderr", stderr);
        }
        Ok(outcome)
    }

    fn foresee(change: &Change) -> Foresight {
        change.packages.foresight()
    }
}

fn words(text: &str) -> Result<Vec<String>, Error> {
    shell_words::split(text).map_err(|error| Error::new(format!("cannot split `{text}` into words: {error}")))
}

fn command(program: &str, words: &[&str]) -> Command {
    Command::new([program].into_iter().chain(words.iter().copied())).env("LC_ALL", "C")
}

fn run(command: &Command, failure: &str, system: &dyn System) -> Result<CommandOutput, Error> {
    let output = system.run(command)?;
    if output.success() {
        return Ok(output);
    }
    let error = tool::failure(command, &output);
    Err(Error {
        message: format!("{failure}: {}", tool::said(&output)),
        values: error.values,
    })
}

impl Refresh {
    fn new(args: &Args) -> Result<Self, Error> {
        let mut call = command(&args.executable, &["--sync", "--refresh"]);
        call.argv.extend(words(&args.update_cache_extra_args)?);
        if args.force {
            call.argv.push("--refresh".to_owned());
        }
        let list = command(&args.executable, &["--sync", "--list"]);
        Ok(Self {
            call: Call {
                command: call,
                failure: "could not update package db",
            },
            list: (!args.force).then_some(list),
        })
    }
}

/// One name of the task: what pacman calls it, and what it is told to install.
struct Wanted {
    name: String,
    source: String,
    is_file: bool,
}

/// The decision in the making.
struct Work<'a> {
    args: &'a Args,
    system: &'a dyn System,
    extra: Vec<String>,
    installed: BTreeMap<String, String>,
    calls: Vec<Call>,
    outcome: Outcome,
    packages: Packages,
}

impl<'a> Work<'a> {
    fn new(args: &'a Args, system: &'a dyn System) -> Result<Self, Error> {
        let mut work = Self {
            args,
            system,
            extra: words(&args.extra_args)?,
            installed: BTreeMap::new(),
            calls: Vec::new(),
            outcome: Outcome::ok(),
            packages: Packages::default(),
        };
        let text = work.ask(&["--query"])?;
        work.installed = text
            .lines()
            .filter_map(|line| line.trim().split_once(' '))
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .collect();
        Ok(work)
    }

    fn pacman(&self, words: &[&str]) -> Command {
        command(&self.args.executable, words)
    }

    /// A question to pacman; its answer, empty where it found nothing.
    fn ask(&self, words: &[&str]) -> Result<String, Error> {
        let command = self.pacman(words);
        let output = self.system.run(&command)?;
        let text = output.stdout_text();
        if output.success() || (output.code == 1 && text.is_empty()) {
            return Ok(text);
        }
        Err(tool::failure(&command, &output))
    }

    fn is_installed(&self, name: &str) -> bool {
        match foreseen::of(name, self.system) {
            Some(state) => state != Foreseen::Removed,
            None => self.installed.contains_key(name),
        }
    }

    /// Name to the version that is there and the one that can be had.
    fn upgradable(&self) -> Result<BTreeMap<String, (String, String)>, Error> {
        let text = self.ask(&["--query", "--upgrades"])?;
        let pair = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [name, old, "->", new] => Some(((*name).to_owned(), ((*old).to_owned(), (*new).to_owned()))),
                _ => None,
            }
        };
        Ok(text.lines().filter_map(pair).collect())
    }

    /// Groups become their members; what is neither known nor offered is a file, an address, or `repository/name`.
    fn resolve(&self, names: &[String], absent: bool) -> Result<Vec<Wanted>, Error> {
        let groups = self.ask(&["--sync", "--groups", "--groups"])?;
        let offered = self.ask(&["--sync", "--list"])?;
        let offered: BTreeSet<&str> = offered
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .collect();
        let mut wanted = Vec::new();
        for name in names {
            let plain = |name: &str| Wanted {
                name: name.to_owned(),
                source: name.to_owned(),
                is_file: false,
            };
            let members = groups.lines().filter_map(|line| line.split_once(' '));
            let members: Vec<&str> = members
                .filter(|(group, _)| group == name)
                .map(|(_, member)| member)
                .collect();
            if !members.is_empty() {
                wanted.extend(members.into_iter().map(plain));
                continue;
            }
            if offered.contains(name.as_str()) || self.installed.contains_key(name) {
                wanted.push(plain(name));
                continue;
            }
            let named = self
                .system
                .run(&self.pacman(&["--sync", "--print-format", "%n", name]))?;
            if named.success() {
                let source = name.clone();
                let name = named.stdout_text().trim().to_owned();
                wanted.push(Wanted {
                    name,
                    source,
                    is_file: false,
                });
                continue;
            }
            let question = self.pacman(&["--upgrade", "--print-format", "%n", name]);
            let named = self.system.run(&question)?;
            if named.success() {
                let text = named.stdout_text();
                wanted.push(Wanted {
                    name: text.lines().next_back().unwrap_or_default().trim().to_owned(),
                    source: name.clone(),
                    is_file: true,
                });
            } else if !absent {
                let error = tool::failure(&question, &named);
                return Err(Error {
                    message: format!("Failed to list package {name}: {}", tool::said(&named)),
                    values: error.values,
                });
            }
        }
        Ok(wanted)
    }

    fn install(&mut self, names: &[String]) -> Result<(), Error> {
        let wanted = self.resolve(names, false)?;
        let upgradable = if self.args.state == "latest" {
            self.upgradable()?
        } else {
            BTreeMap::new()
        };
        let reasons = self.reasons()?;
        let mut reason_for = Vec::new();
        let mut sources: [Vec<&str>; 2] = [Vec::new(), Vec::new()];
        for package in &wanted {
            if let Some(reason) = &self.args.reason {
                let now = reasons.get(&package.name);
                if now.is_none() || (self.args.reason_for == "all" && now != Some(reason)) {
                    reason_for.push(package.name.as_str());
                }
            }
            if package.is_file || !self.is_installed(&package.name) || upgradable.contains_key(&package.name)
            {
                sources[usize::from(package.is_file)].push(&package.source);
            }
        }
        let mut base = vec!["--noconfirm", "--noprogressbar", "--needed"];
        let extra = self.extra.clone();
        base.extend(extra.iter().map(String::as_str));
        let mut installed = Vec::new();
        let (mut before, mut after) = (String::new(), String::new());
        for (verb, sources) in [("--sync", &sources[0]), ("--upgrade", &sources[1])] {
            if sources.is_empty() {
                continue;
            }
            let question: Vec<&str> = [&base[..], &[verb, "--print-format", "%n %v"], sources].concat();
            let output = run(
                &self.pacman(&question),
                "Failed to list package(s) to install",
                self.system,
            )?;
            let text = output.stdout_text();
            let pairs = text.lines().filter_map(|line| line.trim().split_once(' '));
            // A version has its release; `loading packages...` is none.
            let is_version = |text: &str| text.contains('-') && !text.contains(' ');
            let pairs: Vec<(&str, &str)> = pairs.filter(|(_, version)| is_version(version)).collect();
            for (name, version) in &pairs {
                if let Some(old) = self.installed.get(*name) {
                    before += &[name, "-", old, "\n"].concat();
                }
                after += &[name, "-", version, "\n"].concat();
                installed.push((*name).to_owned());
                self.packages.install(*name, version);
            }
            if !pairs.is_empty() {
                let words = [&base[..], &[verb], sources].concat();
                self.calls.push(Call {
                    command: self.pacman(&words),
                    failure: "Failed to install package(s)",
                });
            }
        }
        if let (Some(reason), false) = (&self.args.reason, reason_for.is_empty()) {
            let flag = if reason == "dependency" {
                "--asdeps"
            } else {
                "--asexplicit"
            };
            let words = [&["--noconfirm", "--database", flag], &reason_for[..]].concat();
            self.calls.push(Call {
                command: self.pacman(&words),
                failure: "Failed to install package(s)",
            });
            for name in reason_for {
                if !installed.iter().any(|known| known == name) {
                    installed.push(name.to_owned());
                }
            }
        }
        let message = if self.calls.is_empty() {
            "package(s) already installed".to_owned()
        } else {
            format!("Installed {} package(s)", installed.len())
        };
        installed.sort_unstable();
        self.tell(&message, installed, before, after);
        Ok(())
    }

    /// Why each package is there.
    fn reasons(&self) -> Result<BTreeMap<String, String>, Error> {
        let mut reasons = BTreeMap::new();
        if self.args.reason.is_none() {
            return Ok(reasons);
        }
        for (flag, reason) in [("--explicit", "explicit"), ("--deps", "dependency")] {
            let text = self.ask(&["--query", flag])?;
            let names = text.lines().filter_map(|line| line.split_whitespace().next());
            reasons.extend(names.map(|name| (name.to_owned(), reason.to_owned())));
        }
        Ok(reasons)
    }

    fn remove(&mut self, names: &[String]) -> Result<(), Error> {
        let wanted = self.resolve(names, true)?;
        let there: Vec<&str> = wanted
            .iter()
            .map(|package| package.name.as_str())
            .filter(|name| self.is_installed(name))
            .collect();
        if there.is_empty() {
            self.tell(
                "package(s) already absent",
                Vec::new(),
                String::new(),
                String::new(),
            );
            return Ok(());
        }
        let mut base = vec!["--remove", "--noconfirm", "--noprogressbar"];
        let extra = self.extra.clone();
        base.extend(extra.iter().map(String::as_str));
        if self.args.force {
            base.extend(["--nodeps", "--nodeps"]);
        }
        let known: Vec<&str> = there
            .iter()
            .copied()
            .filter(|name| self.installed.contains_key(*name))
            .collect();
        let mut removed: Vec<String> = Vec::new();
        if !known.is_empty() {
            let question = [&base[..], &["--print-format", "%n-%v"], &known].concat();
            let output = run(
                &self.pacman(&question),
                "failed to list package(s) to remove",
                self.system,
            )?;
            removed.extend(output.stdout_text().split_whitespace().map(str::to_owned));
        }
        // `--nosave` does not go with `--print-format`.
        let nosave: &[&str] = if self.args.remove_nosave {
            &["--nosave"]
        } else {
            &[]
        };
        let words = [&base[..], nosave, &there].concat();
        for name in &there {
            self.packages.remove(*name);
        }
        self.calls.push(Call {
            command: self.pacman(&words),
            failure: "failed to remove package(s)",
        });
        let before = removed.iter().flat_map(|name| [name, "\n"]).collect();
        let message = format!("Removed {} package(s)", removed.len());
        self.tell(&message, removed, before, String::new());
        Ok(())
    }

    fn upgrade(&mut self) -> Result<(), Error> {
        let upgradable = self.upgradable()?;
        if upgradable.is_empty() && self.args.update_cache != Some(true) {
            self.tell("Nothing to upgrade", Vec::new(), String::new(), String::new());
            return Ok(());
        }
        let mut call = self.pacman(&["--sync", "--sysupgrade", "--quiet", "--noconfirm"]);
        call.argv.extend(words(&self.args.upgrade_extra_args)?);
        self.calls.push(Call {
            command: call,
            failure: "Could not upgrade",
        });
        let (mut before, mut after) = (String::new(), String::new());
        for (name, (old, new)) in &upgradable {
            before += &[name, "-", old, "\n"].concat();
            after += &[name, "-", new, "\n"].concat();
            self.packages.install(name, new);
        }
        self.tell("System upgraded", upgradable.into_keys().collect(), before, after);
        Ok(())
    }

    fn tell(&mut self, message: &str, packages: Vec<String>, before: String, after: String) {
        let changed = !packages.is_empty() || !self.calls.is_empty();
        let mut outcome = Outcome::changed(changed)
            .with("msg", message)
            .with("packages", Value::from(packages));
        if before != after {
            outcome.diff.push(Diff {
                before_header: "packages".to_owned(),
                after_header: "packages".to_owned(),
                before,
                after,
            });
        }
        self.outcome = outcome;
    }
}

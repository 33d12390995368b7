//! Which calls of dnf bring about what is asked for.

use std::cmp::Ordering;
use std::path::Path;

use super::calls::Dnfs;
use super::{Args, Change, Error, State, table, version};
use crate::modules::Plan;
use crate::modules::packages::foreseen::{self, Foreseen, Packages};
use crate::system::{Command, System};
use crate::wire::message::Outcome;

pub fn plan(args: &Args, program: Dnfs, system: &dyn System) -> Result<Plan<Change>, Error> {
    let names: Vec<String> = args
        .name
        .iter()
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    let alone = args.update_cache && names.is_empty() && !args.autoremove;
    if !alone && !args.download_only && system.uid() != 0 {
        return Err(Error::new(
            "This command has to be run under the root user. (the task may need `become: true`)",
        )
        .with("results", Vec::<String>::new()));
    }
    let refresh = args
        .update_cache
        .then(|| program.call(args, &["makecache", "--refresh"], &[]));
    let work = Work {
        args,
        program: &program,
        system,
    };
    let absent = match args.state {
        Some(State::Absent | State::Removed) => true,
        None => args.autoremove,
        Some(_) => names.is_empty() && args.autoremove,
    };
    let wanted = if absent {
        work.remove(&names)?
    } else {
        work.install(&names)?
    };
    let mut packages = Packages::default();
    let mut calls = Vec::new();
    let mut predicted = Outcome::ok().with("rc", 0);
    let mut results = Vec::new();
    for Wanted {
        call,
        foreseen,
        groups,
    } in wanted
    {
        if !foreseen.is_empty() {
            // An earlier task of this check has the say in it.
            packages.extend(&Packages::of(&foreseen, !absent));
            predicted.changed = true;
            calls.push(call);
            continue;
        }
        let text = program.ask(&call, system)?;
        if !table::says_nothing_to_do(&text) {
            let rows = table::rows(&text);
            table::packages(&rows, &mut packages);
            packages.extend(&Packages::of(&groups, !absent));
            predicted.diff.push(table::diff(&rows));
            results.extend(table::results(&rows));
            predicted.changed = true;
            calls.push(call);
        } else if refresh.is_some() {
            // With fresh metadata there may be something after all.
            calls.push(call);
        }
    }
    let message = match (predicted.changed, alone) {
        (true, _) => "Check mode: No changes made, but would have if not in check mode",
        (false, true) => "Cache updated",
        (false, false) => "Nothing to do",
    };
    predicted = predicted.with("msg", message).with("results", results);
    if calls.is_empty() && refresh.is_none() {
        return Ok(Plan::Same(predicted));
    }
    let change = Change {
        program,
        refresh,
        calls,
        packages,
    };
    Ok(Plan::Change { change, predicted })
}

/// A call that may be needed; the names in it that only the would-be state has to do with, and its groups.
struct Wanted {
    call: Command,
    foreseen: Vec<String>,
    groups: Vec<String>,
}

struct Work<'a> {
    args: &'a Args,
    program: &'a Dnfs,
    system: &'a dyn System,
}

impl Work<'_> {
    fn call(&self, verb: &[&str], names: &[String]) -> Wanted {
        let foreseen = names
            .iter()
            .filter(|name| foreseen::of(name, self.system).is_some());
        let groups = names.iter().filter(|name| name.starts_with('@'));
        Wanted {
            foreseen: foreseen.cloned().collect(),
            groups: groups.cloned().collect(),
            call: self.program.call(self.args, verb, names),
        }
    }

    fn remove(&self, names: &[String]) -> Result<Vec<Wanted>, Error> {
        if names.iter().any(|name| is_file(name)) {
            return Err(Error::new("Cannot remove paths -- please specify package name.")
                .with("results", Vec::<String>::new()));
        }
        let mut there = Vec::new();
        for name in names {
            let foreseen = foreseen::of(name, self.system);
            let named = name.starts_with('@') || is_pattern(name);
            if (named && foreseen != Some(Foreseen::Removed)) || self.is_installed(name)? {
                there.push(name.clone());
            }
        }
        let mut calls = Vec::new();
        if !there.is_empty() {
            calls.push(self.call(&["remove"], &there));
        }
        if self.args.autoremove {
            calls.push(self.call(&["autoremove"], &[]));
        }
        Ok(calls)
    }

    fn install(&self, names: &[String]) -> Result<Vec<Wanted>, Error> {
        let latest = self.args.state == Some(State::Latest);
        let (mut missing, mut upgrades) = (Vec::new(), Vec::new());
        let mut everything = false;
        let is_settled = |name: &str| {
            name.starts_with('@') && matches!(foreseen::of(name, self.system), Some(Foreseen::Installed(_)))
        };
        for name in names.iter().filter(|name| !is_settled(name)) {
            if name == "*" && latest {
                everything = true;
            } else if name.starts_with('@') && latest {
                // Only a group that is installed can be upgraded.
                let upgrade = self
                    .program
                    .call(self.args, &["upgrade"], std::slice::from_ref(name));
                if self.program.ask(&upgrade, self.system).is_ok() {
                    upgrades.push(name.clone());
                } else {
                    missing.push(name.clone());
                }
            } else if name.starts_with('@') || is_pattern(name) {
                missing.push(name.clone());
                upgrades.extend(latest.then(|| name.clone()));
            } else if is_file(name) {
                missing.push(name.clone());
            } else if self.has_newer(name)? {
                missing.extend(self.args.allow_downgrade.then(|| name.clone()));
            } else if !self.is_installed(name)? {
                missing.push(name.clone());
            } else if latest {
                upgrades.push(name.clone());
            }
        }
        let mut calls = Vec::new();
        if self.args.update_only {
            // Files go the way of names: what is there is upgraded.
            upgrades.extend(missing.into_iter().filter(|name| is_file(name)));
        } else if !missing.is_empty() {
            calls.push(self.call(&["install"], &missing));
        }
        if everything || !upgrades.is_empty() {
            let mut verb = vec!["upgrade"];
            verb.extend(self.args.security.then_some("--security"));
            verb.extend(self.args.bugfix.then_some("--bugfix"));
            calls.push(self.call(&verb, &upgrades));
        }
        Ok(calls)
    }

    fn rpm(&self, words: &[&str]) -> Result<Option<String>, Error> {
        let root = (self.program.root != "/").then_some(["--root", self.program.root.as_str()]);
        let argv = ["rpm"]
            .into_iter()
            .chain(root.into_iter().flatten())
            .chain(words.iter().copied());
        let output = self.system.run(&Command::new(argv))?;
        Ok(output.success().then(|| output.stdout_text()))
    }

    /// Whether a package of that name (with a version or without), or one that provides it, is installed.
    fn is_installed(&self, name: &str) -> Result<bool, Error> {
        if let Some(state) = foreseen::of(name, self.system) {
            return Ok(state != Foreseen::Removed);
        }
        Ok(self.rpm(&["-q", "--", name])?.is_some()
            || self.rpm(&["-q", "--whatprovides", "--", name])?.is_some())
    }

    /// Whether of `NAME-VERSION` a higher version is installed.
    fn has_newer(&self, text: &str) -> Result<bool, Error> {
        for (at, _) in text.rmatch_indices('-') {
            let (name, wanted) = (&text[..at], &text[at + 1..]);
            if name.is_empty() || !wanted.starts_with(|c: char| c.is_ascii_digit()) {
                continue;
            }
            let format = "%{VERSION}-%{RELEASE} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n";
            if let Some(found) = self.rpm(&["-q", "--qf", format, "--", name])? {
                let is_newer = |line: &str| {
                    let (plain, full) = line.split_once(' ').unwrap_or((line, line));
                    let known = if wanted.contains(':') { full } else { plain };
                    !wanted_is(wanted, known) && version::compare(known, wanted) == Ordering::Greater
                };
                return Ok(found.lines().all(is_newer));
            }
        }
        Ok(false)
    }
}

/// Whether a version is the one that is named, perhaps without its release or with an architecture.
fn wanted_is(wanted: &str, known: &str) -> bool {
    let rest = |text: &str, start: &str| {
        text.strip_prefix(start)
            .map(|rest| rest.starts_with(['-', '.']) || rest.is_empty())
    };
    rest(known, &format!("{wanted}-")).is_some() || rest(wanted, known) == Some(true)
}

/// A package file or its address, which `rpm -q` cannot be asked about.
fn is_file(name: &str) -> bool {
    let ending = Path::new(name).extension();
    name.contains("://") || ending.is_some_and(|ending| ending == "rpm")
}

fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_itself_without_its_release() {
        assert!(wanted_is("1.0", "1.0-3.el9"));
        assert!(wanted_is("1.0-3.el9", "1.0-3.el9"));
        assert!(wanted_is("1.0-3.el9.noarch", "1.0-3.el9"));
        assert!(!wanted_is("1.0", "1.01-3"));
        assert!(!wanted_is("1.0-2", "1.0-3"));
    }
}

//! `zypper`: packages of SUSE. After community.general.zypper.
//!
//! What is installed is asked by `zypper search`, what would happen by `--dry-run`; both answer in XML, of which the attributes of
//! `solvable` and the texts of `message` are read. Deliberately no transactional updates: they need a reboot between two tasks.

#![expect(clippy::similar_names, reason = "`args` are the task's, `argv` a program's")]

#[cfg(test)]
mod tests;

use serde::Deserialize;

use crate::modules::packages::foreseen::{self, Foreseen, Packages};
use crate::modules::{Arg, Error, Module, Plan, Return, Spec, tool};
use crate::system::foresight::Foresight;
use crate::system::{Command, CommandOutput, System};
use crate::wire::message::{Diff, Outcome};

/// Statuses of zypper that are no failure: done; a reboot is needed; zypper itself was upgraded; a signature was not verified; a
/// script of a package failed, and the package is there.
const DONE: &[i32] = &[0, 102, 103, 106, 107];
/// Zypper was upgraded first: the same call once more finishes.
const AGAIN: i32 = 103;
const SCRIPT_FAILED: i32 = 107;
/// Nothing of that name.
const NOT_FOUND: i32 = 104;

pub struct Zypper;

#[derive(Debug, Clone, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    clippy::struct_field_names,
    reason = "the arguments are what playbooks know"
)]
pub struct Args {
    name: Vec<String>,
    state: String,
    r#type: String,
    extra_args_precommand: Option<String>,
    disable_gpg_check: bool,
    auto_import_keys: bool,
    disable_recommends: bool,
    force: bool,
    force_resolution: bool,
    update_cache: bool,
    oldpackage: bool,
    extra_args: Option<String>,
    allow_vendor_change: bool,
    replacefiles: bool,
    clean_deps: bool,
    simple_errors: bool,
    quiet: bool,
    skip_post_errors: bool,
}

/// The calls to make, in order.
#[derive(Debug)]
pub struct Change {
    refresh: Option<Command>,
    call: Option<Command>,
    /// Repeat the call where a package's script failed.
    skip_post_errors: bool,
    simple_errors: bool,
    outcome: Outcome,
    packages: Packages,
}

impl Module for Zypper {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "zypper",
        summary: "Install and remove packages on SUSE",
        args: &[
            Arg::strings("name")
                .aliases(&["pkg"])
                .required()
                .doc("Names with `=`, `<`, `>`, `<=` or `>=` and a version, `-name` to remove, files, addresses; `*` for all."),
            Arg::str("state")
                .choices(&["absent", "installed", "latest", "present", "removed", "dist-upgrade"])
                .default("present")
                .doc("What they are to be."),
            Arg::str("type")
                .choices(&["package", "patch", "pattern", "product", "srcpackage", "application"])
                .default("package")
                .doc("What the names are names of."),
            Arg::str("extra_args_precommand").doc("More options before zypper's command."),
            Arg::bool("disable_gpg_check")
                .default("no")
                .doc("Do not verify signatures."),
            Arg::bool("auto_import_keys")
                .default("no")
                .doc("Trust repositories' keys that are not known yet."),
            Arg::bool("disable_recommends")
                .default("yes")
                .doc("Leave out recommended packages."),
            Arg::bool("force").default("no").doc("Install again, and lower versions."),
            Arg::bool("force_resolution")
                .default("no")
                .doc("Let zypper find a way out of conflicts by itself."),
            Arg::bool("update_cache")
                .aliases(&["refresh"])
                .default("no")
                .doc("Fetch the repositories' metadata first."),
            Arg::bool("oldpackage")
                .default("no")
                .doc("Install a lower version; implied by a version in a name."),
            Arg::str("extra_args").doc("More options after zypper's command."),
            Arg::bool("allow_vendor_change")
                .default("no")
                .doc("With `dist-upgrade`: take packages of other vendors."),
            Arg::bool("replacefiles")
                .default("no")
                .doc("Install packages although they replace files of others."),
            Arg::bool("clean_deps")
                .default("no")
                .doc("Remove dependencies that nothing needs any more."),
            Arg::bool("simple_errors")
                .default("no")
                .doc("Of zypper's XML, only the messages as stdout."),
            Arg::bool("quiet").default("yes").doc("Call zypper with `--quiet`."),
            Arg::bool("skip_post_errors")
                .default("no")
                .doc("Go on after a failing script of a package."),
        ],
        returns: &[
            Return::new("cmd", "list of str", "the call").when("zypper was called"),
            Return::new("rc", "int", "zypper's exit status"),
            Return::new("stdout", "str", "what zypper said").when("changed"),
            Return::new("stderr", "str", "its errors").when("changed"),
        ],
        example: "\
- zypper:
    name: [nginx, 'apache2>=2.4', -exim]
    update_cache: true

- zypper: {name: '*', state: latest, type: patch}
",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        tool::require(system, "zypper", "manage packages (is this SUSE?)")?;
        let names: Vec<String> = args
            .name
            .iter()
            .filter(|name| !name.is_empty())
            .cloned()
            .collect();
        let everything = names == ["*"];
        let (call, packages) = match args.state.as_str() {
            "latest" | "dist-upgrade" if everything => {
                let verb = match (args.r#type.as_str(), args.state.as_str()) {
                    ("patch", _) => "patch",
                    (_, "dist-upgrade") => "dist-upgrade",
                    _ => "update",
                };
                (Some(command(&args, verb, false)), Packages::default())
            }
            "dist-upgrade" => return Err(Error::new("Can not dist-upgrade specific packages.")),
            "absent" | "removed" => remove(&args, &names, system)?,
            state => install(&args, &names, state == "latest", system)?,
        };
        let refresh = args.update_cache.then(|| command(&args, "refresh", false));
        let mut outcome = Outcome::ok()
            .with("name", names)
            .with("state", args.state.as_str())
            .with("update_cache", args.update_cache)
            .with("rc", 0);
        let mut change = Change {
            refresh,
            call,
            skip_post_errors: args.skip_post_errors,
            simple_errors: args.simple_errors,
            outcome: Outcome::ok(),
            packages,
        };
        if let Some(call) = &change.call {
            let verb = Change::verb_at(call);
            let mut trial = call.clone();
            trial.argv.insert(verb + 1, "--dry-run".to_owned());
            // What an earlier task of the check brings is not there to be removed, and what it removes is.
            let removes = call.argv[verb] == "remove";
            let foreseen = names_of(call)
                .iter()
                .any(|name| match foreseen::of(name, system) {
                    Some(Foreseen::Removed) => !removes,
                    Some(Foreseen::Installed(_)) => removes,
                    None => false,
                });
            let mut touched = match change.run(&trial, system) {
                Ok(answer) => solvables(&answer.stdout_text()),
                Err(_) if foreseen => Vec::new(),
                Err(error) => return Err(error),
            };
            touched.retain(|solvable| !solvable.is_foreseen(system));
            if touched.is_empty() && !foreseen && change.refresh.is_none() {
                return Ok(Plan::Same(outcome));
            }
            outcome = outcome.with("cmd", call.argv.clone());
            change.outcome = outcome.clone();
            outcome.changed = !touched.is_empty() || foreseen;
            if !outcome.changed {
                change.packages = Packages::default();
            }
            for solvable in &touched {
                if solvable.group == "to-remove" {
                    change.packages.remove(&solvable.name);
                } else {
                    change.packages.install(&solvable.name, &solvable.version);
                }
            }
            outcome.diff = difference(&touched).into_iter().collect();
            return Ok(Plan::Change {
                change,
                predicted: outcome,
            });
        }
        if change.refresh.is_none() {
            return Ok(Plan::Same(outcome));
        }
        change.outcome = outcome.clone();
        Ok(Plan::Change {
            change,
            predicted: outcome,
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        if let Some(refresh) = &change.refresh {
            change.run(refresh, system).map_err(|error| Error {
                message: format!("Zypper refresh run failed. {}", error.message),
                ..error
            })?;
        }
        let mut outcome = change.outcome.clone();
        if let Some(call) = &change.call {
            let answer = change.run(call, system)?;
            let text = answer.stdout_text();
            outcome.changed = !solvables(&text).is_empty();
            outcome = outcome.with("rc", answer.code);
            if outcome.changed {
                outcome = outcome
                    .with("stdout", change.shown(&text))
                    .with("stderr", answer.stderr_text());
            }
        }
        Ok(outcome)
    }

    fn foresee(change: &Change) -> Foresight {
        change.packages.foresight()
    }
}

impl Change {
    /// Where zypper's own command stands among the words.
    fn verb_at(call: &Command) -> usize {
        let verbs = ["install", "remove", "update", "patch", "dist-upgrade", "refresh"];
        let at = call.argv.iter().position(|word| verbs.contains(&word.as_str()));
        at.unwrap_or(call.argv.len() - 1)
    }

    /// Runs zypper, and once more where it says that this is needed.
    fn run(&self, command: &Command, system: &dyn System) -> Result<CommandOutput, Error> {
        let mut answer = system.run(command)?;
        if answer.code == AGAIN || (answer.code == SCRIPT_FAILED && self.skip_post_errors) {
            let first = answer.stdout.clone();
            answer = system.run(command)?;
            answer.stdout.splice(0..0, first);
        }
        let fine = DONE.contains(&answer.code) && (answer.code != SCRIPT_FAILED || self.skip_post_errors);
        if fine && answer.code != AGAIN && answer.code != 106 {
            return Ok(answer);
        }
        let text = answer.stdout_text();
        let told = messages(&text);
        let error = tool::failure(command, &answer);
        let message = match answer.code {
            NOT_FOUND => told.last().cloned().unwrap_or_default(),
            code => {
                let told = if told.is_empty() {
                    tool::said(&answer)
                } else {
                    told.join(" ")
                };
                format!("Zypper run command failed with return code {code}. {told}")
            }
        };
        Err(Error {
            message,
            values: error.values,
        }
        .with("stdout", self.shown(&text)))
    }

    fn shown(&self, xml: &str) -> String {
        match messages(xml) {
            told if self.simple_errors && !told.is_empty() => told.join(" \n"),
            _ => xml.to_owned(),
        }
    }
}

/// The packages that stand at the end of a call.
fn names_of(call: &Command) -> Vec<&str> {
    let words = call
        .argv
        .iter()
        .rev()
        .take_while(|word| *word != "--" && *word != "--type");
    words.map(|word| word.trim_start_matches('+')).collect()
}

fn command(args: &Args, verb: &str, old: bool) -> Command {
    let installs = ["install", "update", "patch", "dist-upgrade"].contains(&verb);
    let mut argv = vec!["zypper", "--non-interactive", "--xmlout"];
    let mut flag = |wanted: bool, word: &'static str| argv.extend(wanted.then_some(word));
    flag(args.quiet, "--quiet");
    let before = args.extra_args_precommand.as_deref().unwrap_or_default();
    argv.extend(before.split_whitespace());
    let mut flag = |wanted: bool, word: &'static str| argv.extend(wanted.then_some(word));
    flag(
        args.disable_gpg_check && (installs || verb == "refresh"),
        "--no-gpg-checks",
    );
    flag(args.auto_import_keys && installs, "--gpg-auto-import-keys");
    flag(verb == "search", "--disable-repositories");
    argv.push(verb);
    if !["patch", "dist-upgrade", "refresh"].contains(&verb) {
        argv.extend(["--type", &args.r#type]);
    }
    let mut flag = |wanted: bool, word: &'static str| argv.extend(wanted.then_some(word));
    flag(installs, "--auto-agree-with-licenses");
    flag(installs && args.disable_recommends, "--no-recommends");
    flag(installs && args.force, "--force");
    flag(installs && args.force_resolution, "--force-resolution");
    flag(installs && (args.oldpackage || old), "--oldpackage");
    flag(installs && args.replacefiles, "--replacefiles");
    flag(verb == "remove" && args.clean_deps, "--clean-deps");
    flag(
        verb == "dist-upgrade" && args.allow_vendor_change,
        "--allow-vendor-change",
    );
    let after = args.extra_args.as_deref().unwrap_or_default();
    argv.extend(after.split_whitespace());
    Command::new(argv)
        .env("LANG", "C")
        .env("LC_ALL", "C")
        .env("LC_MESSAGES", "C")
}

/// One name of the task.
struct Wanted {
    install: bool,
    /// Said by a sign before the name.
    told: bool,
    name: String,
    version: String,
}

impl Wanted {
    fn parse(text: &str, install: bool) -> Self {
        let (sign, rest) = match text.split_at(text.len().min(1)) {
            (sign @ ("+" | "-" | "~"), rest) => (Some(sign == "+"), rest),
            _ => (None, text),
        };
        let end = rest.find(['<', '>', '=']).unwrap_or(rest.len());
        Self {
            install: sign.unwrap_or(install),
            told: sign.is_some(),
            name: rest[..end].to_owned(),
            version: rest[end..].to_owned(),
        }
    }

    fn word(&self) -> String {
        let sign = if self.install { '+' } else { '-' };
        format!("{sign}{}{}", self.name, self.version)
    }
}

fn is_file(name: &str) -> bool {
    let ending = std::path::Path::new(name).extension();
    name.contains("://") || ending.is_some_and(|ending| ending == "rpm")
}

fn install(
    args: &Args,
    names: &[String],
    latest: bool,
    system: &dyn System,
) -> Result<(Option<Command>, Packages), Error> {
    let (files, names): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| is_file(name));
    let mut wanted: Vec<Wanted> = names.iter().map(|name| Wanted::parse(name, true)).collect();
    let versions = wanted.iter().any(|entry| !entry.version.is_empty());
    if !latest {
        let plain: Vec<&str> = wanted
            .iter()
            .filter(|entry| entry.version.is_empty())
            .map(|entry| entry.name.as_str())
            .collect();
        let installed = installed(args, &plain, system)?;
        wanted.retain(|entry| entry.install != installed.contains(&entry.name));
    }
    if wanted.is_empty() && files.is_empty() {
        return Ok((None, Packages::default()));
    }
    let mut call = command(args, "install", versions);
    call.argv.push("--".to_owned());
    call.argv.extend(files.into_iter().cloned());
    call.argv.extend(wanted.iter().map(Wanted::word));
    let mut packages = Packages::default();
    for entry in wanted {
        if entry.install {
            packages.install(entry.name, "");
        } else {
            packages.remove(entry.name);
        }
    }
    Ok((Some(call), packages))
}

fn remove(args: &Args, names: &[String], system: &dyn System) -> Result<(Option<Command>, Packages), Error> {
    if names.iter().any(|name| is_file(name)) {
        return Err(Error::new("Can not remove via URL."));
    }
    if args.r#type == "patch" {
        return Err(Error::new("Can not remove patches."));
    }
    let mut wanted: Vec<Wanted> = names.iter().map(|name| Wanted::parse(name, false)).collect();
    if wanted.iter().any(|entry| entry.told && entry.install) {
        return Err(Error::new("Can not combine '+' prefix with state=remove/absent."));
    }
    let plain: Vec<&str> = wanted.iter().map(|entry| entry.name.as_str()).collect();
    let installed = installed(args, &plain, system)?;
    wanted.retain(|entry| installed.contains(&entry.name));
    if wanted.is_empty() {
        return Ok((None, Packages::default()));
    }
    let mut call = command(args, "remove", false);
    let words = wanted
        .iter()
        .map(|entry| format!("{}{}", entry.name, entry.version));
    call.argv.extend(words);
    let names: Vec<String> = wanted.into_iter().map(|entry| entry.name).collect();
    Ok((Some(call), Packages::of(&names, false)))
}

/// Those of the names that are installed.
fn installed(args: &Args, names: &[&str], system: &dyn System) -> Result<Vec<String>, Error> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut call = command(args, "search", false);
    call.argv
        .extend(["--match-exact", "--details", "--installed-only"].map(str::to_owned));
    call.argv.extend(names.iter().map(|name| (*name).to_owned()));
    let answer = system.run(&call)?;
    let mut found: Vec<String> = match answer.code {
        NOT_FOUND => Vec::new(),
        0 => solvables(&answer.stdout_text())
            .into_iter()
            .map(|solvable| solvable.name)
            .collect(),
        _ => return Err(tool::failure(&call, &answer)),
    };
    for name in names {
        match foreseen::of(name, system) {
            Some(Foreseen::Removed) => found.retain(|known| known != name),
            Some(Foreseen::Installed(_)) => found.push((*name).to_owned()),
            None => {}
        }
    }
    Ok(found)
}

/// A package in zypper's XML.
#[derive(Debug, PartialEq)]
struct Solvable {
    /// The element around it: `to-install`, `to-upgrade`, `to-remove`; nothing in a search.
    group: String,
    name: String,
    version: String,
    old_version: String,
}

impl Solvable {
    /// Whether it is already as an earlier task of this check would leave it.
    fn is_foreseen(&self, system: &dyn System) -> bool {
        let removed = self.group == "to-remove";
        match foreseen::of(&self.name, system) {
            Some(Foreseen::Installed(version)) => {
                !removed && version.is_none_or(|version| version == self.version)
            }
            Some(Foreseen::Removed) => removed,
            None => false,
        }
    }
}

/// Attributes of an element's start: `name="x" edition="1"`.
fn attribute(tag: &str, name: &str) -> String {
    let mark = format!(" {name}=\"");
    let value = tag.split_once(&mark).and_then(|(_, rest)| rest.split_once('"'));
    value.map_or_else(String::new, |(value, _)| unescape(value))
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

fn solvables(xml: &str) -> Vec<Solvable> {
    let mut group = String::new();
    let mut found = Vec::new();
    for tag in xml.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or(tag);
        let name = tag
            .split([' ', '/'])
            .find(|word| !word.is_empty())
            .unwrap_or_default();
        if name.starts_with("to-") {
            group = if tag.starts_with('/') {
                String::new()
            } else {
                name.to_owned()
            };
        } else if tag.starts_with("solvable ") {
            found.push(Solvable {
                group: group.clone(),
                name: attribute(tag, "name"),
                version: attribute(tag, "edition"),
                old_version: attribute(tag, "edition-old"),
            });
        }
    }
    found
}

/// What zypper says, and asks: the texts of `message`, and of those `description` that are of problems.
fn messages(xml: &str) -> Vec<String> {
    let text = |element: &'static str, end: &str| -> Vec<String> {
        let texts = xml.split(element).skip(1);
        let texts = texts.filter_map(|rest| rest.split_once('>')?.1.split_once(end));
        texts.map(|(text, _)| unescape(text.trim())).collect()
    };
    let mut told = text("<message", "</message>");
    let asked = text("<description", "</description>");
    told.extend(asked.into_iter().filter(|text| text.starts_with("Problem: ")));
    told
}

/// As Ansible prepares it: a line for each kind of change.
fn difference(touched: &[Solvable]) -> Option<Diff> {
    let mut after = String::new();
    for (group, title) in [
        ("to-install", "installed"),
        ("to-remove", "removed"),
        ("to-upgrade", "upgraded"),
    ] {
        let of_group = touched.iter().filter(|solvable| solvable.group == group);
        let names: Vec<String> = of_group
            .map(|solvable| match group {
                "to-upgrade" => format!(
                    "{} ({} => {})",
                    solvable.name, solvable.old_version, solvable.version
                ),
                _ => solvable.name.clone(),
            })
            .collect();
        if !names.is_empty() {
            after += &[title, ": ", &names.join(", "), "\n"].concat();
        }
    }
    (!after.is_empty()).then(|| Diff {
        before_header: "packages".to_owned(),
        after_header: "packages".to_owned(),
        before: String::new(),
        after,
    })
}

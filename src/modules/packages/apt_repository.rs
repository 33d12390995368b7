//! `apt_repository`: a line of apt's sources. After `ansible.builtin.apt_repository`.
//!
//! Deliberately no `ppa:` names: what they stand for is known to a server of Launchpad's only; write the line and its key.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::modules::files::attributes;
use crate::modules::files::content::{Writing, text_diff};
use crate::modules::files::steps::{Source, Step, perform};
use crate::modules::{Arg, Error, Module, Plan, Return, Spec, tool};
use crate::system::{Attributes, Command, Follow, System};
use crate::wire::message::{Diff, Outcome};

const MAIN: &str = "/etc/apt/sources.list";
const FOLDER: &str = "/etc/apt/sources.list.d";
const TYPES: &[&str] = &["deb", "deb-src"];

pub struct AptRepository;

#[derive(Debug, Deserialize)]
pub struct Args {
    repo: String,
    state: String,
    mode: Option<String>,
    filename: Option<String>,
    update_cache: bool,
}

/// The files to be written, and how to take it back if apt cannot use them.
#[derive(Debug)]
pub struct Change {
    steps: Vec<Step>,
    undo: Vec<Step>,
    update_cache: bool,
    outcome: Outcome,
}

impl Module for AptRepository {
    type Args = Args;
    type Change = Change;
    const SPEC: Spec = Spec {
        name: "apt_repository",
        summary: "keep a line of apt's sources",
        args: &[
            Arg::str("repo")
                .required()
                .doc("the line: `deb [OPTIONS] URL SUITE COMPONENTS`"),
            Arg::str("state")
                .choices(&["absent", "present"])
                .default("present")
                .doc("whether it shall be there"),
            Arg::mode("mode").doc("of a new file"),
            Arg::str("filename").doc("the name of a new file, without `.list`"),
            Arg::bool("update_cache")
                .aliases(&["update-cache"])
                .default("yes")
                .doc("run `apt-get update` after a change"),
            Arg::int("update_cache_retries")
                .default("5")
                .doc("accepted without effect: apt tries again by itself"),
            Arg::int("update_cache_retry_max_delay")
                .default("12")
                .doc("accepted without effect"),
            Arg::bool("install_python_apt")
                .default("yes")
                .doc("accepted without effect: nothing is needed"),
            Arg::bool("validate_certs")
                .default("yes")
                .doc("accepted without effect: for `ppa:`"),
            Arg::str("codename").doc("accepted without effect: for `ppa:`"),
        ],
        returns: &[
            Return::new("repo", "str", "the line"),
            Return::new("sources_added", "list of str", "files that were made"),
            Return::new("sources_removed", "list of str", "files that are gone"),
        ],
        example: "\
- apt_repository:
    repo: deb [signed-by=/etc/apt/keyrings/example.asc] https://packages.example.org/debian bookworm main
    filename: example
",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        if args.repo.starts_with("ppa:") {
            return Err(Error::new(format!(
                "{} names a PPA, which is not supported: give the line `deb URL SUITE COMPONENTS` and its key",
                args.repo
            )));
        }
        if args.update_cache {
            tool::require(system, "apt-get", "fetch the package lists")?;
        }
        let wanted = line(&args.repo)
            .ok_or_else(|| Error::new(format!("Invalid repository string: {}", args.repo)))?;
        let files = read_all(system)?;
        let known = |file: &&(PathBuf, String)| file.1.lines().filter_map(line).any(|line| line == wanted);
        let mut work = Work::default();
        if args.state == "absent" {
            for (path, text) in files.iter().filter(known) {
                let kept: String = text
                    .split_inclusive('\n')
                    .filter(|found| line(found).as_ref() != Some(&wanted))
                    .collect();
                work.rewrite(path, text, &kept, Attributes::default());
            }
        } else if !files.iter().any(|file| known(&file)) {
            let path = match &args.filename {
                Some(name) => Path::new(FOLDER).join(format!("{name}.list")),
                None => Path::new(FOLDER).join(suggested_name(&wanted)),
            };
            let mode = args.mode.as_deref().unwrap_or("0644");
            let attributes = Attributes {
                mode: Some(attributes::parse_mode(mode)?.apply(0, false, 0)),
                ..Attributes::default()
            };
            let old = files.iter().find(|(known, _)| *known == path);
            let old = old.map_or("", |(_, text)| text.as_str());
            let gap = if old.is_empty() || old.ends_with('\n') {
                ""
            } else {
                "\n"
            };
            work.rewrite(&path, old, &format!("{old}{gap}{wanted}\n"), attributes);
        }
        let mut outcome = Outcome::changed(!work.steps.is_empty())
            .with("repo", args.repo)
            .with("state", args.state)
            .with("sources_added", work.added)
            .with("sources_removed", work.removed);
        outcome.diff = work.diffs;
        if work.steps.is_empty() {
            return Ok(Plan::Same(outcome));
        }
        Ok(Plan::Change {
            change: Change {
                steps: work.steps,
                undo: work.undo,
                update_cache: args.update_cache,
                outcome: outcome.clone(),
            },
            predicted: outcome,
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        perform(&change.steps, system)?;
        if change.update_cache {
            let command = Command::new(["apt-get", "update", "-q"]).env("DEBIAN_FRONTEND", "noninteractive");
            // Where it cannot be run at all, as in a check, the sources are not what is wrong.
            let output = system.run(&command)?;
            if !output.success() {
                perform(&change.undo, system)?;
                let error = tool::failure(&command, &output);
                return Err(Error {
                    message: format!("Failed to update apt cache: {}", error.message),
                    ..error
                });
            }
        }
        Ok(change.outcome)
    }
}

/// What is to be done to the files, in the making.
#[derive(Default)]
struct Work {
    steps: Vec<Step>,
    undo: Vec<Step>,
    diffs: Vec<Diff>,
    added: Vec<String>,
    removed: Vec<String>,
}

impl Work {
    /// A file without lines goes; the main one stays whatever is in it.
    fn rewrite(&mut self, path: &Path, old: &str, new: &str, attributes: Attributes) {
        let name = path.display().to_string();
        self.diffs
            .push(text_diff((&name, old.as_bytes()), (&name, new.as_bytes())));
        let write = |text: &str| {
            let writing = Writing {
                path: path.to_owned(),
                attributes,
                ..Writing::default()
            };
            Step::Write(writing, Source::Bytes(text.as_bytes().to_vec()))
        };
        if new.trim().is_empty() && path != Path::new(MAIN) {
            self.removed.push(name);
            self.steps.push(Step::Remove(path.to_owned()));
        } else {
            self.steps.push(write(new));
        }
        if old.is_empty() {
            self.added.push(path.display().to_string());
            self.undo.push(Step::Remove(path.to_owned()));
        } else {
            self.undo.push(write(old));
        }
    }
}

/// A source as it is compared: its words with one blank between them, without a comment; none for what is no source, or not in use.
fn line(text: &str) -> Option<String> {
    let text = text.split('#').next().unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_source = words.first().is_some_and(|first| TYPES.contains(first)) && words.len() > 2;
    is_source.then(|| words.join(" "))
}

/// All files of sources, with their texts.
fn read_all(system: &dyn System) -> Result<Vec<(PathBuf, String)>, Error> {
    let mut paths = vec![PathBuf::from(MAIN)];
    let folder = Path::new(FOLDER);
    if system.metadata(folder, Follow::Yes)?.is_some() {
        let names = system.read_dir(folder)?;
        let lists = names
            .iter()
            .filter(|name| name.extension().is_some_and(|ending| ending == "list"));
        paths.extend(lists.map(|name| folder.join(name)));
    }
    let mut files = Vec::new();
    for path in paths {
        if system.metadata(&path, Follow::Yes)?.is_some() {
            let text = String::from_utf8_lossy(&system.read(&path)?).into_owned();
            files.push((path, text));
        }
    }
    Ok(files)
}

/// `deb [arch=amd64] https://user@deb.example.org/x y z` becomes `deb_example_org_x.list`.
fn suggested_name(line: &str) -> String {
    let mut words = line.split(' ').filter(|word| !TYPES.contains(word));
    let mut url = words.next().unwrap_or_default();
    if url.starts_with('[') {
        // The options may hold blanks.
        let rest = line.split_once(']').map_or("", |(_, rest)| rest);
        url = rest.split_whitespace().next().unwrap_or_default();
    }
    let place = url.split_once("://").map_or(url, |(_, place)| place);
    let place = place.split_once('@').map_or(place, |(_, place)| place);
    let words: Vec<&str> = place
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    format!("{}.list", words.join("_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check_agrees, failure, run};
    use crate::system::fake::Fake;

    fn target() -> Fake {
        let fake = Fake::new();
        fake.file(
            MAIN,
            "# main\ndeb http://deb.debian.org/debian  bookworm main # all\n",
        )
        .directory(FOLDER)
        .program("/usr/bin/apt-get")
        .answer("apt-get update -q", 0, "");
        fake
    }

    #[test]
    fn lines_come_and_go() {
        let fake = target();
        let there = run::<AptRepository>(
            &fake,
            r#"{"repo":"deb http://deb.debian.org/debian bookworm main"}"#,
        );
        assert!(!there.changed && fake.ran().is_empty());
        let repo = "deb [arch=amd64] https://me:pw@deb.example.org/x stable main";
        let outcome = check_agrees::<AptRepository>(&fake, &format!(r#"{{"repo":"{repo}"}}"#));
        let file = "/etc/apt/sources.list.d/deb_example_org_x.list";
        assert_eq!(fake.text(file), format!("{repo}\n"));
        assert_eq!(outcome.values["sources_added"], vec![file.to_owned()].into());
        check_agrees::<AptRepository>(&fake, &format!(r#"{{"repo":"{repo}","state":"absent"}}"#));
        assert!(!fake.listing().contains(file));
    }

    #[test]
    fn what_apt_cannot_use_is_taken_back() {
        let fake = target();
        fake.answer("apt-get update -q", 100, "");
        let message = failure::<AptRepository>(
            &fake,
            r#"{"repo":"deb http://none.example.org x main","filename":"x"}"#,
        );
        assert!(message.starts_with("Failed to update apt cache: "), "{message}");
        assert_eq!(
            failure::<AptRepository>(&fake, r#"{"repo":"nonsense"}"#),
            "Invalid repository string: nonsense"
        );
    }
}

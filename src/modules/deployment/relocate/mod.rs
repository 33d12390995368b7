//! `relocate`: moves a folder elsewhere and leaves a symbolic link in its place; or moves it back. A module of
//! our own, made for docker's storage.
//!
//! At any moment either the old or the new place is complete and in effect: what is at `src` changes in one
//! step, from the folder to the link, after the copy was verified. A journal beside `dest` tells the next run
//! that leftovers are ours and which services were running; it is the first thing written and the last one
//! removed. The names in play:
//!
//! ```text
//! src                   the folder, later the link     dest             the new place
//! src.relocated-old     the folder after the switch    dest.partial     a copy not yet verified
//! src.relocated-aside   only where the file system     dest.relocation  the journal
//!                       cannot exchange two names
//! src.relocated-new     a copy on its way back
//! ```
//!
//! `cp -a` copies (it knows sparse files, devices, sockets and reflinks); [`verify`] judges the result.
//! Deliberately not handled: a `src` or `dest` that is itself a mount point. Device numbers of device files
//! are not compared.

mod plan;
mod services;
#[cfg(test)]
mod tests;
mod verify;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::plan::Step;
use self::services::Services;
use crate::modules::files::path;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec, tool};
use crate::system::{Attributes, Command, Follow, System};
use crate::wire::message::Outcome;

pub struct Relocate;

/// Nobody but root writes into a folder of our making; docker's own is 0710.
const FOLDER_MODE: u32 = 0o711;
const JOURNAL_MODE: u32 = 0o600;

#[derive(Debug, Deserialize)]
pub struct Args {
    src: String,
    dest: String,
    services: Vec<String>,
    state: Direction,
}

/// Which way things go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Present,
    Absent,
}

/// What the next run has to know if this one is cut short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Journal {
    direction: Direction,
    src: PathBuf,
    /// Services to start at the end, in their order.
    running: Vec<String>,
}

/// Every name that is used.
#[derive(Debug, Clone)]
struct Paths {
    src: PathBuf,
    dest: PathBuf,
    old: PathBuf,
    aside: PathBuf,
    new: PathBuf,
    partial: PathBuf,
    journal: PathBuf,
}

impl Paths {
    fn new(src: &Path, dest: &Path) -> Self {
        let beside = |path: &Path, suffix: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        Self {
            src: src.to_owned(),
            dest: dest.to_owned(),
            old: beside(src, ".relocated-old"),
            aside: beside(src, ".relocated-aside"),
            new: beside(src, ".relocated-new"),
            partial: beside(dest, ".partial"),
            journal: beside(dest, ".relocation"),
        }
    }
}

#[derive(Debug)]
pub struct Change {
    paths: Paths,
    services: Services,
    steps: Vec<Step>,
    outcome: Outcome,
}

impl Module for Relocate {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "relocate",
        summary: "Move a folder elsewhere and leave a link, surviving any interruption",
        args: &[
            Arg::path("src").required().doc("The folder that becomes a link."),
            Arg::path("dest")
                .required()
                .doc("Where its contents go; empty or not there yet."),
            Arg::strings("services")
                .default("")
                .doc("Stopped in this order, and those that were running started again in reverse."),
            Arg::str("state")
                .choices(&["present", "absent"])
                .default("present")
                .doc("absent moves the contents back."),
        ],
        returns: &[
            Return::new("src", "str", "the folder that becomes a link"),
            Return::new("dest", "str", "where its contents are"),
            Return::new("resumed", "bool", "whether an earlier run was cut off"),
            Return::new("steps", "list of str", "what was done, or would be").when("something is to be done"),
        ],
        example: "- relocate:\n    src: /var/lib/docker\n    dest: /data/docker\n    services: [docker.socket, docker]\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let clean =
            |text: &str| -> Result<PathBuf, Error> { Ok(path::expand(text, system)?.components().collect()) };
        let (src, dest) = (clean(&args.src)?, clean(&args.dest)?);
        for (name, path) in [("src", &src), ("dest", &dest)] {
            if !path.is_absolute() {
                return Err(Error::new(format!(
                    "{name} must be an absolute path, not {}",
                    path.display()
                )));
            }
        }
        if src.starts_with(&dest) || dest.starts_with(&src) {
            return Err(Error::new(format!(
                "{} and {} lie within one another; choose a dest outside of src",
                src.display(),
                dest.display()
            )));
        }
        let paths = Paths::new(&src, &dest);
        let wanted: Vec<String> = args
            .services
            .into_iter()
            .filter(|name| !name.is_empty())
            .collect();
        let services = Services::find(wanted, system)?;
        let scene = plan::Scene::look(paths.clone(), system)?;
        let running = services.running(system)?;
        let steps = scene.plan(args.state, running)?;
        let outcome = Outcome::changed(!steps.is_empty())
            .with("src", src.display().to_string())
            .with("dest", dest.display().to_string())
            .with("resumed", scene.is_resumed());
        if steps.is_empty() {
            return Ok(Plan::Same(outcome));
        }
        let predicted = outcome
            .clone()
            .with("steps", steps.iter().map(Step::to_string).collect::<Vec<_>>());
        Ok(Plan::Change {
            change: Change {
                paths,
                services,
                steps,
                outcome,
            },
            predicted,
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let mut switched = false;
        let mut noted: Option<&[String]> = None;
        for step in &change.steps {
            if let Step::Note(journal) = step {
                noted = Some(&journal.running);
            }
            switched |= matches!(step, Step::Switch { .. });
            if let Err(error) = perform(step, &change, system) {
                let Some(running) = noted.filter(|_| !switched) else {
                    return Err(error);
                };
                // What was in effect still is: let it work until someone has seen to the cause.
                let restarted = change.services.start(running, system).is_ok();
                let services = if restarted {
                    "the services run again"
                } else {
                    "the services are still stopped"
                };
                return Err(Error {
                    message: format!(
                        "{} ({} is as it was, {services}; run again when the cause is gone)",
                        error.message,
                        change.paths.src.display()
                    ),
                    values: error.values,
                });
            }
        }
        Ok(change.outcome)
    }
}

fn perform(step: &Step, change: &Change, system: &dyn System) -> Result<(), Error> {
    let paths = &change.paths;
    match step {
        Step::Note(journal) => {
            let text = serde_json::to_string(journal)
                .map_err(|error| Error::new(format!("cannot write the journal: {error}")))?;
            let attributes = Attributes {
                mode: Some(JOURNAL_MODE),
                ..Attributes::default()
            };
            system.write(&paths.journal, &mut text.as_bytes(), attributes)?;
        }
        Step::Stop(services) => change.services.stop(services, system)?,
        Step::Start(services) => change.services.start(services, system)?,
        Step::RequireIdle(path) => plan::require_idle(path, system)?,
        Step::MakeFolders(path) => make_folders(path, system)?,
        Step::Remove(path) => remove(path, system)?,
        Step::Copy { from, to } => copy(from, to, system)?,
        Step::Verify { from, to } => verify::same(from, to, system)?,
        Step::Rename { from, to } => system.rename(from, to)?,
        Step::Link { target, link } => system.symlink(target, link)?,
        Step::Switch { fresh } => switch(fresh, paths, system)?,
        Step::RemoveJournal => system.remove_file(&paths.journal)?,
    }
    Ok(())
}

/// Puts `fresh` into `src`'s place and `src` into `fresh`'s.
fn switch(fresh: &Path, paths: &Paths, system: &dyn System) -> Result<(), Error> {
    match system.exchange(fresh, &paths.src) {
        Ok(()) => Ok(()),
        Err(error)
            if matches!(
                error.source.kind(),
                ErrorKind::Unsupported | ErrorKind::InvalidInput
            ) =>
        {
            // Cut short between these, `src` is missing and the next run puts it back from `aside`.
            system.rename(&paths.src, &paths.aside)?;
            system.rename(fresh, &paths.src)?;
            Ok(())
        }
        Err(error) => Err(Error::new(format!("{error}: something may still be using it"))),
    }
}

fn copy(from: &Path, to: &Path, system: &dyn System) -> Result<(), Error> {
    let (from, to) = (from.display().to_string(), to.display().to_string());
    let options = ["cp", "-a", "--sparse=always", "--reflink=auto", "-T", "--"];
    let argv = options.into_iter().chain([from.as_str(), to.as_str()]);
    tool::run(system, &Command::new(argv))?;
    // The copy has to be on the disk before the original is gone.
    tool::run(system, &Command::new(["sync"]))?;
    Ok(())
}

fn remove(path: &Path, system: &dyn System) -> Result<(), Error> {
    use crate::system::FileKind;
    match system.metadata(path, Follow::No)? {
        None => {}
        Some(metadata) if metadata.kind == FileKind::Directory => system.remove_tree(path)?,
        Some(_) => system.remove_file(path)?,
    }
    Ok(())
}

fn make_folders(path: &Path, system: &dyn System) -> Result<(), Error> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|folder| !matches!(system.metadata(folder, Follow::Yes), Ok(Some(_))))
        .collect();
    for folder in missing.into_iter().rev() {
        system.create_dir(folder, FOLDER_MODE)?;
    }
    Ok(())
}

//! `file`: files, folders and links: that they are there or not, whose they are, what may be done to them.
//!
//! It writes no content; that is `copy`'s and `template`'s work.

mod links;
mod told;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

use crate::modules::files::attributes::{self, FileArgs, StateDiff, Wanted, with_file_args};
use crate::modules::files::content::Writing;
use crate::modules::files::steps::{Source, Step, afterwards, perform};
use crate::modules::files::{label, path::expand};
use crate::modules::{Arg, Error, Module, Plan, Rule, Spec};
use crate::system::{FileKind, Follow, Metadata, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

/// Entries of a folder that is removed that a diff names; the rest is counted.
const MAX_LISTED: usize = 1000;

pub struct File;

#[derive(Debug, Deserialize)]
pub struct Args {
    path: String,
    state: Option<String>,
    src: Option<String>,
    recurse: bool,
    follow: bool,
    force: bool,
    modification_time: Option<String>,
    modification_time_format: String,
    access_time: Option<String>,
    access_time_format: String,
    #[serde(flatten)]
    file: FileArgs,
}

/// What is to be done, and what the result says besides.
#[derive(Debug)]
pub struct Change {
    steps: Vec<Step>,
    path: PathBuf,
    values: Map,
}

impl Module for File {
    type Args = Args;
    type Change = Change;
    const SPEC: Spec = Spec {
        name: "file",
        summary: "make, change and remove files, folders and links",
        args: with_file_args![
            Arg::path("path")
                .aliases(&["dest", "name"])
                .required()
                .doc("what is managed"),
            Arg::str("state")
                .choices(&["absent", "directory", "file", "hard", "link", "touch"])
                .doc("what it shall be; without it, what it is"),
            Arg::path("src").doc("what a link points to"),
            Arg::bool("recurse")
                .default("no")
                .doc("set attributes in the whole folder"),
            Arg::bool("follow")
                .default("yes")
                .doc("manage what a link points to"),
            Arg::bool("force")
                .default("no")
                .doc("make links to nothing and in place of files"),
            Arg::str("modification_time").doc("`preserve`, `now` or a time"),
            Arg::str("modification_time_format")
                .default("%Y%m%d%H%M.%S")
                .doc("as for strptime"),
            Arg::str("access_time").doc("`preserve`, `now` or a time"),
            Arg::str("access_time_format")
                .default("%Y%m%d%H%M.%S")
                .doc("as for strptime"),
            Arg::bool("_diff_peek").doc("accepted without effect: of Ansible's own use"),
            Arg::str("_original_basename").doc("accepted without effect: of Ansible's own use"),
        ],
        returns: told::RETURNS,
        example: told::EXAMPLE,
        free_form: None,
        rules: &[Rule::If("state", "hard", &["src"])],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        Check::new(args, system)?.plan()
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        perform(&change.steps, system)?;
        let mut outcome = attributes::describe(Outcome::changed(true), &change.path, system)?;
        outcome.values.extend(change.values);
        Ok(outcome)
    }
}

/// The decision in the making.
struct Check<'a> {
    args: Args,
    wanted: Wanted,
    path: PathBuf,
    now: Option<Metadata>,
    system: &'a dyn System,
    steps: Vec<Step>,
    diff: StateDiff,
}

impl<'a> Check<'a> {
    fn new(args: Args, system: &'a dyn System) -> Result<Self, Error> {
        let path = expand(&args.path, system)?;
        let now = system.metadata(&path, Follow::No)?;
        Ok(Self {
            wanted: args.file.resolve(system)?,
            diff: StateDiff::new(&path),
            args,
            path,
            now,
            system,
            steps: Vec::new(),
        })
    }

    fn plan(mut self) -> Result<Plan<Change>, Error> {
        let state = match (&self.args.state, &self.now) {
            (Some(state), _) => state.clone(),
            (None, Some(now)) => attributes::state(now).to_owned(),
            (None, None) if self.args.recurse => "directory".to_owned(),
            (None, None) => "file".to_owned(),
        };
        if self.args.recurse && state != "directory" {
            return Err(self.refusal("recurse option requires state to be 'directory'"));
        }
        let given = self.args.state.as_deref();
        if self.args.src.is_some() && !matches!(given, Some("link" | "hard")) {
            return Err(self.refusal("src option requires state to be 'link' or 'hard'"));
        }
        match state.as_str() {
            "absent" => self.absent()?,
            "directory" => self.directory()?,
            "touch" => self.touch()?,
            "link" => self.link()?,
            "hard" if given.is_some() => self.hard()?,
            _ => self.file()?,
        }
        if state != "absent" {
            self.steps
                .extend(afterwards(&self.args.file, &self.path, self.system)?);
        }
        self.finish(&state)
    }

    fn finish(self, state: &str) -> Result<Plan<Change>, Error> {
        let mut values = Map::new();
        let key = if matches!(state, "touch" | "link" | "hard") {
            "dest"
        } else {
            "path"
        };
        values.insert(key.to_owned(), self.path.display().to_string().into());
        if matches!(state, "link" | "hard") {
            let src = self.args.src.clone().or_else(|| self.link_target());
            values.insert("src".to_owned(), src.into());
        }
        let changed = !self.steps.is_empty();
        let mut outcome = attributes::describe(Outcome::changed(changed), &self.path, self.system)?;
        outcome.values.extend(values.clone());
        if !changed {
            return Ok(Plan::Same(outcome));
        }
        Ok(Plan::Change {
            predicted: outcome.with_diff(self.diff.into_diff()),
            change: Change {
                steps: self.steps,
                path: self.path,
                values,
            },
        })
    }

    fn refusal(&self, message: impl Into<String>) -> Error {
        let state = self.now.as_ref().map_or("absent", attributes::state);
        Error::new(message)
            .with("path", self.path.display().to_string())
            .with("state", state)
    }

    /// Goes on with what a link points to, where that is asked for.
    fn follow(&mut self) -> Result<(), Error> {
        if self.args.follow && self.kind() == Some(FileKind::Link) {
            self.path = self.system.canonicalize(&self.path)?;
            self.now = self.system.metadata(&self.path, Follow::No)?;
            self.diff = StateDiff::new(&self.path);
        }
        Ok(())
    }

    fn kind(&self) -> Option<FileKind> {
        self.now.as_ref().map(|now| now.kind)
    }

    fn link_target(&self) -> Option<String> {
        self.system
            .read_link(&self.path)
            .ok()
            .map(|target| target.display().to_string())
    }

    fn note_state(&mut self, after: &'static str) {
        let before = self.now.as_ref().map_or("absent", attributes::state);
        self.diff.note("state", before, after);
    }

    fn file(&mut self) -> Result<(), Error> {
        self.follow()?;
        let name = self.path.display();
        let Some(now) = &self.now else {
            return Err(self.refusal(format!("file ({name}) is absent, cannot continue")));
        };
        let state = attributes::state(now);
        if self.args.state.is_some() && !matches!(state, "file" | "hard") {
            return Err(self.refusal(format!("file ({name}) is {state}, cannot continue")));
        }
        self.attributes_and_times(false)
    }

    fn touch(&mut self) -> Result<(), Error> {
        self.follow()?;
        if self.now.is_some() {
            return self.attributes_and_times(true);
        }
        self.note_state("touch");
        let writing = Writing {
            path: self.path.clone(),
            attributes: self.wanted.for_new(FileKind::File),
            ..Writing::default()
        };
        self.steps.push(Step::Write(writing, Source::Bytes(Vec::new())));
        let (accessed, modified) = self.times(false)?;
        self.push_times(accessed, modified);
        Ok(())
    }

    fn directory(&mut self) -> Result<(), Error> {
        self.follow()?;
        match self.kind() {
            None => {
                self.note_state("directory");
                let attributes = self.wanted.for_new(FileKind::Directory);
                for folder in missing_folders(&self.path, self.system)? {
                    self.steps.push(Step::CreateDirectory(folder, attributes));
                }
                let (accessed, modified) = self.times(false)?;
                self.push_times(accessed, modified);
                Ok(())
            }
            Some(FileKind::Directory) => {
                self.attributes_and_times(false)?;
                if self.args.recurse {
                    self.recurse(&self.path.clone())?;
                }
                Ok(())
            }
            Some(_) => {
                let state = self.now.as_ref().map_or("absent", attributes::state);
                Err(self.refusal(format!("{} already exists as a {state}", self.path.display())))
            }
        }
    }

    fn absent(&mut self) -> Result<(), Error> {
        let Some(kind) = self.kind() else { return Ok(()) };
        self.note_state("absent");
        if kind == FileKind::Directory {
            let content = self.listing(&self.path.clone())?;
            self.diff.note_before("path_content", content);
            self.steps.push(Step::RemoveTree(self.path.clone()));
        } else {
            self.steps.push(Step::Remove(self.path.clone()));
        }
        Ok(())
    }

    fn attributes_and_times(&mut self, touched: bool) -> Result<(), Error> {
        let Some(now) = self.now.clone() else {
            return Ok(());
        };
        let missing = self.wanted.missing(&now);
        if !attributes::nothing(missing) {
            self.diff.note_attributes(&now, missing);
            self.steps
                .push(Step::Attributes(self.path.clone(), missing, Follow::No));
        }
        let (accessed, modified) = self.times(touched)?;
        let accessed = accessed.filter(|time| *time != now.accessed);
        let modified = modified.filter(|time| *time != now.modified);
        if let Some(time) = accessed {
            self.diff.note("atime", seconds(now.accessed), seconds(time));
        }
        if let Some(time) = modified {
            self.diff.note("mtime", seconds(now.modified), seconds(time));
        }
        self.push_times(accessed, modified);
        Ok(())
    }

    fn push_times(&mut self, accessed: Option<SystemTime>, modified: Option<SystemTime>) {
        if accessed.is_some() || modified.is_some() {
            self.steps
                .push(Step::Times(self.path.clone(), accessed, modified));
        }
    }

    /// Access and modification time to be set; `touched`: now, where nothing is said.
    fn times(&self, touched: bool) -> Result<(Option<SystemTime>, Option<SystemTime>), Error> {
        let time = |given: &Option<String>, format: &str| match given.as_deref() {
            None if touched => Ok(Some(self.system.now())),
            None | Some("preserve") => Ok(None),
            Some("now") => Ok(Some(self.system.now())),
            Some(text) => parse_time(text, format).map(Some),
        };
        Ok((
            time(&self.args.access_time, &self.args.access_time_format)?,
            time(&self.args.modification_time, &self.args.modification_time_format)?,
        ))
    }

    /// Attributes of everything below a folder.
    fn recurse(&mut self, folder: &Path) -> Result<(), Error> {
        for name in self.system.read_dir(folder)? {
            let path = folder.join(name);
            let Some(metadata) = self.system.metadata(&path, Follow::No)? else {
                continue;
            };
            self.amend(&path, &metadata, Follow::No);
            if metadata.kind != FileKind::Link {
                self.steps
                    .extend(label::step(&self.args.file, &path, self.system)?);
            }
            if metadata.kind == FileKind::Link && self.args.follow {
                let target = self.system.metadata(&path, Follow::Yes)?;
                target.inspect(|target| self.amend(&path, target, Follow::Yes));
            }
            // A link to a folder is never walked into: it may lead out of the tree, or in a circle.
            if metadata.kind == FileKind::Directory {
                self.recurse(&path)?;
            }
        }
        Ok(())
    }

    fn amend(&mut self, path: &Path, now: &Metadata, follow: Follow) {
        let missing = self.wanted.missing(now);
        if !attributes::nothing(missing) {
            self.steps
                .push(Step::Attributes(path.to_owned(), missing, follow));
        }
    }

    /// What a folder holds, for the diff of its removal.
    fn listing(&self, folder: &Path) -> Result<Value, Error> {
        let (mut directories, mut files) = (Vec::new(), Vec::new());
        let mut waiting = vec![folder.to_owned()];
        while let Some(folder) = waiting.pop() {
            for name in self.system.read_dir(&folder)? {
                if directories.len() + files.len() == MAX_LISTED {
                    files.push(format!("... (only the first {MAX_LISTED} are listed)"));
                    waiting.clear();
                    break;
                }
                let path = folder.join(name);
                let shown = path.display().to_string();
                match self
                    .system
                    .metadata(&path, Follow::No)?
                    .map(|metadata| metadata.kind)
                {
                    Some(FileKind::Directory) => {
                        directories.push(shown);
                        waiting.push(path);
                    }
                    _ => files.push(shown),
                }
            }
        }
        let pairs = [("directories", directories), ("files", files)];
        Ok(Value::Map(
            pairs
                .into_iter()
                .map(|(key, list)| (key.to_owned(), list.into()))
                .collect(),
        ))
    }
}

/// The folders of a path that do not exist, outermost first.
pub fn missing_folders(path: &Path, system: &dyn System) -> Result<Vec<PathBuf>, Error> {
    let mut missing = Vec::new();
    for folder in path.ancestors().filter(|folder| !folder.as_os_str().is_empty()) {
        match system.metadata(folder, Follow::Yes)? {
            None => missing.push(folder.to_owned()),
            Some(metadata) if metadata.kind == FileKind::Directory => break,
            Some(_) => {
                return Err(Error::new(format!(
                    "There was an issue creating {}: {} is not a directory",
                    path.display(),
                    folder.display()
                ))
                .with("path", path.display().to_string()));
            }
        }
    }
    missing.reverse();
    Ok(missing)
}

fn parse_time(text: &str, format: &str) -> Result<SystemTime, Error> {
    jiff::civil::DateTime::strptime(format, text)
        .and_then(|time| time.to_zoned(jiff::tz::TimeZone::system()))
        .map(|time| SystemTime::from(time.timestamp()))
        .map_err(|error| {
            Error::new(format!(
                "Error while obtaining timestamp for time {text} using format {format}: {error}"
            ))
        })
}

/// As Python's `os.stat` tells times.
pub fn seconds(time: SystemTime) -> f64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

#[cfg(test)]
mod tests;

//! A text file changed in place: what `lineinfile` and `blockinfile` have in common around their decisions.

use std::path::{Path, PathBuf};

use crate::modules::files::attributes::{self, FileArgs, StateDiff};
use crate::modules::files::content::{Writing, check_validate, text_diff};
use crate::modules::files::file::missing_folders;
use crate::modules::files::path::expand;
use crate::modules::files::steps::{Source, Step, afterwards, perform};
use crate::modules::{Arg, Error, Plan};
use crate::system::{Attributes, FileKind, Follow, Metadata, System};
use crate::value::Map;
use crate::wire::message::Outcome;

pub const PATH: Arg = Arg::path("path")
    .aliases(&["dest", "destfile", "name"])
    .required()
    .doc("the file");

pub const STATE: Arg = Arg::str("state")
    .choices(&["absent", "present"])
    .default("present")
    .doc("whether it shall be there");

pub const CREATE: Arg = Arg::bool("create")
    .default("no")
    .doc("make the file if there is none");

/// A file read for editing; links have been followed.
pub struct Editing {
    pub path: PathBuf,
    pub before: Vec<u8>,
    now: Option<Metadata>,
}

/// How the edited file is written.
pub struct Options<'a> {
    pub file: FileArgs,
    pub backup: bool,
    /// The result's key for the path of the backup.
    pub backup_key: &'static str,
    pub validate: Option<&'a str>,
    /// As `replace` has it: differences are headed by the path alone, and a backup that was not made is not told.
    pub terse: bool,
}

/// The decision.
#[derive(Debug)]
pub struct Edited {
    steps: Vec<Step>,
    values: Map,
    backup_key: &'static str,
}

impl Editing {
    /// The file; with nothing in it if there is none.
    pub fn open(path: &str, system: &dyn System) -> Result<Self, Error> {
        Self::open_as(path, Follow::Yes, system)
    }

    /// The same; a link that is not followed is read through, and the file that is written takes its place.
    pub fn open_as(path: &str, follow: Follow, system: &dyn System) -> Result<Self, Error> {
        let mut path = expand(path, system)?;
        if follow == Follow::Yes && system.metadata(&path, Follow::No)?.is_some() {
            path = system.canonicalize(&path)?;
        }
        let now = system.metadata(&path, Follow::Yes)?;
        if now.as_ref().is_some_and(|now| now.kind == FileKind::Directory) {
            return Err(Error::new(format!("Path {} is a directory !", path.display())).with("rc", 256));
        }
        let before = if now.is_some() {
            system.read(&path)?
        } else {
            Vec::new()
        };
        Ok(Self { path, before, now })
    }

    pub fn exists(&self) -> bool {
        self.now.is_some()
    }

    /// Fails where the file has to be there and is not; `called` is what the message calls it.
    pub fn require(&self, create: bool, called: &str) -> Result<(), Error> {
        if create || self.exists() {
            return Ok(());
        }
        Err(Error::new(format!("{called} {} does not exist !", self.path.display())).with("rc", 257))
    }

    /// The plan that turns the file into `after`; `values` are the result's other keys.
    pub fn plan(
        self,
        after: Vec<u8>,
        mut message: String,
        mut values: Map,
        options: Options<'_>,
        system: &dyn System,
    ) -> Result<Plan<Edited>, Error> {
        let Options {
            file,
            backup,
            backup_key,
            validate,
            terse,
        } = options;
        check_validate(validate)?;
        let wanted = file.resolve(system)?;
        let rewritten = after != self.before || (self.now.is_none() && !message.is_empty());
        let mut steps = Vec::new();
        let mut diffs = Vec::new();
        let missing = self
            .now
            .as_ref()
            .map(|now| wanted.missing(now))
            .unwrap_or_default();
        if rewritten {
            let mark = if terse { "" } else { " (content)" };
            let header = format!("{}{mark}", self.path.display());
            diffs.push(text_diff((&header, &self.before), (&header, &after)));
            let parent = self.path.parent().unwrap_or(Path::new("/"));
            for folder in missing_folders(parent, system)? {
                steps.push(Step::CreateDirectory(folder, Attributes::default()));
            }
            let writing = Writing {
                path: self.path.clone(),
                attributes: wanted.for_write(self.now.as_ref()),
                backup,
                validate: validate.map(str::to_owned),
                unsafe_writes: wanted.unsafe_writes,
            };
            steps.push(Step::Write(writing, Source::Bytes(after)));
        } else if !attributes::nothing(missing) {
            steps.push(Step::Attributes(self.path.clone(), missing, Follow::No));
        }
        let afterwards = afterwards(&file, &self.path, system)?;
        let relabels = afterwards.iter().any(|step| matches!(step, Step::Label(..)));
        steps.extend(afterwards);
        if self.now.is_some() && (relabels || !attributes::nothing(missing)) {
            if !message.is_empty() {
                message.push_str(" and ");
            }
            message.push_str("ownership, perms or SE linux context changed");
        }
        if let Some(now) = self.now.as_ref().filter(|_| !attributes::nothing(missing)) {
            let mut diff = StateDiff::new(&self.path);
            diff.note_attributes(now, missing);
            let mut diff = diff.into_diff();
            diff.before_header = format!("{} (file attributes)", self.path.display());
            diff.after_header.clone_from(&diff.before_header);
            diffs.push(diff);
        }
        values.insert("msg".to_owned(), message.into());
        if backup_key == "backup" {
            values.insert("backup".to_owned(), "".into());
        }
        let mut outcome = Outcome::changed(!steps.is_empty());
        outcome.values.clone_from(&values);
        outcome.diff = diffs;
        if steps.is_empty() {
            return Ok(Plan::Same(outcome));
        }
        Ok(Plan::Change {
            change: Edited {
                steps,
                values,
                backup_key,
            },
            predicted: outcome,
        })
    }
}

impl Edited {
    pub fn apply(self, system: &dyn System) -> Result<Outcome, Error> {
        let backup = perform(&self.steps, system)?;
        let mut outcome = Outcome::changed(true);
        outcome.values = self.values;
        if let Some(backup) = backup {
            outcome = outcome.with(self.backup_key, backup.display().to_string());
        }
        Ok(outcome)
    }
}

/// The lines of a text, each with its line end; the last may lack it.
pub fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    text.split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

/// A line as patterns see it.
pub fn chomped(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// A line as it is compared: without any line end.
pub fn bare(line: &[u8]) -> &[u8] {
    let line = chomped(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

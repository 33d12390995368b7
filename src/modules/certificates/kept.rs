//! A file that a module keeps as it shall be: written anew, put right, removed or left alone.

use std::path::PathBuf;

use crate::modules::files::attributes::{self, FileArgs, Wanted};
use crate::modules::files::content::{Writing, text_diff};
use crate::modules::files::path::expand;
use crate::modules::files::steps::{Source, Step, afterwards, perform};
use crate::modules::{Error, Plan};
use crate::system::{FileKind, Follow, Metadata, System};
use crate::wire::message::Outcome;

pub struct Kept {
    pub path: PathBuf,
    now: Option<Metadata>,
    wanted: Wanted,
    backup: bool,
    afterwards: Vec<Step>,
}

/// The decision.
#[derive(Debug)]
pub struct Change {
    steps: Vec<Step>,
    outcome: Outcome,
}

impl Change {
    pub fn apply(self, system: &dyn System) -> Result<Outcome, Error> {
        let backup = perform(&self.steps, system)?;
        Ok(match backup {
            Some(backup) => self.outcome.with("backup_file", backup.display().to_string()),
            None => self.outcome,
        })
    }
}

impl Kept {
    pub fn new(path: &str, file: &FileArgs, backup: bool, system: &dyn System) -> Result<Self, Error> {
        let path = expand(path, system)?;
        Ok(Self {
            now: system.metadata(&path, Follow::Yes)?,
            wanted: file.resolve(system)?,
            afterwards: afterwards(file, &path, system)?,
            path,
            backup,
        })
    }

    pub fn text(&self, system: &dyn System) -> Result<Option<String>, Error> {
        let bytes = self.now.as_ref().map(|_| system.read(&self.path)).transpose()?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    pub fn removed(self) -> Plan<Change> {
        let outcome = Outcome::changed(self.now.is_some()).with("filename", self.path.display().to_string());
        match self.now {
            None => Plan::Same(outcome),
            Some(_) => Plan::Change {
                change: Change {
                    steps: vec![Step::Remove(self.path)],
                    outcome: outcome.clone(),
                },
                predicted: outcome,
            },
        }
    }

    /// With a new content, or the one that is there; `before` and `after` say in words what it holds.
    pub fn present(
        self,
        content: Option<String>,
        tell: Outcome,
        before: &str,
        after: &str,
    ) -> Result<Plan<Change>, Error> {
        let mut outcome = tell.with("filename", self.path.display().to_string());
        let mut predicted_diff = None;
        let step = match (content, &self.now) {
            (Some(content), now) => {
                if now.as_ref().is_some_and(|now| now.kind != FileKind::File) {
                    return Err(Error::new(format!("{} is no file", self.path.display())));
                }
                let name = self.path.display().to_string();
                predicted_diff = Some(text_diff((&name, before.as_bytes()), (&name, after.as_bytes())));
                let writing = Writing {
                    path: self.path.clone(),
                    attributes: self.wanted.for_write(now.as_ref()),
                    backup: self.backup,
                    validate: None,
                    unsafe_writes: self.wanted.unsafe_writes,
                };
                Step::Write(writing, Source::Bytes(content.into_bytes()))
            }
            (None, Some(now)) => {
                let missing = self.wanted.missing(now);
                if attributes::nothing(missing) && self.afterwards.is_empty() {
                    return Ok(Plan::Same(outcome));
                }
                Step::Attributes(self.path.clone(), missing, Follow::Yes)
            }
            (None, None) => return Ok(Plan::Same(outcome)),
        };
        outcome.changed = true;
        let mut steps = vec![step];
        steps.extend(self.afterwards);
        let mut predicted = outcome.clone();
        predicted.diff.extend(predicted_diff);
        Ok(Plan::Change {
            change: Change { steps, outcome },
            predicted,
        })
    }
}

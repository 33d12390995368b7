//! The smallest changes to a file system that a module decides on. `check` makes a list of them, `apply`
//! goes through it.

use std::path::PathBuf;
use std::time::SystemTime;

use super::Error;
use super::content::{Writing, beside};
use crate::system::{Attributes, Follow, System};

/// Where content comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Held by the controller under this SHA-256.
    Held(String),
    /// A file on the target.
    File(PathBuf),
    Bytes(Vec<u8>),
}

#[derive(Debug, Clone)]
pub enum Step {
    CreateDirectory(PathBuf, Attributes),
    Write(Writing, Source),
    Link {
        target: PathBuf,
        link: PathBuf,
    },
    HardLink {
        target: PathBuf,
        link: PathBuf,
    },
    /// Anything but a folder.
    Remove(PathBuf),
    RemoveTree(PathBuf),
    Attributes(PathBuf, Attributes, Follow),
    Times(PathBuf, Option<SystemTime>, Option<SystemTime>),
}

/// Does all of it; returns the path of the last backup made, if any.
pub fn perform(steps: &[Step], system: &dyn System) -> Result<Option<PathBuf>, Error> {
    let mut backup = None;
    for step in steps {
        if let Some(made) = step.perform(system)? {
            backup = Some(made);
        }
    }
    Ok(backup)
}

impl Step {
    fn perform(&self, system: &dyn System) -> Result<Option<PathBuf>, Error> {
        match self {
            Self::Write(writing, source) => {
                return match source {
                    Source::Held(digest) => writing.write(&mut system.content(digest)?, system),
                    Source::File(path) => writing.write(&mut system.open(path)?, system),
                    Source::Bytes(bytes) => writing.write(&mut bytes.as_slice(), system),
                };
            }
            Self::CreateDirectory(path, attributes) => {
                system.create_dir(path, attributes.mode.unwrap_or(0o777 & !system.umask()))?;
                let owner = Attributes {
                    mode: None,
                    ..*attributes
                };
                system.set_attributes(path, owner, Follow::No)?;
                // A change of owner takes the set-id bits away.
                if attributes.mode.is_some_and(|mode| mode & 0o6000 != 0) {
                    system.set_attributes(path, *attributes, Follow::No)?;
                }
            }
            Self::Link { target, link } => {
                let new = beside(link, "link", system);
                system.symlink(target, &new)?;
                named(&new, link, system)?;
            }
            Self::HardLink { target, link } => {
                let new = beside(link, "link", system);
                system.hard_link(target, &new)?;
                named(&new, link, system)?;
            }
            Self::Remove(path) => system.remove_file(path)?,
            Self::RemoveTree(path) => system.remove_tree(path)?,
            Self::Attributes(path, attributes, follow) => {
                system.set_attributes(path, *attributes, *follow)?
            }
            Self::Times(path, accessed, modified) => system.set_times(path, *accessed, *modified)?,
        }
        Ok(None)
    }
}

/// Gives what was made its name, in one step, or takes it away again.
fn named(new: &std::path::Path, link: &std::path::Path, system: &dyn System) -> Result<(), Error> {
    system.rename(new, link).map_err(|error| {
        // The first error is the one to tell.
        let _ = system.remove_file(new);
        error.into()
    })
}

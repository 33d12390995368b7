//! The smallest changes to a file system that a module decides on. `check` makes a list of them, `apply`
//! goes through it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::attributes::FileArgs;
use super::{flags, label};
use crate::modules::Error;
use crate::modules::files::content::{Writing, beside};
use crate::system::{self, Attributes, Expected, Follow, NewFile, System, SystemError};

/// Where content comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Held by the controller under this SHA-256; its size in bytes.
    Held(String, u64),
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
    /// As chattr takes them.
    Flags(PathBuf, String),
    /// The wanted parts of an `SELinux` label.
    Label(PathBuf, label::Parts),
}

/// What remains to be done to a file that is there or will be by then: flags and label.
pub fn afterwards(file: &FileArgs, path: &Path, system: &dyn System) -> Result<Vec<Step>, Error> {
    let mut steps: Vec<Step> = label::step(file, path, system)?.into_iter().collect();
    // Last: an immutable file takes no label.
    steps.extend(flags::step(file.attributes.as_deref(), path, system)?);
    Ok(steps)
}

impl Source {
    fn open<'a>(&'a self, system: &dyn System) -> system::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::Held(digest, _) => system.content(digest)?,
            Self::File(path) => system.open(path)?,
            Self::Bytes(bytes) => Box::new(bytes.as_slice()),
        })
    }
}

/// Does all of it; returns the path of the last backup made, if any. What the controller holds of it comes in one go.
pub fn perform(steps: &[Step], system: &dyn System) -> Result<Option<PathBuf>, Error> {
    let expected: Vec<Expected> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Write(writing, Source::Held(digest, size)) => Some(Expected {
                digest: digest.clone(),
                size: *size,
                near: writing.path.clone(),
            }),
            _ => None,
        })
        .collect();
    if !expected.is_empty() {
        system.expect(&expected)?;
    }
    let mut backup = None;
    let mut waiting = Vec::new();
    for step in steps {
        match step {
            Step::Write(writing, source) if writing.is_plain() => waiting.push(NewFile {
                path: &writing.path,
                attributes: writing.attributes,
                content: Box::new(|| source.open(system)),
            }),
            // A folder needs none of the files before it.
            Step::CreateDirectory(..) => {
                step.perform(system)?;
            }
            _ => {
                system.write_all(&std::mem::take(&mut waiting))?;
                if let Some(made) = step.perform(system)? {
                    backup = Some(made);
                }
            }
        }
    }
    system.write_all(&waiting)?;
    Ok(backup)
}

impl Step {
    fn perform(&self, system: &dyn System) -> Result<Option<PathBuf>, Error> {
        match self {
            Self::Write(writing, source) => {
                return writing.write_or_overwrite(|| Ok(source.open(system)?), system);
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
                system.symlink(target, &new).map_err(|error| of(link, error))?;
                named(&new, link, system)?;
            }
            Self::HardLink { target, link } => {
                let new = beside(link, "link", system);
                system.hard_link(target, &new).map_err(|error| of(link, error))?;
                named(&new, link, system)?;
            }
            Self::Remove(path) => system.remove_file(path)?,
            Self::RemoveTree(path) => system.remove_tree(path)?,
            Self::Attributes(path, attributes, follow) => {
                system.set_attributes(path, *attributes, *follow)?;
            }
            Self::Flags(path, change) => flags::set(path, change, system)?,
            Self::Label(path, parts) => label::set(path, parts, system)?,
            Self::Times(path, accessed, modified) => system.set_times(path, *accessed, *modified)?,
        }
        Ok(None)
    }
}

/// An error about a temporary name is one about the name that it stands for.
fn of(path: &std::path::Path, error: SystemError) -> SystemError {
    SystemError {
        object: path.display().to_string(),
        ..error
    }
}

/// Gives what was made its name, in one step, or takes it away again.
fn named(new: &Path, link: &Path, system: &dyn System) -> Result<(), Error> {
    system.rename(new, link).map_err(|error| {
        // The first error is the one to tell.
        let _ = system.remove_file(new);
        error.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::local::Local;

    #[test]
    fn each_step_does_on_a_real_machine_what_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let local = Local::default();
        let mode = |mode| Attributes {
            mode: Some(mode),
            ..Attributes::default()
        };
        let writing = |name: &str, attributes: Attributes| Writing {
            path: at(name),
            attributes,
            ..Writing::default()
        };
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
        let link = |target: &str, link: &str| Step::Link {
            target: target.into(),
            link: at(link),
        };
        let steps = [
            Step::CreateDirectory(at("a"), mode(0o2775)),
            Step::Write(writing("a/file", mode(0o640)), Source::Bytes(b"text".to_vec())),
            Step::Write(writing("a/copy", mode(0o640)), Source::File(at("a/file"))),
            link("nowhere", "link"),
            link("a", "link"),
            Step::HardLink {
                target: at("a/file"),
                link: at("hard"),
            },
            Step::Times(at("hard"), None, Some(time)),
            Step::Attributes(at("hard"), mode(0o600), Follow::No),
            Step::CreateDirectory(at("b"), mode(0o700)),
            Step::RemoveTree(at("b")),
            Step::Remove(at("a/copy")),
        ];
        assert_eq!(perform(&steps, &local).unwrap(), None);
        let file = local.metadata(&at("link/file"), Follow::Yes).unwrap().unwrap();
        assert_eq!(
            (file.mode, file.size, file.links, file.modified),
            (0o600, 4, 2, time)
        );
        let folder_made = local.metadata(&at("a"), Follow::No).unwrap().unwrap();
        assert_eq!(folder_made.mode, 0o2775);
        let names = local.read_dir(folder.path()).unwrap();
        assert_eq!(names, ["a", "hard", "link"].map(PathBuf::from));
        assert_eq!(local.read_dir(&at("a")).unwrap(), [PathBuf::from("file")]);
    }
}

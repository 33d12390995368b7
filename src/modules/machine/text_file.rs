//! A text file of the machine's configuration, lines of which a module keeps.
//!
//! Links are followed, so that they stay. What is no UTF-8 is refused: a line kept in it would spoil the others.

use std::path::{Path, PathBuf};

use crate::modules::Error;
use crate::modules::files::content::{Writing, text_diff};
use crate::modules::files::path;
use crate::modules::files::steps::{Source, Step};
use crate::system::{Attributes, Follow, System};
use crate::wire::message::Diff;

/// The mode of a file that is made: configuration that everybody may read.
const MODE: u32 = 0o644;

pub struct TextFile {
    /// Without links.
    pub path: PathBuf,
    /// Empty where there is no such file.
    pub before: String,
    pub exists: bool,
}

impl TextFile {
    pub fn open(name: &str, system: &dyn System) -> Result<Self, Error> {
        let mut path = path::expand(name, system)?;
        let exists = system.metadata(&path, Follow::Yes)?.is_some();
        if exists {
            path = system.canonicalize(&path)?;
        }
        let before = if exists {
            read(&path, system)?
        } else {
            String::new()
        };
        Ok(Self { path, before, exists })
    }

    /// What gives it another content.
    pub fn write(&self, after: impl Into<String>, backup: bool) -> Step {
        let writing = Writing {
            path: self.path.clone(),
            attributes: Attributes {
                mode: (!self.exists).then_some(MODE),
                ..Attributes::default()
            },
            backup,
            ..Writing::default()
        };
        Step::Write(writing, Source::Bytes(after.into().into_bytes()))
    }

    pub fn diff(&self, after: &str) -> Diff {
        let header = self.path.display().to_string();
        text_diff((&header, self.before.as_bytes()), (&header, after.as_bytes()))
    }
}

/// A file's text.
pub fn read(path: &Path, system: &dyn System) -> Result<String, Error> {
    String::from_utf8(system.read(path)?).map_err(|_| {
        Error::new(format!(
            "{} is not UTF-8 text and is left as it is",
            path.display()
        ))
    })
}

//! The version exported to a file.

use std::path::Path;

use super::Tree;
use crate::modules::Error;
use crate::modules::files::content::beside;
use crate::modules::files::path;
use crate::system::{DigestAlgorithm, Follow};

/// Endings of file names, and what git calls the format.
const FORMATS: &[(&str, &str)] = &[
    (".zip", "zip"),
    (".tar.gz", "tar.gz"),
    (".gz", "tar.gz"),
    (".tar", "tar"),
    (".tgz", "tgz"),
];

impl Tree<'_> {
    /// Writes the archive unless it is there with the same content; whether it did.
    pub(super) fn export(&self) -> Result<bool, Error> {
        let Some(archive) = &self.args.archive else {
            return Ok(false);
        };
        let path = path::expand(archive, self.system)?;
        let format = FORMATS.iter().find(|(ending, _)| archive.ends_with(ending));
        let Some((_, format)) = format else {
            return Err(Error::new(format!(
                "Unable to get file extension from archive file name : {archive}"
            ))
            .with(
                "details",
                "Please specify archive as filename with extension. File extension can be one of ['tar', 'tar.gz', 'zip', 'tgz']",
            ));
        };
        let new = beside(&path, "archive", self.system);
        let made = self.write_archive(&new, format).and_then(|()| {
            let same = self.system.metadata(&path, Follow::Yes)?.is_some()
                && self.system.digest(&path, DigestAlgorithm::Sha256)?
                    == self.system.digest(&new, DigestAlgorithm::Sha256)?;
            Ok(!same)
        });
        if let Ok(true) = made {
            self.system.rename(&new, &path)?;
        } else if self.system.metadata(&new, Follow::No)?.is_some() {
            self.system.remove_file(&new)?;
        }
        made
    }

    fn write_archive(&self, path: &Path, format: &str) -> Result<(), Error> {
        let output = path.display().to_string();
        let mut arguments = vec!["archive", "--format", format, "--output", &output];
        if let Some(prefix) = &self.args.archive_prefix {
            arguments.extend(["--prefix", prefix]);
        }
        arguments.push(&self.args.version);
        self.git_or(&arguments, |_| "Failed to perform archive operation".to_owned())?;
        Ok(())
    }
}

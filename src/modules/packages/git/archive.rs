//! The version exported to a file.

use std::path::{Path, PathBuf};

use super::Tree;
use crate::modules::Error;
use crate::modules::files::content::beside;
use crate::modules::files::path;
use crate::system::{Command, DigestAlgorithm, Follow};

/// Endings of file names, and what git calls the format.
const FORMATS: &[(&str, &str)] = &[
    (".zip", "zip"),
    (".tar.gz", "tar.gz"),
    (".gz", "tar.gz"),
    (".tar", "tar"),
    (".tgz", "tgz"),
];

/// The file to export to.
#[derive(Debug)]
pub(super) struct Archive {
    pub path: PathBuf,
    format: &'static str,
}

impl Tree<'_> {
    pub(super) fn archive(&self) -> Result<Option<Archive>, Error> {
        let Some(name) = &self.args.archive else {
            return Ok(None);
        };
        let format = FORMATS.iter().find(|(ending, _)| name.ends_with(ending));
        let Some((_, format)) = format else {
            return Err(Error::new(format!(
                "Unable to get file extension from archive file name : {name}"
            ))
            .with(
                "details",
                "Please specify archive as filename with extension. File extension can be one of ['tar', 'tar.gz', 'zip', 'tgz']",
            ));
        };
        let path = path::expand(name, self.system)?;
        Ok(Some(Archive { path, format }))
    }

    /// Whether the file has not what a revision that is here would be exported to.
    pub(super) fn archive_differs(&self, archive: &Archive, revision: &str) -> Result<bool, Error> {
        if self.system.metadata(&archive.path, Follow::Yes)?.is_none() {
            return Ok(true);
        }
        let known = self.system.digest(&archive.path, DigestAlgorithm::Sha256)?;
        let git = self.export_command(archive, revision);
        let git: Vec<_> = git.iter().map(|word| shell_words::quote(word)).collect();
        let line = format!("{} {} | sha256sum", shell_words::quote(&self.git), git.join(" "));
        let mut command = Command::new(["/bin/sh", "-c", &line]);
        command.directory = Some(self.dest().to_owned());
        let found = self.system.run(&command)?.stdout_text();
        Ok(!found.starts_with(&known))
    }

    /// Writes the archive unless it is there with the same content; whether it did.
    pub(super) fn export(&self) -> Result<bool, Error> {
        let Some(archive) = self.archive()? else {
            return Ok(false);
        };
        let path = &archive.path;
        let new = beside(path, "archive", self.system);
        let made = self.write_archive(&archive, &new).and_then(|()| {
            let same = self.system.metadata(path, Follow::Yes)?.is_some()
                && self.system.digest(path, DigestAlgorithm::Sha256)?
                    == self.system.digest(&new, DigestAlgorithm::Sha256)?;
            Ok(!same)
        });
        if let Ok(true) = made {
            self.system.rename(&new, path)?;
        } else if self.system.metadata(&new, Follow::No)?.is_some() {
            self.system.remove_file(&new)?;
        }
        made
    }

    fn write_archive(&self, archive: &Archive, path: &Path) -> Result<(), Error> {
        let mut arguments = self.export_command(archive, &self.args.version);
        let output = format!("--output={}", path.display());
        arguments.insert(1, &output);
        self.git_or(&arguments, |_| "Failed to perform archive operation".to_owned())?;
        Ok(())
    }

    fn export_command<'a>(&'a self, archive: &Archive, revision: &'a str) -> Vec<&'a str> {
        let mut arguments = vec!["archive", "--format", archive.format];
        if let Some(prefix) = &self.args.archive_prefix {
            arguments.extend(["--prefix", prefix]);
        }
        arguments.push(revision);
        arguments
    }
}

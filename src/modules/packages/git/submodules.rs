//! Repositories within the repository.

use super::Tree;
use crate::modules::Error;
use crate::system::Follow;

/// The branch that `track_submodules` follows.
const TRACKED: &str = "master";

impl Tree<'_> {
    fn has_submodules(&self) -> Result<bool, Error> {
        let list = self.dest().join(".gitmodules");
        Ok(self.system.metadata(&list, Follow::Yes)?.is_some())
    }

    /// Whether any submodule is not where the checkout as it is wants it.
    pub(super) fn submodules_differ_here(&self) -> Result<bool, Error> {
        Ok(self.has_submodules()? && differ(&self.git(&["submodule", "status"])?))
    }

    /// Whether any submodule is not where it shall be, its own remote asked.
    pub(super) fn submodules_differ(&self) -> Result<bool, Error> {
        if !self.has_submodules()? {
            return Ok(false);
        }
        // One that is not there yet cannot be asked.
        if self
            .git(&["submodule", "status"])?
            .lines()
            .any(|line| line.starts_with('-'))
        {
            return Ok(true);
        }
        let git = self.git.as_str();
        self.git_or(&["submodule", "foreach", git, "fetch"], |output| {
            format!(
                "Failed to fetch submodules: {}{}",
                output.stdout_text(),
                output.stderr_text()
            )
        })?;
        if self.args.track_submodules {
            let latest = format!("{}/{TRACKED}", self.args.remote);
            return Ok(self.submodule_revisions("HEAD")? != self.submodule_revisions(&latest)?);
        }
        Ok(differ(&self.git(&["submodule", "status"])?))
    }

    fn submodule_revisions(&self, version: &str) -> Result<String, Error> {
        let ask = ["submodule", "foreach", self.git.as_str(), "rev-parse", version];
        self.git_or(&ask, |_| "Unable to determine hashes of submodules".to_owned())
    }

    pub(super) fn update_submodules(&self) -> Result<(), Error> {
        self.git(&["submodule", "sync"])?;
        let mut update = vec!["submodule", "update", "--init", "--recursive"];
        if self.args.track_submodules {
            update.push("--remote");
        }
        if self.args.force {
            update.push("--force");
        }
        self.git_or(&update, |output| {
            format!(
                "Failed to init/update submodules: {}{}",
                output.stdout_text(),
                output.stderr_text()
            )
        })?;
        Ok(())
    }
}

fn differ(status: &str) -> bool {
    status.lines().any(|line| !line.starts_with(' '))
}

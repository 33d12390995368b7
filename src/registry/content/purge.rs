//! Uploads that nobody goes on with: removed by age, as distribution's `uploadpurging` does.
//!
//! The age is that of the last byte, not of the start: an upload that still grows is one that somebody goes
//! on with. One in the hands of a request is left alone, however old.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::collect::now;
use super::{CareError, Registry, Watch};
use crate::registry::name::{RepositoryName, UploadId};
use crate::registry::storage::paths;

/// What was removed; in a dry run, what would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    pub dry_run: bool,
    pub uploads: u64,
    pub bytes: u64,
    /// Uploads that are younger, or in use.
    pub left: u64,
}

impl Registry {
    /// Removes uploads to which nothing was written for as long as `age`.
    pub fn purge_uploads(
        &self,
        age: Duration,
        dry_run: bool,
        watch: &dyn Watch,
    ) -> Result<Purged, CareError> {
        let before = now().saturating_sub(age.as_secs());
        let mut purged = Purged {
            dry_run,
            ..Purged::default()
        };
        let mut seen = 0;
        self.each_repository(&mut |name| {
            watch.step("repositories", seen, None)?;
            seen += 1;
            self.each_name(&paths::uploads(name), &mut |id| {
                let Ok(id) = id.parse::<UploadId>() else {
                    return Ok(());
                };
                match self.purge(name, &id, before, dry_run)? {
                    Some(size) => {
                        purged.uploads += 1;
                        purged.bytes += size;
                    }
                    None => purged.left += 1,
                }
                Ok(())
            })
        })?;
        Ok(purged)
    }

    /// Removes one upload; its size, or none where it is too young or in use.
    fn purge(
        &self,
        name: &RepositoryName,
        id: &UploadId,
        before: u64,
        dry_run: bool,
    ) -> Result<Option<u64>, CareError> {
        let Some(_turn) = self.uploads.turn_now(id) else {
            return Ok(None);
        };
        // One that is just being begun has neither of its files for a moment.
        self.alone(name, || {
            let data = self.storage.stat(&paths::upload_data(name, id))?;
            let started = self.storage.stat(&paths::upload_started(name, id))?;
            let touched = data.iter().chain(&started).map(|stat| stat.modified).max();
            // Without either it is what is left of a start that a crash cut off.
            if touched.is_some_and(|touched| touched > before) {
                return Ok(None);
            }
            if !dry_run {
                self.uploads.forget(id);
                self.storage.delete(&paths::upload(name, id))?;
            }
            Ok(Some(data.map_or(0, |stat| stat.size)))
        })
    }
}

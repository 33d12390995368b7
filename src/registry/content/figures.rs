//! Figures that people and watchers ask for: when a tag was pushed, how many uploads are under way.

use super::{ContentError, Registry};
use crate::registry::name::{RepositoryName, Tag};
use crate::registry::storage::paths;

impl Registry {
    /// When a tag was last pushed, in seconds since 1970.
    pub fn pushed(&self, name: &RepositoryName, tag: &Tag) -> Result<Option<u64>, ContentError> {
        let stat = self.storage.stat(&paths::tag_current(name, tag))?;
        Ok(stat.map(|stat| stat.modified))
    }

    /// Uploads that are under way, as far as this process knows.
    pub fn uploads_under_way(&self) -> usize {
        self.uploads.count()
    }
}

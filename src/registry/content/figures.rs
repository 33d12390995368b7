//! Figures that people and watchers ask for: when a tag was pushed, what room is left.

use super::{ContentError, Registry};
use crate::registry::name::{RepositoryName, Tag};
use crate::registry::storage::{Space, paths};

impl Registry {
    /// When a tag was last pushed, in seconds since 1970.
    pub fn pushed(&self, name: &RepositoryName, tag: &Tag) -> Result<Option<u64>, ContentError> {
        let stat = self.storage.stat(&paths::tag_current(name, tag))?;
        Ok(stat.map(|stat| stat.modified))
    }

    /// The room that all repositories share.
    pub fn space(&self) -> Result<Option<Space>, ContentError> {
        Ok(self.storage.space()?)
    }

    /// Uploads that are under way, as far as this process knows.
    pub fn uploads_under_way(&self) -> usize {
        self.uploads.count()
    }
}

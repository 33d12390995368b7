//! Tags of a repository: each a small object of its own, so that pushes share nothing that is rewritten.

use super::{ContentError, Registry};
use crate::registry::digest::Digest;
use crate::registry::name::{RepositoryName, Tag};
use crate::registry::storage::paths;

impl Registry {
    /// Up to `limit` tags that come after `last`, sorted by byte.
    pub fn tags(
        &self,
        name: &RepositoryName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, ContentError> {
        if !self.is_repository(name)? {
            return Err(ContentError::RepositoryUnknown);
        }
        let mut found = Vec::new();
        let mut after = last.map(str::to_owned);
        loop {
            let wanted = limit - found.len();
            let batch = self.storage.list(&paths::tags(name), after.as_deref(), wanted)?;
            let exhausted = batch.len() < wanted;
            after = batch.last().cloned().or(after);
            for text in batch {
                // A crash in the middle of a first push leaves a tag's folder that names nothing.
                let Ok(tag) = text.parse() else { continue };
                if self.storage.exists(&paths::tag_current(name, &tag))? {
                    found.push(text);
                }
            }
            if exhausted || found.len() >= limit {
                return Ok(found);
            }
        }
    }

    /// The tags that name a manifest now.
    pub(super) fn tags_of(&self, name: &RepositoryName, digest: &Digest) -> Result<Vec<Tag>, ContentError> {
        let mut found = Vec::new();
        for text in self.storage.list(&paths::tags(name), None, usize::MAX)? {
            let Ok(tag) = text.parse() else { continue };
            if self.link(&paths::tag_current(name, &tag))?.as_ref() == Some(digest) {
                found.push(tag);
            }
        }
        Ok(found)
    }
}

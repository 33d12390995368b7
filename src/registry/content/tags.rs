//! Tags of a repository: each a small object of its own, so that pushes share nothing that is rewritten.
//!
//! The list of them is remembered for as long as the folder of tags is what it was.

use std::sync::Arc;

use super::names::Names;
use super::recent::Recent;
use super::{ContentError, Registry};
use crate::registry::digest::Digest;
use crate::registry::name::{RepositoryName, Tag};
use crate::registry::storage::{Stamp, paths};

/// For the lists that are remembered: 10,000 tags take some 200 KB.
const MAX_REMEMBERED: usize = 4 << 20;

/// Lists that were read before.
pub(super) struct Lists(Recent<RepositoryName, Arc<List>>);

impl Default for Lists {
    fn default() -> Self {
        Self(Recent::new(MAX_REMEMBERED))
    }
}

#[cfg(test)]
impl Lists {
    pub fn is_known(&self, name: &RepositoryName) -> bool {
        self.0.get(name).is_some()
    }
}

/// The tags of a repository when their folder had this stamp.
struct List {
    stamp: Stamp,
    names: Names,
    /// Folders that named nothing: a push was on its way, or broke off. When it goes on, the folder of tags does
    /// not change.
    unfinished: Vec<Tag>,
}

impl Registry {
    /// Up to `limit` tags that come after `last`, sorted by byte.
    pub fn tags(
        &self,
        name: &RepositoryName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, ContentError> {
        let stamp = match self.storage.stamp(&paths::tags(name)) {
            Err(error) if error.is_not_found() => {
                return if self.is_repository(name)? {
                    Ok(Vec::new())
                } else {
                    Err(ContentError::RepositoryUnknown)
                };
            }
            stamp => stamp?,
        };
        if let Some(list) = self.tags.0.get(name)
            && list.stamp == stamp
            && !self.any_is_current(name, &list.unfinished)?
        {
            return Ok(list.names.page(last, limit));
        }
        let list = self.read_tags(name, stamp)?;
        let page = list.names.page(last, limit);
        if stamp.has_settled() {
            let weight = 300 + list.names.weight();
            self.tags.0.insert(name.clone(), Arc::new(list), weight);
        }
        Ok(page)
    }

    fn any_is_current(&self, name: &RepositoryName, tags: &[Tag]) -> Result<bool, ContentError> {
        for tag in tags {
            if self.storage.exists(&paths::tag_current(name, tag))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn read_tags(&self, name: &RepositoryName, stamp: Stamp) -> Result<List, ContentError> {
        let mut unfinished = Vec::new();
        let mut names = self.storage.list(&paths::tags(name), None, usize::MAX)?;
        let mut failed = None;
        names.retain(|text| {
            let Ok(tag) = text.parse() else { return false };
            match self.storage.exists(&paths::tag_current(name, &tag)) {
                Ok(true) => return true,
                Ok(false) => unfinished.push(tag),
                Err(error) => failed = Some(error),
            }
            false
        });
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(List {
                stamp,
                names: Names::new(names),
                unfinished,
            }),
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

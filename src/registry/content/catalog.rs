//! The list of repositories: a walk of the tree in the order of full names, that skips what comes before.

use super::{ContentError, Registry};
use crate::registry::name::RepositoryName;
use crate::registry::storage::{Key, paths};

impl Registry {
    /// Whether something was ever pushed to this name.
    pub fn is_repository(&self, name: &RepositoryName) -> Result<bool, ContentError> {
        Ok(self.storage.exists(&paths::layers(name))? || self.storage.exists(&paths::manifests(name))?)
    }

    /// Up to `limit` repository names that come after `last`, sorted by byte.
    pub fn catalog(&self, last: Option<&str>, limit: usize) -> Result<Vec<String>, ContentError> {
        let mut found = Vec::new();
        self.walk(&paths::repositories(), "", last.unwrap_or(""), limit, &mut found)?;
        Ok(found)
    }

    fn walk(
        &self,
        folder: &Key,
        prefix: &str,
        last: &str,
        limit: usize,
        found: &mut Vec<String>,
    ) -> Result<(), ContentError> {
        // Each child twice: itself, and with a slash what lies under it. `a-b` sorts between `a` and `a/b`.
        let mut entries = Vec::new();
        for child in self.storage.list(folder, None, usize::MAX)? {
            if child.starts_with('_') {
                continue;
            }
            entries.push(format!("{prefix}{child}/"));
            entries.push(format!("{prefix}{child}"));
        }
        entries.sort_unstable();
        for entry in entries {
            if found.len() >= limit {
                break;
            }
            let under = entry.strip_suffix('/');
            let Ok(name) = under.unwrap_or(&entry).parse::<RepositoryName>() else {
                continue;
            };
            if under.is_none() {
                if entry.as_str() > last && self.is_repository(&name)? {
                    found.push(entry);
                }
            } else if entry.as_str() > last || last.starts_with(&entry) {
                self.walk(&paths::repository(&name), &entry, last, limit, found)?;
            }
        }
        Ok(())
    }
}

//! The list of repositories: an index in memory of the folders that hold them.
//!
//! It is read from the folders when it is first asked for, and held against their stamps when it is asked for
//! again: the first page of a listing is always what is there, whoever wrote it, and later pages of it are at
//! most [`TRUSTED`] behind. What this process writes shows at once.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::names::Names;
use super::{ContentError, Registry};
use crate::registry::name::RepositoryName;
use crate::registry::storage::{Key, Stamp, StorageError, paths};

/// How long later pages go on from what the first one saw.
const TRUSTED: Duration = Duration::from_secs(5);

/// Empty until somebody asks.
#[derive(Default)]
pub(super) struct Index(Mutex<Known>);

#[derive(Default)]
struct Known {
    root: Option<Folder>,
    names: Names,
    /// When it was last held against the folders; none when something is known to be missing.
    checked: Option<Instant>,
}

/// A folder that is a repository, holds some, or both.
struct Folder {
    stamp: Stamp,
    /// The stamp would show a change.
    settled: bool,
    is_repository: bool,
    /// Sorted by name.
    children: Vec<(Box<str>, Folder)>,
}

impl Index {
    /// Something was written to this repository.
    pub fn added(&self, name: &RepositoryName) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.root.is_some() && !known.names.contains(name.as_str()) {
            known.checked = None;
        }
    }
}

impl Registry {
    /// Whether something was ever pushed to this name.
    pub fn is_repository(&self, name: &RepositoryName) -> Result<bool, ContentError> {
        Ok(self.storage.exists(&paths::layers(name))? || self.storage.exists(&paths::manifests(name))?)
    }

    /// Up to `limit` repository names that come after `last`, sorted by byte.
    pub fn catalog(&self, last: Option<&str>, limit: usize) -> Result<Vec<String>, ContentError> {
        let asked = Instant::now();
        let mut known = self.catalog.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Who waited for another's check needs none of its own.
        let is_fresh = known.checked.is_some_and(|checked| {
            checked >= asked || (last.is_some() && checked.elapsed() < TRUSTED)
        });
        if !is_fresh {
            self.check_catalog(&mut known)?;
            known.checked = Some(Instant::now());
        }
        Ok(known.names.page(last, limit))
    }

    fn check_catalog(&self, known: &mut Known) -> Result<(), ContentError> {
        let before = known.root.take();
        let mut changed = before.is_none();
        known.root = self.folder(&paths::repositories(), before, &mut changed)?;
        if changed {
            let mut names = Vec::new();
            if let Some(root) = &known.root {
                root.collect("", &mut names);
            }
            names.sort_unstable();
            known.names = Names::new(names);
        }
        Ok(())
    }

    /// A folder and those under it as they are now; none where there is no such folder.
    fn folder(
        &self,
        key: &Key,
        before: Option<Folder>,
        changed: &mut bool,
    ) -> Result<Option<Folder>, ContentError> {
        let stamp = match self.storage.stamp(key) {
            Err(StorageError::NotFound { .. }) => {
                *changed |= before.is_some();
                return Ok(None);
            }
            stamp => stamp?,
        };
        let (names, mut known, is_repository) = match before {
            Some(folder) if folder.settled && folder.stamp == stamp => {
                (None, folder.children, folder.is_repository)
            }
            before => {
                *changed = true;
                let mut names = self.storage.list(key, None, usize::MAX)?;
                let is_repository = names.iter().any(|name| name == "_layers" || name == "_manifests");
                names.retain(|name| !name.starts_with('_'));
                let known = before.map(|folder| folder.children).unwrap_or_default();
                (Some(names), known, is_repository)
            }
        };
        let mut children = Vec::new();
        if let Some(names) = names {
            for name in names {
                let place = known.binary_search_by(|(known, _)| (**known).cmp(&name));
                let before = place.ok().map(|place| known.remove(place).1);
                let Some(key) = key.below(&name) else { continue };
                if let Some(folder) = self.folder(&key, before, changed)? {
                    children.push((name.into(), folder));
                }
            }
        } else {
            for (name, folder) in known {
                let Some(key) = key.below(&name) else { continue };
                if let Some(folder) = self.folder(&key, Some(folder), changed)? {
                    children.push((name, folder));
                }
            }
        }
        children.shrink_to_fit();
        Ok(Some(Folder {
            stamp,
            settled: stamp.has_settled(),
            is_repository,
            children,
        }))
    }
}

impl Folder {
    fn collect(&self, prefix: &str, names: &mut Vec<String>) {
        for (name, folder) in &self.children {
            let name = format!("{prefix}{name}");
            if folder.is_repository && name.parse::<RepositoryName>().is_ok() {
                names.push(name.clone());
            }
            folder.collect(&format!("{name}/"), names);
        }
    }
}

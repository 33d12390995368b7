//! The list of repositories: an index in memory of the folders that hold them.
//!
//! It is read from the folders when it is first asked for, and held against their stamps when it is asked for
//! again: the first page of a listing is always what is there, whoever wrote it, and later pages of it are at
//! most [`TRUSTED`] behind. What this process writes shows at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::names::Names;
use super::{ContentError, Registry};
use crate::registry::name::RepositoryName;
use crate::registry::storage::{Key, Stamp, paths};

/// How long later pages go on from what the first one saw.
const TRUSTED: Duration = Duration::from_secs(5);

/// Empty until somebody asks.
#[derive(Default)]
pub(super) struct Index {
    known: Mutex<Known>,
    /// Something was written while it was in use.
    missed: AtomicBool,
}

#[derive(Default)]
struct Known {
    root: Option<Folder>,
    names: Names,
    /// When it was last held against the folders; none while something is missing.
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
        match self.known.try_lock() {
            Ok(mut known) if known.root.is_some() && !known.names.contains(name.as_str()) => {
                known.checked = None;
            }
            Ok(_) => {}
            // Pushes do not wait for listings.
            Err(_) => self.missed.store(true, Ordering::SeqCst),
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
        let mut known = self.catalog.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Who waited for another's check needs none of its own, unless that may have missed something.
        let is_fresh = !self.catalog.missed.swap(false, Ordering::SeqCst)
            && known
                .checked
                .is_some_and(|checked| checked >= asked || (last.is_some() && checked.elapsed() < TRUSTED));
        if !is_fresh {
            let begun = Instant::now();
            known.checked = None;
            self.check_catalog(&mut known)?;
            known.checked = Some(begun);
        }
        Ok(known.names.page(last, limit))
    }

    fn check_catalog(&self, known: &mut Known) -> Result<(), ContentError> {
        let key = paths::repositories();
        let before = known.root.take();
        let mut changed = before.is_none();
        match self.storage.stamp(&key) {
            Err(error) if error.is_not_found() => changed = true,
            stamp => known.root = Some(self.folder(&key, stamp?, before, &mut changed)?),
        }
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

    /// A folder that has this stamp, and those under it, as they are now.
    fn folder(
        &self,
        key: &Key,
        stamp: Stamp,
        before: Option<Folder>,
        changed: &mut bool,
    ) -> Result<Folder, ContentError> {
        let settled = stamp.has_settled();
        let (is_repository, known) = match before {
            Some(folder) if folder.settled && folder.stamp == stamp => {
                let known = folder.children.into_iter();
                let known = known.map(|(name, folder)| (name, Some(folder)));
                (folder.is_repository, known.collect::<Vec<_>>())
            }
            before => {
                *changed = true;
                let mut names = self.storage.list(key, None, usize::MAX)?;
                let is_repository = names.iter().any(|name| name == "_layers" || name == "_manifests");
                names.retain(|name| !name.starts_with('_'));
                let before = before.map(|folder| folder.children).unwrap_or_default();
                let mut before: BTreeMap<_, _> = before.into_iter().collect();
                let known = names.into_iter().map(|name| {
                    let folder = before.remove(name.as_str());
                    (name.into_boxed_str(), folder)
                });
                (is_repository, known.collect())
            }
        };
        let stamps = self
            .storage
            .stamps(key, &mut known.iter().map(|(name, _)| &**name))?;
        let mut children = Vec::with_capacity(known.len());
        for ((name, folder), stamp) in known.into_iter().zip(stamps) {
            let folder = match (folder, stamp) {
                (folder, None) => {
                    *changed |= folder.is_some();
                    continue;
                }
                // What most of them are.
                (Some(folder), Some(stamp))
                    if folder.settled && folder.stamp == stamp && folder.children.is_empty() =>
                {
                    folder
                }
                (folder, Some(stamp)) => {
                    let Some(key) = key.below(&name) else { continue };
                    self.folder(&key, stamp, folder, changed)?
                }
            };
            children.push((name, folder));
        }
        children.shrink_to_fit();
        Ok(Folder {
            stamp,
            settled,
            is_repository,
            children,
        })
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

//! The list of repositories: an index in memory of the folders that hold them.
//!
//! It is read from the folders when it is first asked for, and those that a page can come from are held against
//! their stamps when it is asked for again: the first page of a listing is always what is there, whoever wrote it,
//! and later pages of it are at most [`TRUSTED`] behind. What this process writes shows at once. So a page costs
//! what is on it, however many repositories there are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::names::Names;
use super::{ContentError, Registry};
use crate::registry::name::RepositoryName;
use crate::registry::storage::{Key, Stamp, paths};

/// How long later pages go on from what was seen before.
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
    /// When this process last wrote to a repository that is not in it.
    written: Option<Instant>,
}

/// A folder that is a repository, holds some, or both.
#[derive(Default)]
struct Folder {
    /// None until it is read.
    stamp: Option<Stamp>,
    /// The stamp would show a change.
    settled: bool,
    /// When it was last held against its stamp; that says nothing of those under it.
    checked: Option<Instant>,
    is_repository: bool,
    /// Sorted by name.
    children: Vec<(Box<str>, Folder)>,
}

/// Names under a folder, as they are written from there on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range<'a> {
    after: Option<&'a str>,
    until: Option<&'a str>,
}

/// One look at what a page can come from.
struct Look {
    begun: Instant,
    /// What was checked since then is not checked again.
    trusted: Instant,
    changed: bool,
}

impl Range<'_> {
    const ALL: Self = Self {
        after: None,
        until: None,
    };

    /// What of it can be under this child, or the child itself; none if nothing is.
    fn below(self, name: &str) -> Option<Self> {
        // Whatever is under it begins with its name and a slash, and comes after all that goes on with less.
        let goes_on_with_less = |rest: &str| rest.bytes().next().is_none_or(|byte| byte < b'/');
        let after = match self.after {
            None => None,
            Some(after) => match after.strip_prefix(name) {
                Some(rest) if rest.starts_with('/') => Some(&rest[1..]),
                Some(rest) if goes_on_with_less(rest) => None,
                None if name > after => None,
                _ => return None,
            },
        };
        let until = match self.until {
            None => None,
            Some(until) if name > until => return None,
            Some(until) => match until.strip_prefix(name) {
                Some(rest) if rest.starts_with('/') => Some(&rest[1..]),
                // Nothing under it.
                Some(rest) if goes_on_with_less(rest) => Some(""),
                _ => None,
            },
        };
        Some(Self { after, until })
    }
}

impl Index {
    /// Something was written to this repository.
    pub fn added(&self, name: &RepositoryName) {
        match self.known.try_lock() {
            Ok(mut known) if known.root.is_some() && !known.names.contains(name.as_str()) => {
                known.written = Some(Instant::now());
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
        if self.catalog.missed.swap(false, Ordering::SeqCst) {
            known.written = Some(Instant::now());
        }
        // Who waited for another's check needs none of its own.
        let trusted = match last {
            Some(_) => asked.checked_sub(TRUSTED).unwrap_or(asked),
            None => asked,
        };
        let trusted = known.written.map_or(trusted, |written| written.max(trusted));
        loop {
            let until = known.names.end(last, limit).map(str::to_owned);
            let mut look = Look {
                begun: Instant::now(),
                trusted,
                changed: false,
            };
            let range = Range {
                after: last,
                until: until.as_deref(),
            };
            self.check_catalog(&mut known, range, &mut look)?;
            // What has gone makes room for names that were not looked at.
            let reaches = |until: &str| known.names.end(last, limit).is_some_and(|end| end <= until);
            if !look.changed || until.as_deref().is_none_or(reaches) {
                return Ok(known.names.page(last, limit));
            }
        }
    }

    fn check_catalog(
        &self,
        known: &mut Known,
        range: Range<'_>,
        look: &mut Look,
    ) -> Result<(), ContentError> {
        let key = paths::repositories();
        // Should this fail it is read anew.
        let root = known.root.take();
        match self.storage.stamp(&key) {
            Err(error) if error.is_not_found() => look.changed = true,
            stamp => {
                let mut root = root.unwrap_or_default();
                self.check(&key, &mut root, stamp?, look)?;
                self.check_below(&key, &mut root, range, look)?;
                known.root = Some(root);
            }
        }
        if look.changed {
            let mut names = Vec::new();
            if let Some(root) = &known.root {
                root.collect("", &mut names);
            }
            names.sort_unstable();
            known.names = Names::new(names);
        }
        Ok(())
    }

    /// Reads a folder again if it does not have the stamp of which it was read.
    fn check(
        &self,
        key: &Key,
        folder: &mut Folder,
        stamp: Stamp,
        look: &mut Look,
    ) -> Result<(), ContentError> {
        if !folder.is_still(stamp) {
            look.changed = true;
            folder.stamp = Some(stamp);
            folder.settled = stamp.has_settled();
            let mut names = self.storage.list(key, None, usize::MAX)?;
            folder.is_repository = names.iter().any(|name| name == "_layers" || name == "_manifests");
            names.retain(|name| !name.starts_with('_'));
            let before = std::mem::take(&mut folder.children);
            let mut before: BTreeMap<_, _> = before.into_iter().collect();
            let children = names.into_iter().map(|name| {
                let child = before.remove(name.as_str()).unwrap_or_default();
                (name.into_boxed_str(), child)
            });
            folder.children = children.collect();
        }
        folder.checked = Some(look.begun);
        Ok(())
    }

    /// Checks of what is under a folder all that `range` can have, and what was never read.
    fn check_below(
        &self,
        key: &Key,
        folder: &mut Folder,
        range: Range<'_>,
        look: &mut Look,
    ) -> Result<(), ContentError> {
        let below: Vec<_> = folder
            .children
            .iter()
            .enumerate()
            .filter_map(|(index, (name, child))| match child.stamp {
                None => Some((index, Range::ALL)),
                Some(_) => Some((index, range.below(name)?)),
            })
            .collect();
        let due: Vec<_> = below
            .iter()
            .map(|(index, _)| *index)
            .filter(|index| folder.children[*index].1.checked < Some(look.trusted))
            .collect();
        let mut gone = Vec::new();
        if !due.is_empty() {
            let mut names = due.iter().map(|index| &*folder.children[*index].0);
            let stamps = self.storage.stamps(key, &mut names)?;
            for (index, stamp) in due.into_iter().zip(stamps) {
                let (name, child) = &mut folder.children[index];
                match stamp {
                    // What most of them are.
                    Some(stamp) if child.is_still(stamp) => child.checked = Some(look.begun),
                    Some(stamp) => match key.below(name) {
                        Some(key) => self.check(&key, child, stamp, look)?,
                        None => gone.push(index),
                    },
                    None => gone.push(index),
                }
            }
        }
        for (index, range) in below {
            let (name, child) = &mut folder.children[index];
            if !child.children.is_empty()
                && let Some(key) = key.below(name)
            {
                self.check_below(&key, child, range, look)?;
            }
        }
        look.changed |= !gone.is_empty();
        for index in gone.into_iter().rev() {
            folder.children.remove(index);
        }
        Ok(())
    }
}

impl Folder {
    /// Whether it is what it was when it was read.
    fn is_still(&self, stamp: Stamp) -> bool {
        self.settled && self.stamp == Some(stamp)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a range has a name, going down to it as listings do.
    fn has(range: Range<'_>, name: &str) -> bool {
        match name.split_once('/') {
            None => range.below(name).is_some(),
            Some((child, rest)) => range.below(child).is_some_and(|range| has(range, rest)),
        }
    }

    #[test]
    fn no_name_of_a_range_is_passed_over_and_few_others_are_looked_at() {
        let names = [
            "a", "a-b", "a-b/c", "a/b", "a/b/c", "a/c", "a0", "a0/x", "ab", "b",
        ];
        let bounds = [
            "", "0", "a", "a-", "a-b", "a-b/c", "a/", "a/b", "a/bb", "a/c", "a0", "aa", "b", "c",
        ];
        for after in bounds.map(Some).into_iter().chain([None]) {
            for until in bounds.map(Some).into_iter().chain([None]) {
                let range = Range { after, until };
                for name in names {
                    let within =
                        after.is_none_or(|after| name > after) && until.is_none_or(|until| name <= until);
                    assert!(!within || has(range, name), "{name} in {range:?}");
                    // A folder itself is looked at for what is under it.
                    let may = after.is_none_or(|after| format!("{name}/~").as_str() > after);
                    let may = may && until.is_none_or(|until| name <= until);
                    assert!(may || !has(range, name), "{name} not in {range:?}");
                }
            }
        }
    }
}

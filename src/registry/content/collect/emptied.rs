//! What is left of a repository when all that was in it is gone: entries of its tags' histories, and folders.
//!
//! Nobody relies on them, so they have no sentence: what is under a repository's lock is looked at under that lock,
//! and its own folder, which repositories further down may be about to share, while nobody pushes anything anywhere
//! (for two system calls).

use std::sync::PoisonError;

use super::{BATCH, Collection};
use crate::registry::content::{CareError, ContentError, Registry};
use crate::registry::digest::{Algorithm, Digest};
use crate::registry::name::{RepositoryName, Tag};
use crate::registry::storage::paths;

impl Collection<'_> {
    /// Removes folders of manifests that distribution has deleted.
    pub(super) fn clear(&self, name: &RepositoryName, remains: &[Digest]) -> Result<(), CareError> {
        let storage = &self.registry.storage;
        for some in remains.chunks(BATCH).filter(|_| !self.options.dry_run) {
            self.registry.alone(name, || {
                for digest in some {
                    let folder = paths::revision(name, digest);
                    let stat = storage.stat(&folder)?;
                    let is_old = stat.is_some_and(|stat| stat.modified <= self.before());
                    // It may just be coming, from here or from there.
                    if is_old && !storage.exists(&paths::revision_link(name, digest))? {
                        storage.discard(&folder)?;
                    }
                }
                Ok::<_, ContentError>(())
            })?;
        }
        Ok(())
    }

    /// Takes out of the histories of tags what is no longer there. False where a tag is left.
    pub(super) fn forget(&mut self, name: &RepositoryName) -> Result<bool, CareError> {
        let registry = self.registry;
        let (mut stale, mut is_empty) = (Vec::new(), true);
        registry.each_name(&paths::tags(name), &mut |text| {
            let Ok(tag) = text.parse::<Tag>() else {
                is_empty = false;
                return Ok(());
            };
            let (gone, left) = registry.history(name, &tag)?;
            let ended = left == 0 && !registry.storage.exists(&paths::tag_current(name, &tag))?;
            is_empty &= ended;
            if !gone.is_empty() || ended {
                stale.push((tag, gone));
            }
            if stale.len() >= BATCH {
                self.forget_these(name, &mut stale)?;
            }
            Ok(())
        })?;
        self.forget_these(name, &mut stale)?;
        Ok(is_empty)
    }

    fn forget_these(
        &mut self,
        name: &RepositoryName,
        stale: &mut Vec<(Tag, Vec<Digest>)>,
    ) -> Result<(), CareError> {
        let registry = self.registry;
        for (tag, gone) in stale.drain(..) {
            self.report.forgotten += gone.len() as u64;
            if self.options.dry_run {
                continue;
            }
            registry.alone(name, || {
                // The same may have been pushed again.
                for digest in gone {
                    if !registry.storage.exists(&paths::revision_link(name, &digest))? {
                        let entry = paths::tag_history(name, &tag, digest.algorithm()).below(digest.hex());
                        entry.map_or(Ok(()), |entry| registry.storage.discard(&entry))?;
                    }
                }
                let (gone, left) = registry.history(name, &tag)?;
                let is_over = gone.is_empty() && left == 0;
                if is_over && !registry.storage.exists(&paths::tag_current(name, &tag))? {
                    registry.storage.discard(&paths::tag(name, &tag))?;
                }
                Ok::<_, ContentError>(())
            })?;
        }
        Ok(())
    }

    /// Takes away a repository in which nothing seems to be left.
    pub(super) fn empty(&mut self, name: &RepositoryName) -> Result<(), CareError> {
        let registry = self.registry;
        let folder = registry.storage.stat(&paths::repository(name))?;
        if folder.is_none_or(|folder| folder.modified > self.before()) {
            // Another program may be about to push.
            return Ok(());
        }
        let emptied = registry.alone(name, || {
            if !registry.is_bare(name)? {
                return Ok(false);
            }
            if !self.options.dry_run {
                // What makes it a repository last: what a crash leaves is looked at again.
                for part in [paths::uploads(name), paths::layers(name), paths::manifests(name)] {
                    registry.storage.discard(&part)?;
                }
            }
            Ok::<_, ContentError>(true)
        })?;
        if !emptied {
            return Ok(());
        }
        self.report.emptied += 1;
        if !self.options.dry_run {
            self.emptied.push(name.clone());
            if self.emptied.len() >= BATCH {
                self.remove_emptied()?;
            }
        }
        Ok(())
    }

    /// Removes the folders of what was emptied, and those above them that hold nothing else.
    pub(super) fn remove_emptied(&mut self) -> Result<(), CareError> {
        if self.emptied.is_empty() {
            return Ok(());
        }
        let registry = self.registry;
        // In their order, and whoever waits for one has none: so nobody waits for ever.
        let _guards: Vec<_> = registry
            .locks
            .iter()
            .map(|lock| lock.write().unwrap_or_else(PoisonError::into_inner))
            .collect();
        for name in self.emptied.drain(..) {
            let mut path = name.as_str();
            while let Ok(name) = path.parse::<RepositoryName>() {
                let folder = paths::repository(&name);
                if !registry.storage.list(&folder, None, 1)?.is_empty() {
                    break;
                }
                registry.storage.discard(&folder)?;
                let Some((above, _)) = path.rsplit_once('/') else {
                    break;
                };
                path = above;
            }
        }
        Ok(())
    }
}

impl Registry {
    /// Of all that a tag ever named, what is gone, and how much is left.
    fn history(&self, name: &RepositoryName, tag: &Tag) -> Result<(Vec<Digest>, usize), ContentError> {
        let (mut gone, mut left) = (Vec::new(), 0);
        for algorithm in Algorithm::ALL {
            let folder = paths::tag_history(name, tag, algorithm);
            for hex in self.storage.list(&folder, None, usize::MAX)? {
                match Digest::from_parts(algorithm, &hex) {
                    Ok(digest) if !self.storage.exists(&paths::revision_link(name, &digest))? => {
                        gone.push(digest);
                    }
                    _ => left += 1,
                }
            }
        }
        Ok((gone, left))
    }

    /// Whether a repository holds nothing, neither what we know nor what we do not.
    fn is_bare(&self, name: &RepositoryName) -> Result<bool, ContentError> {
        let names = |key| self.storage.list(&key, None, usize::MAX);
        let only =
            |names: Vec<String>, known: &[&str]| names.iter().all(|name| known.contains(&name.as_str()));
        let algorithms = Algorithm::ALL.map(Algorithm::name);
        let mut its = names(paths::repository(name))?;
        its.retain(|name| name.starts_with('_'));
        let revisions = paths::manifests(name).below("revisions");
        Ok(only(its, &["_layers", "_manifests", "_uploads"])
            && only(names(paths::layers(name))?, &algorithms)
            && only(names(paths::manifests(name))?, &["revisions", "tags"])
            && revisions.map_or(Ok(true), |key| {
                Ok::<_, ContentError>(only(names(key)?, &algorithms))
            })?
            && names(paths::tags(name))?.is_empty()
            && names(paths::uploads(name))?.is_empty()
            && Algorithm::ALL.into_iter().try_fold(true, |is_bare, algorithm| {
                Ok::<_, ContentError>(
                    is_bare
                        && names(paths::layers_of(name, algorithm))?.is_empty()
                        && names(paths::revisions(name, algorithm))?.is_empty(),
                )
            })?)
    }
}

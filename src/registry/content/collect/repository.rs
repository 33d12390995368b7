//! One repository's part of a collection: its manifests, then its links to blobs.

use super::condemned::Item;
use super::set::{Set, short};
use super::{Collection, Graph, MAX_NAMED, Verdict, of};
use crate::registry::content::CareError;
use crate::registry::content::repositories::Look;
use crate::registry::digest::{Algorithm, Digest};
use crate::registry::manifest::Manifest;
use crate::registry::name::RepositoryName;
use crate::registry::storage::paths;

/// What the manifests of one repository name, by algorithm.
struct Named<'a> {
    /// By manifests that are kept.
    kept: [Set<'a>; 2],
    /// By condemned ones.
    waiting: [Set<'a>; 2],
    /// A manifest could not be read: everything is.
    all: bool,
}

impl Collection<'_> {
    pub(super) fn repository(&mut self, name: &RepositoryName) -> Result<(), CareError> {
        let sets = || [Set::new(self.scratch), Set::new(self.scratch)];
        let mut named = Named {
            kept: sets(),
            waiting: sets(),
            all: false,
        };
        let (manifests, condemned) = self.manifests(name)?;
        for digest in &manifests {
            self.report.manifests += 1;
            let waits = condemned.binary_search(digest).is_ok();
            match self.registry.look(name, digest)? {
                Look::Sound(manifest) => self.name(&manifest, waits, &mut named),
                Look::Unreadable(reason) => {
                    named.all = true;
                    self.kept[of(digest.algorithm())].insert(short(digest));
                    if self.report.unreadable.len() < MAX_NAMED {
                        self.report.unreadable.push(format!("{name}@{digest}: {reason}"));
                    }
                    tracing::warn!(
                        repository = %name, manifest = %digest, reason,
                        "a manifest cannot be read; all blobs of its repository are kept"
                    );
                }
            }
            let stored = self.registry.revised(name, digest)?;
            self.keep_data(&stored, waits);
        }
        self.links(name, named)
    }

    /// Removes manifests whose time has come. The rest, and which of them are condemned.
    fn manifests(&mut self, name: &RepositoryName) -> Result<(Vec<Digest>, Vec<Digest>), CareError> {
        let registry = self.registry;
        if !self.options.untagged {
            return Ok((registry.revisions(name)?, Vec::new()));
        }
        let pushes = registry.pushes(name);
        let graph = Graph::read(registry, name, self.watch)?;
        let (mut due, mut waiting) = (Vec::new(), Vec::new());
        for digest in graph.unkept(&registry.tagged(name)?) {
            let verdict = self.verdict(Item::revision(name, &digest), || {
                let link = registry.storage.stat(&paths::revision_link(name, &digest))?;
                Ok(link.map_or(0, |link| link.modified))
            })?;
            if verdict == Verdict::Remove {
                due.push(digest);
            } else {
                self.tally(verdict).manifests += 1;
                waiting.push(digest);
            }
        }
        let mut removed = Vec::new();
        if self.options.dry_run {
            removed = due;
        } else if !due.is_empty() {
            registry.alone(name, || {
                // A tag, an index or a subject may have come that keeps one of them.
                let unchanged = registry.pushes(name) == pushes;
                for digest in due {
                    let revision = paths::revision(name, &digest);
                    let gone = unchanged
                        && self
                            .execute(Item::revision(name, &digest), || {
                                registry.storage.discard(&revision)?;
                                Ok(())
                            })?
                            .is_some();
                    let fate = if gone { &mut removed } else { &mut waiting };
                    fate.push(digest);
                }
                Ok::<_, CareError>(())
            })?;
            for algorithm in Algorithm::ALL {
                registry.storage.settle(&paths::revisions(name, algorithm))?;
            }
        }
        self.report.removed.manifests += removed.len() as u64;
        removed.sort_unstable();
        waiting.sort_unstable();
        let mut left = graph.manifests().to_vec();
        left.retain(|digest| removed.binary_search(digest).is_err());
        Ok((left, waiting))
    }

    fn name(&mut self, manifest: &Manifest, waits: bool, named: &mut Named<'_>) {
        let here = if waits {
            &mut named.waiting
        } else {
            &mut named.kept
        };
        for blob in manifest.blobs.iter().chain(&manifest.elsewhere) {
            here[of(blob.algorithm())].insert(short(blob));
            let all = if waits { &mut self.waiting } else { &mut self.kept };
            all[of(blob.algorithm())].insert(short(blob));
        }
        // An index may list blobs: their links say so, and keep the data.
        for listed in &manifest.manifests {
            here[of(listed.algorithm())].insert(short(listed));
        }
    }

    fn keep_data(&mut self, stored: &Digest, waits: bool) {
        let all = if waits { &mut self.waiting } else { &mut self.kept };
        all[of(stored.algorithm())].insert(short(stored));
    }

    /// Links to blobs that no manifest of the repository names.
    fn links(&mut self, name: &RepositoryName, named: Named<'_>) -> Result<(), CareError> {
        let registry = self.registry;
        let Named { kept, waiting, all } = named;
        for ((algorithm, kept), waiting) in Algorithm::ALL.into_iter().zip(kept).zip(waiting) {
            let (mut kept, mut waiting) = (kept.sorted()?, waiting.sorted()?);
            let mut removed = 0;
            registry.each_layer(name, algorithm, &mut |digest| {
                let short = short(&digest);
                if all || kept.contains(&short)? {
                    let stored = registry.linked(name, &digest)?;
                    self.keep_data(&stored, false);
                    return Ok(());
                }
                if self.link(name, &digest, waiting.contains(&short)?)? {
                    removed += 1;
                } else {
                    let stored = registry.linked(name, &digest)?;
                    self.keep_data(&stored, true);
                }
                Ok(())
            })?;
            if removed > 0 && !self.options.dry_run {
                registry.storage.settle(&paths::layers_of(name, algorithm))?;
            }
        }
        Ok(())
    }

    /// True where the link is gone.
    fn link(&mut self, name: &RepositoryName, digest: &Digest, waited_for: bool) -> Result<bool, CareError> {
        let registry = self.registry;
        let item = Item::layer(name, digest);
        let mut verdict = self.verdict(item, || {
            let link = registry.storage.stat(&paths::layer_link(name, digest))?;
            Ok(link.map_or(0, |link| link.modified))
        })?;
        if verdict == Verdict::Remove && waited_for {
            verdict = Verdict::Wait;
        }
        if verdict == Verdict::Remove && !self.options.dry_run {
            let gone = registry.alone(name, || {
                self.execute(item, || {
                    registry.storage.discard(&paths::layer(name, digest))?;
                    Ok(())
                })
            })?;
            if gone.is_none() {
                verdict = Verdict::Wait;
            }
        }
        self.tally(verdict).links += 1;
        Ok(verdict == Verdict::Remove)
    }
}

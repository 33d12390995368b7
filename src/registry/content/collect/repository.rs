//! One repository's part of a collection: its manifests, then its links to blobs.

use super::condemned::Item;
use super::graph::{Mention, mentions};
use super::set::{Set, short};
use super::{BATCH, Collection, Graph, MAX_NAMED, Verdict, of};
use crate::registry::content::CareError;
use crate::registry::content::repositories::Look;
use crate::registry::digest::{Algorithm, Digest};
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

/// The manifests that a repository has left.
struct Left {
    /// Sorted, if some are condemned.
    manifests: Vec<Digest>,
    /// Those that are condemned, sorted.
    waiting: Vec<Digest>,
    /// Where it had to be known.
    graph: Option<Graph>,
}

impl Collection<'_> {
    pub(super) fn repository(&mut self, name: &RepositoryName) -> Result<(), CareError> {
        let sets = || [Set::new(self.scratch), Set::new(self.scratch)];
        let mut named = Named {
            kept: sets(),
            waiting: sets(),
            all: false,
        };
        let pushes = self.registry.pushes(name);
        let (revisions, remains) = self.registry.revisions_and_remains(name)?;
        self.clear(name, &remains)?;
        let left = self.manifests(name, revisions, pushes)?;
        for digest in &left.manifests {
            self.report.manifests += 1;
            let waits = left.waiting.binary_search(digest).is_ok();
            let known = left.graph.as_ref().and_then(|graph| graph.mentions(digest));
            if let Some(known) = known {
                self.name(known, waits, &mut named);
            } else {
                match self.registry.look(name, digest)? {
                    Look::Sound(manifest) => self.name(mentions(&manifest), waits, &mut named),
                    Look::Unreadable(reason) => {
                        named.all = true;
                        self.kept[of(digest.algorithm())].insert(short(digest));
                        self.unreadable(name, digest, &reason);
                    }
                }
            }
            let stored = self.registry.revised(name, digest)?;
            self.keep_data(&stored, waits);
        }
        let is_empty = left.manifests.is_empty();
        drop(left.graph);
        let forgotten = self.forget(name)?;
        let links = self.links(name, named)?;
        if is_empty && links == 0 && forgotten {
            self.empty(name)?;
        }
        Ok(())
    }

    fn unreadable(&mut self, name: &RepositoryName, digest: &Digest, reason: &str) {
        if self.report.unreadable.len() < MAX_NAMED {
            self.report.unreadable.push(format!("{name}@{digest}: {reason}"));
        }
        tracing::warn!(
            repository = %name, manifest = %digest, reason,
            "a manifest cannot be read; all blobs of its repository are kept"
        );
    }

    /// Removes manifests whose time has come.
    fn manifests(
        &mut self,
        name: &RepositoryName,
        revisions: Vec<Digest>,
        pushes: u64,
    ) -> Result<Left, CareError> {
        let registry = self.registry;
        if !self.options.untagged {
            return Ok(Left {
                manifests: revisions,
                waiting: Vec::new(),
                graph: None,
            });
        }
        let graph = Graph::read(registry, name, revisions, self.watch)?;
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
        // An index that somebody has asked for is of no use without what it lists.
        let (groups, with_others) = graph.groups(due, &waiting);
        self.report.waiting.manifests += with_others.len() as u64;
        waiting.extend(with_others);
        let removed = self.remove_manifests(name, groups, pushes, &mut waiting)?;
        self.report.removed.manifests += removed.len() as u64;
        waiting.sort_unstable();
        let mut left = graph.manifests().to_vec();
        left.retain(|digest| removed.binary_search(digest).is_err());
        Ok(Left {
            manifests: left,
            waiting,
            graph: Some(graph),
        })
    }

    /// Removes groups of manifests, if nothing was pushed that might keep one of them. Those that are gone, sorted;
    /// the others wait.
    fn remove_manifests(
        &mut self,
        name: &RepositoryName,
        groups: Vec<Vec<Digest>>,
        pushes: u64,
        waiting: &mut Vec<Digest>,
    ) -> Result<Vec<Digest>, CareError> {
        let registry = self.registry;
        let mut removed = Vec::new();
        let all = groups.len() as u64;
        let mut groups = groups.into_iter().peekable();
        let mut done = 0;
        while groups.peek().is_some() {
            self.watch.step("condemned manifests", done, Some(all))?;
            let some: Vec<Vec<Digest>> = groups.by_ref().take(BATCH).collect();
            done += some.len() as u64;
            let items: Vec<Vec<Item>> = some
                .iter()
                .map(|group| group.iter().map(|digest| Item::revision(name, digest)).collect())
                .collect();
            let items: Vec<&[Item]> = items.iter().map(Vec::as_slice).collect();
            let gone = registry.alone(name, || {
                // A tag, an index or a subject may have come that keeps one of them.
                if registry.pushes(name) != pushes {
                    return Ok(vec![false; some.len()]);
                }
                self.execute(&items, |number| {
                    for digest in &some[number] {
                        registry.storage.discard(&paths::revision(name, digest))?;
                    }
                    Ok(())
                })
            })?;
            for (group, gone) in some.into_iter().zip(gone) {
                if gone {
                    removed.extend(group);
                } else {
                    self.report.waiting.manifests += group.len() as u64;
                    waiting.extend(group);
                }
            }
        }
        if !removed.is_empty() && !self.options.dry_run {
            // Before what they name goes: after a crash none is there again without it.
            for algorithm in Algorithm::ALL {
                registry.storage.settle(&paths::revisions(name, algorithm))?;
            }
        }
        removed.sort_unstable();
        Ok(removed)
    }

    fn name(&mut self, mentions: impl Iterator<Item = Mention>, waits: bool, named: &mut Named<'_>) {
        let (here, all) = if waits {
            (&mut named.waiting, &mut self.waiting)
        } else {
            (&mut named.kept, &mut self.kept)
        };
        for Mention {
            digest,
            algorithm,
            is_blob,
        } in mentions
        {
            here[of(algorithm)].insert(digest);
            // An index may list blobs: their links say so, and keep the data.
            if is_blob {
                all[of(algorithm)].insert(digest);
            }
        }
    }

    fn keep_data(&mut self, stored: &Digest, waits: bool) {
        let all = if waits { &mut self.waiting } else { &mut self.kept };
        all[of(stored.algorithm())].insert(short(stored));
    }

    /// Links to blobs that no manifest of the repository names. How many links are left.
    fn links(&mut self, name: &RepositoryName, named: Named<'_>) -> Result<u64, CareError> {
        let registry = self.registry;
        let Named { kept, waiting, all } = named;
        let mut left = 0;
        for ((algorithm, kept), waiting) in Algorithm::ALL.into_iter().zip(kept).zip(waiting) {
            let (mut kept, mut waiting) = (kept.sorted()?, waiting.sorted()?);
            let (mut due, mut removed) = (Vec::new(), 0);
            registry.each_layer(name, algorithm, &mut |digest| {
                left += 1;
                let short = short(&digest);
                if all || kept.contains(&short)? {
                    let stored = registry.linked(name, &digest)?;
                    self.keep_data(&stored, false);
                    return Ok(());
                }
                let waited_for = waiting.contains(&short)?;
                let mut verdict = self.verdict(Item::layer(name, &digest), || {
                    let link = registry.storage.stat(&paths::layer_link(name, &digest))?;
                    Ok(link.map_or(0, |link| link.modified))
                })?;
                if verdict == Verdict::Remove && !waited_for {
                    due.push(digest);
                    if due.len() >= BATCH {
                        removed += self.remove_links(name, &mut due)?;
                    }
                    return Ok(());
                }
                if verdict == Verdict::Remove {
                    verdict = Verdict::Wait;
                }
                self.tally(verdict).links += 1;
                let stored = registry.linked(name, &digest)?;
                self.keep_data(&stored, true);
                Ok(())
            })?;
            removed += self.remove_links(name, &mut due)?;
            if removed > 0 && !self.options.dry_run {
                registry.storage.settle(&paths::layers_of(name, algorithm))?;
            }
            left -= removed;
        }
        Ok(left)
    }

    /// How many of them are gone.
    fn remove_links(&mut self, name: &RepositoryName, due: &mut Vec<Digest>) -> Result<u64, CareError> {
        if due.is_empty() {
            return Ok(0);
        }
        let registry = self.registry;
        let items: Vec<Item> = due.iter().map(|digest| Item::layer(name, digest)).collect();
        let groups: Vec<&[Item]> = items.chunks(1).collect();
        let gone = registry.alone(name, || {
            self.execute(&groups, |number| {
                Ok(registry.storage.discard(&paths::layer(name, &due[number]))?)
            })
        })?;
        let mut removed = 0;
        for (digest, gone) in due.drain(..).zip(gone) {
            if gone {
                removed += 1;
            } else {
                self.report.waiting.links += 1;
                let stored = registry.linked(name, &digest)?;
                self.keep_data(&stored, true);
            }
        }
        self.report.removed.links += removed;
        Ok(removed)
    }
}

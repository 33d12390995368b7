//! The collector: takes away what no manifest refers to, while pushes go on.
//!
//! | step | what |
//! |---|---|
//! | mark | every manifest of every repository is read; what it names is kept |
//! | condemn | what is not kept is condemned, with the time |
//! | grace | whoever uses a condemned thing pardons it ([`condemned`]) |
//! | recheck | a later collection, after the grace, finds it still condemned and still not kept |
//! | delete | links under their repository's lock, then data; open files stay readable |
//!
//! Without a grace the steps are one: what is used from the beginning on is as good as pardoned, and whatever else
//! the marking has not found goes.
//!
//! A repository's link to a blob that none of its manifests names is an upload that waits for its manifest:
//! it is condemned like everything else, and keeps the data while it waits. With `untagged`, manifests that
//! no tag keeps, however indirectly ([`graph`]), are condemned too; what they name goes with them.
//!
//! A manifest that cannot be read may name anything: all blobs of its repository are kept. A repository in which
//! nothing is left goes, too ([`emptied`]).

mod condemned;
mod emptied;
mod explain;
mod graph;
mod repository;
mod set;
mod uses;

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use condemned::now;
use condemned::{Item, Sentence};
pub use explain::{Explained, Kept};
pub(super) use graph::Graph;
use set::Set;
pub use uses::Uses;

use super::{CareError, ContentError, Registry, Watch};
use crate::registry::digest::{Algorithm, Digest};
use crate::registry::name::RepositoryName;
use crate::registry::storage::paths;

/// With less, a push that began before one collection could end after the next one's look.
const SHORT: Duration = Duration::from_mins(1);
/// Removed under one lock of their repository: pushes to it wait for no more.
const BATCH: usize = 32;
/// Unreadable manifests that are named in a report; the others are counted.
const MAX_NAMED: usize = 100;

/// What to collect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// How long something stays condemned before it is removed.
    pub grace: Duration,
    /// Manifests that no tag keeps, too.
    pub untagged: bool,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What was done; in a dry run, what would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    pub dry_run: bool,
    pub repositories: u64,
    pub manifests: u64,
    pub blobs: u64,
    /// Gone.
    pub removed: Tally,
    /// Condemned in this collection.
    pub condemned: Tally,
    /// Condemned before, and their grace is not over.
    pub waiting: Tally,
    /// Repositories in which nothing was left, and that are no longer there.
    #[serde(default)]
    pub emptied: u64,
    /// What tags remembered of manifests that are gone.
    #[serde(default)]
    pub forgotten: u64,
    /// Manifests for whose sake all blobs of their repositories are kept, with the reason.
    pub unreadable: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub manifests: u64,
    pub links: u64,
    pub blobs: u64,
    /// Of the blobs.
    pub bytes: u64,
}

/// What is to be done with something unreferenced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Remove,
    New,
    Wait,
}

/// One collection under way.
struct Collection<'a> {
    registry: &'a Registry,
    options: Options,
    scratch: &'a Path,
    watch: &'a dyn Watch,
    now: u64,
    /// Repositories that have lost all that was in them, but not their folders.
    emptied: Vec<RepositoryName>,
    /// Data that manifests name, and the manifests themselves.
    kept: [Set<'a>; 2],
    /// Data that only condemned things name.
    waiting: [Set<'a>; 2],
    report: Collected,
}

/// Which of two sets is an algorithm's: they lie in folders of their own.
fn of(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::Sha256 => 0,
        Algorithm::Sha512 => 1,
    }
}

impl Registry {
    /// Collects once. `scratch` is a folder for lists that do not fit into memory.
    pub fn collect(
        &self,
        options: Options,
        scratch: &Path,
        watch: &dyn Watch,
    ) -> Result<Collected, CareError> {
        let collection = Collection {
            registry: self,
            options,
            scratch,
            watch,
            now: now(),
            emptied: Vec::new(),
            kept: [Set::new(scratch), Set::new(scratch)],
            waiting: [Set::new(scratch), Set::new(scratch)],
            report: Collected {
                dry_run: options.dry_run,
                ..Collected::default()
            },
        };
        if !options.dry_run {
            self.uses.condemned.begin(options.grace.is_zero());
        }
        if options.grace < SHORT {
            // What began before is there when one looks.
            for lock in &self.locks {
                drop(lock.write());
            }
        }
        collection.run()
    }
}

impl Tally {
    fn blob(&mut self, size: u64) {
        self.blobs += 1;
        self.bytes += size;
    }
}

impl<'a> Collection<'a> {
    fn run(mut self) -> Result<Collected, CareError> {
        let registry = self.registry;
        let marked = registry.each_repository(&mut |name| {
            self.watch.step("repositories", self.report.repositories, None)?;
            self.report.repositories += 1;
            self.repository(name)
        });
        let swept = marked.and_then(|()| self.blobs());
        if self.options.dry_run {
            swept?;
        } else {
            // Where it was stopped, what it has not seen keeps its sentence.
            let kept = registry.uses.condemned.keep(swept.is_ok());
            let emptied = self.remove_emptied();
            swept?;
            kept?;
            emptied?;
        }
        Ok(self.report)
    }

    /// Data that nothing names.
    fn blobs(&mut self) -> Result<(), CareError> {
        let registry = self.registry;
        for algorithm in Algorithm::ALL {
            let scratch = self.scratch;
            let taken = |set: &mut Set<'a>| std::mem::replace(set, Set::new(scratch)).sorted();
            let mut kept = taken(&mut self.kept[of(algorithm)])?;
            let mut waiting = taken(&mut self.waiting[of(algorithm)])?;
            let mut due = Vec::new();
            for first in 0..=u8::MAX {
                self.watch.step("blobs", u64::from(first), Some(256))?;
                registry.each_name(&paths::blobs_from(algorithm, first), &mut |hex| {
                    let Ok(digest) = Digest::from_parts(algorithm, hex) else {
                        return Ok(());
                    };
                    self.report.blobs += 1;
                    let short = set::short(&digest);
                    if kept.contains(&short)? {
                        return Ok(());
                    }
                    self.blob(digest, waiting.contains(&short)?, &mut due)
                })?;
            }
            self.remove_blobs(&mut due)?;
        }
        Ok(())
    }

    fn blob(
        &mut self,
        digest: Digest,
        waited_for: bool,
        due: &mut Vec<(Digest, u64)>,
    ) -> Result<(), CareError> {
        let Some(stat) = self.registry.storage.stat(&paths::blob(&digest))? else {
            // A folder that a crash left without data.
            return Ok(());
        };
        match self.verdict(Item::blob(&digest), || Ok(stat.modified))? {
            Verdict::Remove if !waited_for => {
                due.push((digest, stat.size));
                if due.len() >= BATCH {
                    self.remove_blobs(due)?;
                }
            }
            Verdict::New => self.report.condemned.blob(stat.size),
            Verdict::Remove | Verdict::Wait => self.report.waiting.blob(stat.size),
        }
        Ok(())
    }

    /// Their folders are not settled: a blob that is there again after a crash of the machine is collected again.
    fn remove_blobs(&mut self, due: &mut Vec<(Digest, u64)>) -> Result<(), CareError> {
        let storage = &self.registry.storage;
        let items: Vec<Item> = due.iter().map(|(digest, _)| Item::blob(digest)).collect();
        let groups: Vec<&[Item]> = items.chunks(1).collect();
        let gone = self.execute(&groups, |number| {
            Ok(storage.discard(&paths::blob_folder(&due[number].0))?)
        })?;
        for ((_, size), gone) in due.drain(..).zip(gone) {
            let tally = if gone {
                &mut self.report.removed
            } else {
                &mut self.report.waiting
            };
            tally.blob(size);
        }
        Ok(())
    }

    /// What is to be done with something unreferenced that was last `modified` at a time.
    fn verdict(
        &mut self,
        item: Item,
        modified: impl FnOnce() -> Result<u64, CareError>,
    ) -> Result<Verdict, CareError> {
        let condemned = &self.registry.uses.condemned;
        let since = match condemned.see(item) {
            // Any sentence is as good as one from the beginning of this collection.
            _ if self.options.grace.is_zero() => self.now,
            Sentence::Since(since) => since,
            Sentence::Free => {
                if !self.options.dry_run {
                    condemned.condemn(item, self.now);
                }
                return Ok(Verdict::New);
            }
        };
        if since > self.before() {
            return Ok(Verdict::Wait);
        }
        if modified()? > since {
            // Another program (distribution on the same folder) has pushed it since.
            if !self.options.dry_run {
                condemned.condemn(item, self.now);
            }
            return Ok(Verdict::Wait);
        }
        Ok(Verdict::Remove)
    }

    /// What was condemned until then has had its grace.
    fn before(&self) -> u64 {
        self.now.saturating_sub(self.options.grace.as_secs())
    }

    /// Removes each group that is still condemned; in a dry run, says that it would.
    fn execute(
        &self,
        groups: &[&[Item]],
        removal: impl FnMut(usize) -> Result<(), ContentError>,
    ) -> Result<Vec<bool>, CareError> {
        if self.options.dry_run {
            return Ok(vec![true; groups.len()]);
        }
        let condemned = &self.registry.uses.condemned;
        Ok(condemned.execute(groups, self.before(), removal)?)
    }

    fn tally(&mut self, verdict: Verdict) -> &mut Tally {
        match verdict {
            Verdict::Remove => &mut self.report.removed,
            Verdict::New => &mut self.report.condemned,
            Verdict::Wait => &mut self.report.waiting,
        }
    }
}

#[cfg(test)]
mod tests;

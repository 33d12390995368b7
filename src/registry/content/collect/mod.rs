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
//! A repository's link to a blob that none of its manifests names is an upload that waits for its manifest:
//! it is condemned like everything else, and keeps the data while it waits. With `untagged`, manifests that
//! no tag keeps, however indirectly ([`graph`]), are condemned too; what they name goes with them.
//!
//! A manifest that cannot be read may name anything: all blobs of its repository are kept.

mod condemned;
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

use super::{CareError, Registry, Watch};
use crate::registry::digest::{Algorithm, Digest};
use crate::registry::storage::paths;

/// With less, a push that began before one collection could end after the next one's look.
const SHORT: Duration = Duration::from_secs(60);
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
    /// Something was left out, because so much is condemned already.
    more: bool,
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
        let collection = || Collection {
            registry: self,
            options,
            scratch,
            watch,
            now: now(),
            more: false,
            kept: [Set::new(scratch), Set::new(scratch)],
            waiting: [Set::new(scratch), Set::new(scratch)],
            report: Collected {
                dry_run: options.dry_run,
                ..Collected::default()
            },
        };
        let at_once = options.grace.is_zero() && !options.dry_run;
        if at_once {
            // Nothing is removed that was not condemned when the marking began.
            collection().run()?;
        }
        let mut removed = Tally::default();
        loop {
            if options.grace < SHORT {
                for lock in &self.locks {
                    drop(lock.write());
                }
            }
            let (mut report, more) = collection().run()?;
            report.removed.add(removed);
            if !(at_once && more) {
                return Ok(report);
            }
            removed = report.removed;
        }
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.manifests += other.manifests;
        self.links += other.links;
        self.blobs += other.blobs;
        self.bytes += other.bytes;
    }
}

impl<'a> Collection<'a> {
    /// The report, and whether there is more than can be condemned at a time.
    fn run(mut self) -> Result<(Collected, bool), CareError> {
        let registry = self.registry;
        let condemned = &registry.uses.condemned;
        if !self.options.dry_run {
            condemned.begin();
        }
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
            let kept = condemned.keep(swept.is_ok());
            swept?;
            kept?;
        }
        Ok((self.report, self.more))
    }

    /// Data that nothing names.
    fn blobs(&mut self) -> Result<(), CareError> {
        let registry = self.registry;
        for algorithm in Algorithm::ALL {
            let scratch = self.scratch;
            let taken = |set: &mut Set<'a>| std::mem::replace(set, Set::new(scratch)).sorted();
            let mut kept = taken(&mut self.kept[of(algorithm)])?;
            let mut waiting = taken(&mut self.waiting[of(algorithm)])?;
            for first in 0..=u8::MAX {
                self.watch.step("blobs", u64::from(first), Some(256))?;
                let folder = paths::blobs_from(algorithm, first);
                let removed = self.report.removed.blobs;
                registry.each_name(&folder, &mut |hex| {
                    let Ok(digest) = Digest::from_parts(algorithm, hex) else {
                        return Ok(());
                    };
                    self.report.blobs += 1;
                    let short = set::short(&digest);
                    if kept.contains(&short)? {
                        return Ok(());
                    }
                    self.blob(&digest, waiting.contains(&short)?)
                })?;
                if self.report.removed.blobs > removed && !self.options.dry_run {
                    registry.storage.settle(&folder)?;
                }
            }
        }
        Ok(())
    }

    fn blob(&mut self, digest: &Digest, waited_for: bool) -> Result<(), CareError> {
        let storage = &self.registry.storage;
        let Some(stat) = storage.stat(&paths::blob(digest))? else {
            // A folder that a crash left without data.
            return Ok(());
        };
        let item = Item::blob(digest);
        let mut verdict = self.verdict(item, || Ok(stat.modified))?;
        if verdict == Verdict::Remove && waited_for {
            verdict = Verdict::Wait;
        }
        if verdict == Verdict::Remove
            && !self.options.dry_run
            && self
                .execute(item, || {
                    storage.discard(&paths::blob_folder(digest))?;
                    Ok(())
                })?
                .is_none()
        {
            verdict = Verdict::Wait;
        }
        let tally = self.tally(verdict);
        tally.blobs += 1;
        tally.bytes += stat.size;
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
            Sentence::Since(since) => since,
            Sentence::Free => {
                if self.options.dry_run {
                    // Without a grace, a real run would come back to it at once.
                    return Ok(if self.options.grace.is_zero() {
                        Verdict::Remove
                    } else {
                        Verdict::New
                    });
                }
                self.more |= !condemned.condemn(item, self.now);
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

    /// Removes what is still condemned; none where it is not.
    fn execute<T>(
        &self,
        item: Item,
        removal: impl FnOnce() -> Result<T, super::ContentError>,
    ) -> Result<Option<T>, CareError> {
        Ok(self
            .registry
            .uses
            .condemned
            .execute(item, self.before(), removal)?)
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

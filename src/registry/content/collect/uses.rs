//! What pushes tell the collector: a line at each place where something is used or comes to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::condemned::{Condemned, Item};
use crate::registry::content::{REPOSITORY_LOCKS, Registry};
use crate::registry::digest::Digest;
use crate::registry::name::RepositoryName;
use crate::registry::storage::Storage;

/// What is condemned, and whether manifests have come since one looked.
pub struct Uses {
    pub(super) condemned: Condemned,
    /// Manifests that were pushed, by the repositories that share a lock.
    pushed: [AtomicU64; REPOSITORY_LOCKS],
}

impl Uses {
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self {
            condemned: Condemned::new(storage),
            pushed: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl Registry {
    /// Before a client is told that a blob is there: it is not collected for as long as the grace from now on.
    pub(in crate::registry::content) fn using_blob(&self, name: &RepositoryName, digest: &Digest) {
        self.uses
            .condemned
            .touch(|| [Some(Item::layer(name, digest)), None]);
    }

    /// The same of a manifest.
    pub(in crate::registry::content) fn using_manifest(&self, name: &RepositoryName, digest: &Digest) {
        self.uses
            .condemned
            .touch(|| [Some(Item::revision(name, digest)), None]);
    }

    /// Before a link to a blob is written, under the repository's lock.
    pub(in crate::registry::content) fn pushing_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        stored: &Digest,
    ) {
        self.uses
            .condemned
            .touch(|| [Some(Item::layer(name, digest)), Some(Item::blob(stored))]);
    }

    /// Before a manifest is written, under the repository's lock.
    pub(in crate::registry::content) fn pushing_manifest(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        subject: Option<&Digest>,
    ) {
        self.uses.pushed[Self::slot(name)].fetch_add(1, Ordering::Relaxed);
        self.uses
            .condemned
            .touch(|| [Some(Item::revision(name, digest)), Some(Item::blob(digest))]);
        if let Some(subject) = subject {
            self.using_manifest(name, subject);
        }
    }

    /// Changes whenever a manifest comes to this repository, and may change when it comes to another.
    pub(super) fn pushes(&self, name: &RepositoryName) -> u64 {
        self.uses.pushed[Self::slot(name)].load(Ordering::Relaxed)
    }
}

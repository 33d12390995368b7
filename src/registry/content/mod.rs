//! What a registry is made of, on top of a store: blobs, manifests, tags, uploads, referrers, the catalog.
//!
//! Synchronous (only waiting for an upload's turn is not), without HTTP, without policy: who may do what
//! is decided before one gets here. Order of writes: what is pointed to before what points to it, so
//! that a crash at any point leaves a smaller registry and never a broken one.

mod blobs;
mod catalog;
pub mod collect;
mod figures;
mod links;
mod manifests;
pub mod mirrored;
mod names;
pub mod purge;
mod recent;
mod referrers;
mod repositories;
pub mod retain;
pub mod scrub;
pub mod stats;
mod tags;
mod take;
mod uploads;
mod usage;
mod watch;

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, PoisonError, RwLock};

pub use manifests::StoredManifest;
pub use referrers::Referrer;
pub use uploads::{Upload, UploadError};
pub use watch::{CareError, Unwatched, Watch};

use super::digest::{Digest, DigestError};
use super::manifest::ManifestError;
use super::name::RepositoryName;
use super::storage::{Key, Storage, StorageError};

/// Repositories that wait for each other's deletions only by chance.
const REPOSITORY_LOCKS: usize = 64;

/// Everything that is stored, and the little that is remembered of it.
pub struct Registry {
    storage: Arc<dyn Storage>,
    uploads: uploads::Sessions,
    /// Pushes share a repository; what takes things out of it has it alone.
    locks: [RwLock<()>; REPOSITORY_LOCKS],
    uses: collect::Uses,
    // What was read before. None of it is the truth: whoever uses it looks whether it still holds.
    links: links::Links,
    manifests: manifests::Manifests,
    tags: tags::Lists,
    catalog: catalog::Index,
    referrers: referrers::Lists,
}

/// Why something could not be done with content.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    #[error("there is no such blob in this repository")]
    BlobUnknown,
    #[error("there is no such manifest in this repository")]
    ManifestUnknown,
    #[error("there is no such repository")]
    RepositoryUnknown,
    #[error(transparent)]
    ManifestInvalid(#[from] ManifestError),
    #[error("the repository lacks {}", .0.iter().map(Digest::as_str).collect::<Vec<_>>().join(", "))]
    ReferencesMissing(Vec<Digest>),
    #[error("the content's digest is {computed}, and {claimed} was promised")]
    DigestMismatch { claimed: Digest, computed: Digest },
    #[error("{key} is damaged: {source}")]
    LinkDamaged { key: Key, source: DigestError },
    #[error("the manifest {0} is damaged in the storage")]
    ManifestDamaged(Digest),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Registry {
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self {
            uses: collect::Uses::new(Arc::clone(&storage)),
            storage,
            uploads: uploads::Sessions::default(),
            locks: std::array::from_fn(|_| RwLock::new(())),
            links: links::Links::default(),
            manifests: manifests::Manifests::default(),
            tags: tags::Lists::default(),
            catalog: catalog::Index::default(),
            referrers: referrers::Lists::default(),
        }
    }

    /// Which of the locks is a repository's.
    fn slot(name: &RepositoryName) -> usize {
        let slot = BuildHasherDefault::<DefaultHasher>::new().hash_one(name);
        usize::try_from(slot % REPOSITORY_LOCKS as u64).unwrap_or(0)
    }

    fn lock(&self, name: &RepositoryName) -> &RwLock<()> {
        &self.locks[Self::slot(name)]
    }

    /// Runs with others that add to the same repository.
    fn shared<T>(&self, name: &RepositoryName, work: impl FnOnce() -> T) -> T {
        let _guard = self.lock(name).read().unwrap_or_else(PoisonError::into_inner);
        work()
    }

    /// Runs while nobody adds to the repository or takes from it.
    fn alone<T>(&self, name: &RepositoryName, work: impl FnOnce() -> T) -> T {
        let _guard = self.lock(name).write().unwrap_or_else(PoisonError::into_inner);
        work()
    }
}

#[cfg(test)]
mod tests;

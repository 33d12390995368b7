//! What a registry is made of, on top of a store: blobs, manifests, tags, uploads, referrers, the catalog.
//!
//! Synchronous (only waiting for an upload's turn is not), without HTTP, without policy: who may do what
//! is decided before one gets here. Order of writes: what is pointed to before what points to it, so
//! that a crash at any point leaves a smaller registry and never a broken one.

mod blobs;
mod catalog;
pub mod collect;
mod figures;
mod forget;
mod manifests;
pub mod mirrored;
pub mod purge;
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

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub use manifests::StoredManifest;
pub use referrers::Referrer;
pub use uploads::{Upload, UploadError};
pub use watch::{CareError, Unwatched, Watch};

use super::digest::{Digest, DigestError};
use super::manifest::ManifestError;
use super::name::RepositoryName;
use super::storage::{Key, Storage, StorageError};

/// A link is one digest; longer files are not links.
const MAX_LINK: u64 = 256;
/// Repositories that wait for each other's deletions only by chance.
const REPOSITORY_LOCKS: usize = 64;

/// Everything that is stored, and the little that is remembered of it.
pub struct Registry {
    storage: Arc<dyn Storage>,
    uploads: uploads::Sessions,
    /// Pushes share a repository; what takes things out of it has it alone.
    locks: [RwLock<()>; REPOSITORY_LOCKS],
    /// What is known of manifests' subjects. A manifest never changes, so neither does this.
    subjects: Mutex<HashMap<Digest, Option<Arc<Referrer>>>>,
    uses: collect::Uses,
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
            subjects: Mutex::default(),
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

    /// Follows a link; none where there is no link.
    fn link(&self, key: &Key) -> Result<Option<Digest>, ContentError> {
        let content = match self.storage.read(key, MAX_LINK) {
            Err(error) if error.is_not_found() => return Ok(None),
            content => content?,
        };
        let text = String::from_utf8_lossy(&content);
        match text.trim().parse() {
            Ok(digest) => Ok(Some(digest)),
            Err(source) => Err(ContentError::LinkDamaged {
                key: key.clone(),
                source,
            }),
        }
    }

    fn write_link(&self, key: &Key, digest: &Digest) -> Result<(), ContentError> {
        Ok(self.storage.write(key, digest.as_str().as_bytes())?)
    }
}

#[cfg(test)]
mod tests;

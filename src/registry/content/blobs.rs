//! Blobs of a repository: reading, taking out, mounting from another.
//!
//! A blob's data is shared by all repositories; a link says which may serve it. Taking a blob out removes
//! the link: the data is the collector's.

use std::sync::Arc;

use super::{ContentError, Registry};
use crate::registry::digest::Digest;
use crate::registry::name::RepositoryName;
use crate::registry::storage::{Content, StorageError, paths};

impl Registry {
    /// Opens a blob of a repository.
    pub fn blob(&self, name: &RepositoryName, digest: &Digest) -> Result<Arc<dyn Content>, ContentError> {
        self.using_blob(name, digest);
        // The link may name another digest of the same bytes: distribution stores under sha256 what was
        // pushed by sha512.
        let stored = self
            .link(&paths::layer_link(name, digest))?
            .ok_or(ContentError::BlobUnknown)?;
        match self.storage.open(&paths::blob(&stored)) {
            Err(StorageError::NotFound { .. }) => Err(ContentError::BlobUnknown),
            opened => Ok(opened?),
        }
    }

    /// The same for one whose link was read before: none where that is not so, or the blob is not there.
    pub fn known_blob(&self, name: &RepositoryName, digest: &Digest) -> Option<Arc<dyn Content>> {
        self.using_blob(name, digest);
        let stored = self.known_link(&paths::layer_link(name, digest))?;
        self.storage.open(&paths::blob(&stored)).ok()
    }

    /// How many bytes a blob of a repository has.
    pub fn blob_size(&self, name: &RepositoryName, digest: &Digest) -> Result<u64, ContentError> {
        self.using_blob(name, digest);
        let stored = self
            .link(&paths::layer_link(name, digest))?
            .ok_or(ContentError::BlobUnknown)?;
        match self.storage.stamp(&paths::blob(&stored)) {
            Err(StorageError::NotFound { .. }) => Err(ContentError::BlobUnknown),
            stamp => Ok(stamp?.size()),
        }
    }

    /// The same for one whose link was read before.
    pub fn known_blob_size(&self, name: &RepositoryName, digest: &Digest) -> Option<u64> {
        self.using_blob(name, digest);
        let stored = self.known_link(&paths::layer_link(name, digest))?;
        Some(self.storage.stamp(&paths::blob(&stored)).ok()?.size())
    }

    pub fn has_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<bool, ContentError> {
        self.using_blob(name, digest);
        match self.link(&paths::layer_link(name, digest))? {
            Some(stored) => Ok(self.storage.exists(&paths::blob(&stored))?),
            None => Ok(false),
        }
    }

    /// Takes a blob out of a repository.
    pub fn delete_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<(), ContentError> {
        self.alone(name, || {
            if !self.has_blob(name, digest)? {
                return Err(ContentError::BlobUnknown);
            }
            Ok(self.storage.delete(&paths::layer(name, digest))?)
        })
    }

    /// Makes a blob of `from` one of `name` too. False where `from` does not have it.
    pub fn mount(
        &self,
        name: &RepositoryName,
        from: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, ContentError> {
        self.using_blob(from, digest);
        let Some(stored) = self.link(&paths::layer_link(from, digest))? else {
            return Ok(false);
        };
        self.shared(name, || {
            self.pushing_blob(name, digest, &stored);
            if !self.storage.exists(&paths::blob(&stored))? {
                return Ok(false);
            }
            self.write_link(&paths::layer_link(name, digest), &stored)?;
            self.catalog.added(name);
            Ok(true)
        })
    }
}

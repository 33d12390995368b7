//! What content of other registries needs beside what is pushed here: kept without all that it refers to,
//! and with the times of its use.
//!
//! Nothing is stored for that. A tag's link is written again when the upstream confirms it, and the link of a
//! manifest or blob now and then while it is used: their times of change are these times.

use std::sync::Arc;
use std::time::Duration;

use super::manifests::References;
use super::{ContentError, Registry, UploadError};
use crate::registry::digest::{Algorithm, Digest};
use crate::registry::manifest::Manifest;
use crate::registry::name::{Reference, RepositoryName, Tag, UploadId};
use crate::registry::storage::{Content, Key, paths};

/// What has a link of its own in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Manifest,
    Blob,
}

impl Registry {
    /// Stores a manifest whose references may not be here, or not yet.
    pub fn put_mirrored_manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        bytes: &[u8],
    ) -> Result<(Digest, Manifest), ContentError> {
        self.store_manifest(name, reference, &[], bytes, None, References::Elsewhere)
    }

    /// What an upload holds so far.
    pub fn upload_content(
        &self,
        name: &RepositoryName,
        id: &UploadId,
    ) -> Result<Arc<dyn Content>, UploadError> {
        Ok(self.storage.open(&paths::upload_data(name, id))?)
    }

    /// When a tag was last set or confirmed, in seconds since 1970.
    pub fn tag_confirmed(&self, name: &RepositoryName, tag: &Tag) -> Result<Option<u64>, ContentError> {
        let stat = self.storage.stat(&paths::tag_current(name, tag))?;
        Ok(stat.map(|stat| stat.modified))
    }

    /// Remembers that a tag names what it did. Another that has been set meanwhile stays.
    pub fn confirm_tag(&self, name: &RepositoryName, tag: &Tag, digest: &Digest) -> Result<(), ContentError> {
        let key = paths::tag_current(name, tag);
        self.alone(name, || {
            if self.link(&key)?.as_ref() == Some(digest) {
                self.write_link(&key, digest)?;
            }
            Ok(())
        })
    }

    /// When something was last remembered to be in use, in seconds since 1970.
    pub fn last_use(
        &self,
        name: &RepositoryName,
        kind: Kind,
        digest: &Digest,
    ) -> Result<Option<u64>, ContentError> {
        let stat = self.storage.stat(&link(name, kind, digest))?;
        Ok(stat.map(|stat| stat.modified))
    }

    /// Remembers that something is in use, unless that was done less than `often` ago.
    pub fn use_mirrored(
        &self,
        name: &RepositoryName,
        kind: Kind,
        digest: &Digest,
        often: Duration,
        now: u64,
    ) -> Result<(), ContentError> {
        let used = self.last_use(name, kind, digest)?;
        if used.is_none_or(|used| used.saturating_add(often.as_secs()) > now) {
            return Ok(());
        }
        let key = link(name, kind, digest);
        self.shared(name, || match self.link(&key)? {
            Some(stored) => self.write_link(&key, &stored),
            None => Ok(()),
        })
    }

    /// Takes out of a repository what nobody has asked for since `before`; returns how much that was. Data
    /// that nothing links to any more is the collector's.
    pub fn expire(&self, name: &RepositoryName, before: u64) -> Result<u64, ContentError> {
        let mut expired = 0;
        for algorithm in Algorithm::ALL {
            for (kind, folder) in [
                (Kind::Manifest, paths::revisions(name, algorithm)),
                (Kind::Blob, paths::layers_of(name, algorithm)),
            ] {
                for hex in self.storage.list(&folder, None, usize::MAX)? {
                    let Ok(digest) = Digest::from_parts(algorithm, &hex) else {
                        continue;
                    };
                    let stat = self.storage.stat(&link(name, kind, &digest))?;
                    if stat.is_none_or(|stat| stat.modified >= before) {
                        continue;
                    }
                    let removed = match kind {
                        Kind::Manifest => self.delete_manifest(name, &Reference::Digest(digest)).map(drop),
                        Kind::Blob => self.delete_blob(name, &digest),
                    };
                    match removed {
                        Ok(()) => expired += 1,
                        // Somebody was faster, or a collector has left the link alone.
                        Err(ContentError::ManifestUnknown | ContentError::BlobUnknown) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(expired)
    }
}

fn link(name: &RepositoryName, kind: Kind, digest: &Digest) -> Key {
    match kind {
        Kind::Manifest => paths::revision_link(name, digest),
        Kind::Blob => paths::layer_link(name, digest),
    }
}

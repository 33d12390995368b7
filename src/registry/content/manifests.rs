//! Manifests of a repository: reading, pushing with tags, taking out.

use std::sync::Arc;

use bytes::Bytes;

use super::links::link_to;
use super::recent::Recent;
use super::{ContentError, Registry};
use crate::registry::digest::{Algorithm, Digest};
use crate::registry::manifest::Manifest;
use crate::registry::name::{Reference, RepositoryName, Tag};
use crate::registry::storage::{Step, StorageError, paths};

/// No manifest in an adopted data directory is larger than this, whatever the limit for pushes is.
pub(super) const MAX_STORED_MANIFEST: u64 = 64 << 20;

/// Whether all that a manifest refers to has to be here before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum References {
    Here,
    /// Another registry has them.
    Elsewhere,
}

/// A manifest as it is served.
#[derive(Debug, Clone)]
pub struct StoredManifest {
    pub digest: Digest,
    /// Exactly what was pushed.
    pub bytes: Bytes,
    pub manifest: Manifest,
}

/// For the manifests that are remembered.
const MAX_REMEMBERED: usize = 6 << 20;

/// Manifests whose bytes were read and checked before. They never change; whether a repository has them is
/// what its links say.
pub(super) struct Manifests(Recent<Digest, Arc<StoredManifest>>);

impl Default for Manifests {
    fn default() -> Self {
        Self(Recent::new(MAX_REMEMBERED))
    }
}

impl Registry {
    /// Finds a manifest by tag or digest. Its bytes are checked against the digest: a damaged one is
    /// never served.
    pub fn manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<Arc<StoredManifest>, ContentError> {
        let digest = match reference {
            Reference::Digest(digest) => digest.clone(),
            Reference::Tag(tag) => self
                .link(&paths::tag_current(name, tag))?
                .ok_or(ContentError::ManifestUnknown)?,
        };
        self.using_manifest(name, &digest);
        let stored = self
            .link(&paths::revision_link(name, &digest))?
            .ok_or(ContentError::ManifestUnknown)?;
        if let Some(manifest) = self.manifests.0.get(&digest) {
            return Ok(manifest);
        }
        let bytes = match self.storage.read(&paths::blob(&stored), MAX_STORED_MANIFEST) {
            Err(StorageError::NotFound { .. }) => return Err(ContentError::ManifestUnknown),
            bytes => bytes?,
        };
        if Digest::of(digest.algorithm(), &bytes) != digest {
            return Err(ContentError::ManifestDamaged(digest));
        }
        let manifest = Manifest::parse(&bytes)?;
        let stored = Arc::new(StoredManifest {
            digest: digest.clone(),
            bytes,
            manifest,
        });
        // What was read of it takes about as much as its bytes.
        let weight = 1000 + 2 * stored.bytes.len();
        self.manifests.0.insert(digest, Arc::clone(&stored), weight);
        Ok(stored)
    }

    /// The same, if it takes no reading: none where it would, or where there is no such manifest.
    pub fn known_manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Option<Arc<StoredManifest>> {
        let digest = match reference {
            Reference::Digest(digest) => digest.clone(),
            Reference::Tag(tag) => self.known_link(&paths::tag_current(name, tag))?,
        };
        self.using_manifest(name, &digest);
        self.known_link(&paths::revision_link(name, &digest))?;
        self.manifests.0.get(&digest)
    }

    pub fn has_manifest(&self, name: &RepositoryName, digest: &Digest) -> Result<bool, ContentError> {
        self.using_manifest(name, digest);
        match self.link(&paths::revision_link(name, digest))? {
            Some(stored) => Ok(self.storage.exists(&paths::blob(&stored))?),
            None => Ok(false),
        }
    }

    /// Stores a manifest under `reference` and any further tags, once all that it refers to is there.
    /// A missing subject is fine: it may be pushed later, or never.
    pub fn put_manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        tags: &[Tag],
        bytes: &[u8],
        content_type: Option<&str>,
    ) -> Result<(Digest, Manifest), ContentError> {
        self.store_manifest(name, reference, tags, bytes, content_type, References::Here)
    }

    pub(super) fn store_manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        tags: &[Tag],
        bytes: &[u8],
        content_type: Option<&str>,
        references: References,
    ) -> Result<(Digest, Manifest), ContentError> {
        let manifest = Manifest::parse_pushed(bytes, content_type)?;
        let algorithm = match reference {
            Reference::Digest(claimed) => claimed.algorithm(),
            Reference::Tag(_) => Algorithm::Sha256,
        };
        let digest = Digest::of(algorithm, bytes);
        let named = match reference {
            Reference::Digest(claimed) if *claimed != digest => {
                return Err(ContentError::DigestMismatch {
                    claimed: claimed.clone(),
                    computed: digest,
                });
            }
            Reference::Digest(_) => None,
            Reference::Tag(tag) => Some(tag),
        };
        self.shared(name, || {
            if references == References::Here {
                self.check_references(name, &manifest)?;
            }
            self.pushing_manifest(name, &digest, manifest.subject.as_ref());
            let mut steps = vec![
                Step::Write {
                    key: paths::blob(&digest),
                    content: Bytes::copy_from_slice(bytes),
                },
                link_to(paths::revision_link(name, &digest), &digest),
            ];
            for tag in named.into_iter().chain(tags) {
                steps.push(link_to(paths::tag_index(name, tag, &digest), &digest));
                steps.push(link_to(paths::tag_current(name, tag), &digest));
            }
            self.storage.commit(&steps)?;
            self.catalog.added(name);
            Ok((digest, manifest))
        })
    }

    fn check_references(&self, name: &RepositoryName, manifest: &Manifest) -> Result<(), ContentError> {
        let mut missing = Vec::new();
        for digest in &manifest.blobs {
            if !self.has_blob(name, digest)? {
                missing.push(digest.clone());
            }
        }
        for digest in &manifest.manifests {
            // Buildkit lists the layers of its cache in an index.
            if !self.has_manifest(name, digest)? && !self.has_blob(name, digest)? {
                missing.push(digest.clone());
            }
        }
        if missing.is_empty() {
            Ok(())
        } else {
            Err(ContentError::ReferencesMissing(missing))
        }
    }

    /// By tag: removes that tag. By digest: removes the manifest and every tag that names it.
    /// Returns the tags that went with the manifest.
    pub fn delete_manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<Vec<Tag>, ContentError> {
        self.alone(name, || match reference {
            Reference::Tag(tag) => {
                if !self.storage.exists(&paths::tag_current(name, tag))? {
                    return Err(ContentError::ManifestUnknown);
                }
                self.storage.delete(&paths::tag(name, tag))?;
                Ok(Vec::new())
            }
            Reference::Digest(digest) => {
                if !self.storage.exists(&paths::revision_link(name, digest))? {
                    return Err(ContentError::ManifestUnknown);
                }
                // The revision first: from then on its tags answer 404, whenever they go.
                self.storage.delete(&paths::revision(name, digest))?;
                let tags = self.tags_of(name, digest)?;
                for tag in &tags {
                    self.storage.delete(&paths::tag(name, tag))?;
                }
                Ok(tags)
            }
        })
    }
}

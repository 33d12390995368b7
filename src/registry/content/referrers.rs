//! Manifests that refer to another one by `subject`.
//!
//! There is no stored index: the revisions of a repository are the truth, and what each refers to is
//! remembered once read. A data directory that distribution wrote is therefore answered for as well.

use std::sync::{Arc, PoisonError};

use serde_json::{Map, Value, json};

use super::{ContentError, Registry, StoredManifest};
use crate::registry::digest::{Algorithm, Digest};
use crate::registry::manifest::MediaType;
use crate::registry::name::{Reference, RepositoryName, Tag};
use crate::registry::storage::paths;

/// Manifests whose subject is remembered, at some 300 bytes each.
const MAX_REMEMBERED: usize = 65_536;

/// One entry of a referrers listing.
#[derive(Debug, Clone)]
pub struct Referrer {
    subject: Digest,
    pub media_type: MediaType,
    pub digest: Digest,
    pub size: u64,
    pub artifact_type: Option<String>,
    pub annotations: Option<Map<String, Value>>,
}

impl Referrer {
    fn new(subject: Digest, stored: StoredManifest) -> Self {
        Self {
            subject,
            media_type: stored.manifest.media_type,
            digest: stored.digest,
            size: stored.bytes.len() as u64,
            artifact_type: stored.manifest.artifact_type,
            annotations: stored.manifest.annotations,
        }
    }

    /// The descriptor that an image index holds.
    pub fn descriptor(&self) -> Value {
        let mut descriptor = json!({
            "mediaType": self.media_type.as_str(),
            "digest": self.digest.as_str(),
            "size": self.size,
        });
        if let Some(artifact_type) = &self.artifact_type {
            descriptor["artifactType"] = json!(artifact_type);
        }
        if let Some(annotations) = &self.annotations {
            descriptor["annotations"] = json!(annotations);
        }
        descriptor
    }
}

impl Registry {
    /// All that refer to `subject`, sorted by digest.
    pub fn referrers(
        &self,
        name: &RepositoryName,
        subject: &Digest,
    ) -> Result<Vec<Arc<Referrer>>, ContentError> {
        let mut found = Vec::new();
        for algorithm in Algorithm::ALL {
            for hex in self
                .storage
                .list(&paths::revisions(name, algorithm), None, usize::MAX)?
            {
                let Ok(digest) = Digest::from_parts(algorithm, &hex) else {
                    continue;
                };
                if let Some(referrer) = self.referrer(name, digest)?
                    && referrer.subject == *subject
                {
                    found.push(referrer);
                }
            }
        }
        for digest in self.listed_by_client(name, subject)? {
            if found.iter().any(|referrer| referrer.digest == digest) {
                continue;
            }
            if let Some(stored) = self.readable(name, digest)? {
                found.push(Arc::new(Referrer::new(subject.clone(), stored)));
            }
        }
        found.sort_by(|a, b| a.digest.cmp(&b.digest));
        Ok(found)
    }

    /// Clients of registries without referrers keep an index under the tag `<algorithm>-<hex>`.
    fn listed_by_client(&self, name: &RepositoryName, subject: &Digest) -> Result<Vec<Digest>, ContentError> {
        let tag = Tag::of_referrers(subject);
        match self.manifest(name, &Reference::Tag(tag)) {
            Ok(stored) => Ok(stored.manifest.manifests),
            Err(ContentError::Storage(error)) => Err(error.into()),
            Err(_) => Ok(Vec::new()),
        }
    }

    fn referrer(&self, name: &RepositoryName, digest: Digest) -> Result<Option<Arc<Referrer>>, ContentError> {
        let known = {
            let subjects = self.subjects.lock().unwrap_or_else(PoisonError::into_inner);
            subjects.get(&digest).cloned()
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let Some(stored) = self.readable(name, digest.clone())? else {
            // Not remembered: it may be on its way in.
            return Ok(None);
        };
        let subject = stored.manifest.subject.clone();
        let referrer = subject.map(|subject| Arc::new(Referrer::new(subject, stored)));
        let mut subjects = self.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        if subjects.len() >= MAX_REMEMBERED {
            subjects.clear();
        }
        subjects.insert(digest, referrer.clone());
        Ok(referrer)
    }

    /// A manifest, or nothing where it is gone or damaged: whoever asks for itself is told why.
    fn readable(
        &self,
        name: &RepositoryName,
        digest: Digest,
    ) -> Result<Option<StoredManifest>, ContentError> {
        match self.manifest(name, &Reference::Digest(digest)) {
            Ok(stored) => Ok(Some(stored)),
            Err(ContentError::Storage(error)) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }
}

//! Manifests that refer to another one by `subject`.
//!
//! There is no stored index: the revisions of a repository are the truth, and what each refers to is
//! remembered once read. A data directory that distribution wrote is therefore answered for as well.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::recent::Recent;
use super::{ContentError, Registry, StoredManifest};
use crate::registry::digest::{Algorithm, Digest};
use crate::registry::manifest::MediaType;
use crate::registry::name::{Reference, RepositoryName, Tag};
use crate::registry::storage::{Stamp, paths};

/// For what is remembered of repositories: 16 bytes for each manifest, some 400 for each that refers to one.
const MAX_REMEMBERED: usize = 4 << 20;

/// What is known of repositories' manifests.
pub(super) struct Lists(Recent<RepositoryName, Arc<List>>);

impl Default for Lists {
    fn default() -> Self {
        Self(Recent::new(MAX_REMEMBERED))
    }
}

#[cfg(test)]
impl Lists {
    pub fn is_known(&self, name: &RepositoryName) -> bool {
        self.0.get(name).is_some()
    }
}

/// What the manifests of a repository refer to, when the folders of its revisions had these stamps.
#[derive(Default)]
struct List {
    stamps: [Option<Stamp>; Algorithm::ALL.len()],
    /// Manifests that refer to none, by the first half of a SHA-256: sorted.
    plain: Vec<u128>,
    referring: HashMap<Digest, Vec<Arc<Referrer>>>,
    /// Listed, and not to be read: on their way in, deleted by distribution, or damaged. When that changes, the
    /// folder of revisions does not.
    unread: Vec<Digest>,
}

impl List {
    fn weight(&self) -> usize {
        let referring: usize = self.referring.values().map(Vec::len).sum();
        500 + 16 * self.plain.len() + 400 * referring + 150 * self.unread.len()
    }
}

/// Half of a SHA-256 tells any two manifests apart.
fn short(digest: &Digest) -> u128 {
    u128::from_str_radix(&digest.hex()[..32], 16).unwrap_or_default()
}

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
    fn new(subject: Digest, stored: &StoredManifest) -> Self {
        Self {
            subject,
            media_type: stored.manifest.media_type,
            digest: stored.digest.clone(),
            size: stored.bytes.len() as u64,
            artifact_type: stored.manifest.artifact_type.clone(),
            annotations: stored.manifest.annotations.clone(),
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
        let list = self.referrer_list(name)?;
        for referrer in list.referring.get(subject).into_iter().flatten() {
            // Distribution deletes a revision's link and leaves its folder.
            if self
                .link(&paths::revision_link(name, &referrer.digest))?
                .is_some()
            {
                found.push(Arc::clone(referrer));
            }
        }
        for digest in self.listed_by_client(name, subject)? {
            if found.iter().any(|referrer| referrer.digest == digest) {
                continue;
            }
            if let Some(stored) = self.readable(name, digest)? {
                found.push(Arc::new(Referrer::new(subject.clone(), &stored)));
            }
        }
        found.sort_by(|a, b| a.digest.cmp(&b.digest));
        Ok(found)
    }

    /// Clients of registries without referrers keep an index under the tag `<algorithm>-<hex>`.
    fn listed_by_client(&self, name: &RepositoryName, subject: &Digest) -> Result<Vec<Digest>, ContentError> {
        let tag = Tag::of_referrers(subject);
        match self.manifest(name, &Reference::Tag(tag)) {
            Ok(stored) => Ok(stored.manifest.manifests.clone()),
            Err(ContentError::Storage(error)) => Err(error.into()),
            Err(_) => Ok(Vec::new()),
        }
    }

    /// What the manifests of a repository refer to; what was known before is not read again.
    fn referrer_list(&self, name: &RepositoryName) -> Result<Arc<List>, ContentError> {
        let mut stamps = [None; Algorithm::ALL.len()];
        for (stamp, algorithm) in stamps.iter_mut().zip(Algorithm::ALL) {
            *stamp = match self.storage.stamp(&paths::revisions(name, algorithm)) {
                Err(error) if error.is_not_found() => None,
                found => Some(found?),
            };
        }
        let before = self.referrers.0.get(name).unwrap_or_default();
        if before.stamps == stamps && !self.any_is_readable(name, &before.unread)? {
            return Ok(before);
        }
        let settled = stamps.iter().flatten().all(Stamp::has_settled);
        let mut list = List {
            // Without stamps what was read is not read again, but the folders are looked through.
            stamps: if settled {
                stamps
            } else {
                [None; Algorithm::ALL.len()]
            },
            ..List::default()
        };
        let known = before.referring.values().flatten();
        let known: HashMap<_, _> = known.map(|referrer| (&referrer.digest, referrer)).collect();
        for algorithm in Algorithm::ALL {
            for hex in self
                .storage
                .list(&paths::revisions(name, algorithm), None, usize::MAX)?
            {
                let Ok(digest) = Digest::from_parts(algorithm, &hex) else {
                    continue;
                };
                let short = short(&digest);
                let referrer = if before.plain.binary_search(&short).is_ok() {
                    None
                } else if let Some(referrer) = known.get(&digest) {
                    Some(Arc::clone(referrer))
                } else {
                    let Some(stored) = self.readable(name, digest.clone())? else {
                        list.unread.push(digest);
                        continue;
                    };
                    let subject = stored.manifest.subject.clone();
                    subject.map(|subject| Arc::new(Referrer::new(subject, &stored)))
                };
                match referrer {
                    None => list.plain.push(short),
                    Some(referrer) => list
                        .referring
                        .entry(referrer.subject.clone())
                        .or_default()
                        .push(referrer),
                }
            }
        }
        list.plain.sort_unstable();
        list.plain.shrink_to_fit();
        let list = Arc::new(list);
        let weight = list.weight();
        self.referrers.0.insert(name.clone(), Arc::clone(&list), weight);
        Ok(list)
    }

    fn any_is_readable(&self, name: &RepositoryName, digests: &[Digest]) -> Result<bool, ContentError> {
        for digest in digests {
            if self.readable(name, digest.clone())?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A manifest, or nothing where it is gone or damaged: whoever asks for itself is told why.
    fn readable(
        &self,
        name: &RepositoryName,
        digest: Digest,
    ) -> Result<Option<Arc<StoredManifest>>, ContentError> {
        match self.manifest(name, &Reference::Digest(digest)) {
            Ok(stored) => Ok(Some(stored)),
            Err(ContentError::Storage(error)) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }
}

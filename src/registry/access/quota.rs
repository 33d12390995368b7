//! How much a repository may hold: bytes of distinct blobs and manifests, and tags.
//!
//! What a repository holds is counted when something is first pushed to it, and from then on kept up: what is
//! pushed is added, and after a deletion or a push that failed it is counted again when next needed, together with what
//! is on its way in. So a push costs the same however much there is, and what is stored stays the only truth. Counts that were not used lately are
//! forgotten. Only repositories that a quota speaks of are counted at all.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::generations::Generations;
use super::limits::shown_size;
use super::pattern::Pattern;
use crate::registry::content::{ContentError, Registry};
use crate::registry::name::RepositoryName;

/// Repositories whose counts are kept, at 16 bytes for each of their blobs and tags.
const MAX_COUNTED: usize = 256;
/// After so long a repository is counted again: another process may write to the same folder.
const COUNTED_AGAIN: Duration = Duration::from_mins(10);

/// One quota, as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quota {
    pub repositories: Vec<Pattern>,
    pub bytes: Option<u64>,
    pub tags: Option<u64>,
}

/// The quota of a repository, and its place in the list: the first that speaks of it.
pub fn of<'a>(quotas: &'a [Quota], name: &RepositoryName) -> Option<(usize, &'a Quota)> {
    let speaks = |quota: &Quota| {
        quota
            .repositories
            .iter()
            .any(|pattern| pattern.matches(name.as_str(), None))
    };
    quotas.iter().enumerate().find(|(_, quota)| speaks(quota))
}

/// A push that a repository has no room for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Exceeded {
    #[error("the repository {name} holds {} of {}, the limit of access.quotas.{quota}, and this push adds {}", shown(*used), shown(*limit), shown(*added))]
    Bytes {
        name: RepositoryName,
        quota: usize,
        used: u64,
        limit: u64,
        added: u64,
    },
    #[error(
        "the repository {name} has {used} of {limit} tags, the limit of access.quotas.{quota}, and this push adds {added}"
    )]
    Tags {
        name: RepositoryName,
        quota: usize,
        used: u64,
        limit: u64,
        added: u64,
    },
}

/// Why something is not admitted.
#[derive(Debug, thiserror::Error)]
pub enum QuotaError {
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    #[error(transparent)]
    Content(#[from] ContentError),
}

fn shown(bytes: u64) -> String {
    const ROUND: u64 = 1 << 10;
    if bytes >= ROUND << 30 {
        shown_size(bytes / (1 << 30) * (1 << 30))
    } else if bytes >= ROUND << 20 {
        shown_size(bytes / (1 << 20) * (1 << 20))
    } else if bytes >= ROUND << 10 {
        shown_size(bytes / (1 << 10) * (1 << 10))
    } else {
        format!("{bytes} {}", if bytes == 1 { "byte" } else { "bytes" })
    }
}

#[derive(Default)]
struct Count {
    /// None: to be counted.
    since: Option<Instant>,
    bytes: u64,
    /// Of digests and tags, by hash: 64 bits tell some millions apart.
    blobs: HashSet<u64>,
    tags: HashSet<u64>,
    /// What is on its way in: by how many pushes, and the size of a blob.
    coming_blobs: HashMap<u64, (u32, u64)>,
    coming_tags: HashMap<u64, u32>,
}

/// Room for a push that is on its way in. Unless it is kept, the repository is counted again.
#[must_use]
#[derive(Default)]
pub struct Room(Option<Taken>);

struct Taken {
    count: Arc<Mutex<Count>>,
    blob: Option<u64>,
    tags: Vec<u64>,
    kept: bool,
}

impl Room {
    /// The push has come in.
    pub fn keep(mut self) {
        if let Some(taken) = &mut self.0 {
            taken.kept = true;
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(blob) = self.blob
            && let Some((pushes, _)) = count.coming_blobs.get_mut(&blob)
        {
            *pushes -= 1;
            if *pushes == 0 {
                count.coming_blobs.remove(&blob);
            }
        }
        for tag in &self.tags {
            if let Some(pushes) = count.coming_tags.get_mut(tag) {
                *pushes -= 1;
                if *pushes == 0 {
                    count.coming_tags.remove(tag);
                }
            }
        }
        if !self.kept {
            count.since = None;
        }
    }
}

impl Count {
    /// Takes another count over; what is on its way in counts beside it.
    fn replace(&mut self, counted: Self) {
        (self.since, self.bytes) = (counted.since, counted.bytes);
        (self.blobs, self.tags) = (counted.blobs, counted.tags);
        for (blob, (_, size)) in &self.coming_blobs {
            if self.blobs.insert(*blob) {
                self.bytes += size;
            }
        }
        self.tags.extend(self.coming_tags.keys());
    }
}

pub struct Quotas {
    counts: Mutex<Generations<RepositoryName, Arc<Mutex<Count>>>>,
    hasher: RandomState,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            counts: Mutex::new(Generations::new(MAX_COUNTED)),
            hasher: RandomState::new(),
        }
    }
}

/// What a push adds.
#[derive(Debug, Clone, Default)]
pub struct Added<'a> {
    /// Digest and size of a blob or manifest.
    pub content: Option<(&'a str, u64)>,
    /// Bytes that come and whose digest is not known yet.
    pub announced: u64,
    pub tags: Vec<&'a str>,
    /// Whether there would be room; nothing is counted.
    pub only_asked: bool,
}

impl Quotas {
    /// Counts what a push adds, if there is room for it. Reads the storage where the repository was not counted lately.
    pub fn admit(
        &self,
        registry: &Registry,
        quotas: &[Quota],
        name: &RepositoryName,
        added: &Added<'_>,
    ) -> Result<Room, QuotaError> {
        let Some((index, quota)) = of(quotas, name) else {
            return Ok(Room::default());
        };
        let shared = self.count(name);
        // Pushes to one repository are admitted one after the other, so that together they stay below the limit.
        let mut count = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if count.since.is_none_or(|since| since.elapsed() > COUNTED_AGAIN) {
            let counted = self.counted(registry, name)?;
            count.replace(counted);
        }
        let content = added
            .content
            .map(|(digest, size)| (self.hasher.hash_one(digest), size));
        let new = content.filter(|(blob, _)| !count.blobs.contains(blob));
        let bytes = new.map_or(0, |(_, size)| size) + added.announced;
        let tags: HashSet<u64> = added.tags.iter().map(|tag| self.hasher.hash_one(tag)).collect();
        if let Some(limit) = quota.bytes
            && bytes > 0
            && count.bytes.saturating_add(bytes) > limit
        {
            return Err(QuotaError::Exceeded(Exceeded::Bytes {
                name: name.clone(),
                quota: index,
                used: count.bytes,
                limit,
                added: bytes,
            }));
        }
        let (used, more) = (
            count.tags.len() as u64,
            tags.difference(&count.tags).count() as u64,
        );
        if let Some(limit) = quota.tags
            && more > 0
            && used + more > limit
        {
            return Err(QuotaError::Exceeded(Exceeded::Tags {
                name: name.clone(),
                quota: index,
                used,
                limit,
                added: more,
            }));
        }
        if added.only_asked {
            return Ok(Room::default());
        }
        if let Some((blob, size)) = new {
            count.blobs.insert(blob);
            count.bytes += size;
        }
        if let Some((blob, size)) = content {
            count.coming_blobs.entry(blob).or_insert((0, size)).0 += 1;
        }
        for tag in &tags {
            *count.coming_tags.entry(*tag).or_default() += 1;
        }
        count.tags.extend(&tags);
        drop(count);
        Ok(Room(Some(Taken {
            count: shared,
            blob: content.map(|(blob, _)| blob),
            tags: tags.into_iter().collect(),
            kept: false,
        })))
    }

    /// Something was taken out: count again when next asked.
    pub fn forget(&self, name: &RepositoryName) {
        let known = self.counts().get(name).cloned();
        if let Some(count) = known {
            count.lock().unwrap_or_else(PoisonError::into_inner).since = None;
        }
    }

    /// Something was taken out or put in behind the requests' backs: count everything again when next asked.
    pub fn forget_all(&self) {
        let known: Vec<_> = self.counts().values().cloned().collect();
        for count in known {
            count.lock().unwrap_or_else(PoisonError::into_inner).since = None;
        }
    }

    fn counts(&self) -> MutexGuard<'_, Generations<RepositoryName, Arc<Mutex<Count>>>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, name: &RepositoryName) -> Arc<Mutex<Count>> {
        Arc::clone(self.counts().get_or_insert(name, Arc::default))
    }

    fn counted(&self, registry: &Registry, name: &RepositoryName) -> Result<Count, ContentError> {
        let mut count = Count {
            since: Some(Instant::now()),
            ..Count::default()
        };
        registry.each_content(name, |digest, size| {
            if count.blobs.insert(self.hasher.hash_one(digest.as_str())) {
                count.bytes += size;
            }
        })?;
        match registry.tags(name, None, usize::MAX) {
            Ok(tags) => count
                .tags
                .extend(tags.iter().map(|tag| self.hasher.hash_one(tag.as_str()))),
            Err(ContentError::RepositoryUnknown) => {}
            Err(error) => return Err(error),
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::digest::{Algorithm, Digest};
    use crate::registry::storage::Filesystem;

    fn registry() -> (tempfile::TempDir, Arc<Registry>) {
        let folder = tempfile::tempdir().unwrap();
        let storage = Filesystem::new(folder.path()).unwrap();
        (folder, Arc::new(Registry::new(Arc::new(storage))))
    }

    async fn push(registry: &Arc<Registry>, name: &RepositoryName, content: &[u8]) -> String {
        let id = registry.start_upload(name).unwrap();
        let mut upload = registry.upload_turn(name, &id).await.unwrap();
        upload.append(&[bytes::Bytes::copy_from_slice(content)]).unwrap();
        let digest = Digest::of(Algorithm::Sha256, content);
        registry.finish_upload(upload, &digest).unwrap();
        digest.to_string()
    }

    fn quota(pattern: &str, bytes: Option<u64>, tags: Option<u64>) -> Quota {
        Quota {
            repositories: vec![pattern.parse().unwrap()],
            bytes,
            tags,
        }
    }

    #[tokio::test]
    async fn what_is_there_counts_and_what_comes_is_added() {
        let (_folder, registry) = registry();
        let name: RepositoryName = "a".parse().unwrap();
        let there = push(&registry, &name, &[1; 60]).await;
        let quotas = Quotas::default();
        let limits = [quota("b", Some(0), None), quota("*", Some(100), None)];
        let admit = |digest: &str, size: u64, announced: u64| {
            let added = Added {
                content: Some((digest, size)),
                announced,
                ..Added::default()
            };
            quotas
                .admit(&registry, &limits, &name, &added)
                .map_err(|error| error.to_string())
        };
        // Once more the same costs nothing.
        admit(&there, 60, 0).unwrap().keep();
        assert_eq!(
            admit("x", 41, 0).err().unwrap(),
            "the repository a holds 60 bytes of 100 bytes, the limit of access.quotas.1, and this push adds 41 bytes"
        );
        let coming = admit("y", 30, 0).unwrap();
        // The same by another, who fails: what the first brings still counts.
        drop(admit("y", 30, 0).unwrap());
        assert!(admit("x", 11, 0).is_err() && admit(&there, 60, 11).is_err());
        admit("x", 10, 0).unwrap().keep();
        // What is said to have come in and is not there is found out when next counted.
        coming.keep();
        assert!(admit("z", 1, 0).is_err());
        quotas.forget(&name);
        admit("z", 40, 0).unwrap().keep();
        // Other repositories have their own, or none.
        let other: RepositoryName = "c/d".parse().unwrap();
        let added = Added {
            content: Some(("x", 1 << 40)),
            ..Added::default()
        };
        assert!(quotas.admit(&registry, &limits, &other, &added).is_ok());
    }

    #[tokio::test]
    async fn tags_are_counted_once() {
        let (_folder, registry) = registry();
        let name: RepositoryName = "a".parse().unwrap();
        let quotas = Quotas::default();
        let limits = [quota("**", None, Some(2))];
        let admit = |tags: &[&str]| {
            let added = Added {
                tags: tags.to_vec(),
                ..Added::default()
            };
            let room = quotas.admit(&registry, &limits, &name, &added);
            room.map(Room::keep).map_err(|error| error.to_string())
        };
        assert_eq!(admit(&["v1"]), Ok(()));
        assert_eq!(admit(&["v1", "v2", "v2"]), Ok(()));
        assert_eq!(
            admit(&["v2", "v3"]).unwrap_err(),
            "the repository a has 2 of 2 tags, the limit of access.quotas.0, and this push adds 1"
        );
        assert_eq!(admit(&[]), Ok(()));
    }

    #[test]
    fn sizes_are_shown_rounded() {
        for (bytes, expected) in [
            (5, "5 bytes"),
            (1 << 20, "1MiB"),
            ((5 << 30) + 7, "5GiB"),
            ((5 << 30) + (1 << 20), "5121MiB"),
            (3 << 41, "6TiB"),
        ] {
            assert_eq!(shown(bytes), expected, "{bytes}");
        }
    }
}

//! Manifests of an upstream. By digest: from here, without asking. By tag: what it named when the upstream was
//! last asked, which is asked again after `fresh` by a HEAD that counts against nobody's limit, and believed for
//! `maxstale` when it fails, limits or does not answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};

use super::error::{Shared, UpstreamError};
use super::limits::Kind as Counting;
use super::{Mirrored, locked, now};
use crate::registry::content::mirrored::Kind;
use crate::registry::content::{ContentError, Registry, StoredManifest};
use crate::registry::digest::{Algorithm, Digest};
use crate::registry::manifest::{Manifest, MediaType};
use crate::registry::metrics::Lookup;
use crate::registry::name::{Reference, RepositoryName, Tag};

/// What a fetched manifest may have: the largest that clients take are 4 MiB.
const MAX_MANIFEST: usize = 8 << 20;
/// How long "there is no such manifest" is believed: a client asks for the same several times in a row.
const ABSENT: Duration = Duration::from_secs(10);
/// Names that are known to be absent, at some 200 bytes each.
const MAX_ABSENT: usize = 4096;
/// How long a client that could be given something kept waits for the upstream's word.
const PATIENCE: Duration = Duration::from_secs(5);
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Repository and reference.
pub type Key = (RepositoryName, String);

/// A manifest, and what is to be said of it.
#[derive(Debug, Clone)]
pub struct Served {
    pub stored: Arc<StoredManifest>,
    /// What of the upstream was needed for it.
    pub lookup: Lookup,
    /// Why the upstream did not confirm it, and since when.
    pub warning: Option<String>,
}

/// What is kept here.
struct Held {
    stored: Arc<StoredManifest>,
    age: Duration,
}

impl Mirrored {
    /// A manifest from here or from the upstream.
    pub async fn manifest(&self, reference: Reference) -> Result<Served, Shared> {
        let held = match self.known_manifest(&reference) {
            None => self.held(&reference).await?,
            known => known,
        };
        if let Some(held) = held
            && self.is_fresh(&reference, &held)
        {
            self.mirrors.counts.hits.add(1);
            return Ok(held.into());
        }
        let key = (self.name.clone(), reference.to_string());
        let (mirrored, absent) = (self.clone(), key.clone());
        let asked = self.mirrors.asked.run(
            key,
            || async move { mirrored.confirmed(&reference, absent).await },
        );
        let panicked = || Shared::new(UpstreamError::Internal("asking the upstream panicked".to_owned()));
        asked.await.ok_or_else(panicked)?
    }

    fn is_fresh(&self, reference: &Reference, held: &Held) -> bool {
        match reference {
            Reference::Digest(_) => true,
            Reference::Tag(_) => held.age < self.upstream.config.fresh,
        }
    }

    /// What is here and takes no reading to be found.
    fn known_manifest(&self, reference: &Reference) -> Option<Held> {
        let registry = &self.mirrors.registry;
        let stored = registry.known_manifest(&self.name, reference)?;
        let age = age(registry, &self.name, reference);
        self.is_marked(Kind::Manifest, &stored.digest)
            .then_some(Held { stored, age })
    }

    async fn held(&self, reference: &Reference) -> Result<Option<Held>, UpstreamError> {
        let (reference, marks) = (reference.clone(), self.marks());
        self.content(move |registry, name| {
            let stored = match registry.manifest(name, &reference) {
                Ok(stored) => stored,
                Err(error) => {
                    // What is damaged here is whole there.
                    if !matches!(error, ContentError::ManifestUnknown) {
                        tracing::warn!(repository = %name, %reference, "a kept manifest is fetched anew: {error}");
                    }
                    return None;
                }
            };
            let age = age(registry, name, &reference);
            marks.set(registry, name, Kind::Manifest, &stored.digest);
            Some(Held { stored, age })
        })
        .await
    }

    /// Asks the upstream, once for all who wait.
    async fn confirmed(&self, reference: &Reference, key: Key) -> Result<Served, Shared> {
        // What has come since this was decided.
        let held = self.held(reference).await?;
        if let Some(held) = held.as_ref().filter(|held| self.is_fresh(reference, held)) {
            self.mirrors.counts.hits.add(1);
            return Ok(Served {
                stored: Arc::clone(&held.stored),
                lookup: Lookup::Hit,
                warning: None,
            });
        }
        if self.is_absent(&key) {
            return Err(self.unknown().into());
        }
        let fresh = match (reference, &held) {
            (Reference::Tag(tag), Some(held)) => {
                let asked = async {
                    if self.upstream.limits.is_silent() {
                        return Err(self.slow());
                    }
                    if self.is_same(tag, &held.stored.digest).await? {
                        return Ok((Arc::clone(&held.stored), Lookup::Revalidated));
                    }
                    self.fetch(reference).await
                };
                if let Ok(fresh) = tokio::time::timeout(PATIENCE, asked).await {
                    fresh
                } else {
                    self.upstream.limits.did_not_answer();
                    Err(self.slow())
                }
            }
            _ => self.fetch(reference).await,
        };
        match (fresh, held) {
            (Ok((stored, lookup)), _) => Ok(Served {
                stored,
                lookup,
                warning: None,
            }),
            (Err(error @ UpstreamError::Unknown { .. }), held) => {
                self.remember_absent(key);
                if let (Reference::Tag(tag), Some(_), true) = (reference, held, self.keeps.anything) {
                    self.forget(tag).await?;
                }
                Err(error.into())
            }
            (Err(error), Some(held)) if held.age <= self.upstream.config.max_stale => {
                self.mirrors.counts.stale.add(1);
                let (name, age) = (&self.name, shown_age(held.age));
                tracing::warn!(repository = %name, %reference, "served as it was {age} ago: {error}");
                let warning = format!("as {} had it {age} ago: {error}", self.upstream.shown);
                Ok(Served {
                    stored: held.stored,
                    lookup: Lookup::Stale,
                    warning: Some(warning),
                })
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Whether a tag still names what it did.
    async fn is_same(&self, tag: &Tag, digest: &Digest) -> Result<bool, UpstreamError> {
        let mut headers = accept();
        let quoted = HeaderValue::from_str(&format!("\"{digest}\""));
        headers.extend(quoted.ok().map(|quoted| (header::IF_NONE_MATCH, quoted)));
        let rest = format!("manifests/{tag}");
        let answer = self.ask(Method::HEAD, &rest, headers, Counting::Free).await?;
        let same = answer.status() == StatusCode::NOT_MODIFIED
            || answer
                .headers()
                .get(CONTENT_DIGEST)
                .is_some_and(|there| there == digest.as_str());
        if same {
            self.mirrors.counts.confirmed.add(1);
        }
        if same && self.keeps.anything {
            let (tag, digest) = (tag.clone(), digest.clone());
            let written = self
                .content(move |registry, name| registry.confirm_tag(name, &tag, &digest))
                .await?;
            if let Err(error) = written {
                tracing::warn!(repository = %self.name, "a confirmed tag cannot be marked so: {error}");
            }
        }
        Ok(same)
    }

    /// Fetches, checks and keeps a manifest. One that cannot be kept is served all the same.
    async fn fetch(&self, reference: &Reference) -> Result<(Arc<StoredManifest>, Lookup), UpstreamError> {
        let rest = format!("manifests/{reference}");
        let answer = self.ask(Method::GET, &rest, accept(), Counting::Counted).await?;
        self.mirrors.counts.misses.add(1);
        let announced = answer
            .headers()
            .get(CONTENT_DIGEST)
            .and_then(|value| value.to_str().ok());
        let announced: Option<Digest> = announced.and_then(|text| text.parse().ok());
        let body = answer.into_body().whole(MAX_MANIFEST).await;
        let bytes = body.map_err(|source| UpstreamError::unreachable(&self.upstream.shown, source))?;
        self.mirrors.counts.bytes.add(bytes.len() as u64);
        let expected = match reference {
            Reference::Digest(digest) => Some(digest.clone()),
            Reference::Tag(_) => announced,
        };
        self.check(expected.as_ref(), &bytes)?;
        let manifest = Manifest::parse(&bytes)
            .map_err(|error| UpstreamError::wrong(&self.upstream.shown, error.to_string()))?;
        let digest = match reference {
            Reference::Digest(digest) => digest.clone(),
            Reference::Tag(_) => Digest::of(Algorithm::Sha256, &bytes),
        };
        if self.keeps.anything {
            let (kept, content) = (reference.clone(), bytes.clone());
            let stored =
                self.content(move |registry, name| registry.put_mirrored_manifest(name, &kept, &content));
            if let Err(error) = stored.await? {
                tracing::warn!(repository = %self.name, %reference, "a manifest is not kept: {error}");
            }
        }
        let stored = StoredManifest {
            digest,
            bytes,
            manifest,
        };
        Ok((Arc::new(stored), Lookup::Miss))
    }

    fn check(&self, expected: Option<&Digest>, bytes: &Bytes) -> Result<(), UpstreamError> {
        let Some(expected) = expected else { return Ok(()) };
        let computed = Digest::of(expected.algorithm(), bytes);
        if computed == *expected {
            return Ok(());
        }
        let reason = format!("a manifest has the digest {computed}, not {expected}");
        Err(UpstreamError::wrong(&self.upstream.shown, reason))
    }

    /// The upstream has the tag no more, so neither has this registry.
    async fn forget(&self, tag: &Tag) -> Result<(), UpstreamError> {
        let gone = tag.clone();
        let forgotten =
            self.content(move |registry, name| registry.delete_manifest(name, &Reference::Tag(gone)));
        match forgotten.await? {
            Ok(_) | Err(ContentError::ManifestUnknown) => {}
            Err(error) => {
                tracing::warn!(repository = %self.name, %tag, "a tag that is gone cannot be removed: {error}");
            }
        }
        Ok(())
    }

    fn is_absent(&self, key: &Key) -> bool {
        let absent = locked(&self.mirrors.absent);
        absent.get(key).is_some_and(|until| *until > Instant::now())
    }

    fn remember_absent(&self, key: Key) {
        let mut absent = locked(&self.mirrors.absent);
        if absent.len() >= MAX_ABSENT {
            absent.clear();
        }
        absent.insert(key, Instant::now() + ABSENT);
    }

    fn unknown(&self) -> UpstreamError {
        UpstreamError::Unknown {
            upstream: self.upstream.shown.clone(),
        }
    }

    fn slow(&self) -> UpstreamError {
        UpstreamError::Slow {
            upstream: self.upstream.shown.clone(),
        }
    }
}

impl From<Held> for Served {
    fn from(held: Held) -> Self {
        Self {
            stored: held.stored,
            lookup: Lookup::Hit,
            warning: None,
        }
    }
}

/// How long ago the upstream has said what this names; a digest needs no word.
fn age(registry: &Registry, name: &RepositoryName, reference: &Reference) -> Duration {
    let confirmed = match reference {
        Reference::Digest(_) => return Duration::ZERO,
        Reference::Tag(tag) => registry.tag_confirmed(name, tag).unwrap_or_default(),
    };
    Duration::from_secs(now().saturating_sub(confirmed.unwrap_or(0)))
}

/// Every type that this registry can serve, on one line: some registries read no more.
fn accept() -> HeaderMap {
    let types = MediaType::ALL.map(MediaType::as_str).join(", ");
    let value = HeaderValue::from_str(&types).ok();
    HeaderMap::from_iter(value.map(|value| (header::ACCEPT, value)))
}

/// A duration in its largest unit.
fn shown_age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

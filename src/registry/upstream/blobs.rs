//! Blobs of an upstream: from here, or fetched by one request however many clients wait (`flights`).
//!
//! A fetch is an upload of our own: it grows in the store, is hashed on its way, and becomes a blob only if its
//! digest is the one that was asked for. Clients read what has grown (`following`), ranges among them: one is
//! served once the fetch has come that far. The last byte is held back until the digest is known to be right, so
//! that nobody ever has a whole that is wrong. A connection that breaks is gone on with by `Range`.

use std::sync::Arc;

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Response, StatusCode};
use tokio::sync::watch;

use super::Mirrored;
use super::error::{Shared, UpstreamError};
use super::flights::Progress;
use super::following::{Following, Passing};
use super::limits::Kind as Counting;
use crate::registry::content::mirrored::Kind;
use crate::registry::content::{ContentError, UploadError};
use crate::registry::digest::Digest;
use crate::registry::metrics::Lookup;
use crate::registry::outbound::Arriving;
use crate::registry::storage::Content;

/// Where a blob is to be had.
pub enum Found {
    /// Here.
    Stored(Arc<dyn Content>),
    /// Here since just now: its fetch ended before its size was known.
    Fetched(Arc<dyn Content>),
    /// It is being fetched.
    Growing {
        total: u64,
        progress: watch::Receiver<Progress>,
    },
    /// The storage does not take it: from the upstream to the client, and nowhere else.
    Passing { total: u64 },
    /// Only its size was asked for.
    There { total: u64, lookup: Lookup },
}

impl Found {
    pub fn size(&self) -> u64 {
        match self {
            Self::Stored(content) | Self::Fetched(content) => content.size(),
            Self::Growing { total, .. } | Self::Passing { total } | Self::There { total, .. } => *total,
        }
    }

    /// Whether the upstream was asked.
    pub fn lookup(&self) -> Lookup {
        match self {
            Self::Stored(_) => Lookup::Hit,
            Self::Fetched(_) | Self::Growing { .. } | Self::Passing { .. } => Lookup::Miss,
            Self::There { lookup, .. } => *lookup,
        }
    }
}

impl Mirrored {
    /// A blob that a client wants to read.
    pub async fn blob(&self, digest: &Digest) -> Result<Found, Shared> {
        let content = match self.known_blob(digest) {
            None => self.kept(digest).await?,
            known => known,
        };
        if let Some(content) = content {
            self.mirrors.counts.hits.add(1);
            return Ok(Found::Stored(content));
        }
        if !self.keeps.anything {
            return self.passing(digest).await;
        }
        let mut progress = self.join(digest);
        let seen = {
            let decided = progress.wait_for(|progress| progress.end.is_some() || progress.total.is_some());
            match decided.await {
                Ok(progress) => progress.clone(),
                Err(_) => return Err(UpstreamError::Internal("a fetch panicked".to_owned()).into()),
            }
        };
        match (seen.end, seen.total) {
            (None, Some(total)) => Ok(Found::Growing { total, progress }),
            (Some(Err(error)), _) if error.is_of_storage() => self.passing(digest).await,
            (Some(Err(error)), _) => Err(error),
            _ => match self.kept(digest).await? {
                Some(content) => Ok(Found::Fetched(content)),
                // A collector without a grace was faster.
                None => self.passing(digest).await,
            },
        }
    }

    async fn passing(&self, digest: &Digest) -> Result<Found, Shared> {
        let total = self.size(digest).await?;
        self.mirrors.counts.passed.add(1);
        Ok(Found::Passing { total })
    }

    /// Whether there is such a blob, and its size.
    pub async fn blob_there(&self, digest: &Digest) -> Result<Found, Shared> {
        let here = match self.known_size(digest) {
            None => self.kept(digest).await?.map(|content| content.size()),
            known => known,
        };
        if let Some(total) = here {
            self.mirrors.counts.hits.add(1);
            let lookup = Lookup::Hit;
            return Ok(Found::There { total, lookup });
        }
        let total = match self.size_of_growing(digest) {
            Some(total) => total,
            None => self.size(digest).await?,
        };
        let lookup = Lookup::Miss;
        Ok(Found::There { total, lookup })
    }

    async fn size(&self, digest: &Digest) -> Result<u64, UpstreamError> {
        let rest = format!("blobs/{digest}");
        let answer = self
            .ask(Method::HEAD, &rest, HeaderMap::new(), Counting::Free)
            .await?;
        let length = answer
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        length.ok_or_else(|| self.wrong("no size of a blob"))
    }

    /// What is here and takes no reading to be found.
    fn known_blob(&self, digest: &Digest) -> Option<Arc<dyn Content>> {
        let content = self.mirrors.registry.known_blob(&self.name, digest)?;
        self.is_marked(Kind::Blob, digest).then_some(content)
    }

    fn known_size(&self, digest: &Digest) -> Option<u64> {
        let size = self.mirrors.registry.known_blob_size(&self.name, digest)?;
        self.is_marked(Kind::Blob, digest).then_some(size)
    }

    pub(super) async fn kept(&self, digest: &Digest) -> Result<Option<Arc<dyn Content>>, UpstreamError> {
        let (digest, marks) = (digest.clone(), self.marks());
        self.content(move |registry, name| {
            let content = match registry.blob(name, &digest) {
                Ok(content) => content,
                Err(error) => {
                    if !matches!(error, ContentError::BlobUnknown) {
                        tracing::warn!(repository = %name, %digest, "a kept blob is fetched anew: {error}");
                    }
                    return None;
                }
            };
            marks.set(registry, name, Kind::Blob, &digest);
            Some(content)
        })
        .await
    }

    pub(super) fn not_stored(&self, error: impl Into<UploadError>) -> UpstreamError {
        let error = UpstreamError::storage(&self.upstream.shown, error);
        tracing::warn!(repository = %self.name, "a blob is not kept: {error}");
        error
    }

    pub(super) fn wrong(&self, reason: impl Into<String>) -> UpstreamError {
        UpstreamError::wrong(&self.upstream.shown, reason)
    }

    /// Asks for a blob from an offset on. The answer's body may begin earlier: how much is returned, too.
    pub(super) async fn blob_from(
        &self,
        digest: &Digest,
        offset: u64,
        etag: Option<&HeaderValue>,
    ) -> Result<(Response<Arriving>, u64), UpstreamError> {
        let mut headers = HeaderMap::new();
        if offset > 0 {
            headers.extend(
                HeaderValue::from_str(&format!("bytes={offset}-"))
                    .ok()
                    .map(|range| (header::RANGE, range)),
            );
            headers.extend(etag.cloned().map(|etag| (header::IF_RANGE, etag)));
        }
        let rest = format!("blobs/{digest}");
        let answer = self.ask(Method::GET, &rest, headers, Counting::Free).await?;
        match answer.status() {
            StatusCode::OK => Ok((answer, 0)),
            StatusCode::PARTIAL_CONTENT => {
                let begins = content_range(answer.headers()).map(|(start, _)| start);
                if begins == Some(offset) {
                    Ok((answer, offset))
                } else {
                    Err(self.wrong("another range than was asked for"))
                }
            }
            status => Err(UpstreamError::Failed {
                upstream: self.upstream.shown.clone(),
                status,
            }),
        }
    }

    /// The body of an answer to a client: bytes `start..end` of what was found.
    pub fn following(
        &self,
        digest: &Digest,
        found: Found,
        start: u64,
        end: u64,
    ) -> Option<super::following::Pieces> {
        match found {
            Found::Stored(_) | Found::Fetched(_) | Found::There { .. } => None,
            Found::Growing { total, progress } => {
                let following = Following::new(self.clone(), digest.clone(), progress, (start, end), total);
                Some(following.pieces())
            }
            Found::Passing { total } => {
                let whole = start == 0 && end == total;
                Some(Passing::new(self.clone(), digest.clone(), start, end, whole).pieces())
            }
        }
    }
}

/// `bytes 5-9/10`: where the part begins, and how long the whole is.
pub(super) fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.parse().ok()?, total.parse().ok()))
}

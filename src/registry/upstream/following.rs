//! What a client reads of a blob that is not whole yet: piece by piece as it grows, or straight from the upstream
//! where the storage does not take it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use tokio::sync::watch;

use super::Mirrored;
use super::error::{Shared, UpstreamError};
use super::flights::Progress;
use crate::registry::digest::{Digest, Hasher};
use crate::registry::outbound::Arriving;
use crate::registry::storage::Content;

/// Read at once, for each client that waits.
const READ: u64 = 64 << 10;

/// The pieces of an answer. An error breaks the connection, so that nobody takes a part for the whole.
pub type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// A reader behind a fetch.
pub struct Following {
    mirrored: Mirrored,
    digest: Digest,
    progress: watch::Receiver<Progress>,
    offset: u64,
    end: u64,
    /// It reads all of the blob.
    whole: bool,
    /// What had grown when it was opened.
    content: Option<Arc<dyn Content>>,
    /// Once the storage has taken no more.
    passing: Option<Box<Passing>>,
}

impl Following {
    /// Bytes `start..end` of `total`.
    pub fn new(
        mirrored: Mirrored,
        digest: Digest,
        progress: watch::Receiver<Progress>,
        (start, end): (u64, u64),
        total: u64,
    ) -> Self {
        Self {
            mirrored,
            digest,
            progress,
            offset: start,
            end,
            whole: start == 0 && end == total,
            content: None,
            passing: None,
        }
    }

    pub fn pieces(self) -> Pieces {
        Box::pin(unfold(self, |mut following| async move {
            let piece = following.next().await;
            if let Err(error) = &piece {
                broken_off(&following.digest, error);
                following.end = following.offset;
            }
            Some((piece.transpose()?.map_err(io::Error::other), following))
        }))
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Shared> {
        loop {
            if self.offset >= self.end {
                return Ok(None);
            }
            if let Some(passing) = &mut self.passing {
                return passing.next().await;
            }
            let offset = self.offset;
            let seen = {
                let grown = self
                    .progress
                    .wait_for(|progress| progress.end.is_some() || progress.readable() > offset);
                let grown = grown.await.map_err(|_| internal("a fetch panicked"))?;
                grown.clone()
            };
            if let Some(Err(error)) = &seen.end {
                if !error.is_of_storage() {
                    return Err(Shared::clone(error));
                }
                self.pass_on();
                continue;
            }
            if let Some(piece) = self.read(&seen).await? {
                self.offset += piece.len() as u64;
                return Ok(Some(piece));
            }
        }
    }

    /// What is not here is not to be had from here: the rest comes straight from the upstream.
    fn pass_on(&mut self) {
        let (mirrored, digest) = (self.mirrored.clone(), self.digest.clone());
        let passing = Passing::new(mirrored, digest, self.offset, self.end, self.whole);
        self.mirrored.mirrors.counts.passed.add(1);
        self.passing = Some(Box::new(passing));
    }

    /// Some of what has grown; none where it has to be looked for anew, since it has become a blob just now.
    async fn read(&mut self, seen: &Progress) -> Result<Option<Bytes>, Shared> {
        let whole = matches!(seen.end, Some(Ok(())));
        let stale = |content: &Arc<dyn Content>| content.size() <= self.offset;
        if self.content.as_ref().is_none_or(stale) {
            let (digest, upload) = (self.digest.clone(), seen.upload.clone());
            let opened = self.mirrored.content(move |registry, name| match upload {
                Some(id) if !whole => registry.upload_content(name, &id).ok(),
                _ => registry.blob(name, &digest).ok(),
            });
            self.content = opened.await?;
        }
        let Some(content) = self.content.clone() else {
            if whole {
                // A collector without a grace was faster.
                self.pass_on();
                return Ok(None);
            }
            // Its upload has just been published, and the word of it is on its way.
            let changed = self.progress.changed().await;
            return changed.map(|()| None).map_err(|_| internal("a fetch panicked"));
        };
        let until = self.end.min(seen.readable()).min(content.size());
        let (offset, length) = (self.offset, until.saturating_sub(self.offset).min(READ));
        if length == 0 {
            return Err(self
                .mirrored
                .wrong("a blob that is shorter than announced")
                .into());
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let read = tokio::task::spawn_blocking(move || content.read_at(offset, length)).await;
        let piece = read.map_err(|error| internal(&error.to_string()))?;
        piece.map(Some).map_err(|error| internal(&error.to_string()))
    }
}

fn internal(reason: &str) -> Shared {
    UpstreamError::Internal(reason.to_owned()).into()
}

/// A blob on its way from the upstream to one client, kept nowhere. A whole one is hashed, and its last piece held
/// back until the digest is known to be right; one whose beginning came otherwise is fetched anew for that.
pub struct Passing {
    mirrored: Mirrored,
    digest: Digest,
    /// The next byte that comes, and the next that the client wants.
    position: u64,
    offset: u64,
    end: u64,
    body: Option<Arriving>,
    hasher: Option<Hasher>,
}

impl Passing {
    /// Bytes `offset..end`; `whole` says that with what the client has they are all of the blob.
    pub fn new(mirrored: Mirrored, digest: Digest, offset: u64, end: u64, whole: bool) -> Self {
        let hasher = whole.then(|| Hasher::new(digest.algorithm()));
        Self {
            mirrored,
            digest,
            position: if whole { 0 } else { offset },
            offset,
            end,
            body: None,
            hasher,
        }
    }

    pub fn pieces(self) -> Pieces {
        Box::pin(unfold(self, |mut passing| async move {
            let piece = passing.next().await;
            if let Err(error) = &piece {
                broken_off(&passing.digest, error);
                passing.end = passing.offset;
            }
            Some((piece.transpose()?.map_err(io::Error::other), passing))
        }))
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Shared> {
        if self.offset >= self.end {
            return Ok(None);
        }
        if self.body.is_none() {
            let (answer, begins) = self.mirrored.blob_from(&self.digest, self.position, None).await?;
            self.position = begins;
            self.body = Some(answer.into_body());
        }
        loop {
            let Some(body) = &mut self.body else {
                return Ok(None);
            };
            let shown = &self.mirrored.upstream.shown;
            let piece = body.next().await;
            let piece = piece.map_err(|source| UpstreamError::unreachable(shown, source))?;
            let Some(mut piece) = piece else {
                return Err(self
                    .mirrored
                    .wrong("a blob that is shorter than announced")
                    .into());
            };
            self.mirrored.mirrors.counts.bytes.add(piece.len() as u64);
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&piece);
            }
            let known = within(self.offset.saturating_sub(self.position), piece.len());
            self.position += piece.len() as u64;
            piece = piece.split_off(known);
            piece.truncate(within(self.end - self.offset, piece.len()));
            if piece.is_empty() {
                continue;
            }
            self.offset += piece.len() as u64;
            if self.offset >= self.end
                && let Some(hasher) = self.hasher.take()
            {
                let computed = hasher.finish();
                if computed != self.digest {
                    let reason = format!("a blob has the digest {computed}, not {}", self.digest);
                    return Err(self.mirrored.wrong(reason).into());
                }
            }
            return Ok(Some(piece));
        }
    }
}

/// As many of `bytes` as there are in a piece of this length.
pub fn within(bytes: u64, length: usize) -> usize {
    usize::try_from(bytes).map_or(length, |bytes| bytes.min(length))
}

fn broken_off(digest: &Digest, error: &Shared) {
    tracing::warn!(%digest, "a client's download is broken off: {error}");
}

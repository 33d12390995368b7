//! Fetches of blobs: one for each that is wanted, however many wait, over as many connections as it takes.
//!
//! Who waits sees by its [`Progress`] how far it is, and reads what has grown in the store. It ends for all at once. One
//! that nobody waits for any more is given up, unless it is nearly there.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use hyper::Response;
use hyper::header::{self, HeaderValue};
use tokio::sync::{AcquireError, Semaphore, watch};
use tokio::task::JoinHandle;

use super::blobs::content_range;
use super::error::{Shared, UpstreamError};
use super::following::within;
use super::{Mirrored, locked};
use crate::registry::content::{Registry, Upload, UploadError};
use crate::registry::digest::Digest;
use crate::registry::name::{RepositoryName, UploadId};
use crate::registry::outbound::Arriving;

/// Written at once, while as much arrives: what a fetch costs in memory, twice.
const BATCH: usize = 128 << 10;
/// Fetches at once; more wait for these.
const MAX_FLIGHTS: usize = 32;
/// Of these, from one upstream: one that does not answer leaves room to the others.
pub const MAX_OF_ONE: usize = 16;
/// Attempts without a single byte before a fetch is given up.
const ATTEMPTS: u32 = 4;
/// Before the first of them; each next one waits twice as long.
const PAUSE: Duration = Duration::from_millis(200);
/// What is still missing of a blob that nobody waits for any more, and is fetched all the same.
const FINISHED_ALONE: u64 = 64 << 20;

type Key = (RepositoryName, Digest);

/// Fetches that are under way.
pub struct Flights {
    running: Mutex<HashMap<Key, watch::Sender<Progress>>>,
    room: Semaphore,
}

impl Default for Flights {
    fn default() -> Self {
        Self {
            running: Mutex::default(),
            room: Semaphore::new(MAX_FLIGHTS),
        }
    }
}

/// How far a fetch is.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// The blob's size, once the upstream has said it.
    pub total: Option<u64>,
    /// Where it grows, and how far.
    pub upload: Option<UploadId>,
    pub available: u64,
    pub end: Option<Result<(), Shared>>,
}

impl Progress {
    /// Bytes from the beginning that may be handed out.
    pub fn readable(&self) -> u64 {
        match (&self.end, self.total) {
            (Some(Ok(())), _) => u64::MAX,
            (_, Some(total)) => self.available.min(total.saturating_sub(1)),
            _ => 0,
        }
    }
}

impl Mirrored {
    /// How large a blob is that is being fetched, as far as that is known.
    pub(super) fn size_of_growing(&self, digest: &Digest) -> Option<u64> {
        let key = (self.name.clone(), digest.clone());
        locked(&self.mirrors.flights.running).get(&key)?.borrow().total
    }

    /// Joins the fetch of a blob, or starts it.
    pub(super) fn join(&self, digest: &Digest) -> watch::Receiver<Progress> {
        let key = (self.name.clone(), digest.clone());
        let mut running = locked(&self.mirrors.flights.running);
        if let Some(progress) = running.get(&key) {
            return progress.subscribe();
        }
        let (progress, receiver) = watch::channel(Progress::default());
        running.insert(key.clone(), progress.clone());
        let (mirrored, digest) = (self.clone(), digest.clone());
        tokio::spawn(async move {
            // Taken off the list whatever happens, so that the next client asks anew.
            let landing = Landing {
                mirrored,
                key,
                progress,
            };
            let end = landing.mirrored.fly(&landing, &digest).await;
            landing.ended(end);
        });
        receiver
    }

    async fn fly(&self, landing: &Landing, digest: &Digest) -> Result<(), UpstreamError> {
        let closed = |error: AcquireError| UpstreamError::Internal(error.to_string());
        let _of_one = self.upstream.flights.acquire().await.map_err(closed)?;
        let _room = self.mirrors.flights.room.acquire().await.map_err(closed)?;
        if landing.leave_if_alone() {
            return Err(UpstreamError::Abandoned);
        }
        // What has come since this was decided.
        if self.kept(digest).await?.is_some() {
            return Ok(());
        }
        self.mirrors.counts.misses.add(1);
        // First the place to put it: without one the upstream need not be asked.
        self.room().await?;
        let id = self.content(Registry::start_upload).await?;
        let id = id.map_err(|error| self.not_stored(error))?;
        let turn = self.mirrors.registry.upload_turn(&self.name, &id).await;
        let mut upload = turn.map_err(|error| self.not_stored(error))?;
        upload.expect(digest.algorithm());
        let mut fetch = Fetch {
            mirrored: self,
            landing,
            digest,
            id: id.clone(),
            etag: None,
            received: 0,
        };
        let fetched = fetch.all(upload).await;
        let finished = match fetched {
            Ok(upload) => {
                let claimed = digest.clone();
                self.content(move |registry, _| registry.finish_upload(upload, &claimed))
                    .await?
            }
            Err(error) => {
                self.discard(id).await;
                return Err(error);
            }
        };
        if let Err(error) = finished {
            self.discard(id).await;
            return Err(self.not_stored(error));
        }
        Ok(())
    }

    /// Whether the storage may be filled further.
    async fn room(&self) -> Result<(), UpstreamError> {
        let space = self.content(|registry, _| registry.space()).await?;
        let space = space.map_err(|error| self.not_stored(error))?;
        match space {
            Some(space) if space.free < self.keeps.min_free.of(space.total) => Err(UpstreamError::Full),
            _ => Ok(()),
        }
    }

    /// Removes what was fetched of a blob that will not be.
    async fn discard(&self, id: UploadId) {
        let Ok(upload) = self.mirrors.registry.upload_turn(&self.name, &id).await else {
            // A wrong digest has removed it already.
            return;
        };
        if let Ok(Err(error)) = self
            .content(move |registry, _| registry.cancel_upload(upload))
            .await
        {
            tracing::warn!(repository = %self.name, upload = %id, "removing a broken fetch failed: {error}");
        }
    }
}

/// Ends a fetch for all who wait, also when it panics.
struct Landing {
    mirrored: Mirrored,
    key: Key,
    progress: watch::Sender<Progress>,
}

impl Landing {
    fn ended(&self, end: Result<(), UpstreamError>) {
        self.leave();
        self.progress
            .send_modify(|progress| progress.end = Some(end.map_err(Shared::new)));
    }

    fn leave(&self) {
        let mut running = locked(&self.mirrored.mirrors.flights.running);
        // Another one may have begun meanwhile.
        if running
            .get(&self.key)
            .is_some_and(|there| there.same_channel(&self.progress))
        {
            running.remove(&self.key);
        }
    }

    /// Leaves the list if nobody waits; after this nobody can join.
    fn leave_if_alone(&self) -> bool {
        let mut running = locked(&self.mirrored.mirrors.flights.running);
        let alone = self.progress.receiver_count() == 0;
        if alone {
            running.remove(&self.key);
        }
        alone
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if self.progress.borrow().end.is_none() {
            self.ended(Err(UpstreamError::Internal("a fetch panicked".to_owned())));
        }
    }
}

/// One fetch, over as many connections as it takes.
struct Fetch<'a> {
    mirrored: &'a Mirrored,
    landing: &'a Landing,
    digest: &'a Digest,
    id: UploadId,
    etag: Option<HeaderValue>,
    /// Bytes that have come.
    received: u64,
}

/// What the fetch is written by: one batch at a time.
enum Writer {
    Idle(Upload),
    Busy(JoinHandle<Result<Upload, UploadError>>),
}

impl Fetch<'_> {
    async fn all(&mut self, upload: Upload) -> Result<Upload, UpstreamError> {
        let mut writer = Some(Writer::Idle(upload));
        let mut failures = 0;
        loop {
            let before = self.received;
            match self.some(&mut writer).await {
                Ok(upload) => return Ok(upload),
                Err(error) => {
                    failures = if self.received > before { 1 } else { failures + 1 };
                    if failures >= ATTEMPTS || !may_be_repeated(&error) {
                        return Err(error);
                    }
                    tracing::info!(digest = %self.digest, at = self.received, "a fetch is gone on with: {error}");
                    tokio::time::sleep(PAUSE * 2_u32.pow(failures - 1)).await;
                }
            }
        }
    }

    /// As much as one connection brings; the upload is handed back when that is all.
    async fn some(&mut self, writer: &mut Option<Writer>) -> Result<Upload, UpstreamError> {
        let mirrored = self.mirrored;
        let (answer, begins) = mirrored
            .blob_from(self.digest, self.received, self.etag.as_ref())
            .await?;
        self.begin(&answer, begins)?;
        let mut skip = self.received - begins;
        let mut body = answer.into_body();
        let (mut batch, mut batched) = (Vec::new(), 0);
        let (mut ended, mut watched) = (None, true);
        loop {
            if batched > 0
                && matches!(writer, Some(Writer::Idle(_)))
                && let Some(Writer::Idle(upload)) = writer.take()
            {
                *writer = Some(Writer::Busy(append(upload, std::mem::take(&mut batch))));
                batched = 0;
            }
            let busy = match writer.as_mut() {
                Some(Writer::Busy(task)) => Some(task),
                _ => None,
            };
            if busy.is_none()
                && let Some(end) = ended.take()
            {
                end?;
                return match writer.take() {
                    Some(Writer::Idle(upload)) => Ok(upload),
                    _ => Err(UpstreamError::Internal("the upload is lost".to_owned())),
                };
            }
            tokio::select! {
                piece = body.next(), if ended.is_none() && batched < BATCH => match piece {
                    Ok(Some(mut piece)) => {
                        mirrored.mirrors.counts.bytes.add(piece.len() as u64);
                        let known = within(skip, piece.len());
                        skip -= known as u64;
                        piece = piece.split_off(known);
                        self.received += piece.len() as u64;
                        batched += piece.len();
                        batch.push(piece);
                    }
                    Ok(None) => ended = Some(self.is_whole()),
                    Err(source) => {
                        ended = Some(Err(UpstreamError::unreachable(&mirrored.upstream.shown, source)));
                    }
                },
                written = done(busy) => {
                    let upload = written.map_err(|error| mirrored.not_stored(error))?;
                    let available = upload.size();
                    self.landing.progress.send_modify(|progress| progress.available = available);
                    *writer = Some(Writer::Idle(upload));
                }
                () = self.landing.progress.closed(), if watched => {
                    if self.is_cheap() {
                        watched = false;
                    } else if self.landing.leave_if_alone() {
                        return Err(UpstreamError::Abandoned);
                    }
                }
            }
        }
    }

    /// Takes in the head of an answer.
    fn begin(&mut self, answer: &Response<Arriving>, begins: u64) -> Result<(), UpstreamError> {
        let headers = answer.headers();
        let length = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let total = content_range(headers)
            .and_then(|(_, total)| total)
            .or(length.map(|length| begins + length));
        let known = self.landing.progress.borrow().total;
        if known.is_some() && total.is_some() && known != total {
            return Err(self
                .mirrored
                .wrong(format!("a blob of another size, {total:?} after {known:?}")));
        }
        // A weak one says nothing about bytes.
        let strong = |etag: &&HeaderValue| !etag.as_bytes().starts_with(b"W/");
        self.etag = headers.get(header::ETAG).filter(strong).cloned();
        self.landing.progress.send_modify(|progress| {
            progress.total = total.or(known);
            progress.upload = Some(self.id.clone());
        });
        Ok(())
    }

    fn is_whole(&self) -> Result<(), UpstreamError> {
        match self.landing.progress.borrow().total {
            Some(total) if total != self.received => {
                let reason = format!("a blob of {} bytes, and {total} were announced", self.received);
                Err(self.mirrored.wrong(reason))
            }
            _ => Ok(()),
        }
    }

    fn is_cheap(&self) -> bool {
        let total = self.landing.progress.borrow().total;
        total.is_some_and(|total| total.saturating_sub(self.received) <= FINISHED_ALONE)
    }
}

/// Whether another connection may bring more.
fn may_be_repeated(error: &UpstreamError) -> bool {
    match error {
        UpstreamError::Unreachable { .. } | UpstreamError::Slow { .. } => true,
        UpstreamError::Failed { status, .. } => status.is_server_error(),
        _ => false,
    }
}

fn append(mut upload: Upload, pieces: Vec<Bytes>) -> JoinHandle<Result<Upload, UploadError>> {
    tokio::task::spawn_blocking(move || {
        upload.append(&pieces)?;
        Ok(upload)
    })
}

/// The batch that is being written; never, where none is.
async fn done(busy: Option<&mut JoinHandle<Result<Upload, UploadError>>>) -> Result<Upload, UploadError> {
    match busy {
        Some(task) => match task.await {
            Ok(written) => written,
            Err(error) => std::panic::resume_unwind(Box::new(error.to_string())),
        },
        None => std::future::pending().await,
    }
}

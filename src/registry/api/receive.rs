//! Bodies of requests: whole and small, or streamed into an upload with bounded memory.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};

use super::Asked;
use crate::registry::content::{Upload, UploadError};
use crate::registry::error::{ApiError, Problem};
use crate::registry::metrics::metrics;

/// Written at once. One such batch is hashed and written while the next one arrives: two of them are what
/// an upload costs in memory.
const BATCH: usize = 512 << 10;

/// What of an unwanted body is read, and for how long: a client that sends on regardless is cut off.
const DISCARD_LIMIT: usize = 8 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// A request's body, which counts what has come of it.
pub struct Counted {
    body: Incoming,
    received: u64,
}

impl Counted {
    pub fn new(body: Incoming) -> Self {
        Self { body, received: 0 }
    }

    /// Bytes that have come so far.
    pub fn received(&self) -> u64 {
        self.received
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(piece) = frame.data_ref()
        {
            self.received += piece.len() as u64;
            metrics().received(piece.len());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The whole of a body that is at most `limit` bytes.
pub async fn whole(
    request: &mut Request<Counted>,
    limit: usize,
    patience: Duration,
) -> Result<Bytes, ApiError> {
    let too_large = || Problem::ManifestTooLarge.detail(format!("the limit is {limit} bytes"));
    // What is announced is refused before it is read.
    if request.body().size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let mut collected = BytesMut::new();
    let mut pieces = Pieces::of(request.body_mut(), patience);
    while let Some(piece) = pieces.next().await? {
        if collected.len() + piece.len() > limit {
            return Err(too_large());
        }
        collected.extend_from_slice(&piece);
    }
    Ok(collected.freeze())
}

/// Streams a body into an upload and hands the upload back.
///
/// What arrived before a client broke off stays in the upload. A body longer than `limit` is refused at
/// the byte where it becomes so.
pub async fn into_upload(
    body: &mut Counted,
    upload: Upload,
    limit: Option<u64>,
    patience: Duration,
) -> Result<Upload, ApiError> {
    let mut writer = Writer::Idle(upload);
    let mut pieces = Pieces::of(body, patience);
    let mut batch = Vec::new();
    let (mut batched, mut received) = (0, 0_u64);
    let ended = loop {
        let piece = match pieces.next().await {
            Ok(Some(piece)) => piece,
            ended => break ended,
        };
        received += piece.len() as u64;
        if limit.is_some_and(|limit| received > limit) {
            return Err(Problem::SizeInvalid.detail("the body is longer than its Content-Range"));
        }
        batched += piece.len();
        batch.push(piece);
        if batched >= BATCH {
            writer = Writer::Busy(append(writer.idle().await?, std::mem::take(&mut batch)));
            batched = 0;
        }
    };
    let mut upload = writer.idle().await?;
    if !batch.is_empty() {
        upload = Writer::Busy(append(upload, batch)).idle().await?;
    }
    ended?;
    Ok(upload)
}

impl Asked<'_> {
    /// Reads what is left of a body that nobody wants, within reason.
    ///
    /// A connection that is closed over unread data is reset, and the client never sees why it was refused.
    pub async fn discard_body(&mut self) {
        // Who asks first has sent nothing, and reading would ask for it.
        if self.header(header::EXPECT).is_some() {
            return;
        }
        let patience = self.config.http.idle_timeout.min(DISCARD_TIME);
        let mut pieces = Pieces::of(self.request.body_mut(), patience);
        let reading = async {
            let mut left = DISCARD_LIMIT;
            while let Ok(Some(piece)) = pieces.next().await {
                left = left.saturating_sub(piece.len());
                if left == 0 {
                    break;
                }
            }
        };
        // Late or not, the answer goes out.
        let _ = tokio::time::timeout(DISCARD_TIME, reading).await;
    }
}

/// An upload between two batches, or in the hands of the thread that writes one.
enum Writer {
    Idle(Upload),
    Busy(JoinHandle<Result<Upload, UploadError>>),
}

impl Writer {
    async fn idle(self) -> Result<Upload, ApiError> {
        match self {
            Self::Idle(upload) => Ok(upload),
            Self::Busy(task) => task
                .await
                .map_err(|error| {
                    tracing::error!(%error, "writing an upload panicked");
                    ApiError::from(Problem::Internal)
                })?
                .map_err(Into::into),
        }
    }
}

/// The upload goes with the work: should the client vanish, its turn ends only when this has.
fn append(mut upload: Upload, pieces: Vec<Bytes>) -> JoinHandle<Result<Upload, UploadError>> {
    tokio::task::spawn_blocking(move || {
        upload.append(&pieces)?;
        Ok(upload)
    })
}

/// A body as it comes, for as long as something does.
struct Pieces<'a> {
    body: &'a mut Counted,
    patience: Duration,
    /// Since when the next piece is waited for.
    since: Instant,
    /// Set anew when it rings and not for each piece: that would cost two system calls every time.
    timer: Pin<Box<Sleep>>,
}

impl<'a> Pieces<'a> {
    fn of(body: &'a mut Counted, patience: Duration) -> Self {
        Self {
            body,
            patience,
            since: Instant::now(),
            timer: Box::pin(tokio::time::sleep(patience)),
        }
    }

    /// The next piece, or none at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        self.since = Instant::now();
        loop {
            let frame = tokio::select! {
                biased;
                frame = self.body.frame() => frame,
                () = self.timer.as_mut() => {
                    let end = self.since + self.patience;
                    if Instant::now() >= end {
                        return Err(Problem::TooSlow.into());
                    }
                    self.timer.as_mut().reset(end);
                    continue;
                }
            };
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    // Trailers mean nothing here.
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
                Some(Err(error)) => {
                    return Err(Problem::UploadInvalid.detail(format!("the body broke off: {error}")));
                }
            }
        }
    }
}

//! Bodies of answers: nothing, bytes, or a part of a blob that goes out as the client takes it.
//!
//! A blob's bytes are read, or handed to the connection to be sent out of their file. Either way what is in
//! memory is taken at once, and only for what is not does a blocking thread wait. What is not whole yet goes out as
//! it comes from another registry.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use hyper::body::{Frame, SizeHint};
use tokio::task::JoinHandle;

use super::handover::{Handover, MAX_PART};
use crate::registry::storage::Content;
use crate::registry::upstream::Pieces;

/// Read at once: what a download costs in memory, and small enough to stay in a processor's cache until it is
/// encrypted.
const READ_BUFFER: usize = 64 << 10;
/// What all downloads together are to hold: when there are many, each reads less at once.
const READ_BUDGET: usize = 8 << 20;
const SMALLEST_READ: usize = 4 << 10;
/// Made ready at once where it is not in memory.
const READ_AHEAD: usize = 1 << 20;

/// The body of an answer.
pub enum Body {
    Bytes(Bytes),
    Blob(BlobPart),
    /// So many bytes that HEAD does not ask for: [`super::respond::finish`] leaves nothing of it.
    Omitted(u64),
    Growing(Growing),
}

impl Body {
    pub fn empty() -> Self {
        Self::Bytes(Bytes::new())
    }

    /// Bytes `start..end` of a blob.
    pub fn blob(content: Arc<dyn Content>, start: u64, end: u64) -> Self {
        Self::Blob(BlobPart {
            content,
            offset: start,
            end,
            handover: None,
            buffer: Bytes::new(),
            preparing: None,
            reading: None,
        })
    }

    /// Lets a connection that can send files do so.
    pub fn hand_over(&mut self, handover: &Handover) {
        if let Self::Blob(part) = self
            && part.content.file().is_some()
        {
            part.handover = Some(handover.clone());
        }
    }

    /// `length` bytes of what is not whole yet, or kept nowhere.
    pub fn growing(pieces: Pieces, length: u64) -> Self {
        Self::Growing(Growing {
            pieces,
            remaining: length,
        })
    }

    /// Bytes that are still to come.
    pub fn remaining(&self) -> u64 {
        match self {
            Self::Growing(growing) => growing.remaining,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Blob(part) => part.end - part.offset,
            Self::Omitted(length) => *length,
        }
    }
}

/// What comes from elsewhere while it goes out.
pub struct Growing {
    pieces: Pieces,
    remaining: u64,
}

impl Growing {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.remaining == 0 {
            return Poll::Ready(None);
        }
        let piece = ready!(self.pieces.as_mut().poll_next(context));
        if let Some(Ok(piece)) = &piece {
            self.remaining = self.remaining.saturating_sub(piece.len() as u64);
        }
        Poll::Ready(piece)
    }
}

/// A part of a blob on its way out.
pub struct BlobPart {
    content: Arc<dyn Content>,
    offset: u64,
    end: u64,
    handover: Option<Handover>,
    /// What was read last: once it has gone out its memory is read into again.
    buffer: Bytes,
    preparing: Option<JoinHandle<io::Result<Bytes>>>,
    /// From the first read on.
    reading: Option<Reading>,
}

/// Downloads that are read, rather than sent out of their files.
static READING: AtomicUsize = AtomicUsize::new(0);

/// One of them, for as long as it lasts.
struct Reading;

impl Reading {
    fn begin() -> Self {
        READING.fetch_add(1, Ordering::Relaxed);
        Self
    }

    /// How much each may read at once. A client that takes nothing holds what was read for it.
    fn share() -> usize {
        let downloads = READING.load(Ordering::Relaxed).max(1);
        (READ_BUDGET / downloads).clamp(SMALLEST_READ, READ_BUFFER)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        READING.fetch_sub(1, Ordering::Relaxed);
    }
}

impl BlobPart {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.offset >= self.end {
            return Poll::Ready(None);
        }
        let piece = match ready!(self.poll_next(context)) {
            Ok(piece) => {
                self.offset += piece.len() as u64;
                Ok(piece)
            }
            // The length was promised: the connection has to break, so that nobody takes half for all.
            Err(error) => {
                tracing::error!(%error, "reading a blob failed");
                self.offset = self.end;
                Err(error)
            }
        };
        Poll::Ready(Some(piece))
    }

    fn left(&self, limit: usize) -> usize {
        usize::try_from(self.end - self.offset).map_or(limit, |left| left.min(limit))
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if let Some(preparing) = &mut self.preparing {
            let prepared = ready!(Pin::new(preparing).poll(context));
            self.preparing = None;
            let read = match prepared {
                Ok(read) => read?,
                Err(error) => return Poll::Ready(Err(io::Error::other(error))),
            };
            return Poll::Ready(Ok(match &self.handover {
                Some(handover) => handover.queue(&self.content, self.offset, self.left(MAX_PART)),
                None => read,
            }));
        }
        let ready = match &self.handover {
            Some(handover) => {
                let length = self.left(MAX_PART);
                // The kernel reads ahead in order: where the last byte is, the others are.
                let last = self.offset + length as u64 - 1;
                let is_there = |offset| {
                    self.content
                        .try_read_at(offset, &mut [0])
                        .map(|read| read.is_some())
                };
                (is_there(self.offset)? && is_there(last)?)
                    .then(|| handover.queue(&self.content, self.offset, length))
            }
            None => self.try_read()?,
        };
        if let Some(ready) = ready {
            return Poll::Ready(Ok(ready));
        }
        let (content, offset) = (Arc::clone(&self.content), self.offset);
        let (ahead, read) = match self.handover {
            Some(_) => (self.left(MAX_PART), 0),
            None => (self.left(READ_AHEAD), self.left(Reading::share())),
        };
        self.preparing = Some(tokio::task::spawn_blocking(move || {
            content.prepare(offset, ahead)?;
            if read == 0 {
                return Ok(Bytes::new());
            }
            content.read_at(offset, read)
        }));
        self.poll_next(context)
    }

    /// Reads what is in memory, over what was read before if that has gone out.
    fn try_read(&mut self) -> io::Result<Option<Bytes>> {
        self.reading.get_or_insert_with(Reading::begin);
        let length = self.left(Reading::share());
        let mut buffer = match std::mem::take(&mut self.buffer).try_into_mut() {
            Ok(buffer) if buffer.len() >= length => buffer,
            _ => BytesMut::zeroed(length),
        };
        let Some(read) = self.content.try_read_at(self.offset, &mut buffer[..length])? else {
            return Ok(None);
        };
        self.buffer = buffer.freeze();
        Ok(Some(self.buffer.slice(..read)))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Omitted(_) => Poll::Ready(None),
            Self::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Growing(growing) => growing
                .poll_piece(context)
                .map(|piece| piece.map(|piece| piece.map(Frame::data))),
            Self::Blob(part) => part
                .poll_piece(context)
                .map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.remaining() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining())
    }
}

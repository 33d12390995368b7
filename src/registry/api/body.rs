//! Bodies of answers: nothing, bytes, or a part of a blob that is read as the client takes it, or as it comes from
//! another registry.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::task::JoinHandle;

use crate::registry::storage::Content;
use crate::registry::upstream::Pieces;

/// Read at once: a thread hop costs some 10 µs, which this many bytes make small. It is also, twice, what
/// a download costs in memory.
const READ_BUFFER: u64 = 256 << 10;

/// The body of an answer.
pub enum Body {
    Bytes(Bytes),
    Blob(BlobPart),
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
            reading: None,
        })
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
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl BlobPart {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.offset >= self.end {
            return Poll::Ready(None);
        }
        let task = self.reading.get_or_insert_with(|| {
            let blob = Arc::clone(&self.content);
            let offset = self.offset;
            let length = (self.end - offset).min(READ_BUFFER);
            tokio::task::spawn_blocking(move || {
                blob.read_at(offset, usize::try_from(length).unwrap_or(usize::MAX))
            })
        });
        let outcome = ready!(Pin::new(task).poll(context));
        self.reading = None;
        let piece = outcome.unwrap_or_else(|error| Err(io::Error::other(error)));
        match &piece {
            Ok(piece) => self.offset += piece.len() as u64,
            // The length was promised: the connection has to break, so that nobody takes half for all.
            Err(error) => {
                tracing::error!(%error, "reading a blob failed");
                self.offset = self.end;
            }
        }
        Poll::Ready(Some(piece))
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

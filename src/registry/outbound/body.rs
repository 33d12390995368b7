//! The body of an answer on its way in: piece by piece, and no wait for a piece without end.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::{Fault, OutboundError, Target, causes};

/// What still comes.
#[derive(Debug)]
pub struct Arriving {
    body: Incoming,
    stall: Duration,
    patience: Pin<Box<Sleep>>,
    method: Method,
    target: Target,
}

impl Arriving {
    pub(super) fn new(body: Incoming, stall: Duration, method: Method, target: Target) -> Self {
        Self {
            body,
            stall,
            patience: Box::pin(sleep(stall)),
            method,
            target,
        }
    }

    /// The next piece; none at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, OutboundError> {
        loop {
            match self.frame().await.transpose()? {
                None => return Ok(None),
                // Trailers mean nothing here.
                Some(frame) => {
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }

    /// All of it, which is at most `limit` bytes.
    pub async fn whole(mut self, limit: usize) -> Result<Bytes, OutboundError> {
        let announced = self.body.size_hint().lower();
        let mut collected = BytesMut::new();
        if announced <= limit as u64 {
            while let Some(piece) = self.next().await? {
                if collected.len() + piece.len() > limit {
                    return Err(self.failed(Fault::TooLong(limit)));
                }
                collected.extend_from_slice(&piece);
            }
            return Ok(collected.freeze());
        }
        Err(self.failed(Fault::TooLong(limit)))
    }

    fn failed(&self, fault: Fault) -> OutboundError {
        OutboundError {
            method: self.method.clone(),
            target: self.target.clone(),
            fault,
        }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = OutboundError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, OutboundError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            // Counted from when the piece is taken, so that a slow reader is not held against the sender.
            this.patience.as_mut().reset(Instant::now() + this.stall);
            let frame =
                frame.map(|frame| frame.map_err(|error| this.failed(Fault::Broken(describe(&error)))));
            return Poll::Ready(frame);
        }
        match this.patience.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(this.failed(Fault::Stalled(this.stall))))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn describe(error: &hyper::Error) -> String {
    match causes(error) {
        cause if cause == error.to_string() => cause,
        cause => format!("{error}: {cause}"),
    }
}

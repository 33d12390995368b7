//! A TCP stream that sends parts of files where its writer gives placeholders for them.
//!
//! The other half of [`Handover`]: between a file and a socket the kernel moves pages, and no byte comes here.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::registry::api::Handover;

pub struct Sending {
    stream: TcpStream,
    handover: Handover,
}

impl Sending {
    pub fn new(stream: TcpStream, handover: Handover) -> Self {
        Self { stream, handover }
    }

    fn poll_send(&self, context: &mut Context<'_>, placeholder: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(context))?;
            let sent = self.stream.try_io(Interest::WRITABLE, || {
                self.handover.send(placeholder, &self.stream)
            });
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }
}

impl AsyncRead for Sending {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Sending {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match data.iter().position(|slice| Handover::stands(slice)) {
            None => Pin::new(&mut self.stream).poll_write_vectored(context, data),
            Some(0) => self.poll_send(context, &data[0]),
            // What comes before it goes before it.
            Some(place) if data[..place].iter().any(|slice| !slice.is_empty()) => {
                Pin::new(&mut self.stream).poll_write_vectored(context, &data[..place])
            }
            Some(place) => self.poll_send(context, &data[place]),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

//! One connection from its first byte: TLS where configured, then HTTP/1.1 or HTTP/2, within limits.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::patience::Patience;
use super::sending::Sending;
use crate::registry::access_log::{Observed, Record};
use crate::registry::api::{Connection, Handover, Service};

/// For the TLS handshake, and for each request's head: slow links take seconds, attackers take for ever.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest request head, and what HTTP/1 reads at once: hyper lets a head exceed it by one read. Tokens with
/// many scopes reach 8 KiB.
const MAX_HEAD: usize = 64 << 10;
const MAX_HEADERS: usize = 100;
/// HTTP/2: requests at once on a connection, and bytes that they may send unasked.
const MAX_STREAMS: u32 = 128;
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// HTTP/2 has no request line to wait for: a ping finds out whether anybody is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// The first byte of every TLS connection.
const TLS_HANDSHAKE: u8 = 0x16;

const PLAIN_ON_TLS: &str = "this is an HTTPS port, and the request came as plain HTTP; use https://\n";

/// An answer in the making, boxed: HTTP/2 needs a type that can be named.
type Answering = Pin<Box<dyn Future<Output = Result<Response<Observed>, Infallible>> + Send>>;

/// What all connections share.
pub struct Connections {
    pub service: Arc<Service>,
    pub tls: Option<TlsAcceptor>,
}

impl Connections {
    pub async fn serve(&self, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        // Answers are written whole: waiting to join them would only delay.
        let _ = stream.set_nodelay(true);
        let ended = match &self.tls {
            None => {
                let handover = Handover::default();
                let stream = Sending::new(stream, handover.clone());
                self.http1(stream, peer, Some(handover), watcher).await
            }
            Some(acceptor) => match tokio::time::timeout(HEAD_TIMEOUT, handshake(acceptor, stream)).await {
                Ok(Ok(Some(stream))) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                    self.http2(stream, peer, watcher).await
                }
                Ok(Ok(Some(stream))) => self.http1(stream, peer, None, watcher).await,
                Ok(Ok(None)) => return,
                Ok(Err(error)) => {
                    tracing::debug!(%peer, %error, "TLS handshake failed");
                    return;
                }
                Err(_) => {
                    tracing::debug!(%peer, "TLS handshake took too long");
                    return;
                }
            },
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "connection broke");
        }
    }

    async fn http1<S>(
        &self,
        stream: S,
        peer: SocketAddr,
        // Of a stream that looks for what is handed over to it: one without TLS.
        handover: Option<Handover>,
        watcher: Watcher,
    ) -> Result<(), hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD)
            // Bodies are written from where they are: copied, a placeholder would be sent for a file.
            .writev(true);
        let io = TokioIo::new(Patience::new(stream, self.service.config().http.idle_timeout));
        let secure = handover.is_none();
        let service = self.answerer(Connection { peer, secure }, handover);
        watcher
            .watch(builder.serve_connection(io, service_fn(service)))
            .await
    }

    async fn http2<S>(&self, stream: S, peer: SocketAddr, watcher: Watcher) -> Result<(), hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .max_concurrent_streams(MAX_STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX));
        let io = TokioIo::new(Patience::new(stream, self.service.config().http.idle_timeout));
        let service = self.answerer(Connection { peer, secure: true }, None);
        watcher
            .watch(builder.serve_connection(io, service_fn(service)))
            .await
    }

    /// The function that turns one request into one answer, and its access line.
    fn answerer(
        &self,
        connection: Connection,
        handover: Option<Handover>,
    ) -> impl Fn(Request<Incoming>) -> Answering + use<> {
        let service = Arc::clone(&self.service);
        move |request| {
            let (service, handover) = (Arc::clone(&service), handover.clone());
            Box::pin(async move {
                let record = Record::new(&request, connection);
                let mut response = service.answer(request, connection).await;
                if let Some(handover) = &handover {
                    response.body_mut().hand_over(handover);
                }
                Ok(record.observe(response))
            })
        }
    }
}

/// Begins TLS. None where the client spoke plain HTTP or nothing, and has been told.
async fn handshake(
    acceptor: &TlsAcceptor,
    mut stream: TcpStream,
) -> io::Result<Option<tokio_rustls::server::TlsStream<TcpStream>>> {
    let mut first = [0];
    match stream.peek(&mut first).await? {
        0 => Ok(None),
        _ if first[0] == TLS_HANDSHAKE => acceptor.accept(stream).await.map(Some),
        _ => {
            refuse_plain(&mut stream).await?;
            Ok(None)
        }
    }
}

async fn refuse_plain(stream: &mut TcpStream) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{PLAIN_ON_TLS}",
        PLAIN_ON_TLS.len(),
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // Unread bytes would make the kernel reset the connection, and the answer with it.
    let mut rest = [0; 1024];
    while tokio::io::AsyncReadExt::read(stream, &mut rest).await? > 0 {}
    Ok(())
}

//! One connection from its first byte: TLS where configured, then HTTP/1.1 or HTTP/2, within limits.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::patience::Patience;
use super::sending::Sending;
use crate::registry::access_log::{Observed, Record};
use crate::registry::api::{Connection, Handover, Service};
use crate::registry::tls::{self, Offer};

/// For the TLS handshake, and for each request's head: slow links take seconds, attackers take for ever.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest request head: tokens with many scopes reach 8 KiB.
const MAX_HEAD: usize = 64 << 10;
/// What HTTP/1 reads at once of a body that keeps coming: the kernel answers each read with a segment of its own.
const MAX_READ: usize = 256 << 10;
const MAX_HEADERS: usize = 100;
/// HTTP/2: requests at once on a connection, and bytes that they may send unasked.
const MAX_STREAMS: u32 = 128;
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// HTTP/2 has no request line to wait for: a ping finds out whether anybody is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// The first byte of every TLS connection.
const TLS_HANDSHAKE: u8 = 0x16;
/// How HTTP/2 begins where both sides know of it, and no method of HTTP/1.
const PREFACE: &[u8] = b"PRI";
const PEEK_PAUSE: Duration = Duration::from_millis(5);

const PLAIN_ON_TLS: &str = "this is an HTTPS port, and the request came as plain HTTP; use https://\n";

/// An answer in the making, boxed: HTTP/2 needs a type that can be named.
type Answering = Pin<Box<dyn Future<Output = Result<Response<Observed>, Infallible>> + Send>>;

/// What all connections share.
pub struct Connections {
    pub service: Arc<Service>,
    pub tls: Option<Arc<Offer>>,
}

impl Connections {
    pub async fn serve(&self, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        // Answers are written whole: waiting to join them would only delay.
        let _ = stream.set_nodelay(true);
        let plain = Connection {
            peer,
            secure: false,
            certificate: None,
        };
        let ended = match &self.tls {
            None if self.service.config().http.h2c && begins_http2(&stream).await => {
                self.http2(stream, plain, watcher).await
            }
            None => {
                let handover = Handover::default();
                let stream = Sending::new(stream, handover.clone());
                self.http1(stream, plain, Some(handover), watcher).await
            }
            Some(offer) => match tokio::time::timeout(HEAD_TIMEOUT, handshake(offer, stream)).await {
                Ok(Ok(Some(stream))) => self.secure(stream, plain, watcher).await,
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

    /// One that came through a socket in the file system, from this machine.
    pub async fn serve_local(&self, stream: UnixStream, watcher: Watcher) {
        let plain = Connection {
            peer: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            secure: false,
            certificate: None,
        };
        let begun = tokio::time::timeout(HEAD_TIMEOUT, begun(stream)).await;
        let Ok(Ok((first, mut stream))) = begun else {
            return;
        };
        let ended = match &self.tls {
            None if self.service.config().http.h2c && first == PREFACE => {
                self.http2(stream, plain, watcher).await
            }
            None => self.http1(stream, plain, None, watcher).await,
            Some(offer) if first.first() == Some(&TLS_HANDSHAKE) => {
                match tokio::time::timeout(HEAD_TIMEOUT, offer.accept(stream)).await {
                    Ok(Ok(Some(stream))) => self.secure(stream, plain, watcher).await,
                    Ok(Ok(None)) => return,
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "TLS handshake failed");
                        return;
                    }
                    Err(_) => {
                        tracing::debug!("TLS handshake took too long");
                        return;
                    }
                }
            }
            Some(_) if first.is_empty() => return,
            Some(_) => {
                let refused = tokio::time::timeout(HEAD_TIMEOUT, refuse_plain(&mut stream)).await;
                tracing::debug!(?refused, "plain HTTP on a socket of TLS");
                return;
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection broke");
        }
    }

    /// What follows a handshake.
    async fn secure<S>(
        &self,
        stream: TlsStream<S>,
        plain: Connection,
        watcher: Watcher,
    ) -> Result<(), hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (_, session) = stream.get_ref();
        let connection = Connection {
            secure: true,
            certificate: tls::common_name(session.peer_certificates()),
            ..plain
        };
        if session.alpn_protocol() == Some(b"h2") {
            self.http2(stream, connection, watcher).await
        } else {
            self.http1(stream, connection, None, watcher).await
        }
    }

    async fn http1<S>(
        &self,
        stream: S,
        connection: Connection,
        // Of a stream that looks for what is handed over to it.
        handover: Option<Handover>,
        watcher: Watcher,
    ) -> Result<(), hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // Where answers go out of memory it is also what is read for one ahead of the client.
        let buffer = if handover.is_some() { MAX_READ } else { MAX_HEAD };
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_buf_size(buffer)
            .max_header_size(MAX_HEAD)
            // Bodies are written from where they are: copied, a placeholder would be sent for a file.
            .writev(true);
        let io = TokioIo::new(Patience::new(stream, self.service.config().http.idle_timeout));
        let service = self.answerer(connection, handover);
        watcher
            .watch(builder.serve_connection(io, service_fn(service)))
            .await
    }

    async fn http2<S>(&self, stream: S, connection: Connection, watcher: Watcher) -> Result<(), hyper::Error>
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
        let service = self.answerer(connection, None);
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
        move |mut request| {
            let (service, handover) = (Arc::clone(&service), handover.clone());
            let config = service.config();
            let connection = connection.clone().behind_proxies(&mut request, &config);
            Box::pin(async move {
                let mut record = Record::new(&mut request, connection.peer);
                let mut response = service.answer(config, request, connection, &mut record).await;
                if let Some(handover) = &handover {
                    response.body_mut().hand_over(handover);
                }
                Ok(record.observe(response))
            })
        }
    }
}

/// Whether a client begins with HTTP/2, once it has said so much; false if it says nothing.
async fn begins_http2(stream: &TcpStream) -> bool {
    let decided = async {
        let mut first = [0; PREFACE.len()];
        loop {
            match stream.peek(&mut first).await {
                Ok(length) if length == PREFACE.len() => return first == PREFACE,
                Ok(length) if length > 0 && PREFACE.starts_with(&first[..length]) => {}
                _ => return false,
            }
            // What is there already would be seen again at once.
            tokio::time::sleep(PEEK_PAUSE).await;
        }
    };
    tokio::time::timeout(HEAD_TIMEOUT, decided).await.unwrap_or(false)
}

/// The first bytes of a connection that cannot be looked at before they are read, as many as tell what it speaks;
/// and the stream with them in front.
async fn begun(stream: UnixStream) -> io::Result<(Vec<u8>, impl AsyncRead + AsyncWrite + Unpin + Send)> {
    let (mut from, to) = stream.into_split();
    let mut first = Vec::with_capacity(PREFACE.len());
    while PREFACE.starts_with(&first) && first.len() < PREFACE.len() {
        let mut byte = [0];
        if from.read(&mut byte).await? == 0 {
            break;
        }
        first.push(byte[0]);
    }
    let from = io::Cursor::new(first.clone()).chain(from);
    Ok((first, tokio::io::join(from, to)))
}

/// Begins TLS. None where the client spoke plain HTTP or nothing, and has been told.
async fn handshake(offer: &Offer, mut stream: TcpStream) -> io::Result<Option<TlsStream<TcpStream>>> {
    let mut first = [0];
    match stream.peek(&mut first).await? {
        0 => Ok(None),
        _ if first[0] == TLS_HANDSHAKE => offer.accept(stream).await,
        _ => {
            refuse_plain(&mut stream).await?;
            Ok(None)
        }
    }
}

async fn refuse_plain(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{PLAIN_ON_TLS}",
        PLAIN_ON_TLS.len(),
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // Unread bytes would make the kernel reset the connection, and the answer with it.
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

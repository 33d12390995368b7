//! One request over HTTP/1.1: plain, TLS, through a proxy, or over a unix socket.
//!
//! No connection is kept, no redirection followed, no body decoded. The time limit is for each step (the
//! answer's head, then every piece of its body), as it is for users of Python's `urllib`.

use std::future::Future;
use std::io::{self, Read};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::Runtime;
use url::Url;

use super::connect::{connect_async, runtime};
use super::{proxy, tls};
use crate::system::{HttpRequest, HttpResponse};

/// A proxy's answer to `CONNECT` that is longer than this is none.
const MAX_PROXY_ANSWER: usize = 16 << 10;

/// What both kinds of stream can do.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub fn send(request: &HttpRequest, env: impl Fn(&str) -> Option<String>) -> io::Result<HttpResponse> {
    let url = Url::parse(&request.url).map_err(|error| invalid(format!("not a URL: {error}")))?;
    let host = url
        .host_str()
        .ok_or_else(|| invalid("the URL names no host".to_owned()))?
        .to_owned();
    let port = url
        .port_or_known_default()
        .ok_or_else(|| invalid(format!("unknown scheme {}", url.scheme())))?;
    let secure = match url.scheme() {
        "http" => false,
        "https" => true,
        other => {
            return Err(invalid(format!(
                "{other} is not supported, only http and https are"
            )));
        }
    };
    let proxy = if request.use_proxy && request.unix_socket.is_none() {
        proxy::choose(url.scheme(), &host, port, env)?
    } else {
        None
    };
    let runtime = runtime()?;
    let limit = request.timeout;
    let response = runtime.block_on(async {
        let stream = timed(limit, open(request, &host, port, secure, proxy.as_ref())).await?;
        let absolute = proxy.is_some() && !secure;
        let message = message(request, &url, absolute.then_some(proxy.as_ref()).flatten())?;
        timed(limit, exchange(stream, message)).await
    })?;
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect();
    Ok(HttpResponse {
        status: response.status().as_u16(),
        headers,
        body: Box::new(Body {
            runtime,
            incoming: response.into_body(),
            waiting: Bytes::new(),
            limit,
        }),
    })
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

async fn timed<T>(limit: Duration, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(limit, step).await.unwrap_or_else(|_| {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {} seconds", limit.as_secs_f64()),
        ))
    })
}

/// The stream on which the request is written.
async fn open(
    request: &HttpRequest,
    host: &str,
    port: u16,
    secure: bool,
    proxy: Option<&proxy::Proxy>,
) -> io::Result<Box<dyn Stream>> {
    let stream: Box<dyn Stream> = match (&request.unix_socket, proxy) {
        (Some(path), _) => Box::new(tokio::net::UnixStream::connect(path).await?),
        (None, None) => Box::new(connect_async(host, port).await?),
        (None, Some(proxy)) => {
            let stream = connect_async(&proxy.host, proxy.port).await.map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("proxy {}:{}: {error}", proxy.host, proxy.port),
                )
            })?;
            let mut stream: Box<dyn Stream> = Box::new(stream);
            if secure {
                tunnel(&mut stream, host, port, proxy).await?;
            }
            stream
        }
    };
    if secure {
        return Ok(Box::new(tls::wrap(stream, host, request).await?));
    }
    Ok(stream)
}

/// Asks the proxy to become a wire to the host.
async fn tunnel(stream: &mut Box<dyn Stream>, host: &str, port: u16, proxy: &proxy::Proxy) -> io::Result<()> {
    let authorization = proxy
        .credentials
        .as_deref()
        .map(|credentials| format!("Proxy-Authorization: {}\r\n", basic(credentials)))
        .unwrap_or_default();
    let ask = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{authorization}\r\n");
    stream.write_all(ask.as_bytes()).await?;
    // Byte by byte: what follows the blank line belongs to TLS.
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == MAX_PROXY_ANSWER {
            return Err(invalid("the proxy's answer to CONNECT is not HTTP".to_owned()));
        }
        answer.push(stream.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&answer);
    let line = text.lines().next().unwrap_or_default();
    if line.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "proxy {}:{} refused to connect to {host}:{port}: {line}",
        proxy.host, proxy.port
    )))
}

/// The `Authorization` header's value for `user:password`.
fn basic(credentials: &str) -> String {
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(credentials)
    )
}

fn message(
    request: &HttpRequest,
    url: &Url,
    proxy: Option<&proxy::Proxy>,
) -> io::Result<hyper::Request<Full<Bytes>>> {
    let target = if proxy.is_some() {
        let mut absolute = url.clone();
        absolute.set_fragment(None);
        let _ = absolute.set_username("");
        let _ = absolute.set_password(None);
        absolute.to_string()
    } else {
        match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        }
    };
    let mut builder = hyper::Request::builder()
        .method(request.method.as_str())
        .uri(target);
    let given = |name: &str| {
        request
            .headers
            .iter()
            .any(|(given, _)| given.eq_ignore_ascii_case(name))
    };
    if !given("host") {
        let host = url.host_str().unwrap_or_default();
        builder = match url.port() {
            Some(port) => builder.header("Host", format!("{host}:{port}")),
            None => builder.header("Host", host),
        };
    }
    if let Some(credentials) = proxy.and_then(|proxy| proxy.credentials.as_deref()) {
        builder = builder.header("Proxy-Authorization", basic(credentials));
    }
    if !given("connection") {
        builder = builder.header("Connection", "close");
    }
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    builder
        .body(Full::new(Bytes::from(request.body.clone())))
        .map_err(|error| invalid(error.to_string()))
}

async fn exchange(
    stream: Box<dyn Stream>,
    message: hyper::Request<Full<Bytes>>,
) -> io::Result<hyper::Response<Incoming>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    // It is driven whenever the body is read; its failures come out there.
    tokio::spawn(connection);
    sender.send_request(message).await.map_err(|error| cause(&error))
}

/// Hyper says "connection error"; what lies beneath says why.
fn cause(error: &hyper::Error) -> io::Error {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(next) = deepest.source() {
        deepest = next;
    }
    let kind = deepest
        .downcast_ref::<io::Error>()
        .map_or(io::ErrorKind::Other, io::Error::kind);
    io::Error::new(kind, deepest.to_string())
}

/// The answer's body as blocking code reads it.
struct Body {
    runtime: Runtime,
    incoming: Incoming,
    waiting: Bytes,
    limit: Duration,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.waiting.is_empty() {
            let incoming = &mut self.incoming;
            let next = self.runtime.block_on(timed(self.limit, async {
                incoming.frame().await.transpose().map_err(|error| cause(&error))
            }))?;
            match next {
                None => return Ok(0),
                Some(frame) => self.waiting = frame.into_data().unwrap_or_default(),
            }
        }
        let length = buffer.len().min(self.waiting.len());
        buffer[..length].copy_from_slice(&self.waiting.split_to(length));
        Ok(length)
    }
}

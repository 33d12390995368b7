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
        (None, None) => Box::new(connect_async(host, port, request.timeout).await?),
        (None, Some(proxy)) => {
            let stream = connect_async(&proxy.host, proxy.port, request.timeout)
                .await
                .map_err(|error| {
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
    let message = if error.is_incomplete_message() || kind == io::ErrorKind::UnexpectedEof {
        "the answer ended before it was complete".to_owned()
    } else {
        deepest.to_string()
    };
    io::Error::new(kind, message)
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use hyper::service::service_fn;
    use hyper::{Method, Request, Response, StatusCode};
    use tokio::net::{TcpListener, UnixListener};

    use super::*;
    use crate::system::System;
    use crate::system::local::Local;

    /// Answers with what it was asked, one connection after the other, until the test process ends.
    async fn answer(stream: Box<dyn Stream>) {
        let service = service_fn(|request: Request<Incoming>| async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            if head.uri.path() == "/slow" {
                tokio::time::sleep(Duration::from_secs(30)).await;
            }
            let host = head.headers.get("host").and_then(|host| host.to_str().ok());
            let text = format!(
                "{} {} {} {}",
                head.method,
                head.uri,
                host.unwrap_or_default(),
                String::from_utf8_lossy(&body)
            );
            let mut response = Response::new(Full::new(Bytes::from(text)));
            if head.uri.path() == "/gone" {
                *response.status_mut() = StatusCode::GONE;
            }
            Ok::<_, hyper::Error>(response)
        });
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    /// Runs a server of its own thread; returns what `start` returned.
    fn serve<T: Send + 'static, F: Future<Output = ()>>(
        start: impl FnOnce(std::sync::mpsc::Sender<T>) -> F + Send + 'static,
    ) -> T {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || runtime().unwrap().block_on(start(sender)));
        receiver.recv().unwrap()
    }

    fn plain_server() -> u16 {
        serve(|ready| async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            ready.send(listener.local_addr().unwrap().port()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(Box::new(stream)));
            }
        })
    }

    /// A server with a certificate for `localhost`, which is written to `folder`.
    fn tls_server(folder: &Path) -> u16 {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.join("ca.pem"), made.cert.pem()).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let configuration = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(configuration));
        serve(|ready| async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            ready.send(listener.local_addr().unwrap().port()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(stream) = acceptor.accept(stream).await {
                    tokio::spawn(answer(Box::new(stream)));
                }
            }
        })
    }

    /// A proxy that tunnels, and answers other requests itself.
    fn proxy_server() -> u16 {
        serve(|ready| async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            ready.send(listener.local_addr().unwrap().port()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let service = service_fn(|request: Request<Incoming>| async move {
                    if request.method() != Method::CONNECT {
                        return Ok(Response::new(Full::new(Bytes::from(format!(
                            "proxied {}",
                            request.uri()
                        )))));
                    }
                    let to = request.uri().authority().unwrap().to_string();
                    tokio::spawn(async move {
                        let near = hyper::upgrade::on(request).await.unwrap();
                        let mut far = tokio::net::TcpStream::connect(to).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(near), &mut far).await;
                    });
                    Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::new())))
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades();
                tokio::spawn(connection);
            }
        })
    }

    fn request(url: String) -> HttpRequest {
        HttpRequest {
            method: "GET".to_owned(),
            url,
            headers: Vec::new(),
            body: Vec::new(),
            timeout: Duration::from_secs(10),
            validate_certs: true,
            ca_path: None,
            client_cert: None,
            client_key: None,
            unix_socket: None,
            use_proxy: true,
        }
    }

    fn text(mut response: HttpResponse) -> String {
        let mut text = String::new();
        response.body.read_to_string(&mut text).unwrap();
        text
    }

    /// The answer, with no proxy in the environment.
    fn get(request: &HttpRequest) -> io::Result<HttpResponse> {
        send(request, |_| None)
    }

    #[test]
    fn a_request_and_its_answer() {
        let port = plain_server();
        let mut asked = request(format!("http://localhost:{port}/a?b=c#d"));
        asked.method = "PUT".to_owned();
        asked.body = b"body".to_vec();
        assert_eq!(
            text(get(&asked).unwrap()),
            format!("PUT /a?b=c localhost:{port} body")
        );
        assert_eq!(
            get(&request(format!("http://127.0.0.1:{port}/gone")))
                .unwrap()
                .status,
            410
        );
    }

    #[test]
    fn silence_and_closed_ports_are_errors() {
        let port = plain_server();
        let mut slow = request(format!("http://127.0.0.1:{port}/slow"));
        slow.timeout = Duration::from_millis(200);
        let error = get(&slow).err().unwrap();
        assert_eq!(error.to_string(), "no answer within 0.2 seconds");
        let error = Local::default()
            .http(&request("http://127.0.0.1:1/".to_owned()))
            .err()
            .unwrap();
        assert_eq!(
            error.to_string(),
            "cannot reach http://127.0.0.1:1/: Connection refused (os error 111)"
        );
        assert!(get(&request("ftp://localhost/".to_owned())).is_err());
    }

    #[test]
    fn a_server_is_verified_unless_that_is_waived() {
        let folder = tempfile::tempdir().unwrap();
        let port = tls_server(folder.path());
        let mut asked = request(format!("https://localhost:{port}/"));
        let error = get(&asked).err().unwrap();
        assert!(error.to_string().contains("certificate"), "{error}");
        asked.ca_path = Some(folder.path().join("ca.pem"));
        assert_eq!(text(get(&asked).unwrap()), format!("GET / localhost:{port} "));
        asked.ca_path = None;
        asked.validate_certs = false;
        assert!(get(&asked).is_ok());
        asked.validate_certs = true;
        asked.ca_path = Some(folder.path().join("none.pem"));
        let error = get(&asked).err().unwrap();
        assert!(error.to_string().contains("none.pem"), "{error}");
    }

    #[test]
    fn proxies_pass_on_and_tunnel() {
        let folder = tempfile::tempdir().unwrap();
        let (proxy, secure) = (proxy_server(), tls_server(folder.path()));
        let env = |name: &str| {
            name.ends_with("_proxy")
                .then(|| format!("http://127.0.0.1:{proxy}"))
                .filter(|_| name != "no_proxy")
        };
        let plain = send(&request("http://example.invalid/x".to_owned()), env).unwrap();
        assert_eq!(text(plain), "proxied http://example.invalid/x");
        let mut tunnelled = request(format!("https://localhost:{secure}/y"));
        tunnelled.ca_path = Some(folder.path().join("ca.pem"));
        assert_eq!(
            text(send(&tunnelled, env).unwrap()),
            format!("GET /y localhost:{secure} ")
        );
    }

    #[test]
    fn unix_sockets_are_spoken_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let bound = path.clone();
        serve(|ready| async move {
            let listener = UnixListener::bind(bound).unwrap();
            ready.send(()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(Box::new(stream)));
            }
        });
        let mut asked = request("http://docker/version".to_owned());
        asked.unix_socket = Some(path);
        assert_eq!(text(get(&asked).unwrap()), "GET /version docker ");
    }
}

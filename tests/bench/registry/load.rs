//! The clients: bare HTTP/1.1 on sockets that are kept open, with as little work of their own as can be.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::data::Content;
use super::peers::Running;
use super::trusting::Trusting;

const BUFFER: usize = 256 << 10;

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// An answer's head, and how much of its body has come with it.
struct Head {
    text: String,
    body: Vec<u8>,
}

impl Head {
    fn read(stream: &mut dyn Stream) -> Self {
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let length = stream.read(&mut buffer).unwrap();
            assert!(length > 0, "the server ends: {}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&buffer[..length]);
            if let Some(end) = end_of_head(&seen) {
                return Self {
                    body: seen.split_off(end),
                    text: String::from_utf8(seen).unwrap(),
                };
            }
        }
    }

    fn status(&self) -> u16 {
        status(self.text.as_bytes())
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn length(&self) -> u64 {
        self.header("content-length")
            .map_or(0, |text| text.parse().unwrap())
    }

    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status(), status, "{}", self.text);
        self
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|at| at + 4)
}

fn status(head: &[u8]) -> u16 {
    String::from_utf8_lossy(&head[9..12]).parse().unwrap()
}

fn connect(server: &Running) -> Box<dyn Stream> {
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_nodelay(true).unwrap();
    if !server.secure {
        return Box::new(stream);
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Trusting::new(provider))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    Box::new(StreamOwned::new(
        ClientConnection::new(Arc::new(config), name).unwrap(),
        stream,
    ))
}

/// Reads a whole blob; how many bytes it had.
pub fn download(server: &Running, target: &str) -> u64 {
    let mut stream = connect(server);
    write!(stream, "GET {target} HTTP/1.1\r\nhost: bench\r\n\r\n").unwrap();
    let head = Head::read(&mut stream).expect(200);
    let mut left = head.length() - head.body.len() as u64;
    let mut buffer = vec![0; BUFFER];
    while left > 0 {
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0, "the answer breaks off");
        left -= length as u64;
    }
    head.length()
}

/// Pushes a blob: in one PUT, or in chunks of so many bytes.
pub fn upload(server: &Running, content: &Content, digest: &str, chunk: Option<usize>) {
    let mut stream = connect(server);
    let name = "/v2/bench/image/blobs/uploads/";
    let mut location = ask(&mut stream, "POST", name, &[], 202);
    let put = |location: &str| {
        let joint = if location.contains('?') { '&' } else { '?' };
        format!("{location}{joint}digest={digest}")
    };
    if let Some(chunk) = chunk {
        let mut gathered = Vec::with_capacity(chunk);
        content.pieces(|piece| {
            gathered.extend_from_slice(piece);
            if gathered.len() >= chunk {
                location = ask(&mut stream, "PATCH", &location, &gathered, 202);
                gathered.clear();
            }
        });
        if !gathered.is_empty() {
            location = ask(&mut stream, "PATCH", &location, &gathered, 202);
        }
        ask(&mut stream, "PUT", &put(&location), &[], 201);
    } else {
        write!(
            stream,
            "PUT {} HTTP/1.1\r\nhost: bench\r\ncontent-length: {}\r\n\r\n",
            put(&location),
            content.size
        )
        .unwrap();
        content.pieces(|piece| stream.write_all(piece).unwrap());
        Head::read(&mut stream).expect(201);
    }
}

/// One request; the path that its answer names.
fn ask(stream: &mut Box<dyn Stream>, method: &str, target: &str, body: &[u8], status: u16) -> String {
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/octet-stream\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .unwrap();
    stream.write_all(body).unwrap();
    let head = Head::read(stream).expect(status);
    let location = head.header("location").unwrap_or_default();
    // docker-registry's are absolute.
    match location.split_once("://") {
        Some((_, rest)) => rest[rest.find('/').unwrap()..].to_owned(),
        None => location.to_owned(),
    }
}

/// Reads a listing to its end; how many pages it had.
pub fn walk(server: &Running, target: &str) -> u32 {
    let mut stream = connect(server);
    let (mut target, mut pages) = (target.to_owned(), 0);
    loop {
        write!(stream, "GET {target} HTTP/1.1\r\nhost: bench\r\n\r\n").unwrap();
        let head = Head::read(&mut stream).expect(200);
        pages += 1;
        let have = head.body.len() as u64;
        if head.header("transfer-encoding").is_none() {
            let mut rest = vec![0; usize::try_from(head.length() - have).unwrap()];
            stream.read_exact(&mut rest).unwrap();
        } else {
            // Go's, for what it does not know the length of: an empty chunk ends it.
            let mut body = head.body.clone();
            let mut buffer = vec![0; BUFFER];
            while !body.ends_with(b"0\r\n\r\n") {
                let length = stream.read(&mut buffer).unwrap();
                assert!(length > 0, "the listing breaks off");
                body.extend_from_slice(&buffer[..length]);
            }
        }
        match head.header("link").and_then(|link| link.split(['<', '>']).nth(1)) {
            Some(next) => next.clone_into(&mut target),
            None => return pages,
        }
    }
}

/// Keeps a request under way on each connection for a while; how many were answered.
///
/// Each request is made of its number.
pub fn requests(
    server: &Running,
    connections: usize,
    period: Duration,
    expected: u16,
    request: impl Fn(u64) -> Vec<u8>,
) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (number, answered) = (AtomicU64::new(0), AtomicU64::new(0));
    let end = Instant::now() + period;
    let connection = async || {
        let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut buffer = vec![0; 64 << 10];
        while Instant::now() < end {
            let request = request(number.fetch_add(1, Ordering::Relaxed));
            stream.write_all(&request).await.unwrap();
            let mut have = 0;
            loop {
                let length = stream.read(&mut buffer[have..]).await.unwrap();
                assert!(length > 0, "the server ends");
                have += length;
                let Some(head) = end_of_head(&buffer[..have]) else {
                    continue;
                };
                assert_eq!(
                    status(&buffer[..head]),
                    expected,
                    "{}",
                    String::from_utf8_lossy(&buffer[..have])
                );
                let body = if request.starts_with(b"HEAD") {
                    0
                } else {
                    content_length(&buffer[..head])
                };
                if have >= head + body {
                    break;
                }
            }
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    runtime.block_on(futures_util::future::join_all(
        (0..connections).map(|_| connection()),
    ));
    f64::from(u32::try_from(answered.into_inner()).unwrap())
}

fn content_length(head: &[u8]) -> usize {
    let name = b"content-length:";
    let at = head
        .windows(name.len())
        .position(|window| window.eq_ignore_ascii_case(name));
    at.map_or(0, |at| {
        let value = &head[at + name.len()..];
        let end = value
            .iter()
            .position(|byte| *byte == b'\r')
            .unwrap_or(value.len());
        String::from_utf8_lossy(&value[..end]).trim().parse().unwrap()
    })
}

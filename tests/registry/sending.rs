//! Blobs on their way out: every byte is the blob's, whatever the client does. Without TLS the kernel sends them
//! out of their files, in place of bytes that must never be seen.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use super::server::{Server, sha256};

/// Longer than what is queued at once, and of no round length.
const SIZE: usize = (5 << 20) + 4321;

/// No two places look alike, and none is empty.
fn content() -> Vec<u8> {
    let numbers = (1_u64..).map(|number| (number << 8 | 0x55).to_le_bytes().map(|byte| byte | 1));
    numbers.flatten().take(SIZE).collect()
}

struct Wire(BufReader<TcpStream>);

impl Wire {
    fn open(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(BufReader::new(stream))
    }

    fn ask(&mut self, method: &str, target: &str, range: Option<(usize, usize)>) {
        let range = range.map_or_else(String::new, |(start, end)| {
            format!("range: bytes={start}-{}\r\n", end - 1)
        });
        let request = format!("{method} {target} HTTP/1.1\r\nhost: x\r\n{range}\r\n");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
    }

    /// Status and length of the next answer; its body follows.
    fn head(&mut self) -> (u16, usize) {
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the server ends");
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                return (status, length);
            }
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().unwrap();
            } else if let Some(rest) = line.strip_prefix("content-length: ") {
                length = rest.parse().unwrap();
            }
        }
    }

    fn body(&mut self, length: usize) -> Vec<u8> {
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        body
    }
}

#[test]
fn ranges_in_a_row_on_one_connection() {
    let server = Server::start();
    let content = content();
    let target = format!("/v2/a/blobs/{}", server.push_blob("a", &content));
    let mut wire = Wire::open(&server);
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = |limit: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random).unwrap() % limit
    };
    for round in 0..60 {
        let start = next(SIZE);
        // Short ones, and some of all sizes.
        let most = if round % 3 == 0 {
            SIZE - start
        } else {
            (SIZE - start).min(9000)
        };
        let end = start + 1 + next(most);
        wire.ask("GET", &target, Some((start, end)));
        assert_eq!(wire.head(), (206, end - start));
        assert!(wire.body(end - start) == content[start..end], "{start}..{end}");
    }
}

#[test]
fn requests_sent_ahead_are_answered_in_order() {
    let server = Server::start();
    let content = content();
    let (_, manifest) = server.push_image("a", "v1", &content);
    let blob = format!("/v2/a/blobs/{}", sha256(&content));
    let mut wire = Wire::open(&server);
    wire.ask("GET", &blob, Some((0, 3)));
    wire.ask("HEAD", &blob, None);
    wire.ask("GET", "/v2/a/manifests/v1", None);
    wire.ask("GET", &blob, None);
    wire.ask("GET", "/v2/a/manifests/none", None);
    wire.ask("GET", &blob, Some((SIZE - 70_000, SIZE)));
    wire.ask("GET", "/v2/a/manifests/v1", None);

    assert_eq!(wire.head(), (206, 3));
    assert!(wire.body(3) == content[..3]);
    assert_eq!(wire.head(), (200, SIZE));
    assert_eq!(wire.head(), (200, manifest.len()));
    assert!(wire.body(manifest.len()) == manifest.as_bytes());
    assert_eq!(wire.head(), (200, SIZE));
    assert!(wire.body(SIZE) == content);
    let (status, length) = wire.head();
    assert_eq!(status, 404);
    assert!(wire.body(length).starts_with(b"{\"errors\""));
    assert_eq!(wire.head(), (206, 70_000));
    assert!(wire.body(70_000) == content[SIZE - 70_000..]);
    assert_eq!(wire.head(), (200, manifest.len()));
    assert!(wire.body(manifest.len()) == manifest.as_bytes());
}

#[test]
fn clients_that_dawdle_or_go_get_theirs_or_nothing() {
    let server = Server::start();
    let content = content();
    let target = format!("/v2/a/blobs/{}", server.push_blob("a", &content));
    for taken in [0, 1, 100_000, 3 << 20] {
        let mut gone = Wire::open(&server);
        gone.ask("GET", &target, None);
        gone.head();
        gone.body(taken);
    }
    // Little at a time, at first with pauses in which the server's socket is full.
    let mut slow = Wire::open(&server);
    slow.ask("GET", &target, None);
    assert_eq!(slow.head(), (200, SIZE));
    let mut seen = Vec::new();
    while seen.len() < SIZE {
        if seen.len() < 40 * 1777 {
            std::thread::sleep(Duration::from_millis(5));
        }
        seen.extend(slow.body((SIZE - seen.len()).min(1777)));
    }
    assert!(seen == content);
}

#[test]
fn a_blob_that_was_cut_off_breaks_the_connection() {
    let server = Server::start();
    // More than sockets hold of it.
    let content = content().repeat(4);
    let digest = server.push_blob("a", &content);
    let hex = digest.strip_prefix("sha256:").unwrap();
    let file = server.data().join(format!(
        "docker/registry/v2/blobs/sha256/{}/{hex}/data",
        &hex[..2]
    ));
    let mut wire = Wire::open(&server);
    wire.ask("GET", &format!("/v2/a/blobs/{digest}"), None);
    assert_eq!(wire.head(), (200, content.len()));
    let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(1000).unwrap();
    let mut rest = Vec::new();
    // Ended or reset; never filled up.
    let _ = wire.0.read_to_end(&mut rest);
    assert!(rest.len() < content.len(), "{}", rest.len());
    // The kernel sends pages, and those that were cut off are zeros from then on.
    let sound = rest.iter().zip(&content).take_while(|(got, sent)| got == sent);
    assert!(sound.count() >= 1000);
}

#[test]
fn over_tls_in_both_versions_of_http() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(path("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let server = Server::with(&format!(
        "  tls:\n    certificate: {}\n    key: {}\n",
        path("cert.pem"),
        path("key.pem")
    ));
    let content = content();
    let digest = sha256(&content);
    std::fs::write(path("blob"), &content).unwrap();
    let curl = |arguments: &[&str]| {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--insecure"])
            .args(arguments)
            .output()
            .expect("curl is installed");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    let base = format!("https://{}/v2/a/blobs", server.address);
    let push = format!("{base}/uploads/?digest={digest}");
    let blob = format!("@{}", path("blob"));
    curl(&["--request", "POST", "--data-binary", &blob, &push]);
    let blob = format!("{base}/{digest}");
    for version in ["--http1.1", "--http2"] {
        assert!(curl(&[version, &blob]) == content, "{version}");
        assert!(curl(&[version, "--range", "7-4194310", &blob]) == content[7..4_194_311]);
    }
}

//! Many clients at once, and those who mean no good: the others are served all the while, and what the server
//! takes in memory stays bounded. Everything here is bounded in count; nothing leaves the loopback address.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::server::{OCI_MANIFEST, Server, sha256};

/// MiB that a thousand hanging connections may cost, all in all: a debug build of the server.
const PEAK: u64 = 96;

/// A thousand connections are a thousand descriptors on this side, too.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, wanted).unwrap();
}

fn hang(server: &Server, request: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(request).unwrap();
    stream
}

/// What an ordinary client does, from beginning to end.
fn push_and_pull(server: &Server, name: &str) {
    let layer = name.as_bytes().repeat(5_000);
    let (digest, manifest) = server.push_image(name, "v1", &layer);
    let pulled = server.get(&format!("/v2/{name}/manifests/v1")).expect(200);
    assert_eq!(pulled.body, manifest);
    assert_eq!(pulled.header("docker-content-digest"), digest);
    let target = format!("/v2/{name}/blobs/{}", sha256(&layer));
    assert!(server.get(&target).expect(200).body == layer);
    server.get(&format!("/v2/{name}/tags/list")).expect(200);
}

#[test]
fn a_thousand_connections_that_hang() {
    raise_descriptor_limit();
    let server = Server::start();
    let blob = server.push_blob("big", &vec![7; 8 << 20]);
    let (mut hanging, mut uploads) = (Vec::new(), Vec::new());
    for number in 0..1_000 {
        hanging.push(match number % 5 {
            // Says nothing.
            0 => hang(&server, b""),
            // Half a head.
            1 => hang(&server, b"GET /v2/ HTTP/1.1\r\nhost: x\r\nx-half: "),
            // Half a body.
            2 => {
                let location = server.begin("slow/writer");
                let head =
                    format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nhalf");
                uploads.push(location);
                hang(&server, head.as_bytes())
            }
            // Wants 8 MiB and reads none of it.
            3 => {
                let head = format!("GET /v2/big/blobs/{blob} HTTP/1.1\r\nhost: x\r\n\r\n");
                hang(&server, head.as_bytes())
            }
            // Has closed its half, and wants to hear the rest.
            _ => {
                let stream = hang(
                    &server,
                    b"PUT /v2/a/manifests/x HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{",
                );
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                stream
            }
        });
        if number % 50 == 0 {
            push_and_pull(&server, &format!("between/n{number}"));
        }
    }
    for number in 0..20 {
        push_and_pull(&server, &format!("beside/n{number}"));
    }
    assert!(server.peak() < PEAK, "{} MiB", server.peak());
    drop(hanging);
    // Who broke off can go on.
    for location in uploads {
        let answer = server.send("PATCH", &location, &[], "more").expect(202);
        assert!(answer.header("range").starts_with("0-"), "{answer:?}");
    }
    push_and_pull(&server, "after");
    assert!(server.peak() < PEAK, "{} MiB", server.peak());
}

/// Beyond the limit connections wait for others to end, and are then served.
#[test]
fn more_connections_than_allowed_wait() {
    let server = Server::with("  maxconnections: 20\n");
    let mut hanging: Vec<_> = (0..20).map(|_| hang(&server, b"GET /v2/ HTTP/1.1\r\n")).collect();
    let mut waiting = hang(
        &server,
        b"GET /v2/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    );
    waiting
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut answer = String::new();
    assert!(waiting.read_to_string(&mut answer).is_err(), "{answer}");
    hanging.pop();
    waiting.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// A client that takes nothing is given up, and its connection with it.
#[test]
fn who_reads_nothing_is_cut_off() {
    let server = Server::with("  idletimeout: 300ms\n");
    let blob = server.push_blob("big", &vec![7; 16 << 20]);
    let head = format!("GET /v2/big/blobs/{blob} HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut slow: Vec<_> = (0..50).map(|_| hang(&server, head.as_bytes())).collect();
    for stream in &mut slow {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut received = 0;
    let mut buffer = vec![0; 1 << 20];
    // What was in the sockets' buffers, and then the end: never all of it.
    while let Ok(length @ 1..) = slow[0].read(&mut buffer) {
        received += length;
    }
    assert!(received < 16 << 20, "{received}");
    push_and_pull(&server, "after");
}

/// A body is what it is: nothing is unpacked, whatever it claims to be packed with.
#[test]
fn packed_bodies_stay_packed() {
    /// In MiB; more than all that the server has mapped, its own code included.
    const UNPACKED: usize = 96;
    let server = Server::start();
    let bomb = {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(&vec![0; UNPACKED << 20]).unwrap();
        packer.finish().unwrap()
    };
    assert!(bomb.len() < 1 << 20);
    for encoding in ["gzip", "gzip, gzip, gzip", "zstd", "br", "deflate", "identity"] {
        let headers = [("content-encoding", encoding), ("content-type", OCI_MANIFEST)];
        let digest = sha256(&bomb);
        let target = format!("/v2/a/blobs/uploads/?digest={digest}");
        server.send("POST", &target, &headers, bomb.clone()).expect(201);
        let answer = server.get(&format!("/v2/a/blobs/{digest}")).expect(200);
        assert!(answer.body == bomb && answer.header("content-encoding").is_empty());
        let refused = server
            .send("PUT", "/v2/a/manifests/v1", &headers, bomb.clone())
            .expect(400);
        assert_eq!(refused.code(), "MANIFEST_INVALID");
    }
    // Unpacked once it would be more than this.
    assert!(server.peak() < UNPACKED as u64, "{} MiB", server.peak());
}

#[test]
fn bodies_without_end() {
    let server = Server::start();
    let endless = |head: &str| {
        let mut stream = hang(&server, head.as_bytes());
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        let piece = format!("10000\r\n{}\r\n", "x".repeat(1 << 16));
        let mut sent = 0_u64;
        // Until the server has had enough of it.
        while sent < 96 << 20 && stream.write_all(piece.as_bytes()).is_ok() {
            sent += 1 << 16;
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        (sent, String::from_utf8_lossy(&answer).into_owned())
    };
    for target in [
        "PUT /v2/a/manifests/x",
        "POST /v2/",
        "PUT /nowhere",
        "DELETE /v2/a/manifests/x",
    ] {
        let (sent, answer) = endless(&format!(
            "{target} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        ));
        assert!(sent < 64 << 20, "{target}: {sent} bytes were taken");
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{target}: {answer}"
        );
    }
    // More than the chunk is said to have.
    let location = server.begin("a");
    let head = format!(
        "PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-range: 0-9\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let (sent, _) = endless(&head);
    assert!(sent < 64 << 20, "{sent} bytes were taken");
    assert!(server.peak() < 64, "{} MiB", server.peak());
    push_and_pull(&server, "after");
}

/// Two readings of where a request ends: what would be another request to somebody in front is refused or is
/// the body, and is never answered as a request of its own.
#[test]
fn requests_are_not_smuggled() {
    let server = Server::start();
    server.push_blob("a", b"x");
    let hidden = "DELETE /v2/a/blobs/HIDDEN HTTP/1.1\r\nhost: x\r\n\r\n".replace("HIDDEN", &sha256(b"x"));
    let length = hidden.len();
    for (headers, body) in [
        // A proxy that goes by the length, a server that goes by the chunks, and the other way round.
        (
            format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", length + 5),
            format!("0\r\n\r\n{hidden}"),
        ),
        (
            format!("transfer-encoding: chunked\r\ncontent-length: {}\r\n", length + 5),
            format!("0\r\n\r\n{hidden}"),
        ),
        (
            format!("content-length: 4\r\ncontent-length: {length}\r\n"),
            hidden.clone(),
        ),
        (format!("content-length: {length}, 4\r\n"), hidden.clone()),
        (format!("content-length: +{length}\r\n"), hidden.clone()),
        (format!("content-length : {length}\r\n"), hidden.clone()),
        (
            format!("content-length: 0\r\n content-length: {length}\r\n"),
            hidden.clone(),
        ),
        (
            "transfer-encoding: chunked, identity\r\n".to_owned(),
            format!("0\r\n\r\n{hidden}"),
        ),
        (
            "transfer-encoding: xchunked\r\n".to_owned(),
            format!("0\r\n\r\n{hidden}"),
        ),
        (
            "transfer-encoding:\x0bchunked\r\n".to_owned(),
            format!("0\r\n\r\n{hidden}"),
        ),
        (
            "transfer-encoding : chunked\r\n".to_owned(),
            format!("0\r\n\r\n{hidden}"),
        ),
        (
            "x: y\rtransfer-encoding: chunked\r\n".to_owned(),
            format!("0\r\n\r\n{hidden}"),
        ),
        (
            "transfer-encoding: chunked\r\n".to_owned(),
            format!("fffffffffffffffff\r\n{hidden}"),
        ),
        (
            "transfer-encoding: chunked\r\n".to_owned(),
            format!("0x5\r\n{hidden}"),
        ),
        (
            "transfer-encoding: chunked\r\n".to_owned(),
            format!("-1\r\n{hidden}"),
        ),
    ] {
        let request = format!("PUT /v2/a/manifests/x HTTP/1.1\r\nhost: x\r\n{headers}\r\n{body}");
        let mut stream = hang(&server, request.as_bytes());
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // Not before the first answer: what is hidden gets its chance.
        let mut answer = vec![0; 1];
        let _ = stream.read_exact(&mut answer);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.contains("HTTP/1.1 2"), "{headers:?} {body:?}: {answer}");
        server.head(&format!("/v2/a/blobs/{}", sha256(b"x"))).expect(200);
    }
}

/// Every way to write the parent folder, in every place of every path.
#[test]
fn paths_stay_inside_whatever_is_put_into_them() {
    let server = Server::start();
    let (digest, _) = server.push_image("a", "v1", b"layer");
    let upload = server.begin("a");
    let before = tree(server.folder.path());
    let climbs = [
        "..",
        "../..",
        "..%2f..",
        "%2e%2e",
        "%2e%2e%2f%2e%2e",
        "%252e%252e",
        "..;",
        "..\\..",
        "..%5c..",
        "%c0%ae%c0%ae",
        ".%00.",
        "....//",
        "%2fetc%2fpasswd",
        "_uploads",
        "_manifests",
        "a%2f_layers",
        ".",
        "a%00",
        "a\u{202e}",
        "a%0d%0aX:y",
        "~",
        "$HOME",
        "data",
        "",
        "a%2f..%2f..%2fb",
        "C:",
        "con",
        "a/./b",
    ];
    let id = upload.rsplit('/').next().unwrap();
    let hex = digest.strip_prefix("sha256:").unwrap();
    for climb in climbs {
        let paths = [
            format!("/v2/{climb}/tags/list"),
            format!("/v2/a/{climb}/b/tags/list"),
            format!("/v2/a/manifests/{climb}"),
            format!("/v2/a/manifests/sha256:{climb}"),
            format!("/v2/{climb}/manifests/{digest}"),
            format!("/v2/a/blobs/sha256:{climb}{hex}"),
            format!("/v2/a/blobs/{climb}"),
            format!("/v2/{climb}/blobs/uploads/"),
            format!("/v2/a/blobs/uploads/{climb}"),
            format!("/v2/a/blobs/uploads/{climb}/{id}"),
            format!("/v2/{climb}/blobs/uploads/{id}?digest={digest}"),
            format!("/v2/a/blobs/uploads/?mount={digest}&from={climb}"),
            format!("/v2/a/blobs/uploads/?digest={climb}"),
            format!("/v2/a/referrers/{climb}"),
            format!("/v2/a/tags/list?last={climb}"),
            format!("/v2/_catalog?last={climb}"),
            format!("/{climb}/v2/"),
        ];
        for path in paths {
            for method in ["GET", "PUT", "DELETE", "PATCH", "POST"] {
                let request = format!(
                    "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\nconnection: close\r\n\r\n."
                );
                let mut stream = hang(&server, request.as_bytes());
                let mut answer = Vec::new();
                let _ = stream.read_to_end(&mut answer);
                let answer = String::from_utf8_lossy(&answer);
                assert!(!answer.starts_with("HTTP/1.1 5"), "{method} {path}: {answer}");
                assert!(!answer.contains("root:"), "{method} {path}: {answer}");
            }
        }
    }
    // New uploads aside, nothing has come to be, here or above.
    let stays = |path: &&String| !path.contains("/_uploads") && !path.contains("access.log");
    let after = tree(server.folder.path());
    assert_eq!(
        after.iter().filter(stays).collect::<Vec<_>>(),
        before.iter().filter(stays).collect::<Vec<_>>()
    );
}

/// Every file below a folder.
fn tree(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found.sort();
    found
}

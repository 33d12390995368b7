//! What hostile or broken clients do, and that the others do not notice.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::server::Server;

fn raw(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // A refusal may come, and the connection go, before all is sent.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn oversized_and_malformed_heads_are_refused() {
    let server = Server::start();
    let huge = format!(
        "GET /v2/ HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "y".repeat(300_000)
    );
    // The kernel may reset the connection over the rest before the answer is read.
    let answer = raw(&server, huge.as_bytes());
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    let many = format!("GET /v2/ HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(200));
    assert!(raw(&server, many.as_bytes()).starts_with("HTTP/1.1 431"));
    assert!(raw(&server, b"\x16\x03\x01 this is not HTTP\r\n\r\n").starts_with("HTTP/1.1 400"));
    server.get("/v2/").expect(200);
}

#[test]
fn paths_never_leave_the_folder() {
    let server = Server::start();
    std::fs::write(server.folder.path().join("secret"), "secret").unwrap();
    for path in [
        "/v2/../secret/manifests/x",
        "/v2/a/blobs/../../../../secret",
        "/v2/a/manifests/..%2f..%2fsecret",
        "/v2/%2e%2e/%2e%2e/tags/list",
        "/v2/a/blobs/uploads/..%2f..%2f..%2f..%2fsecret",
        "/v2/a/blobs/sha256:../../../../secret",
        "//v2/../../secret",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = raw(&server, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 40"), "{path}: {answer}");
        assert!(!answer.contains("\r\n\r\nsecret"), "{path}: {answer}");
    }
}

#[test]
fn a_body_that_stops_is_given_up() {
    let server = Server::with("  idletimeout: 300ms\n");
    let location = server.begin("a");
    let request = format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf");
    assert!(raw(&server, request.as_bytes()).starts_with("HTTP/1.1 408"));
    assert_eq!(server.get(&location).expect(204).header("range"), "0-3");
}

#[test]
fn idle_connections_do_not_keep_others_out() {
    let server = Server::start();
    let idle: Vec<_> = (0..300)
        .map(|_| TcpStream::connect(server.address).unwrap())
        .collect();
    server.get("/v2/").expect(200);
    drop(idle);
}

#[test]
fn every_request_has_its_access_line() {
    let server = Server::start();
    let digest = server.push_blob("a", b"four");
    server
        .send(
            "GET",
            &format!("/v2/a/blobs/{digest}"),
            &[("user-agent", "tester/1")],
            "",
        )
        .expect(200);
    let log = server.folder.path().join("access.log");
    let found = (0..100).find_map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        let text = std::fs::read_to_string(&log).unwrap();
        text.lines()
            .find(|line| line.contains("tester/1"))
            .map(str::to_owned)
    });
    let line = found.expect("a line");
    for part in ["method=GET", "status=200", "sent=4", "complete=true", &digest] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

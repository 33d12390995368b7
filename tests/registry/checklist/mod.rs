//! What the items of the protocol checklist say beyond the plain request and its answer: every status, every
//! form, the limits, and the sequences of real clients as they go over the wire.

mod blobs;
mod general;
mod listing;
mod manifests;
mod uploads;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::server::Server;

/// Sends a body in pieces, without saying how long it is.
fn send_chunked(server: &Server, method: &str, target: &str, headers: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    for piece in body.chunks(60_000) {
        let length = format!("{:x}\r\n", piece.len());
        let sent = stream.write_all(&[length.as_bytes(), piece, b"\r\n"].concat());
        // An answer may come before all is sent.
        if sent.is_err() {
            break;
        }
    }
    let _ = stream.write_all(b"0\r\n\r\n");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

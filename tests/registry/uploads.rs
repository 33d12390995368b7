//! Items 15 to 21: uploads.

use std::io::{Read as _, Write as _};

use super::server::{Server, sha256};

#[test]
fn item_15_post() {
    let server = Server::start();
    let answer = server
        .send(
            "POST",
            "/v2/a/blobs/uploads/",
            &[("content-type", "text/odd")],
            "",
        )
        .expect(202);
    let id = answer.header("docker-upload-uuid");
    assert_eq!(answer.header("location"), format!("/v2/a/blobs/uploads/{id}"));
    assert_eq!(answer.header("range"), "0-0");
    let digest = sha256(b"whole");
    let answer = server
        .send(
            "POST",
            &format!("/v2/a/blobs/uploads/?digest={digest}"),
            &[],
            "whole",
        )
        .expect(201);
    assert_eq!(answer.header("location"), format!("/v2/a/blobs/{digest}"));
    assert_eq!(answer.header("docker-content-digest"), digest);
}

#[test]
fn item_15_a_post_that_fails_leaves_no_upload() {
    let server = Server::with("  idletimeout: 300ms\n");
    let digest = sha256(b"whole");
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nwh"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    let uploads = server.data().join("docker/registry/v2/repositories/a/_uploads");
    assert_eq!(std::fs::read_dir(uploads).unwrap().count(), 0);
}

#[test]
fn item_16_location() {
    let server = Server::with("  relativeurls: false\n");
    let location = server.begin("a");
    assert!(
        location.starts_with(&format!("http://{}/v2/a/blobs/uploads/", server.address)),
        "{location}"
    );
    let server = Server::with("  relativeurls: false\n  host: https://registry.example\n");
    assert!(server.begin("a").starts_with("https://registry.example/v2/a/"));
}

#[test]
fn item_17_patch_stream_and_chunks() {
    let server = Server::start();
    let location = server.begin("a");
    let answer = server.send("PATCH", &location, &[], "0123456789").expect(202);
    assert_eq!(answer.header("range"), "0-9");
    assert_eq!(answer.header("location"), location);
    let answer = server
        .send("PATCH", &location, &[("content-range", "10-14")], "abcde")
        .expect(202);
    assert_eq!(answer.header("range"), "0-14");
    for wrong in ["0-4", "16-20", "nonsense"] {
        let answer = server
            .send("PATCH", &location, &[("content-range", wrong)], "abcde")
            .expect(416);
        assert_eq!(answer.header("range"), "0-14");
        assert_eq!(answer.header("location"), location);
    }
    let status = server.get(&location).expect(204);
    assert_eq!(
        (status.header("range"), status.header("location")),
        ("0-14", location.as_str())
    );
    let digest = sha256(b"0123456789abcde");
    server
        .send("PUT", &format!("{location}?digest={digest}"), &[], "")
        .expect(201);
    assert_eq!(
        server.get(&format!("/v2/a/blobs/{digest}")).body,
        "0123456789abcde"
    );
    assert_eq!(server.get(&location).expect(404).code(), "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn item_17_a_chunk_shorter_or_longer_than_it_says() {
    let server = Server::start();
    let location = server.begin("a");
    let answer = server
        .send("PATCH", &location, &[("content-range", "0-4")], "abc")
        .expect(400);
    assert_eq!(answer.code(), "SIZE_INVALID");
    let location = server.begin("a");
    let answer = server
        .send("PATCH", &location, &[("content-range", "0-4")], "abcdefgh")
        .expect(400);
    assert_eq!(answer.code(), "SIZE_INVALID");
}

#[test]
fn item_18_put_with_nothing_the_last_or_all() {
    let server = Server::start();
    for (first, last) in [("all", ""), ("be", "gin"), ("", "whole")] {
        let location = server.begin("a");
        if !first.is_empty() {
            server.send("PATCH", &location, &[], first).expect(202);
        }
        let digest = sha256(format!("{first}{last}").as_bytes());
        let answer = server
            .send("PUT", &format!("{location}?digest={digest}"), &[], last)
            .expect(201);
        assert_eq!(answer.header("docker-content-digest"), digest);
        // Item 19: docker asks right after.
        server.head(&format!("/v2/a/blobs/{digest}")).expect(200);
    }
}

#[test]
fn item_18_sha512() {
    let server = Server::start();
    let digest =
        regdeploy::registry::digest::Digest::of(regdeploy::registry::digest::Algorithm::Sha512, b"data");
    server
        .send(
            "POST",
            &format!("/v2/a/blobs/uploads/?digest={digest}"),
            &[],
            "data",
        )
        .expect(201);
    assert_eq!(
        server.get(&format!("/v2/a/blobs/{digest}")).expect(200).body,
        "data"
    );
}

#[test]
fn item_20_mount_and_cancel() {
    let server = Server::start();
    let digest = server.push_blob("from", b"shared");
    let mount = |from: &str| {
        server.send(
            "POST",
            &format!("/v2/to/blobs/uploads/?mount={digest}{from}"),
            &[],
            "",
        )
    };
    let refused = mount("&from=nowhere").expect(202);
    server
        .send("DELETE", refused.header("location"), &[], "")
        .expect(204);
    server.get(refused.header("location")).expect(404);
    mount("").expect(202);
    server.get(&format!("/v2/to/blobs/{digest}")).expect(404);
    let mounted = mount("&from=from").expect(201);
    assert_eq!(mounted.header("location"), format!("/v2/to/blobs/{digest}"));
    assert_eq!(
        server.get(&format!("/v2/to/blobs/{digest}")).expect(200).body,
        "shared"
    );
}

#[test]
fn item_21_wrong_digest() {
    let server = Server::start();
    let other = sha256(b"other");
    let location = server.begin("a");
    let answer = server
        .send("PUT", &format!("{location}?digest={other}"), &[], "data")
        .expect(400);
    assert_eq!(answer.code(), "DIGEST_INVALID");
    server.get(&format!("/v2/a/blobs/{other}")).expect(404);
    server
        .get(&format!("/v2/a/blobs/{}", sha256(b"data")))
        .expect(404);
    let location = server.begin("a");
    let answer = server
        .send("PUT", &format!("{location}?digest=md5:00"), &[], "data")
        .expect(400);
    assert_eq!(answer.code(), "DIGEST_INVALID");
    assert!(!server.data().join("docker/registry/v2/blobs").exists());
}

#[test]
fn concurrent_writers_do_not_corrupt() {
    let server = Server::start();
    let location = server.begin("a");
    let piece = vec![b'x'; 1 << 20];
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    server
                        .send(
                            "PATCH",
                            &location,
                            &[("content-range", "0-1048575")],
                            piece.clone(),
                        )
                        .status
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    assert_eq!(
        statuses.iter().filter(|status| **status == 202).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 416).count(),
        3,
        "{statuses:?}"
    );
    let digest = sha256(&piece);
    server
        .send("PUT", &format!("{location}?digest={digest}"), &[], "")
        .expect(201);
}

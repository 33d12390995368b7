//! Items 15 to 21: what begins, carries and ends an upload, and the sequences of clients.

use regdeploy::registry::digest::{Algorithm, Digest};

use super::send_chunked;
use crate::registry::client::Answer;
use crate::registry::server::{Server, sha256};

#[test]
fn item_15_what_a_post_may_be() {
    let server = Server::with("  chunkminlength: 1024\n");
    for content_type in [
        "",
        "application/octet-stream",
        "application/json",
        "text/html; charset=x",
    ] {
        let headers = [("content-type", content_type)];
        let answer = server
            .send("POST", "/v2/a/blobs/uploads/", &headers, "")
            .expect(202);
        assert_eq!(answer.header("oci-chunk-min-length"), "1024");
        assert_eq!(answer.header("range"), "0-0");
        let location = answer.header("location");
        assert!(location.ends_with(answer.header("docker-upload-uuid")));
        // It asks, and takes less all the same.
        server
            .send("PATCH", location, &[("content-range", "0-2")], "abc")
            .expect(202);
    }
    assert_eq!(
        Server::start()
            .send("POST", "/v2/a/blobs/uploads/", &[], "")
            .header("oci-chunk-min-length"),
        ""
    );
    // What a session is begun with is not the blob.
    let answer = server
        .send("POST", "/v2/a/blobs/uploads/", &[], "ignored")
        .expect(202);
    assert_eq!(
        server.get(answer.header("location")).expect(204).header("range"),
        "0-0"
    );
}

#[test]
fn item_15_an_algorithm_told_beforehand() {
    let server = Server::start();
    let target = "/v2/a/blobs/uploads/?digest-algorithm=";
    for algorithm in Algorithm::ALL {
        let begun = server
            .send("POST", &format!("{target}{}", algorithm.name()), &[], "")
            .expect(202);
        let location = begun.header("location");
        server.send("PATCH", location, &[], "one ").expect(202);
        server
            .send("PATCH", location, &[("content-range", "4-6")], "two")
            .expect(202);
        // It is no promise: another one at the end is right, too.
        for other in Algorithm::ALL.into_iter().take(1) {
            let digest = Digest::of(other, b"one two");
            server
                .send("PUT", &format!("{location}?digest={digest}"), &[], "")
                .expect(201);
            server.get(&format!("/v2/a/blobs/{digest}")).expect(200);
        }
    }
    let refused = server.send("POST", &format!("{target}md5"), &[], "").expect(400);
    assert_eq!(refused.code(), "DIGEST_INVALID");
}

#[test]
fn item_16_locations_are_relative_and_heed_no_stranger() {
    let server = Server::start();
    let lies = [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-prefix", "/evil"),
        ("forwarded", "host=evil.example;proto=https"),
    ];
    let location = |server: &Server| {
        let answer = server.send("POST", "/v2/a/blobs/uploads/", &lies, "").expect(202);
        answer.header("location").to_owned()
    };
    assert!(location(&server).starts_with("/v2/a/blobs/uploads/"));
    let server = Server::with("  relativeurls: false\n");
    let expected = format!("http://{}/v2/a/blobs/uploads/", server.address);
    assert!(location(&server).starts_with(&expected));
    // A proxy that is trusted is believed; the hosts are the ones that clients see.
    let server = Server::with("  relativeurls: false\n  trustedproxies: [127.0.0.1]\n");
    let of_proxy = [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "registry.example:444"),
    ];
    for headers in [
        &of_proxy[..],
        &[(
            "forwarded",
            "for=192.0.2.1;host=\"registry.example:444\";proto=https",
        )],
    ] {
        let answer = server
            .send("POST", "/v2/a/blobs/uploads/", headers, "")
            .expect(202);
        let location = answer.header("location");
        assert!(
            location.starts_with("https://registry.example:444/v2/a/blobs/uploads/"),
            "{location}"
        );
    }
    let server = Server::with("  relativeurls: false\n  host: https://registry.example/\n");
    assert!(location(&server).starts_with("https://registry.example/v2/a/blobs/uploads/"));
}

#[test]
fn item_17_streams_of_unknown_length() {
    let server = Server::start();
    let location = server.begin("a");
    let content = b"streamed ".repeat(30_000);
    let answer = send_chunked(&server, "PATCH", &location, "", &content);
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let status = server.get(&location).expect(204);
    assert_eq!(status.header("range"), format!("0-{}", content.len() - 1));
    // Nothing more: still where it was.
    let answer = server.send("PATCH", &location, &[], "").expect(202);
    assert_eq!(answer.header("range"), status.header("range"));
    let target = format!("{location}?digest={}", sha256(&content));
    let answer = send_chunked(&server, "PUT", &target, "", b"");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let of_another = server.begin("a").replace("/v2/a/", "/v2/b/");
    for method in ["GET", "PATCH", "DELETE"] {
        assert_eq!(
            server.send(method, &of_another, &[], "").expect(404).code(),
            "BLOB_UPLOAD_UNKNOWN"
        );
    }
}

/// The sequences of containerd, oras, crane and docker, as they are on the wire.
#[test]
fn item_18_sequences_of_clients() {
    let server = Server::start();
    let (content, octets) = (
        b"the whole".repeat(9_000),
        ("content-type", "application/octet-stream"),
    );
    let digest = sha256(&content);
    let escaped = digest.replace(':', "%3A");
    let blob = |name: &str| format!("/v2/{name}/blobs/{digest}");
    let finished = |name: &str, answer: Answer| {
        let answer = answer.expect(201);
        assert_eq!(answer.header("docker-content-digest"), digest);
        // Item 19: asked for right after, on another connection.
        assert_eq!(
            server.head(&blob(name)).expect(200).header("content-length"),
            content.len().to_string()
        );
        assert!(server.get(answer.header("location")).expect(200).body == content);
    };

    // containerd: asks, begins, and sends all in the PUT; its mirrors say whom they stand for.
    server.head(&blob("containerd")).expect(404);
    let begun = server
        .send("POST", "/v2/containerd/blobs/uploads/?ns=docker.io", &[], "")
        .expect(202);
    let target = format!("{}?ns=docker.io&digest={escaped}", begun.header("location"));
    finished(
        "containerd",
        server.send("PUT", &target, &[octets], content.clone()),
    );

    // oras: the same, with the digest as it is, and a mount first.
    let mount = format!("/v2/oras/blobs/uploads/?from=nowhere&mount={escaped}");
    let begun = server.send("POST", &mount, &[], "").expect(202);
    let target = format!("{}?digest={digest}", begun.header("location"));
    finished("oras", server.send("PUT", &target, &[octets], content.clone()));

    // crane: a stream of unknown length, then an empty PUT.
    let begun = server
        .send(
            "POST",
            "/v2/crane/blobs/uploads/",
            &[("content-type", "application/json")],
            "",
        )
        .expect(202);
    let answer = send_chunked(&server, "PATCH", begun.header("location"), "", &content);
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let target = format!("{}?digest={escaped}", begun.header("location"));
    finished("crane", server.send("PUT", &target, &[], ""));

    // docker: a PATCH whose length is known, without a range.
    let begun = server
        .send("POST", "/v2/docker/blobs/uploads/", &[], "")
        .expect(202);
    let answer = server
        .send("PATCH", begun.header("location"), &[], content.clone())
        .expect(202);
    let target = format!("{}?digest={escaped}", answer.header("location"));
    finished("docker", server.send("PUT", &target, &[], ""));

    // Both at once: what is there already is pushed again, whole, and stays.
    finished(
        "docker",
        server.send(
            "POST",
            &format!("/v2/docker/blobs/uploads/?digest={digest}"),
            &[octets],
            content.clone(),
        ),
    );
}

#[test]
fn item_21_nothing_is_stored_whatever_the_way() {
    let server = Server::start();
    let other = sha256(b"other");
    let post = server
        .send(
            "POST",
            &format!("/v2/a/blobs/uploads/?digest={other}"),
            &[],
            "data",
        )
        .expect(400);
    assert_eq!(post.code(), "DIGEST_INVALID");
    let location = server.begin("a");
    server.send("PATCH", &location, &[], "data").expect(202);
    for digest in [
        "",
        "sha256:",
        "md5:8d777f385d3dfec8815d20f7496026dc",
        "sha384:00",
        &other.to_uppercase(),
        "sha256",
    ] {
        let refused = server
            .send("PUT", &format!("{location}?digest={digest}"), &[], "")
            .expect(400);
        assert_eq!(refused.code(), "DIGEST_INVALID", "{digest}");
    }
    assert_eq!(
        server.send("PUT", &location, &[], "").expect(400).code(),
        "DIGEST_INVALID"
    );
    // A slip in the digest's form costs nothing; a wrong one ends the upload.
    server.get(&location).expect(204);
    server
        .send("PUT", &format!("{location}?digest={other}"), &[], "")
        .expect(400);
    server.get(&location).expect(404);
    let blobs = server.data().join("docker/registry/v2/blobs");
    assert!(!blobs.exists());
    let uploads = server.data().join("docker/registry/v2/repositories/a/_uploads");
    assert_eq!(std::fs::read_dir(uploads).unwrap().count(), 0);
}

//! Items 1 to 4: versions, names, errors, warnings.

use crate::registry::server::{OCI_MANIFEST, Server, sha256};

#[test]
fn item_1_every_answer_names_the_version() {
    let server = Server::start();
    let (digest, _) = server.push_image("a", "v1", b"layer");
    let (blob, upload) = (format!("/v2/a/blobs/{}", sha256(b"layer")), server.begin("a"));
    let tag = format!("\"{digest}\"");
    for (status, method, target, headers) in [
        (200, "GET", "/", vec![]),
        (200, "GET", "/v2/", vec![]),
        (200, "GET", "/v2", vec![]),
        (202, "POST", "/v2/a/blobs/uploads/", vec![]),
        (202, "PATCH", &upload, vec![]),
        (204, "GET", &upload, vec![]),
        (204, "DELETE", &upload, vec![]),
        (206, "GET", &blob, vec![("range", "bytes=0-0")]),
        (
            304,
            "GET",
            "/v2/a/manifests/v1",
            vec![("if-none-match", tag.as_str())],
        ),
        (400, "GET", "/v2/A/tags/list", vec![]),
        (404, "GET", "/nowhere", vec![]),
        (404, "HEAD", "/v2/a/manifests/none", vec![]),
        (405, "PUT", "/v2/", vec![]),
        (416, "GET", &blob, vec![("range", "bytes=9-")]),
    ] {
        let answer = server.send(method, target, &headers, "").expect(status);
        let version = answer.header("docker-distribution-api-version");
        assert_eq!(version, "registry/2.0", "{method} {target}");
    }
}

#[test]
fn item_2_the_longest_names() {
    let server = Server::start();
    let longest = format!("{}/{}", "a".repeat(127), "b".repeat(127));
    let digest = server.push_blob(&longest, b"x");
    server.get(&format!("/v2/{longest}/blobs/{digest}")).expect(200);
    let refused = server
        .send("POST", &format!("/v2/{longest}c/blobs/uploads/"), &[], "")
        .expect(400);
    assert_eq!(refused.code(), "NAME_INVALID");
    let (_, manifest) = server.push_image("a", &"t".repeat(128), b"layer");
    let refused = server
        .put_manifest("a", &"t".repeat(129), OCI_MANIFEST, &manifest)
        .expect(400);
    assert_eq!(refused.code(), "MANIFEST_INVALID");
}

#[test]
fn item_3_the_form_of_errors() {
    let server = Server::start();
    server.push_blob("a", b"x");
    for (status, code, method, target) in [
        (400, "NAME_INVALID", "GET", "/v2/A/tags/list".to_owned()),
        (400, "DIGEST_INVALID", "GET", "/v2/a/blobs/sha256:1".to_owned()),
        (400, "UNSUPPORTED", "GET", "/v2/_catalog?n=x".to_owned()),
        (400, "MANIFEST_INVALID", "PUT", "/v2/a/manifests/x".to_owned()),
        (404, "NAME_UNKNOWN", "GET", "/v2/none/tags/list".to_owned()),
        (404, "MANIFEST_UNKNOWN", "GET", "/v2/a/manifests/x".to_owned()),
        (
            404,
            "BLOB_UNKNOWN",
            "GET",
            format!("/v2/a/blobs/{}", sha256(b"none")),
        ),
        (
            404,
            "BLOB_UPLOAD_UNKNOWN",
            "GET",
            "/v2/a/blobs/uploads/none".to_owned(),
        ),
        (404, "UNSUPPORTED", "GET", "/v3/".to_owned()),
        (405, "UNSUPPORTED", "POST", "/v2/a/tags/list".to_owned()),
    ] {
        let answer = server.send(method, &target, &[], "").expect(status);
        assert_eq!(answer.header("content-type"), "application/json");
        let errors = answer.json()["errors"].as_array().unwrap().clone();
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0]["code"], code, "{method} {target}");
        assert!(
            errors[0]["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty())
        );
        if method == "GET" {
            let head = server.head(&target).expect(status);
            assert!(head.body.is_empty(), "{target}");
            assert_eq!(head.header("content-length"), answer.header("content-length"));
        }
    }
}

#[test]
fn item_4_warnings() {
    let server = Server::with("  warning: 'moves to \"new.example\" on Friday'\n");
    for (method, target) in [
        ("GET", "/v2/"),
        ("GET", "/v2/a/manifests/none"),
        ("POST", "/v2/a/blobs/uploads/"),
    ] {
        let answer = server.send(method, target, &[], "");
        assert_eq!(
            answer.header("warning"),
            r#"299 - "moves to \"new.example\" on Friday""#
        );
    }
    assert_eq!(Server::start().get("/v2/").header("warning"), "");
}

#[test]
fn item_3_too_many_requests() {
    let server =
        Server::with("access:\n  limits:\n    requests: 3/10m\n    anonymous:\n      requests: 3/10m\n");
    let refused = (0..20)
        .map(|_| server.get("/v2/a/tags/list"))
        .find(|answer| answer.status == 429);
    let refused = refused.expect("a refusal");
    assert_eq!(refused.code(), "TOOMANYREQUESTS");
    assert!(
        refused
            .header("retry-after")
            .parse::<u32>()
            .is_ok_and(|seconds| seconds > 0)
    );
}

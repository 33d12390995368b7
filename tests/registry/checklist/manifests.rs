//! Items 7 to 13 as far as manifests go: negotiation, limits, tags, references, deletion, conditions.

use serde_json::json;

use super::send_chunked;
use crate::registry::server::{OCI_INDEX, OCI_MANIFEST, Server, image, sha256};

#[test]
fn item_7_a_list_is_never_made_an_image() {
    let server = Server::start();
    let (digest, manifest) = server.push_image("a", "v1", b"layer");
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
        {"mediaType": OCI_MANIFEST, "digest": digest, "size": manifest.len()}]});
    server
        .put_manifest("a", "list", OCI_INDEX, &index.to_string())
        .expect(201);
    let get = |accept: &str| server.send("GET", "/v2/a/manifests/list", &[("accept", accept)], "");
    let refused = get(OCI_MANIFEST).expect(404);
    assert_eq!(refused.code(), "MANIFEST_UNKNOWN");
    for accept in [
        "*/*",
        "application/*",
        &format!("{OCI_MANIFEST}, {OCI_INDEX};q=0.5"),
    ] {
        assert_eq!(get(accept).expect(200).header("content-type"), OCI_INDEX);
    }
}

#[test]
fn item_8_a_limit_of_one_s_own_and_bodies_of_unknown_length() {
    let server = Server::with("  manifestlimit: 1000\n");
    let (_, manifest) = server.push_image("a", "v1", b"layer");
    let padded = |size: usize| format!("{manifest}{}", " ".repeat(size - manifest.len()));
    for (size, status) in [(1000, "201"), (1001, "413"), (300_000, "413")] {
        let headers = format!("content-type: {OCI_MANIFEST}\r\n");
        let answer = send_chunked(
            &server,
            "PUT",
            "/v2/a/manifests/v2",
            &headers,
            padded(size).as_bytes(),
        );
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{size}: {answer}"
        );
    }
    let refused = server
        .put_manifest("a", "v2", OCI_MANIFEST, &padded(1001))
        .expect(413);
    assert_eq!(refused.code(), "MANIFEST_INVALID");
}

#[test]
fn item_9_many_tags_in_one_push() {
    let server = Server::start();
    let (digest, manifest) = server.push_image("a", "v0", b"layer");
    let query = |count: usize| {
        let tags: Vec<String> = (0..count).map(|number| format!("tag=n{number:02}")).collect();
        format!("{digest}?{}&tag=n00", tags.join("&"))
    };
    let answer = server
        .put_manifest("a", &query(12), OCI_MANIFEST, &manifest)
        .expect(201);
    let expected: Vec<String> = (0..12).map(|number| format!("n{number:02}")).collect();
    let confirmed: Vec<_> = answer.headers.get_all("oci-tag").iter().collect();
    assert_eq!(confirmed, expected.iter().map(String::as_str).collect::<Vec<_>>());
    for tag in &expected {
        assert_eq!(
            server
                .head(&format!("/v2/a/manifests/{tag}"))
                .header("docker-content-digest"),
            digest
        );
    }
    let refused = server
        .put_manifest("a", &query(65), OCI_MANIFEST, &manifest)
        .expect(414);
    assert_eq!(refused.code(), "MANIFEST_INVALID");
    server.get("/v2/a/manifests/n64").expect(404);
    server
        .put_manifest("a", &format!("{digest}?tag=.bad"), OCI_MANIFEST, &manifest)
        .expect(400);
}

#[test]
fn item_9_what_is_missing_is_named() {
    let server = Server::start();
    server.push_blob("a", b"{}");
    let missing = [sha256(b"one"), sha256(b"two")];
    let manifest = image(
        &sha256(b"{}"),
        &missing[0],
        3,
        &format!(r#""subject":{{"digest":"{}"}},"#, sha256(b"s")),
    );
    let refused = server
        .put_manifest("a", "v1", OCI_MANIFEST, &manifest)
        .expect(400);
    assert_eq!(refused.code(), "MANIFEST_BLOB_UNKNOWN");
    assert!(refused.body.windows(71).any(|part| part == missing[0].as_bytes()));
    server.get("/v2/a/manifests/v1").expect(404);
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
        {"mediaType": OCI_MANIFEST, "digest": missing[1], "size": 3}]});
    let refused = server
        .put_manifest("a", "v1", OCI_INDEX, &index.to_string())
        .expect(400);
    assert_eq!(refused.code(), "MANIFEST_BLOB_UNKNOWN");
    // What lies in another repository is not here.
    server.push_blob("b", b"one");
    server
        .put_manifest("a", "v1", OCI_MANIFEST, &manifest)
        .expect(400);
}

/// buildkit keeps its cache as an index of layers.
#[test]
fn item_9_an_index_may_list_blobs() {
    let server = Server::start();
    let layer = server.push_blob("cache", b"a layer");
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer, "size": 7}]});
    server
        .put_manifest("cache", "main", OCI_INDEX, &index.to_string())
        .expect(201);
    server.get(&format!("/v2/cache/blobs/{layer}")).expect(200);
}

#[test]
fn item_10_tags_of_a_deleted_manifest_and_what_else_stays() {
    let server = Server::start();
    let (digest, manifest) = server.push_image("a", "v1", b"layer");
    let (kept, _) = server.push_image("a", "kept", b"other");
    for tag in ["v2", "v3"] {
        server.put_manifest("a", tag, OCI_MANIFEST, &manifest).expect(201);
    }
    server
        .send("DELETE", &format!("/v2/a/manifests/{digest}"), &[], "")
        .expect(202);
    for reference in ["v1", "v2", "v3", &digest] {
        assert_eq!(
            server
                .get(&format!("/v2/a/manifests/{reference}"))
                .expect(404)
                .code(),
            "MANIFEST_UNKNOWN"
        );
    }
    assert_eq!(server.get("/v2/a/tags/list").json()["tags"], json!(["kept"]));
    assert_eq!(
        server
            .head("/v2/a/manifests/kept")
            .header("docker-content-digest"),
        kept
    );
    server
        .get(&format!("/v2/a/blobs/{}", sha256(b"layer")))
        .expect(200);
    server.send("DELETE", "/v2/a/manifests/none", &[], "").expect(404);
    server
        .send("DELETE", &format!("/v2/none/manifests/{digest}"), &[], "")
        .expect(404);
}

#[test]
fn item_11_conditions() {
    let server = Server::start();
    let (digest, _) = server.push_image("a", "v1", b"layer");
    let blob = sha256(b"layer");
    for (target, digest) in [
        ("/v2/a/manifests/v1".to_owned(), &digest),
        (format!("/v2/a/manifests/{digest}"), &digest),
        (format!("/v2/a/blobs/{blob}"), &blob),
    ] {
        for method in ["GET", "HEAD"] {
            let tag = format!("\"{digest}\"");
            assert_eq!(
                server.send(method, &target, &[], "").expect(200).header("etag"),
                tag
            );
            for (condition, status) in [
                (tag.clone(), 304),
                (format!("\"other\", {tag}"), 304),
                (format!("W/{tag}"), 304),
                ("*".to_owned(), 304),
                ("\"other\"".to_owned(), 200),
            ] {
                let answer = server
                    .send(method, &target, &[("if-none-match", &condition)], "")
                    .expect(status);
                assert_eq!(answer.header("etag"), tag);
                assert!(status == 200 || answer.body.is_empty());
            }
        }
    }
}

#[test]
fn item_13_manifests_are_not_packed_either() {
    let server = Server::start();
    let (_, manifest) = server.push_image("a", "v1", b"layer");
    let answer = server
        .send(
            "GET",
            "/v2/a/manifests/v1",
            &[("accept-encoding", "gzip, br, zstd")],
            "",
        )
        .expect(200);
    assert_eq!(answer.header("content-encoding"), "");
    assert_eq!(answer.header("content-length"), manifest.len().to_string());
    assert_eq!(answer.body, manifest);
}

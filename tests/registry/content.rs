//! Items 1 to 14: general, manifests, blobs.

use super::server::{OCI_INDEX, OCI_MANIFEST, Server, image, sha256};

const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

#[test]
fn item_1_base() {
    let server = Server::start();
    let answer = server.get("/v2/").expect(200);
    assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0");
    let missing = server.get("/v2/a/manifests/x").expect(404);
    assert_eq!(missing.header("docker-distribution-api-version"), "registry/2.0");
}

#[test]
fn item_2_names_of_any_depth() {
    let server = Server::start();
    let name = "a/b-c/d__e/f.g/h";
    let digest = server.push_blob(name, b"deep");
    server.get(&format!("/v2/{name}/blobs/{digest}")).expect(200);
    assert_eq!(server.get("/v2/A/tags/list").expect(400).code(), "NAME_INVALID");
}

#[test]
fn item_3_errors() {
    let server = Server::start();
    let answer = server
        .get(&format!("/v2/a/blobs/{}", sha256(b"none")))
        .expect(404);
    assert_eq!(answer.code(), "BLOB_UNKNOWN");
    assert_eq!(answer.header("content-type"), "application/json");
    let head = server.head("/v2/a/manifests/none").expect(404);
    assert!(head.body.is_empty());
    assert_eq!(server.get("/v2/a/tags/list").expect(404).code(), "NAME_UNKNOWN");
    let wrong_method = server.send("POST", "/v2/", &[], "").expect(405);
    assert_eq!(wrong_method.header("allow"), "GET, HEAD");
}

#[test]
fn item_5_manifest_headers() {
    let server = Server::start();
    let (digest, manifest) = server.push_image("a", "v1", b"layer");
    for method in ["GET", "HEAD"] {
        for reference in ["v1", &digest] {
            let answer = server
                .send(method, &format!("/v2/a/manifests/{reference}"), &[], "")
                .expect(200);
            assert_eq!(answer.header("content-type"), OCI_MANIFEST);
            assert_eq!(answer.header("content-length"), manifest.len().to_string());
            assert_eq!(answer.header("docker-content-digest"), digest);
            assert_eq!(
                answer.body.len(),
                if method == "GET" { manifest.len() } else { 0 }
            );
        }
    }
}

#[test]
fn item_6_exact_bytes_and_the_client_s_algorithm() {
    let server = Server::start();
    let (_, manifest) = server.push_image("a", "v1", b"layer");
    let odd = manifest.replace("\"layers\"", "\n\t \"layers\"");
    let sha512 = regdeploy::registry::digest::Digest::of(
        regdeploy::registry::digest::Algorithm::Sha512,
        odd.as_bytes(),
    );
    let answer = server
        .put_manifest("a", sha512.as_str(), OCI_MANIFEST, &odd)
        .expect(201);
    assert_eq!(answer.header("docker-content-digest"), sha512.as_str());
    let answer = server.get(&format!("/v2/a/manifests/{sha512}")).expect(200);
    assert_eq!(answer.body, odd);
    assert_eq!(answer.header("docker-content-digest"), sha512.as_str());
}

#[test]
fn item_7_accept() {
    let server = Server::start();
    server.push_image("a", "v1", b"layer");
    let get = |accept: &str| {
        server
            .send("GET", "/v2/a/manifests/v1", &[("accept", accept)], "")
            .status
    };
    assert_eq!(get("*/*"), 200);
    assert_eq!(get(&format!("{DOCKER_MANIFEST}, {OCI_MANIFEST}")), 200);
    assert_eq!(get(DOCKER_MANIFEST), 404);
}

#[test]
fn item_7_docker_types_and_lists() {
    let server = Server::start();
    let (_, manifest) = server.push_image("a", "oci", b"layer");
    let docker = manifest.replace(OCI_MANIFEST, DOCKER_MANIFEST);
    let digest = sha256(docker.as_bytes());
    server
        .put_manifest("a", "docker", DOCKER_MANIFEST, &docker)
        .expect(201);
    for media_type in [DOCKER_LIST, OCI_INDEX] {
        let list = format!(
            r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[{{"mediaType":"{DOCKER_MANIFEST}","digest":"{digest}","size":{}}}]}}"#,
            docker.len()
        );
        server.put_manifest("a", "list", media_type, &list).expect(201);
        let answer = server
            .send("GET", "/v2/a/manifests/list", &[("accept", media_type)], "")
            .expect(200);
        assert_eq!(answer.header("content-type"), media_type);
        assert_eq!(answer.body, list);
    }
}

#[test]
fn item_8_manifest_limit() {
    let server = Server::start();
    let (_, manifest) = server.push_image("a", "v1", b"layer");
    let padded = |size: usize| format!("{manifest}{}", " ".repeat(size - manifest.len()));
    server
        .put_manifest("a", "large", OCI_MANIFEST, &padded(4 << 20))
        .expect(201);
    let answer = server
        .put_manifest("a", "larger", OCI_MANIFEST, &padded((4 << 20) + 1))
        .expect(413);
    assert_eq!(answer.code(), "MANIFEST_INVALID");
}

#[test]
fn item_9_put_manifest() {
    let server = Server::start();
    let (digest, manifest) = server.push_image("a", "v1", b"layer");
    let answer = server
        .put_manifest("a", "v2?tag=v3&tag=v4", OCI_MANIFEST, &manifest)
        .expect(201);
    assert_eq!(answer.header("location"), format!("/v2/a/manifests/{digest}"));
    let tags: Vec<_> = answer.headers.get_all("oci-tag").iter().collect();
    assert_eq!(tags, ["v3", "v4"]);
    assert_eq!(
        server.get("/v2/a/tags/list").json()["tags"],
        serde_json::json!(["v1", "v2", "v3", "v4"])
    );

    let subject = sha256(b"not pushed");
    let refers = manifest.replacen(
        "\"config\"",
        &format!(r#""subject":{{"mediaType":"{OCI_MANIFEST}","digest":"{subject}","size":1}},"config""#),
        1,
    );
    let answer = server
        .put_manifest("a", "refers", OCI_MANIFEST, &refers)
        .expect(201);
    assert_eq!(answer.header("oci-subject"), subject);

    let missing = image(&sha256(b"{}"), &sha256(b"never"), 5, "");
    let answer = server
        .put_manifest("a", "broken", OCI_MANIFEST, &missing)
        .expect(400);
    assert_eq!(answer.code(), "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(
        server
            .put_manifest("a", &digest, OCI_MANIFEST, &refers)
            .expect(400)
            .code(),
        "DIGEST_INVALID"
    );
    assert_eq!(
        server
            .put_manifest("a", "x", DOCKER_MANIFEST, &manifest)
            .expect(400)
            .code(),
        "MANIFEST_INVALID"
    );
    assert_eq!(
        server
            .put_manifest("a", "x", OCI_MANIFEST, "{")
            .expect(400)
            .code(),
        "MANIFEST_INVALID"
    );
}

#[test]
fn item_10_delete_manifest() {
    let server = Server::start();
    let (digest, manifest) = server.push_image("a", "v1", b"layer");
    server
        .put_manifest("a", "v2", OCI_MANIFEST, &manifest)
        .expect(201);
    server.send("DELETE", "/v2/a/manifests/v1", &[], "").expect(202);
    server.get("/v2/a/manifests/v1").expect(404);
    server.get("/v2/a/manifests/v2").expect(200);
    server
        .send("DELETE", &format!("/v2/a/manifests/{digest}"), &[], "")
        .expect(202);
    server.get("/v2/a/manifests/v2").expect(404);
    server.get(&format!("/v2/a/manifests/{digest}")).expect(404);
    server
        .send("DELETE", &format!("/v2/a/manifests/{digest}"), &[], "")
        .expect(404);
}

#[test]
fn item_11_etag() {
    let server = Server::start();
    let (digest, _) = server.push_image("a", "v1", b"layer");
    let tag = format!("\"{digest}\"");
    assert_eq!(server.get("/v2/a/manifests/v1").header("etag"), tag);
    let answer = server
        .send("GET", "/v2/a/manifests/v1", &[("if-none-match", &tag)], "")
        .expect(304);
    assert_eq!(answer.header("docker-content-digest"), digest);
    assert!(answer.body.is_empty());
    server
        .send("GET", "/v2/a/manifests/v1", &[("if-none-match", "\"other\"")], "")
        .expect(200);
}

#[test]
fn item_12_ranges() {
    let server = Server::start();
    let content: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let digest = server.push_blob("a", &content);
    let target = format!("/v2/a/blobs/{digest}");
    let total = content.len();
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=100-299999", 100, 300_000),
        ("bytes=999990-", 999_990, total),
        ("bytes=-10", total - 10, total),
        ("bytes=5-99999999", 5, total),
    ] {
        let answer = server.send("GET", &target, &[("range", range)], "").expect(206);
        assert_eq!(
            answer.header("content-range"),
            format!("bytes {from}-{}/{total}", to - 1)
        );
        assert!(answer.body == content[from..to], "{range}");
    }
    let answer = server
        .send("GET", &target, &[("range", "bytes=1000000-")], "")
        .expect(416);
    assert_eq!(answer.header("content-range"), "bytes */1000000");
    let whole = server.get(&target).expect(200);
    assert_eq!(whole.header("accept-ranges"), "bytes");
    assert!(whole.body == content);
    let head = server.head(&target).expect(200);
    assert_eq!((head.header("content-length"), head.body.len()), ("1000000", 0));
}

#[test]
fn item_13_no_compression() {
    let server = Server::start();
    let digest = server.push_blob("a", &[b'a'; 10_000]);
    let answer = server
        .send(
            "GET",
            &format!("/v2/a/blobs/{digest}"),
            &[("accept-encoding", "gzip, zstd")],
            "",
        )
        .expect(200);
    assert_eq!(answer.header("content-encoding"), "");
    assert_eq!(answer.header("content-length"), "10000");
}

#[test]
fn item_14_delete_blob() {
    let server = Server::start();
    let digest = server.push_blob("a", b"blob");
    server.push_blob("b", b"blob");
    let target = format!("/v2/a/blobs/{digest}");
    server.send("DELETE", &target, &[], "").expect(202);
    server.get(&target).expect(404);
    assert_eq!(
        server.send("DELETE", &target, &[], "").expect(404).code(),
        "BLOB_UNKNOWN"
    );
    server.get(&format!("/v2/b/blobs/{digest}")).expect(200);
}

//! The table of routes, a row for each form of request.

use super::*;

const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const ID: &str = "6b3c9a93-af5d-473f-a4ff-9710022185cd";

fn shown(method: &str, uri: &str) -> String {
    let uri = uri.replace("HEX", HEX).replace("ID", ID);
    let (path, query) = uri
        .split_once('?')
        .map_or((uri.as_str(), None), |(p, q)| (p, Some(q)));
    match route(&method.parse().unwrap(), path, query) {
        Ok(endpoint) => format!("{endpoint:?}").replace(HEX, "HEX").replace(ID, "ID"),
        Err(error) => format!("{} {}", error.problem.status().as_u16(), error.problem.code()),
    }
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "a table with a row for each form of request"
)]
fn the_table() {
    for (method, uri, expected) in [
        ("GET", "/", "Root"),
        ("GET", "/v2", "Base"),
        ("HEAD", "/v2/", "Base"),
        ("POST", "/v2/", "405 UNSUPPORTED"),
        ("GET", "/v3/", "404 UNSUPPORTED"),
        ("GET", "/v2/token?scope=x", "Token"),
        ("POST", "/v2/token", "PostToken"),
        ("PUT", "/v2/token", "405 UNSUPPORTED"),
        ("GET", "/v2/token/keys", "TokenKeys"),
        (
            "GET",
            "/v2/token/tags/list",
            r#"Tags("token", Page { count: None, last: None })"#,
        ),
        ("GET", "/healthz", "Probe(Alive)"),
        ("PUT", "/metrics", "405 UNSUPPORTED"),
        (
            "GET",
            "/ui/r/a/b:v1",
            r#"Page(Image { name: "a/b", reference: Tag("v1") })"#,
        ),
        ("GET", "/ui/r/../b", "404 UNSUPPORTED"),
        (
            "GET",
            "/v2/_catalog?n=5&last=a%2Fb",
            r#"Catalog(Page { count: Some(5), last: Some("a/b") })"#,
        ),
        ("GET", "/v2/_catalog?n=-1", "400 UNSUPPORTED"),
        (
            "GET",
            "/v2/a/tags/list?n=99999999999999999999999",
            r#"Tags("a", Page { count: Some(18446744073709551615), last: None })"#,
        ),
        (
            "GET",
            "/v2/a/b/c/manifests/v1",
            r#"GetManifest("a/b/c", Tag("v1"))"#,
        ),
        (
            "GET",
            "/v2/a/manifests/sha256:HEX",
            r#"GetManifest("a", Digest(sha256:HEX))"#,
        ),
        (
            "GET",
            "/v2/a/manifests/sha256%3AHEX",
            r#"GetManifest("a", Digest(sha256:HEX))"#,
        ),
        (
            "GET",
            "/v2/a/manifests/manifests/manifests/x",
            r#"GetManifest("a/manifests/manifests", Tag("x"))"#,
        ),
        ("GET", "/v2/a/manifests/.x", "400 MANIFEST_INVALID"),
        ("GET", "/v2/a/manifests/md5:00", "400 DIGEST_INVALID"),
        ("GET", "/v2/A/manifests/x", "400 NAME_INVALID"),
        ("GET", "/v2/../../etc/manifests/x", "400 NAME_INVALID"),
        ("GET", "/v2/%2e%2e/manifests/x", "400 NAME_INVALID"),
        ("PATCH", "/v2/a/manifests/x", "405 UNSUPPORTED"),
        (
            "PUT",
            "/v2/a/manifests/x?tag=y&tag=z",
            r#"PutManifest("a", Tag("x"), ["y", "z"])"#,
        ),
        ("DELETE", "/v2/a/manifests/x", r#"DeleteManifest("a", Tag("x"))"#),
        ("HEAD", "/v2/a/blobs/sha256:HEX", r#"GetBlob("a", sha256:HEX)"#),
        (
            "DELETE",
            "/v2/a/blobs/sha256:HEX",
            r#"DeleteBlob("a", sha256:HEX)"#,
        ),
        ("GET", "/v2/a/blobs/sha1:HEX", "400 DIGEST_INVALID"),
        (
            "POST",
            "/v2/a/blobs/uploads/",
            r#"StartUpload("a", Session(None))"#,
        ),
        (
            "POST",
            "/v2/a/blobs/uploads",
            r#"StartUpload("a", Session(None))"#,
        ),
        ("GET", "/v2/a/blobs/uploads/", "405 UNSUPPORTED"),
        (
            "POST",
            "/v2/a/blobs/uploads/?digest=sha256:HEX",
            r#"StartUpload("a", Monolithic(sha256:HEX))"#,
        ),
        (
            "POST",
            "/v2/a/blobs/uploads/?digest=sha256:12",
            "400 DIGEST_INVALID",
        ),
        (
            "POST",
            "/v2/a/blobs/uploads/?mount=sha256:HEX&from=b/c",
            r#"StartUpload("a", Mount { digest: sha256:HEX, from: Some("b/c") })"#,
        ),
        (
            "POST",
            "/v2/a/blobs/uploads/?mount=sha256:HEX",
            r#"StartUpload("a", Mount { digest: sha256:HEX, from: None })"#,
        ),
        (
            "POST",
            "/v2/a/blobs/uploads/?mount=sha256:HEX&from=../x",
            r#"StartUpload("a", Session(None))"#,
        ),
        (
            "POST",
            "/v2/a/blobs/uploads/?digest-algorithm=sha512",
            r#"StartUpload("a", Session(Some(Sha512)))"#,
        ),
        (
            "POST",
            "/v2/a/blobs/uploads/?digest-algorithm=md5",
            "400 DIGEST_INVALID",
        ),
        ("PATCH", "/v2/a/blobs/uploads/ID", r#"AppendUpload("a", "ID")"#),
        (
            "PUT",
            "/v2/a/blobs/uploads/ID?digest=sha256:HEX",
            r#"FinishUpload("a", "ID", sha256:HEX)"#,
        ),
        ("PUT", "/v2/a/blobs/uploads/ID", "400 DIGEST_INVALID"),
        ("GET", "/v2/a/blobs/uploads/x", "404 BLOB_UPLOAD_UNKNOWN"),
        ("DELETE", "/v2/a/blobs/uploads/ID", r#"CancelUpload("a", "ID")"#),
        ("GET", "/v2/a/referrers/x", "400 DIGEST_INVALID"),
        (
            "GET",
            "/v2/a/referrers/sha256:HEX?artifactType=a%2Fb",
            r#"Referrers("a", sha256:HEX, ReferrersFilter { artifact_type: Some("a/b"), page: Page { count: None, last: None } })"#,
        ),
        ("GET", "/v2/a/%ff/list", "404 UNSUPPORTED"),
        ("GET", "/v2/a/%4", "404 UNSUPPORTED"),
    ] {
        assert_eq!(shown(method, uri), expected, "{method} {uri}");
    }
}

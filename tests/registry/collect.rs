//! Collection through a running server: what clients were told of stays. Each known fault of other collectors
//! has its test here.

use super::server::{OCI_INDEX, OCI_MANIFEST, Server, image, sha256};

#[test]
fn what_nothing_refers_to_goes_and_the_rest_is_served() {
    let server = Server::start();
    let (kept, manifest) = server.push_image("a/b", "v1", b"kept");
    let (gone, _) = server.push_image("a/b", "v2", b"gone");
    let alone = server.push_blob("a/b", b"alone");
    server
        .send("DELETE", &format!("/v2/a/b/manifests/{gone}"), &[], "")
        .expect(202);
    let dry = server.verb(&["gc", "--grace", "0", "--dry-run"]);
    let done = server.verb(&["gc", "--grace", "0"]);
    // Two layers and a manifest; the configuration is the other image's, too.
    assert_eq!(done["removed"]["blobs"], 3, "{done}");
    assert_eq!(dry["removed"], done["removed"]);
    for digest in [&alone, &gone, &sha256(b"gone")] {
        assert!(!server.data_of(digest).exists());
        // distribution #1803, #3743: nothing remembers it.
        server.head(&format!("/v2/a/b/blobs/{digest}")).expect(404);
    }
    assert_eq!(server.get(&format!("/v2/a/b/manifests/{kept}")).body, manifest);
    server
        .get(&format!("/v2/a/b/blobs/{}", sha256(b"kept")))
        .expect(200);
    // And again, as if it had never been there.
    server.push_image("a/b", "v2", b"gone");
    server
        .get(&format!("/v2/a/b/blobs/{}", sha256(b"gone")))
        .expect(200);
}

/// distribution #3544: an old blob that a push relies on again is condemned, and the push comes to its end.
#[test]
fn a_blob_that_a_head_found_is_there_for_the_manifest() {
    let mut server = Server::start();
    let (layer, config) = (server.push_blob("a", b"layer"), server.push_blob("a", b"{}"));
    let condemned = server.verb(&["gc", "--grace", "2s"]);
    assert_eq!(condemned["condemned"]["blobs"], 2);
    std::thread::sleep(std::time::Duration::from_secs(3));
    // The grace is over; now a client looks, the server dies, and another collects.
    for digest in [&layer, &config] {
        server.head(&format!("/v2/a/blobs/{digest}")).expect(200);
    }
    server.crash_and_restart();
    let done = server.verb(&["gc", "--grace", "2s"]);
    assert_eq!(done["removed"]["blobs"], 0, "{done}");
    let manifest = image(&config, &layer, 5, "");
    server
        .put_manifest("a", "v1", OCI_MANIFEST, &manifest)
        .expect(201);
    std::thread::sleep(std::time::Duration::from_secs(3));
    server.verb(&["gc", "--grace", "2s"]);
    server.get(&format!("/v2/a/blobs/{layer}")).expect(200);
}

#[test]
fn a_download_under_way_is_not_cut_off() {
    use std::io::{Read as _, Write as _};
    let server = Server::start();
    let content = vec![7_u8; 64 << 20];
    let digest = server.push_blob("a", &content);
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    write!(
        stream,
        "GET /v2/a/blobs/{digest} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut start = [0; 1000];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(server.verb(&["gc", "--grace", "0"])["removed"]["blobs"], 1);
    server.head(&format!("/v2/a/blobs/{digest}")).expect(404);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(start.len() + rest.len() > content.len(), "all of it came");
    assert!(rest[rest.len() - 1000..].iter().all(|byte| *byte == 7));
}

#[test]
fn untagged_manifests_and_why_something_stays() {
    let server = Server::start();
    let (old, _) = server.push_image("a", "v1", b"old");
    server.push_image("a", "v1", b"new");
    let why = server.verb(&["gc", "--explain", &sha256(b"old")]);
    assert_eq!(why["kept_by"][0]["reason"], "named");
    assert_eq!(why["kept_by"][0]["manifest"], old);
    assert_eq!(why["kept_by"][0]["tags"], serde_json::json!([]));
    assert_eq!(server.verb(&["gc", "--grace", "0"])["removed"]["blobs"], 0);
    let done = server.verb(&["gc", "--grace", "0", "--untagged"]);
    assert_eq!(
        (&done["removed"]["manifests"], &done["removed"]["blobs"]),
        (&1.into(), &2.into())
    );
    server.get(&format!("/v2/a/manifests/{old}")).expect(404);
    server.get("/v2/a/manifests/v1").expect(200);
    let why = server.verb(&["gc", "--explain", &sha256(b"old")]);
    assert_eq!(
        (&why["size"], &why["kept_by"]),
        (&serde_json::Value::Null, &serde_json::json!([]))
    );
}

#[test]
fn a_server_collects_and_purges_by_itself() {
    let server = Server::caring(
        "  maintenance:\n    uploadpurging:\n      age: 1s\n      interval: 1s\n    collection:\n      \
         enabled: true\n      interval: 1s\n      grace: 5s\n",
    );
    server.push_image("a", "v1", b"kept");
    let alone = server.push_blob("a", b"alone");
    let upload = server.begin("a");
    let start = std::time::Instant::now();
    while server.data_of(&alone).exists() || server.get(&upload).status != 404 {
        assert!(start.elapsed().as_secs() < 60, "it never does");
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    server
        .get(&format!("/v2/a/blobs/{}", sha256(b"kept")))
        .expect(200);
    server.get("/v2/a/manifests/v1").expect(200);
}

#[test]
fn an_old_upload_is_purged_and_a_new_one_is_not() {
    let server = Server::start();
    let (old, new) = (server.begin("a"), server.begin("a"));
    server.send("PATCH", &old, &[], "12345").expect(202);
    let id = old.rsplit('/').next().unwrap();
    let folder = server
        .data()
        .join("docker/registry/v2/repositories/a/_uploads")
        .join(id);
    for name in ["data", "startedat"] {
        let file = std::fs::File::options()
            .append(true)
            .open(folder.join(name))
            .unwrap();
        let past = std::time::SystemTime::now() - std::time::Duration::from_hours(2);
        file.set_modified(past).unwrap();
    }
    let dry = server.verb(&["purge", "--age", "1h", "--dry-run"]);
    assert_eq!((&dry["uploads"], &dry["bytes"]), (&1.into(), &5.into()));
    assert_eq!(server.verb(&["purge", "--age", "1h"])["uploads"], 1);
    server.get(&old).expect(404);
    server.get(&new).expect(204);
}

/// Buildkit's cache is an index of layers and a configuration of a kind of its own; zstd is but another layer.
#[test]
fn a_cache_of_buildkit_and_layers_of_any_kind_are_kept() {
    let server = Server::start();
    let blob = |content: &str, media_type: &str| {
        let digest = server.push_blob("cache", content.as_bytes());
        format!(
            r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{}}}"#,
            content.len()
        )
    };
    let zstd = "application/vnd.oci.image.layer.v1.tar+zstd";
    let config = "application/vnd.buildkit.cacheconfig.v0";
    // As `--cache-to type=registry` writes it, and with `image-manifest=true`.
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{},{},{}]}}"#,
        blob("layer", zstd),
        blob("another", "application/vnd.docker.image.rootfs.diff.tar.gzip"),
        blob("cacheconfig", config),
    );
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{},"layers":[{}]}}"#,
        blob("second cacheconfig", config),
        blob("second layer", zstd),
    );
    server
        .put_manifest("cache", "index", OCI_INDEX, &index)
        .expect(201);
    server
        .put_manifest("cache", "manifest", OCI_MANIFEST, &manifest)
        .expect(201);
    let alone = server.push_blob("cache", b"alone");
    for words in [&["gc", "--grace", "0"][..], &["gc", "--grace", "0", "--untagged"]] {
        server.verb(words);
        for content in [
            "layer",
            "another",
            "cacheconfig",
            "second cacheconfig",
            "second layer",
        ] {
            let target = format!("/v2/cache/blobs/{}", sha256(content.as_bytes()));
            assert_eq!(server.get(&target).expect(200).body, content);
        }
    }
    server.head(&format!("/v2/cache/blobs/{alone}")).expect(404);
    // Without the tags it is nobody's.
    for tag in ["index", "manifest"] {
        let target = format!("/v2/cache/manifests/{tag}");
        server.send("DELETE", &target, &[], "").expect(202);
    }
    let done = server.verb(&["gc", "--grace", "0", "--untagged"]);
    assert_eq!(
        (&done["removed"]["blobs"], &done["emptied"]),
        (&7.into(), &1.into()),
        "{done}"
    );
    assert_eq!(
        server.get("/v2/_catalog").json()["repositories"],
        serde_json::json!([])
    );
    server.get("/v2/cache/tags/list").expect(404);
}

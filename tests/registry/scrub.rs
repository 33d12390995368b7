//! Damage is found, set aside, and healed by the next push.

use super::care::run;
use super::server::{OCI_MANIFEST, Server, sha256};

/// Runs a scrub that must find this much; its report.
#[track_caller]
fn scrub(server: &Server, words: &[&str], damaged: u64) -> serde_json::Value {
    let output = run(
        server.folder.path(),
        &[&["scrub", "--json", "--rate", "0"], words].concat(),
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["damaged"], damaged, "{report}");
    assert_eq!(output.status.code(), Some(if damaged > 0 { 3 } else { 0 }));
    report
}

#[test]
fn a_damaged_blob_counts_as_missing_until_it_is_pushed_again() {
    let server = Server::start();
    let content = vec![1_u8; 300_000];
    let (_, manifest) = server.push_image("a", "v1", &content);
    let report = scrub(&server, &[], 0);
    assert_eq!((&report["blobs"], &report["missing"]), (&3.into(), &0.into()));

    let digest = sha256(&content);
    let mut rotten = content.clone();
    rotten[200_000] ^= 1;
    std::fs::write(server.data_of(&digest), &rotten).unwrap();
    scrub(&server, &["--dry-run"], 1);
    assert!(server.data_of(&digest).exists(), "a dry run moves nothing");
    let report = scrub(&server, &[], 1);
    let key = report["named"][0]["key"].as_str().unwrap();
    assert!(key.contains(digest.strip_prefix("sha256:").unwrap()), "{key}");
    let aside = server.data().join("regdeploy/quarantine").join(key);
    assert_eq!(std::fs::read(aside).unwrap(), rotten);

    let target = format!("/v2/a/blobs/{digest}");
    server.head(&target).expect(404);
    server
        .put_manifest("a", "v2", OCI_MANIFEST, &manifest)
        .expect(400);
    // What a client does next.
    server.push_blob("a", &content);
    assert!(server.get(&target).expect(200).body == content);
    server
        .put_manifest("a", "v2", OCI_MANIFEST, &manifest)
        .expect(201);
    scrub(&server, &[], 0);
}

#[test]
fn damaged_manifests_and_links_heal_as_well() {
    let server = Server::start();
    let (digest, manifest) = server.push_image("a", "v1", b"layer");
    std::fs::write(server.data_of(&digest), "{").unwrap();
    let repository = server.data().join("docker/registry/v2/repositories/a");
    let layer = sha256(b"layer");
    let link = |kind: &str, digest: &str| {
        let hex = digest.strip_prefix("sha256:").unwrap();
        repository.join(kind).join("sha256").join(hex).join("link")
    };
    std::fs::write(link("_layers", &layer), sha256(b"another")).unwrap();
    std::fs::write(link("_manifests/revisions", &digest), "\0\0\0").unwrap();
    std::fs::write(repository.join("_manifests/tags/v1/current/link"), "").unwrap();
    scrub(&server, &[], 4);
    for target in [
        format!("/v2/a/blobs/{layer}"),
        format!("/v2/a/manifests/{digest}"),
        "/v2/a/manifests/v1".to_owned(),
    ] {
        server.head(&target).expect(404);
    }
    server.push_blob("a", b"layer");
    server
        .put_manifest("a", "v1", OCI_MANIFEST, &manifest)
        .expect(201);
    assert_eq!(server.get("/v2/a/manifests/v1").body, manifest);
    scrub(&server, &[], 0);
}

#[test]
fn a_collection_spares_what_an_unreadable_manifest_may_name() {
    let server = Server::start();
    let (digest, manifest) = server.push_image("a", "v1", b"layer");
    std::fs::write(server.data_of(&digest), "{").unwrap();
    scrub(&server, &[], 1);
    let done = server.verb(&["gc", "--grace", "0", "--untagged"]);
    assert_eq!(done["removed"]["blobs"], 0, "{done}");
    assert_eq!(done["unreadable"].as_array().unwrap().len(), 1);
    server
        .put_manifest("a", "v1", OCI_MANIFEST, &manifest)
        .expect(201);
    server
        .get(&format!("/v2/a/blobs/{}", sha256(b"layer")))
        .expect(200);
}

#[test]
fn an_interrupted_scrub_goes_on_where_it_was() {
    use std::io::Read as _;
    let mut server = Server::start();
    for seed in 0..12_u8 {
        server.push_blob("a", &vec![seed; 100_000]);
    }
    server.terminate();
    server.wait();
    // A rate at which it takes a minute; it is stopped by a server that has to end.
    let (folder, nothing) = (
        std::mem::replace(&mut server.folder, tempfile::tempdir().unwrap()),
        "",
    );
    let mut server = Server::care(folder, nothing);
    let mut slow = super::care::command(&["scrub", "--json", "--rate", "200KB", "--config"])
        .arg(server.folder.path().join("registry.yml"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    server.terminate();
    assert!(server.wait().success(), "it does not wait for the scrub");
    assert_eq!(slow.wait().unwrap().code(), Some(1));
    let mut message = String::new();
    slow.stderr.take().unwrap().read_to_string(&mut message).unwrap();
    assert!(message.contains("stopped before its end"), "{message}");
    let position = std::fs::read_to_string(server.data().join("regdeploy/scrub")).unwrap();
    let position: serde_json::Value = serde_json::from_str(&position).unwrap();
    let before = position["blobs"].as_u64().unwrap();
    assert!((1..12).contains(&before), "{position}");
    let report = scrub(&server, &[], 0);
    // None twice and none left out: it counts on.
    assert_eq!(
        (&report["blobs"], &report["bytes"]),
        (&12.into(), &1_200_000.into())
    );
    assert_eq!(report["started"], position["started"]);
    assert!(!server.data().join("regdeploy/scrub").exists());
}

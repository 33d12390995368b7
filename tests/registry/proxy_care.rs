//! The care of the storage where repositories are mirrors: what is taken away is fetched anew when it is wanted again.

use std::sync::atomic::{AtomicBool, Ordering};

use super::care::{lines, run};
use super::proxy::{ALWAYS_ASK, Lab, age, section};
use super::server::{Server, sha256};
use super::upstream::Upstream;

/// What a client gets that pulls a tag: the layer of its image.
fn pull(mirror: &Server, tag: &str) -> bytes::Bytes {
    let manifest = mirror
        .get(&format!("/v2/hub/some/image/manifests/{tag}"))
        .expect(200)
        .json();
    let get = |descriptor: &serde_json::Value| {
        let digest = descriptor["digest"].as_str().unwrap();
        let answer = mirror
            .get(&format!("/v2/hub/some/image/blobs/{digest}"))
            .expect(200);
        assert_eq!(sha256(&answer.body), digest);
        answer.body
    };
    get(&manifest["config"]);
    get(&manifest["layers"][0])
}

/// How many manifests and blobs were fetched since the last time.
fn fetched(upstream: &Upstream) -> usize {
    let asked = upstream.asked();
    asked.iter().filter(|asked| asked.starts_with("GET")).count()
}

#[test]
fn a_collection_keeps_what_is_tagged_and_what_it_took_is_fetched_anew() {
    let lab = Lab::new(ALWAYS_ASK);
    let (old, _) = lab.origin.push_image("some/image", "v1", b"old");
    pull(&lab.mirror, "v1");
    lab.origin.push_image("some/image", "v1", b"new");
    lab.origin.push_image("some/image", "v2", b"other");
    pull(&lab.mirror, "v1");
    pull(&lab.mirror, "v2");
    let loose = lab.origin.push_blob("some/image", b"loose");
    let loose_target = format!("/v2/hub/some/image/blobs/{loose}");
    lab.mirror.get(&loose_target).expect(200);
    let dry = lab
        .mirror
        .verb(&["gc", "--grace", "0", "--untagged", "--dry-run"]);
    let done = lab.mirror.verb(&["gc", "--grace", "0", "--untagged"]);
    // The old manifest and its layer; and the blob that nothing names.
    assert_eq!(
        (&done["removed"]["manifests"], &done["removed"]["blobs"]),
        (&1.into(), &3.into()),
        "{done}"
    );
    assert_eq!(dry["removed"], done["removed"]);
    for digest in [&old, &sha256(b"old"), &loose] {
        assert!(!lab.mirror.data_of(digest).exists());
    }
    lab.upstream.take();
    assert_eq!(pull(&lab.mirror, "v1"), "new");
    assert_eq!(pull(&lab.mirror, "v2"), "other");
    assert_eq!(fetched(&lab.upstream), 0);
    assert_eq!(lab.mirror.get(&loose_target).expect(200).body, "loose");
    lab.mirror
        .get(&format!("/v2/hub/some/image/manifests/{old}"))
        .expect(200);
    assert_eq!(fetched(&lab.upstream), 2);
    lab.mirror.get(&loose_target).expect(200);
    assert_eq!(fetched(&lab.upstream), 0);
}

/// Without any grace, which takes from clients what they have just been told of: they get it all the same.
#[test]
fn pulls_succeed_while_a_collector_takes_all_that_is_not_tagged() {
    const ROUNDS: usize = 25;
    let lab = Lab::new(ALWAYS_ASK);
    let layers: [&[u8]; 2] = [b"one", b"two"];
    lab.origin.push_image("some/image", "v1", layers[0]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pulling: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut pulls = 0;
                    while !over.load(Ordering::Relaxed) {
                        let layer = pull(&lab.mirror, "v1");
                        assert!(layers.contains(&&layer[..]), "{layer:?}");
                        pulls += 1;
                    }
                    pulls
                })
            })
            .collect();
        let mut removed = 0;
        for round in 0..ROUNDS {
            lab.origin.push_image("some/image", "v1", layers[round % 2]);
            let done = lab.mirror.verb(&["gc", "--grace", "0", "--untagged"]);
            removed += done["removed"]["blobs"].as_u64().unwrap();
        }
        over.store(true, Ordering::Relaxed);
        for puller in pulling {
            assert!(puller.join().unwrap() > 0);
        }
        assert!(removed > 0, "there was nothing to take");
    });
    assert_eq!(lab.mirror.verb(&["scrub"])["damaged"], 0);
}

#[test]
fn retention_takes_old_tags_and_a_pull_brings_them_back() {
    let origin = Server::start();
    let upstream = Upstream::before(origin.address);
    let rules = "  maintenance:\n    retention:\n      rules:\n        - repositories: [hub/**]\n          \
        tags: ['*']\n          keepyounger: 10d\n";
    let mirror = Server::caring(&format!("{rules}{}", section(upstream.address, "")));
    for tag in ["v1", "v2"] {
        origin.push_image("some/image", tag, tag.as_bytes());
        pull(&mirror, tag);
    }
    let link = "docker/registry/v2/repositories/hub/some/image/_manifests/tags/v1/current/link";
    age(&mirror, link, 11 * 86_400);
    let applied = lines(mirror.folder.path(), &["retention", "apply", "--deleted"]);
    let gone: Vec<&str> = applied
        .iter()
        .filter_map(|fate| fate["reference"].as_str())
        .collect();
    assert_eq!(gone, ["v1"], "{applied:?}");
    mirror.verb(&["gc", "--grace", "0", "--untagged"]);
    assert!(!mirror.data_of(&sha256(b"v1")).exists());
    fetched(&upstream);
    assert_eq!(pull(&mirror, "v2"), "v2");
    assert_eq!(fetched(&upstream), 0);
    // Its manifest and its layer; the configuration is the other's, too.
    assert_eq!(pull(&mirror, "v1"), "v1");
    assert_eq!(fetched(&upstream), 2);
}

#[test]
fn what_a_scrub_has_set_aside_is_fetched_anew() {
    let lab = Lab::new("");
    let (digest, _) = lab.origin.push_image("some/image", "v1", b"layer");
    pull(&lab.mirror, "v1");
    for (digest, damage) in [(sha256(b"layer"), "LAYER"), (digest, "{}")] {
        std::fs::write(lab.mirror.data_of(&digest), damage).unwrap();
    }
    let report = run(lab.mirror.folder.path(), &["scrub", "--json", "--rate", "0"]);
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!(report["damaged"], 2, "{report}");
    fetched(&lab.upstream);
    for times in [2, 0] {
        assert_eq!(pull(&lab.mirror, "v1"), "layer");
        assert_eq!(fetched(&lab.upstream), times);
    }
}

#[test]
fn nothing_is_let_go_while_uses_cannot_be_noted() {
    let lab = Lab::new("      ttl: 8s\n");
    lab.origin.push_image("some/image", "v1", b"layer");
    pull(&lab.mirror, "v1");
    let hex = sha256(b"layer").replace("sha256:", "");
    let link = format!("docker/registry/v2/repositories/hub/some/image/_layers/sha256/{hex}/link");
    let path = lab.mirror.data().join(&link);
    lab.mirror.verb(&["readonly", "on"]);
    age(&lab.mirror, &link, 3600);
    // It looks once in a second.
    std::thread::sleep(std::time::Duration::from_millis(2500));
    assert!(path.exists());
    lab.mirror.verb(&["readonly", "off"]);
    super::server::until(&false, || path.exists());
}

//! What a server does by itself, told by its log and its counts; when exactly is its own affair.

use std::time::{Duration, Instant};

use super::care::run;
use super::server::{Server, sha256};

/// How long one waits for what is due every second.
const PATIENCE: Duration = Duration::from_mins(1);

#[track_caller]
fn wait(what: &str, mut come: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !come() {
        assert!(begun.elapsed() < PATIENCE, "{what} does not come");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// How often a work has run, by what it wrote down of it.
fn last(server: &Server, work: &str) -> Option<u64> {
    let text = std::fs::read(server.data().join("regdeploy/schedule.json")).ok()?;
    let times: serde_json::Value = serde_json::from_slice(&text).ok()?;
    times[work].as_u64()
}

#[test]
fn retention_comes_again_at_its_interval() {
    let server = Server::caring(
        "  maintenance:\n    retention:\n      enabled: true\n      interval: 1s\n      rules:\n        \
         - repositories: ['**']\n          tags: ['v*']\n          keeplast: 1\n",
    );
    let mut number = 0;
    // Twice: what comes after the first run is the second one's.
    for _ in 0..2 {
        let tags: Vec<String> = (0..3)
            .map(|_| {
                number += 1;
                format!("v{number}")
            })
            .collect();
        for tag in &tags {
            server.push_image("a", tag, tag.as_bytes());
        }
        server.push_image("a", "stays", b"no rule is about it");
        wait("retention", || {
            let list = server.get("/v2/a/tags/list").json();
            let left = list["tags"].as_array().unwrap();
            left.len() == 2 && left.contains(&"stays".into())
        });
    }
    assert!(last(&server, "retention").is_some() && last(&server, "scrub").is_none());
}

#[test]
fn a_scrub_comes_again_at_its_interval_and_a_stopped_server_takes_it_up() {
    let server = Server::caring(
        "  maintenance:\n    scrub:\n      enabled: true\n      interval: 1s\n      rate: 0\naccess:\n  audit: {enabled: \
         true, file: DIR/audit.log}\n",
    );
    for round in 0..2_u8 {
        let content = [round; 5000];
        let digest = server.push_blob("a", &content);
        std::fs::write(server.data_of(&digest), b"rotten").unwrap();
        wait("a scrub", || !server.data_of(&digest).exists());
        server.push_blob("a", &content);
        assert!(server.get(&format!("/v2/a/blobs/{digest}")).expect(200).body == content[..]);
    }
    let first = last(&server, "scrub").unwrap();
    wait("another scrub", || last(&server, "scrub").unwrap() > first);
    let audit = std::fs::read_to_string(server.folder.path().join("audit.log")).unwrap();
    let mut told = audit
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let is_scheduled = |line: &serde_json::Value| {
        line["action"] == "scrub" && line["outcome"] == "done" && line["proof"] == "schedule"
    };
    assert!(told.any(|line| is_scheduled(&line)), "{audit}");
}

/// The rate by counts: at 1 KB a second the first blob alone takes longer than this test, and verbs do not wait for it.
#[test]
fn a_scheduled_scrub_reads_at_its_rate_and_ends_with_the_server() {
    let mut server = Server::caring(
        "  maintenance:\n    scrub:\n      enabled: true\n      interval: 1s\n      rate: 1KB\n    \
         collection:\n      enabled: true\n      interval: 1s\n      grace: 1h\n",
    );
    for seed in 0..20_u8 {
        server.push_blob("a", &vec![seed; 1 << 20]);
    }
    wait("a collection", || last(&server, "collection").is_some());
    let first = last(&server, "collection").unwrap();
    wait("another collection", || {
        last(&server, "collection").unwrap() > first
    });
    server.terminate();
    assert!(server.wait().success(), "it does not wait for the scrub");
    assert_eq!(last(&server, "scrub"), None, "it has not come to its end");
    let position = std::fs::read_to_string(server.data().join("regdeploy/scrub")).unwrap();
    let position: serde_json::Value = serde_json::from_str(&position).unwrap();
    assert!(position["blobs"].as_u64().unwrap() <= 1, "{position}");
}

#[test]
fn a_server_that_starts_is_left_alone() {
    let server = Server::start();
    let (_, _) = server.push_image("a", "v1", b"layer");
    let upload = server.begin("a");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(last(&server, "uploadpurging"), None, "whatever is due");
    // Whoever asks is served at once.
    assert!(
        run(server.folder.path(), &["purge", "--age", "1h"])
            .status
            .success()
    );
    server.get(&upload).expect(204);
    server
        .get(&format!("/v2/a/blobs/{}", sha256(b"layer")))
        .expect(200);
}

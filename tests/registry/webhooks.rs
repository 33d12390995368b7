//! Notifications: the same as distribution's, and none of them lost.

use std::path::Path;

use serde_json::Value;

use super::client::send;
use super::clients::{Distribution, layout, skopeo};
use super::receiver::{Receiver, Taken};
use super::server::{OCI_MANIFEST, Server, sha256};

fn events(taken: &[Taken]) -> Vec<Value> {
    let envelope = |taken: &Taken| -> Value { serde_json::from_slice(&taken.body).unwrap() };
    taken
        .iter()
        .flat_map(|taken| envelope(taken)["events"].as_array().unwrap().clone())
        .collect()
}

/// `notifications`, as both servers read it.
fn section(receiver: &Receiver, more: &str) -> String {
    format!(
        "notifications:\n  events:\n    includereferences: true\n  endpoints:\n    - name: test\n      url: http://{}/in\n      \
         headers:\n        Authorization: [Bearer abc]\n      timeout: 20s\n      threshold: 2\n      backoff: 100ms\n{more}",
        receiver.address
    )
}

/// Without what differs from server to server and from request to request.
fn comparable(mut event: Value, host: &str) -> Value {
    for (group, key) in [
        ("", "id"),
        ("", "timestamp"),
        ("request", "id"),
        ("request", "addr"),
        ("source", "instanceID"),
    ] {
        let group = if group.is_empty() {
            &mut event
        } else {
            &mut event[group]
        };
        let removed = group.as_object_mut().unwrap().remove(key);
        let text = removed.as_ref().and_then(Value::as_str).unwrap_or("");
        assert!(!text.is_empty(), "{key} is empty in {group}");
    }
    let text = event.to_string();
    let port = host.rsplit_once(':').unwrap().1;
    let text = text.replace(host, "HOST").replace(&format!(":{port}"), ":PORT");
    serde_json::from_str(&text).unwrap()
}

/// What clients do to a registry; the last event is the deletion of this blob.
fn work(address: std::net::SocketAddr, layout: &Path) -> String {
    let remote = format!("docker://{address}/some/image:v1");
    let local = format!("oci:{}:latest", layout.display());
    skopeo(&[
        "copy",
        "--preserve-digests",
        "--dest-tls-verify=false",
        &local,
        &remote,
    ]);
    let call = |method: &str, target: &str, status: u16| {
        let headers = [("accept", OCI_MANIFEST), ("user-agent", "tester/1")];
        send(address, method, target, &headers, "").expect(status)
    };
    let manifest = call("GET", "/v2/some/image/manifests/v1", 200);
    let digest = manifest.header("docker-content-digest").to_owned();
    call("HEAD", &format!("/v2/some/image/manifests/{digest}"), 200);
    let layer = manifest.json()["layers"][0]["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let config = manifest.json()["config"]["digest"].as_str().unwrap().to_owned();
    call("GET", &format!("/v2/some/image/blobs/{config}"), 200);
    call("HEAD", &format!("/v2/some/image/blobs/{layer}"), 200);
    call("GET", &format!("/v2/some/image/blobs/{}", sha256(b"none")), 404);
    let mount = format!("/v2/other/image/blobs/uploads/?mount={layer}&from=some/image");
    call("POST", &mount, 201);
    call("DELETE", &format!("/v2/some/image/manifests/{digest}"), 202);
    call("DELETE", &format!("/v2/other/image/blobs/{layer}"), 202);
    layer
}

#[test]
fn what_is_sent_is_what_distribution_sends() {
    let folder = tempfile::tempdir().unwrap();
    layout(&folder.path().join("in"));
    let receivers = [Receiver::start(), Receiver::start()];
    let ours = Server::with(&section(&receivers[0], ""));
    let theirs = Distribution::start_with(&folder.path().join("theirs"), &section(&receivers[1], ""));
    let mut told = Vec::new();
    for (address, receiver) in [ours.address, theirs.address].into_iter().zip(&receivers) {
        let layer = work(address, &folder.path().join("in"));
        let taken = receiver.wait(|taken| {
            let last = events(taken).pop().unwrap_or_default();
            last["action"] == "delete" && last["target"]["digest"] == layer.as_str()
        });
        for request in &taken {
            assert!(request.head.starts_with("post /in http/1.1"), "{}", request.head);
            assert!(request.head.contains("authorization: bearer abc\r\n"));
            assert!(
                request
                    .head
                    .contains("content-type: application/vnd.docker.distribution.events.v1+json\r\n")
            );
        }
        let mut events: Vec<Value> = events(&taken)
            .into_iter()
            .map(|event| comparable(event, &address.to_string()))
            .collect();
        // skopeo pushes blobs side by side.
        let pushed = events
            .iter()
            .position(|event| event["target"]["tag"] == "v1")
            .unwrap();
        events[..pushed].sort_by_key(|event| event["target"]["digest"].to_string());
        told.push(events);
    }
    let [ours, theirs] = [&told[0], &told[1]];
    let actions: Vec<&str> = ours
        .iter()
        .map(|event| event["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "push", "push", "push", "pull", "pull", "pull", "pull", "mount", "delete", "delete", "delete"
        ]
    );
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn nothing_is_lost_while_the_receiver_is_down_or_the_server_restarts() {
    let receiver = Receiver::start();
    let mut server = Server::with(&section(&receiver, "      ignore:\n        actions: [pull]\n"));
    receiver.answer(503);
    let mut expected = Vec::new();
    let mut push = |server: &Server, count: usize| {
        for _ in 0..count {
            let content = format!("blob {}", expected.len());
            expected.push(server.push_blob("a", content.as_bytes()));
        }
    };
    push(&server, 5);
    // It has tried, and again, and always the first.
    let refused = receiver.wait_refused(|refused| refused.len() >= 4);
    let first = events(&refused[..1]);
    assert!(events(&refused).iter().all(|event| *event == first[0]));
    let queue = server.data().join("regdeploy/notifications/test");
    wait_until(|| lines(&queue) == 5);
    server.crash_and_restart();
    push(&server, 5);
    wait_until(|| lines(&queue) == 10);
    receiver.answer(200);
    let digests = |taken: &[Taken]| -> Vec<String> {
        let text = |event: &Value| event["target"]["digest"].as_str().unwrap().to_owned();
        events(taken).iter().map(text).collect()
    };
    let taken = receiver.wait(|taken| taken.len() >= expected.len());
    assert_eq!(digests(&taken), expected);
    wait_until(|| lines(&queue) == 0);
}

/// Events that wait in a queue.
fn lines(queue: &Path) -> usize {
    let files = std::fs::read_dir(queue).unwrap();
    files
        .filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok())
        .map(|text| text.lines().count())
        .sum()
}

fn wait_until(mut done: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if done() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("it did not happen");
}

#[test]
fn what_is_queued_when_the_server_stops_is_written_down() {
    let receiver = Receiver::start();
    receiver.answer(500);
    let mut server = Server::with(&section(&receiver, ""));
    for number in 0..20 {
        server.push_blob("a", format!("blob {number}").as_bytes());
    }
    server.terminate();
    assert!(server.wait().success());
    assert_eq!(lines(&server.data().join("regdeploy/notifications/test")), 20);
}

#[test]
fn an_endpoint_needs_a_name_of_its_own_and_a_url() {
    let text = "notifications:\n  endpoints:\n    - name: a\n      url: http://x/\n    - name: a\n      timeout: 1s\n    - timeout: 2s\n      url: ftp://x\n";
    let source = regdeploy::source::Source::new("config.yml", text);
    let errors = regdeploy::registry::config::load(&source, []).unwrap_err();
    let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
    for part in [
        "`notifications.endpoints.2.url` must be a URL such as https://hooks.example/registry",
        "two endpoints of notifications have the name `a`",
        "`notifications.endpoints.1` needs a `url`",
        "`notifications.endpoints.2` needs a `name`",
    ] {
        assert!(told.iter().any(|error| error.contains(part)), "{part}: {told:#?}");
    }
    assert_eq!(told.len(), 5, "{told:#?}");
}

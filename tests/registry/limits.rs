//! How much: failed log-ins, requests and bytes of a client, what a repository may hold.

use super::access::{Users, basic, push_blob_as, send_as};
use super::server::{OCI_MANIFEST, Server, image, sha256};

#[test]
fn failed_log_ins_are_slowed() {
    let users = Users::of(&["alice", "bob"]);
    let server = Server::with(&format!("  trustedproxies: [127.0.0.1]\n{}", users.section()));
    let log_in = |user: &str, password: &str, address: &str| {
        let header = basic(user, password);
        let headers = [("authorization", header.as_str()), ("x-forwarded-for", address)];
        server.send("GET", "/v2/", &headers, "")
    };
    let (guesser, home) = ("192.0.2.1", "192.0.2.2");
    log_in("bob", "bob", guesser).expect(200);
    for _ in 0..5 {
        log_in("alice", "wrong", guesser).expect(401);
    }
    let slowed = log_in("alice", "wrong", guesser).expect(429);
    assert_eq!(slowed.code(), "TOOMANYREQUESTS");
    assert!(slowed.header("retry-after").parse::<u64>().unwrap() >= 1);
    // Right or wrong is not looked at, and who is remembered does not wait.
    log_in("alice", "ecila", guesser).expect(429);
    log_in("bob", "bob", guesser).expect(200);
    server.get("/v2/").expect(401);
    // Elsewhere others log in as ever.
    log_in("bob", "bob", home).expect(200);
}

#[test]
fn item_3_requests_of_a_client_are_limited() {
    let users = Users::of(&["alice", "bob"]);
    let server = Server::with(&format!(
        "{}access:\n  limits: {{requests: 5/h, anonymous: {{requests: 2/h}}}}\n",
        users.section()
    ));
    let statuses = |user: &str, count: usize| -> Vec<u16> {
        (0..count)
            .map(|_| send_as(&server, user, "GET", "/v2/", b"").status)
            .collect()
    };
    assert_eq!(statuses("alice", 6), [200, 200, 200, 200, 200, 429]);
    assert_eq!(statuses("", 3), [401, 401, 429]);
    assert_eq!(statuses("bob", 1), [200]);
    let limited = send_as(&server, "alice", "GET", "/v2/", b"").expect(429);
    assert_eq!(limited.code(), "TOOMANYREQUESTS");
    // A fifth of an hour, less what has passed.
    let wait: u64 = limited.header("retry-after").parse().unwrap();
    assert!((1..=720).contains(&wait), "{wait}");
    // Load balancers are nobody's clients.
    server.get("/").expect(200);
}

#[test]
fn item_3_bytes_of_a_client_are_limited() {
    let server = Server::with("access:\n  limits: {bytes: 1MiB/h}\n");
    let content = vec![7; 3 << 20];
    let digest = server.push_blob("a", &content);
    let target = format!("/v2/a/blobs/{digest}");
    // What was begun is sent whole, and then is to be paid for.
    assert_eq!(server.get(&target).expect(200).body.len(), content.len());
    let limited = server.get(&target).expect(429);
    let wait: u64 = limited.header("retry-after").parse().unwrap();
    assert!((3600..=7200).contains(&wait), "{wait}");
    server.head(&target).expect(429);
}

#[test]
fn item_3_bytes_from_a_client_are_limited() {
    let users = Users::of(&["alice", "bob"]);
    let server = Server::with(&format!(
        "{}access:\n  limits: {{received: 1MiB/h}}\n",
        users.section()
    ));
    let push = |user: &str, content: &[u8]| push_blob_as(&server, user, "a", content);
    let content = vec![7; 3 << 20];
    // What was begun is taken whole, and then is to be paid for; what is sent is counted apart.
    push("alice", &content).expect(201);
    let limited = push("alice", b"x").expect(429);
    let wait: u64 = limited.header("retry-after").parse().unwrap();
    assert!((3600..=7200).contains(&wait), "{wait}");
    let target = format!("/v2/a/blobs/{}", sha256(&content));
    for _ in 0..3 {
        send_as(&server, "bob", "GET", &target, b"").expect(200);
    }
    push("bob", b"x").expect(201);
    // What is refused has been sent all the same.
    let wrong = format!("/v2/a/blobs/uploads/?digest={}", sha256(b"another"));
    send_as(&server, "bob", "POST", &wrong, &content).expect(400);
    push("bob", b"x").expect(429);
}

const QUOTA: &str = "access:\n  quotas:\n    - {repositories: [free/**], bytes: 1TiB}\n    - {repositories: ['**'], bytes: 10000, \
                     tags: 2}\n";

#[test]
fn a_repository_holds_no_more_than_its_quota() {
    let server = Server::with(QUOTA);
    let blob = |fill: u8, size: usize| vec![fill; size];
    let push = |name: &str, content: &[u8]| push_blob_as(&server, "", name, content);
    push("a", &blob(1, 6000)).expect(201);
    let refused = push("a", &blob(2, 6000)).expect(403);
    assert_eq!(refused.code(), "DENIED");
    assert_eq!(
        refused.json()["errors"][0]["message"],
        "the repository a holds 6000 bytes of 10000 bytes, the limit of access.quotas.1, and this push adds 6000 bytes"
    );
    // The same once more, elsewhere, and where there is room.
    push("a", &blob(1, 6000)).expect(201);
    push("b", &blob(2, 6000)).expect(201);
    push("free/a", &blob(3, 60_000)).expect(201);
    push("a", &blob(3, 3000)).expect(201);

    // In chunks, where nobody knows how much is to come.
    let session = server.begin("a");
    let patched = server.send("PATCH", &session, &[], blob(4, 900)).expect(202);
    let patched = server
        .send("PATCH", patched.header("location"), &[], blob(4, 900))
        .expect(202);
    let digest = sha256(&blob(4, 1800));
    let finish = format!("{}?digest={digest}", patched.header("location"));
    server.send("PUT", &finish, &[], "").expect(403);
    server.get(&session).expect(404);
    // What is announced to be too much is not even read.
    let session = server.begin("a");
    server.send("PATCH", &session, &[], blob(5, 2000)).expect(403);
    assert_eq!(server.get(&session).expect(204).header("range"), "0-0");

    // A mount counts as well.
    let mount = |from: &str, content: &[u8]| {
        let digest = sha256(content);
        server.send(
            "POST",
            &format!("/v2/a/blobs/uploads/?mount={digest}&from={from}"),
            &[],
            "",
        )
    };
    mount("b", &blob(2, 6000)).expect(403);
    push("b", &blob(6, 500)).expect(201);
    mount("b", &blob(6, 500)).expect(201);

    // A deletion makes room.
    server
        .send(
            "DELETE",
            &format!("/v2/a/blobs/{}", sha256(&blob(1, 6000))),
            &[],
            "",
        )
        .expect(202);
    push("a", &blob(2, 6000)).expect(201);
    // Full to the last byte, no session begins.
    push("a", &blob(7, 500)).expect(201);
    server.send("POST", "/v2/a/blobs/uploads/", &[], "").expect(403);
}

#[test]
fn a_repository_has_no_more_tags_than_its_quota() {
    let mut server = Server::with(QUOTA);
    let layer = server.push_blob("a", b"layer");
    let config = server.push_blob("a", b"{}");
    let manifest = image(&config, &layer, 5, "");
    let put = |server: &Server, reference: &str| server.put_manifest("a", reference, OCI_MANIFEST, &manifest);
    put(&server, "v1").expect(201);
    put(&server, "v2").expect(201);
    let refused = put(&server, "v3").expect(403);
    assert_eq!(
        refused.json()["errors"][0]["message"],
        "the repository a has 2 of 2 tags, the limit of access.quotas.1, and this push adds 1"
    );
    // A tag that is there moves, a digest needs none, and a deletion makes room.
    put(&server, "v2").expect(201);
    put(&server, &sha256(manifest.as_bytes())).expect(201);
    server.send("DELETE", "/v2/a/manifests/v1", &[], "").expect(202);
    put(&server, "v3").expect(201);
    // What is stored is the truth: the same after a crash.
    server.crash_and_restart();
    put(&server, "v4").expect(403);
    put(&server, "v3").expect(201);
}

/// The sum that is remembered is not older than what was collected.
#[test]
fn a_collection_makes_room_in_a_quota() {
    let server = Server::with(QUOTA);
    let push = |fill: u8| push_blob_as(&server, "", "a", &vec![fill; 6000]);
    push(1).expect(201);
    push(2).expect(403);
    assert_eq!(server.verb(&["gc", "--grace", "0"])["removed"]["blobs"], 1);
    push(2).expect(201);
    push(1).expect(403);
}

/// Many pushes at once stay below the limit together.
#[test]
fn pushes_at_once_stay_within_the_quota_together() {
    let server = Server::with(QUOTA);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let pushes: Vec<_> = (0..20_u8)
            .map(|fill| {
                let server = &server;
                scope.spawn(move || push_blob_as(server, "", "a", &vec![fill; 1000]).status)
            })
            .collect();
        pushes.into_iter().map(|push| push.join().unwrap()).collect()
    });
    let count = |status: u16| statuses.iter().filter(|found| **found == status).count();
    assert_eq!((count(201), count(403)), (10, 10), "{statuses:?}");
}

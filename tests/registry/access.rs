//! Items 20 and 24: who may do what, over real HTTP.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use regdeploy::registry::access::htpasswd;
use serde_json::{Value, json};

use super::client::Answer;
use super::server::{Server, sha256, until};

/// A file of users whose passwords are their names backwards, hashed with the least work that bcrypt knows.
pub struct Users {
    folder: tempfile::TempDir,
}

impl Users {
    pub fn of(names: &[&str]) -> Self {
        let users = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for name in names {
            users.set(name, &backwards(name));
        }
        users
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("users")
    }

    pub fn set(&self, name: &str, password: &str) {
        htpasswd::add(&self.path(), name, password, 4).unwrap();
    }

    /// The section of the configuration.
    pub fn section(&self) -> String {
        format!(
            "auth:\n  htpasswd:\n    realm: the registry\n    path: {}\n",
            self.path().display()
        )
    }
}

pub fn backwards(name: &str) -> String {
    name.chars().rev().collect()
}

pub fn basic(user: &str, password: &str) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {text}")
}

/// Sends a request as this user; as nobody without a name.
pub fn send_as(server: &Server, user: &str, method: &str, target: &str, body: &[u8]) -> Answer {
    let header = basic(user, &backwards(user));
    let named = [("authorization", header.as_str())];
    let headers = if user.is_empty() { &[][..] } else { &named };
    server.send(method, target, headers, body.to_vec())
}

pub fn push_blob_as(server: &Server, user: &str, name: &str, content: &[u8]) -> Answer {
    let target = format!("/v2/{name}/blobs/uploads/?digest={}", sha256(content));
    send_as(server, user, "POST", &target, content)
}

pub fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The lines of an audit log that requests have written: a server also does work by itself.
fn told(path: &Path) -> Vec<Value> {
    let mut told = lines(path);
    told.retain(|line| line["proof"] != "schedule");
    told
}

const CHALLENGE: &str = r#"Basic realm="the registry", charset="UTF-8""#;

#[test]
fn item_24_basic() {
    let users = Users::of(&["alice"]);
    let server = Server::with(&users.section());
    let digest = sha256(b"x");
    for target in [
        "/v2/",
        "/v2/_catalog",
        "/v2/a/tags/list",
        &format!("/v2/a/blobs/{digest}"),
    ] {
        let answer = server.get(target).expect(401);
        assert_eq!(answer.code(), "UNAUTHORIZED", "{target}");
        assert_eq!(answer.header("www-authenticate"), CHALLENGE, "{target}");
        let head = server.head(target).expect(401);
        assert!(head.body.is_empty() && head.header("www-authenticate") == CHALLENGE);
    }
    let with = |header: &str| server.send("GET", "/v2/", &[("authorization", header)], "");
    with(&basic("alice", "ecila")).expect(200);
    for wrong in [
        &basic("alice", "wrong"),
        &basic("bob", "bob"),
        &basic("alice", ""),
        "Basic !",
        "Digest x",
        "Bearer x",
    ] {
        let answer = with(wrong).expect(401);
        assert_eq!(answer.header("www-authenticate"), CHALLENGE, "{wrong}");
    }
    push_blob_as(&server, "alice", "a", b"x").expect(201);
    push_blob_as(&server, "", "a", b"x").expect(401);
    // Nobody has to say who asks for the front page.
    server.get("/").expect(200);
}

#[test]
fn users_are_read_again_when_they_change() {
    let users = Users::of(&["alice"]);
    let server = Server::with(&users.section());
    let status = |user: &str, password: &str| {
        let header = basic(user, password);
        server
            .send("GET", "/v2/", &[("authorization", &header)], "")
            .status
    };
    assert_eq!((status("alice", "ecila"), status("bob", "bob")), (200, 401));
    users.set("bob", "bob");
    assert_eq!((status("alice", "ecila"), status("bob", "bob")), (200, 200));
    users.set("alice", "new");
    assert_eq!((status("alice", "ecila"), status("alice", "new")), (401, 200));
    // A broken file keeps nobody out, and lets nobody in.
    let sound = std::fs::read(users.path()).unwrap();
    std::fs::write(users.path(), "carol:plain\n").unwrap();
    assert_eq!((status("alice", "new"), status("carol", "plain")), (200, 401));
    std::fs::write(users.path(), sound).unwrap();
    htpasswd::remove(&users.path(), "alice").unwrap();
    assert_eq!((status("alice", "new"), status("bob", "bob")), (401, 200));
}

pub const RULES: &str = "access:
  groups: {ops: [olga]}
  rules:
    - {who: [group:ops], allow: ['*']}
    - {who: [everybody], repositories: [secret/**], deny: [pull, push, delete]}
    - {who: [everybody], repositories: [library/**], allow: [pull]}
    - {who: [authenticated], repositories: ['home/{user}/**'], allow: [pull, push]}
    - {who: [everybody], allow: [catalog]}
";

#[test]
fn item_24_rules_decide_for_each_repository() {
    let users = Users::of(&["alice", "bob", "olga"]);
    let server = Server::with(&(users.section() + RULES));
    for name in ["library/a", "home/alice/x", "home/bob/x", "secret/s"] {
        push_blob_as(&server, "olga", name, b"x").expect(201);
    }
    let blob = |name: &str| format!("/v2/{name}/blobs/{}", sha256(b"x"));
    for (user, name, pull, push, delete) in [
        ("", "library/a", 200, 401, 401),
        ("", "home/alice/x", 401, 401, 401),
        ("", "secret/s", 401, 401, 401),
        ("alice", "library/a", 200, 403, 403),
        ("alice", "home/alice/x", 200, 201, 403),
        ("alice", "home/bob/x", 403, 403, 403),
        ("alice", "secret/s", 403, 403, 403),
        ("bob", "home/bob/x", 200, 201, 403),
        ("olga", "secret/s", 200, 201, 202),
    ] {
        let found = (
            send_as(&server, user, "GET", &blob(name), b"").status,
            push_blob_as(&server, user, name, b"more").status,
            send_as(&server, user, "DELETE", &blob(name), b"").status,
        );
        assert_eq!(found, (pull, push, delete), "{user} {name}");
    }
    // What does not exist looks the same to who may not see it.
    let there = send_as(&server, "alice", "GET", &blob("home/bob/x"), b"").expect(403);
    let missing = send_as(&server, "alice", "GET", &blob("home/bob/none"), b"").expect(403);
    assert_eq!(there.code(), "DENIED");
    assert_eq!(
        there.json()["errors"][0]["detail"],
        json!("the user `alice` may not pull `home/bob/x`")
    );
    assert_eq!(
        there.headers.keys().collect::<Vec<_>>(),
        missing.headers.keys().collect::<Vec<_>>()
    );
    // Wrong log-ins are wrong, also where none would be needed.
    let header = basic("alice", "wrong");
    server
        .send("GET", &blob("library/a"), &[("authorization", &header)], "")
        .expect(401);
    // An empty one is what clients send that have none.
    let header = basic("", "");
    server
        .send("GET", &blob("library/a"), &[("authorization", &header)], "")
        .expect(200);
    server.get("/v2/").expect(401);
    send_as(&server, "alice", "GET", "/v2/", b"").expect(200);
}

#[test]
fn item_22_the_catalog_names_what_may_be_pulled() {
    let users = Users::of(&["alice", "olga"]);
    let server = Server::with(&(users.section() + RULES));
    let names = [
        "home/alice/a",
        "home/alice/b",
        "home/bob/a",
        "library/a",
        "library/b",
        "secret/s",
        "zoo",
    ];
    for name in names {
        push_blob_as(&server, "olga", name, b"x").expect(201);
    }
    let pages = |user: &str, count: usize| {
        let mut target = format!("/v2/_catalog?n={count}");
        let mut all: Vec<Vec<String>> = Vec::new();
        loop {
            let answer = send_as(&server, user, "GET", &target, b"").expect(200);
            all.push(serde_json::from_value(answer.json()["repositories"].clone()).unwrap());
            match answer
                .header("link")
                .strip_prefix('<')
                .and_then(|link| link.split_once('>'))
            {
                Some((next, _)) => next.clone_into(&mut target),
                None => return all,
            }
        }
    };
    assert_eq!(pages("olga", 100), [names]);
    let own = ["home/alice/a", "home/alice/b", "library/a", "library/b"];
    assert_eq!(pages("alice", 100), [own]);
    // Pages are full, and the last one has no next.
    assert_eq!(pages("alice", 2), [&own[..2], &own[2..]]);
    assert_eq!(pages("alice", 3), [&own[..3], &own[3..]]);
    assert_eq!(pages("", 1), [["library/a"], ["library/b"]]);
}

#[test]
fn item_20_a_mount_tells_nothing_of_what_may_not_be_read() {
    let users = Users::of(&["alice", "olga"]);
    let server = Server::with(&(users.section() + RULES));
    for name in ["secret/s", "library/a"] {
        push_blob_as(&server, "olga", name, b"layer").expect(201);
    }
    let mount = |user: &str, from: &str| {
        let digest = sha256(b"layer");
        let target = format!("/v2/home/alice/x/blobs/uploads/?mount={digest}&from={from}");
        send_as(&server, user, "POST", &target, b"")
    };
    let there = mount("alice", "secret/s").expect(202);
    let missing = mount("alice", "secret/none").expect(202);
    assert_eq!(
        there.headers.keys().collect::<Vec<_>>(),
        missing.headers.keys().collect::<Vec<_>>()
    );
    let target = format!("/v2/home/alice/x/blobs/{}", sha256(b"layer"));
    send_as(&server, "alice", "GET", &target, b"").expect(404);
    // podman gives such an upload up: with the right to push, and without that to delete.
    send_as(&server, "", "DELETE", there.header("location"), b"").expect(401);
    send_as(&server, "alice", "DELETE", there.header("location"), b"").expect(204);
    mount("alice", "library/a").expect(201);
    send_as(&server, "alice", "GET", &target, b"").expect(200);
    mount("", "library/a").expect(401);
}

#[test]
fn item_10_read_only_while_it_runs() {
    let server = Server::start();
    server.push_image("a", "v1", b"layer");
    let push = |server: &Server| push_blob_as(server, "", "a", b"more").status;
    assert_eq!(push(&server), 201);
    let path = server.folder.path().join("registry.yml");
    let writable = std::fs::read_to_string(&path).unwrap();
    let frozen = writable.replace(
        "storage:\n",
        "storage:\n  maintenance: {readonly: {enabled: true}}\n",
    );
    std::fs::write(&path, frozen).unwrap();
    server.reload();
    until(&405, || push(&server));
    let answer = server.send("DELETE", "/v2/a/manifests/v1", &[], "").expect(405);
    assert_eq!(answer.code(), "UNSUPPORTED");
    server.get("/v2/a/manifests/v1").expect(200);
    server.reconfigure("");
    until(&201, || push(&server));
}

#[test]
fn access_follows_a_reload() {
    let users = Users::of(&["alice", "olga"]);
    let server = Server::start();
    server.get("/v2/").expect(200);
    server.reconfigure(&users.section());
    until(&401, || server.get("/v2/").status);
    until(&201, || push_blob_as(&server, "alice", "zoo", b"x").status);
    server.reconfigure(&(users.section() + RULES));
    until(&403, || push_blob_as(&server, "alice", "zoo", b"x").status);
    // What cannot be put in force leaves what is.
    server.reconfigure("  headers: {X-Marker: [new]}\nauth:\n  htpasswd: {realm: x, path: /nowhere/users}\n");
    until(&"new".to_owned(), || {
        server.get("/v2/").header("x-marker").to_owned()
    });
    push_blob_as(&server, "", "zoo", b"x").expect(401);
}

#[test]
fn the_audit_log_tells_who_did_what() {
    let users = Users::of(&["alice", "olga"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let section = format!(
        "  trustedproxies: [127.0.0.1]\n{}{RULES}  audit: {{enabled: true, file: {}}}\n",
        users.section(),
        path.display()
    );
    let server = Server::with(&section);
    let send = |user: &str, password: &str, method: &str, target: &str, body: &[u8]| {
        let header = basic(user, password);
        let headers = [
            ("authorization", header.as_str()),
            ("x-forwarded-for", "203.0.113.9, 198.51.100.7"),
            ("x-request-id", "request-1"),
        ];
        server.send(method, target, &headers, body.to_vec())
    };
    let digest = sha256(b"x");
    let upload = |name: &str| format!("/v2/{name}/blobs/uploads/?digest={digest}");
    send("olga", "aglo", "POST", &upload("library/a"), b"x").expect(201);
    send("alice", "ecila", "POST", &upload("library/a"), b"x").expect(403);
    send("alice", "se cret", "GET", "/v2/", b"").expect(401);
    let mount = format!("/v2/home/alice/a/blobs/uploads/?mount={digest}&from=library/a");
    send("alice", "ecila", "POST", &mount, b"").expect(201);
    send(
        "olga",
        "aglo",
        "DELETE",
        &format!("/v2/library/a/blobs/{digest}"),
        b"",
    )
    .expect(202);
    send(
        "olga",
        "aglo",
        "DELETE",
        &format!("/v2/library/a/blobs/{digest}"),
        b"",
    )
    .expect(404);
    // Reading is not written down, nor is the question that every client begins with.
    send("alice", "ecila", "GET", "/v2/_catalog", b"").expect(200);
    server.get("/v2/").expect(401);

    let told = told(&path);
    let common = |line: &Value| {
        assert_eq!(line["request"], "request-1", "{line}");
        assert_eq!(line["address"], "198.51.100.7", "{line}");
        assert!(
            line["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(),
            "{line}"
        );
        let text = |key: &str| line[key].as_str().unwrap_or("").to_owned();
        (
            text("event"),
            text("outcome"),
            text("user"),
            text("repository"),
            line["status"].as_u64().unwrap(),
            text("rule"),
        )
    };
    let expected = [
        ("push", "done", "olga", "library/a", 201, "access.rules.0"),
        (
            "denied",
            "denied",
            "alice",
            "library/a",
            403,
            "no rule of access.rules speaks of it",
        ),
        ("login-failed", "denied", "alice", "", 401, ""),
        ("mount", "done", "alice", "home/alice/a", 201, "access.rules.3"),
        ("delete", "done", "olga", "library/a", 202, "access.rules.0"),
        ("delete", "failed", "olga", "library/a", 404, "access.rules.0"),
    ];
    let expected = expected.map(|(event, outcome, user, repository, status, rule)| {
        let [event, outcome, user, repository, rule] =
            [event, outcome, user, repository, rule].map(str::to_owned);
        (event, outcome, user, repository, status, rule)
    });
    assert_eq!(told.iter().map(common).collect::<Vec<_>>(), expected);
    assert_eq!(told[0]["reference"], json!(digest));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        !text.contains("se cret") && !text.contains("aglo") && !text.contains("ecila"),
        "{text}"
    );
    // The access log sees the same address.
    until(&true, || {
        std::fs::read_to_string(server.folder.path().join("access.log"))
            .unwrap()
            .contains("198.51.100.7")
    });
}

/// What goes into logs and events as a client says it has a form that is harmless there.
#[test]
fn ids_of_requests_are_taken_in_a_sane_form_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let server = Server::with(&format!(
        "access:\n  audit: {{enabled: true, file: {}}}\n",
        path.display()
    ));
    let longest = "x".repeat(128);
    let too_long = "x".repeat(129);
    let given = [
        ("ci/7.2:a+b=c_d-e", true),
        (&longest, true),
        (&too_long, false),
        ("", false),
        ("two words", false),
        ("\"quoted\"", false),
        ("{\"a\":1}", false),
        ("a;b", false),
        ("a\tb", false),
        ("<b>", false),
    ];
    let target = format!("/v2/a/blobs/uploads/?digest={}", sha256(b"x"));
    let mut answered = Vec::new();
    for (id, taken) in given {
        let answer = server
            .send("POST", &target, &[("x-request-id", id)], "x")
            .expect(201);
        let answer = answer.header("x-request-id").to_owned();
        assert_eq!(answer == id, taken, "{id}: {answer}");
        assert!((1..=128).contains(&answer.len()), "{id}: {answer}");
        answered.push(answer);
    }
    let told: Vec<String> = told(&path)
        .iter()
        .map(|line| line["request"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(told, answered);
}

/// A client certificate is a proof like any other: rules speak of its common name.
#[test]
fn certificates_of_clients_are_known_by_name() {
    use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (
        put("own.pem", own.cert.pem()),
        put("own.key", own.signing_key.serialize_pem()),
    );
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let clients = put(
        "clients.pem",
        authority.self_signed(&authority_key).unwrap().pem(),
    );
    let issuer = Issuer::new(authority, &authority_key);
    for name in ["ci", "other"] {
        let client_key = KeyPair::generate().unwrap();
        let mut client = CertificateParams::default();
        client.distinguished_name.push(DnType::CommonName, name);
        let client = client.signed_by(&client_key, &issuer).unwrap();
        put(&format!("{name}.pem"), client.pem() + &client_key.serialize_pem());
    }
    let server = Server::with(&format!(
        "  tls:\n    certificate: {certificate}\n    key: {key}\n    clientcas: [{clients}]\n    clientauth: \
         verify-client-cert-if-given\naccess:\n  rules:\n    - {{who: ['certificate:ci'], allow: [pull, push]}}\n    - {{who: \
         [authenticated], allow: [pull]}}\n"
    ));
    let status = |client: Option<&str>, method: &str, target: &str| {
        let mut curl = Command::new("curl");
        curl.args(["-sSk", "-o", "/dev/null", "-w", "%{http_code}", "-X", method]);
        if let Some(client) = client {
            curl.arg("--cert")
                .arg(folder.path().join(format!("{client}.pem")));
        }
        let output = curl
            .arg(format!("https://{}{target}", server.address))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    for (client, push, pull) in [
        (Some("ci"), "202", "404"),
        (Some("other"), "403", "404"),
        (None, "403", "403"),
    ] {
        assert_eq!(status(client, "POST", "/v2/a/blobs/uploads/"), push, "{client:?}");
        assert_eq!(status(client, "GET", "/v2/b/tags/list"), pull, "{client:?}");
    }
}

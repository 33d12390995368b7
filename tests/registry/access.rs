//! Items 20 and 24: who may do what, over real HTTP, and the verbs that go with it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

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

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
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

const RULES: &str = "access:
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
    let mut server = Server::start();
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
    server.hang_up();
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
    let mut server = Server::start();
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

    let told = lines(&path);
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

fn verb(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_regdeploy"))
        .arg("registry")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who refuses does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn user_edits_the_file_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("registry.yml"),
        "auth:\n  htpasswd: {path: users}\naccess:\n  audit: {enabled: true, file: audit.log}\n",
    )
    .unwrap();
    let user =
        |arguments: &[&str], input: &str| said(&verb(folder.path(), &[&["user"], arguments].concat(), input));
    let add = |name: &str, password: &str| {
        user(
            &["add", "--config", "registry.yml", "--cost", "4", name],
            password,
        )
    };
    assert_eq!(
        add("alice", "one\n"),
        (Some(0), String::new(), "added `alice` in users\n".to_owned())
    );
    assert_eq!(
        add("alice", "two\n"),
        (
            Some(0),
            String::new(),
            "changed the password of `alice` in users\n".to_owned()
        )
    );
    assert_eq!(add("bob", "x").0, Some(0));
    assert_eq!(
        user(&["list", "--file", "users"], ""),
        (Some(0), "alice\nbob\n".to_owned(), String::new())
    );
    let found = htpasswd::read(&folder.path().join("users")).unwrap();
    assert!(bcrypt::verify("two", &found[0].hash).unwrap());
    assert_eq!(user(&["remove", "--file", "users", "bob"], "").0, Some(0));
    for (arguments, expected) in [
        (
            &["remove", "--file", "users", "bob"][..],
            "error: users has no user `bob`\n",
        ),
        (
            &["add", "--file", "users", "a:b"],
            "error: a user's name has 1 to 255 characters",
        ),
        (
            &["add", "--file", "users", "carol"],
            "error: a password of a user must not be empty\n",
        ),
    ] {
        let (code, _, stderr) = user(arguments, "\n");
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.starts_with(expected), "{stderr}");
    }
    let (code, _, stderr) = user(&["list"], "");
    assert!(code == Some(2) && stderr.contains("--config"), "{stderr}");
    let told = lines(&folder.path().join("audit.log"));
    let told: Vec<_> = told
        .iter()
        .map(|line| (&line["event"], &line["action"], &line["reference"]))
        .collect();
    let admin = json!("administration");
    assert_eq!(
        told,
        [
            (&admin, &json!("user add"), &json!("alice")),
            (&admin, &json!("user add"), &json!("alice")),
            (&admin, &json!("user add"), &json!("bob")),
        ]
    );
}

#[test]
fn explain_access_names_the_rule_and_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let users = Users::of(&["alice", "olga"]);
    std::fs::write(folder.path().join("registry.yml"), users.section() + RULES).unwrap();
    let explain = |question: &str| {
        let arguments: Vec<&str> = ["explain-access", "--config", "registry.yml"]
            .into_iter()
            .chain(question.split(' '))
            .collect();
        said(&verb(folder.path(), &arguments, ""))
    };
    for (question, code, expected) in [
        (
            "alice push home/alice/x",
            0,
            "allowed: the user `alice` may push `home/alice/x`\n  access.rules.3 (registry.yml:11): who authenticated; \
             repositories home/{user}/**; allow pull, push\n",
        ),
        (
            "alice pull secret/x",
            1,
            "denied: the user `alice` may not pull `secret/x`\n  access.rules.1 (registry.yml:9): who everybody; \
             repositories secret/**; deny pull, push, delete\n",
        ),
        (
            "anonymous push library/x",
            1,
            "denied: anybody who has not logged in may not push `library/x`\n  no rule of access.rules speaks of it\n",
        ),
        (
            "olga delete secret/x",
            1,
            "denied: the user `olga` may not delete `secret/x`\n  access.rules.0 (registry.yml:8): who group:ops; allow \
             pull, push, delete, catalog\n  deletion is disabled; `storage.delete.enabled` allows it\n",
        ),
        (
            "anonymous catalog",
            0,
            "allowed: anybody who has not logged in may ask for the catalog\n  access.rules.4 (registry.yml:12): who \
             everybody; allow catalog\n",
        ),
    ] {
        assert_eq!(
            explain(question),
            (Some(code), expected.to_owned(), String::new()),
            "{question}"
        );
    }
    let (code, _, stderr) = explain("alise pull library/x");
    assert_eq!(code, Some(0));
    assert!(
        stderr.contains("has no user `alise`") && stderr.contains("did you mean `alice`?"),
        "{stderr}"
    );
    for (question, reason) in [
        ("alice fly library/x", "must be pull, push, delete or catalog"),
        ("alice pull Library", "a repository name is"),
        ("alice pull", "<REPOSITORY>"),
    ] {
        let (code, stdout, stderr) = explain(question);
        assert!(
            code == Some(2) && stdout.is_empty() && stderr.contains(reason),
            "{question}: {stderr}"
        );
    }
}

#[test]
fn what_is_wrong_with_the_sections_is_shown_at_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let check = |text: &str| {
        std::fs::write(folder.path().join("r.yml"), text).unwrap();
        said(&verb(folder.path(), &["config", "check", "r.yml"], ""))
    };
    for (text, expected) in [
        (
            "access: {rules: [{who: [a]}]}",
            "`access.rules.0` needs `allow` or `deny`",
        ),
        (
            "access: {rules: [{allow: [pull]}]}",
            "`access.rules.0` needs `who`",
        ),
        (
            "access: {rules: [{who: [a], allow: [pull], deny: [pull]}]}",
            "both allows and denies `pull`",
        ),
        (
            "access: {rules: [{who: [a], allow: [fly]}]}",
            "`fly` must be pull, push, delete, catalog or *",
        ),
        (
            "access: {rules: [{who: [a], allow: [pull], repositories: [Library/**]}]}",
            "no repository name has a 'L'",
        ),
        (
            "access: {groups: {ops: [a]}, rules: [{who: ['group:op'], allow: [pull]}]}",
            "did you mean `ops`?",
        ),
        (
            "access: {quotas: [{repositories: ['**']}]}",
            "`access.quotas.0` needs `bytes` or `tags`",
        ),
        (
            "access: {quotas: [{repositories: ['{user}'], tags: 1}]}",
            "it cannot say `{user}`",
        ),
        (
            "access: {limits: {requests: many}}",
            "must be a rate such as 100/s",
        ),
        (
            "http: {trustedproxies: [proxy]}",
            "must be an address or a network",
        ),
        (
            "auth: {tokenserver: {enabled: true}}",
            "needs `auth.htpasswd.path`",
        ),
        ("auth: {tokenserver: {expiration: 10s}}", "must be at least 60s"),
        (
            "auth: {token: {realm: 'https://a/'}}",
            "`auth.token` needs `auth.token.issuer`",
        ),
        (
            "auth: {htpasswd: {path: a}, token: {realm: 'https://a/'}}",
            "exclude each other",
        ),
        (
            "auth: {token: {signingalgorithms: [HS256]}}",
            "must be one of ES256",
        ),
        ("auth: {silly: {realm: x}}", "it lets everybody in"),
    ] {
        let (code, _, stderr) = check(text);
        assert!(
            code == Some(1) && stderr.contains(expected) && stderr.contains(" --> r.yml:1:"),
            "{text}: {stderr}"
        );
    }
}

/// The examples of the document are configurations.
#[test]
fn the_document_s_examples_are_sound() {
    let folder = tempfile::tempdir().unwrap();
    let page = include_str!("../../docs/registry-access.md");
    let mut seen = 0;
    for block in page.split("```yaml\n").skip(1) {
        let (text, _) = block.split_once("```").unwrap();
        std::fs::write(folder.path().join("registry.yml"), text).unwrap();
        let (code, _, stderr) = said(&verb(folder.path(), &["config", "check", "registry.yml"], ""));
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{text}");
        seen += 1;
    }
    assert!(seen >= 4, "{seen}");
}

#[test]
fn what_keeps_users_from_logging_in_keeps_the_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let start = |users: &str| {
        std::fs::write(folder.path().join("users"), users).unwrap();
        std::fs::write(
            folder.path().join("registry.yml"),
            "storage: {filesystem: {rootdirectory: data}}\nhttp: {addr: '127.0.0.1:0'}\nauth: {htpasswd: {path: users}}\n",
        )
        .unwrap();
        said(&verb(folder.path(), &["serve", "--config", "registry.yml"], ""))
    };
    let (code, _, stderr) = start("# users\nalice:$apr1$x$y\n");
    assert_eq!(code, Some(1));
    assert_eq!(
        stderr,
        "error: users:2: the hash of `alice` is not of bcrypt; make it anew with `regdeploy-registry user add` or \
         `htpasswd -B`\n"
    );
}

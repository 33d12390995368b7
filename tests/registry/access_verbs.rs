//! The verbs that go with access, `user` and `explain-access`, and what is wrong with its sections.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use regdeploy::registry::access::htpasswd;
use serde_json::{Value, json};

use super::access::{RULES, Users, lines};
use super::care;
use super::server::Server;

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

/// Work that changes anything, whichever way it is asked for; not what only looks.
#[test]
fn what_administrators_do_is_written_down() {
    let audit = "access:\n  audit: {enabled: true, file: DIR/audit.log}\n";
    let mut server = Server::on(
        tempfile::tempdir().unwrap(),
        SocketAddr::from(([127, 0, 0, 1], 0)),
        audit,
    );
    let path = server.folder.path().join("audit.log");
    let told = || -> Vec<_> {
        let line = |line: &Value| {
            assert!(
                line["event"] == "administration" && line.get("status").is_none(),
                "{line}"
            );
            let text = |key: &str| line[key].as_str().unwrap_or("").to_owned();
            [text("action"), text("outcome"), text("user"), text("proof")]
        };
        lines(&path).iter().map(line).collect()
    };
    let me = format!("uid {}", rustix::process::getuid().as_raw());
    let expected = |lines: &[[&str; 3]]| -> Vec<_> {
        let line =
            |[action, outcome, proof]: &[&str; 3]| [action, outcome, me.as_str(), proof].map(str::to_owned);
        lines.iter().map(line).collect()
    };
    for looks in [
        &["stats"][..],
        &["readonly"],
        &["gc", "--dry-run"],
        &["purge", "--dry-run"],
        &["scrub", "--dry-run"],
        &["retention", "plan"],
    ] {
        care::lines(server.folder.path(), looks);
    }
    for acts in [
        &["readonly", "on"][..],
        &["readonly", "off"],
        &["gc"],
        &["purge"],
        &["scrub"],
        &["retention", "apply"],
    ] {
        care::lines(server.folder.path(), acts);
    }
    let archive = server.folder.path().join("broken.tar");
    std::fs::write(&archive, "no archive").unwrap();
    let import = ["import", archive.to_str().unwrap(), "--repository", "team/app"];
    care::stderr_of_failure(server.folder.path(), &import);
    server.terminate();
    assert!(server.wait().success());
    care::lines(server.folder.path(), &["gc", "--dry-run"]);
    care::lines(server.folder.path(), &["gc"]);
    assert_eq!(
        told(),
        expected(&[
            ["readonly on", "done", "control socket"],
            ["readonly off", "done", "control socket"],
            ["gc", "done", "control socket"],
            ["purge", "done", "control socket"],
            ["scrub", "done", "control socket"],
            ["retention", "done", "control socket"],
            ["import", "failed", "control socket"],
            ["gc", "done", "verb"],
        ])
    );
    let failed = &lines(&path)[6];
    assert_eq!(failed["repository"], "team/app");
    assert!(!failed["reason"].as_str().unwrap().is_empty(), "{failed}");
    // Who cannot be written down does nothing.
    server.configure("access:\n  audit: {enabled: true, file: DIR/none/audit.log}\n");
    let refused = care::stderr_of_failure(server.folder.path(), &["gc"]);
    assert!(refused.contains("open the audit log"), "{refused}");
}

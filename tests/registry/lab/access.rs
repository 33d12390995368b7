//! Docker's engine and who may do what: log-ins that are wrong, pushes that are denied, what all may pull.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::registry::access::{Users, send_as};
use crate::registry::server::Server;

/// Runs a command with the log-ins that `config` keeps: what it prints, or what it complains of.
fn docker(config: &Path, arguments: &[&str], input: &[u8]) -> Result<String, String> {
    let mut child = Command::new("docker")
        .arg("--config")
        .arg(config)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("docker.io is installed");
    // Who refuses does not read.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// A tar archive with one small file.
fn archive() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o644);
    archive.append_data(&mut header, "hello", &b"hello"[..]).unwrap();
    archive.into_inner().unwrap()
}

const RULES: &str = "access:
  rules:
    - {who: [everybody], repositories: [library/**], allow: [pull]}
    - {who: [authenticated], repositories: ['home/{user}/**'], allow: [pull, push]}
    - {who: [olga], allow: ['*']}
";

#[test]
fn item_24_docker_logs_in() {
    let users = Users::of(&["alice", "olga"]);
    for tokens in [false, true] {
        let section = format!("{}  tokenserver: {{enabled: {tokens}}}\n{RULES}", users.section());
        let server = Server::with(&section);
        let address = server.address.to_string();
        let homes = ["alice", "olga", "nobody"].map(|name| (name, tempfile::tempdir().unwrap()));
        let run = |name: &str, arguments: &[&str], input: &[u8]| {
            let (_, home) = homes.iter().find(|(known, _)| *known == name).unwrap();
            docker(home.path(), arguments, input)
        };
        let log_in = |name: &str, password: &[u8]| {
            run(
                name,
                &["login", "--username", name, "--password-stdin", &address],
                password,
            )
        };
        let refused = log_in("alice", b"wrong").unwrap_err();
        assert!(
            refused.contains("401") || refused.contains("unauthorized"),
            "{refused}"
        );
        log_in("alice", b"ecila").unwrap();
        log_in("olga", b"aglo").unwrap();

        let image = |repository: &str| format!("{address}/{repository}:v1");
        let [own, shared] = ["home/alice/image", "library/image"].map(image);
        for name in [&own, &shared] {
            run("nobody", &["import", "-", name], &archive()).unwrap();
        }
        run("alice", &["push", &own], b"").unwrap();
        run("olga", &["push", &shared], b"").unwrap();
        let refused = run("alice", &["push", &shared], b"").unwrap_err();
        assert!(refused.contains("denied"), "{refused}");
        let refused = run("nobody", &["push", &own], b"").unwrap_err();
        assert!(
            refused.contains("no basic auth")
                || refused.contains("denied")
                || refused.contains("unauthorized")
                || refused.contains("authentication"),
            "{refused}"
        );

        for name in [&own, &shared] {
            run("nobody", &["rmi", name], b"").unwrap();
        }
        run("alice", &["pull", &own], b"").unwrap();
        run("nobody", &["pull", &own], b"").unwrap_err();
        // Docker asks for what all may have only where there are tokens.
        assert_eq!(run("nobody", &["pull", &shared], b"").is_ok(), tokens);
        run("alice", &["pull", &shared], b"").unwrap();
        let tags = send_as(&server, "alice", "GET", "/v2/home/alice/image/tags/list", b"").expect(200);
        assert_eq!(tags.json()["tags"], serde_json::json!(["v1"]));
        for name in [&own, &shared] {
            run("nobody", &["rmi", name], b"").unwrap();
        }
        // Its token lives on in the configuration's place of the password.
        let (_, home) = &homes[0];
        let kept = std::fs::read_to_string(home.path().join("config.json")).unwrap();
        assert_eq!(kept.contains("identitytoken"), tokens, "{kept}");
    }
}

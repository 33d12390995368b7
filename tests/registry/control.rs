//! Verbs with a server and without one, and what keeps two processes from one folder.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

use super::care::{command, json, run, stderr_of_failure};
use super::server::{Server, sha256};

#[test]
fn a_verb_does_the_same_without_a_server() {
    let mut server = Server::start();
    server.push_image("a", "v1", b"layer");
    server.push_image("b/c", "v1", b"layer");
    server.push_blob("a", b"alone");
    let served = server.verb(&["stats"]);
    server.terminate();
    assert!(server.wait().success());
    let alone = server.verb(&["stats"]);
    let without_disk = |mut stats: serde_json::Value| {
        stats["free_bytes"] = 0.into();
        stats
    };
    assert_eq!(without_disk(served), without_disk(alone.clone()));
    for (key, expected) in [("repositories", 2), ("tags", 2), ("manifests", 2), ("blobs", 4)] {
        assert_eq!(alone[key], expected, "{key}: {alone}");
    }
    assert_eq!(alone["largest"][0]["name"], "a");
    // Config and layer twice, one manifest stored once.
    let shared = 2 * ("layer".len() + "{}".len());
    let manifest = alone["logical_bytes"].as_u64().unwrap() - shared as u64 - 5;
    assert_eq!(alone["bytes"].as_u64().unwrap(), 7 + 5 + manifest / 2);
    assert_eq!(server.verb(&["gc", "--grace", "0"])["removed"]["blobs"], 1);
    assert!(!server.data_of(&sha256(b"alone")).exists());
}

#[test]
fn two_servers_do_not_share_a_folder() {
    let server = Server::start();
    let output = run(server.folder.path(), &["serve"]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("data is in use by a server, process "),
        "{message}"
    );
    server.get("/v2/").expect(200);
}

#[test]
fn the_socket_is_its_user_s_alone() {
    let server = Server::start();
    let mode = |name: &str| {
        let path = server.data().join("regdeploy").join(name);
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    server.verb(&["readonly"]);
    assert_eq!(
        (mode("control.sock"), mode(""), mode("lock")),
        (0o600, 0o700, 0o600)
    );
}

#[test]
fn nonsense_on_the_socket_is_told_and_harms_nothing() {
    let server = Server::start();
    server.verb(&["readonly"]);
    let socket = server.data().join("regdeploy/control.sock");
    for nonsense in ["", "{}", "{\"verb\":\"burn\"}", &"x".repeat(3 << 20)] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        // It may hang up over too much of it.
        let _ = stream.write_all(nonsense.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = String::new();
        let _ = BufReader::new(stream).read_line(&mut answer);
        assert!(
            answer.is_empty() || answer.contains("cannot be understood"),
            "{answer}"
        );
    }
    server.verb(&["stats"]);
}

#[test]
fn read_only_is_a_word_while_it_runs() {
    let mut server = Server::start();
    assert_eq!(server.verb(&["readonly"])["read_only"], false);
    assert_eq!(server.verb(&["readonly", "on"])["read_only"], true);
    let begin = |server: &Server| server.send("POST", "/v2/a/blobs/uploads/", &[], "");
    begin(&server).expect(405);
    server.get("/v2/").expect(200);
    assert_eq!(server.verb(&["readonly", "off"])["read_only"], false);
    begin(&server).expect(202);
    server.terminate();
    server.wait();
    let error = stderr_of_failure(server.folder.path(), &["readonly", "on"]);
    assert!(error.contains("no server runs on this folder"), "{error}");
}

#[test]
fn a_folder_that_is_not_there_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("registry.yml");
    let root = folder.path().join("misspelt");
    std::fs::write(
        &config,
        format!("storage: {{filesystem: {{rootdirectory: {}}}}}\n", root.display()),
    )
    .unwrap();
    for verb in [&["stats"][..], &["gc"], &["scrub"], &["export", "a", "-o", "x"]] {
        let error = stderr_of_failure(folder.path(), verb);
        assert!(error.contains("there is no storage folder"), "{error}");
        assert!(!root.exists());
    }
}

/// A socket's address holds 108 bytes.
#[test]
fn folders_may_lie_deep() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("d".repeat(100)).join("e".repeat(100));
    std::fs::create_dir_all(&deep).unwrap();
    let server = Server::care(tempfile::tempdir_in(deep).unwrap(), "");
    server.push_image("a", "v1", b"layer");
    assert_eq!(json(server.folder.path(), &["stats"])["tags"], 1);
    // By the server: the lock is its own.
    assert_eq!(server.verb(&["readonly"])["read_only"], false);
}

#[test]
fn every_verb_explains_itself() {
    for verb in [
        "serve",
        "config",
        "gc",
        "purge",
        "retention",
        "scrub",
        "stats",
        "import",
        "export",
        "readonly",
    ] {
        let output = command(&[verb, "--help"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.len() > 150 && text.contains("Usage: "), "{verb}: {text}");
    }
}

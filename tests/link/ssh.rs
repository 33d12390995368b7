//! An agent behind an sshd.

use std::fs;
use std::time::Instant;

use regdeploy::connection::SshOptions;

use super::sshd::{Sshd, keygen};
use super::*;

async fn refusal(options: SshOptions) -> ConnectionError {
    match open(&Transport::Ssh(options)).await {
        Ok(_) => panic!("it was let in"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn two_exchanges_when_the_agent_is_new_and_one_when_it_is_not() {
    let sshd = Sshd::start();
    let mut cold = open(&sshd.transport()).await.unwrap();
    assert_eq!(cold.traffic().exchanges(), 2);
    let outcomes = run(&mut cold, batch(vec![ping("a"), ping("b")], None), vec![])
        .await
        .unwrap();
    assert_eq!(outcomes.len(), 2);
    assert_eq!(cold.traffic().exchanges(), 3);
    cold.close().await;

    let mut warm = open(&sshd.transport()).await.unwrap();
    assert_eq!(warm.traffic().exchanges(), 1);
    assert!(warm.traffic().sent() < 5_000, "{}", warm.traffic().sent());
    run(&mut warm, batch(vec![ping("a")], None), vec![])
        .await
        .unwrap();
    assert_eq!(warm.traffic().exchanges(), 2);
    let process = PathBuf::from(format!("/proc/{}", warm.hello().pid));
    warm.close().await;
    assert!(!process.exists());
}

/// Sessions share the libraries below them. An OpenSSL that was built without threads survives one session at a
/// time, and of these sixty some.
#[tokio::test]
async fn many_sessions_begin_at_once() {
    let sshd = Sshd::start();
    open(&sshd.transport()).await.unwrap().close().await;
    for _ in 0..10 {
        let mut opening = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let transport = sshd.transport();
            opening.spawn(async move { open(&transport).await.unwrap().close().await });
        }
        opening.join_all().await;
    }
}

#[tokio::test]
async fn the_key_decides() {
    let sshd = Sshd::start();
    let mut options = sshd.options();
    options.private_key = Some(sshd.path("stranger"));
    let error = refusal(options).await;
    let ConnectionError::Authentication { user, tried, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(user, "root");
    assert!(tried[0].ends_with("stranger"), "{tried:?}");
    assert!(error.to_string().contains("--private-key"), "{error}");

    let mut options = sshd.options();
    options.private_key = Some(sshd.path("nothing"));
    let error = refusal(options).await.to_string();
    assert!(error.contains("nothing cannot be read: No such file"), "{error}");
}

#[tokio::test]
async fn an_encrypted_key_needs_its_passphrase() {
    let sshd = Sshd::start();
    let status = std::process::Command::new("ssh-keygen")
        .args(["-q", "-p", "-N", "secret", "-f"])
        .arg(sshd.path("user"))
        .status()
        .unwrap();
    assert!(status.success());
    let error = refusal(sshd.options()).await.to_string();
    assert!(error.contains("is encrypted: add it to an SSH agent"), "{error}");
    let mut options = sshd.options();
    options.private_key_passphrase = Some(regdeploy::wire::message::Secret::new("secret"));
    open(&Transport::Ssh(options)).await.unwrap().close().await;
}

#[tokio::test]
async fn every_kind_of_key_logs_in() {
    let sshd = Sshd::start();
    for kind in ["rsa", "ecdsa", "ed25519"] {
        keygen(&sshd.path(kind), kind);
        fs::copy(sshd.path(&format!("{kind}.pub")), sshd.path("authorized_keys")).unwrap();
        let mut options = sshd.options();
        options.private_key = Some(sshd.path(kind));
        open(&Transport::Ssh(options)).await.unwrap().close().await;
    }
}

#[tokio::test]
async fn an_unknown_host_is_refused_with_its_fingerprint_and_the_way_to_accept_it() {
    let sshd = Sshd::start();
    fs::write(sshd.path("known_hosts"), "").unwrap();
    let error = refusal(sshd.options()).await;
    let printed = std::process::Command::new("ssh-keygen")
        .args(["-lf"])
        .arg(sshd.path(match &error {
            ConnectionError::HostKeyUnknown { kind, .. } if kind == "rsa" => "host_rsa.pub",
            ConnectionError::HostKeyUnknown { .. } => "host_ed25519.pub",
            other => panic!("{other}"),
        }))
        .output()
        .unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let fingerprint = printed.split_whitespace().nth(1).unwrap();
    let text = error.to_string();
    assert!(text.contains(fingerprint), "{text} {printed}");
    let command = text
        .split("accept it with: ")
        .nth(1)
        .unwrap()
        .split(", or")
        .next()
        .unwrap();

    // The command that the message gives makes the host known.
    let status = std::process::Command::new("sh")
        .args(["-c", command])
        .status()
        .unwrap();
    assert!(status.success());
    open(&sshd.transport()).await.unwrap().close().await;

    fs::write(sshd.path("known_hosts"), "").unwrap();
    let mut options = sshd.options();
    options.host_key_checking = false;
    open(&Transport::Ssh(options)).await.unwrap().close().await;
}

#[tokio::test]
async fn a_changed_host_key_is_an_error_of_its_own() {
    let sshd = Sshd::start();
    sshd.know(&["stranger.pub"]);
    let error = refusal(sshd.options()).await;
    assert!(
        matches!(&error, ConnectionError::HostKeyChanged { place, .. } if place.ends_with("known_hosts:1")),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains("known_hosts:1 has SHA256:"), "{text}");

    // The command that the message gives takes the old key away: what remains is an unknown host.
    let command = text
        .split("it was: ")
        .nth(1)
        .unwrap()
        .split(", then")
        .next()
        .unwrap();
    let status = std::process::Command::new("sh")
        .args(["-c", command])
        .output()
        .unwrap();
    assert!(status.status.success());
    let error = refusal(sshd.options()).await;
    assert!(matches!(error, ConnectionError::HostKeyUnknown { .. }), "{error}");
}

#[tokio::test]
async fn a_host_is_asked_for_the_kind_of_key_that_is_known() {
    let sshd = Sshd::start();
    for key in ["host_rsa.pub", "host_ed25519.pub"] {
        sshd.know(&[key]);
        open(&sshd.transport()).await.unwrap().close().await;
    }
    let status = std::process::Command::new("ssh-keygen")
        .args(["-q", "-H", "-f"])
        .arg(sshd.path("known_hosts"))
        .output()
        .unwrap();
    assert!(status.status.success());
    open(&sshd.transport()).await.unwrap().close().await;
}

#[tokio::test]
async fn nobody_listening_or_somebody_silent_is_unreachable_in_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let sshd = Sshd::start();
    let mut options = sshd.options();
    options.port = Some(listener.local_addr().unwrap().port());
    options.timeout = Duration::from_secs(1);
    let begun = Instant::now();
    let error = refusal(options.clone()).await;
    assert!(matches!(error, ConnectionError::Unreachable { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    drop(listener);
    let error = refusal(options.clone()).await.to_string();
    assert!(error.contains("Connection refused"), "{error}");
    options.host = "no-such-host.invalid".to_owned();
    let error = refusal(options).await.to_string();
    assert!(error.contains("no-such-host.invalid"), "{error}");
}

#[tokio::test]
async fn a_session_that_is_killed_or_frozen_is_unreachable_and_does_not_hang() {
    for signal in ["-KILL", "-STOP"] {
        let sshd = Arc::new(Sshd::start());
        let mut link = open(&sshd.transport()).await.unwrap();
        run(&mut link, batch(vec![ping("a")], None), vec![])
            .await
            .unwrap();
        sshd.kill_sessions(signal);
        let begun = Instant::now();
        let error = run(&mut link, batch(vec![ping("b")], None), vec![])
            .await
            .unwrap_err();
        assert!(
            matches!(error, ConnectionError::Unreachable { .. }),
            "{signal}: {error}"
        );
        assert!(begun.elapsed() < Duration::from_secs(20), "{signal}");
        link.close().await;
    }
}

/// Opens with an agent of another version than all other tests', which would find it outside of the home.
/// Gives the place where it was installed, from which it is gone again.
async fn place_of_installation(sshd: &Sshd) -> PathBuf {
    let other = sshd.path("regdeploy");
    let mut bytes = fs::read(env!("CARGO_BIN_EXE_regdeploy")).unwrap();
    bytes.extend_from_slice(other.to_str().unwrap().as_bytes());
    fs::write(&other, bytes).unwrap();
    let executables = Arc::new(Executables::new(other, Vec::new()));
    let link = open_with(&sshd.transport(), &executables).await.unwrap();
    let path = fs::read_link(format!("/proc/{}/exe", link.hello().pid)).unwrap();
    link.close().await;
    fs::remove_file(&path).unwrap();
    path
}

#[tokio::test]
async fn a_home_that_is_none_is_no_obstacle() {
    let sshd = Sshd::start();
    fs::remove_dir_all(sshd.path("home")).unwrap();
    fs::write(sshd.path("home"), "").unwrap();
    let path = place_of_installation(&sshd).await;
    assert!(path.starts_with("/var/tmp"), "{}", path.display());
}

/// A small file system of its own in the place of the home.
struct Mount(PathBuf);

impl Mount {
    fn new(path: PathBuf, options: &str) -> Self {
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&path)
            .status();
        assert!(mounted.unwrap().success());
        Self(path)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
    }
}

#[tokio::test]
async fn a_full_disk_is_told_with_the_path_and_leaves_nothing() {
    let sshd = Sshd::start();
    let _mount = Mount::new(sshd.path("home"), "size=256k");
    let error = refusal(sshd.options()).await;
    assert!(matches!(error, ConnectionError::Install { .. }), "{error}");
    let text = error.to_string();
    let path = sshd.path("home/.cache/regdeploy/agent-");
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    assert!(text.contains("No space left on device"), "{text}");
    let left = fs::read_dir(sshd.path("home/.cache/regdeploy")).unwrap().count();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_home_that_nothing_may_run_from_is_passed_over() {
    let sshd = Sshd::start();
    let _mount = Mount::new(sshd.path("home"), "noexec");
    let path = place_of_installation(&sshd).await;
    assert!(path.starts_with("/var/tmp"), "{}", path.display());
}

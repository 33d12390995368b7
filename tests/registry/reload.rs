//! The process's life: reading the configuration again, the service manager, the end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

use super::server::{Server, sha256};

#[test]
fn sighup_reads_the_configuration_again() {
    let header = |value: &str| format!("  headers:\n    X-Of: [{value}]\n");
    let server = Server::with(&header("the first"));
    let seen = |server: &Server| server.get("/v2/").expect(200).header("x-of").to_owned();
    assert_eq!(seen(&server), "the first");

    server.configure(&header("the second"));
    server.reload();
    server.await_log("the configuration was read again");
    assert_eq!(seen(&server), "the second");

    server.configure("  headres:\n    X-Of: [the third]\n");
    server.reload();
    let log = server.await_log("the old one stays in force");
    assert!(
        log.contains("`http.headres` is no key of the configuration"),
        "{log}"
    );
    assert!(
        log.contains("registry.yml:12:3") && log.contains("did you mean `headers`?"),
        "{log}"
    );
    assert_eq!(seen(&server), "the second");

    server.configure("  maxconnections: 5\n");
    server.reload();
    server.await_log("`http.maxconnections` has changed, and takes effect at the next start");
    server.await_log("the configuration was read again");
    assert_eq!(seen(&server), "");
}

#[test]
fn uploads_under_way_end_after_sigterm() {
    let mut server = Server::start();
    let place = server.begin("a");
    let content = b"0123456789";
    let separator = if place.contains('?') { '&' } else { '?' };
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "PUT {place}{separator}digest={} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n01234",
        sha256(content)
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The server has the request once the first half is in its file.
    let uploads = server.data().join("docker/registry/v2/repositories/a/_uploads");
    let start = Instant::now();
    let half = || {
        let entry = std::fs::read_dir(&uploads).unwrap().next().unwrap().unwrap();
        std::fs::metadata(entry.path().join("data")).is_ok_and(|data| data.len() == 5)
    };
    // It may as well hold such a small piece in memory: then the request is there after a while at the latest.
    while !half() && start.elapsed() < Duration::from_millis(500) {
        std::thread::sleep(Duration::from_millis(10));
    }
    server.terminate();
    server.await_log("stopping");
    assert!(TcpStream::connect(server.address).is_err());
    stream.write_all(&content[5..]).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 201");
    drop(stream);
    assert!(server.wait().success());
    let blob = &sha256(content)["sha256:".len()..];
    let data = server.data().join(format!(
        "docker/registry/v2/blobs/sha256/{}/{blob}/data",
        &blob[..2]
    ));
    assert_eq!(std::fs::read(data).unwrap(), content);
}

#[test]
fn the_service_manager_hears_signs_of_life_and_of_reloading() {
    let folder = tempfile::tempdir().unwrap();
    let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let config = folder.path().join("registry.yml");
    let text = format!(
        "storage:\n  filesystem:\n    rootdirectory: {}/data\nhttp:\n  addr: 127.0.0.1:0\n",
        folder.path().display()
    );
    std::fs::write(&config, text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_regdeploy"))
        .args(["registry", "serve", "--config"])
        .arg(&config)
        .env_clear()
        .env("NOTIFY_SOCKET", folder.path().join("notify"))
        .env("WATCHDOG_USEC", "200000")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let heard = || {
        let mut buffer = [0; 128];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    };
    let heard_of = |what: &str| {
        let mut before = Vec::new();
        loop {
            match heard() {
                message if message.starts_with(what) => return message,
                message => before.push(message),
            }
            assert!(before.len() < 1000, "{what} is not among {before:?}");
        }
    };
    let signal =
        |signal| rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
    heard_of("READY=1");
    for _ in 0..3 {
        heard_of("WATCHDOG=1");
    }
    signal(rustix::process::Signal::HUP);
    assert!(heard_of("RELOADING=1").contains("MONOTONIC_USEC="));
    heard_of("READY=1");
    signal(rustix::process::Signal::INT);
    heard_of("STOPPING=1");
    assert!(child.wait().unwrap().success());
}

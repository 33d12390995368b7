//! The process's life: reading the configuration again, the service manager, the end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

use super::server::{Server, sha256, until};

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

/// A request is judged to its end by what was in force when it came.
#[test]
fn one_request_has_one_configuration() {
    let server = Server::start();
    let content = vec![7; 100_000];
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest={} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        sha256(&content),
        content.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // Its handler wants the body: access has let it pass.
    let mut answer = [0; 25];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    server.reconfigure(
        "access:\n  rules: [{who: [everybody], allow: [pull]}]\n  quotas: [{repositories: ['**'], bytes: 10}]\n",
    );
    server.await_log("the configuration was read again");
    let target = format!("/v2/a/blobs/uploads/?digest={}", sha256(b"x"));
    server.send("POST", &target, &[], "x").expect(403);
    stream.write_all(&content).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 201");
}

#[test]
fn the_logs_follow_the_configuration() {
    let server = Server::start();
    let path = server.folder.path().join("registry.yml");
    let rewrite = |log: &str| {
        let text = std::fs::read_to_string(&path).unwrap();
        let (_, rest) = text.split_once("storage:\n").unwrap();
        let text = format!("log:\n{log}storage:\n{rest}");
        std::fs::write(
            &path,
            text.replace("DIR", &server.folder.path().display().to_string()),
        )
        .unwrap();
        server.reload();
        server.await_log("the configuration was read again");
        server.await_log("\n");
    };
    let lines = |file: &str| {
        let text = std::fs::read_to_string(server.folder.path().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    server.get("/v2/first").expect(404);
    until(&1, || lines("access.log").len());
    // Another level and form of both logs.
    rewrite("  level: debug\n  formatter: json\n  accesslog: {file: DIR/access.log}\n");
    server.get("/v2/second").expect(404);
    until(&2, || lines("access.log").len());
    let second: serde_json::Value = serde_json::from_str(&lines("access.log")[1]).unwrap();
    assert!(second.to_string().contains("/v2/second"), "{second}");
    let mut broken = TcpStream::connect(server.address).unwrap();
    broken.write_all(b"nonsense\r\n\r\n").unwrap();
    let told = server.await_log("connection broke");
    let line = told.lines().last().unwrap();
    assert!(line.contains("\"level\":\"DEBUG\""), "{told}");
    // A file that was rotated away is made anew.
    let rotated = server.folder.path().join("access.log.1");
    std::fs::rename(server.folder.path().join("access.log"), &rotated).unwrap();
    rewrite("  formatter: text\n  accesslog: {file: DIR/access.log}\n");
    server.get("/v2/third").expect(404);
    until(&1, || lines("access.log").len());
    assert!(lines("access.log")[0].contains("/v2/third") && lines("access.log.1").len() == 2);
    // What cannot be opened leaves what is; what is switched off is.
    rewrite("  accesslog: {file: DIR/none/access.log}\n");
    server.get("/v2/fourth").expect(404);
    until(&2, || lines("access.log").len());
    rewrite("  accesslog: {disabled: true}\n");
    server.get("/v2/fifth").expect(404);
    rewrite("  accesslog: {file: DIR/access.log}\n");
    server.get("/v2/sixth").expect(404);
    until(&3, || lines("access.log").len());
    assert!(lines("access.log")[2].contains("/v2/sixth"));
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

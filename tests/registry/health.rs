//! Health and readiness: what those are told who decide whether requests come here.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use super::client::send;
use super::config::second_port;
use super::receiver::Receiver;
use super::server::{Server, free_port, sha256};

/// Asks until the answer has this status.
fn until(server: &Server, target: &str, status: u16) -> serde_json::Value {
    for _ in 0..1000 {
        let answer = server.get(target);
        if answer.status == status {
            return answer.json();
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{target} never answers {status}");
}

/// Somebody who takes connections for as long as the flag says.
fn listen() -> (SocketAddr, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let (address, flag) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(true)));
    let listening = Arc::clone(&flag);
    std::thread::spawn(move || {
        while listening.load(Ordering::SeqCst) {
            let _ = listener.accept();
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    });
    (address, flag)
}

#[test]
fn a_server_that_is_well() {
    let server = Server::start();
    assert_eq!(
        server.get("/healthz").expect(200).json(),
        json!({"status": "alive"})
    );
    assert_eq!(server.get("/readyz").expect(200).json()["status"], "ready");
    assert_eq!(server.get("/debug/health").expect(200).json(), json!({}));
    server.send("POST", "/readyz", &[], "").expect(405);
}

#[test]
fn a_file_takes_it_out_of_service() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("down");
    let server = Server::with(&format!(
        "health:\n  file:\n    - file: {}\n      interval: 20ms\n",
        file.display()
    ));
    server.get("/readyz").expect(200);
    std::fs::write(&file, "").unwrap();
    let name = format!("file {}", file.display());
    let told = until(&server, "/readyz", 503);
    assert_eq!(told["failing"], json!({name.clone(): "the file is there"}));
    assert_eq!(
        until(&server, "/debug/health", 503),
        json!({name: "the file is there"})
    );
    // It is alive all the same, and serves nobody, as distribution does.
    server.get("/healthz").expect(200);
    for target in ["/", "/v2/", "/v2/a/tags/list", "/v2/_catalog"] {
        let refused = server.get(target).expect(503);
        assert_eq!(refused.code(), "UNAVAILABLE", "{target}");
        let error = refused.json()["errors"][0].clone();
        assert_eq!(error["message"], "service unavailable");
        assert_eq!(error["detail"], "health check failed: please see /debug/health");
    }
    server.get("/ui/").expect(503);
    std::fs::remove_file(&file).unwrap();
    until(&server, "/readyz", 200);
    server.get("/v2/").expect(200);
}

#[test]
fn others_that_it_needs() {
    let other = Receiver::start();
    let (port, listening) = listen();
    let server = Server::with(&format!(
        "health:\n  http:\n    - uri: http://{}/up?key=hidden\n      headers:\n        X-Key: [abc]\n      interval: 20ms\n      \
         threshold: 3\n  tcp:\n    - addr: {port}\n      interval: 20ms\n",
        other.address
    ));
    until(&server, "/readyz", 200);
    let asked = other.wait(|taken| !taken.is_empty());
    assert!(asked[0].head.starts_with("head /up?key=hidden "), "{asked:?}");
    assert!(asked[0].head.contains("x-key: abc\r\n"));
    other.answer(500);
    let told = until(&server, "/readyz", 503)["failing"].clone();
    let name = format!("http http://{}/up", other.address);
    assert_eq!(told, json!({name: "answered 500 Internal Server Error"}));
    assert!(other.wait_refused(|refused| refused.len() >= 3).len() >= 3);
    other.answer(200);
    until(&server, "/readyz", 200);
    listening.store(false, Ordering::SeqCst);
    let told = until(&server, "/readyz", 503)["failing"].clone();
    assert!(
        told[format!("tcp {port}")].as_str().unwrap().contains("efused"),
        "{told}"
    );
}

#[test]
fn a_storage_that_takes_no_write() {
    let server = Server::with("health:\n  storagedriver:\n    interval: 20ms\n    threshold: 2\n");
    until(&server, "/readyz", 200);
    let folder = server.data().join("regdeploy");
    // A file where the folder has to be: even root cannot write into that.
    let aside = server.data().join("aside");
    for _ in 0..500 {
        if folder.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    std::fs::rename(&folder, &aside).unwrap();
    std::fs::write(&folder, "").unwrap();
    let told = until(&server, "/readyz", 503);
    assert_eq!(
        told["failing"],
        json!({"storagedriver": "the storage takes no write"})
    );
    server.get("/v2/").expect(503);
    server.await_log("a check has failed once more");
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    until(&server, "/readyz", 200);
    server.get("/v2/").expect(200);
}

/// Load balancers hear of it while requests that are under way come to their end.
#[test]
fn a_server_that_drains_is_not_ready() {
    let mut server = Server::with("  debug: {addr: '127.0.0.1:0'}\n");
    let second = second_port(&server);
    let ask = |path: &str| send(second, "GET", path, &[], "");
    ask("/readyz").expect(200);
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest={} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n",
        sha256(b"x")
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 25];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    server.terminate();
    server.await_log("stopping");
    super::server::until(&503, || ask("/readyz").status);
    let told = ask("/readyz").json();
    assert_eq!(
        told["failing"],
        json!({"draining": "the server is about to stop"})
    );
    ask("/healthz").expect(200);
    stream.write_all(b"x").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 201");
    drop(stream);
    assert!(server.wait().success());
}

/// One that an ACME server gives is looked after like one that is in a file.
#[test]
fn a_certificate_that_does_not_come_or_has_expired() {
    let nobody = free_port();
    let mut server = Server::with(&format!(
        "  debug: {{addr: '127.0.0.1:0'}}\n  tls: {{letsencrypt: {{hosts: [registry.test], cachefile: DIR/acme, directoryurl: \
         'https://{nobody}/dir'}}}}\n"
    ));
    // The checks begin beside the first requests.
    let told = |server: &Server, of: &str| {
        let second = second_port(server);
        let ask = || send(second, "GET", "/readyz", &[], "").json()[of]["certificate"].clone();
        super::server::until(&true, || !ask().is_null());
        ask()
    };
    assert_eq!(
        told(&server, "warnings"),
        "there is no certificate yet: it comes from the ACME server"
    );
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(vec!["registry.test".to_owned()]).unwrap();
    parameters.not_before = rcgen::date_time_ymd(2001, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2001, 2, 3);
    let folder = server.folder.path().join("acme");
    std::fs::create_dir_all(&folder).unwrap();
    let old = parameters.self_signed(&key).unwrap().pem();
    std::fs::write(folder.join("certificate.pem"), old).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    server.crash_and_restart();
    assert_eq!(
        told(&server, "failing"),
        "the certificate has expired: 2001-02-03T00:00:00Z"
    );
}

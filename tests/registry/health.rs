//! Health and readiness: what those are told who decide whether requests come here.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::receiver::Receiver;
use super::server::Server;

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
    // It is alive all the same, and serves who comes.
    server.get("/healthz").expect(200);
    server.get("/v2/").expect(200);
    std::fs::remove_file(&file).unwrap();
    until(&server, "/readyz", 200);
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
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    until(&server, "/readyz", 200);
}

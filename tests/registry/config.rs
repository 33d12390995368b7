//! What single keys of the configuration do, over real connections.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::client::send;
use super::server::{Server, until};

/// A server whose `http` section is this, and that listens on `socket`.
fn spawn(folder: &std::path::Path, http: &str) -> std::process::Child {
    let config = folder.join("registry.yml");
    let text = format!(
        "storage:\n  filesystem:\n    rootdirectory: {}/data\nhttp:\n{http}",
        folder.display()
    );
    std::fs::write(&config, text).unwrap();
    Command::new(env!("CARGO_BIN_EXE_regdeploy"))
        .args(["registry", "serve", "--config"])
        .arg(&config)
        .env_clear()
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_prefix_leads_all_paths() {
    let server = Server::with("  prefix: /nested/registry/\n");
    server.get("/v2/").expect(404);
    server.get("/nested/registry/v2/").expect(200);
    for name in ["a", "b"] {
        let upload = format!("/nested/registry/v2/{name}/blobs/uploads/");
        let answer = server.send("POST", &upload, &[], "").expect(202);
        let place = answer.header("location").to_owned();
        assert!(place.starts_with(&upload), "{place}");
        let digest = super::server::sha256(b"x");
        let separator = if place.contains('?') { '&' } else { '?' };
        let answer = server
            .send("PUT", &format!("{place}{separator}digest={digest}"), &[], "x")
            .expect(201);
        server.get(answer.header("location")).expect(200);
    }
    let page = server.get("/nested/registry/v2/_catalog?n=1").expect(200);
    let next = page.header("link");
    assert!(next.starts_with("</nested/registry/v2/_catalog?"), "{next}");
}

#[test]
fn http2_without_tls_where_it_is_asked_for() {
    let http2 = |server: &Server| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            let request = Request::get(format!("http://{}/v2/", server.address));
            let answer = sender
                .send_request(request.body(Empty::<Bytes>::new()).unwrap())
                .await?;
            let status = answer.status().as_u16();
            answer.into_body().collect().await?;
            Ok::<_, hyper::Error>(status)
        })
    };
    let server = Server::with("  h2c:\n    enabled: true\n");
    assert_eq!(http2(&server).unwrap(), 200);
    server.get("/v2/").expect(200);
    assert!(http2(&Server::start()).is_err());
}

#[test]
fn a_socket_in_the_file_system() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("registry.sock");
    let http = format!("  net: unix\n  addr: {}\n", socket.display());
    // What a crash leaves behind is in nobody's way.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let mut child = spawn(folder.path(), &http);
    let start = Instant::now();
    let mut stream = loop {
        match UnixStream::connect(&socket) {
            Ok(stream) => break stream,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(20), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    stream
        .write_all(b"GET /v2/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    // A second server leaves the first one's socket alone.
    assert!(!spawn(folder.path(), &http).wait().unwrap().success());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!socket.exists());
}

#[test]
fn the_second_port_says_how_it_goes() {
    let server = Server::with(
        "  debug:\n    addr: 127.0.0.1:0\n    prometheus:\n      enabled: true\n      path: /counted\n\
         health:\n  file:\n    - file: DIR/down\n      interval: 100ms\n",
    );
    server.await_log("debugging on 127.0.0.1:");
    let port = server.await_log("\n");
    let address = format!("127.0.0.1:{}", port.trim()).parse().unwrap();
    let ask = |path: &str| send(address, "GET", path, &[], "");
    assert_eq!(ask("/debug/health").expect(200).body, "{}");
    let counted = ask("/counted").expect(200);
    assert!(counted.body.starts_with(b"# "), "{counted:?}");
    ask("/v2/").expect(404);
    ask("/metrics").expect(404);
    std::fs::write(server.folder.path().join("down"), "").unwrap();
    until(&503, || ask("/debug/health").status);
    assert!(!ask("/debug/health").json().as_object().unwrap().is_empty());
}

//! What single keys of the configuration do, over real connections.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::client::send;
use super::server::{Server, until};

/// A server whose `http` section is this, and that listens on `socket`.
fn spawn(folder: &Path, http: &str) -> std::process::Child {
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

/// Waits until somebody listens.
fn connect(socket: &Path) -> UnixStream {
    let start = Instant::now();
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return stream,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(20), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_host_s_name_is_an_address() {
    let folder = tempfile::tempdir().unwrap();
    // IPv4 before IPv6, as in Go.
    let spawned = |name: &str| {
        let config = folder.path().join("registry.yml");
        let text = format!(
            "storage: {{filesystem: {{rootdirectory: {}/data}}}}\nhttp: {{addr: '{name}'}}\n",
            folder.path().display()
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_regdeploy"))
            .args(["registry", "serve", "--config"])
            .arg(&config)
            .env_clear()
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        while lines.read_line(&mut said).unwrap() > 0 && !said.contains("listening on") {}
        let _ = child.kill();
        (child.wait().unwrap(), said)
    };
    let (_, said) = spawned("localhost:0");
    assert!(said.contains("listening on 127.0.0.1:"), "{said}");
    let (_, said) = spawned("[::1]:0");
    assert!(said.contains("listening on [::1]:"), "{said}");
    let (status, said) = spawned("nobody.invalid:5000");
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("listen on nobody.invalid:5000: "), "{said}");
}

#[test]
fn a_socket_speaks_tls_and_http2_too() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("registry.sock");
    let curl = |options: &[&str]| {
        let output = Command::new("curl")
            .args(["-sSk", "-o", "/dev/null", "-w", "%{http_version} %{http_code}"])
            .arg("--unix-socket")
            .arg(&socket)
            .args(options)
            .output()
            .expect("curl is installed");
        String::from_utf8(output.stdout).unwrap()
    };
    let (plain, secure) = ("http://localhost/v2/", "https://localhost/v2/");
    for (lines, expected) in [
        (
            "  tls: {selfsigned: {enabled: true}}\n",
            [
                (&["--http2", secure][..], "2 200"),
                (&["--http1.1", secure], "1.1 200"),
                (&[plain], "1.1 400"),
            ],
        ),
        (
            "  h2c: {enabled: true}\n",
            [
                (&["--http2-prior-knowledge", plain], "2 200"),
                (&[plain], "1.1 200"),
                (&["-X", "PUT", "-d", "x", plain], "1.1 405"),
            ],
        ),
        (
            "",
            [
                (&["--http2-prior-knowledge", plain], "0 000"),
                (&[plain], "1.1 200"),
                (&[secure], "0 000"),
            ],
        ),
    ] {
        let http = format!("  net: unix\n  addr: {}\n{lines}", socket.display());
        let mut child = spawn(folder.path(), &http);
        drop(connect(&socket));
        for (options, expected) in expected {
            assert_eq!(curl(options), expected, "{lines} {options:?}");
        }
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_socket_in_the_file_system() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("registry.sock");
    let http = format!("  net: unix\n  addr: {}\n", socket.display());
    // What a crash leaves behind is in nobody's way.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let mut child = spawn(folder.path(), &http);
    let mut stream = connect(&socket);
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

/// Where `http.debug.addr` listens.
pub fn second_port(server: &Server) -> SocketAddr {
    server.await_log("debugging on ");
    server.await_log("\n").trim().parse().unwrap()
}

#[test]
fn the_second_port_says_how_it_goes() {
    let server = Server::with(
        "  debug:\n    addr: 127.0.0.1:0\n    prometheus:\n      enabled: true\n      path: /counted\n\
         health:\n  file:\n    - file: DIR/down\n      interval: 100ms\n",
    );
    let address = second_port(&server);
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

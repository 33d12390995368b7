//! The real executable on a port of its own, with a folder of its own, and the requests that tests repeat.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use regdeploy::registry::digest::{Algorithm, Digest};

use super::client::{Answer, send};

/// Longer than a start ever takes, even beside a build.
const START: Duration = Duration::from_secs(20);

pub struct Server {
    pub folder: tempfile::TempDir,
    pub address: SocketAddr,
    extra: String,
    child: Child,
}

impl Server {
    /// Starts with deletion enabled and an empty folder.
    pub fn start() -> Self {
        Self::with("")
    }

    /// Starts with further lines under `http:`.
    pub fn with(extra: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (child, address) = spawn(folder.path(), extra);
        Self {
            folder,
            address,
            extra: extra.to_owned(),
            child,
        }
    }

    /// Ends the process at once, as a crash does, and starts another on the same folder.
    pub fn crash_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, self.address) = spawn(self.folder.path(), &self.extra);
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Asks it to stop, as a service manager does.
    pub fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Asks it to read its configuration again.
    pub fn reload(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    }

    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }

    pub fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        send(self.address, method, target, headers, body)
    }

    pub fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[], "")
    }

    pub fn head(&self, target: &str) -> Answer {
        self.send("HEAD", target, &[], "")
    }

    /// Starts an upload and returns its URL.
    pub fn begin(&self, name: &str) -> String {
        let answer = self
            .send("POST", &format!("/v2/{name}/blobs/uploads/"), &[], "")
            .expect(202);
        answer.header("location").to_owned()
    }

    pub fn push_blob(&self, name: &str, content: &[u8]) -> String {
        let digest = sha256(content);
        let target = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        self.send("POST", &target, &[], content.to_vec()).expect(201);
        digest
    }

    /// Pushes a small image with a layer of these bytes; returns its digest and manifest.
    pub fn push_image(&self, name: &str, tag: &str, layer: &[u8]) -> (String, String) {
        let layer_digest = self.push_blob(name, layer);
        let config_digest = self.push_blob(name, b"{}");
        let manifest = image(&config_digest, &layer_digest, layer.len(), "");
        let answer = self.put_manifest(name, tag, OCI_MANIFEST, &manifest).expect(201);
        (answer.header("docker-content-digest").to_owned(), manifest)
    }

    pub fn put_manifest(&self, name: &str, reference: &str, media_type: &str, manifest: &str) -> Answer {
        let target = format!("/v2/{name}/manifests/{reference}");
        self.send(
            "PUT",
            &target,
            &[("content-type", media_type)],
            manifest.to_owned(),
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

pub fn sha256(content: &[u8]) -> String {
    Digest::of(Algorithm::Sha256, content).to_string()
}

/// An OCI manifest; `more` is further members, each followed by a comma.
pub fn image(config: &str, layer: &str, layer_size: usize, more: &str) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}",{more}
  "config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":2}},
  "layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{layer}","size":{layer_size}}}]}}"#
    )
}

fn spawn(folder: &Path, extra: &str) -> (Child, SocketAddr) {
    let config = folder.join("registry.yml");
    let text = format!(
        "version: 0.1\nlog:\n  accesslog:\n    file: {0}/access.log\nstorage:\n  filesystem:\n    rootdirectory: {0}/data\n  \
         delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:0\n{extra}",
        folder.display()
    );
    std::fs::write(&config, text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_regdeploy"))
        .args(["registry", "serve", "--config"])
        .arg(&config)
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    let address = loop {
        let before = seen.len();
        assert!(
            log.read_line(&mut seen).unwrap() > 0,
            "the server did not start: {seen}"
        );
        if let Some((_, rest)) = seen[before..].split_once("listening on ") {
            break rest.split([',', '\n']).next().unwrap().parse().unwrap();
        }
    };
    // Its log must go on being read, or the pipe fills; what it says is shown when a test fails.
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            eprintln!("{line}");
        }
    });
    (child, address)
}

/// Waits until somebody listens.
pub fn await_port(address: SocketAddr) {
    let start = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(start.elapsed() < START, "nobody listens on {address}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port that was free just now.
pub fn free_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

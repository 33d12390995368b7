//! The real executable on a port of its own, with a folder of its own, and the requests that tests repeat.

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use regdeploy::registry::digest::{Algorithm, Digest};

use super::client::{Answer, send};

/// Longer than a start ever takes, even beside a build.
const START: Duration = Duration::from_secs(20);

const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub struct Server {
    pub folder: tempfile::TempDir,
    pub address: SocketAddr,
    /// What it was told to listen on.
    wanted: SocketAddr,
    /// Its lines under `storage:`.
    storage: String,
    environment: Vec<(String, String)>,
    child: Child,
    /// What it has written to its log, since the first start.
    log: Log,
}

type Log = Arc<Mutex<String>>;

impl Server {
    /// Starts with deletion enabled and an empty folder.
    pub fn start() -> Self {
        Self::with("")
    }

    /// Starts with further lines under `http:`.
    pub fn with(extra: &str) -> Self {
        Self::at(ANY_PORT, extra)
    }

    /// The same, on an address that others must know beforehand.
    pub fn at(wanted: SocketAddr, extra: &str) -> Self {
        Self::on(tempfile::tempdir().unwrap(), wanted, extra)
    }

    /// The same, in a folder that has been prepared; `DIR` in the lines is its path.
    pub fn on(folder: tempfile::TempDir, wanted: SocketAddr, extra: &str) -> Self {
        configure(folder.path(), wanted, "", extra);
        Self::configured(folder, wanted, "", &[])
    }

    /// Starts on a folder of the caller's, with further lines under `storage:`.
    pub fn care(folder: tempfile::TempDir, storage: &str) -> Self {
        configure(folder.path(), ANY_PORT, storage, "");
        Self::configured(folder, ANY_PORT, storage, &[])
    }

    /// Starts with further lines under `http:`, with these variables and no others.
    pub fn with_environment(extra: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        configure(folder.path(), ANY_PORT, "", extra);
        Self::configured(folder, ANY_PORT, "", environment)
    }

    fn configured(
        folder: tempfile::TempDir,
        wanted: SocketAddr,
        storage: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let log = Log::default();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment: Vec<_> = environment.iter().map(owned).collect();
        let (child, address) = spawn(folder.path(), &environment, &log);
        Self {
            folder,
            address,
            wanted,
            storage: storage.to_owned(),
            environment,
            child,
            log,
        }
    }

    /// Writes other lines under `http:`; they are read at the next start or signal.
    pub fn configure(&self, extra: &str) {
        configure(self.folder.path(), self.wanted, &self.storage, extra);
    }

    /// Ends the process at once, as a crash does, and starts another on the same folder.
    pub fn crash_and_restart(&mut self) {
        self.kill();
        self.restart();
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn restart(&mut self) {
        (self.child, self.address) = spawn(self.folder.path(), &self.environment, &self.log);
    }

    /// Waits until its log has this text, and empties it up to there.
    #[track_caller]
    pub fn await_log(&self, text: &str) -> String {
        let start = Instant::now();
        loop {
            let mut log = self.log.lock().unwrap();
            if let Some(at) = log.find(text) {
                let rest = log.split_off(at + text.len());
                return std::mem::replace(&mut *log, rest);
            }
            assert!(start.elapsed() < START, "the log has no {text:?}: {log}");
            drop(log);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The most memory that it has had so far, in MiB.
    pub fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() >> 10
    }

    /// Writes another configuration, with these lines under `http:`, and has it read while the server runs.
    pub fn reconfigure(&self, extra: &str) {
        self.configure(extra);
        self.reload();
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Asks it to stop, as a service manager does.
    pub fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Asks it to read its configuration again.
    pub fn reload(&self) {
        self.signal(rustix::process::Signal::HUP);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
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

fn configure(folder: &Path, address: SocketAddr, storage: &str, extra: &str) {
    let text = format!(
        "version: 0.1\nlog:\n  accesslog:\n    file: DIR/access.log\nstorage:\n  filesystem:\n    rootdirectory: DIR/data\n  \
         delete:\n    enabled: true\n{storage}http:\n  addr: {address}\n{extra}"
    );
    let text = text.replace("DIR", &folder.display().to_string());
    std::fs::write(folder.join("registry.yml"), text).unwrap();
}

/// Repeats a question until its answer is this: what happens beside the requests takes its time.
#[track_caller]
pub fn until<T: PartialEq + std::fmt::Debug>(expected: &T, ask: impl Fn() -> T) {
    let start = Instant::now();
    loop {
        let found = ask();
        if found == *expected {
            return;
        }
        assert!(start.elapsed() < START, "{found:?} instead of {expected:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn spawn(folder: &Path, environment: &[(String, String)], written: &Log) -> (Child, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_regdeploy"))
        .args(["registry", "serve", "--config"])
        .arg(folder.join("registry.yml"))
        .env_clear()
        .envs(environment.iter().cloned())
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
    let written = Arc::clone(written);
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            eprintln!("{line}");
            written.lock().unwrap().push_str(&(line + "\n"));
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

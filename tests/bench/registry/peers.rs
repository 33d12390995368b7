//! The servers, each as its own process on a port of its own, and what the kernel says of them.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Sample, Scene};

/// Of `/proc/PID/stat`, on every architecture that Rust runs Linux on.
const TICKS_PER_SECOND: f64 = 100.0;
/// More than any of them takes to start.
const START: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Regdeploy,
    DockerRegistry,
    Nginx,
}

impl Peer {
    pub const ALL: [Self; 3] = [Self::Regdeploy, Self::DockerRegistry, Self::Nginx];

    pub fn name(self) -> &'static str {
        match self {
            Self::Regdeploy => "regdeploy",
            Self::DockerRegistry => "docker-registry",
            Self::Nginx => "nginx",
        }
    }

    /// The manifest's tag, or for a server that follows no links its digest.
    pub fn tag_or(self, digest: &str) -> &str {
        match self {
            Self::Nginx => digest,
            Self::Regdeploy | Self::DockerRegistry => "v1",
        }
    }
}

pub struct Running {
    child: Child,
    pub address: SocketAddr,
    pub secure: bool,
    settings: PathBuf,
    _folder: tempfile::TempDir,
}

impl Running {
    /// Starts a server on a data directory and waits for its first answer.
    pub fn start(peer: Peer, scene: &Scene, folder: &Path, secure: bool) -> Self {
        let address = free_address();
        let settings = tempfile::tempdir_in(&scene.data.work).unwrap();
        let file = settings.path().join("settings");
        fs::write(&file, settings_of(peer, scene, folder, address, secure)).unwrap();
        let mut command = match peer {
            Peer::Regdeploy => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_regdeploy"));
                command.args(["registry", "serve", "--config"]).arg(&file);
                command
            }
            Peer::DockerRegistry => {
                let mut command = Command::new("docker-registry");
                command.arg("serve").arg(&file);
                command
            }
            Peer::Nginx => {
                let mut command = Command::new("nginx");
                command.arg("-c").arg(&file).arg("-p").arg(settings.path());
                command
            }
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{} is installed: {error}", peer.name()));
        let begun = Instant::now();
        while !answers(address) {
            assert!(begun.elapsed() < START, "{} does not start", peer.name());
            std::thread::sleep(Duration::from_micros(500));
        }
        Self {
            child,
            address,
            secure,
            settings: file,
            _folder: settings,
        }
    }

    /// Waits until it has used no CPU time for so long.
    pub fn at_rest(self, pause: Duration) -> Self {
        let (begun, mut before) = (Instant::now(), self.cpu());
        while begun.elapsed() < START {
            std::thread::sleep(pause);
            let now = self.cpu();
            if now <= before {
                break;
            }
            before = now;
        }
        self
    }

    /// The process and those that it started.
    fn processes(&self) -> Vec<u32> {
        let own = self.child.id();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|text| text.parse().ok());
        std::iter::once(own).chain(children).collect()
    }

    /// Seconds of CPU time so far.
    pub fn cpu(&self) -> f64 {
        self.processes().into_iter().map(cpu_of).sum()
    }

    /// The most memory so far, MiB.
    pub fn peak(&self) -> f64 {
        let peaks = self.processes().into_iter().map(|process| {
            let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kibibytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
            kibibytes.unwrap_or(0.0) / 1024.0
        });
        peaks.sum()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // nginx ends its workers itself, if it is asked.
        let process = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

fn cpu_of(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Behind the name, which may hold anything: state is the third field, utime and stime are 14 and 15.
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = rest.split(' ').skip(11).take(2);
    ticks.filter_map(|text| text.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
}

/// Whether a server says anything: without TLS, to which those with TLS have an answer, too.
fn answers(address: SocketAddr) -> bool {
    let asked = TcpStream::connect(address).and_then(|mut stream| {
        stream.set_read_timeout(Some(START))?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
        stream.read(&mut [0; 64])
    });
    asked.is_ok_and(|length| length > 0)
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn settings_of(peer: Peer, scene: &Scene, folder: &Path, address: SocketAddr, secure: bool) -> String {
    let (root, data) = (folder.display(), &scene.data);
    let (certificate, key) = (data.certificate.display(), data.key.display());
    match peer {
        // The same keys for both: they are distribution's.
        Peer::Regdeploy | Peer::DockerRegistry => {
            let mut text = format!(
                "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {root}\n  delete:\n    enabled: true\nhttp:\n  addr: {address}\n"
            );
            if secure {
                let _ = write!(text, "  tls:\n    certificate: {certificate}\n    key: {key}\n");
            }
            text
        }
        Peer::Nginx => {
            let blobs = folder.join("docker/registry/v2/blobs/sha256");
            let tls = if secure { " ssl" } else { "" };
            format!(
                "daemon off;\nworker_processes auto;\npid nginx.pid;\nerror_log stderr;\nevents {{ worker_connections 1024; }}\n\
                 http {{\n  access_log off;\n  sendfile on;\n  keepalive_requests 1000000000;\n  ssl_certificate {certificate};\n  ssl_certificate_key {key};\n  \
                 server {{\n    listen {address}{tls};\n    \
                 location ~ \"^/v2/.*/(blobs|manifests)/sha256:(..)(.*)$\" {{\n      alias {}/$2/$2$3/data;\n      default_type application/octet-stream;\n    }}\n  }}\n}}\n",
                blobs.display(),
            )
        }
    }
}

/// Collects what nothing names, with the server's own verb: offline where that is the only way. None where there is
/// no such verb.
pub fn collect(peer: Peer, scene: &Scene, folder: &Path, manifests: u64) -> Option<Sample> {
    let running = Running::start(peer, scene, folder, false);
    let (mut command, online) = match peer {
        Peer::Nginx => return None,
        Peer::DockerRegistry => {
            let mut command = Command::new("docker-registry");
            command.args(["garbage-collect", "-m"]);
            command.arg(&running.settings);
            (command, None)
        }
        Peer::Regdeploy => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_regdeploy"));
            command.args(["registry", "gc", "--untagged", "--grace", "0", "--config"]);
            command.arg(&running.settings);
            (command, Some(&running))
        }
    };
    let cpu = || children_cpu() + online.map_or(0.0, Running::cpu);
    let (before, begun) = (cpu(), Instant::now());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu() - before);
    if peer == Peer::Regdeploy && output.status.code() == Some(2) {
        return None;
    }
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let revisions = folder.join("docker/registry/v2/repositories/bench/image/_manifests/revisions/sha256");
    let left = fs::read_dir(revisions).unwrap().filter(|revision| {
        let link = revision.as_ref().unwrap().path().join("link");
        link.exists()
    });
    assert_eq!(left.count(), 1, "one manifest is kept");
    #[expect(clippy::cast_precision_loss, reason = "a figure for a table")]
    Some(Sample {
        units: manifests as f64,
        seconds,
        cpu,
        peak: online.map_or(0.0, Running::peak),
    })
}

/// CPU time of all children that have ended and been waited for.
fn children_cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = rest.split(' ').skip(13).take(2);
    ticks.filter_map(|text| text.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
}

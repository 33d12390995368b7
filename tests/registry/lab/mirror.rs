//! Docker's engine behind a mirror: an engine of its own, since mirrors are in the engine's configuration.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::registry::engines::run;
use crate::registry::proxy_clients::{Hub, mirrors};

/// An engine's first start, beside a build.
const START: Duration = Duration::from_mins(1);

struct Engine {
    child: Child,
    folder: tempfile::TempDir,
    _bridge: Bridge,
}

/// A network of the engine's own. It starts no containers, but without one it would take `docker0` away, which is
/// another engine's.
struct Bridge(String);

impl Bridge {
    fn new() -> Self {
        let bridge = Self(format!("rd-{}", std::process::id()));
        let name = bridge.0.as_str();
        run(Command::new("ip").args(["link", "add", name, "type", "bridge"]));
        // Of those that are set aside for documents.
        run(Command::new("ip").args(["address", "add", "198.51.100.1/24", "dev", name]));
        bridge
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "delete", &self.0]).status();
    }
}

impl Engine {
    /// One that asks this mirror first.
    fn start(mirror: &str) -> Self {
        let (folder, bridge) = (tempfile::tempdir().unwrap(), Bridge::new());
        let at = |name: &str| folder.path().join(name);
        std::fs::write(
            at("daemon.json"),
            format!("{{\"registry-mirrors\": [\"{mirror}\"]}}\n"),
        )
        .unwrap();
        let mut command = Command::new("dockerd");
        for (flag, name) in [
            ("--config-file", "daemon.json"),
            ("--data-root", "data"),
            ("--exec-root", "run"),
            ("--pidfile", "pid"),
        ] {
            command.arg(flag).arg(at(name));
        }
        let child = command
            .arg(format!("--host=unix://{}", at("socket").display()))
            .args([&format!("--bridge={}", bridge.0), "--ip-forward=false"])
            .args(["--iptables=false", "--ip6tables=false"])
            .arg("--storage-driver=vfs")
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(at("log")).unwrap())
            .spawn()
            .expect("docker.io is installed");
        let engine = Self {
            child,
            folder,
            _bridge: bridge,
        };
        let begun = Instant::now();
        while !engine
            .command(&["version"])
            .output()
            .is_ok_and(|output| output.status.success())
        {
            let log = std::fs::read_to_string(engine.folder.path().join("log")).unwrap();
            assert!(begun.elapsed() < START, "dockerd does not answer: {log}");
            std::thread::sleep(Duration::from_millis(100));
        }
        engine
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command
            .arg(format!("--host=unix://{}/socket", self.folder.path().display()))
            .args(arguments);
        command
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It takes its containerd and its mounts along.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

#[test]
fn docker_pulls_through_a_mirror() {
    let hub = Hub::start();
    let section = format!("proxy:\n  remoteurl: http://{}\n", hub.upstream.address);
    for (mirror, trust) in mirrors(&section) {
        let scheme = if trust.is_some() { "https" } else { "http" };
        let engine = Engine::start(&format!("{scheme}://{}", mirror.address));
        for round in 0..2 {
            run(&mut engine.command(&["pull", "-q", "made:v1"]));
            let inspect = [
                "image",
                "inspect",
                "--format",
                "{{join .RepoDigests \" \"}}",
                "made:v1",
            ];
            assert_eq!(run(&mut engine.command(&inspect)), format!("made@{}", hub.digest));
            let expected: &[&str] = if round == 0 {
                &["blobs", "blobs", "manifests"]
            } else {
                &[]
            };
            assert_eq!(hub.fetched(), expected);
            run(&mut engine.command(&["rmi", "made:v1"]));
        }
    }
}

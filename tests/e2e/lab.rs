//! Targets of the lab (`tests/lab`), each gone with its value.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::process::{Ended, Process};

/// A target is ready in seconds, except for the first, which may have the image made.
const START: Duration = Duration::from_mins(10);
/// For a command in a target, the installation of packages included.
const COMMAND: Duration = Duration::from_mins(5);

/// A machine of its own: a container with an address, an init and an sshd.
pub struct Target {
    name: String,
    ip: String,
}

/// What plays init in a target.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Init {
    Systemd,
    SysV,
}

impl Target {
    pub fn start(name: &str) -> Self {
        Self::start_with(name, Init::Systemd)
    }

    pub fn start_with(name: &str, init: Init) -> Self {
        let options: &[&str] = match init {
            Init::Systemd => &[],
            Init::SysV => &["--no-systemd"],
        };
        Self::start_as(name, options)
    }

    /// With options of the script.
    pub fn start_as(name: &str, options: &[&str]) -> Self {
        let mut command = script("target");
        let printed = Process::start(command.args(options).arg(name), START)
            .end()
            .success();
        Self {
            name: name.to_owned(),
            ip: printed.lines().last().expect("an address").to_owned(),
        }
    }

    /// Also its host name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn ip(&self) -> &str {
        &self.ip
    }

    /// Runs a shell script as root, past the connection that is tested, and gives its output.
    #[track_caller]
    pub fn root(&self, script: &str) -> String {
        self.try_root(script).success()
    }

    /// The same, for a script that may fail.
    pub fn try_root(&self, script: &str) -> Ended {
        self.within(COMMAND, script)
    }

    /// The same, for one that may take this long.
    pub fn within(&self, limit: Duration, script: &str) -> Ended {
        let mut command = Command::new("docker");
        command.args(["exec", &self.container(), "sh", "-c", script]);
        Process::start(&mut command, limit).end()
    }

    pub fn copy_in(&self, from: &Path, to: &str) {
        let to = format!("{}:{to}", self.container());
        let mut command = Command::new("docker");
        command.arg("cp").arg(from).arg(to);
        Process::start(&mut command, COMMAND).end().success();
    }

    pub fn copy_out(&self, from: &str, to: &Path) {
        let mut command = Command::new("docker");
        command.args(["cp", &format!("{}:{from}", self.container())]);
        Process::start(command.arg(to), COMMAND).end().success();
    }

    /// Waits until a script succeeds.
    #[track_caller]
    pub fn eventually(&self, script: &str, limit: Duration) {
        let deadline = Instant::now() + limit;
        while !self.try_root(script).status.success() {
            assert!(Instant::now() < deadline, "{}: never: {script}", self.name);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    pub fn container(&self) -> String {
        format!("{}-{}", prefix(), self.name)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = Process::start(script("target").args(["--rm", &self.name]), COMMAND).end();
    }
}

/// The key that lets `deploy`, `pwuser` and `root` in.
pub fn key() -> PathBuf {
    let folder =
        std::env::var_os("REGDEPLOY_LAB_DIR").map_or_else(|| project().join("target/lab"), PathBuf::from);
    folder.join("id_ed25519")
}

/// The project that is tested.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs at the same time do not get into each other's way.
fn prefix() -> String {
    std::env::var("REGDEPLOY_LAB_PREFIX").unwrap_or_else(|_| format!("e2e-{}", std::process::id()))
}

fn script(name: &str) -> Command {
    let mut command = Command::new(project().join("tests/lab").join(name));
    command.env("REGDEPLOY_LAB_PREFIX", prefix());
    command
}

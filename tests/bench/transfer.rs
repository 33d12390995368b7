//! What files on their way cost, over ssh to an sshd of our own on this machine: a folder of a thousand small files, and
//! a large file, each new, unchanged, and changed a little.
//!
//! `cargo bench --bench transfer` runs it (root, openssh-server). With `REGDEPLOY_PEER=/path/to/ansible-playbook` the same
//! playbooks go through that program, too; where rsync is installed, it does the same work. Ratios are theirs to ours.
//! `REGDEPLOY_BENCH_SIZE` is the large file's size in MiB (1024), `REGDEPLOY_BENCH_FILES` the number of small ones. Each figure is the
//! median of three runs; of what takes more than half a minute, one run.

#[expect(
    dead_code,
    clippy::format_collect,
    clippy::zombie_processes,
    reason = "it is the tests' own, and they have more use for it"
)]
#[path = "../link/sshd.rs"]
mod sshd;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sshd::Sshd;

const RUNS: usize = 3;
const LONG: Duration = Duration::from_secs(30);
const MEBIBYTE: usize = 1 << 20;

/// A program that brings `source` to the target.
type Tool<'a> = (&'a str, Box<dyn Fn() -> Command + 'a>);

struct Scene {
    sshd: Sshd,
    folder: tempfile::TempDir,
    /// MiB.
    size: usize,
    /// How many small ones.
    files: usize,
}

/// How the target is before a run.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Empty,
    Same,
    Changed,
}

fn main() {
    let number = |name: &str, usual| {
        let given = std::env::var(name).ok().and_then(|text| text.parse().ok());
        given.unwrap_or(usual)
    };
    let scene = Scene::new(
        number("REGDEPLOY_BENCH_SIZE", 1024),
        number("REGDEPLOY_BENCH_FILES", 1000),
    );
    let small = format!("{} small files", scene.files);
    println!("{:>28} {:>12} {:>24} {:>24}", "", "regdeploy", "peer", "rsync");
    for (name, what) in [(small.as_str(), "small/"), ("a large file", "large")] {
        scene.source(what);
        for (state, label) in [
            (State::Empty, "new"),
            (State::Same, "same"),
            (State::Changed, "1 % changed"),
        ] {
            let mut line = format!("{:>28}", format!("{name}, {label}"));
            let mut ours = None;
            for tool in ["regdeploy", "peer", "rsync"] {
                let Some(tool) = scene.tools(what).into_iter().find(|(known, _)| *known == tool) else {
                    let _ = write!(line, " {:>24}", "-");
                    continue;
                };
                let time = scene.median(what, state, &tool).as_secs_f64();
                match ours {
                    None => {
                        let _ = write!(line, " {time:>10.3} s");
                        ours = Some(time);
                    }
                    Some(ours) => {
                        let _ = write!(line, " {time:>15.3} s {:>5.1}x", time / ours);
                    }
                }
            }
            println!("{line}");
        }
    }
}

impl Scene {
    fn new(size: usize, files: usize) -> Self {
        let scene = Self {
            sshd: Sshd::start(),
            folder: tempfile::tempdir().expect("a temporary folder"),
            size,
            files,
        };
        let hosts = format!(
            "host ansible_host=127.0.0.1 ansible_port={} ansible_user=root ansible_ssh_private_key_file={} \
             ansible_ssh_common_args='-o UserKnownHostsFile={}'\n",
            scene.sshd.port,
            scene.sshd.path("user").display(),
            scene.sshd.path("known_hosts").display(),
        );
        fs::write(scene.path("hosts"), hosts).expect("the inventory is written");
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn source(&self, what: &str) {
        let play = format!(
            "- hosts: all\n  gather_facts: false\n  tasks:\n    - copy: {{src: {what}, dest: {}/target/{what}}}\n",
            self.folder.path().display()
        );
        fs::write(self.path("play.yml"), play).expect("the playbook is written");
        if what == "large" {
            let mut file = fs::File::create(self.path(what)).expect("the large file is made");
            for number in 0..self.size {
                file.write_all(&noise(MEBIBYTE, number as u64))
                    .expect("the large file is written");
            }
            return;
        }
        fs::create_dir(self.path(what)).expect("a folder");
        for number in 0..self.files {
            let text = format!("setting {number}\n").repeat(150);
            fs::write(self.path(what).join(format!("file{number}")), text).expect("a file");
        }
    }

    /// Puts the target into a state: as the source, times included, so that rsync need not look either.
    fn prepare(&self, what: &str, state: State) {
        let _ = fs::remove_dir_all(self.path("target"));
        fs::create_dir(self.path("target")).expect("a folder");
        if state == State::Empty {
            return;
        }
        let copied = Command::new("cp")
            .arg("-a")
            .arg(self.path(what))
            .arg(self.path("target"))
            .status();
        assert!(copied.expect("cp").success());
        if state == State::Same {
            return;
        }
        let target = self.path("target").join(what);
        if target.is_dir() {
            for number in 0..self.files / 100 {
                fs::write(target.join(format!("file{number}")), "changed").expect("a file");
            }
            return;
        }
        let file = fs::OpenOptions::new()
            .write(true)
            .open(target)
            .expect("the large file");
        let middle = self.size / 2 * MEBIBYTE;
        let changed = noise(self.size * MEBIBYTE / 100, u64::MAX);
        file.write_all_at(&changed, middle as u64)
            .expect("the large file is changed");
    }

    fn tools<'a>(&'a self, what: &'a str) -> Vec<Tool<'a>> {
        let playbook = |program: PathBuf| {
            let mut command = Command::new(program);
            command
                .args(["-i", "hosts", "play.yml"])
                .current_dir(self.folder.path());
            command
        };
        let own = Path::new(env!("CARGO_BIN_EXE_regdeploy"));
        let mut tools: Vec<Tool> = vec![("regdeploy", Box::new(move || playbook(own.to_owned())))];
        if let Some(peer) = std::env::var_os("REGDEPLOY_PEER") {
            tools.push(("peer", Box::new(move || playbook(PathBuf::from(&peer)))));
        }
        let rsync = Command::new("rsync")
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        if rsync.is_ok_and(|status| status.success()) {
            let ssh = format!(
                "ssh -p {} -i {} -o UserKnownHostsFile={}",
                self.sshd.port,
                self.sshd.path("user").display(),
                self.sshd.path("known_hosts").display()
            );
            let target = format!("root@127.0.0.1:{}/target/{what}", self.folder.path().display());
            tools.push((
                "rsync",
                Box::new(move || {
                    let mut command = Command::new("rsync");
                    command
                        .args(["-az", "-e", &ssh])
                        .arg(self.path(what))
                        .arg(&target);
                    command
                }),
            ));
        }
        tools
    }

    fn median(&self, what: &str, state: State, tool: &Tool) -> Duration {
        let mut times: Vec<Duration> = Vec::new();
        while times.len() < RUNS && times.iter().all(|time| *time < LONG) {
            self.prepare(what, state);
            times.push(Self::once(tool));
        }
        times.sort();
        times[times.len() / 2]
    }

    fn once((name, tool): &Tool) -> Duration {
        let start = Instant::now();
        let output = tool()
            .env("ANSIBLE_NOCOLOR", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let time = start.elapsed();
        assert!(
            output.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        time
    }
}

/// Bytes that do not compress.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(next)
        .take(length / 8 + 1)
        .flatten()
        .collect();
    bytes.truncate(length);
    bytes
}

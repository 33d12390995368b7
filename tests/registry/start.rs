//! What a start costs: the same whatever the registry holds. Counted in system calls, never timed.
//!
//! Needs strace, Debian's package of that name.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::server::await_port;

/// A data directory with so many repositories.
fn data(folder: &Path, repositories: u32) {
    let root = folder.join("data/docker/registry/v2/repositories");
    for number in 0..repositories {
        let name = format!("team-{}/image-{number}", number % 10);
        for part in ["_layers/sha256", "_manifests/tags", "_uploads"] {
            std::fs::create_dir_all(root.join(&name).join(part)).unwrap();
        }
    }
}

/// The calls of a server that starts, and is idle for a while: those of the file system, and all.
fn calls(repositories: u32) -> (usize, usize) {
    let folder = tempfile::tempdir().unwrap();
    data(folder.path(), repositories);
    let address = super::server::free_port();
    let settings = folder.path().join("registry.yml");
    let text = format!(
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n",
        folder.path().join("data").display()
    );
    std::fs::write(&settings, text).unwrap();
    let log = folder.path().join("log");
    let mut strace = Command::new("strace")
        .args(["--follow-forks", "--quiet=attach,exit", "--output"])
        .arg(&log)
        .args([env!("CARGO_BIN_EXE_regdeploy"), "registry", "serve", "--config"])
        .arg(&settings)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("strace is installed");
    await_port(address);
    // Its parts come to rest: no more is written for half a second.
    let (begun, mut size) = (Instant::now(), 0);
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let now = std::fs::metadata(&log).unwrap().len();
        if now == size {
            break;
        }
        size = now;
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "it does not come to rest"
        );
    }
    let text = std::fs::read_to_string(&log).unwrap();
    let process = text.split(' ').next().and_then(|text| text.parse().ok());
    let process = process
        .and_then(rustix::process::Pid::from_raw)
        .expect("who made the first call");
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    strace.wait().unwrap();
    let log = std::fs::read_to_string(&log).unwrap();
    let listed = log.lines().filter(|line| line.contains("getdents64("));
    let stopped = log.lines().position(|line| line.contains("SIGTERM"));
    (listed.count(), stopped.unwrap_or_else(|| log.lines().count()))
}

#[test]
fn a_start_costs_the_same_whatever_there_is() {
    let (few, many) = (calls(1), calls(300));
    println!("{few:?} {many:?} calls");
    assert_eq!((few.0, many.0), (0, 0), "no folder is listed");
    // Threads that wake each other add some by chance.
    assert!(many.1 < few.1 + 100, "{few:?} {many:?}");
    assert!(many.1 < 600, "{many:?}");
}

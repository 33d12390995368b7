//! Runs that end before their plays do.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::case;

/// A loaded machine is slow to start processes.
const DEADLINE: Duration = Duration::from_secs(30);

fn failed_command() -> case::Copy {
    let cases = case::all("diagnostics/cases");
    cases
        .iter()
        .find(|case| case.name == "failed_command")
        .unwrap()
        .copy()
}

#[test]
fn an_interrupted_run_ends_with_99_and_leaves_nothing_behind() {
    let copy = failed_command();
    let play =
        "- hosts: localhost\n  gather_facts: false\n  tasks:\n  - shell: echo > started; exec sleep 4071\n";
    std::fs::write(copy.path().join("play.yml"), play).unwrap();
    let mut running = copy
        .command(&["play.yml".to_owned()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !copy.path().join("started").exists() {
        assert!(start.elapsed() < DEADLINE);
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&running);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(99));
    let mut said = String::new();
    running.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.ends_with("error: interrupted\n"), "{said}");
    while sleeping("4071") {
        assert!(start.elapsed() < DEADLINE, "the command outlived its run");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether a `sleep` with this argument runs anywhere.
fn sleeping(argument: &str) -> bool {
    let wanted = format!("sleep\0{argument}\0");
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .any(|entry| std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == wanted.as_bytes()))
}

#[test]
fn a_reader_that_goes_away_does_not_end_the_run() {
    let copy = failed_command();
    let play = "- hosts: localhost\n  gather_facts: false\n  tasks:\n  - debug:\n    loop: \"{{ range(2000) }}\"\n  - shell: echo > done\n";
    std::fs::write(copy.path().join("play.yml"), play).unwrap();
    let mut running = copy
        .command(&["play.yml".to_owned()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(running.stdout.take());
    assert_eq!(running.wait().unwrap().code(), Some(0));
    assert!(copy.path().join("done").exists());
}

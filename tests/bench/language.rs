//! What the language costs: how long runs take whose tasks only evaluate templates, and how much memory, as tasks
//! and hosts grow.
//!
//! `cargo bench` runs it. With `REGDEPLOY_PEER=/path/to/ansible-playbook` the same playbooks go through that program,
//! too, and the table has ratios; `REGDEPLOY_PEER_LIMIT` (task runs, 1,000 unless told otherwise) keeps it from what
//! would take the peer minutes. Each figure is the median of three runs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Hosts and tasks of one measurement.
type Size = (usize, usize);

/// By tasks on one host, then by hosts at twenty tasks.
const SIZES: &[Size] = &[
    (1, 1),
    (1, 100),
    (1, 1_000),
    (1, 10_000),
    (10, 20),
    (100, 20),
    (1_000, 20),
];
const RUNS: usize = 3;
const PEER_LIMIT: usize = 1_000;

/// What one run has cost.
#[derive(Clone, Copy)]
struct Cost {
    time: Duration,
    /// The most memory that it had, KiB.
    memory: u64,
}

fn main() {
    let peer = std::env::var("REGDEPLOY_PEER").ok();
    let limit = std::env::var("REGDEPLOY_PEER_LIMIT")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(PEER_LIMIT);
    let folder = tempfile::tempdir().expect("a temporary folder");
    println!(
        "{:>6} {:>7} {:>10} {:>9} {:>14} {:>10} {:>9} {:>7}",
        "hosts", "tasks", "time", "memory", "per task run", "peer", "memory", "ratio"
    );
    for &(hosts, tasks) in SIZES {
        write_playbook(folder.path(), hosts, tasks);
        let ours = median(Path::new(env!("CARGO_BIN_EXE_regdeploy")), folder.path());
        let mut line = format!(
            "{hosts:>6} {tasks:>7} {:>8.3} s {:>5} MB {:>11.1} us",
            ours.time.as_secs_f64(),
            ours.memory / 1024,
            microseconds(ours.time, hosts * tasks),
        );
        if let Some(peer) = peer.as_deref().filter(|_| hosts * tasks <= limit) {
            let theirs = median(Path::new(peer), folder.path());
            let ratio = theirs.time.as_secs_f64() / ours.time.as_secs_f64();
            write!(
                line,
                " {:>8.3} s {:>6} MB {ratio:>6.0}x",
                theirs.time.as_secs_f64(),
                theirs.memory / 1024
            )
            .expect("writing to a text");
        }
        println!("{line}");
    }
}

fn microseconds(time: Duration, runs: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let runs = runs as f64;
    time.as_secs_f64() * 1e6 / runs
}

/// Tasks that need nothing of a target: a condition, variables, filters, a registered result that the next one reads.
fn write_playbook(folder: &Path, hosts: usize, tasks: usize) {
    let mut inventory = String::from("[all:vars]\nansible_connection=local\nports=[80, 443]\n[web]\n");
    for host in 0..hosts {
        writeln!(inventory, "host{host} number={host}").expect("writing to a text");
    }
    let mut playbook = String::from(
        "- hosts: web\n  gather_facts: false\n  vars:\n    greeting: \"hello {{ inventory_hostname | upper }}\"\n  tasks:\n",
    );
    for task in 0..tasks {
        write!(
            playbook,
            "    - name: Say {task} on {{{{ inventory_hostname }}}}\n      debug:\n        \
             msg: \"{{{{ greeting }}}} {task} {{{{ ports | map('string') | join(',') }}}} {{{{ said.msg | default('nothing') | length }}}}\"\n      \
             when: number | int >= 0\n      register: said\n"
        )
        .expect("writing to a text");
    }
    fs::write(folder.join("hosts.ini"), inventory).expect("the inventory is written");
    fs::write(folder.join("play.yml"), playbook).expect("the playbook is written");
}

fn median(program: &Path, folder: &Path) -> Cost {
    let mut costs: Vec<Cost> = (0..RUNS).map(|_| run(program, folder)).collect();
    costs.sort_by_key(|cost| cost.time);
    costs[RUNS / 2]
}

fn run(program: &Path, folder: &Path) -> Cost {
    let start = Instant::now();
    let mut child = Command::new(program)
        .args(["-i", "hosts.ini", "play.yml"])
        .current_dir(folder)
        .env("ANSIBLE_NOCOLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.display()));
    let mut memory = 0;
    let status = loop {
        // The kernel's high-water mark only grows: what was read last is off by little.
        memory = high_water_mark(child.id()).unwrap_or(memory);
        if let Some(status) = child.try_wait().expect("the program is waited for") {
            break status;
        }
        thread::sleep(Duration::from_millis(1));
    };
    let time = start.elapsed();
    assert!(status.success(), "{} ended with {status}", program.display());
    Cost { time, memory }
}

/// `VmHWM` of a process, KiB.
fn high_water_mark(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

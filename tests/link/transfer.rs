//! What transfers cost, counted: exchanges and bytes, as whole runs over a real sshd tell them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::sshd::Sshd;

const MEBIBYTE: usize = 1 << 20;

/// A controller's folder and a host that it reaches.
struct Site {
    sshd: Sshd,
    folder: tempfile::TempDir,
}

/// What a run has cost.
struct Cost {
    exchanges: u64,
    sent: u64,
    received: u64,
    stdout: String,
}

impl Site {
    /// The agent is there already: what is counted is the transfer.
    fn new() -> Self {
        let site = Self {
            sshd: Sshd::start(),
            folder: tempfile::tempdir().unwrap(),
        };
        fs::write(
            site.path("hosts"),
            format!(
                "host ansible_host=127.0.0.1 ansible_port={} ansible_user=root ansible_ssh_private_key_file={} \
                 ansible_ssh_common_args='-o UserKnownHostsFile={}'\n",
                site.sshd.port,
                site.sshd.path("user").display(),
                site.sshd.path("known_hosts").display(),
            ),
        )
        .unwrap();
        site.run("ping:");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// On the target, which is this machine.
    fn target(&self, name: &str) -> PathBuf {
        self.path("target").join(name)
    }

    fn command(&self, task: &str, words: &[&str]) -> Command {
        fs::create_dir_all(self.path("target")).unwrap();
        let play = format!("- hosts: all\n  gather_facts: false\n  tasks:\n    - {task}\n");
        fs::write(self.path("play.yml"), play).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_regdeploy"));
        command
            .args(["-i", "hosts", "play.yml", "-vvv"])
            .args(words)
            .current_dir(self.folder.path())
            .env("ANSIBLE_NOCOLOR", "1")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, task: &str) -> Cost {
        self.run_with(task, &[])
    }

    fn run_with(&self, task: &str, words: &[&str]) -> Cost {
        let output = self.command(task, words).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let text = text(&output);
        let line = text
            .lines()
            .find(|line| line.contains("traffic: "))
            .expect("what it has cost");
        let numbers: Vec<u64> = line
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        Cost {
            exchanges: numbers[0],
            sent: numbers[1],
            received: numbers[2],
            stdout: text,
        }
    }
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn changed(cost: &Cost) -> bool {
    cost.stdout.contains("changed=1")
}

/// Bytes that do not compress.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(state >> 32).to_be_bytes()[4..]);
    }
    bytes.truncate(length);
    bytes
}

fn same_trees(one: &Path, other: &Path) -> bool {
    let status = Command::new("diff")
        .args(["-rq", "--no-dereference"])
        .args([one, other])
        .status();
    status.unwrap().success()
}

#[test]
fn a_folder_of_a_thousand_files_is_one_exchange_if_it_is_right_and_two_if_not() {
    let site = Site::new();
    let idle = site.run("ping:");
    fs::create_dir(site.path("site")).unwrap();
    for number in 0..1000 {
        let text = format!("setting {number}\n").repeat(40);
        fs::write(site.path("site").join(format!("file{number}.conf")), text).unwrap();
    }
    let task = format!("copy: {{src: site/, dest: {}/}}", site.target("site").display());
    let first = site.run(&task);
    assert!(changed(&first));
    assert!(same_trees(&site.path("site"), &site.target("site")));
    assert_eq!(first.exchanges, idle.exchanges + 1);
    // Half a megabyte in small files: they compress together.
    assert!(first.sent < 200_000, "{} bytes", first.sent);

    let second = site.run(&task);
    assert!(!changed(&second));
    assert_eq!(second.exchanges, idle.exchanges);
    assert!(second.sent < 100_000, "{} bytes", second.sent);

    for number in 0..10 {
        fs::write(site.target(&format!("site/file{number}.conf")), "spoilt").unwrap();
    }
    let with_diff = site.run_with(&task, &["--check", "--diff"]);
    assert!(changed(&with_diff) && with_diff.stdout.contains("-spoilt"));
    assert_eq!(with_diff.exchanges, idle.exchanges + 1);
    let third = site.run(&task);
    assert_eq!(third.exchanges, idle.exchanges + 1);
    assert!(third.sent < second.sent + 10_000, "{} bytes", third.sent);
    assert!(same_trees(&site.path("site"), &site.target("site")));
}

#[test]
fn one_percent_of_a_large_file_is_sent_as_little_more_than_that() {
    let site = Site::new();
    let mut bytes = noise(64 * MEBIBYTE, 1);
    fs::write(site.target_made("image"), &bytes).unwrap();
    let middle = 30 * MEBIBYTE;
    let hundredth = bytes.len() / 100;
    bytes.splice(middle..middle + hundredth, noise(hundredth + 1000, 2));
    fs::write(site.path("image"), &bytes).unwrap();
    let cost = site.run(&format!(
        "copy: {{src: image, dest: {}}}",
        site.target("image").display()
    ));
    assert!(changed(&cost));
    assert!(fs::read(site.target("image")).unwrap() == bytes);
    let both = usize::try_from(cost.sent + cost.received).unwrap();
    assert!(
        both < hundredth * 13 / 10,
        "{both} bytes for a change of {hundredth}"
    );
}

#[test]
fn a_transfer_that_was_interrupted_goes_on_where_it_stopped() {
    let site = Site::new();
    let bytes = noise(96 * MEBIBYTE, 3);
    fs::write(site.path("image"), &bytes).unwrap();
    let task = format!("copy: {{src: image, dest: {}}}", site.target("image").display());
    let kept = || {
        let folder = site.sshd.path("home/.cache/regdeploy");
        fs::read_dir(folder).unwrap().flatten().find_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.starts_with("partial-")
                .then(|| entry.metadata().map_or(0, |found| found.len()))
        })
    };
    let mut run = site
        .command(&task, &[])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let patience = Instant::now() + Duration::from_mins(1);
    while kept().unwrap_or_default() < 8 << 20 {
        assert!(Instant::now() < patience, "nothing arrives");
        std::thread::sleep(Duration::from_millis(2));
    }
    site.sshd.kill_sessions("-KILL");
    assert!(!run.wait().unwrap().success());
    assert!(!site.target("image").exists());
    // The agent notices that its connection has gone, and ends.
    let patience = Instant::now() + Duration::from_secs(20);
    let mut arrived = 0;
    while Instant::now() < patience {
        let now = kept().unwrap();
        std::thread::sleep(Duration::from_secs(1));
        if kept() == Some(now) {
            arrived = now;
            break;
        }
    }
    assert!(arrived < bytes.len() as u64, "all of it had arrived");
    let cost = site.run(&task);
    assert!(fs::read(site.target("image")).unwrap() == bytes);
    let rest = bytes.len() as u64 - arrived;
    assert!(
        cost.sent < rest + (1 << 20),
        "{} bytes for the rest of {rest}",
        cost.sent
    );
    assert_eq!(kept(), None, "what has become whole is not kept");
}

#[test]
fn what_is_fetched_comes_raw_and_only_if_it_is_not_here() {
    let site = Site::new();
    let bytes = noise(8 * MEBIBYTE, 4);
    fs::write(site.target_made("noise"), &bytes).unwrap();
    fs::write(site.target("log"), "the same line\n".repeat(500_000)).unwrap();
    let idle = site.run("ping:");
    let fetch = |name: &str| {
        site.run(&format!(
            "fetch: {{src: {}, dest: fetched/, flat: true}}",
            site.target(name).display()
        ))
    };
    let cost = fetch("noise");
    assert!(fs::read(site.path("fetched/noise")).unwrap() == bytes);
    assert_eq!(cost.exchanges, idle.exchanges);
    assert!(
        cost.received < bytes.len() as u64 * 101 / 100,
        "{} bytes",
        cost.received
    );
    assert!(fetch("noise").received < 10_000);
    let cost = fetch("log");
    assert!(same_trees(&site.target("log"), &site.path("fetched/log")));
    assert!(
        cost.received < 700_000,
        "{} bytes of seven million",
        cost.received
    );
}

#[test]
fn a_tree_is_synchronized_with_one_exchange_if_nothing_differs() {
    let site = Site::new();
    let idle = site.run("ping:");
    for number in 0..300 {
        let folder = site.path(&format!("tree/{}", number % 7));
        fs::create_dir_all(&folder).unwrap();
        fs::write(
            folder.join(number.to_string()),
            format!("{number}\n").repeat(number),
        )
        .unwrap();
    }
    std::os::unix::fs::symlink("0/0", site.path("tree/link")).unwrap();
    let push = format!(
        "synchronize: {{src: tree/, dest: {}, delete: true}}",
        site.target("tree").display()
    );
    let first = site.run(&push);
    assert!(changed(&first));
    assert!(same_trees(&site.path("tree"), &site.target("tree")));
    assert_eq!(first.exchanges, idle.exchanges + 2);
    let second = site.run(&push);
    assert!(!changed(&second), "{}", second.stdout);
    assert_eq!(second.exchanges, idle.exchanges);

    fs::write(site.target("tree/more"), "new\n").unwrap();
    fs::remove_file(site.target("tree/0/7")).unwrap();
    let pull = format!(
        "synchronize: {{mode: pull, src: {}/, dest: tree, delete: true}}",
        site.target("tree").display()
    );
    assert!(changed(&site.run_with(&pull, &["--check"])));
    assert!(site.path("tree/0/7").exists());
    let third = site.run(&pull);
    assert!(third.stdout.contains("*deleting   0/7"), "{}", third.stdout);
    assert!(same_trees(&site.path("tree"), &site.target("tree")));
    assert_eq!(third.exchanges, idle.exchanges + 1);
    assert!(!changed(&site.run(&pull)));
}

#[test]
fn names_that_are_no_text_are_copied_and_synchronized() {
    use std::os::unix::ffi::OsStrExt;
    let site = Site::new();
    fs::create_dir(site.path("odd")).unwrap();
    for name in [
        &b"-rf"[..],
        b"new\nline",
        b"\xff\xfe",
        b"a b'\"$(id)",
        b"\xc3\xa9",
    ] {
        fs::write(site.path("odd").join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    for module in ["copy", "synchronize"] {
        let dest = site.target(module);
        let task = format!("{module}: {{src: odd/, dest: {}/}}", dest.display());
        assert!(changed(&site.run(&task)), "{module}");
        assert!(same_trees(&site.path("odd"), &dest), "{module}");
        assert!(!changed(&site.run(&task)), "{module}");
    }
}

impl Site {
    /// As `target`, its folder made.
    fn target_made(&self, name: &str) -> PathBuf {
        fs::create_dir_all(self.path("target")).unwrap();
        self.target(name)
    }
}

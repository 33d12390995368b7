//! The machine that `regdeploy` is run on: a home and an inventory of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::lab::{self, Target};
use super::process::{Ended, Process};

/// A deployment takes a minute.
const RUN: Duration = Duration::from_mins(10);

pub struct Controller {
    folder: TempDir,
}

/// A run of `regdeploy` that has ended.
pub struct Run {
    /// None if a signal ended it.
    pub code: Option<i32>,
    pub status: std::process::ExitStatus,
    pub output: String,
    pub errors: String,
}

/// A host's line of the recap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recap {
    pub ok: u32,
    pub changed: u32,
    pub unreachable: u32,
    pub failed: u32,
}

impl Controller {
    /// A controller that knows the host keys of these targets.
    pub fn new(targets: &[&Target]) -> Self {
        let controller = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        fs::create_dir_all(controller.home().join(".ssh")).unwrap();
        let known: String = targets.iter().map(|target| host_keys(target)).collect();
        fs::write(controller.known_hosts(), known).unwrap();
        controller
    }

    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub fn known_hosts(&self) -> PathBuf {
        self.home().join(".ssh/known_hosts")
    }

    /// Writes a file beside the inventory and gives its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// `regdeploy` in the project's folder, logging in with the lab's key where no inventory says otherwise.
    pub fn command(&self, inventory: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_regdeploy"));
        command
            .current_dir(lab::project())
            .env("HOME", self.home())
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("ANSIBLE_INVENTORY")
            .arg("-i")
            .arg(inventory)
            .arg("--private-key")
            .arg(lab::key())
            .args(arguments);
        command
    }

    pub fn start(&self, inventory: &Path, arguments: &[&str]) -> Process {
        Process::start(&mut self.command(inventory, arguments), RUN)
    }

    pub fn run(&self, inventory: &Path, arguments: &[&str]) -> Run {
        Run::from(self.start(inventory, arguments).end())
    }
}

impl From<Ended> for Run {
    fn from(ended: Ended) -> Self {
        Self {
            code: ended.status.code(),
            status: ended.status,
            output: ended.output,
            errors: ended.errors,
        }
    }
}

impl Run {
    /// The lines below `PLAY RECAP`, by host.
    pub fn recap(&self) -> BTreeMap<String, Recap> {
        let lines = self
            .output
            .lines()
            .skip_while(|line| !line.starts_with("PLAY RECAP"))
            .skip(1);
        lines
            .filter_map(|line| line.split_once(" : "))
            .map(|(host, counts)| (host.trim().to_owned(), Recap::parse(counts)))
            .collect()
    }

    /// Every host of the recap, and no other, did this much.
    #[track_caller]
    pub fn went_well(&self, hosts: &[&str]) -> &Self {
        assert_eq!(self.code, Some(0), "{self}");
        let recap = self.recap();
        assert_eq!(recap.keys().collect::<Vec<_>>(), hosts, "{self}");
        for (host, counts) in recap {
            assert_eq!((counts.failed, counts.unreachable), (0, 0), "{host}: {self}");
            assert!(counts.ok > 0, "{host}: {self}");
        }
        self
    }

    #[track_caller]
    pub fn changed_something(&self) -> &Self {
        let recap = self.recap();
        assert!(
            !recap.is_empty() && recap.values().all(|counts| counts.changed > 0),
            "{self}"
        );
        self
    }

    #[track_caller]
    pub fn changed_nothing(&self) -> &Self {
        let changed: Vec<&str> = self
            .output
            .lines()
            .filter(|line| line.starts_with("changed: ") || line.starts_with("TASK "))
            .collect();
        let recap = self.recap();
        assert!(
            !recap.is_empty() && recap.values().all(|counts| counts.changed == 0),
            "{}\n{recap:?}",
            changed.join("\n")
        );
        self
    }

    /// The line that says why a host failed or could not be reached.
    #[track_caller]
    pub fn fatal(&self, host: &str) -> &str {
        let begin = format!("fatal: [{host}]");
        let mut lines = self.output.lines().filter(|line| line.starts_with(&begin));
        lines.next().unwrap_or_else(|| panic!("{host} is well: {self}"))
    }
}

impl Recap {
    /// Reads `ok=1 changed=2 ...`.
    fn parse(counts: &str) -> Self {
        let count = |name: &str| {
            let mut words = counts.split_whitespace().filter_map(|word| word.split_once('='));
            let (_, number) = words.find(|(word, _)| *word == name).expect("a count");
            number.parse().expect("a number")
        };
        Self {
            ok: count("ok"),
            changed: count("changed"),
            unreachable: count("unreachable"),
            failed: count("failed"),
        }
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}\n{}\n{}", self.status, self.output, self.errors)
    }
}

fn host_keys(target: &Target) -> String {
    let mut command = Command::new("ssh-keyscan");
    command.arg(target.ip());
    Process::start(&mut command, Duration::from_secs(30))
        .end()
        .success()
}

//! A host for tasks one by one: who runs them, and what came of each.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::super::outcome::{Run, Task};
use crate::e2e::lab::Target;
use crate::e2e::process::Process;

/// For a list of tasks, on a machine that does much else.
const LIMIT: Duration = Duration::from_mins(5);

/// Things that a task which ends leaves nowhere: temporary files, and programs.
const LEFT: &str = "find / -xdev \\( -path /proc -o -path /sys \\) -prune -o -name '.regdeploy-*' -print; \
                    ps -eo args | grep -E '^regdeploy agent' || :";

/// Who runs the tasks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    Root,
    /// A user who may become root.
    Sudo,
    /// The same one, who does not.
    User,
}

pub struct Workshop(Target);

/// A task that must fail, and what its error says.
pub struct Fault {
    pub task: String,
    pub says: Vec<&'static str>,
}

pub fn fault(task: impl Into<String>, says: &[&'static str]) -> Fault {
    Fault {
        task: task.into(),
        says: says.to_vec(),
    }
}

impl Workshop {
    /// `prepared` is a script that root runs before anything else.
    pub fn open(name: &str, prepared: &str) -> Self {
        let target = Target::start(&format!("modules-{name}"));
        target.copy_in(
            Path::new(env!("CARGO_BIN_EXE_regdeploy")),
            "/usr/local/bin/regdeploy",
        );
        target.root("mkdir /play && cd / && touch /play/play.yml");
        target.root(prepared);
        Self(target)
    }

    pub fn host(&self) -> &Target {
        &self.0
    }

    /// Runs each task, whatever came of those before.
    #[track_caller]
    pub fn run(&self, by: By, tasks: &[&str]) -> Vec<Task> {
        let ended = self.start(by, tasks).end();
        let run = Run::of_ours(&ended.output, ended.errors);
        assert_eq!(run.tasks.len(), tasks.len(), "{}", run.errors);
        run.tasks
    }

    /// One that must succeed.
    #[track_caller]
    pub fn succeed(&self, task: &str) -> Task {
        let done = self.run(By::Root, &[task]).remove(0);
        assert!(!done.failed, "{task}\n{}", done.words());
        done
    }

    /// Lets them run.
    pub fn start(&self, by: By, tasks: &[&str]) -> Process {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), play(tasks)).expect("a play");
        self.0.copy_in(file.path(), "/play/play.yml");
        self.0.root("chmod 644 /play/play.yml");
        let user = if by == By::Root { "root" } else { "deploy" };
        let mut command = Command::new("docker");
        command.args(["exec", "-u", user, "-w", "/play"]);
        command.args(["-e", "ANSIBLE_STDOUT_CALLBACK=json", &self.0.container()]);
        command.args(["regdeploy", "-i", "localhost,", "-c", "local", "play.yml"]);
        if by == By::Sudo {
            command.arg("--become");
        }
        Process::start(&mut command, LIMIT)
    }

    /// Each fails with its words, and what `state` prints is the same afterwards.
    #[track_caller]
    pub fn all_fail(&self, by: By, state: &str, faults: &[Fault]) {
        let look = || format!("{}{}", self.0.root(state), self.0.root(LEFT));
        let before = look();
        let tasks: Vec<&str> = faults.iter().map(|fault| fault.task.as_str()).collect();
        let mut complaints = String::new();
        for (fault, done) in faults.iter().zip(self.run(by, &tasks)) {
            let words = done.words();
            if !done.failed || !fault.says.iter().all(|says| words.contains(says)) {
                let _ = write!(
                    complaints,
                    "{}\n    wants: {:?}\n    says: {words}\n",
                    fault.task, fault.says
                );
            }
        }
        assert!(complaints.is_empty(), "{complaints}");
        assert_eq!(before, look(), "something was left half done");
    }
}

/// Each task of it is played, whatever came of those before.
pub fn play(tasks: &[&str]) -> String {
    let mut play = "- hosts: all\n  gather_facts: false\n  ignore_errors: true\n  tasks:\n".to_owned();
    for task in tasks {
        let _ = writeln!(play, "    - {task}");
    }
    play
}

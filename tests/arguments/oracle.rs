//! What ansible-core says to tasks that break a rule.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value as Json;

use crate::differential::engine;

/// Rules that ansible-core does not have, by module and words of the message, and why we have them.
pub const OURS: &[(&str, &str, &str)] = &[
    (
        "apt",
        "one of the following is required",
        "its own defaults fulfil the rule: nothing is done",
    ),
    ("raw", "_raw_params", "with nothing to run it is a mistake"),
    ("set_stats", "data", "with nothing to set it is a mistake"),
    (
        "systemd_service",
        "one of the following is required",
        "its own defaults fulfil the rule: nothing is done",
    ),
];

/// Modules that do not get as far as their arguments on this machine.
pub const UNASKED: &[&str] = &["dnf"];

/// Modules that a check skips without a look at the arguments. What breaks a rule is never carried out, whatever the mode.
const SKIPPED: &[&str] = &["uri", "wait_for"];

pub struct Oracle {
    programs: PathBuf,
    documents: Json,
    /// Where its answers are kept: they cost a second each.
    answers: PathBuf,
}

impl Oracle {
    pub fn install() -> Self {
        let programs = engine::install();
        let run = |arguments: &[&str]| -> Json {
            let output = Command::new(programs.join("ansible-doc"))
                .args(arguments)
                .env("LANG", "C.UTF-8")
                .output()
                .expect("the oracle runs");
            serde_json::from_slice(&output.stdout).expect("JSON")
        };
        let list = run(&["--list", "--json", "--type", "module", "ansible.builtin"]);
        let names: Vec<&str> = list
            .as_object()
            .expect("names")
            .keys()
            .map(String::as_str)
            .collect();
        let mut arguments = vec!["--json", "--type", "module"];
        arguments.extend(names);
        let documents = run(&arguments);
        let answers = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/differential/answers");
        std::fs::create_dir_all(&answers).expect("a folder for answers");
        Self {
            programs,
            documents,
            answers,
        }
    }

    /// The modules that it has.
    pub fn modules(&self) -> HashSet<&str> {
        let names = self.documents.as_object().expect("documents").keys();
        names
            .map(|name| name.rsplit('.').next().unwrap_or(name))
            .collect()
    }

    /// What a module takes there, by all its names.
    pub fn arguments(&self, module: &str) -> HashSet<String> {
        let options = &self.documents[format!("ansible.builtin.{module}")]["doc"]["options"];
        let mut names = HashSet::new();
        for (name, option) in options.as_object().into_iter().flatten() {
            names.insert(name.clone());
            let aliases = option["aliases"].as_array().into_iter().flatten();
            names.extend(aliases.filter_map(Json::as_str).map(str::to_owned));
        }
        names
    }

    /// Why each of the tasks failed, where it did. Nothing is changed: it only checks.
    pub fn answers(&self, playbook: &str, tasks: usize) -> Vec<Option<String>> {
        // Where nothing runs, everything fails: the first task must not.
        let control = "- hosts: localhost\n  gather_facts: false\n  tasks: [{ping: }]\n";
        let ignored = "gather_facts: false\n  ignore_errors: true\n";
        let mut playbook = control.to_owned() + &playbook.replacen("gather_facts: false\n", ignored, 1);
        for module in SKIPPED {
            let task = format!("\n    {module}:");
            playbook = playbook.replace(&task, &format!("\n    check_mode: false{task}"));
        }
        let question = format!("{}\n{playbook}", self.programs.display());
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, question.as_bytes());
        let name: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let kept = self.answers.join(name);
        if let Ok(answers) = std::fs::read(&kept) {
            return serde_json::from_slice(&answers).expect("answers that were kept");
        }
        let answers = self.ask(&playbook, tasks);
        std::fs::write(kept, serde_json::to_vec(&answers).expect("JSON")).expect("written");
        answers
    }

    fn ask(&self, playbook: &str, tasks: usize) -> Vec<Option<String>> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("play.yml"), playbook).expect("written");
        let output = Command::new("timeout")
            .arg("300")
            .arg(self.programs.join("ansible-playbook"))
            .args(["play.yml", "--check", "-i", "localhost,", "-c", "local"])
            .env("LANG", "C.UTF-8")
            .env("ANSIBLE_NOCOLOR", "1")
            .env("ANSIBLE_PIPELINING", "1")
            .env("ANSIBLE_PYTHON_INTERPRETER", "/usr/bin/python3")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("the oracle runs");
        let told = String::from_utf8_lossy(&output.stdout);
        let mut answers = vec![None; tasks];
        let mut seen = HashSet::new();
        let mut now = None;
        for line in told.lines() {
            if let Some(rest) = line.strip_prefix("TASK [case ") {
                now = rest
                    .split(']')
                    .next()
                    .and_then(|number| number.parse::<usize>().ok());
                seen.extend(now);
            }
            let failed = line.starts_with("fatal: ") || line.starts_with("failed: ");
            if let Some(now) = now.filter(|_| failed) {
                answers[now] = Some(line.to_owned());
            }
        }
        assert_eq!(
            seen.len(),
            tasks,
            "{told}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        answers
    }
}

//! The two hosts on which cases are run, and how.
//!
//! All that belongs to a file of cases is put into one folder on a host: playbooks, scripts and, from the folder
//! beside the file that has its name, what the tasks copy. What came of them is fetched from there.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::super::case::{Case, CaseFile};
use super::super::outcome::{Ours, Theirs};
use crate::e2e::lab::{self, Target};
use crate::e2e::process::Process;

/// For a file of cases, on a machine that does much else.
const LIMIT: Duration = Duration::from_mins(20);

/// The host of `regdeploy`, without Python.
pub struct OurHost(Target);

/// The host of ansible-core, started when there is a case whose answer is not kept.
pub struct OracleHost<'a> {
    image: String,
    /// Of the cases that are asked for.
    files: &'a [CaseFile],
    answers: PathBuf,
    target: Option<Target>,
}

impl OurHost {
    pub fn start(files: &[CaseFile]) -> Self {
        let target = Target::start_as("modules-ours", &["--devices"]);
        target.root("mkdir /cases");
        target.copy_in(&here().join("ours"), "/cases/ours");
        target.copy_in(
            Path::new(env!("CARGO_BIN_EXE_regdeploy")),
            "/usr/local/bin/regdeploy",
        );
        install(&target, files.iter().flat_map(|file| &file.cases));
        Self(target)
    }

    pub fn run(&self, file: &CaseFile, folder: &Path) -> Vec<Ours> {
        let work = tempfile::tempdir().expect("a folder");
        let numbers: Vec<usize> = (0..file.cases.len()).collect();
        write(work.path(), file, &numbers, folder);
        for (number, case) in file.cases.iter().enumerate() {
            let play = format!(
                "- hosts: case{number}\n  gather_facts: false\n  tasks:\n{}",
                case.tasks
            );
            fs::write(work.path().join(format!("{number}.yml")), play).expect("a file");
        }
        let words: String = numbers.iter().map(|number| format!(" {number}")).collect();
        let done = exchange(&self.0, file, work.path(), |folder| {
            self.0
                .within(LIMIT, &format!("/cases/ours {folder}{words}"))
                .success();
        });
        let read = |number: &usize| Ours::read(&done.path().join(format!("{number}.out")));
        numbers.iter().map(read).collect()
    }
}

impl<'a> OracleHost<'a> {
    pub fn find(files: &'a [CaseFile]) -> Self {
        let mut script = Command::new(here().join("oracle/image"));
        let printed = Process::start(&mut script, LIMIT).end().success();
        let answers = lab::project().join("target/modules/answers");
        fs::create_dir_all(&answers).expect("a folder for answers");
        Self {
            image: printed.trim_end().to_owned(),
            files,
            answers,
            target: None,
        }
    }

    /// The answers to all cases of a file; none where ansible-core is not asked.
    pub fn ask(&mut self, file: &CaseFile, folder: &Path) -> Vec<Option<Theirs>> {
        let kept: Vec<PathBuf> = file
            .cases
            .iter()
            .map(|case| self.answers.join(self.question(file, case, folder)))
            .collect();
        let mut answers: Vec<Option<Theirs>> = kept.iter().map(|path| answer(path)).collect();
        loop {
            let open: Vec<usize> = (0..answers.len())
                .filter(|index| answers[*index].is_none() && file.cases[*index].oracle.is_none())
                .collect();
            if open.is_empty() {
                return answers;
            }
            for (index, theirs) in self.run(file, &open, folder) {
                let text = serde_json::to_vec(&theirs).expect("it is data");
                // Whole or not at all: two of these tests may run at a time.
                let temporary = tempfile::NamedTempFile::new_in(&self.answers).expect("a file");
                fs::write(temporary.path(), text).expect("an answer that can be kept");
                temporary
                    .persist(&kept[index])
                    .expect("an answer that can be kept");
                answers[index] = Some(theirs);
            }
        }
    }

    /// The answers of one process: to all, or up to the one whose tasks end it.
    fn run(&mut self, file: &CaseFile, open: &[usize], folder: &Path) -> Vec<(usize, Theirs)> {
        let (image, files) = (&self.image, self.files);
        let target = self.target.get_or_insert_with(|| {
            let target = Target::start_as("modules-oracle", &["--devices", "--image", image]);
            target.root("mkdir /cases");
            target.copy_in(&here().join("oracle"), "/cases/oracle");
            install(&target, files.iter().flat_map(|file| &file.cases));
            target
        });
        let work = tempfile::tempdir().expect("a folder");
        write(work.path(), file, open, folder);
        let mut plays = String::new();
        for number in open {
            let tasks = &file.cases[*number].tasks;
            fs::write(work.path().join(format!("{number}.tasks.yml")), tasks).expect("a file");
            for run in [1, 2] {
                // Rescued: when the last host has failed, ansible-core plays no further play.
                let _ = write!(
                    plays,
                    "- name: {number} {run}\n  hosts: case{number}\n  gather_facts: false\n  tasks:\n    - block:\n        \
                     - include_tasks: {number}.tasks.yml\n      rescue:\n        - meta: noop\n"
                );
            }
        }
        fs::write(work.path().join("play.yml"), plays).expect("a file");
        let mut errors = String::new();
        let done = exchange(target, file, work.path(), |folder| {
            errors = target
                .within(LIMIT, &format!("/cases/oracle/run {folder}"))
                .errors;
        });
        let folder = |number: usize| done.path().join(format!("{number}.out"));
        let complete = open
            .iter()
            .take_while(|number| Theirs::complete(&folder(**number)))
            .count();
        let told = &open[..open.len().min(complete + 1)];
        told.iter()
            .map(|number| (*number, Theirs::read(&folder(*number), &errors)))
            .collect()
    }

    /// A name for all that decides the answer.
    fn question(&self, file: &CaseFile, case: &Case, folder: &Path) -> String {
        let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        let mut add = |text: &str| digest.update(format!("{}:{text}", text.len()).as_bytes());
        for text in [
            self.image.as_str(),
            include_str!("../oracle/answers.py"),
            include_str!("../oracle/run"),
            &case.before,
            &case.tasks,
            &case.state,
        ] {
            add(text);
        }
        case.needs.iter().for_each(|need| add(need));
        for path in below(&folder.join(&file.name)) {
            add(&path.to_string_lossy());
            add(&String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()));
        }
        let digest = digest.finish();
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn answer(path: &Path) -> Option<Theirs> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn here() -> PathBuf {
    lab::project().join("tests/modules")
}

/// The packages that cases need, all at once.
fn install<'a>(target: &Target, cases: impl Iterator<Item = &'a Case>) {
    let packages: BTreeSet<&str> = cases
        .flat_map(|case| case.needs.iter().map(String::as_str))
        .collect();
    if packages.is_empty() {
        return;
    }
    let packages: Vec<&str> = packages.into_iter().collect();
    let script = format!(
        "export DEBIAN_FRONTEND=noninteractive; apt-get -q update && apt-get -qy install {}",
        packages.join(" ")
    );
    target.within(LIMIT, &script).success();
}

/// What both hosts need of a file of cases.
fn write(work: &Path, file: &CaseFile, numbers: &[usize], folder: &Path) {
    let beside = folder.join(&file.name);
    if beside.is_dir() {
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(beside.join(".")).arg(work);
        Process::start(&mut copy, LIMIT).end().success();
    }
    let mut hosts = String::new();
    for number in numbers {
        let case = &file.cases[*number];
        let _ = writeln!(hosts, "case{number}");
        for (kind, script) in [("before", &case.before), ("state", &case.state)] {
            fs::write(work.join(format!("{number}.{kind}")), script).expect("a file");
        }
    }
    fs::write(work.join("hosts"), hosts).expect("a file");
}

/// Takes a folder to a target, works there, and brings it back.
fn exchange(target: &Target, file: &CaseFile, work: &Path, run: impl FnOnce(&str)) -> tempfile::TempDir {
    let there = format!("/cases/{}", file.name);
    target.root(&format!("rm -rf {there}"));
    target.copy_in(work, &there);
    target.root(&format!("chown -R 0:0 {there} && chmod 755 {there}"));
    run(&there);
    let done = tempfile::tempdir().expect("a folder");
    target.copy_out(&format!("{there}/."), done.path());
    done
}

/// The files below a folder, in order.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(below(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

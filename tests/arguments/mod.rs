//! Bad arguments, made from the tables of all modules and actions: each is refused before anything runs, at its place.
//!
//! [`made`] makes them, [`written`] writes them down as tasks and knows where what stands. For the rules between arguments
//! real ansible-core is asked, too: it must refuse the same tasks.

mod made;
mod oracle;
mod written;

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use regdeploy::executor::{self, Words};
use regdeploy::modules::Spec;
use regdeploy::playbook::Vocabulary as _;

use self::made::{Bad, Nearest};
use self::written::{Finding, Written};

/// What the project has promised to try at least.
const FEWEST_CASES: usize = 2300;

/// Modules that end a play: what follows them is not certain to run.
const ENDING: &[&str] = &["fail"];

/// Every module and action that has a table and can be named.
fn specs() -> Vec<&'static Spec> {
    let words = Words {
        extra_vars: Arc::default(),
    };
    words.modules().into_iter().filter_map(executor::spec).collect()
}

#[test]
fn every_bad_argument_is_refused_at_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut complaints = Vec::new();
    let mut count = 0;
    for spec in specs() {
        let bad = made::all(spec);
        count += bad.len();
        let at_a_time = if ENDING.contains(&spec.name) {
            1
        } else {
            bad.len().max(1)
        };
        for bad in bad.chunks(at_a_time) {
            let written = Written::new(bad.iter().map(|bad| (spec.name, &bad.arguments)));
            let findings = refused(&written, folder.path());
            let tasks = bad.iter().zip(&written.tasks);
            complaints.extend(tasks.filter_map(|(bad, task)| {
                let found: Vec<&Finding> = findings.iter().filter(|found| task.holds(found.line)).collect();
                let why = judged(bad, task, &found)?;
                Some(format!("{why}\n{}\n{found:#?}", written.of(task)))
            }));
        }
    }
    println!(
        "{count} bad arguments, {} not refused as they should be",
        complaints.len()
    );
    complaints.truncate(20);
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
    assert!(count >= FEWEST_CASES, "only {count} cases");
}

/// What is wrong with what was found in a task.
fn judged(bad: &Bad, task: &written::Task, found: &[&Finding]) -> Option<String> {
    let [found] = found else {
        return Some(format!("{} errors instead of one: {}", found.len(), bad.message));
    };
    let (line, column) = task.place(&bad.at);
    if !found.message.contains(&bad.message) {
        return Some(format!("should say: {}", bad.message));
    }
    if (found.line, found.column, found.caret) != (line, column, Some(column)) {
        return Some(format!("should be at {line}:{column}: {}", bad.message));
    }
    match (&bad.nearest, &found.nearest) {
        (Nearest::Any, _) => None,
        (Nearest::OneOf(names), Some(near)) if names.contains(&near.as_str()) => None,
        (Nearest::OneOf(names), near) => Some(format!("should suggest one of {names:?}, not {near:?}")),
    }
}

/// The errors of a playbook that must be refused as a whole.
fn refused(written: &Written, folder: &Path) -> Vec<Finding> {
    if written.tasks.is_empty() {
        return Vec::new();
    }
    std::fs::write(folder.join("play.yml"), &written.text).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_regdeploy"))
        .arg("play.yml")
        .current_dir(folder)
        .output()
        .expect("the executable starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{told}\n{}", written.text);
    assert!(output.stdout.is_empty(), "something ran: {}", written.text);
    written::findings(&told)
}

#[test]
fn what_bad_arguments_are_made_of_is_sound() {
    let folder = tempfile::tempdir().expect("a folder");
    let sound: Vec<_> = specs()
        .into_iter()
        .filter(|spec| !ENDING.contains(&spec.name))
        .map(|spec| (spec.name, made::sound(spec)))
        .collect();
    let written = Written::new(sound.iter().map(|(name, arguments)| (*name, arguments)));
    std::fs::write(folder.path().join("play.yml"), &written.text).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_regdeploy"))
        .args(["play.yml", "--syntax-check"])
        .current_dir(folder.path())
        .output()
        .expect("the executable starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{}", written.text);
}

#[test]
fn ansible_core_refuses_what_breaks_a_rule() {
    let oracle = oracle::Oracle::install();
    let known = oracle.modules();
    let mut cases = Vec::new();
    for spec in specs()
        .into_iter()
        .filter(|spec| known.contains(spec.name) && !oracle::UNASKED.contains(&spec.name))
    {
        let theirs = oracle.arguments(spec.name);
        for bad in made::all(spec).into_iter().filter(|bad| bad.is_of_a_rule) {
            // An argument that is ours alone is unknown there: another reason.
            if bad.arguments.keys().all(|name| theirs.contains(name)) {
                cases.push((spec.name, bad));
            }
        }
    }
    let written = Written::new(cases.iter().map(|(name, bad)| (*name, &bad.arguments)));
    let answers = oracle.answers(&written.text, cases.len());
    let mut complaints = Vec::new();
    let mut excused = HashSet::new();
    for (((name, bad), task), answer) in cases.iter().zip(&written.tasks).zip(answers) {
        if answer.is_some() {
            continue;
        }
        match oracle::OURS
            .iter()
            .find(|row| row.0 == *name && bad.message.contains(row.1))
        {
            Some(row) => {
                excused.insert(row);
            }
            None => complaints.push(format!("{}\n{}", bad.message, written.of(task))),
        }
    }
    println!(
        "{} tasks that break rules, {} not refused by ansible-core",
        cases.len(),
        complaints.len()
    );
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    for row in oracle::OURS {
        assert!(excused.contains(row), "{row:?} is no longer needed");
    }
    assert!(cases.len() >= 60, "only {} cases", cases.len());
}

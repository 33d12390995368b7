//! Golden playbooks: what each prints, that a second run changes nothing, and that `--check` touches nothing.
//!
//! `case.txt` may say `again: changes`, and after a comma why, where a playbook is about that.

use crate::case::{self, Case};

#[test]
fn prints_what_is_expected() {
    case::check("golden/cases", Case::compare);
}

#[test]
fn a_second_run_changes_nothing() {
    case::check("golden/cases", |case| {
        if case.says("again: changes") {
            return String::new();
        }
        let copy = case.copy();
        copy.run(case.first_run());
        let second = copy.run(case.first_run());
        let printed = String::from_utf8_lossy(&second.stdout);
        let changed = printed
            .lines()
            .any(|line| line.contains(" changed=") && !line.contains(" changed=0 "));
        if changed {
            printed.into_owned()
        } else {
            String::new()
        }
    });
}

#[test]
fn check_touches_nothing() {
    case::check("golden/cases", |case| {
        let copy = case.copy();
        let before = copy.listing();
        let mut arguments = case.first_run().to_vec();
        arguments.push("--check".to_owned());
        copy.run(&arguments);
        let after = copy.listing();
        let touched: Vec<String> = before
            .keys()
            .chain(after.keys())
            .filter(|path| before.get(*path) != after.get(*path))
            // What is known of a job is kept in check mode, too: its module is what does nothing then.
            .filter(|path| !path.iter().any(|part| part == ".ansible_async"))
            .map(|path| path.display().to_string())
            .collect();
        touched.join("\n")
    });
}

#[test]
fn a_secret_is_never_printed() {
    let cases = case::all("golden/cases");
    let case = cases.iter().find(|case| case.name == "no_log").unwrap();
    let output = case
        .copy()
        .run(&["play.yml", "-vvvv", "--diff"].map(str::to_owned));
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    assert!(printed.contains("the output has been hidden"), "{printed}");
    assert!(!printed.contains("hunter2"), "{printed}");
}

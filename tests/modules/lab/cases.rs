//! The cases of `cases/*.yml` on both hosts.
//!
//! `MODULES=WORDS` runs only the cases whose `file/name` contains these words.

use std::path::Path;

use super::super::case::{self, Case, CaseFile};
use super::super::outcome::{Ours, Theirs};
use super::hosts::{OracleHost, OurHost};
use crate::differential::known::{Excuse, Known};
use crate::differential::score::Score;
use crate::e2e::lab;

#[test]
fn do_what_they_say_and_what_ansible_core_does() {
    let filter = std::env::var("MODULES").unwrap_or_default();
    let folder = lab::project().join("tests/modules/cases");
    let files = case::all(&folder, &filter).unwrap_or_else(|error| panic!("{error}"));
    assert!(!files.is_empty(), "there is no case {filter}");

    let (ours, theirs) = std::thread::scope(|scope| {
        let ours = scope.spawn(|| ours(&files, &folder));
        let theirs = scope.spawn(|| theirs(&files, &folder));
        (ours.join(), theirs.join())
    });
    let (ours, theirs) = (ours.expect("our host"), theirs.expect("ansible-core's host"));

    let mut known = Known::parse(include_str!("../known.txt"));
    let mut score = Score::new("modules");
    let mut complaints = Vec::new();
    for (file, (ours, theirs)) in files.iter().zip(ours.iter().zip(&theirs)) {
        for (case, (ours, theirs)) in file.cases.iter().zip(ours.iter().zip(theirs)) {
            let name = format!("{}/{}", file.name, case.name);
            let (said, excused) = verdict(&name, case, ours, theirs.as_ref(), &mut known);
            score.count(&file.name, said.is_empty() && !excused, excused);
            if !said.is_empty() {
                complaints.push(format!("==== {name}\n{said}"));
            }
        }
    }
    println!("{score}");
    if filter.is_empty() {
        complaints.extend(
            known
                .rest()
                .map(|name| format!("==== {name}\nis in known.txt and no case")),
        );
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// What is to be said of a case, and whether it differs as it is known to.
fn verdict(
    name: &str,
    case: &Case,
    ours: &Ours,
    theirs: Option<&Theirs>,
    known: &mut Known,
) -> (String, bool) {
    let mut said = ours.complaints(case);
    let difference = theirs.map_or_else(String::new, |theirs| ours.differences(theirs, case));
    match (known.take(name), difference.is_empty()) {
        (Some(_), false) => return (said, true),
        (None, _) => said.push_str(&difference),
        (Some(Excuse::Wanted), true) => said.push_str("no longer differs from ansible-core\n"),
        (Some(Excuse::NotDone), true) => println!("no longer differs: {name}"),
    }
    (said, false)
}

fn ours(files: &[CaseFile], folder: &Path) -> Vec<Vec<Ours>> {
    let host = OurHost::start(files);
    files.iter().map(|file| host.run(file, folder)).collect()
}

/// None where it is not asked.
fn theirs(files: &[CaseFile], folder: &Path) -> Vec<Vec<Option<Theirs>>> {
    let mut host = OracleHost::find(files);
    files.iter().map(|file| host.ask(file, folder)).collect()
}

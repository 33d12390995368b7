//! Truth in check mode: each playbook of `tests/predict` is predicted with `--check` on a machine that never saw it, and then
//! run there. Task by task the prediction has to come true.
//!
//! Precision is the share of predicted changes that came, recall the share of changes that were predicted; what was said
//! to be unknown counts for neither.

use std::collections::BTreeMap;
use std::fmt;

use super::controller::Run;
use super::lab::{Init, Target, project};
use super::listing::Listing;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Same,
    Skipped,
    Unknown,
    Changed,
    Failed,
}

/// How a host's tasks ended, by banner; of a loop's items, the one that tells most.
fn ends(run: &Run) -> BTreeMap<String, End> {
    let mut ends = BTreeMap::new();
    let mut banner = String::new();
    for line in run.output.lines() {
        if line.starts_with("PLAY RECAP") {
            break;
        }
        if let Some((_, rest)) = line.split_once('[').filter(|_| line.ends_with('*')) {
            rest.rsplit_once(']')
                .map_or("", |(name, _)| name)
                .clone_into(&mut banner);
            continue;
        }
        let word = line.split_once(": [").map_or("", |(word, _)| word);
        let end = match word {
            "ok" => End::Same,
            "changed" => End::Changed,
            "skipping" if line.contains("unknown until applied") => End::Unknown,
            "skipping" => End::Skipped,
            "fatal" | "failed" => End::Failed,
            _ => continue,
        };
        let known = ends.entry(banner.clone()).or_insert(end);
        *known = end.max(*known);
    }
    ends
}

#[derive(Debug, Default)]
struct Score {
    /// Changes that were predicted and came.
    hits: usize,
    /// Predicted and not come.
    false_alarms: usize,
    /// Come and not predicted.
    missed: usize,
    unknown: usize,
    same: usize,
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |of: usize| 100 * self.hits / (self.hits + of).max(1);
        write!(
            f,
            "precision {} %, recall {} % of {} changes; {} rightly left alone, {} unknown",
            share(self.false_alarms),
            share(self.missed),
            self.hits + self.missed,
            self.same,
            self.unknown
        )
    }
}

fn run(target: &Target, arguments: &str) -> Run {
    Run::from(target.try_root(&format!(
        "cd /root/predict && timeout 200 /root/regdeploy -i localhost, -c local {arguments}"
    )))
}

#[test]
fn what_is_predicted_comes_true() {
    let target = Target::start_with("predict", Init::Systemd);
    target.copy_in(env!("CARGO_BIN_EXE_regdeploy").as_ref(), "/root/regdeploy");
    target.copy_in(&project().join("tests/predict"), "/root/predict");
    // A normal host has lists of packages.
    target.root("apt-get -q update");
    let mut names: Vec<String> = std::fs::read_dir(project().join("tests/predict"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut score = Score::default();
    let mut wrong = Vec::new();
    for name in &names {
        let before = Listing::of(&target);
        let predicted = run(&target, &format!("{name} --check"));
        Listing::of(&target).equals(&before);
        let real = run(&target, name);
        assert_eq!(real.code, Some(0), "{real}");
        let foretold = ends(&predicted);
        for (task, end) in ends(&real) {
            // A handler that only something unknown would notify.
            let told = foretold.get(&task).copied().unwrap_or(End::Unknown);
            match (told, end) {
                (End::Changed, End::Changed) => score.hits += 1,
                (End::Changed, _) => score.false_alarms += 1,
                (End::Unknown, _) | (End::Skipped, End::Changed) => score.unknown += 1,
                (_, End::Changed) => score.missed += 1,
                (told, end) if told == end => score.same += 1,
                // A command that is skipped in a check.
                (End::Skipped, _) => score.unknown += 1,
                _ => score.false_alarms += 1,
            }
            let agrees = told == end || matches!(told, End::Unknown | End::Skipped);
            if !agrees {
                wrong.push(format!(
                    "{name}: {task}: predicted {told:?}, came {end:?}\n{predicted}"
                ));
            }
        }
    }
    println!("{} playbooks: {score}", names.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Commands alone are unknown, and what depends on them.
    assert!(score.hits >= 45 && score.unknown <= 8, "{score}");
    target.root(&format!("cat >/root/predict/amid <<'END'\n{AMID}END"));
    let amid = run(&target, "amid --check");
    for (task, end) in ends(&amid) {
        let expected = if task.ends_with("as it is") {
            End::Same
        } else {
            End::Changed
        };
        assert_eq!(end, expected, "{task}: {amid}");
    }
    target.root("test -d /srv/amid/deep && test \"$(cat /tmp/amid)\" = real");
}

/// What is really done in a check is read from the machine from then on, whoever did it.
const AMID: &str = "\
- hosts: all
  gather_facts: false
  tasks:
    - {name: A folder, file: {path: /srv/amid, state: directory}}
    - {name: A file, copy: {dest: /tmp/amid, content: foreseen}}
    - {name: A file in a folder, copy: {dest: /srv/amid/foreseen, content: foreseen}}
    - {name: Really made, file: {path: /srv/amid/deep, state: directory}, check_mode: false}
    - {name: Really written, copy: {dest: /tmp/amid, content: real}, check_mode: false, become: true, become_user: nobody}
    - {name: The folder as it is, file: {path: /srv/amid/deep, state: directory}}
    - {name: The file as it is, copy: {dest: /tmp/amid, content: real}}
    - {name: The other one as it is, copy: {dest: /srv/amid/foreseen, content: foreseen}}
";

#[test]
fn the_site_is_predicted_on_a_machine_that_never_saw_it() {
    let target = Target::start_with("predict-site", Init::Systemd);
    target.copy_in(env!("CARGO_BIN_EXE_regdeploy").as_ref(), "/root/regdeploy");
    target.root("/root/regdeploy init /root/site");
    let before = Listing::of(&target);
    let command = "cd /root/site && timeout 200 ../regdeploy -i inventories/local.ini site.yml --check";
    Run::from(target.try_root(command))
        .went_well(&["localhost"])
        .changed_something();
    Listing::of(&target).equals(&before);
}

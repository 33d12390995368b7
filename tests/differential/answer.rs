//! Where both engines' answers to a scenario differ.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::LazyLock;

use regex::Regex;
use similar::TextDiff;

use super::engine::Done;
use super::printed::{self, Shown};
use super::scenario::{Reading, Scenario};

/// Of one case.
pub struct Verdict {
    /// `section/name`, or `section/name: entry`.
    pub name: String,
    pub difference: Option<String>,
}

pub fn compare(scenario: &Scenario, oracle: &Done, ours: &Done) -> Vec<Verdict> {
    match &scenario.reading {
        Reading::Whole => vec![Verdict {
            name: scenario.path(),
            difference: whole(scenario, oracle, ours),
        }],
        Reading::Numbered(names) => {
            let (theirs, our_entries) = (numbered(oracle), numbered(ours));
            let verdict = |(index, name): (usize, &String)| {
                let [theirs, our] = [&theirs, &our_entries].map(|entries| entries.get(&(index + 1)));
                let text = |entry: Option<&String>| entry.cloned().unwrap_or_else(|| "nothing\n".to_owned());
                let mut difference = difference(&text(theirs), &text(our));
                if let (Some(difference), None) = (&mut difference, our) {
                    difference.push_str(&complaints(ours));
                }
                Verdict {
                    name: format!("{}: {name}", scenario.path()),
                    difference,
                }
            };
            names.iter().enumerate().map(verdict).collect()
        }
    }
}

/// The difference of all that was printed, of the exit codes and of the files.
fn whole(scenario: &Scenario, oracle: &Done, ours: &Done) -> Option<String> {
    let mut texts = [String::new(), String::new()];
    for (index, (theirs, our)) in oracle.runs.iter().zip(&ours.runs).enumerate() {
        let mut shown = [printed::read(&theirs.stdout), printed::read(&our.stdout)];
        let [theirs_shown, ours_shown] = &mut shown;
        printed::hide_own_words(theirs_shown, ours_shown);
        for ((text, shown), run) in texts.iter_mut().zip(shown).zip([theirs, our]) {
            let _ = writeln!(text, "$ {}", scenario.commands[index].join(" "));
            text.push_str(&results(shown, scenario.any_order));
            let exit = run.exit.map_or("killed".to_owned(), |code| code.to_string());
            let _ = writeln!(text, "exit {exit}");
        }
    }
    for (text, done) in texts.iter_mut().zip([oracle, ours]) {
        for (path, what) in &done.files {
            let _ = writeln!(text, "file {path}: {what}");
        }
    }
    let difference = difference(&texts[0], &texts[1])?;
    Some(difference + &complaints(ours))
}

fn results(mut shown: Vec<Shown>, any_order: bool) -> String {
    if any_order {
        shown.retain(|shown| !shown.head.is_empty() || shown.banner.starts_with("PLAY"));
        let text = |shown: &Shown| format!("{} {}", shown.banner, shown.text());
        shown.sort_by_key(|shown| (shown.host(), text(shown)));
        return shown.iter().map(text).collect();
    }
    shown.iter().map(Shown::text).collect()
}

/// A task or a play with a number for a name.
static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(?:TASK|PLAY) \[(?:.* : )?(\d+)\]").expect("it is a pattern"));

/// What was shown under each number.
fn numbered(done: &Done) -> BTreeMap<usize, String> {
    let mut entries: BTreeMap<usize, String> = BTreeMap::new();
    for shown in printed::read(&done.runs[0].stdout) {
        let Some(number) = NUMBER.captures(&shown.banner) else {
            continue;
        };
        let number = number[1].parse().expect("a number");
        let entry = entries.entry(number).or_default();
        if shown.failed() {
            entry.push_str("failed\n");
        } else if !shown.head.is_empty() {
            entry.push_str(&shown.text());
        }
    }
    entries
}

/// What our side said about it, which helps to see why.
fn complaints(ours: &Done) -> String {
    let stderr: String = ours.runs.iter().map(|run| run.stderr.as_str()).collect();
    match stderr.is_empty() {
        true => stderr,
        false => format!("---- regdeploy's standard error\n{stderr}"),
    }
}

fn difference(oracle: &str, ours: &str) -> Option<String> {
    (oracle != ours).then(|| {
        TextDiff::from_lines(oracle, ours)
            .unified_diff()
            .header("ansible-core", "regdeploy")
            .to_string()
    })
}

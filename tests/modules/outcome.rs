//! What came of a case on one of the hosts, and what is to be said about it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use similar::TextDiff;

use super::case::Case;

/// On the host of `regdeploy`.
#[derive(Default)]
pub struct Ours {
    /// What the script before it said, if it failed.
    pub before: String,
    pub check: Run,
    pub runs: [Run; 2],
    /// Before all, after `--check`.
    pub untouched: [String; 2],
    /// After each run.
    pub states: [String; 2],
}

/// On the host of ansible-core.
#[derive(Serialize, Deserialize)]
pub struct Theirs {
    pub before: String,
    pub runs: [Run; 2],
    pub states: [String; 2],
}

#[derive(Default, Serialize, Deserialize)]
pub struct Run {
    pub tasks: Vec<Task>,
    /// What was said beside the results: that the tasks cannot be read, say.
    pub errors: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Task {
    name: String,
    pub changed: bool,
    pub failed: bool,
    skipped: bool,
    pub result: Value,
}

impl Ours {
    pub fn read(folder: &Path) -> Self {
        let text = |name: &str| read(&folder.join(name));
        let run = |name: &str| Run::of_ours(&text(name), text(&format!("{name}.errors")));
        Self {
            before: failed_before(&text("before")),
            check: run("check"),
            runs: [run("run1"), run("run2")],
            untouched: [text("state0"), text("state_checked")],
            states: [text("state1"), text("state2")],
        }
    }

    /// Where it does not keep what the case and the house promise.
    pub fn complaints(&self, case: &Case) -> String {
        let mut said = String::new();
        if !self.before.is_empty() {
            let _ = writeln!(said, "`before` failed: {}", self.before);
        }
        said += &difference(
            "before --check",
            "after --check",
            &self.untouched[0],
            &self.untouched[1],
        );
        let [first, second] = &self.runs;
        if !case.unpredictable {
            said += &difference(
                "predicted",
                "done",
                &self.check.summary(false),
                &first.summary(false),
            );
        }
        said += &ending(first, case.fails.as_deref());
        if !case.changes_again {
            let changed = second.tasks.iter().filter(|task| task.changed);
            for task in changed {
                let _ = writeln!(said, "changes again: {}", task.line(true));
            }
            said += &difference(
                "after the first run",
                "after the second",
                &self.states[0],
                &self.states[1],
            );
        }
        said
    }

    /// Where it differs from ansible-core.
    pub fn differences(&self, theirs: &Theirs, case: &Case) -> String {
        let mut said = String::new();
        if !theirs.before.is_empty() {
            let _ = writeln!(said, "`before` failed: {}", theirs.before);
        }
        let names = ["first", "second"];
        for (index, name) in names.iter().enumerate() {
            let (our, their) = (&self.runs[index], &theirs.runs[index]);
            // Tasks that are refused before anything runs fail there one after the other.
            if our.tasks.is_empty() && case.fails.is_some() {
                if !their.failed() {
                    let _ = writeln!(said, "the {name} run does not fail with ansible-core");
                }
            } else {
                said += &difference(
                    &format!("ansible-core, {name} run"),
                    "regdeploy",
                    &their.summary(true),
                    &our.summary(true),
                );
                if their.tasks.is_empty() && !their.errors.is_empty() {
                    let _ = writeln!(said, "ansible-core says: {}", their.errors);
                }
            }
            said += &difference(
                &format!("ansible-core, after the {name} run"),
                "regdeploy",
                &theirs.states[index],
                &self.states[index],
            );
        }
        said
    }
}

impl Theirs {
    /// `errors` are of the whole process.
    pub fn read(folder: &Path, errors: &str) -> Self {
        let text = |name: &str| read(&folder.join(name));
        let run = |name: &str| Run::of_theirs(&text(name), errors);
        Self {
            before: failed_before(&text("before")),
            runs: [run("run1"), run("run2")],
            states: [text("state1"), text("state2")],
        }
    }

    /// Whether the process came to its end: what is no answer is not kept.
    pub fn complete(folder: &Path) -> bool {
        folder.join("state2").exists()
    }
}

impl Run {
    /// A document of our `json` printer.
    pub fn of_ours(text: &str, errors: String) -> Self {
        let document: Value = serde_json::from_str(text).unwrap_or_default();
        let mut tasks = Vec::new();
        for task in list(&document["plays"])
            .iter()
            .flat_map(|play| list(&play["tasks"]))
        {
            let results = task["hosts"]
                .as_object()
                .into_iter()
                .flat_map(|hosts| hosts.values());
            tasks.extend(results.map(|result| Task {
                name: task["task"]["name"].as_str().unwrap_or_default().to_owned(),
                changed: result["changed"] == true,
                failed: result["failed"] == true || result["unreachable"] == true,
                skipped: result["skipped"] == true,
                result: result.clone(),
            }));
        }
        Self { tasks, errors }
    }

    /// Lines of `oracle/answers.py`.
    pub fn of_theirs(text: &str, errors: &str) -> Self {
        let tasks = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .map(|line| Task {
                name: line["task"].as_str().unwrap_or_default().to_owned(),
                changed: line["changed"] == true,
                failed: line["state"] == "failed",
                skipped: line["state"] == "skipped",
                result: line["result"].clone(),
            })
            .collect();
        Self {
            tasks,
            errors: errors.to_owned(),
        }
    }

    fn failed(&self) -> bool {
        self.tasks.last().is_none_or(|task| task.failed)
    }

    /// A line for each task.
    fn summary(&self, skipped: bool) -> String {
        let mut text: String = self.tasks.iter().map(|task| task.line(skipped) + "\n").collect();
        if self.tasks.is_empty() {
            text.push_str("nothing ran\n");
        }
        text
    }
}

impl Task {
    fn line(&self, skipped: bool) -> String {
        let state = match self {
            Self { failed: true, .. } => "failed",
            Self { changed: true, .. } => "changed",
            Self { skipped: true, .. } if skipped => "skipped",
            _ => "ok",
        };
        format!("{state}: {}", self.name)
    }

    /// All that it says of a failure.
    pub fn words(&self) -> String {
        let word = |key: &str| self.result[key].as_str().unwrap_or_default();
        let items: String = list(&self.result["results"])
            .iter()
            .map(|item| format!("{}\n", item["msg"].as_str().unwrap_or_default()))
            .collect();
        format!(
            "{}\n{items}{}\n{}",
            word("msg"),
            word("stderr"),
            word("module_stderr")
        )
    }
}

/// Whether a run ends as it should.
fn ending(run: &Run, fails: Option<&str>) -> String {
    let Some(wanted) = fails else {
        let mut said = String::new();
        // A failure that is ignored or rescued is followed by something.
        if let Some(task) = run.tasks.last().filter(|task| task.failed) {
            let _ = writeln!(said, "fails: {}: {}", task.name, task.words().trim());
        }
        if run.tasks.is_empty() {
            let _ = writeln!(said, "nothing ran: {}", run.errors.trim());
        }
        return said;
    };
    let words = match run.tasks.last() {
        None => run.errors.clone(),
        Some(task) if task.failed => task.words(),
        Some(_) => return format!("does not fail, and should with: {wanted}\n"),
    };
    if words.contains(wanted) {
        return String::new();
    }
    format!(
        "fails with other words\nwanted: {wanted}\nfound: {}\n",
        words.trim()
    )
}

fn failed_before(text: &str) -> String {
    let failed = text
        .lines()
        .last()
        .is_some_and(|last| last.starts_with("ended with ") || last == "does not end");
    if failed { text.to_owned() } else { String::new() }
}

fn difference(one: &str, other: &str, before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    TextDiff::from_lines(before, after)
        .unified_diff()
        .header(one, other)
        .missing_newline_hint(false)
        .to_string()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn read(file: &Path) -> String {
    String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(changed: bool, failed: bool, msg: &str) -> Task {
        Task {
            name: "file".to_owned(),
            changed,
            failed,
            skipped: false,
            result: serde_json::json!({"msg": msg}),
        }
    }

    fn run(task: Task) -> Run {
        Run {
            tasks: vec![task],
            errors: String::new(),
        }
    }

    fn case() -> Case {
        Case {
            name: "makes a folder".to_owned(),
            needs: Vec::new(),
            before: String::new(),
            tasks: String::new(),
            state: String::new(),
            oracle: None,
            changes_again: false,
            unpredictable: false,
            fails: None,
        }
    }

    fn good() -> Ours {
        Ours {
            before: String::new(),
            check: run(task(true, false, "")),
            runs: [run(task(true, false, "")), run(task(false, false, ""))],
            untouched: [String::new(), String::new()],
            states: ["there\n".to_owned(), "there\n".to_owned()],
        }
    }

    fn theirs() -> Theirs {
        let Ours { runs, states, .. } = good();
        Theirs {
            before: String::new(),
            runs,
            states,
        }
    }

    #[test]
    fn nothing_is_said_of_what_is_as_it_should_be() {
        assert_eq!(good().complaints(&case()), "");
        assert_eq!(good().differences(&theirs(), &case()), "");
    }

    #[test]
    fn each_promise_that_is_broken_is_told() {
        type Break = fn(&mut Ours);
        let breaks: [(Break, &str); 7] = [
            (|ours| ours.before = "ended with 1".to_owned(), "`before` failed"),
            (|ours| ours.untouched[1] = "touched".to_owned(), "+touched"),
            (|ours| ours.check = run(task(false, false, "")), "-ok: file"),
            (
                |ours| ours.runs[1] = run(task(true, false, "")),
                "changes again: changed: file",
            ),
            (|ours| ours.states[1] = "gone\n".to_owned(), "+gone"),
            (
                |ours| ours.runs[0] = run(task(false, true, "no room")),
                "fails: file: no room",
            ),
            (|ours| ours.runs[0].tasks.clear(), "nothing ran"),
        ];
        for (broken, wanted) in breaks {
            let mut ours = good();
            broken(&mut ours);
            let said = ours.complaints(&case());
            assert!(said.contains(wanted), "{wanted}: {said}");
        }
    }

    #[test]
    fn a_failure_that_is_wanted_has_its_words() {
        let mut case = case();
        case.fails = Some("no room".to_owned());
        assert!(good().complaints(&case).contains("does not fail"));
        let mut ours = good();
        ours.check = run(task(false, true, "there is no room"));
        ours.runs = [0, 1].map(|_| run(task(false, true, "there is no room")));
        assert_eq!(ours.complaints(&case), "");
        case.fails = Some("other".to_owned());
        assert!(ours.complaints(&case).contains("fails with other words"));
    }

    #[test]
    fn differences_are_those_of_tasks_and_states() {
        let mut other = theirs();
        other.states[0] = "elsewhere\n".to_owned();
        assert!(good().differences(&other, &case()).contains("-elsewhere"));
        let mut other = theirs();
        other.runs[1] = run(task(true, false, ""));
        assert!(good().differences(&other, &case()).contains("-changed: file"));
    }

    #[test]
    fn the_documents_of_both_are_read() {
        let ours = r#"{"plays": [{"tasks": [
            {"task": {"name": "include"}, "hosts": {}},
            {"task": {"name": "file"}, "hosts": {"h": {"changed": true}}}]}]}"#;
        assert_eq!(Run::of_ours(ours, String::new()).summary(true), "changed: file\n");
        let theirs =
            r#"{"task": "file", "state": "skipped", "changed": false, "result": {}}"#.to_owned() + "\n";
        assert_eq!(Run::of_theirs(&theirs, "").summary(true), "skipped: file\n");
        assert_eq!(Run::of_theirs(&theirs, "").summary(false), "ok: file\n");
    }
}

//! What an engine prints, in a form that can be compared: the results under their banners.
//!
//! Taken out or put in order is only what differs between two runs of one engine, or is nobody's promise:
//!
//! | what | why |
//! |---|---|
//! | stars after a banner, blanks at the end of a line | decoration |
//! | the order of hosts in `--list-hosts` | ansible-core has them in a set |
//! | empty lines | a diff and a recap show the same without |
//! | the order of hosts within a task | ansible-core's workers end in any order |
//! | `start`, `end`, `delta`, the clock, process ids | time passes |
//! | the folder of a rendered template, in a diff | ansible-core's has another name each time |
//! | `invocation`, `exception` in results | how Python's modules were called, and where |
//! | `NO MORE HOSTS LEFT` a second time | once says it |
//! | `[ERROR]: ...` between results | where a task is at fault is told on standard error here |
//! | `msg` of a failure, where ansible-core itself speaks and no module | the words are our own; golden tests and diagnostics hold them |

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// A result, or lines that are none, under a banner.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Which banner it is under: two tasks may have the same.
    pub step: usize,
    pub banner: String,
    /// The first line, up to `=>`, and with lines before it that belong to it, such as a diff.
    pub head: String,
    /// What follows `=>`.
    pub result: Option<Value>,
}

/// How a result begins.
static STATUS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(ok|changed|skipping|failed|fatal|included|ASYNC \w+ on [^:]*|\S+ +:)(: |[ ]?ok=)")
        .expect("it is a pattern")
});
static HOST: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\[([^\] ]+)").expect("it is a pattern"));
static BANNER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(PLAY|TASK|HANDLER|RUNNING HANDLER|NO MORE HOSTS LEFT|CLEANUP TASK)\b")
        .expect("it is a pattern")
});
static TIMES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#""(delta|start|end|atime|mtime|ctime|pid|ansible_job_id)": ("[^"]*"|[0-9.]+)"#)
        .expect("it is a pattern")
});

static RENDERED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^(\+\+\+ after: )\S*/ansible-local-[^/]+/tmp[^/]+/").expect("it is a pattern")
});

/// How messages begin that ansible-core makes itself.
const OWN_WORDS: &[&str] = &[
    "Task failed: ",
    "Finalization of task args",
    "Error while ",
    "Unexpected failure",
    "The task includes an option with an undefined variable",
    "The `loop` value ",
    "Conditional ",
];

pub fn read(text: &str) -> Vec<Shown> {
    let text = TIMES.replace_all(text, "\"$1\": 0");
    let text = RENDERED.replace_all(&text, "$1");
    let mut reader = Reader::default();
    let mut lines = text
        .lines()
        .map(|line| line.trim_end_matches('*').trim_end())
        .peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("[ERROR]: ") {
            let still = |next: &&str| !STATUS.is_match(next) && !BANNER.is_match(next);
            while lines.next_if(still).is_some() {}
        } else if BANNER.is_match(line) {
            reader.banner(line);
        } else if let Some(head) = line.strip_suffix(" => {").filter(|_| STATUS.is_match(line)) {
            let mut object = "{".to_owned();
            while let Some(line) = lines.next_if(|next| *next != "}") {
                object.push_str(line);
            }
            lines.next();
            reader.result(head, serde_json::from_str(&(object + "}")).ok());
        } else if STATUS.is_match(line) {
            let result = line.split_once(" => ").and_then(|(head, object)| {
                let object: Value = serde_json::from_str(object).ok()?;
                object.is_object().then_some((head, object))
            });
            match result {
                Some((head, object)) => reader.result(head, Some(object)),
                None => reader.result(line, None),
            }
        } else if line == "...ignoring" {
            reader.end_lines();
            let last = reader.shown.last_mut().expect("what is ignored is shown first");
            last.head.push_str(" ...ignoring");
        } else if !line.is_empty() {
            reader.pending.push(line.to_owned());
        }
    }
    reader.end_lines();
    let mut shown = reader.shown;
    shown.dedup_by(|one, other| {
        one.banner.starts_with("NO MORE") && one.head.is_empty() && one.banner == other.banner
    });
    for results in shown.chunk_by_mut(|one, other| one.step == other.step) {
        results.sort_by_key(Shown::host);
    }
    shown
}

/// What has been read so far.
#[derive(Default)]
struct Reader {
    shown: Vec<Shown>,
    step: usize,
    banner: String,
    /// Lines that belong to the result that follows, or to none.
    pending: Vec<String>,
}

impl Reader {
    fn banner(&mut self, line: &str) {
        self.end_lines();
        self.step += 1;
        line.clone_into(&mut self.banner);
        self.push(String::new(), None);
    }

    fn result(&mut self, head: &str, result: Option<Value>) {
        self.pending.push(head.to_owned());
        let head = std::mem::take(&mut self.pending).join("\n");
        self.push(head, result);
    }

    /// What is pending belongs to no result. Hosts in a list come in any order.
    fn end_lines(&mut self) {
        let mut lines = std::mem::take(&mut self.pending);
        for listed in lines.chunk_by_mut(|one, other| is_listed_host(one) && is_listed_host(other)) {
            listed.sort();
        }
        if !lines.is_empty() {
            self.push(lines.join("\n"), None);
        }
    }

    fn push(&mut self, head: String, mut result: Option<Value>) {
        if let Some(result) = &mut result {
            remove_internals(result);
        }
        let (step, banner) = (self.step, self.banner.clone());
        self.shown.push(Shown {
            step,
            banner,
            head,
            result,
        });
    }
}

/// Keys of results that tell of Python.
const INTERNALS: [&str; 3] = ["invocation", "exception", "failed_when_suppressed_exception"];

fn remove_internals(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.retain(|key, _| !INTERNALS.contains(&key.as_str()));
            entries.values_mut().for_each(remove_internals);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_internals),
        _ => {}
    }
}

/// Of `--list-hosts`.
fn is_listed_host(line: &str) -> bool {
    line.starts_with("      ") && !line.trim().contains(' ')
}

impl Shown {
    /// Whose result it is; a banner is nobody's and comes first.
    pub fn host(&self) -> String {
        let line = self.head.lines().last().unwrap_or_default();
        let host = HOST.captures(line).map(|found| found[1].to_owned());
        host.unwrap_or_default()
    }

    pub fn failed(&self) -> bool {
        let line = self.head.lines().last().unwrap_or_default();
        line.starts_with("fatal: ") || line.starts_with("failed: ")
    }

    /// Whether ansible-core, and no module, says why it failed.
    fn own_words(&self) -> bool {
        let message = self.result.as_ref().and_then(|result| result["msg"].as_str());
        self.failed()
            && message.is_some_and(|message| OWN_WORDS.iter().any(|words| message.starts_with(words)))
    }

    fn hide_message(&mut self) {
        if let Some(message) = self.result.as_mut().and_then(|result| result.get_mut("msg")) {
            *message = Value::String("[why]".to_owned());
        }
    }

    pub fn text(&self) -> String {
        match (&self.result, self.head.is_empty()) {
            (_, true) => format!("{}\n", self.banner),
            (None, _) => format!("{}\n", self.head),
            (Some(result), _) => format!("{} => {result:#}\n", self.head),
        }
    }
}

/// Hides, on both sides, messages of failures where the oracle's are its own words.
pub fn hide_own_words(oracle: &mut [Shown], ours: &mut [Shown]) {
    for theirs in oracle.iter_mut().filter(|shown| shown.own_words()) {
        let same = |shown: &&mut Shown| {
            (shown.step, &shown.banner) == (theirs.step, &theirs.banner) && shown.head == theirs.head
        };
        ours.iter_mut().filter(same).for_each(Shown::hide_message);
        theirs.hide_message();
    }
}

#[test]
fn hosts_of_a_task_are_put_in_order_and_tasks_are_not() {
    let shown = read(
        "PLAY [all] ***\n\nTASK [x] ****\nok: [b]\nfatal: [a]: FAILED! => {\"msg\": \"m\"}\n...ignoring\n\nTASK [x] ***\n\
         changed: [a] => (item=1) => {\n    \"msg\": [\n        1\n    ]\n}\n",
    );
    let text: String = shown.iter().map(Shown::text).collect();
    assert_eq!(
        text,
        "PLAY [all]\nTASK [x]\nfatal: [a]: FAILED! ...ignoring => {\n  \"msg\": \"m\"\n}\nok: [b]\nTASK [x]\n\
         changed: [a] => (item=1) => {\n  \"msg\": [\n    1\n  ]\n}\n"
    );
}

#[test]
fn a_diff_stays_with_its_result_and_errors_are_left_out() {
    let shown = read(
        "TASK [x] ***\n--- before\n+++ after\n-a\n+b\n\nchanged: [b]\n[ERROR]: no\nOrigin: x\n\nfatal: [a]: FAILED! => {}\n",
    );
    let heads: Vec<&str> = shown.iter().map(|shown| shown.head.as_str()).collect();
    assert_eq!(
        heads,
        [
            "",
            "fatal: [a]: FAILED!",
            "--- before\n+++ after\n-a\n+b\nchanged: [b]"
        ]
    );
}

#[test]
fn only_words_of_ansible_core_itself_are_hidden() {
    let failed = |message: &str| {
        read(&format!(
            "TASK [x] ***\nfatal: [a]: FAILED! => {{\"msg\": \"{message}\"}}\n"
        ))
    };
    for (theirs, equal) in [("Task failed: no", true), ("no such file", false)] {
        let (mut theirs, mut ours) = (failed(theirs), failed("other words"));
        hide_own_words(&mut theirs, &mut ours);
        assert_eq!(theirs == ours, equal);
    }
}

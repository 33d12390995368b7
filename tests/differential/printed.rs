//! What an engine prints, in a form that can be compared: the results under their banners.
//!
//! Taken out or put in order is only what differs between two runs of one engine, or is nobody's promise:
//!
//! | what | why |
//! |---|---|
//! | stars after a banner, blanks at the end of a line | decoration |
//! | empty lines | a diff and a recap show the same without |
//! | the order of hosts within a task | ansible-core's workers end in any order |
//! | `start`, `end`, `delta`, the clock, process ids | time passes |
//! | `[ERROR]: ...` between results | where a task is at fault is told on standard error here |
//! | `msg` of a failure, where ansible-core itself speaks and no module | the words are our own; golden tests and diagnostics hold them |

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// A result, or lines that are none, under a banner.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
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

/// How messages begin that ansible-core makes itself.
const OWN_WORDS: &[&str] = &[
    "Task failed: ",
    "Finalization of task args",
    "Error while ",
    "Unexpected failure",
    "The task includes an option with an undefined variable",
    "'loop' ",
];

pub fn read(text: &str) -> Vec<Shown> {
    let text = TIMES.replace_all(text, "\"$1\": 0");
    let mut shown: Vec<Shown> = Vec::new();
    let mut banner = String::new();
    let mut pending = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let line = line.trim_end_matches('*').trim_end();
        if line.starts_with("[ERROR]: ") {
            while lines
                .peek()
                .is_some_and(|next| !STATUS.is_match(next) && !BANNER.is_match(next))
            {
                lines.next();
            }
        } else if BANNER.is_match(line) {
            flush(&mut pending, &banner, &mut shown);
            line.clone_into(&mut banner);
            shown.push(Shown {
                banner: banner.clone(),
                head: String::new(),
                result: None,
            });
        } else if STATUS.is_match(line) {
            let (head, result) = match line.split_once(" => ") {
                Some((head, "{")) => {
                    let mut object = "{".to_owned();
                    for line in lines.by_ref() {
                        object.push_str(line);
                        if line == "}" {
                            break;
                        }
                    }
                    (
                        head,
                        serde_json::from_str(&object)
                            .unwrap_or(Value::String(object))
                            .into(),
                    )
                }
                Some((head, rest)) => match serde_json::from_str(rest) {
                    Ok(value @ Value::Object(_)) => (head, Some(value)),
                    _ => (line, None),
                },
                None => (line, None),
            };
            let head = std::mem::take(&mut pending) + head;
            shown.push(Shown {
                banner: banner.clone(),
                head,
                result,
            });
        } else if line == "...ignoring" {
            flush(&mut pending, &banner, &mut shown);
            let last = shown.last_mut().expect("what is ignored is shown first");
            last.head.push_str(" ...ignoring");
        } else if !line.is_empty() {
            pending.push_str(line);
            pending.push('\n');
        }
    }
    flush(&mut pending, &banner, &mut shown);
    for results in shown.chunk_by_mut(|one, other| one.banner == other.banner) {
        results.sort_by_key(Shown::host);
    }
    shown
}

fn flush(pending: &mut String, banner: &str, shown: &mut Vec<Shown>) {
    if !pending.is_empty() {
        let head = std::mem::take(pending).trim_end().to_owned();
        shown.push(Shown {
            banner: banner.to_owned(),
            head,
            result: None,
        });
    }
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
        let same = |shown: &&mut Shown| shown.banner == theirs.banner && shown.head == theirs.head;
        ours.iter_mut().filter(same).for_each(Shown::hide_message);
        theirs.hide_message();
    }
}

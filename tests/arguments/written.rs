//! Tasks written down, with the place of each part; and the places of what is said of them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use regdeploy::modules::spec::Step;
use regdeploy::value::{Map, Value};

/// A line and a column, from 1.
type Place = (usize, usize);

/// A part of a task's arguments.
pub enum At {
    Name(Vec<Step>),
    /// The value; of the arguments as a whole: the module's name.
    Value(Vec<Step>),
}

/// A playbook, and where its tasks are.
pub struct Written {
    pub text: String,
    pub tasks: Vec<Task>,
}

pub struct Task {
    lines: Range<usize>,
    /// Names and values by the way to them.
    places: HashMap<String, (Place, Place)>,
}

/// An error as it was told.
#[derive(Debug)]
pub struct Finding {
    pub message: String,
    pub line: usize,
    pub column: usize,
    /// The column of the line above at which the caret points.
    pub caret: Option<usize>,
    pub nearest: Option<String>,
}

impl Written {
    pub fn new<'a>(tasks: impl Iterator<Item = (&'a str, &'a Map)>) -> Self {
        let mut text = "- hosts: localhost\n  gather_facts: false\n  tasks:\n".to_owned();
        let mut written = Vec::new();
        for (at, (module, arguments)) in tasks.enumerate() {
            let start = text.lines().count() + 1;
            let _ = write!(text, "  - name: case {at}\n    {module}:");
            let mut places = HashMap::from([(String::new(), ((start + 1, 5), (start + 1, 5)))]);
            if arguments.is_empty() {
                text.push_str(" {}");
            }
            for (number, (name, value)) in arguments.iter().enumerate() {
                let line = start + 2 + number;
                let mut shown = format!("      {name}: ");
                let place = (line, shown.chars().count() + 1);
                places.insert(name.clone(), ((line, 7), place));
                flow(value, name, line, &mut shown, &mut places);
                let _ = write!(text, "\n{shown}");
            }
            text.push('\n');
            let end = text.lines().count() + 1;
            written.push(Task {
                lines: start..end,
                places,
            });
        }
        Self { text, tasks: written }
    }

    pub fn of(&self, task: &Task) -> String {
        let lines = self
            .text
            .lines()
            .skip(task.lines.start - 1)
            .take(task.lines.len());
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// In one line, as JSON would have it.
fn flow(
    value: &Value,
    way: &str,
    line: usize,
    shown: &mut String,
    places: &mut HashMap<String, (Place, Place)>,
) {
    let inner = |name: &str| format!("{way}/{name}");
    match value {
        Value::Map(map) => {
            shown.push('{');
            for (at, (name, value)) in map.iter().enumerate() {
                shown.push_str(if at == 0 { "" } else { ", " });
                let key = (line, shown.chars().count() + 1);
                let _ = write!(shown, "{name}: ");
                places.insert(inner(name), (key, (line, shown.chars().count() + 1)));
                flow(value, &inner(name), line, shown, places);
            }
            shown.push('}');
        }
        Value::List(items) => {
            shown.push('[');
            for (at, value) in items.iter().enumerate() {
                shown.push_str(if at == 0 { "" } else { ", " });
                let place = (line, shown.chars().count() + 1);
                places.insert(inner(&at.to_string()), (place, place));
                flow(value, &inner(&at.to_string()), line, shown, places);
            }
            shown.push(']');
        }
        plain => shown.push_str(&serde_json::to_string(plain).expect("JSON")),
    }
}

impl Task {
    pub fn holds(&self, line: usize) -> bool {
        self.lines.contains(&line)
    }

    pub fn place(&self, at: &At) -> Place {
        let (At::Name(steps) | At::Value(steps)) = at;
        let steps = steps.iter().map(|step| match step {
            Step::Name(name) => name.clone(),
            Step::Item(at) => at.to_string(),
        });
        let (name, value) = self.places[&steps.collect::<Vec<_>>().join("/")];
        match at {
            At::Name(_) => name,
            At::Value(_) => value,
        }
    }
}

/// The errors of a run.
pub fn findings(told: &str) -> Vec<Finding> {
    let lines: Vec<&str> = told.lines().collect();
    let mut found: Vec<Finding> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if let Some(message) = line.strip_prefix("[ERROR]: ") {
            // A message may have several lines.
            let origin = lines[at..].iter().find_map(|line| line.strip_prefix("Origin: "));
            let mut parts = origin
                .unwrap_or_default()
                .rsplit(':')
                .map(|part| part.parse().unwrap_or(0));
            let column = parts.next().unwrap_or(0);
            let line = parts.next().unwrap_or(0);
            found.push(Finding {
                message: message.to_owned(),
                line,
                column,
                caret: caret(&lines[at..], line),
                nearest: None,
            });
        }
        let near = line
            .strip_prefix("did you mean `")
            .and_then(|rest| rest.strip_suffix("`?"));
        if let (Some(near), Some(last)) = (near, found.last_mut()) {
            last.nearest = Some(near.to_owned());
        }
    }
    found
}

/// The column of the line with this number at which the caret below points.
fn caret(lines: &[&str], number: usize) -> Option<usize> {
    let shown = |line: &&str| line.trim_start().starts_with(&format!("{number} "));
    let at = lines.iter().position(shown)?;
    let line = lines[at];
    let before = line.len() - line.trim_start().len() + number.to_string().len() + 1;
    let caret = lines.get(at + 1)?.find('^')?;
    caret.checked_sub(before).map(|column| column + 1)
}

//! A result as text: which of its keys are shown, as JSON or as YAML, on one line or on several.

use super::settings::{Format, Settings};
use crate::playbook::short_name;
use crate::value::{Map, Value};
use crate::yaml::emit::{self, Style};

/// Spaces of each level where a result is laid out.
const INDENT: usize = 4;

/// Shown elsewhere, or nowhere.
const APART: &[&str] = &["exception", "warnings", "deprecations", "failed", "skipped"];

/// Shown only to those who ask for many details.
const DETAILS: &[&str] = &["invocation", "diff"];

/// What `debug` of a variable does not show: what is left is the variable.
const BESIDES: &[&str] = &[
    "changed",
    "failed",
    "skipped",
    "invocation",
    "skip_reason",
    "ansible_loop_var",
    "ansible_index_var",
    "ansible_loop",
];

/// How a result is laid out, whatever the settings say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// On one line, where nothing asks for more.
    Short,
    /// On several lines.
    Long,
}

/// What the default output shows of a result: of `debug` only what was asked for.
pub fn cleaned(result: &Map, action: &str) -> Map {
    if short_name(action) != "debug" {
        return result.clone();
    }
    let message = result.contains_key("msg");
    result
        .iter()
        .filter(|(key, _)| {
            if message {
                matches!(key.as_str(), "msg" | "exception" | "warnings" | "deprecations")
            } else {
                !BESIDES.contains(&key.as_str())
            }
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// The keys that are shown at this verbosity.
pub fn abridged(result: &Map, verbosity: u8) -> Map {
    result
        .iter()
        .filter(|(key, _)| !APART.contains(&key.as_str()) && !key.starts_with("_ansible_"))
        .filter(|(key, _)| verbosity >= 3 || !DETAILS.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// The result in the format that the settings name.
pub fn dump(result: &Map, layout: Layout, settings: &Settings) -> String {
    let mut shown = abridged(result, settings.verbosity);
    let asked = layout == Layout::Long || settings.verbosity > 2 || settings.pretty == Some(true);
    match settings.format {
        Format::Json => {
            let long = asked && settings.pretty != Some(false);
            json(&Value::Map(shown), long.then_some(INDENT))
        }
        Format::Yaml => {
            let lossy = settings.pretty != Some(false);
            if lossy {
                omit_lines(&mut shown);
            }
            let style = Style {
                indent: if lossy { INDENT } else { 2 },
                literal: true,
                ..Style::default()
            };
            let value = Value::Map(shown);
            let value = if lossy { readable(value) } else { value };
            format!("\n{}", indented(&emit::emit(&value, style)))
        }
    }
}

/// Lines of what is there as a whole are not repeated.
fn omit_lines(result: &mut Map) {
    for stream in ["stdout", "stderr"] {
        let lines = format!("{stream}_lines");
        if result.contains_key(stream) && result.contains_key(&lines) {
            result.insert(lines, Value::from("<omitted>"));
        }
    }
}

/// Texts of several lines without what keeps them from being shown as they are: tabs, and spaces at ends.
fn readable(value: Value) -> Value {
    match value {
        Value::Str(text) if text.contains('\n') => {
            let lines: Vec<String> = text
                .trim_end()
                .lines()
                .map(|line| expand_tabs(line).trim_end_matches(' ').to_owned())
                .collect();
            Value::Str(
                lines
                    .join("\n")
                    .replace(|c: char| c.is_control() && c != '\n', ""),
            )
        }
        Value::List(items) => Value::List(items.into_iter().map(readable).collect()),
        Value::Map(map) => Value::Map(map.into_iter().map(|(key, item)| (key, readable(item))).collect()),
        other => other,
    }
}

fn expand_tabs(line: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for c in line.chars() {
        let width = if c == '\t' { 8 - column % 8 } else { 1 };
        match c {
            '\t' => out.push_str(&" ".repeat(width)),
            c => out.push(c),
        }
        column += width;
    }
    out
}

fn indented(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| {
            if line.trim().is_empty() {
                line.to_owned()
            } else {
                format!("{}{line}", " ".repeat(INDENT))
            }
        })
        .collect()
}

/// JSON with Python's separators, keys sorted; on one line without an indent.
pub fn json(value: &Value, indent: Option<usize>) -> String {
    let mut out = String::new();
    write_json(value, indent, 0, &mut out);
    out
}

fn write_json(value: &Value, indent: Option<usize>, level: usize, out: &mut String) {
    let (open, close) = match value {
        Value::List(_) => ('[', ']'),
        Value::Map(_) => ('{', '}'),
        // Python writes them with a sign and two digits in the exponent.
        Value::Float(_) => return out.push_str(&value.to_string()),
        scalar => return out.push_str(&quoted(scalar)),
    };
    let line = |out: &mut String, level: usize| {
        if let Some(indent) = indent {
            out.push('\n');
            out.push_str(&" ".repeat(indent * level));
        }
    };
    let separate = |out: &mut String, index: usize| {
        if index > 0 {
            out.push_str(if indent.is_some() { "," } else { ", " });
        }
        line(out, level + 1);
    };
    out.push(open);
    let mut count = 0;
    match value {
        Value::List(items) => {
            for item in items {
                separate(out, count);
                write_json(item, indent, level + 1, out);
                count += 1;
            }
        }
        Value::Map(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            for (key, item) in entries {
                separate(out, count);
                out.push_str(&quoted(key));
                out.push_str(": ");
                write_json(item, indent, level + 1, out);
                count += 1;
            }
        }
        _ => {}
    }
    if count > 0 {
        line(out, level);
    }
    out.push(close);
}

fn quoted<T: serde::Serialize + ?Sized>(scalar: &T) -> String {
    serde_json::to_string(scalar).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(json: &str) -> Map {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn json_as_python_writes_it() {
        let value = Value::Map(map(r#"{"b":[1,{}],"a":"é\u0001","c":1e16}"#));
        assert_eq!(
            json(&value, None),
            r#"{"a": "é\u0001", "b": [1, {}], "c": 1e+16}"#
        );
        assert_eq!(
            json(&value, Some(4)),
            "{\n    \"a\": \"é\\u0001\",\n    \"b\": [\n        1,\n        {}\n    ],\n    \"c\": 1e+16\n}"
        );
    }

    #[test]
    fn details_are_for_those_who_ask() {
        let result =
            map(r#"{"msg":"x","failed":true,"warnings":[],"diff":[],"invocation":{},"_ansible_x":1}"#);
        let keys = |verbosity| abridged(&result, verbosity).keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(0), ["msg"]);
        assert_eq!(keys(3), ["msg", "diff", "invocation"]);
    }

    #[test]
    fn debug_shows_what_was_asked_for() {
        let keys = |json: &str, action: &str| {
            let cleaned = cleaned(&map(json), action);
            cleaned.keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(keys(r#"{"msg":1,"changed":false,"item":2}"#, "debug"), ["msg"]);
        assert_eq!(
            keys(r#"{"x":1,"changed":false,"item":2}"#, "ansible.builtin.debug"),
            ["x", "item"]
        );
        assert_eq!(keys(r#"{"x":1,"changed":false}"#, "ping"), ["x", "changed"]);
    }

    #[test]
    fn settings_choose_the_format() {
        let result = map(r#"{"stdout":"a\tb \nc","stdout_lines":["a"],"rc":0,"in":{"x":{"y":[1]}}}"#);
        let shown = |format, pretty| {
            let settings = Settings {
                format,
                pretty,
                ..Settings::default()
            };
            dump(&result, Layout::Short, &settings)
        };
        assert_eq!(
            shown(Format::Json, None),
            r#"{"in": {"x": {"y": [1]}}, "rc": 0, "stdout": "a\tb \nc", "stdout_lines": ["a"]}"#
        );
        assert!(shown(Format::Json, Some(true)).starts_with("{\n    \"in\": {\n"));
        insta::assert_snapshot!(shown(Format::Yaml, None), @r"
            in:
                x:
                    y:
                    - 1
            rc: 0
            stdout: |-
                a       b
                c
            stdout_lines: <omitted>
        ");
        insta::assert_snapshot!(shown(Format::Yaml, Some(false)), @r#"
            in:
              x:
                y:
                - 1
            rc: 0
            stdout: "a\tb \nc"
            stdout_lines:
            - a
        "#);
    }
}

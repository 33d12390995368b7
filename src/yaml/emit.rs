//! YAML text from values, in the style of the dumper whose output people diff: block collections, texts
//! quoted only where they would be read as something else.

use std::fmt::Write;

use super::scalar;
use crate::value::Value;

/// How a document is laid out.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Spaces per level.
    pub indent: usize,
    /// Keys in alphabetical order.
    pub sort_keys: bool,
    /// Collections that hold only scalars stand on one line (`{a: 1}`).
    pub flow_leaves: bool,
}

/// One document, with a final newline.
pub fn emit(value: &Value, style: Style) -> String {
    let mut out = String::new();
    Emitter { style, out: &mut out }.block(value, 0, false);
    if matches!(value, Value::List(_) | Value::Map(_)) {
        out
    } else {
        format!("{}\n...\n", out.trim_end_matches('\n'))
    }
}

struct Emitter<'a> {
    style: Style,
    out: &'a mut String,
}

impl Emitter<'_> {
    /// Writes a value that starts where the cursor is; `inline` after `- ` (the first key follows at once).
    fn block(&mut self, value: &Value, level: usize, inline: bool) {
        match value {
            Value::Map(map) if !map.is_empty() && !self.is_flow(value) => {
                let mut entries: Vec<_> = map.iter().collect();
                if self.style.sort_keys {
                    entries.sort_by_key(|(key, _)| *key);
                }
                for (index, (key, item)) in entries.into_iter().enumerate() {
                    if index > 0 || !inline {
                        self.pad(level);
                    }
                    self.out.push_str(&text(key, true));
                    self.out.push(':');
                    self.nested(item, level, true);
                }
            }
            Value::List(items) if !items.is_empty() && !self.is_flow(value) => {
                for (index, item) in items.iter().enumerate() {
                    if index > 0 || !inline {
                        self.pad(level);
                    }
                    self.out.push('-');
                    self.nested(item, level, false);
                }
            }
            other => {
                self.flow(other, level);
                self.out.push('\n');
            }
        }
    }

    fn nested(&mut self, item: &Value, level: usize, in_map: bool) {
        let deeper = level + self.style.indent;
        match item {
            Value::Map(map) if !map.is_empty() && !self.is_flow(item) => {
                if in_map {
                    self.out.push('\n');
                    self.block(item, deeper, false);
                } else {
                    // `-   key: value`: the dash takes a whole level.
                    self.out.push_str(&" ".repeat(self.style.indent - 1));
                    self.block(item, deeper, true);
                }
            }
            Value::List(items) if !items.is_empty() && !self.is_flow(item) => {
                if in_map {
                    self.out.push('\n');
                    self.block(item, level, false);
                } else {
                    self.out.push_str(&" ".repeat(self.style.indent - 1));
                    self.block(item, deeper, true);
                }
            }
            other => {
                self.out.push(' ');
                self.flow(other, deeper);
                self.out.push('\n');
            }
        }
    }

    fn is_flow(&self, value: &Value) -> bool {
        let scalar = |value: &Value| !matches!(value, Value::List(_) | Value::Map(_));
        self.style.flow_leaves
            && match value {
                Value::List(items) => items.iter().all(scalar),
                Value::Map(map) => map.values().all(scalar),
                _ => true,
            }
    }

    fn flow(&mut self, value: &Value, level: usize) {
        match value {
            Value::List(items) => {
                self.out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.out.push_str(", ");
                    }
                    self.flow(item, level);
                }
                self.out.push(']');
            }
            Value::Map(map) => {
                self.out.push('{');
                for (index, (key, item)) in map.iter().enumerate() {
                    if index > 0 {
                        self.out.push_str(", ");
                    }
                    self.out.push_str(&text(key, true));
                    self.out.push_str(": ");
                    self.flow(item, level);
                }
                self.out.push('}');
            }
            Value::Str(string) if string.contains('\n') => self.literal(string, level),
            Value::Str(string) => self.out.push_str(&text(string, false)),
            Value::Null => self.out.push_str("null"),
            Value::Bool(flag) => self.out.push_str(if *flag { "true" } else { "false" }),
            Value::Int(number) => {
                let _ = write!(self.out, "{number}");
            }
            Value::Float(number) => self.out.push_str(&float(*number)),
        }
    }

    /// Several lines, as a literal block where one can hold them, else quoted.
    fn literal(&mut self, string: &str, level: usize) {
        let plain =
            !string.starts_with([' ', '\n', '\t']) && !string.chars().any(|c| c.is_control() && c != '\n');
        let trailing = string.len() - string.trim_end_matches('\n').len();
        if !plain || string.lines().any(|line| line.ends_with(' ')) {
            self.out.push_str(&double_quoted(string));
            return;
        }
        self.out.push_str(match trailing {
            0 => "|-",
            1 => "|",
            _ => "|+",
        });
        for line in string
            .trim_end_matches('\n')
            .split('\n')
            .chain(std::iter::repeat_n("", trailing.saturating_sub(1)))
        {
            self.out.push('\n');
            if !line.is_empty() {
                self.pad(level);
                self.out.push_str(line);
            }
        }
    }

    fn pad(&mut self, level: usize) {
        self.out.push_str(&" ".repeat(level));
    }
}

fn float(number: f64) -> String {
    if number.is_nan() {
        ".nan".to_owned()
    } else if number.is_infinite() {
        (if number > 0.0 { ".inf" } else { "-.inf" }).to_owned()
    } else {
        format!("{number:?}")
    }
}

/// A text on one line, quoted if it has to be.
fn text(string: &str, key: bool) -> String {
    if string.chars().any(char::is_control) {
        return double_quoted(string);
    }
    let ambiguous = !matches!(scalar::resolve(string), Value::Str(_)) || looks_like_time(string);
    let starts = string.starts_with(|c: char| "!&*-?:,[]{}#|>@`\"'%=".contains(c) || c == ' ');
    let dash = string.starts_with(['-', '?', ':'])
        && string.len() > 1
        && !string[1..].starts_with(' ')
        && !string.starts_with("---");
    let holds =
        string.contains(": ") || string.contains(" #") || string.ends_with(':') || string.ends_with(' ');
    if string.is_empty() || ambiguous || (starts && !dash) || holds || (key && string.contains(['{', '['])) {
        format!("'{}'", string.replace('\'', "''"))
    } else {
        string.to_owned()
    }
}

/// `2001-01-01` and the like, which another reader would turn into a date.
fn looks_like_time(string: &str) -> bool {
    let bytes = string.as_bytes();
    bytes.len() >= 8
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'-'
        && bytes[5].is_ascii_digit()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_digit() || b"-:.+TtZz ".contains(byte))
}

fn double_quoted(string: &str) -> String {
    let mut out = String::from("\"");
    for c in string.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nice(json: &str) -> String {
        let value = serde_json::from_str(json).unwrap();
        let style = Style {
            indent: 4,
            sort_keys: true,
            flow_leaves: false,
        };
        emit(&value, style)
    }

    #[test]
    fn block_style() {
        insta::assert_snapshot!(
            nice(r#"{"b":[1,{"x":"yes","y":null},[2,3]],"a":"text","m":"one\ntwo\n","e":[],"d":"2001-01-01"}"#),
            @r"
        a: text
        b:
        - 1
        -   x: 'yes'
            y: null
        -   - 2
            - 3
        d: '2001-01-01'
        e: []
        m: |
            one
            two
        "
        );
    }
}

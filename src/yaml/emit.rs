//! YAML text from values, in the style of the dumper whose output people diff: block collections, texts
//! quoted only where they would be read as something else, long texts folded.
//!
//! What a text may be written as is [`quoting`]'s; complex keys are not written as such.

use std::fmt::Write;

use super::quoting::{self, Scalar};
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
    /// Texts of several lines are blocks (`|`) where they can be, instead of quoted.
    pub literal: bool,
    /// Lines are folded where they are longer than so many columns.
    pub width: usize,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            indent: 2,
            sort_keys: true,
            flow_leaves: false,
            literal: false,
            width: 80,
        }
    }
}

/// One document, with a final newline.
pub fn emit(value: &Value, style: Style) -> String {
    let mut emitter = Emitter {
        style,
        out: String::new(),
        column: 0,
    };
    emitter.node(value, Place::Root, 0);
    let plain = match value {
        Value::List(_) | Value::Map(_) => false,
        Value::Str(text) => quoting::choose(text, false, false, style.literal) == Scalar::Plain,
        _ => true,
    };
    let mut out = emitter.out;
    if !out.ends_with('\n') {
        out.push('\n');
    }
    if plain {
        // Nothing else says where the text ends.
        out.push_str("...\n");
    }
    out
}

struct Emitter {
    style: Style,
    out: String,
    column: usize,
}

/// What a node stands behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    /// `key:`
    Key,
    /// `-`
    Dash,
    /// In brackets or braces.
    Flow,
}

impl Emitter {
    /// Writes a value; `level` is the column of what surrounds it.
    fn node(&mut self, value: &Value, place: Place, level: usize) {
        if place == Place::Flow || self.is_flow(value) {
            if place != Place::Root && place != Place::Flow {
                self.put(" ");
            }
            let inner = match place {
                Place::Root => 0,
                _ => level + self.style.indent,
            };
            return self.flow(value, place, inner);
        }
        match value {
            Value::Map(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                if self.style.sort_keys {
                    entries.sort_by_key(|(key, _)| *key);
                }
                let level = self.begin(place, level, true);
                for (index, (key, item)) in entries.into_iter().enumerate() {
                    if index > 0 || place == Place::Key {
                        self.line(level);
                    }
                    self.text(key, true, false, level);
                    self.put(":");
                    self.node(item, Place::Key, level);
                }
            }
            Value::List(items) => {
                let level = self.begin(place, level, false);
                for (index, item) in items.iter().enumerate() {
                    if index > 0 || place == Place::Key {
                        self.line(level);
                    }
                    self.put("-");
                    self.node(item, Place::Dash, level);
                }
            }
            _ => {}
        }
    }

    /// Where the lines of a collection start. Behind a dash the first of them goes on at once: the dash takes a
    /// whole level. A list below a key is not deeper than the key.
    fn begin(&mut self, place: Place, level: usize, map: bool) -> usize {
        match place {
            Place::Dash => {
                self.put(&" ".repeat(self.style.indent - 1));
                level + self.style.indent
            }
            Place::Key if map => level + self.style.indent,
            _ => level,
        }
    }

    /// Whether a value stands on one line with what is before it.
    fn is_flow(&self, value: &Value) -> bool {
        let scalar = |value: &Value| !matches!(value, Value::List(_) | Value::Map(_));
        match value {
            Value::List(items) => items.is_empty() || (self.style.flow_leaves && items.iter().all(scalar)),
            Value::Map(map) => map.is_empty() || (self.style.flow_leaves && map.values().all(scalar)),
            _ => true,
        }
    }

    fn flow(&mut self, value: &Value, place: Place, level: usize) {
        match value {
            Value::List(items) => {
                self.put("[");
                for (index, item) in items.iter().enumerate() {
                    self.separate(index, level);
                    self.node(item, Place::Flow, level);
                }
                self.put("]");
            }
            Value::Map(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                if self.style.sort_keys {
                    entries.sort_by_key(|(key, _)| *key);
                }
                self.put("{");
                for (index, (key, item)) in entries.into_iter().enumerate() {
                    self.separate(index, level);
                    self.text(key, true, true, level);
                    self.put(": ");
                    self.node(item, Place::Flow, level);
                }
                self.put("}");
            }
            Value::Str(string) => {
                self.text(string, false, place == Place::Flow, level.max(self.style.indent));
            }
            Value::Null => self.put("null"),
            Value::Bool(flag) => self.put(if *flag { "true" } else { "false" }),
            Value::Int(number) => self.put(&number.to_string()),
            Value::Float(number) => self.put(&float(*number)),
        }
    }

    fn separate(&mut self, index: usize, level: usize) {
        if index == 0 {
            return;
        }
        self.put(",");
        if self.column > self.style.width {
            self.line(level);
        } else {
            self.put(" ");
        }
    }

    /// A text; what of it is on further lines starts at `level`.
    fn text(&mut self, string: &str, key: bool, flow: bool, level: usize) {
        match quoting::choose(string, key, flow, self.style.literal) {
            Scalar::Plain => self.folded(string, !key, level, false),
            Scalar::Single => {
                self.put("'");
                self.single(string, !key, level);
                self.put("'");
            }
            Scalar::Double => {
                self.put("\"");
                self.double(string, !key, level);
                self.put("\"");
            }
            Scalar::Literal => self.literal(string, level),
        }
    }

    /// Text without line breaks; a single space may become one.
    fn folded(&mut self, string: &str, may_break: bool, level: usize, quoted: bool) {
        let mut spaces = false;
        let mut rest = string.char_indices().peekable();
        while let Some((at, c)) = rest.next() {
            let next_is_space = rest.peek().is_some_and(|(_, next)| *next == ' ');
            let edge = quoted && (at == 0 || rest.peek().is_none());
            if c == ' ' {
                if may_break && !spaces && !edge && !next_is_space && self.column > self.style.width {
                    self.line(level);
                } else {
                    self.char(c);
                }
                spaces = true;
            } else {
                if quoted && c == '\'' {
                    self.char(c);
                }
                self.char(c);
                spaces = false;
            }
        }
    }

    /// Between single quotes: a line break is an empty line.
    fn single(&mut self, string: &str, may_break: bool, level: usize) {
        let mut breaks = false;
        for piece in string.split_inclusive('\n') {
            let (text, ends) = match piece.strip_suffix('\n') {
                Some(text) => (text, true),
                None => (piece, false),
            };
            if !text.is_empty() {
                if breaks {
                    self.line(level);
                }
                self.folded(text, may_break, level, true);
                breaks = false;
            }
            if ends {
                if !breaks {
                    self.char('\n');
                }
                self.char('\n');
                breaks = true;
            }
        }
        if breaks {
            self.put(&" ".repeat(level));
        }
    }

    fn double(&mut self, string: &str, may_break: bool, level: usize) {
        let mut spaces = false;
        let last = string.chars().count().saturating_sub(1);
        let mut rest = string.chars().enumerate().peekable();
        while let Some((at, c)) = rest.next() {
            if c == ' ' {
                if may_break && !spaces && at > 0 && at < last && self.column > self.style.width {
                    self.line(level);
                    if rest.peek().is_some_and(|(_, next)| *next == ' ') {
                        self.char('\\');
                    }
                } else {
                    self.char(c);
                }
                spaces = true;
            } else {
                match quoting::escaped(c) {
                    Some(escaped) => self.put(&escaped),
                    None => self.char(c),
                }
                spaces = false;
            }
        }
    }

    fn literal(&mut self, string: &str, level: usize) {
        self.put("|");
        if string.starts_with([' ', '\n']) {
            let indent = self.style.indent;
            let _ = write!(self.out, "{indent}");
        }
        let body = string.trim_end_matches('\n');
        match string.len() - body.len() {
            0 => self.put("-"),
            1 if !body.is_empty() => {}
            _ => self.put("+"),
        }
        for line in string.split('\n') {
            self.char('\n');
            if !line.is_empty() {
                self.put(&" ".repeat(level));
                self.put(line);
            }
        }
    }

    fn line(&mut self, level: usize) {
        if self.column > 0 {
            self.char('\n');
        }
        self.put(&" ".repeat(level));
    }

    fn put(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    fn char(&mut self, c: char) {
        self.out.push(c);
        self.column = if c == '\n' { 0 } else { self.column + 1 };
    }
}

fn float(number: f64) -> String {
    if number.is_nan() {
        ".nan".to_owned()
    } else if number.is_infinite() {
        (if number > 0.0 { ".inf" } else { "-.inf" }).to_owned()
    } else {
        let text = Value::Float(number).to_string();
        // The reader wants a dot in every float.
        match text.split_once('e') {
            Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0e{exponent}"),
            _ => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nice(json: &str) -> String {
        let value = serde_json::from_str(json).unwrap();
        emit(
            &value,
            Style {
                indent: 4,
                ..Style::default()
            },
        )
    }

    #[test]
    fn block_style() {
        insta::assert_snapshot!(
            nice(r#"{"b":[1,{"x":"yes","y":null},[2,3],[]],"a":"text","m":"one\ntwo\n","e":{},"d":{"x":{"y":1e16}}}"#),
            @r"
        a: text
        b:
        - 1
        -   x: 'yes'
            y: null
        -   - 2
            - 3
        - []
        d:
            x:
                y: 1.0e+16
        e: {}
        m: 'one

            two

            '
        "
        );
    }

    #[test]
    fn flow_style() {
        let value: Value = serde_json::from_str(
            r#"{"b":[1,"a, b",null],"c":{"d":{"f":1,"e":"x: y"}},"long":["wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww","xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx","y"]}"#,
        )
        .unwrap();
        let style = Style {
            flow_leaves: true,
            ..Style::default()
        };
        insta::assert_snapshot!(emit(&value, style), @r"
        b: [1, 'a, b', null]
        c:
          d: {e: 'x: y', f: 1}
        long: [wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww, xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx,
          y]
        ");
    }

    #[test]
    fn literal_style() {
        let value: Value = serde_json::from_str(
            r#"{"a":"one\ntwo","b":"one\n\n  two\n","c":"\nx\n\n","d":"x \ny","e":[["a\nb"]]}"#,
        )
        .unwrap();
        let style = Style {
            literal: true,
            ..Style::default()
        };
        insta::assert_snapshot!(emit(&value, style), @r#"
        a: |-
          one
          two
        b: |
          one

            two
        c: |2+

          x

        d: "x \ny"
        e:
        - - |-
            a
            b
        "#);
    }

    #[test]
    fn long_texts_are_folded() {
        let words = "word ".repeat(18) + "end";
        let shown = nice(
            &format!(r#"{{"plain":"{words}","single":"a: {words}","double":"\\t{words}"}}"#)
                .replace("\\\\", "\\"),
        );
        insta::assert_snapshot!(shown, @r#"
        double: "\tword word word word word word word word word word word word word word word
            word word word end"
        plain: word word word word word word word word word word word word word word word
            word word word end
        single: 'a: word word word word word word word word word word word word word word
            word word word word end'
        "#);
    }

    #[test]
    fn a_lone_scalar_ends_its_document() {
        assert_eq!(emit(&Value::from("x"), Style::default()), "x\n...\n");
        assert_eq!(emit(&Value::from("1"), Style::default()), "'1'\n");
        assert_eq!(emit(&Value::Int(1), Style::default()), "1\n...\n");
        assert_eq!(emit(&Value::List(Vec::new()), Style::default()), "[]\n");
    }
}

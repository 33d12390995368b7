//! Filters to and from JSON and YAML.

use std::fmt::Write;

use minijinja::Error;
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use crate::source::Source;
use crate::template::call::{Call, Definition, described, row};
use crate::value::{Map, Value};
use crate::yaml::emit::{Style, emit};

pub(super) const FILTERS: &[Definition] = &[
    row(
        "to_json",
        "indent, sort_keys=false, separators, ensure_ascii=true, vault_to_text, preprocess_unsafe",
        "The value as JSON",
        |call| {
            let indent = call.int("indent")?;
            json(call, indent, call.flag("sort_keys", false))
        },
    ),
    row(
        "to_nice_json",
        "indent=4, sort_keys=true, ensure_ascii=true",
        "The value as JSON for people",
        |call| {
            let indent = call.int("indent")?.unwrap_or(4);
            json(call, Some(indent), call.flag("sort_keys", true))
        },
    ),
    row(
        "tojson",
        "indent",
        "The value as JSON that is safe within HTML",
        |call| {
            let indent = call.int("indent")?;
            let text = json(call, indent, true)?.to_string();
            Ok(["<\\u003c", ">\\u003e", "&\\u0026", "'\\u0027"]
                .iter()
                .fold(text, |text, pair| text.replace(&pair[..1], &pair[1..]))
                .into())
        },
    ),
    row("from_json", "profile", "What the JSON text says", from_json),
    row(
        "to_yaml",
        "indent=2, sort_keys=true, default_flow_style, width, explicit_start, allow_unicode",
        "The value as YAML",
        |call| yaml(call, 2, true),
    ),
    row(
        "to_nice_yaml",
        "indent=4, sort_keys=true, default_flow_style, width, explicit_start, allow_unicode",
        "The value as YAML for people",
        |call| yaml(call, 4, false),
    ),
    row("from_yaml", "", "What the YAML text says", from_yaml),
    row(
        "from_yaml_all",
        "",
        "What each document of the YAML text says",
        from_yaml_all,
    ),
];

/// `{"a": 1, "b": 2}`: one line, with Python's blanks.
struct OneLine;

impl Formatter for OneLine {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}

/// The widest indentation that is worth printing.
const MAX_INDENT: usize = 40;

fn json(call: &Call, indent: Option<i64>, sort_keys: bool) -> Result<Value, Error> {
    let mut value = call.data()?;
    if sort_keys {
        value = sorted(value);
    }
    let text = match indent.map(usize::try_from) {
        Some(Ok(width)) => {
            let indent = " ".repeat(width.min(MAX_INDENT));
            written(&value, PrettyFormatter::with_indent(indent.as_bytes()))
        }
        _ => written(&value, OneLine),
    };
    let text = text.map_err(|error| call.fail(error.to_string()))?;
    let text = match call.value("separators")? {
        Some(Value::List(separators)) if separators.len() == 2 && indent.is_none() => {
            compact(&value, &text, &separators)
        }
        _ => text,
    };
    Ok(if call.flag("ensure_ascii", true) {
        ascii(&text)
    } else {
        text
    }
    .into())
}

/// With `separators=(',', ':')` there are no blanks; others do not occur.
fn compact(value: &Value, spaced: &str, separators: &[Value]) -> String {
    match (separators[0].as_str(), separators[1].as_str()) {
        (Some(","), Some(":")) => serde_json::to_string(value).unwrap_or_else(|_| spaced.to_owned()),
        _ => spaced.to_owned(),
    }
}

fn written(value: &Value, formatter: impl Formatter) -> Result<String, serde_json::Error> {
    let mut out = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut out, formatter))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

pub(in crate::template) fn sorted(value: Value) -> Value {
    match value {
        Value::Map(map) => {
            let mut map: Map = map.into_iter().map(|(key, item)| (key, sorted(item))).collect();
            map.sort_keys();
            map.into()
        }
        Value::List(items) => Value::List(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

fn from_json(call: &Call) -> Result<Value, Error> {
    let value = call.data()?;
    let Value::Str(text) = &value else {
        return Err(call.fail(format!("it needs a text, and got {}", described(&value))));
    };
    serde_json::from_str(text).map_err(|error| call.fail(format!("this is not JSON: {error}")))
}

fn yaml(call: &Call, indent: usize, flow_leaves: bool) -> Result<Value, Error> {
    let flow = call.argument("default_flow_style").filter(|flow| !flow.is_none());
    let style = Style {
        // PyYAML takes widths from 2 to 9.
        indent: call.size("indent", indent)?.clamp(2, 9),
        sort_keys: call.flag("sort_keys", true),
        flow_leaves: flow.map_or(flow_leaves, minijinja::Value::is_true),
        literal: false,
        width: call.size("width", Style::default().width)?,
    };
    let start = if call.flag("explicit_start", false) {
        "---\n"
    } else {
        ""
    };
    // The emitter sorts blocks only.
    let value = if style.sort_keys {
        sorted(call.data()?)
    } else {
        call.data()?
    };
    let text = emit(&value, style);
    // Ansible's dumper leaves the end of a lone scalar's document out.
    Ok(format!("{start}{}", text.strip_suffix("...\n").unwrap_or(&text)).into())
}

fn documents(call: &Call, text: &str) -> Result<Vec<Value>, Error> {
    let source = Source::new("<text>", text);
    load_all(&source).map_err(|message| call.fail(format!("this is not YAML: {message}")))
}

fn load_all(source: &std::sync::Arc<Source>) -> Result<Vec<Value>, String> {
    let mut documents = Vec::new();
    for text in split_documents(source.text()) {
        let part = Source::new(source.name(), text);
        let document = crate::yaml::load(&part).map_err(|error| error.to_string())?;
        documents.push(document.root.to_value());
    }
    Ok(documents)
}

/// The texts of the documents of a stream. A line of three dashes always starts one.
fn split_documents(text: &str) -> Vec<String> {
    let mut documents: Vec<String> = Vec::new();
    for line in text.lines() {
        let starts = line == "---" || line.starts_with("--- ");
        if starts || documents.is_empty() {
            documents.push(String::new());
        }
        if let Some(last) = documents.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    if documents.len() > 1
        && documents[0]
            .lines()
            .all(|line| line.trim().is_empty() || line.starts_with('#'))
    {
        documents.remove(0);
    }
    documents
}

fn from_yaml(call: &Call) -> Result<Value, Error> {
    match call.data()? {
        Value::Str(text) => {
            let mut documents = documents(call, &text)?;
            match documents.len() {
                0 => Ok(Value::Null),
                1 => Ok(documents.remove(0)),
                _ => Err(call.fail("there are several documents: use from_yaml_all")),
            }
        }
        // What is data already stays as it is.
        other => Ok(other),
    }
}

fn from_yaml_all(call: &Call) -> Result<Value, Error> {
    match call.data()? {
        Value::Str(text) => Ok(documents(call, &text)?.into()),
        other => Ok(other),
    }
}

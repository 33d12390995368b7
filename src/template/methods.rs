//! Python's methods of texts, lists and dicts that the engine's own set of them lacks.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value as Native};

use super::call::data;
use super::filters::equal;
use super::{convert, taint};
use crate::value::Value;

/// Wider than this, padding would only take memory.
const MAX_WIDTH: usize = 100_000;

pub(super) fn call(
    state: &mut State,
    value: &Native,
    method: &str,
    arguments: &[Native],
) -> Result<Native, Error> {
    let own = match value.kind() {
        ValueKind::String => of_text(value.as_str().unwrap_or_default(), method, arguments)?,
        ValueKind::Seq | ValueKind::Iterable => of_list(value, method, arguments)?,
        ValueKind::Map => of_map(value, method, arguments)?,
        ValueKind::Number => of_number(value, method),
        _ => None,
    };
    let output = match own {
        Some(value) => convert::from_value(&value),
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, arguments)?,
    };
    taint::follow([value].into_iter().chain(arguments), &output);
    Ok(output)
}

fn failed(message: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.to_owned())
}

fn of_text(text: &str, method: &str, arguments: &[Native]) -> Result<Option<Value>, Error> {
    let argument = |index: usize| arguments.get(index).and_then(Native::as_str);
    let width = || {
        let width = arguments.first().and_then(Native::as_usize);
        width
            .map(|width| width.min(MAX_WIDTH))
            .ok_or_else(|| failed("it needs a width"))
    };
    let missing = |width: usize| width.saturating_sub(text.chars().count());
    let fill = |count: usize| argument(1).unwrap_or(" ").repeat(count);
    Ok(Some(match method {
        "zfill" => {
            let (sign, digits) = match text.strip_prefix('-') {
                Some(digits) => ("-", digits),
                None => ("", text),
            };
            format!("{sign}{}{digits}", "0".repeat(missing(width()?))).into()
        }
        "ljust" => format!("{text}{}", fill(missing(width()?))).into(),
        "rjust" => format!("{}{text}", fill(missing(width()?))).into(),
        "partition" | "rpartition" => {
            let separator = argument(0).ok_or_else(|| failed("it needs a separator"))?;
            let last = method == "rpartition";
            let parts = if last {
                text.rsplit_once(separator)
            } else {
                text.split_once(separator)
            };
            match parts {
                Some((before, after)) => vec![before, separator, after].into(),
                None if last => vec!["", "", text].into(),
                None => vec![text, "", ""].into(),
            }
        }
        "rsplit" => {
            let most = arguments
                .get(1)
                .and_then(Native::as_usize)
                .unwrap_or(usize::MAX - 1);
            let mut parts: Vec<&str> = match argument(0) {
                Some(separator) if !separator.is_empty() => text.rsplitn(most + 1, separator).collect(),
                _ => text.split_whitespace().rev().collect(),
            };
            parts.reverse();
            parts.into()
        }
        "index" => {
            let at = argument(0).and_then(|part| text.find(part));
            let at = at.ok_or_else(|| failed("substring not found"))?;
            text[..at].chars().count().into()
        }
        "rindex" => {
            let at = argument(0).and_then(|part| text.rfind(part));
            let at = at.ok_or_else(|| failed("substring not found"))?;
            text[..at].chars().count().into()
        }
        "center" => {
            let missing = missing(width()?);
            // Where it is odd, Python puts the larger half in front of texts of even length.
            let before = missing / 2 + (missing & width()? & 1);
            format!("{}{text}{}", fill(before), fill(missing - before)).into()
        }
        "expandtabs" => {
            let width = arguments.first().and_then(Native::as_usize).unwrap_or(8);
            expanded(text, width.min(MAX_WIDTH)).into()
        }
        "translate" => {
            let table = arguments.first().ok_or_else(|| failed("it needs a table"))?;
            let translated = |c: char| match table.get_item(&Native::from(u32::from(c))) {
                Ok(to) if to.is_none() => String::new(),
                Ok(to) if !to.is_undefined() => to
                    .as_usize()
                    .and_then(|code| char::from_u32(u32::try_from(code).ok()?))
                    .map_or_else(|| to.to_string(), String::from),
                _ => c.to_string(),
            };
            text.chars().map(translated).collect::<String>().into()
        }
        "casefold" => text.to_lowercase().replace('ß', "ss").into(),
        "isdecimal" => (!text.is_empty() && text.chars().all(char::is_numeric)).into(),
        "istitle" => (text.chars().any(char::is_alphabetic) && titled(text) == text).into(),
        "isidentifier" => (!text.starts_with(|c: char| c.is_numeric())
            && !text.is_empty()
            && text.chars().all(|c| c.is_alphanumeric() || c == '_'))
        .into(),
        "isprintable" => (!text.chars().any(char::is_control)).into(),
        "swapcase" => {
            let swapped = |c: char| {
                if c.is_uppercase() {
                    c.to_lowercase().to_string()
                } else {
                    c.to_uppercase().to_string()
                }
            };
            text.chars().map(swapped).collect::<String>().into()
        }
        "removeprefix" => argument(0)
            .and_then(|part| text.strip_prefix(part))
            .unwrap_or(text)
            .into(),
        "removesuffix" => argument(0)
            .and_then(|part| text.strip_suffix(part))
            .unwrap_or(text)
            .into(),
        // Bytes are texts here.
        "encode" | "decode" => text.into(),
        _ => return Ok(None),
    }))
}

/// Tabs as blanks up to the next column that is a multiple of `width`.
fn expanded(text: &str, width: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' if width == 0 => {}
            '\t' => {
                let blanks = width - column % width;
                out.push_str(&" ".repeat(blanks));
                column += blanks;
            }
            c => {
                out.push(c);
                column = if c == '\n' { 0 } else { column + 1 };
            }
        }
    }
    out
}

/// Each word with one capital, at its start.
fn titled(text: &str) -> String {
    let mut inside = false;
    text.chars()
        .map(|c| {
            let cased = if inside {
                c.to_lowercase().to_string()
            } else {
                c.to_uppercase().to_string()
            };
            inside = c.is_alphabetic();
            cased
        })
        .collect()
}

fn of_number(value: &Native, method: &str) -> Option<Value> {
    match method {
        "is_integer" => f64::try_from(value.clone())
            .ok()
            .map(|number| (number.fract() == 0.0).into()),
        "bit_length" => value
            .as_i64()
            .map(|number| (u64::BITS - number.unsigned_abs().leading_zeros()).into()),
        _ => None,
    }
}

/// What changes a dict gives its answer and changes nothing: the dict that could change is a template's own.
fn of_map(value: &Native, method: &str, arguments: &[Native]) -> Result<Option<Value>, Error> {
    let key = || arguments.first().ok_or_else(|| failed("it needs a key"));
    Ok(match method {
        "copy" if arguments.is_empty() => Some(data(value)?),
        "pop" => {
            let found = value.get_item(key()?)?;
            let found = match arguments.get(1) {
                Some(default) if found.is_undefined() => default.clone(),
                _ => found,
            };
            Some(data(&found)?)
        }
        "update" | "clear" => Some(Value::Null),
        _ => None,
    })
}

fn of_list(value: &Native, method: &str, arguments: &[Native]) -> Result<Option<Value>, Error> {
    let mut items = match (method, data(value)?) {
        // What changes a list gives its answer and changes nothing, as in a dict.
        ("append" | "extend" | "insert" | "remove" | "sort" | "reverse" | "clear", _) => {
            return Ok(Some(Value::Null));
        }
        ("index" | "count" | "copy" | "pop", Value::List(items)) => items,
        _ => return Ok(None),
    };
    if method == "copy" {
        return Ok(Some(items.into()));
    }
    if method == "pop" {
        let last = items.len().saturating_sub(1);
        let at = arguments.first().and_then(Native::as_usize).unwrap_or(last);
        if at >= items.len() {
            return Err(failed("pop index out of range"));
        }
        return Ok(Some(items.remove(at)));
    }
    let wanted = data(arguments.first().ok_or_else(|| failed("it needs a value"))?)?;
    if method == "count" {
        return Ok(Some(
            items.iter().filter(|item| equal(item, &wanted)).count().into(),
        ));
    }
    match items.iter().position(|item| equal(item, &wanted)) {
        Some(at) => Ok(Some(at.into())),
        None => Err(failed(&format!("{wanted} is not in list"))),
    }
}

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
        ValueKind::Map if method == "copy" && arguments.is_empty() => Some(data(value)?),
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

fn of_list(value: &Native, method: &str, arguments: &[Native]) -> Result<Option<Value>, Error> {
    let ("index" | "count" | "copy", Value::List(items)) = (method, data(value)?) else {
        return Ok(None);
    };
    if method == "copy" {
        return Ok(Some(items.into()));
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

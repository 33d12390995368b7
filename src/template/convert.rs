//! Between our values and the engine's.

use std::sync::{Arc, LazyLock};

use minijinja::value::{Object, ObjectRepr, ValueKind};

use crate::value::{Map, Value};

/// `omit`: an argument, list item or key with this value is left out.
#[derive(Debug)]
struct Omit;

impl Object for Omit {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

pub(super) static OMIT: LazyLock<minijinja::Value> = LazyLock::new(|| minijinja::Value::from_object(Omit));

pub(super) fn is_omit(value: &minijinja::Value) -> bool {
    value.downcast_object_ref::<Omit>().is_some()
}

pub(super) fn from_value(value: &Value) -> minijinja::Value {
    match value {
        Value::Null => minijinja::Value::from(()),
        Value::Bool(flag) => (*flag).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Str(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(from_value).collect(),
        Value::Map(map) => {
            minijinja::Value::from_pairs(map.iter().map(|(key, item)| (key.as_str(), from_value(item))))
        }
    }
}

/// The value as data; none where it is `omit`.
///
/// # Errors
/// A message for what is no data: undefined values, functions.
pub(super) fn to_value(value: &minijinja::Value) -> Result<Value, String> {
    Ok(to_value_or_omit(value)?.unwrap_or(Value::Null))
}

pub(super) fn to_value_or_omit(value: &minijinja::Value) -> Result<Option<Value>, String> {
    converted(value, false)
}

/// The value as data without what is undefined in it; none where that is all of it.
pub(super) fn to_defined(value: &minijinja::Value) -> Result<Option<Value>, String> {
    converted(value, true)
}

/// `lenient` takes what is undefined as if it were `omit`.
fn converted(value: &minijinja::Value, lenient: bool) -> Result<Option<Value>, String> {
    Ok(Some(match value.kind() {
        ValueKind::None => Value::Null,
        ValueKind::Bool => Value::Bool(value.is_true()),
        ValueKind::Number => number(value),
        ValueKind::String => Value::from(value.as_str().unwrap_or_default()),
        ValueKind::Bytes => {
            Value::from(String::from_utf8_lossy(value.as_bytes().unwrap_or_default()).into_owned())
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let mut items = Vec::new();
            for item in value.try_iter().map_err(|error| error.to_string())?.checked() {
                let item = item.map_err(|error| describe(&error))?;
                items.extend(converted(&item, lenient)?);
            }
            Value::List(items)
        }
        ValueKind::Map => {
            let mut map = Map::new();
            for key in value.try_iter().map_err(|error| error.to_string())?.checked() {
                let key = key.map_err(|error| describe(&error))?;
                let item = value.get_item(&key).map_err(|error| describe(&error))?;
                if let Some(item) = converted(&item, lenient)? {
                    map.insert(to_value(&key)?.to_string(), item);
                }
            }
            Value::Map(map)
        }
        ValueKind::Undefined if lenient => return Ok(None),
        ValueKind::Undefined => return Err("it is undefined".to_owned()),
        ValueKind::Invalid => {
            return Err(value
                .get_attr("")
                .err()
                .map_or_else(|| "it is invalid".to_owned(), |error| describe(&error)));
        }
        _ if is_omit(value) => return Ok(None),
        _ => Value::from(value.to_string()),
    }))
}

fn describe(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.to_string(), str::to_owned)
}

fn number(value: &minijinja::Value) -> Value {
    if value.is_integer() {
        if let Some(number) = value.as_i64() {
            return Value::Int(number);
        }
        return Value::from(value.to_string());
    }
    f64::try_from(value.clone()).map_or(Value::Null, Value::Float)
}

/// Python's `str()` of an engine's value.
pub(super) fn display(value: &minijinja::Value) -> Result<String, String> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    if is_omit(value) {
        return Ok("<<Omit>>".to_owned());
    }
    Ok(to_value(value)?.to_string())
}

/// What `{{ value }}` prints among other text: of none and of `omit` nothing.
pub(super) fn printed(value: &minijinja::Value) -> Result<String, String> {
    if value.is_none() || is_omit(value) {
        return Ok(String::new());
    }
    display(value)
}

/// Python's `repr()` of an engine's value.
pub(super) fn quoted(value: &minijinja::Value) -> Result<String, String> {
    let list = Value::List(vec![to_value(value)?]).to_string();
    Ok(list[1..list.len() - 1].to_owned())
}

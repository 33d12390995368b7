//! A value as an argument's kind.

use super::{Arg, Kind, convert};
use crate::value::Value;

impl Arg {
    /// The value as this argument's kind; or why it cannot be one, where there is more to say.
    pub(super) fn coerce(&self, value: &Value) -> Result<Value, Option<String>> {
        match self.kind {
            Kind::Raw => Ok(value.clone()),
            // As everywhere in Ansible: what is no text is spelt as one.
            Kind::Str | Kind::Path => Ok(Value::Str(value.to_string())),
            Kind::Bool | Kind::Int | Kind::Float | Kind::Dict => {
                convert::convert(self.kind.name(), value).map_err(Some)
            }
            Kind::Mode => match value {
                // YAML 1.1 has read 0644 as the number 420: say it in octal again.
                Value::Int(number) => Ok(Value::Str(format!("0{number:o}"))),
                other => text(other).map(Value::Str).ok_or(None),
            },
            Kind::Strings => strings(value).ok_or(None),
            Kind::List => match value {
                Value::List(_) => Ok(value.clone()),
                Value::Str(text) => Ok(Value::from(split_commas(text))),
                Value::Map(_) => Err(None),
                other => Ok(Value::List(vec![other.clone()])),
            },
        }
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::List(_) | Value::Map(_) => None,
        other => Some(other.to_string()),
    }
}

fn strings(value: &Value) -> Option<Value> {
    match value {
        Value::List(items) => items
            .iter()
            .map(|item| text(item).map(Value::Str))
            .collect::<Option<Vec<_>>>()
            .map(Value::List),
        Value::Str(text) => Some(Value::from(split_commas(text))),
        Value::Map(_) => None,
        other => text(other).map(|text| Value::from(vec![text])),
    }
}

fn split_commas(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim().to_owned()).collect()
}

//! The types of arguments: what each takes, and why it does not take the rest.

use crate::value::{Map, Value};

/// What is a boolean in a text.
const TRUE: &[&str] = &["y", "yes", "on", "1", "true", "t"];
const FALSE: &[&str] = &["n", "no", "off", "0", "false", "f"];

/// A type's name, and the value as it; or why it cannot be that.
type Convert = fn(&Value) -> Result<Value, String>;

const TYPES: &[(&str, Convert)] = &[
    ("bits", |value| size(value, "Bit", 'b')),
    ("bool", boolean),
    ("bytes", |value| size(value, "Byte", 'B')),
    ("dict", dict),
    ("float", float),
    ("int", integer),
    ("json", json),
    ("jsonarg", json),
    ("list", list),
    ("path", |value| Ok(text(value))),
    ("raw", |value| Ok(value.clone())),
    ("sid", |value| Ok(text(value))),
    ("str", |value| Ok(text(value))),
];

/// The value as `kind`; a type that does not exist takes anything.
pub fn convert(kind: &str, value: &Value) -> Result<Value, String> {
    match TYPES.iter().find(|(name, _)| *name == kind) {
        Some((_, convert)) => convert(value),
        None => Ok(value.clone()),
    }
}

/// Whether a boolean text stands for the only choice that YAML would have read as this boolean.
pub fn is_choice_of_yaml(value: &Value, choices: &[Value]) -> bool {
    let words = match value.as_str() {
        Some("True") => TRUE,
        Some("False") => FALSE,
        _ => return false,
    };
    let meant = |choice: &&Value| choice.as_str().is_some_and(|choice| words.contains(&choice));
    choices.iter().filter(meant).count() == 1
}

/// Python's name of the value's class.
fn class(value: &Value) -> String {
    format!("<class '{}'>", value.type_name())
}

/// Python's `repr()`.
fn repr(value: &Value) -> String {
    let list = Value::List(vec![value.clone()]).to_string();
    list[1..list.len() - 1].to_owned()
}

fn text(value: &Value) -> Value {
    match value {
        Value::Null => Value::from(""),
        other => Value::from(other.to_string()),
    }
}

fn list(value: &Value) -> Result<Value, String> {
    match value {
        Value::List(_) => Ok(value.clone()),
        Value::Str(text) => Ok(Value::from(
            text.split(',').map(str::to_owned).collect::<Vec<_>>(),
        )),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => Ok(Value::from(vec![value.to_string()])),
        _ => Err(format!("{} cannot be converted to a list", class(value))),
    }
}

fn dict(value: &Value) -> Result<Value, String> {
    match value {
        Value::Map(_) => Ok(value.clone()),
        Value::Str(text) if text.starts_with('{') => serde_json::from_str::<Map>(text)
            .map(Value::Map)
            .map_err(|_| "unable to evaluate string as dictionary".to_owned()),
        Value::Str(text) if text.contains('=') => pairs(text)
            .ok_or_else(|| "unable to evaluate string in the \"key=value\" format as dictionary".to_owned()),
        Value::Str(_) => Err("dictionary requested, could not parse JSON or key=value".to_owned()),
        _ => Err(format!("{} cannot be converted to a dict", class(value))),
    }
}

/// `a=b, c=d` or `a=b c=d`.
fn pairs(text: &str) -> Option<Value> {
    let words = shell_words::split(&text.replace(',', " ")).ok()?;
    let pairs = words.iter().map(|word| word.split_once('='));
    pairs
        .map(|pair| pair.map(|(key, value)| (key.to_owned(), Value::from(value))))
        .collect::<Option<Map>>()
        .map(Value::Map)
}

fn boolean(value: &Value) -> Result<Value, String> {
    let word = match value {
        Value::Bool(_) => return Ok(value.clone()),
        Value::Str(text) => text.trim().to_lowercase(),
        Value::Int(_) => value.to_string(),
        // 1.0 is 1.
        Value::Float(number) => format!("{number}"),
        _ => return Err(format!("{} cannot be converted to a bool", class(value))),
    };
    if TRUE.contains(&word.as_str()) {
        Ok(Value::Bool(true))
    } else if FALSE.contains(&word.as_str()) {
        Ok(Value::Bool(false))
    } else {
        Err(format!(
            "The value '{value}' is not a valid boolean. Valid booleans include: {}",
            [TRUE, FALSE].concat().join(", ")
        ))
    }
}

fn integer(value: &Value) -> Result<Value, String> {
    let number = match value {
        Value::Int(_) => return Ok(value.clone()),
        Value::Bool(flag) => Some(i64::from(*flag)),
        Value::Str(text) => text
            .trim()
            .parse()
            .ok()
            .or_else(|| whole(text.trim().parse().ok()?)),
        Value::Float(number) => whole(*number),
        _ => None,
    };
    match number {
        Some(number) => Ok(Value::Int(number)),
        None => Err(format!("\"{}\" cannot be converted to an int", repr(value))),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "guarded by the fraction and the range"
)]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

fn float(value: &Value) -> Result<Value, String> {
    let number = match value {
        Value::Float(_) => return Ok(value.clone()),
        #[expect(clippy::cast_precision_loss, reason = "as Python does it")]
        Value::Int(number) => Some(*number as f64),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::Str(text) => text.trim().parse().ok(),
        _ => None,
    };
    match number {
        Some(number) => Ok(Value::Float(number)),
        None => Err(format!("{} cannot be converted to a float", class(value))),
    }
}

fn json(value: &Value) -> Result<Value, String> {
    match value {
        Value::Str(text) => Ok(Value::from(text.trim())),
        Value::List(_) | Value::Map(_) => serde_json::to_string(value)
            .map(Value::from)
            .map_err(|error| error.to_string()),
        _ => Err(format!("{} cannot be converted to a json string", class(value))),
    }
}

/// A number with a unit: `10M`, `1.5GB`, `1Mb`. `unit` is the last letter that may be left out.
fn size(value: &Value, name: &str, unit: char) -> Result<Value, String> {
    const PREFIXES: &str = "KMGTPEZY";
    let refused = || format!("{} cannot be converted to a {name} value", class(value));
    let text = value.to_string();
    let text = text.trim();
    let digits = text.len()
        - text
            .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
            .len();
    let (number, rest) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| refused())?;
    let rest = rest.trim();
    let prefix = rest.strip_suffix(unit).unwrap_or(rest);
    let power = match prefix.to_uppercase().as_str() {
        "" => 0,
        letter => {
            PREFIXES
                .find(letter)
                .filter(|_| letter.len() == 1)
                .ok_or_else(refused)?
                + 1
        }
    };
    let power = i32::try_from(power).map_err(|_| refused())?;
    whole((number * 1024_f64.powi(power)).round())
        .map(Value::Int)
        .ok_or_else(refused)
}

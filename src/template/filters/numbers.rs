//! Filters on numbers, and on lists of them.

use std::cmp::Ordering;

use minijinja::{Error, Value as Native};

use super::maps::extreme;
use super::order::number;
use crate::template::call::{Call, Definition, described, native, row};
use crate::template::convert;
use crate::value::Value;

pub(super) const FILTERS: &[Definition] = &[
    row(
        "filesizeformat",
        "binary=false",
        "A number of bytes for people to read",
        |call| {
            let value = call.data()?;
            let size = number(&value)
                .or_else(|| value.to_string().parse().ok())
                .ok_or_else(|| call.fail("it needs a number"))?;
            let binary = call.flag("binary", false);
            Ok(minijinja_contrib::filters::filesizeformat(size, Some(binary)).into())
        },
    ),
    row("int", "default=0, base=10", "The value as an integer", int),
    row(
        "float",
        "default=0.0",
        "The value as a number with a fraction",
        float,
    ),
    row("abs", "", "The number without its sign", abs),
    row(
        "round",
        "precision=0, method='common'",
        "The number rounded: common, ceil or floor",
        round,
    ),
    row("pow", "exponent", "The number to that power", |call| {
        Ok(Value::Float(input(call)?.powf(argument(call, "exponent", 1.0)?)))
    }),
    row(
        "log",
        "base",
        "The number's logarithm, the natural one unless a base is given",
        log,
    ),
    row("root", "base=2", "The number's root", root),
    row("sum", "attribute, start=0", "The items' sum", sum),
    native(
        "min",
        "case_sensitive=false, attribute",
        "The least item",
        |call| extremum(call, Ordering::Less),
    ),
    native(
        "max",
        "case_sensitive=false, attribute",
        "The greatest item",
        |call| extremum(call, Ordering::Greater),
    ),
    row(
        "human_readable",
        "isbits=false, unit",
        "A size in bytes for people",
        human_readable,
    ),
    row(
        "human_to_bytes",
        "default_unit, isbits=false",
        "The bytes of a size like 10M",
        human_to_bytes,
    ),
];

fn extremum(call: &Call, wanted: Ordering) -> Result<Native, Error> {
    Ok(extreme(call, wanted)?.map_or(Native::UNDEFINED, |item| convert::from_value(&item)))
}

fn as_number(call: &Call, value: &Value) -> Result<f64, Error> {
    number(value).ok_or_else(|| call.fail(format!("it needs a number, and got {}", described(value))))
}

fn input(call: &Call) -> Result<f64, Error> {
    as_number(call, &call.data()?)
}

fn argument(call: &Call, name: &str, default: f64) -> Result<f64, Error> {
    call.value(name)?
        .filter(|value| *value != Value::Null)
        .map_or(Ok(default), |value| as_number(call, &value))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "saturates; past 64 bits there is no integer here"
)]
fn whole(number: f64) -> Value {
    Value::Int(number.trunc() as i64)
}

fn int(call: &Call) -> Result<Value, Error> {
    let base = u32::try_from(call.int("base")?.unwrap_or(10)).unwrap_or(10);
    let converted = match call.data()? {
        Value::Int(number) => Some(Value::Int(number)),
        Value::Bool(flag) => Some(Value::Int(flag.into())),
        Value::Float(number) => number.is_finite().then(|| whole(number)),
        Value::Str(text) => parse_int(&text, base),
        _ => None,
    };
    Ok(match converted {
        Some(number) => number,
        None => call.value("default")?.unwrap_or(Value::Int(0)),
    })
}

fn parse_int(text: &str, base: u32) -> Option<Value> {
    let text = text.trim().replace('_', "");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(&text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (digits, base) = match (lower.get(..2), base) {
        (Some("0x"), 16 | 0) => (&lower[2..], 16),
        (Some("0o"), 8 | 0) => (&lower[2..], 8),
        (Some("0b"), 2 | 0) => (&lower[2..], 2),
        (_, 0) => (lower.as_str(), 10),
        _ => (lower.as_str(), base),
    };
    if (2..=36).contains(&base)
        && let Ok(number) = i64::from_str_radix(&format!("{sign}{digits}"), base)
    {
        return Some(Value::Int(number));
    }
    text.parse::<f64>()
        .ok()
        .filter(|number| number.is_finite())
        .map(whole)
}

fn float(call: &Call) -> Result<Value, Error> {
    let value = call.data()?;
    let converted = match &value {
        Value::Str(text) => text.trim().replace('_', "").parse().ok(),
        other => number(other),
    };
    Ok(match converted {
        Some(number) => Value::Float(number),
        None => call.value("default")?.unwrap_or(Value::Float(0.0)),
    })
}

fn abs(call: &Call) -> Result<Value, Error> {
    match call.data()? {
        Value::Int(number) => Ok(number.wrapping_abs().into()),
        other => Ok(as_number(call, &other)?.abs().into()),
    }
}

/// Decimal places past which a float has none.
const MAX_PRECISION: i64 = 300;

fn round(call: &Call) -> Result<Value, Error> {
    let value = call.data()?;
    let precision = call
        .int("precision")?
        .unwrap_or(0)
        .clamp(-MAX_PRECISION, MAX_PRECISION);
    let method = call.string_or("method", "common")?;
    let given = as_number(call, &value)?;
    let rounded = match method.as_str() {
        "common" => {
            if precision >= 0 {
                // Formatting rounds the exact value half to even, as Python does.
                let places = usize::try_from(precision).unwrap_or(0);
                format!("{given:.places$}").parse().unwrap_or(given)
            } else {
                let scale = 10_f64.powi(i32::try_from(-precision).unwrap_or(0));
                (given / scale).round_ties_even() * scale
            }
        }
        "ceil" | "floor" => {
            let scale = 10_f64.powi(i32::try_from(precision).unwrap_or(0));
            let scaled = given * scale;
            (if method == "ceil" {
                scaled.ceil()
            } else {
                scaled.floor()
            }) / scale
        }
        _ => return Err(call.fail("`method` must be common, ceil or floor")),
    };
    match value {
        Value::Int(_) if method == "common" => Ok(whole(rounded)),
        _ => Ok(Value::Float(rounded)),
    }
}

fn log(call: &Call) -> Result<Value, Error> {
    let number = input(call)?;
    if number <= 0.0 {
        return Err(call.fail("math domain error"));
    }
    let base = argument(call, "base", std::f64::consts::E)?;
    Ok(Value::Float(if (base - 10.0).abs() < f64::EPSILON {
        number.log10()
    } else if (base - std::f64::consts::E).abs() < f64::EPSILON {
        number.ln()
    } else {
        number.ln() / base.ln()
    }))
}

fn root(call: &Call) -> Result<Value, Error> {
    let base = argument(call, "base", 2.0)?;
    let number = input(call)?;
    Ok(Value::Float(if (base - 2.0).abs() < f64::EPSILON {
        number.sqrt()
    } else {
        number.powf(1.0 / base)
    }))
}

fn sum(call: &Call) -> Result<Value, Error> {
    let attribute = call.string("attribute")?;
    let mut total = call.value("start")?.unwrap_or(Value::Int(0));
    for item in call.list()? {
        let item = match &attribute {
            None => item,
            Some(path) => super::lists::required_part(call, &item, path)?.clone(),
        };
        total = match (total, item) {
            (Value::List(left), Value::List(right)) => Value::List([left, right].concat()),
            (Value::Int(left), Value::Int(right)) => left
                .checked_add(right)
                .map(Value::Int)
                .ok_or_else(|| call.fail("the sum does not fit an integer"))?,
            (left, right) => Value::Float(as_number(call, &left)? + as_number(call, &right)?),
        };
    }
    Ok(total)
}

/// Each unit is 1024 of the next.
const UNITS: &[char] = &['Y', 'Z', 'E', 'P', 'T', 'G', 'M', 'K'];

fn factor(unit: char) -> Option<f64> {
    let power = UNITS.iter().rev().position(|known| *known == unit)? + 1;
    Some(1024_f64.powi(i32::try_from(power).ok()?))
}

fn human_readable(call: &Call) -> Result<Value, Error> {
    let size = match call.data()? {
        Value::Str(text) => text
            .trim()
            .parse()
            .map_err(|_| call.fail(format!("`{text}` is no number")))?,
        other => as_number(call, &other)?,
    };
    let bits = call.flag("isbits", false);
    let unit = call
        .string("unit")?
        .and_then(|unit| unit.to_uppercase().chars().next());
    let chosen = UNITS.iter().copied().find(|known| match unit {
        None => factor(*known).is_some_and(|factor| size >= factor),
        Some(unit) => unit == *known,
    });
    let divisor = chosen.and_then(factor).unwrap_or(1.0);
    let name = match (chosen, bits) {
        (None, true) => "bits".to_owned(),
        (None, false) => "Bytes".to_owned(),
        (Some(unit), true) => format!("{unit}b"),
        (Some(unit), false) => format!("{unit}B"),
    };
    Ok(format!("{:.2} {name}", size / divisor).into())
}

#[expect(clippy::cast_possible_truncation, reason = "a size past 64 bits saturates")]
fn human_to_bytes(call: &Call) -> Result<Value, Error> {
    let text = call.text()?;
    let trimmed = text.trim();
    let digits = trimmed
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let bad = || call.fail(format!("can't interpret following string: {text}"));
    let number: f64 = number.parse().map_err(|_| bad())?;
    let unit = match unit.trim() {
        "" => call.string_or("default_unit", "B")?,
        unit => unit.to_owned(),
    };
    let suffix = if call.flag("isbits", false) {
        ['b'; 2]
    } else {
        ['B', 'b']
    };
    let mut characters = unit.chars();
    let first = characters.next().ok_or_else(bad)?.to_ascii_uppercase();
    let rest = characters.as_str();
    let whole_word = ["byte", "bytes", "bit", "bits"].contains(&unit.to_ascii_lowercase().as_str());
    let factor = match factor(first) {
        _ if whole_word || (first == 'B' && rest.is_empty()) => 1.0,
        // `Mb` are bits: asking for the bytes of those is a mistake.
        Some(factor) if rest.is_empty() || rest == suffix[0].to_string() => factor,
        _ => return Err(bad()),
    };
    Ok(Value::Int((number * factor).round() as i64))
}

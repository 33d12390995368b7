//! Tests of what a value is and holds.

use minijinja::Error;
use minijinja::value::ValueKind;

use crate::template::call::{Call, Definition, native, row};
use crate::template::filters::{equal, has, regexes, truth};
use crate::template::rewrite::Chain;
use crate::value::Value;
use crate::vault;

pub(super) const TESTS: &[Definition] = &[
    native("defined", "", "Whether there is such a variable", |call| {
        Ok((!Chain::unwrap(call.input).is_undefined()).into())
    }),
    native("undefined", "", "Whether there is no such variable", |call| {
        Ok(Chain::unwrap(call.input).is_undefined().into())
    }),
    native("callable", "", "Whether it is a function", |call| {
        Ok((call.input.kind() == ValueKind::Plain).into())
    }),
    row("number", "", "Whether it is a number", |call| {
        Ok(matches!(call.data()?, Value::Int(_) | Value::Float(_) | Value::Bool(_)).into())
    }),
    row("sequence", "", "Whether it has a length and items", |call| {
        Ok(matches!(call.data()?, Value::List(_) | Value::Map(_) | Value::Str(_)).into())
    }),
    row(
        "match",
        "pattern, ignorecase=false, multiline=false",
        "Whether the text starts with what the expression matches",
        |call| matches(call, "match"),
    ),
    row(
        "search",
        "pattern, ignorecase=false, multiline=false",
        "Whether the expression matches in the text",
        |call| matches(call, "search"),
    ),
    row(
        "regex",
        "pattern, ignorecase=false, multiline=false, match_type='search'",
        "Whether the expression matches",
        |call| matches(call, &call.string_or("match_type", "search")?),
    ),
    row("contains", "value", "Whether the item is in the list", |call| {
        let wanted = call.required("value")?;
        Ok(match call.data()? {
            Value::Str(text) => text.contains(&wanted.to_string()),
            other => has(&call.items_of(other)?, &wanted),
        }
        .into())
    }),
    row("any", "", "Whether one of the items is true", |call| {
        Ok(call.list()?.iter().any(is_true).into())
    }),
    row("all", "", "Whether all items are true", |call| {
        Ok(call.list()?.iter().all(is_true).into())
    }),
    row(
        "subset",
        "other",
        "Whether all items are in the other list",
        subset,
    ),
    row(
        "issubset",
        "other",
        "Whether all items are in the other list",
        subset,
    ),
    row(
        "superset",
        "other",
        "Whether all items of the other list are in this one",
        superset,
    ),
    row(
        "issuperset",
        "other",
        "Whether all items of the other list are in this one",
        superset,
    ),
    row(
        "truthy",
        "convert_bool=false",
        "Whether the value counts as true",
        |call| Ok(truthy(call)?.into()),
    ),
    row(
        "falsy",
        "convert_bool=false",
        "Whether the value counts as false",
        |call| Ok((!truthy(call)?).into()),
    ),
    row("nan", "", "Whether it is the float that is no number", nan),
    row("isnan", "", "Whether it is the float that is no number", nan),
    native(
        "sameas",
        "other",
        "Whether both are the same: equal and of one type",
        |call| {
            let (left, right) = (call.data()?, call.required("other")?);
            Ok((left.type_name() == right.type_name() && equal(&left, &right)).into())
        },
    ),
    row(
        "uri",
        "schemes",
        "Whether it is an address with a scheme",
        |call| address(call, false),
    ),
    row(
        "url",
        "schemes",
        "Whether it is an address with a scheme and a host",
        |call| address(call, true),
    ),
    row("urn", "", "Whether it is a URN", |call| {
        let text = call.text()?;
        let after = text.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("urn:"));
        Ok((after.is_some() && text[4..].contains(':')).into())
    }),
    row(
        "vault_encrypted",
        "",
        "Whether the text is an encrypted vault, or stood behind `!vault`",
        |call| {
            let text = call.text()?;
            Ok((vault::is_vault(&text) || vault::keyring().has_opened(&text)).into())
        },
    ),
];

fn nan(call: &Call) -> Result<Value, Error> {
    match call.data()? {
        Value::Float(number) => Ok(number.is_nan().into()),
        _ => Ok(false.into()),
    }
}

fn matches(call: &Call, kind: &str) -> Result<Value, Error> {
    let pattern = regexes::with_flags(call, &call.required("pattern")?.to_string())?;
    let text = call.text()?;
    let found = match kind {
        "search" => pattern.find_at(&text, 0).is_some(),
        // A later match does not exclude one at the start: the first one found is the leftmost.
        "match" => pattern.find_at(&text, 0).is_some_and(|found| found.start == 0),
        "fullmatch" => {
            let whole = format!(r"(?:{})\Z", call.required("pattern")?);
            let found = regexes::with_flags(call, &whole)?.find_at(&text, 0);
            found.is_some_and(|found| found.start == 0)
        }
        other => {
            return Err(call.fail(format!(
                "`match_type` must be search, match or fullmatch, and is {other}"
            )));
        }
    };
    Ok(found.into())
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Int(number) => *number != 0,
        Value::Float(number) => *number != 0.0,
        Value::Str(text) => !text.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Map(map) => !map.is_empty(),
    }
}

fn truthy(call: &Call) -> Result<bool, Error> {
    let value = call.data()?;
    if !call.flag("convert_bool", false) {
        return Ok(is_true(&value));
    }
    let no = ["n", "no", "off", "0", "false", "f"];
    Ok(match &value {
        Value::Str(text) if no.contains(&text.trim().to_lowercase().as_str()) => false,
        other => truth(other) || is_true(other),
    })
}

fn subset(call: &Call) -> Result<Value, Error> {
    let other = call.items_of(call.required("other")?)?;
    Ok(call.list()?.iter().all(|item| has(&other, item)).into())
}

fn superset(call: &Call) -> Result<Value, Error> {
    let items = call.list()?;
    let other = call.items_of(call.required("other")?)?;
    Ok(other.iter().all(|item| has(&items, item)).into())
}

fn address(call: &Call, host: bool) -> Result<Value, Error> {
    let text = call.text()?;
    // Anything may be an address whose scheme is implied.
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme, rest)) => (scheme, rest),
        None if host || text.is_empty() => return Ok(false.into()),
        None => ("", text.as_str()),
    };
    let wanted = match call.value("schemes")? {
        None | Some(Value::Null) => true,
        Some(schemes) => has(&call.items_of(schemes)?, &scheme.into()),
    };
    let valid = (scheme.is_empty() || scheme.starts_with(|c: char| c.is_ascii_alphabetic()))
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let authority = rest
        .strip_prefix("//")
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    Ok((valid && wanted && (if host { authority } else { !rest.is_empty() })).into())
}

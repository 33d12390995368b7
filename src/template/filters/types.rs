//! Filters about what a value is: defaults, booleans, whether it must be there.

use minijinja::value::Value as Native;
use minijinja::{Error, ErrorKind};

use crate::template::call::{Call, Definition, native, row};
use crate::template::rewrite::Chain;
use crate::value::Value;

pub(super) const FILTERS: &[Definition] = &[
    native(
        "default",
        "default_value='', boolean=false",
        "The value, or another where it is undefined",
        default,
    ),
    native(
        "d",
        "default_value='', boolean=false",
        "The value, or another where it is undefined",
        default,
    ),
    row(
        "bool",
        "",
        "Whether the value means yes: true, 1, yes, on",
        |call| Ok(truth(&call.data()?).into()),
    ),
    row("string", "", "The value as text", |call| Ok(call.text()?.into())),
    native(
        "mandatory",
        "msg",
        "The value, or an error where it is undefined",
        mandatory,
    ),
    native(
        "ternary",
        "true_val, false_val, none_val",
        "One of the arguments, by whether the value is true",
        ternary,
    ),
    row("type_debug", "", "The name of the value's type", |call| {
        Ok(call.data()?.type_name().into())
    }),
    row("pprint", "", "The value as Python would write it", pprint),
];

#[expect(clippy::unnecessary_wraps, reason = "the table's signature")]
fn default(call: &Call) -> Result<Native, Error> {
    let value = Chain::unwrap(call.input);
    let wanted = if call.flag("boolean", false) {
        value.is_true()
    } else {
        !value.is_undefined()
    };
    Ok(if wanted {
        value
    } else {
        call.argument("default_value")
            .cloned()
            .unwrap_or_else(|| Native::from(""))
    })
}

/// Ansible's `bool`: whatever does not mean yes means no.
pub(in crate::template) fn truth(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::Int(number) => *number == 1,
        Value::Float(number) => (*number - 1.0).abs() < f64::EPSILON,
        Value::Str(text) => {
            ["y", "yes", "on", "1", "true", "t", "1.0"].contains(&text.trim().to_lowercase().as_str())
        }
        _ => false,
    }
}

fn mandatory(call: &Call) -> Result<Native, Error> {
    let value = Chain::unwrap(call.input);
    if !value.is_undefined() {
        return Ok(value);
    }
    let message = call
        .string("msg")?
        .unwrap_or_else(|| "Mandatory variable not defined.".to_owned());
    Err(call.fail(message))
}

fn ternary(call: &Call) -> Result<Native, Error> {
    if call.input.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let name = match call.argument("none_val") {
        Some(other) if call.input.is_none() && !other.is_none() => "none_val",
        _ if call.input.is_true() => "true_val",
        _ => "false_val",
    };
    let missing = || call.fail(format!("argument `{name}` is missing"));
    call.argument(name).cloned().ok_or_else(missing)
}

fn pprint(call: &Call) -> Result<Value, Error> {
    // A list of one prints its item as `repr` does.
    let shown = Value::List(vec![call.data()?]).to_string();
    Ok(shown[1..shown.len() - 1].into())
}

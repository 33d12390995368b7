//! The functions that are no lookups.

use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{Environment, Error, Value as Native};

use crate::diagnostic::Diagnostic;
use crate::template::call::{Call, Definition, Plugin, native};
use crate::template::convert;
use crate::template::error::EvalError;
use crate::template::filters::Date;
use crate::value::{Map, Value};

const PLUGIN: Plugin = Plugin {
    kind: "function",
    collection: "ansible.builtin",
};

const FUNCTIONS: &[Definition] = &[
    native("now", "utc=false, fmt", "The present date and time", now),
    native("undef", "hint", "A value that is undefined, and why", undef),
    native(
        "dict",
        "pairs, **items",
        "A dict of pairs and of named arguments",
        dict,
    ),
];

/// Name, parameters and purpose of each.
pub fn documentation() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    crate::template::call::documentation(&[FUNCTIONS])
}

pub(super) fn install(environment: &mut Environment<'static>) {
    for definition in FUNCTIONS {
        environment.add_function(definition.name, move |arguments: Rest<ValueOrKwargs>| {
            definition.run(PLUGIN, &Native::from(()), arguments)
        });
    }
}

fn now(call: &Call) -> Result<Native, Error> {
    let now = Date::now(call.flag("utc", false));
    match call.string("fmt")? {
        Some(format) => now
            .format(&format)
            .map(Native::from)
            .map_err(|message| call.fail(message)),
        None => Ok(Native::from_object(now)),
    }
}

fn undef(call: &Call) -> Result<Native, Error> {
    match call.string("hint")? {
        Some(hint) => Err(EvalError::undefined(Diagnostic::error(hint)).into()),
        None => Ok(Native::UNDEFINED),
    }
}

fn dict(call: &Call) -> Result<Native, Error> {
    let mut map = Map::new();
    for (name, _) in call.named().filter(|(name, _)| *name != "pairs") {
        map.insert(name.to_owned(), call.required(name)?);
    }
    match call.value("pairs")? {
        None | Some(Value::Null) => {}
        Some(Value::Map(pairs)) => map.extend(pairs),
        Some(pairs) => {
            for pair in call.items_of(pairs)? {
                match call.items_of(pair)?.as_slice() {
                    [key, value] => {
                        map.insert(key.to_string(), value.clone());
                    }
                    _ => return Err(call.fail("it needs pairs of a key and a value")),
                }
            }
        }
    }
    Ok(convert::from_value(&map.into()))
}

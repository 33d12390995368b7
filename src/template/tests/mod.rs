//! Tests (`x is NAME`) beyond the engine's own: one table a file.

mod files;
mod results;
mod values;
mod versions;

use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{Environment, State, Value};

use super::call::{Definition, Plugin};
use super::filters::CORE;

const PLUGIN: Plugin = Plugin {
    kind: "test",
    collection: CORE[0],
};

pub(super) use versions::loose_order;

/// All tables.
const TABLES: &[&[Definition]] = &[files::TESTS, results::TESTS, values::TESTS, versions::TESTS];

/// The engine's tests that are used as they are.
const ENGINE: [&str; 32] = [
    "boolean",
    "defined",
    "divisibleby",
    "eq",
    "equalto",
    "escaped",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sequence",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
    "callable",
];

/// Name, parameters and purpose of each test.
pub fn documentation() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    super::call::documentation(TABLES)
}

pub(super) fn install(environment: &mut Environment<'static>) {
    for definition in TABLES.iter().copied().flatten() {
        let run = move |state: &mut State, input: &Value, arguments: Rest<ValueOrKwargs>| {
            definition.apply(PLUGIN, state, input, arguments)
        };
        environment.add_test(definition.name, run);
        for prefix in CORE {
            environment.add_test(format!("{prefix}.{}", definition.name), run);
        }
    }
    for name in ENGINE {
        for prefix in CORE {
            environment.add_test(
                format!("{prefix}.{name}"),
                move |state: &mut State, arguments: Rest<Value>| state.perform_test(name, &arguments),
            );
        }
    }
}

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn each_name_once_and_documented() {
        let mut names: Vec<&str> = TABLES.iter().copied().flatten().map(|row| row.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for row in TABLES.iter().copied().flatten() {
            assert!(row.doc.starts_with("Whether "), "{}", row.name);
        }
    }
}

//! Filters: one table a file, by theme. The engine's own remain where they do what Jinja's do (`map`,
//! `select`, `batch`, ...).

mod addresses;
mod dates;
mod formats;
mod general;
mod hashes;
mod lists;
mod maps;
mod networks;
mod numbers;
mod order;
mod passwords;
mod paths;
pub(super) mod regexes;
mod sets;
mod text;
mod types;
mod vault;
mod web;

use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{Environment, State, Value};

use super::call::{Definition, Plugin};
pub(super) use dates::{Date, between};
pub(super) use lists::{cartesian, flatten_into, pairs, transpose};
pub(super) use order::equal;
pub(super) use paths::{expand_user, glob, user_name};
pub(super) use sets::has;
pub(super) use types::truth;

/// All tables.
const TABLES: &[&[Definition]] = &[
    dates::FILTERS,
    formats::FILTERS,
    hashes::FILTERS,
    lists::FILTERS,
    maps::FILTERS,
    numbers::FILTERS,
    passwords::FILTERS,
    paths::FILTERS,
    regexes::FILTERS,
    sets::FILTERS,
    text::FILTERS,
    types::FILTERS,
    vault::FILTERS,
    web::FILTERS,
];

/// Tables of filters that Ansible has in collections. Their short names are known here too.
const COLLECTIONS: &[(&str, &[Definition])] = &[
    ("ansible.utils", networks::FILTERS),
    ("community.general", general::FILTERS),
];

/// The collections whose filters, tests and lookups need no prefix.
pub(super) const CORE: [&str; 2] = ["ansible.builtin", "ansible.legacy"];

/// The engine's filters that are used as they are.
pub(super) const ENGINE: [&str; 20] = [
    "abs",
    "attr",
    "batch",
    "capitalize",
    "d",
    "default",
    "e",
    "escape",
    "last",
    "lower",
    "map",
    "reject",
    "rejectattr",
    "replace",
    "safe",
    "select",
    "selectattr",
    "slice",
    "trim",
    "upper",
];

/// Name, parameters and purpose of each filter.
pub fn documentation() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    super::call::documentation(TABLES).chain(
        COLLECTIONS
            .iter()
            .flat_map(|(_, table)| super::call::documentation(std::slice::from_ref(table))),
    )
}

pub(super) fn install(environment: &mut Environment<'static>) {
    for name in ENGINE {
        for prefix in CORE {
            environment.add_filter(
                format!("{prefix}.{name}"),
                move |state: &mut State, arguments: Rest<Value>| state.apply_filter(name, &arguments),
            );
        }
    }
    let core = TABLES.iter().map(|table| (CORE[0], *table));
    for (collection, table) in core.chain(COLLECTIONS.iter().copied()) {
        let plugin = Plugin {
            kind: "filter",
            collection,
        };
        for definition in table {
            let run = move |state: &mut State, input: &Value, arguments: Rest<ValueOrKwargs>| {
                definition.apply(plugin, state, input, arguments)
            };
            environment.add_filter(definition.name, run);
            environment.add_filter(format!("{collection}.{}", definition.name), run);
            if collection == CORE[0] {
                environment.add_filter(format!("{}.{}", CORE[1], definition.name), run);
            }
        }
    }
}

#[cfg(test)]
mod check;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_once_and_documented() {
        let mut names: Vec<&str> = TABLES.iter().copied().flatten().map(|row| row.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for row in TABLES.iter().copied().flatten() {
            assert!(!row.doc.is_empty() && !row.doc.ends_with('.'), "{}", row.name);
        }
    }
}

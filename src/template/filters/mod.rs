//! Filters: one table a file, by theme. The engine's own remain where they do what Jinja's do (`map`,
//! `select`, `batch`, ...).

mod dates;
mod formats;
mod hashes;
mod lists;
mod maps;
mod numbers;
mod order;
mod paths;
pub(super) mod regexes;
mod sets;
mod text;
mod types;
mod vault;
mod web;

use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{Environment, State, Value};

use super::call::Definition;
pub(super) use dates::{Date, between};
pub(super) use lists::{cartesian, flatten_into, pairs, transpose};
pub(super) use order::equal;
pub(super) use paths::{expand_user, glob};
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
    paths::FILTERS,
    regexes::FILTERS,
    sets::FILTERS,
    text::FILTERS,
    types::FILTERS,
    vault::FILTERS,
    web::FILTERS,
];

/// Name, parameters and purpose of each filter.
pub fn documentation() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    super::call::documentation(TABLES)
}

pub(super) fn install(environment: &mut Environment<'static>) {
    for definition in TABLES.iter().copied().flatten() {
        let run = move |state: &mut State, input: &Value, arguments: Rest<ValueOrKwargs>| {
            definition.apply(state, input, arguments)
        };
        environment.add_filter(definition.name, run);
        environment.add_filter(format!("ansible.builtin.{}", definition.name), run);
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

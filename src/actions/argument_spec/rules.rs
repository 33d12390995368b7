//! What must hold between options.

use super::options;
use crate::value::{Map, Value};

type Checked = Result<(), String>;

/// A name or a list of names.
pub(super) fn names(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::Str(name)) => vec![name],
        Some(Value::List(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The lists under `key` of an option.
fn terms<'a>(owner: &'a Map, key: &str) -> impl Iterator<Item = Vec<&'a str>> {
    let lists = owner.get(key).and_then(Value::as_list).unwrap_or_default();
    lists.iter().map(|list| names(Some(list)))
}

fn count(names: &[&str], given: &Map) -> usize {
    names.iter().filter(|name| given.contains_key(**name)).count()
}

pub(super) fn required(spec: &Map, given: &Map) -> Checked {
    let mut missing: Vec<&str> = options(spec)
        .filter(|(name, option)| {
            option.get("required").and_then(Value::truth) == Some(true) && !given.contains_key(*name)
        })
        .map(|(name, _)| name)
        .collect();
    missing.sort_unstable();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(format!("missing required arguments: {}", missing.join(", "))),
    }
}

pub(super) fn exclusive(owner: &Map, given: &Map) -> Checked {
    let broken: Vec<String> = terms(owner, "mutually_exclusive")
        .filter(|names| count(names, given) > 1)
        .map(|names| names.join("|"))
        .collect();
    match broken.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "parameters are mutually exclusive: {}",
            broken.join(", ")
        )),
    }
}

pub(super) fn together(owner: &Map, given: &Map) -> Checked {
    let broken = terms(owner, "required_together").find(|names| {
        let found = count(names, given);
        found > 0 && found < names.len()
    });
    match broken {
        Some(names) => Err(format!("parameters are required together: {}", names.join(", "))),
        None => Ok(()),
    }
}

pub(super) fn one_of(owner: &Map, given: &Map) -> Checked {
    match terms(owner, "required_one_of").find(|names| count(names, given) == 0) {
        Some(names) => Err(format!("one of the following is required: {}", names.join(", "))),
        None => Ok(()),
    }
}

/// Rows of option, value, names, and whether one of the names is enough.
pub(super) fn required_if(owner: &Map, given: &Map) -> Checked {
    let rows = owner
        .get("required_if")
        .and_then(Value::as_list)
        .unwrap_or_default();
    for row in rows.iter().filter_map(Value::as_list) {
        let [Value::Str(name), wanted, needed, rest @ ..] = row else {
            continue;
        };
        if given.get(name) != Some(wanted) {
            continue;
        }
        let any = rest.first().and_then(Value::truth) == Some(true);
        let needed = names(Some(needed));
        let missing: Vec<&str> = needed
            .iter()
            .copied()
            .filter(|name| !given.contains_key(*name))
            .collect();
        let enough = if any { needed.len() } else { 1 };
        if !missing.is_empty() && missing.len() >= enough {
            return Err(format!(
                "{name} is {wanted} but {} of the following are missing: {}",
                if any { "any" } else { "all" },
                missing.join(", ")
            ));
        }
    }
    Ok(())
}

pub(super) fn required_by(owner: &Map, given: &Map) -> Checked {
    let is_given = |name: &str| given.get(name).is_some_and(|value| *value != Value::Null);
    let rows = owner.get("required_by").and_then(Value::as_map);
    for (name, needed) in rows.into_iter().flatten().filter(|(name, _)| is_given(name)) {
        let missing: Vec<&str> = names(Some(needed))
            .into_iter()
            .filter(|name| !is_given(name))
            .collect();
        if !missing.is_empty() {
            return Err(format!(
                "missing parameter(s) required by '{name}': {}",
                missing.join(", ")
            ));
        }
    }
    Ok(())
}

//! Filters that take lists for sets. The order is that of the lists; Ansible's is that of its hash table.

use minijinja::Error;

use super::order::equal;
use crate::template::call::{Call, Definition, row};
use crate::value::Value;

pub(super) const FILTERS: &[Definition] = &[
    row("union", "other", "The items of both lists", |call| {
        let (left, right) = both(call)?;
        Ok(distinct(left.into_iter().chain(right)).into())
    }),
    row("intersect", "other", "The items that are in both lists", |call| {
        let (left, right) = both(call)?;
        Ok(distinct(left.into_iter().filter(|item| has(&right, item))).into())
    }),
    row(
        "difference",
        "other",
        "The items that are not in the other list",
        |call| {
            let (left, right) = both(call)?;
            Ok(distinct(left.into_iter().filter(|item| !has(&right, item))).into())
        },
    ),
    row(
        "symmetric_difference",
        "other",
        "The items that are in one of the lists only",
        |call| {
            let (left, right) = both(call)?;
            let only_right: Vec<Value> = right.iter().filter(|item| !has(&left, item)).cloned().collect();
            Ok(distinct(
                left.into_iter()
                    .filter(|item| !has(&right, item))
                    .chain(only_right),
            )
            .into())
        },
    ),
];

fn both(call: &Call) -> Result<(Vec<Value>, Vec<Value>), Error> {
    Ok((call.list()?, call.items_of(call.required("other")?)?))
}

pub(in crate::template) fn has(list: &[Value], item: &Value) -> bool {
    list.iter().any(|other| equal(other, item))
}

fn distinct(items: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut seen: Vec<Value> = Vec::new();
    for item in items {
        if !has(&seen, &item) {
            seen.push(item);
        }
    }
    seen
}

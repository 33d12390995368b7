//! Filters on dicts: merging, and to and from lists.

use minijinja::Error;

use super::lists::entry;
use super::order::{compare, equal, fold, sort_by_key};
use crate::template::call::{Call, Definition, described, row};
use crate::value::{Map, Value};

pub(super) const FILTERS: &[Definition] = &[
    row(
        "combine",
        "*dicts, recursive=false, list_merge='replace'",
        "The dicts in one, later ones winning",
        combine,
    ),
    row(
        "dict2items",
        "key_name='key', value_name='value'",
        "A list of key and value dicts",
        dict2items,
    ),
    row(
        "items2dict",
        "key_name='key', value_name='value'",
        "A dict of a list of key and value dicts",
        items2dict,
    ),
    row(
        "dictsort",
        "case_sensitive=false, by='key', reverse=false",
        "Pairs of key and value, in order",
        dictsort,
    ),
    row("items", "", "Pairs of key and value", items),
    row(
        "rekey_on_member",
        "key, duplicates='error'",
        "A dict of dicts by one of their members",
        rekey_on_member,
    ),
];

/// What becomes of two lists under the same key.
#[derive(Clone, Copy)]
enum ListMerge {
    Replace,
    Keep,
    Append,
    Prepend,
    AppendNew,
    PrependNew,
}

const LIST_MERGES: &[(&str, ListMerge)] = &[
    ("replace", ListMerge::Replace),
    ("keep", ListMerge::Keep),
    ("append", ListMerge::Append),
    ("prepend", ListMerge::Prepend),
    ("append_rp", ListMerge::AppendNew),
    ("prepend_rp", ListMerge::PrependNew),
];

fn combine(call: &Call) -> Result<Value, Error> {
    let merge = Merge::of(call)?;
    let mut values = Vec::new();
    super::lists::flatten_into(
        &mut values,
        std::iter::once(call.data()?).chain(call.rest()?).collect(),
        None,
        false,
    );
    let mut merged = Map::new();
    for value in values {
        match value {
            Value::Map(map) => merge.merge(&mut merged, map),
            Value::Null => {}
            other => {
                return Err(call.fail(format!(
                    "failed to combine variables, expected dicts but got {}",
                    described(&other)
                )));
            }
        }
    }
    Ok(merged.into())
}

/// How dicts become one.
pub(super) struct Merge {
    recursive: bool,
    lists: ListMerge,
}

impl Merge {
    /// By the arguments `recursive` and `list_merge`.
    pub(super) fn of(call: &Call) -> Result<Self, Error> {
        let name = call.string_or("list_merge", "replace")?;
        let Some((_, lists)) = LIST_MERGES.iter().find(|(known, _)| *known == name) else {
            let names: Vec<&str> = LIST_MERGES.iter().map(|(name, _)| *name).collect();
            return Err(call.fail(format!("`list_merge` must be one of {}", names.join(", "))));
        };
        Ok(Self {
            recursive: call.flag("recursive", false),
            lists: *lists,
        })
    }

    pub(super) fn merge(&self, into: &mut Map, from: Map) {
        for (key, value) in from {
            match (into.get_mut(&key), value) {
                (Some(Value::Map(old)), Value::Map(new)) if self.recursive => self.merge(old, new),
                (Some(Value::List(old)), Value::List(new)) => merge_lists(old, new, self.lists),
                (Some(old), new) => *old = new,
                (None, new) => {
                    into.insert(key, new);
                }
            }
        }
    }
}

fn merge_lists(old: &mut Vec<Value>, mut new: Vec<Value>, lists: ListMerge) {
    let without = |list: &[Value], others: &[Value]| -> Vec<Value> {
        let kept = list
            .iter()
            .filter(|item| !others.iter().any(|other| equal(item, other)));
        kept.cloned().collect()
    };
    match lists {
        ListMerge::Replace => *old = new,
        ListMerge::Keep => {}
        ListMerge::Append => old.append(&mut new),
        ListMerge::Prepend => {
            new.append(old);
            *old = new;
        }
        ListMerge::AppendNew => {
            *old = without(old, &new);
            old.append(&mut new);
        }
        ListMerge::PrependNew => {
            new.extend(without(old, &new));
            *old = new;
        }
    }
}

fn names(call: &Call) -> Result<(String, String), Error> {
    Ok((
        call.string_or("key_name", "key")?,
        call.string_or("value_name", "value")?,
    ))
}

fn dict2items(call: &Call) -> Result<Value, Error> {
    let (key_name, value_name) = names(call)?;
    let item = |(key, value): (String, Value)| entry([(&key_name, key.into()), (&value_name, value)]);
    Ok(Value::List(call.map()?.into_iter().map(item).collect()))
}

fn items2dict(call: &Call) -> Result<Value, Error> {
    let (key_name, value_name) = names(call)?;
    let mut map = Map::new();
    for item in call.list()? {
        match (item.get(&key_name), item.get(&value_name)) {
            (Some(key), Some(value)) => {
                map.insert(key.to_string(), value.clone());
            }
            _ => {
                return Err(call.fail(format!(
                    "each item must have `{key_name}` and `{value_name}`, and one is {}",
                    described(&item)
                )));
            }
        }
    }
    Ok(map.into())
}

fn pair((key, value): (String, Value)) -> Value {
    Value::List(vec![key.into(), value])
}

fn items(call: &Call) -> Result<Value, Error> {
    Ok(Value::List(call.map()?.into_iter().map(pair).collect()))
}

fn dictsort(call: &Call) -> Result<Value, Error> {
    let by_value = match call.string_or("by", "key")?.as_str() {
        "key" => false,
        "value" => true,
        other => return Err(call.fail(format!("`by` must be key or value, and is {other}"))),
    };
    let sensitive = call.flag("case_sensitive", false);
    let key = |key: &str, value: &Value| {
        let wanted = if by_value { value.clone() } else { Value::from(key) };
        if sensitive { wanted } else { fold(&wanted) }
    };
    let mut keyed: Vec<(Value, Value)> = call
        .map()?
        .into_iter()
        .map(|(name, value)| (key(&name, &value), pair((name, value))))
        .collect();
    sort_by_key(&mut keyed, call.flag("reverse", false)).map_err(|message| call.fail(message))?;
    Ok(Value::List(keyed.into_iter().map(|(_, pair)| pair).collect()))
}

fn rekey_on_member(call: &Call) -> Result<Value, Error> {
    let member = call.required("key")?.to_string();
    let overwrite = match call.string_or("duplicates", "error")?.as_str() {
        "error" => false,
        "overwrite" => true,
        other => return Err(call.fail(format!("`duplicates` must be error or overwrite, and is {other}"))),
    };
    let items: Vec<Value> = match call.data()? {
        Value::Map(map) => map.into_values().collect(),
        other => call.items_of(other)?,
    };
    let mut map = Map::new();
    for item in items {
        let key = item
            .get(&member)
            .ok_or_else(|| call.fail(format!("key {member} was not found in {}", described(&item))))?
            .to_string();
        if !overwrite && map.contains_key(&key) {
            return Err(call.fail(format!("key {key} is not unique, cannot convert to dict")));
        }
        map.insert(key, item);
    }
    Ok(map.into())
}

/// The greatest (or least) item by Python's order.
pub(super) fn extreme(call: &Call, wanted: std::cmp::Ordering) -> Result<Option<Value>, Error> {
    let attribute = call.string("attribute")?;
    let sensitive = call.flag("case_sensitive", false);
    let mut best: Option<(Value, Value)> = None;
    for item in call.list()? {
        let key = match &attribute {
            None => item.clone(),
            Some(path) => super::lists::required_part(call, &item, path)?.clone(),
        };
        let key = if sensitive { key } else { fold(&key) };
        let better = match &best {
            None => true,
            Some((least, _)) => compare(&key, least).map_err(|message| call.fail(message))? == wanted,
        };
        if better {
            best = Some((key, item));
        }
    }
    Ok(best.map(|(_, item)| item))
}

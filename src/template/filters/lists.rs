//! Filters on lists: order, picking, grouping, combining.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{Error, Value as Native};

use super::order::{equal, fold, part, sort_by_key};
use crate::diagnostic::Diagnostic;
use crate::template::call::{Call, Definition, described, native, row};
use crate::template::convert;
use crate::template::error::EvalError;
use crate::value::{Map, Value};

/// A product or permutation longer than this would take the controller's memory.
const MAX_ITEMS: usize = 1_000_000;

pub(super) const FILTERS: &[Definition] = &[
    native("length", "", "The number of items, keys or characters", length),
    native("count", "", "The number of items, keys or characters", length),
    row("join", "d='', attribute", "The items as one text", join),
    native("first", "", "The first item", first),
    native("last", "", "The last item", last),
    row("list", "", "The items as a list", list),
    row(
        "sort",
        "reverse=false, case_sensitive=false, attribute",
        "The items in order",
        sort,
    ),
    row(
        "unique",
        "case_sensitive=false, attribute",
        "Each item once",
        unique,
    ),
    native(
        "groupby",
        "attribute, default, case_sensitive=false",
        "Pairs of a value and the items that have it",
        groupby,
    ),
    row(
        "flatten",
        "levels, skip_nulls=true",
        "The items of nested lists in one list",
        flatten,
    ),
    row("reverse", "", "The items, last first", reverse),
    native(
        "zip",
        "*lists, strict=false",
        "Tuples of the lists' items, as many as the shortest has",
        zip,
    ),
    row(
        "zip_longest",
        "*lists, fillvalue",
        "Tuples of the lists' items, as many as the longest has",
        zip_longest,
    ),
    row(
        "product",
        "*lists, repeat=1",
        "All combinations of the lists' items",
        product,
    ),
    row("permutations", "r", "All orders of the items", permutations),
    row("combinations", "r", "All choices of items", combinations),
    row(
        "subelements",
        "subelements, skip_missing=false",
        "Pairs of an item and each element of a list in it",
        subelements,
    ),
    native(
        "extract",
        "container, morekeys",
        "The container's item under this key",
        extract,
    ),
    row(
        "batch",
        "linecount, fill_with",
        "The items in lists of that many",
        batch,
    ),
    row(
        "slice",
        "slices, fill_with",
        "The items in that many lists",
        slice,
    ),
];

fn length(call: &Call) -> Result<Native, Error> {
    let count = match call.data()? {
        Value::Str(text) => text.chars().count(),
        Value::List(items) => items.len(),
        Value::Map(map) => map.len(),
        other => return Err(call.fail(format!("object of type '{}' has no len()", other.type_name()))),
    };
    Ok(count.into())
}

fn join(call: &Call) -> Result<Value, Error> {
    let separator = call.string_or("d", "")?;
    let attribute = call.string("attribute")?;
    let mut texts = Vec::new();
    for item in call.list()? {
        texts.push(match &attribute {
            None => item.to_string(),
            Some(path) => required_part(call, &item, path)?.to_string(),
        });
    }
    Ok(texts.join(&separator).into())
}

pub(super) fn required_part<'v>(call: &Call, item: &'v Value, path: &str) -> Result<&'v Value, Error> {
    part(item, path).ok_or_else(|| {
        let message = format!("{} has no attribute '{path}'", described(item));
        EvalError::undefined(Diagnostic::error(call.fail(message).detail().unwrap_or_default())).into()
    })
}

fn first(call: &Call) -> Result<Native, Error> {
    Ok(call
        .list()?
        .first()
        .map_or(Native::UNDEFINED, convert::from_value))
}

fn last(call: &Call) -> Result<Native, Error> {
    Ok(call.list()?.last().map_or(Native::UNDEFINED, convert::from_value))
}

fn list(call: &Call) -> Result<Value, Error> {
    Ok(call.list()?.into())
}

fn sort(call: &Call) -> Result<Value, Error> {
    let sensitive = call.flag("case_sensitive", false);
    let attribute = call.string("attribute")?;
    let mut keyed = Vec::new();
    for item in call.list()? {
        let key = match &attribute {
            None => folded(&item, sensitive),
            Some(paths) => {
                let mut keys = Vec::new();
                for path in paths.split(',') {
                    keys.push(folded(required_part(call, &item, path.trim())?, sensitive));
                }
                Value::List(keys)
            }
        };
        keyed.push((key, item));
    }
    sort_by_key(&mut keyed, call.flag("reverse", false)).map_err(|message| call.fail(message))?;
    Ok(Value::List(keyed.into_iter().map(|(_, item)| item).collect()))
}

fn folded(value: &Value, sensitive: bool) -> Value {
    if sensitive { value.clone() } else { fold(value) }
}

fn unique(call: &Call) -> Result<Value, Error> {
    let sensitive = call.flag("case_sensitive", false);
    let attribute = call.string("attribute")?;
    let mut keys: Vec<Value> = Vec::new();
    let mut items = Vec::new();
    let compared_as_texts = call.argument("case_sensitive").is_some() && !sensitive;
    for item in call.list()? {
        if compared_as_texts && matches!(item, Value::List(_) | Value::Map(_)) {
            return Err(call.fail("lists and dicts are only told apart with their case"));
        }
        let key = match &attribute {
            None => folded(&item, sensitive),
            Some(path) => folded(required_part(call, &item, path)?, sensitive),
        };
        if !keys.iter().any(|seen| equal(seen, &key)) {
            keys.push(key);
            items.push(item);
        }
    }
    Ok(items.into())
}

/// One group: a pair whose halves have names, too.
#[derive(Debug)]
struct Group([Native; 2]);

impl Object for Group {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Native) -> Option<Native> {
        match key.as_str() {
            Some("grouper") => Some(self.0[0].clone()),
            Some("list") => Some(self.0[1].clone()),
            Some(_) => None,
            None => self.0.get(key.as_usize()?).cloned(),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.0.len())
    }
}

fn groupby(call: &Call) -> Result<Native, Error> {
    let path = call.required("attribute")?.to_string();
    let default = call.value("default")?;
    let sensitive = call.flag("case_sensitive", false);
    let mut keyed = Vec::new();
    for item in call.list()? {
        let key = match (part(&item, &path), &default) {
            (Some(key), _) => key.clone(),
            (None, Some(default)) => default.clone(),
            (None, None) => required_part(call, &item, &path)?.clone(),
        };
        keyed.push((folded(&key, sensitive), Value::List(vec![key, item])));
    }
    sort_by_key(&mut keyed, false).map_err(|message| call.fail(message))?;
    let mut groups: Vec<(Value, Value, Vec<Value>)> = Vec::new();
    for (folded, pair) in keyed {
        let Value::List(mut pair) = pair else { continue };
        let (Some(item), Some(key)) = (pair.pop(), pair.pop()) else {
            continue;
        };
        match groups.last_mut() {
            Some((last, _, items)) if equal(last, &folded) => items.push(item),
            _ => groups.push((folded, key, vec![item])),
        }
    }
    Ok(groups
        .into_iter()
        .map(|(_, key, items)| Native::from_object(Group([&key, &items.into()].map(convert::from_value))))
        .collect())
}

fn flatten(call: &Call) -> Result<Value, Error> {
    let levels = call.int("levels")?;
    let mut out = Vec::new();
    flatten_into(&mut out, call.list()?, levels, call.flag("skip_nulls", true));
    Ok(out.into())
}

pub(in crate::template) fn flatten_into(
    out: &mut Vec<Value>,
    items: Vec<Value>,
    levels: Option<i64>,
    skip_nulls: bool,
) {
    for item in items {
        match item {
            Value::Null if skip_nulls => {}
            // Ansible takes these texts for null too.
            Value::Str(text) if skip_nulls && (text == "None" || text == "null") => {}
            Value::List(inner) if levels.is_none_or(|levels| levels >= 1) => {
                flatten_into(out, inner, levels.map(|levels| levels - 1), skip_nulls);
            }
            other => out.push(other),
        }
    }
}

fn reverse(call: &Call) -> Result<Value, Error> {
    if let Value::Str(text) = call.data()? {
        return Ok(text.chars().rev().collect::<String>().into());
    }
    Ok(Value::List(call.list()?.into_iter().rev().collect()))
}

fn all_lists(call: &Call) -> Result<Vec<Vec<Value>>, Error> {
    let mut lists = vec![call.list()?];
    for list in call.rest()? {
        lists.push(call.items_of(list)?);
    }
    Ok(lists)
}

/// The tuples hold the items as they are: what is undefined within one is for whoever uses it.
fn zip(call: &Call) -> Result<Native, Error> {
    let lists = std::iter::once(call.input).chain(&call.positional);
    let lists: Vec<Vec<Native>> = lists
        .map(|list| Ok(list.try_iter()?.collect()))
        .collect::<Result<_, Error>>()?;
    let shortest = lists.iter().map(Vec::len).min().unwrap_or(0);
    if call.flag("strict", false) && lists.iter().any(|list| list.len() != shortest) {
        return Err(call.fail("the lists differ in length"));
    }
    let tuple = |index: usize| -> Native { lists.iter().map(|list| list[index].clone()).collect() };
    Ok((0..shortest).map(tuple).collect())
}

fn zip_longest(call: &Call) -> Result<Value, Error> {
    let lists = all_lists(call)?;
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    let fill = call.value("fillvalue")?.unwrap_or_default();
    Ok(transpose(&lists, longest, &fill))
}

pub(in crate::template) fn transpose(lists: &[Vec<Value>], length: usize, fill: &Value) -> Value {
    let tuple = |index: usize| {
        let items = lists.iter().map(|list| list.get(index).unwrap_or(fill).clone());
        Value::List(items.collect())
    };
    Value::List((0..length).map(tuple).collect())
}

fn product(call: &Call) -> Result<Value, Error> {
    let lists = all_lists(call)?;
    let repeat = call.size("repeat", 1)?;
    let count = lists.len() * repeat;
    let lists: Vec<Vec<Value>> = lists.iter().cycle().take(count).cloned().collect();
    cartesian(&lists).map_err(|message| call.fail(message))
}

pub(in crate::template) fn cartesian(lists: &[Vec<Value>]) -> Result<Value, String> {
    let size = lists
        .iter()
        .try_fold(1_usize, |size, list| size.checked_mul(list.len()));
    if size.is_none_or(|size| size > MAX_ITEMS) {
        return Err(format!("more than {MAX_ITEMS} combinations"));
    }
    let mut tuples: Vec<Vec<Value>> = vec![Vec::new()];
    for list in lists {
        tuples = tuples
            .iter()
            .flat_map(|tuple| {
                list.iter()
                    .map(move |item| [tuple.as_slice(), std::slice::from_ref(item)].concat())
            })
            .collect();
    }
    Ok(tuples.into())
}

fn permutations(call: &Call) -> Result<Value, Error> {
    choose(call, |chosen, index| !chosen.contains(&index))
}

fn combinations(call: &Call) -> Result<Value, Error> {
    choose(call, |chosen, index| {
        chosen.last().is_none_or(|last| index > *last)
    })
}

/// All tuples of `r` items, where `next` says which index may follow those already chosen.
fn choose(call: &Call, next: fn(&[usize], usize) -> bool) -> Result<Value, Error> {
    let items = call.list()?;
    let length = call.size("r", items.len())?;
    let mut tuples: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..length {
        tuples = tuples
            .iter()
            .flat_map(|chosen| {
                (0..items.len())
                    .filter(|index| next(chosen, *index))
                    .map(move |index| [chosen.as_slice(), &[index]].concat())
            })
            .take(MAX_ITEMS + 1)
            .collect();
        if tuples.len() > MAX_ITEMS {
            return Err(call.fail(format!("more than {MAX_ITEMS} tuples")));
        }
    }
    let tuple =
        |chosen: Vec<usize>| Value::List(chosen.into_iter().map(|index| items[index].clone()).collect());
    Ok(Value::List(tuples.into_iter().map(tuple).collect()))
}

fn subelements(call: &Call) -> Result<Value, Error> {
    let items = match call.data()? {
        Value::Map(map) => map.into_values().collect(),
        other => call.items_of(other)?,
    };
    let path: Vec<String> = match call.required("subelements")? {
        Value::List(names) => names.iter().map(ToString::to_string).collect(),
        name => name.to_string().split('.').map(str::to_owned).collect(),
    };
    pairs(&items, &path, call.flag("skip_missing", false)).map_err(|message| call.fail(message))
}

/// Each item with each element of the list at `path` in it.
pub(in crate::template) fn pairs(
    items: &[Value],
    path: &[String],
    skip_missing: bool,
) -> Result<Value, String> {
    let mut out = Vec::new();
    for item in items {
        if !matches!(item, Value::Map(_)) {
            return Err("obj must be a list of dicts or a nested dict".to_owned());
        }
        let found = part(item, &path.join("."));
        match found {
            Some(Value::List(elements)) => {
                out.extend(
                    elements
                        .iter()
                        .map(|element| Value::List(vec![item.clone(), element.clone()])),
                );
            }
            None if skip_missing => {}
            None => {
                return Err(format!(
                    "could not find {:?} key in iterated item {item}",
                    path.join(".")
                ));
            }
            Some(_) => return Err(format!("the key {} should point to a list", path.join("."))),
        }
    }
    Ok(out.into())
}

fn extract(call: &Call) -> Result<Native, Error> {
    let missing = call.fail("argument `container` is missing");
    let mut found = call.argument("container").ok_or(missing)?.get_item(call.input)?;
    match call.argument("morekeys") {
        None => {}
        Some(more) if more.is_none() => {}
        Some(more) if more.kind() == minijinja::value::ValueKind::Seq => {
            for key in more.try_iter()?.checked() {
                found = found.get_item(&key?)?;
            }
        }
        Some(more) => found = found.get_item(more)?,
    }
    Ok(found)
}

fn batch(call: &Call) -> Result<Value, Error> {
    let size = call.size("linecount", 0)?;
    if size == 0 {
        return Err(call.fail("argument `linecount` must be positive"));
    }
    let fill = call.value("fill_with")?;
    let chunk = |items: &[Value]| {
        let mut items = items.to_vec();
        if let Some(fill) = fill.as_ref().filter(|fill| **fill != Value::Null) {
            items.resize(size.min(MAX_ITEMS), fill.clone());
        }
        Value::List(items)
    };
    Ok(Value::List(call.list()?.chunks(size).map(chunk).collect()))
}

fn slice(call: &Call) -> Result<Value, Error> {
    let slices = call.size("slices", 0)?;
    if slices == 0 || slices > MAX_ITEMS {
        return Err(call.fail("argument `slices` must be positive"));
    }
    let fill = call.value("fill_with")?.filter(|fill| *fill != Value::Null);
    let items = call.list()?;
    let (each, extra) = (items.len() / slices, items.len() % slices);
    let mut rest = items.as_slice();
    let mut out = Vec::new();
    for number in 0..slices {
        let (taken, left) = rest.split_at(each + usize::from(number < extra));
        rest = left;
        let mut taken = taken.to_vec();
        if number >= extra && extra > 0 {
            taken.extend(fill.clone());
        }
        out.push(Value::List(taken));
    }
    Ok(out.into())
}

/// A map of two keys, the shape of `dict2items`' items.
pub(super) fn entry(pairs: [(&str, Value); 2]) -> Value {
    let map: Map = pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    map.into()
}

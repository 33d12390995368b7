//! The filters of the collection `community.general` that playbooks use most.

use minijinja::Error;

use super::order::{equal, part};
use super::regexes;
use super::sets::has;
use crate::template::call::{Call, Definition, described, row};
use crate::template::random::Random;
use crate::template::tests::loose_order;
use crate::value::{Map, Value};

pub(super) const FILTERS: &[Definition] = &[
    row(
        "json_query",
        "expr",
        "What a JMESPath expression selects",
        json_query,
    ),
    row(
        "random_mac",
        "seed",
        "A MAC address that starts with a prefix",
        random_mac,
    ),
    row("version_sort", "", "The versions, the lowest first", |call| {
        let mut items = call.list()?;
        items.sort_by(|left, right| loose_order(&left.to_string(), &right.to_string()));
        Ok(items.into())
    }),
    row("counter", "", "How often each item is there", |call| {
        let mut counts = Map::new();
        for item in call.list()? {
            let count = counts.entry(item.to_string()).or_insert(Value::Int(0));
            *count = Value::Int(count.as_int().unwrap_or_default() + 1);
        }
        Ok(counts.into())
    }),
    row(
        "groupby_as_dict",
        "attribute",
        "The dicts by the value of an attribute, which each has for itself",
        groupby_as_dict,
    ),
    row("dict_kv", "key", "A dict of one key with this value", |call| {
        Ok(Map::from([(call.required("key")?.to_string(), call.data()?)]).into())
    }),
    row("dict", "", "A dict of pairs", |call| {
        let mut map = Map::new();
        for pair in call.list()? {
            match call.items_of(pair)?.as_slice() {
                [key, value] => map.insert(key.to_string(), value.clone()),
                _ => return Err(call.fail("it needs pairs of a key and a value")),
            };
        }
        Ok(map.into())
    }),
    row(
        "lists_mergeby",
        "*lists, recursive=false, list_merge='replace'",
        "The dicts of several lists, those with the same key as one",
        lists_mergeby,
    ),
    row(
        "keep_keys",
        "target, matching_parameter='equal'",
        "The dicts with these keys only",
        |call| with_keys(call, true),
    ),
    row(
        "remove_keys",
        "target, matching_parameter='equal'",
        "The dicts without these keys",
        |call| with_keys(call, false),
    ),
    row(
        "replace_keys",
        "target, matching_parameter='equal'",
        "The dicts with other names for keys",
        replace_keys,
    ),
    row(
        "lists_union",
        "*lists, flatten=false",
        "What is in any of the lists",
        |call| {
            let mut found = Vec::new();
            for item in lists(call)?.into_iter().flatten() {
                if !has(&found, &item) {
                    found.push(item);
                }
            }
            Ok(found.into())
        },
    ),
    row(
        "lists_intersect",
        "*lists, flatten=false",
        "What is in all of the lists",
        |call| {
            folded(call, |found, list| {
                found.into_iter().filter(|item| has(list, item)).collect()
            })
        },
    ),
    row(
        "lists_difference",
        "*lists, flatten=false",
        "What is in the first of the lists only",
        |call| {
            folded(call, |found, list| {
                found.into_iter().filter(|item| !has(list, item)).collect()
            })
        },
    ),
    row(
        "lists_symmetric_difference",
        "*lists, flatten=false",
        "What is in one of the lists, and not in the next",
        |call| {
            folded(call, |found, list| {
                let more: Vec<Value> = list.iter().filter(|item| !has(&found, item)).cloned().collect();
                let kept = found.into_iter().filter(|item| !has(list, item));
                kept.chain(more).collect()
            })
        },
    ),
    row(
        "to_time_unit",
        "unit='ms', year=365, month=30",
        "A span of time in a unit",
        |call| {
            let unit = call.string_or("unit", "ms")?;
            in_unit(call, &unit)
        },
    ),
    row(
        "to_milliseconds",
        "year=365, month=30",
        "A span of time in milliseconds",
        |call| in_unit(call, "ms"),
    ),
    row(
        "to_seconds",
        "year=365, month=30",
        "A span of time in seconds",
        |call| in_unit(call, "s"),
    ),
    row(
        "to_minutes",
        "year=365, month=30",
        "A span of time in minutes",
        |call| in_unit(call, "m"),
    ),
    row(
        "to_hours",
        "year=365, month=30",
        "A span of time in hours",
        |call| in_unit(call, "h"),
    ),
    row(
        "to_days",
        "year=365, month=30",
        "A span of time in days",
        |call| in_unit(call, "d"),
    ),
    row(
        "to_weeks",
        "year=365, month=30",
        "A span of time in weeks",
        |call| in_unit(call, "w"),
    ),
    row(
        "to_months",
        "year=365, month=30",
        "A span of time in months",
        |call| in_unit(call, "mo"),
    ),
    row(
        "to_years",
        "year=365, month=30",
        "A span of time in years",
        |call| in_unit(call, "y"),
    ),
];

fn json_query(call: &Call) -> Result<Value, Error> {
    let expression = call.required("expr")?.to_string();
    let failed = |error: &dyn std::fmt::Display| {
        call.fail(format!("JMESPathError in json_query filter plugin: {error}"))
    };
    let compiled = jmespath::compile(&expression).map_err(|error| failed(&error))?;
    let found = compiled.search(&call.data()?).map_err(|error| failed(&error))?;
    Value::from_serialize(&*found)
        .map_err(|error| failed(&error))
        .map(whole_numbers)
}

/// JMESPath knows numbers of one kind only: those without a fraction are integers again.
fn whole_numbers(value: Value) -> Value {
    match value {
        #[expect(clippy::cast_possible_truncation, reason = "it has no fraction, and is small")]
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => Value::Int(number as i64),
        Value::List(items) => Value::List(items.into_iter().map(whole_numbers).collect()),
        Value::Map(map) => Value::Map(
            map.into_iter()
                .map(|(key, item)| (key, whole_numbers(item)))
                .collect(),
        ),
        other => other,
    }
}

fn random_mac(call: &Call) -> Result<Value, Error> {
    let prefix = call.text()?.to_lowercase();
    let prefix = prefix.trim_matches(':');
    let parts: Vec<&str> = prefix.split(':').collect();
    let valid =
        |part: &&str| (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    if parts.len() > 5 || !parts.iter().all(valid) {
        return Err(call.fail(format!(
            "invalid prefix `{prefix}`: 1 to 5 hexadecimal bytes with colons between"
        )));
    }
    let mut random = match call.string("seed")? {
        Some(seed) => Random::seeded(&seed),
        None => Random::new(),
    };
    // Ansible draws one number between 68719476736 and 1099511627775, and writes its ten digits.
    let drawn = 68_719_476_736 + random.below(1_099_511_627_775 - 68_719_476_736 + 1);
    let digits = format!("{drawn:x}");
    let mut mac = parts.join(":");
    for pair in digits.as_bytes().chunks(2).take(6 - parts.len()) {
        mac.push(':');
        mac.extend(pair.iter().map(|byte| char::from(*byte)));
    }
    Ok(mac.into())
}

fn groupby_as_dict(call: &Call) -> Result<Value, Error> {
    let attribute = call.required("attribute")?.to_string();
    let mut groups = Map::new();
    for item in call.list()? {
        let key = part(&item, &attribute)
            .ok_or_else(|| call.fail(format!("attribute `{attribute}` is missing in {item}")))?
            .to_string();
        if groups.insert(key.clone(), item).is_some() {
            return Err(call.fail(format!("more than one item has the {attribute} `{key}`")));
        }
    }
    Ok(groups.into())
}

fn lists_mergeby(call: &Call) -> Result<Value, Error> {
    let mut terms = call.rest()?;
    let index = terms
        .pop()
        .ok_or_else(|| call.fail("it needs the name of a key as its last argument"))?
        .to_string();
    let merge = super::maps::Merge::of(call)?;
    let mut lists = call.list()?;
    // Either one list of lists, or a list and more of them.
    if !lists.is_empty() && lists.iter().all(|item| matches!(item, Value::List(_))) {
        lists = lists.into_iter().flat_map(items).collect();
    }
    let mut merged: Vec<Map> = Vec::new();
    for item in lists.into_iter().chain(terms.into_iter().flat_map(items)) {
        let Value::Map(item) = item else {
            return Err(call.fail(format!("it needs dicts, and got {}", described(&item))));
        };
        let known = item.get(&index).and_then(|key| {
            merged
                .iter_mut()
                .find(|one| one.get(&index).is_some_and(|other| equal(other, key)))
        });
        match known {
            Some(known) => merge.merge(known, item),
            None if item.contains_key(&index) => merged.push(item),
            None => {}
        }
    }
    merged.sort_by(|left, right| left[&index].to_string().cmp(&right[&index].to_string()));
    Ok(merged.into_iter().map(Value::Map).collect::<Vec<_>>().into())
}

fn items(value: Value) -> Vec<Value> {
    match value {
        Value::List(items) => items,
        other => vec![other],
    }
}

/// Whether a key is meant.
fn matcher(call: &Call, target: &Value) -> Result<impl Fn(&str) -> bool + use<>, Error> {
    let names: Vec<String> = items(target.clone()).iter().map(ToString::to_string).collect();
    let kind = call.string_or("matching_parameter", "equal")?;
    let patterns = if kind == "regex" {
        let compiled: Result<Vec<_>, String> = names.iter().map(|name| regexes::compile(name)).collect();
        compiled.map_err(|message| call.fail(message))?
    } else {
        Vec::new()
    };
    if !["equal", "starts_with", "ends_with", "regex"].contains(&kind.as_str()) {
        return Err(call.fail(format!("there is no way `{kind}` of matching")));
    }
    Ok(move |key: &str| match kind.as_str() {
        "starts_with" => names.iter().any(|name| key.starts_with(name)),
        "ends_with" => names.iter().any(|name| key.ends_with(name)),
        "regex" => patterns
            .iter()
            .any(|pattern| pattern.find_at(key, 0).is_some_and(|found| found.start == 0)),
        _ => names.iter().any(|name| name == key),
    })
}

fn dicts(call: &Call, run: impl Fn(Map) -> Map) -> Result<Value, Error> {
    let mut found = Vec::new();
    for item in call.list()? {
        match item {
            Value::Map(map) => found.push(Value::Map(run(map))),
            other => return Err(call.fail(format!("it needs dicts, and got {}", described(&other)))),
        }
    }
    Ok(found.into())
}

fn with_keys(call: &Call, keep: bool) -> Result<Value, Error> {
    let matches = matcher(call, &call.required("target")?)?;
    dicts(call, |map| {
        map.into_iter().filter(|(key, _)| matches(key) == keep).collect()
    })
}

fn replace_keys(call: &Call) -> Result<Value, Error> {
    let mut names = Vec::new();
    for target in call.items_of(call.required("target")?)? {
        let (Some(before), Some(after)) = (target.get("before"), target.get("after")) else {
            return Err(call.fail("each target needs `before` and `after`"));
        };
        names.push((matcher(call, before)?, after.to_string()));
    }
    dicts(call, |map| {
        map.into_iter()
            .map(
                |(key, value)| match names.iter().find(|(matches, _)| matches(&key)) {
                    Some((_, after)) => (after.clone(), value),
                    None => (key, value),
                },
            )
            .collect()
    })
}

/// The input and the arguments, each a list; `flatten`: the input holds them all.
fn lists(call: &Call) -> Result<Vec<Vec<Value>>, Error> {
    let mut lists = Vec::new();
    let first = call.list()?;
    if call.flag("flatten", false) {
        lists.extend(first.into_iter().map(items));
    } else {
        lists.push(first);
    }
    for list in call.rest()? {
        lists.push(call.items_of(list)?);
    }
    Ok(lists)
}

fn folded(call: &Call, step: fn(Vec<Value>, &[Value]) -> Vec<Value>) -> Result<Value, Error> {
    let mut lists = lists(call)?.into_iter();
    let mut found = Vec::new();
    for item in lists.next().unwrap_or_default() {
        if !has(&found, &item) {
            found.push(item);
        }
    }
    Ok(lists.fold(found, |found, list| step(found, &list)).into())
}

/// The units by their names, in milliseconds; years and months are as long as the caller says.
fn milliseconds(call: &Call, unit: &str) -> Result<f64, Error> {
    const DAY: f64 = 86_400_000.0;
    let days = |name: &str, usual: f64| -> Result<f64, Error> {
        Ok(call
            .value(name)?
            .as_ref()
            .and_then(super::order::number)
            .unwrap_or(usual)
            * DAY)
    };
    Ok(match unit.to_lowercase().trim_end_matches('s') {
        "m" if unit.eq_ignore_ascii_case("ms") => 1.0,
        "msec" | "millisecond" => 1.0,
        "" | "sec" | "second" => 1000.0,
        "m" | "min" | "minute" => 60_000.0,
        "h" | "hour" => 3_600_000.0,
        "d" | "day" => DAY,
        "w" | "week" => 7.0 * DAY,
        "mo" | "month" => days("month", 30.0)?,
        "y" | "year" => days("year", 365.0)?,
        _ => return Err(call.fail(format!("there is no unit `{unit}`"))),
    })
}

/// `1h 30m` in a unit.
fn in_unit(call: &Call, unit: &str) -> Result<Value, Error> {
    let text = call.text()?;
    let mut sum = 0.0;
    for word in text.split_whitespace() {
        let end = word.find(|c: char| c.is_alphabetic()).unwrap_or(word.len());
        let (number, given) = word.split_at(end);
        let number: f64 = number.parse().map_err(|_| {
            call.fail(format!(
                "to_time_unit() can not interpret following string: {text}"
            ))
        })?;
        let given = if given.is_empty() { "ms" } else { given };
        sum += number * milliseconds(call, given)?;
    }
    // As many digits as Ansible keeps.
    Ok(((sum / milliseconds(call, unit)? * 1e12).round() / 1e12).into())
}

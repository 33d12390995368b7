//! Lists and dicts that a template may change: `{% set r = [] %}{% set _ = r.append(1) %}`. The engine's own
//! values never change.
//!
//! Only templates that call a method which changes something get them (see [`super::rewrite`]); all others pay
//! nothing. What such a template is given, it changes in a copy.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;
use minijinja::value::{Enumerator, Kwargs, Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

/// The calls that change a list or a dict.
pub(super) const MUTATORS: &[&str] = &[
    ".append(",
    ".extend(",
    ".insert(",
    ".pop(",
    ".popitem(",
    ".remove(",
    ".clear(",
    ".sort(",
    ".reverse(",
    ".update(",
    ".setdefault(",
];

/// A list or dict as one that can be changed, what is in it too; anything else as it is.
pub(super) fn own(value: &Value) -> Value {
    if value.downcast_object_ref::<List>().is_some() || value.downcast_object_ref::<Dict>().is_some() {
        return value.clone();
    }
    match value.kind() {
        ValueKind::Seq if !value.is_tuple() => match value.try_iter() {
            Ok(items) => Value::from_object(List(Mutex::new(items.map(|item| own(&item)).collect()))),
            Err(_) => value.clone(),
        },
        ValueKind::Map if !value.is_kwargs() => match pairs(value) {
            Ok(pairs) => Value::from_object(Dict(Mutex::new(
                pairs.into_iter().map(|(key, item)| (key, own(&item))).collect(),
            ))),
            Err(_) => value.clone(),
        },
        _ => value.clone(),
    }
}

fn pairs(map: &Value) -> Result<Vec<(Value, Value)>, Error> {
    map.try_iter()?
        .map(|key| map.get_item(&key).map(|item| (key, item)))
        .collect()
}

#[derive(Debug)]
struct List(Mutex<Vec<Value>>);

#[derive(Debug)]
struct Dict(Mutex<IndexMap<Value, Value>>);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(message: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.to_owned())
}

fn needed<'a>(arguments: &'a [Value], index: usize, method: &str) -> Result<&'a Value, Error> {
    arguments
        .get(index)
        .ok_or_else(|| failed(&format!("{method}() needs {} or more arguments", index + 1)))
}

/// Python's index, from the end where it is negative; what is beyond an end is at the end.
fn position(index: i64, length: usize) -> usize {
    let distance = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
    if index < 0 {
        length.saturating_sub(distance)
    } else {
        distance.min(length)
    }
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let items = locked(&self.0);
        let index = key.as_i64()?;
        let at = if index < 0 {
            items.len().checked_add_signed(isize::try_from(index).ok()?)?
        } else {
            usize::try_from(index).ok()?
        };
        items.get(at).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(locked(&self.0).clone())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(locked(&self.0).len())
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State,
        method: &str,
        arguments: &[Value],
    ) -> Result<Value, Error> {
        let argument = |index| needed(arguments, index, method);
        match method {
            "append" => locked(&self.0).push(own(argument(0)?)),
            "extend" => {
                let more: Vec<Value> = argument(0)?.try_iter()?.map(|item| own(&item)).collect();
                locked(&self.0).extend(more);
            }
            "insert" => {
                let index = argument(0)?
                    .as_i64()
                    .ok_or_else(|| failed("insert() needs an index"))?;
                let item = own(argument(1)?);
                let mut items = locked(&self.0);
                let at = position(index, items.len());
                items.insert(at, item);
            }
            "pop" => {
                let index = arguments.first().and_then(Value::as_i64).unwrap_or(-1);
                let mut items = locked(&self.0);
                let at = position(index, items.len());
                if at >= items.len() {
                    return Err(failed("pop index out of range"));
                }
                return Ok(items.remove(at));
            }
            "remove" => {
                let wanted = argument(0)?;
                let mut items = locked(&self.0);
                let at = items.iter().position(|item| item == wanted);
                items.remove(at.ok_or_else(|| failed("list.remove(x): x not in list"))?);
            }
            "clear" => locked(&self.0).clear(),
            "reverse" => locked(&self.0).reverse(),
            "sort" => {
                let items = Value::from(locked(&self.0).clone());
                let named = arguments
                    .first()
                    .cloned()
                    .unwrap_or_else(|| Value::from(Kwargs::from_iter(std::iter::empty::<(&str, Value)>())));
                let case = Value::from(Kwargs::from_iter([("case_sensitive", Value::from(true))]));
                let mut sorted: Vec<Value> =
                    state.apply_filter("sort", &[items, case])?.try_iter()?.collect();
                if named.get_attr("reverse").is_ok_and(|reverse| reverse.is_true()) {
                    sorted.reverse();
                }
                *locked(&self.0) = sorted;
            }
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        }
        Ok(Value::from(()))
    }
}

impl Object for Dict {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        locked(&self.0).get(key).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(locked(&self.0).keys().cloned().collect())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(locked(&self.0).len())
    }

    fn call_method(
        self: &Arc<Self>,
        _state: &mut State,
        method: &str,
        arguments: &[Value],
    ) -> Result<Value, Error> {
        match method {
            "update" => {
                for argument in arguments {
                    let more = if argument.kind() == ValueKind::Map {
                        pairs(argument)?
                    } else {
                        argument
                            .try_iter()?
                            .map(|pair| Ok((pair.get_item_by_index(0)?, pair.get_item_by_index(1)?)))
                            .collect::<Result<_, Error>>()?
                    };
                    locked(&self.0).extend(more.into_iter().map(|(key, item)| (key, own(&item))));
                }
                Ok(Value::from(()))
            }
            "setdefault" => {
                let default = arguments.get(1).map_or_else(|| Value::from(()), own);
                let key = needed(arguments, 0, method)?.clone();
                Ok(locked(&self.0).entry(key).or_insert(default).clone())
            }
            "pop" => {
                let key = needed(arguments, 0, method)?;
                locked(&self.0)
                    .shift_remove(key)
                    .or_else(|| arguments.get(1).cloned())
                    .ok_or_else(|| failed(&format!("there is no key {key}")))
            }
            "popitem" => locked(&self.0)
                .pop()
                .map(|(key, item)| Value::from(vec![key, item]))
                .ok_or_else(|| failed("popitem(): dictionary is empty")),
            "clear" => {
                locked(&self.0).clear();
                Ok(Value::from(()))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

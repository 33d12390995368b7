//! Python's equality and order of values: numbers compare across their types, lists item by item.

use std::cmp::Ordering;

use crate::value::Value;

#[expect(
    clippy::cast_precision_loss,
    reason = "Python compares such numbers as floats too, near enough"
)]
pub(in crate::template) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

pub(in crate::template) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => left == right,
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Map(left), Value::Map(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, item)| right.get(key).is_some_and(|other| equal(item, other)))
        }
        _ => match (number(left), number(right)) {
            (Some(left), Some(right)) => left.total_cmp(&right).is_eq() || (left == 0.0 && right == 0.0),
            _ => left == right,
        },
    }
}

/// # Errors
/// A message for types that have no order between them.
pub(in crate::template) fn compare(left: &Value, right: &Value) -> Result<Ordering, String> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Ok(left.cmp(right)),
        (Value::Str(left), Value::Str(right)) => Ok(left.cmp(right)),
        (Value::List(left), Value::List(right)) => {
            for (left, right) in left.iter().zip(right) {
                if !equal(left, right) {
                    return compare(left, right);
                }
            }
            Ok(left.len().cmp(&right.len()))
        }
        _ => match (number(left), number(right)) {
            (Some(left), Some(right)) => Ok(left.partial_cmp(&right).unwrap_or(Ordering::Equal)),
            _ => Err(format!(
                "'<' not supported between instances of '{}' and '{}'",
                left.type_name(),
                right.type_name()
            )),
        },
    }
}

/// A stable sort that stops at the first pair without an order. `key` is what is compared.
pub(in crate::template) fn sort_by_key(items: &mut [(Value, Value)], reverse: bool) -> Result<(), String> {
    let mut failure = None;
    items.sort_by(|(left, _), (right, _)| match compare(left, right) {
        Ok(order) if reverse => order.reverse(),
        Ok(order) => order,
        Err(message) => {
            failure.get_or_insert(message);
            Ordering::Equal
        }
    });
    failure.map_or(Ok(()), Err)
}

/// Texts in lower case, everything else as it is: how Jinja compares unless told otherwise.
pub(in crate::template) fn fold(value: &Value) -> Value {
    match value {
        Value::Str(text) => Value::from(text.to_lowercase()),
        other => other.clone(),
    }
}

/// `a.b.0` of a value; none where there is no such part.
pub(in crate::template) fn part<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, name| match value {
        Value::Map(map) => map.get(name),
        Value::List(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    })
}

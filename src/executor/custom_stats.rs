//! What `set_stats` sets: values of the run or of hosts, which add up.

use crate::output::Summary;
use crate::value::{Map, Value};

/// Sets values of a host, or of the run; with `aggregate` they are added to those that are there.
pub fn set(summary: &mut Summary, host: Option<&str>, data: &Map, aggregate: bool) {
    let stats = summary.custom.entry(host.map(str::to_owned)).or_default();
    for (name, value) in data {
        match stats.get_mut(name) {
            Some(present) if aggregate => add(present, value),
            _ => {
                stats.insert(name.clone(), value.clone());
            }
        }
    }
}

/// Numbers are added, texts and lists put together, maps merged; what is of another kind is left out.
fn add(present: &mut Value, more: &Value) {
    match (present, more) {
        (Value::Int(sum), Value::Int(more)) => *sum = sum.saturating_add(*more),
        (Value::Float(sum), Value::Float(more)) => *sum += more,
        (Value::Str(text), Value::Str(more)) => text.push_str(more),
        (Value::List(items), Value::List(more)) => items.extend(more.iter().cloned()),
        (Value::Map(map), Value::Map(more)) => {
            map.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_add_up() {
        let mut summary = Summary::default();
        let data = |json: &str| serde_json::from_str::<Map>(json).unwrap();
        let first = data(r#"{"n":10,"s":"a","l":[1],"m":{"x":1},"odd":1}"#);
        let second = data(r#"{"n":15,"s":"b","l":[2],"m":{"y":2},"odd":"x"}"#);
        set(&mut summary, None, &first, true);
        set(&mut summary, None, &second, true);
        set(&mut summary, Some("web"), &first, true);
        set(&mut summary, Some("web"), &data(r#"{"n":3}"#), false);
        let custom =
            |host: Option<&str>| Value::Map(summary.custom[&host.map(str::to_owned)].clone()).to_string();
        assert_eq!(
            custom(None),
            "{'n': 25, 's': 'ab', 'l': [1, 2], 'm': {'x': 1, 'y': 2}, 'odd': 1}"
        );
        assert_eq!(
            custom(Some("web")),
            "{'n': 3, 's': 'a', 'l': [1], 'm': {'x': 1}, 'odd': 1}"
        );
    }
}

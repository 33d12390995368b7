//! Filters as playbooks write them: a value or a list for each name; labels as a text, a list or a dict.

use super::engine::Filters;
use crate::modules::Error;
use crate::value::{Map, Value};

pub fn filters(argument: &str, given: Option<&Map>) -> Result<Filters, Error> {
    let mut filters = Filters::new();
    for (name, value) in given.into_iter().flatten() {
        let values = match value {
            Value::Null => continue,
            Value::List(list) => list.iter().map(Value::to_string).collect(),
            Value::Map(map) if name.trim_end_matches('!') == "label" => {
                let labels = map.iter();
                labels
                    .map(|(key, value)| match value {
                        Value::Null => key.clone(),
                        value => format!("{key}={value}"),
                    })
                    .collect()
            }
            Value::Map(_) => {
                return Err(Error::new(format!(
                    "{argument}: the value of {name} is a text or a list of texts"
                )));
            }
            Value::Bool(flag) => vec![flag.to_string()],
            other => vec![other.to_string()],
        };
        filters.insert(name.clone(), values);
    }
    Ok(filters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings() {
        let given: Map = serde_json::from_str(
            r#"{"dangling":true,"label":{"a":"b","c":null},"until":"24h","name":["x","y"]}"#,
        )
        .unwrap();
        let filters = filters("images_filters", Some(&given)).unwrap();
        assert_eq!(filters["dangling"], ["true"]);
        assert_eq!(filters["label"], ["a=b", "c"]);
        assert_eq!((filters["until"].len(), filters["name"].len()), (1, 2));
        let wrong: Map = serde_json::from_str(r#"{"until":{"a":"b"}}"#).unwrap();
        assert!(super::filters("x", Some(&wrong)).is_err());
    }
}

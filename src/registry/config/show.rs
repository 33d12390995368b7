//! `config show`: the configuration in force as YAML, every key spelled out; reads back as the same.

use serde_yaml::{Mapping, Value};

use super::key::Shown;
use super::path::is_wild;
use super::{Config, keys};

pub fn show(config: &Config) -> String {
    let mut root = Value::Mapping(Mapping::new());
    for key in keys() {
        for (at, shown) in key.shown(config) {
            let mut at = at.into_iter();
            let path: Vec<(&str, String)> = key
                .path
                .split('.')
                .map(|word| {
                    let real = if is_wild(word) { at.next() } else { None };
                    (word, real.unwrap_or_else(|| word.to_owned()))
                })
                .collect();
            insert(&mut root, &path, value(shown));
        }
    }
    serde_yaml::to_string(&root).expect("texts in maps and lists can be written")
}

fn insert(node: &mut Value, path: &[(&str, String)], leaf: Value) {
    let Some(((pattern, word), rest)) = path.split_first() else {
        *node = leaf;
        return;
    };
    let child = if *pattern == "[]" {
        if !node.is_sequence() {
            *node = Value::Sequence(Vec::new());
        }
        let list = node.as_sequence_mut().expect("made above");
        let index = word.parse().unwrap_or(list.len());
        while list.len() <= index {
            list.push(Value::Mapping(Mapping::new()));
        }
        &mut list[index]
    } else {
        if !node.is_mapping() {
            *node = Value::Mapping(Mapping::new());
        }
        let map = node.as_mapping_mut().expect("made above");
        map.entry(Value::String(word.clone())).or_insert(Value::Null)
    };
    insert(child, rest, leaf);
}

fn value(shown: Shown) -> Value {
    match shown {
        Shown::One(text) => scalar(text),
        Shown::Many(texts) => texts.into_iter().map(scalar).collect(),
    }
}

/// Numbers and truth values come as texts, and are written as what they are where that says the same.
fn scalar(text: String) -> Value {
    match serde_yaml::from_str(&text) {
        Ok(Value::Bool(flag)) if flag.to_string() == text => Value::Bool(flag),
        Ok(Value::Number(number)) if number.to_string() == text => Value::Number(number),
        _ => Value::String(text),
    }
}

//! What is wanted beside what there is, as results and diffs tell it.

use serde_json::{Map as JsonMap, Value as Json};

use crate::wire::message::Diff;

/// One thing that differs: an argument's name, what the task wants, what there is.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    pub name: String,
    pub wanted: Json,
    pub found: Json,
    /// It can be set on the container as it is.
    pub limit: bool,
}

impl Difference {
    pub fn new(name: &str, wanted: impl Into<Json>, found: impl Into<Json>) -> Self {
        Self {
            name: name.to_owned(),
            wanted: wanted.into(),
            found: found.into(),
            limit: false,
        }
    }
}

/// Equal, or both nothing in one of docker's ways of saying so.
pub fn same(wanted: &Json, found: &Json) -> bool {
    wanted == found || (nothing(wanted) && nothing(found))
}

pub fn nothing(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Bool(flag) => !flag,
        Json::String(text) => text.is_empty() || text == "no",
        Json::Array(list) => list.is_empty(),
        Json::Object(map) => map.is_empty(),
        Json::Number(number) => number.as_i64() == Some(0),
    }
}

/// The two sides, by the arguments' names.
pub fn diff(differences: &[Difference]) -> Diff {
    let side = |pick: fn(&Difference) -> &Json| {
        let map: JsonMap<String, Json> = differences
            .iter()
            .map(|difference| (difference.name.clone(), pick(difference).clone()))
            .collect();
        serde_json::to_string_pretty(&map).unwrap_or_default() + "\n"
    };
    Diff {
        before: side(|difference| &difference.found),
        after: side(|difference| &difference.wanted),
        ..Diff::default()
    }
}

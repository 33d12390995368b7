//! Data-driven tests: `TEMPLATE => JSON` lines, as measured with ansible-core 2.19.

use std::sync::Arc;

use super::order::equal;
use crate::source::{Source, Span};
use crate::template::{Names, Scope, SearchPath, evaluate};
use crate::value::Value;
use crate::yaml::Node;

const VARIABLES: &str = r#"
d: {b: 2, a: 1}
l: [3, 1, 2]
s: "Hello World"
users: [{name: bob, age: 3, g: x}, {name: al, age: 5, g: y}, {name: cy, age: 5, g: x}]
n: null
t: true
words: [foo, Bar, baz]
"#;

pub(in crate::template) fn scope() -> Arc<Scope> {
    let root = crate::yaml::load(&Source::new("vars.yml", VARIABLES))
        .unwrap()
        .root;
    let names: Names = root
        .as_map()
        .unwrap()
        .iter()
        .map(|(name, entry)| (name.clone(), entry.value.clone().into()))
        .collect();
    Scope::new(vec![Arc::new(names)], SearchPath::default())
}

/// What the template comes to, or the error's message.
pub(in crate::template) fn run(text: &str) -> Result<Value, String> {
    let source = Source::new("t.yml", text);
    evaluate(&Node::text(text, &Span::whole(&source)), &scope()).map_err(|error| error.diagnostic.message)
}

/// Runs all lines and shows all that differ.
fn measured(lines: &str) {
    let differing: Vec<String> = lines
        .lines()
        .filter_map(|line| {
            let (template, expected) = line.rsplit_once(" => ").unwrap();
            let wanted: Value = serde_json::from_str(expected).unwrap();
            let found = run(template);
            let same = matches!(&found, Ok(found) if equal(found, &wanted) && found.type_name() == wanted.type_name());
            (!same).then(|| format!("{template}\n  want {expected}\n  got  {found:?}"))
        })
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn language() {
    measured(include_str!("../measured/language.txt"));
}

#[test]
fn filters() {
    measured(include_str!("../measured/filters.txt"));
}

#[test]
fn tests_and_lookups() {
    measured(include_str!("../measured/tests_and_lookups.txt"));
}

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

/// Runs all lines of a file of `measured/` and shows all that differ. `=> !TEXT` is a failure whose message
/// has this text in it.
fn differing(lines: &str) -> Vec<String> {
    lines
        .lines()
        .filter_map(|line| {
            let (template, expected) = line.rsplit_once(" => ").unwrap();
            let found = run(template);
            let same = match (expected.strip_prefix('!'), &found) {
                (Some(wanted), Err(message)) => message.contains(wanted),
                (None, Ok(found)) => {
                    let wanted: Value = serde_json::from_str(expected).unwrap();
                    equal(found, &wanted) && found.type_name() == wanted.type_name()
                }
                _ => false,
            };
            (!same).then(|| format!("{template}\n  want {expected}\n  got  {found:?}"))
        })
        .collect()
}

#[test]
fn answers_as_measured() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/template/measured");
    let mut failed = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let found = differing(&std::fs::read_to_string(&path).unwrap());
        failed.extend(
            found
                .into_iter()
                .map(|line| format!("{}: {line}", path.display())),
        );
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn failures_say_what_and_why() {
    for (template, message) in [
        ("{{ nowhere | to_json }}", "'nowhere' is undefined"),
        ("{{ 'a' ~ nowhere }}", "nowhere"),
        ("{{ nowhere % 2 }}", "nowhere"),
        ("{{ nowhere | mandatory }}", "Mandatory variable not defined."),
        ("{{ nowhere | mandatory('set it') }}", "set it"),
        ("{{ nowhere is match('x') }}", "'nowhere' is undefined"),
        ("{{ undef('set x first') }}", "set x first"),
        (
            "{{ '{' | from_json }}",
            "'ansible.builtin.from_json' failed: this is not JSON",
        ),
        ("{{ s | combine(d) }}", "expected dicts but got str (Hello World)"),
        ("{{ s | b64encode(nope=1) }}", "there is no argument `nope`"),
        ("{{ s is failed }}", "it needs a task's result"),
        (
            "{{ lookup('vars', 'usres') }}",
            "No variable named 'usres' was found.",
        ),
        (
            "{{ lookup('nosuch') }}",
            "The lookup plugin 'nosuch' was not found.",
        ),
        (
            "{{ lookup('file', '/nowhere/x') }}",
            "Unable to access the file '/nowhere/x'",
        ),
        (
            "{{ 'x' | regex_replace('(', '') }}",
            "is not a valid regular expression",
        ),
        ("{{ users | sum(attribute='zz') }}", "has no attribute 'zz'"),
    ] {
        let found = run(template).unwrap_err();
        assert!(found.contains(message), "{template}: {found}");
    }
}

#[test]
fn what_hangs_from_missing_parts_is_forgiven() {
    assert_eq!(run("{{ [] | first | default('z') }}").unwrap(), Value::from("z"));
    assert_eq!(
        run("{{ (users | first).nope | default(1) }}").unwrap(),
        Value::from(1)
    );
}

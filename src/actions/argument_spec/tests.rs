//! The messages are those that ansible-core 2.19 gives.

use super::validate;
use crate::source::Source;
use crate::value::{Map, Value};

fn map(text: &str) -> Map {
    match crate::yaml::load(&Source::new("t.yml", text))
        .unwrap()
        .root
        .to_value()
    {
        Value::Map(map) => map,
        _ => Map::new(),
    }
}

#[track_caller]
fn check(spec: &str, given: &str, expected: &[&str]) {
    assert_eq!(validate(&map(spec), map(given)), expected, "{spec} on {given}");
}

#[test]
fn required_and_unknown() {
    let spec = "{a: {type: str, required: true}, b: {type: int, required: true}, c: {aliases: [see]}}";
    check(spec, "{a: x, b: 1, see: y}", &[]);
    check(spec, "{}", &["missing required arguments: a, b"]);
    check(
        spec,
        "{a: x, b: 1, d: 1}",
        &["d. Supported parameters include: a, b, c (see)."],
    );
    check(
        "{a: {required: true, default: 1}}",
        "{a: 1}",
        &["internal error: required and default are mutually exclusive for a"],
    );
}

#[test]
fn types() {
    check("{a: {type: int}}", "{a: '12'}", &[]);
    check("{a: {type: int}}", "{a: null}", &[]);
    check(
        "{a: {type: int, required: true}}",
        "{a: null}",
        &[
            "argument 'a' is of type NoneType and we were unable to convert to int: \"None\" cannot be converted to an int",
        ],
    );
    check(
        "{a: {type: int}}",
        "{a: 1.5}",
        &[
            "argument 'a' is of type float and we were unable to convert to int: \"1.5\" cannot be converted to an int",
        ],
    );
    check(
        "{a: {type: list, required: true}}",
        "{a: null}",
        &[
            "argument 'a' is of type NoneType and we were unable to convert to list: <class 'NoneType'> cannot be converted to a list",
        ],
    );
    check("{a: {type: list, elements: int}}", "{a: ['1', 2]}", &[]);
    check(
        "{a: {type: list, elements: int}}",
        "{a: ['x']}",
        &[
            "Elements value for option 'a' is of type str and we were unable to convert to int: \"'x'\" cannot be converted to an int",
        ],
    );
    check("{a: {type: dict}}", "{a: 'x=1, y=2'}", &[]);
    check("{a: {type: bytes}, b: {type: bits}}", "{a: 1.5K, b: 2Mb}", &[]);
    check(
        "{a: {type: bytes}}",
        "{a: 1Q}",
        &[
            "argument 'a' is of type str and we were unable to convert to bytes: <class 'str'> cannot be converted to a Byte value",
        ],
    );
}

#[test]
fn choices() {
    let spec = "{a: {choices: [x, 'yes']}}";
    check(spec, "{a: x}", &[]);
    check(spec, "{a: true}", &[]);
    check(spec, "{a: z}", &["value of a must be one of: x, yes, got: z"]);
    check(
        "{a: {type: list, choices: [x, y]}}",
        "{a: [x, z, w]}",
        &["value of a must be one or more of: x, y. Got no match for: z, w"],
    );
}

#[test]
fn options_of_options() {
    let spec = "
a:
  type: dict
  options:
    b: {type: int, required: true}
    c: {type: list, elements: dict, options: {d: {type: bool}}}
";
    check(spec, "{a: {b: 1, c: [{d: yes}]}}", &[]);
    check(spec, "{a: {}}", &["missing required arguments: b found in a"]);
    check(
        spec,
        "{a: {b: 1, c: [{e: 1}]}}",
        &["a.c.e. Supported parameters include: d."],
    );
    check(
        spec,
        "{a: {b: x}}",
        &[
            "argument 'b' is of type str found in 'a'. and we were unable to convert to int: \"'x'\" cannot be converted to an int",
        ],
    );
    check(
        spec,
        "{a: text}",
        &[
            "argument 'a' is of type str and we were unable to convert to dict: dictionary requested, could not parse JSON or key=value",
            "value of 'a' must be of type dict or list of dicts",
        ],
    );
}

#[test]
fn rules_between_options() {
    let with = |rule: &str| format!("{{o: {{type: dict, options: {{a: {{}}, b: {{}}, c: {{}}}}, {rule}}}}}");
    check(
        &with("mutually_exclusive: [[a, b]]"),
        "{o: {a: 1, b: 1}}",
        &["parameters are mutually exclusive: a|b found in o"],
    );
    check(
        &with("required_together: [[a, b]]"),
        "{o: {a: 1}}",
        &["parameters are required together: a, b found in o"],
    );
    check(
        &with("required_one_of: [[a, b]]"),
        "{o: {c: 1}}",
        &["one of the following is required: a, b found in o"],
    );
    check(
        &with("required_if: [[a, '1', [b, c]]]"),
        "{o: {a: 1, b: 1}}",
        &["a is 1 but all of the following are missing: c found in o"],
    );
    check(
        &with("required_if: [[a, '1', [b, c], true]]"),
        "{o: {a: 1, b: 1}}",
        &[],
    );
    check(
        &with("required_by: {a: [b]}"),
        "{o: {a: 1}}",
        &["missing parameter(s) required by 'a': b found in o"],
    );
}

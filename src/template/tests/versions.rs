//! `is version(...)`: loose (Python's `LooseVersion`), strict (`StrictVersion`), semver 2.0 and a plain
//! reading of PEP 440.

use std::cmp::Ordering;

use minijinja::Error;

use crate::template::call::{Call, Definition, row};
use crate::value::Value;

pub(super) const TESTS: &[Definition] = &[
    row(
        "version",
        PARAMETERS,
        "Whether the version stands in this relation to another",
        version,
    ),
    row(
        "version_compare",
        PARAMETERS,
        "Whether the version stands in this relation to another",
        version,
    ),
];

const PARAMETERS: &str = "version, operator='eq', strict, version_type";

type Holds = fn(Ordering) -> bool;

const OPERATORS: &[(&[&str], Holds)] = &[
    (&["==", "=", "eq"], Ordering::is_eq),
    (&["!=", "<>", "ne"], Ordering::is_ne),
    (&["<", "lt"], Ordering::is_lt),
    (&["<=", "le"], Ordering::is_le),
    (&[">", "gt"], Ordering::is_gt),
    (&[">=", "ge"], Ordering::is_ge),
];

type Order = fn(&str, &str) -> Option<Ordering>;

const KINDS: &[(&str, Order)] = &[
    ("loose", loose),
    ("strict", strict),
    ("semver", semver),
    ("semantic", semver),
    ("pep440", pep440),
];

fn version(call: &Call) -> Result<Value, Error> {
    let operator = call.string_or("operator", "eq")?;
    let Some((_, holds)) = OPERATORS
        .iter()
        .find(|(names, _)| names.contains(&operator.as_str()))
    else {
        let names: Vec<&str> = OPERATORS
            .iter()
            .flat_map(|(names, _)| names.iter().copied())
            .collect();
        return Err(call.fail(format!(
            "there is no operator `{operator}`; use one of {}",
            names.join(", ")
        )));
    };
    let kind = match call.string("version_type")? {
        Some(_) if call.argument("strict").is_some_and(|strict| !strict.is_none()) => {
            return Err(call.fail("`strict` and `version_type` exclude each other"));
        }
        Some(kind) => kind,
        None if call.flag("strict", false) => "strict".to_owned(),
        None => "loose".to_owned(),
    };
    let Some((_, order)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        return Err(call.fail(format!("there is no version type `{kind}`")));
    };
    let (left, right) = (call.text()?, call.required("version")?.to_string());
    for (what, text) in [("input", &left), ("argument", &right)] {
        if text.is_empty() {
            return Err(call.fail(format!("the {what}'s version is empty")));
        }
    }
    let order = order(&left, &right).ok_or_else(|| {
        call.fail(format!(
            "versions `{left}` and `{right}` cannot be compared ({kind})"
        ))
    })?;
    Ok(holds(order).into())
}

/// A run of digits or of letters.
#[derive(PartialEq)]
enum Part<'t> {
    Number(u64),
    Text(&'t str),
}

/// Runs of digits and of letters; dots and blanks only separate. Numbers and texts do not compare.
/// The order of versions of any form; what has none stays where it is.
pub(in crate::template) fn loose_order(left: &str, right: &str) -> Ordering {
    loose(left, right).unwrap_or(Ordering::Equal)
}

fn loose(left: &str, right: &str) -> Option<Ordering> {
    let (left, right) = (parts(left), parts(right));
    for (left, right) in left.iter().zip(&right) {
        let order = match (left, right) {
            (Part::Number(left), Part::Number(right)) => left.cmp(right),
            (Part::Text(left), Part::Text(right)) => left.cmp(right),
            _ => return None,
        };
        if order.is_ne() {
            return Some(order);
        }
    }
    Some(left.len().cmp(&right.len()))
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let class = |c: char| match c {
        '0'..='9' => 0,
        'a'..='z' => 1,
        '.' => 2,
        _ => 3,
    };
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| class(c) != class(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        match run.parse() {
            Ok(number) if class(first) == 0 => parts.push(Part::Number(number)),
            _ if class(first) == 2 => {}
            _ => parts.push(Part::Text(run)),
        }
    }
    parts
}

/// The numbers, and the letter and number of a pre-release.
type Strict = (Vec<u64>, Option<(char, u64)>);

/// `1.2`, `1.2.3`, each possibly with `a1` or `b1`, which come before it.
fn strict(left: &str, right: &str) -> Option<Ordering> {
    let parse = |text: &str| -> Option<Strict> {
        let at = text.find(['a', 'b']);
        let (numbers, tag) = at.map_or((text, None), |at| (&text[..at], Some(&text[at..])));
        let mut numbers: Vec<u64> = numbers
            .split('.')
            .map(|part| part.parse().ok())
            .collect::<Option<_>>()?;
        if !(2..=3).contains(&numbers.len()) {
            return None;
        }
        numbers.resize(3, 0);
        let tag = match tag {
            None => None,
            Some(tag) => Some((tag.chars().next()?, tag[1..].parse().ok()?)),
        };
        Some((numbers, tag))
    };
    let ((left, left_tag), (right, right_tag)) = (parse(left)?, parse(right)?);
    Some(
        left.cmp(&right)
            .then_with(|| last_if_none(left_tag.as_ref(), right_tag.as_ref(), Ord::cmp)),
    )
}

/// A release comes after its pre-releases.
fn last_if_none<T: ?Sized>(left: Option<&T>, right: Option<&T>, order: fn(&T, &T) -> Ordering) -> Ordering {
    match (left, right) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(left), Some(right)) => order(left, right),
    }
}

/// <https://semver.org>, section 11.
fn semver(left: &str, right: &str) -> Option<Ordering> {
    fn parse(text: &str) -> Option<(Vec<u64>, Option<&str>)> {
        let text = text.split_once('+').map_or(text, |(text, _)| text);
        let (core, pre) = text
            .split_once('-')
            .map_or((text, None), |(core, pre)| (core, Some(pre)));
        let numbers: Vec<u64> = core
            .split('.')
            .map(|part| part.parse().ok())
            .collect::<Option<_>>()?;
        (numbers.len() == 3).then_some((numbers, pre))
    }
    fn identifiers(left: &str, right: &str) -> Ordering {
        let (mut left, mut right) = (left.split('.'), right.split('.'));
        loop {
            let order = match (left.next(), right.next()) {
                (None, None) => return Ordering::Equal,
                (None, Some(_)) => return Ordering::Less,
                (Some(_), None) => return Ordering::Greater,
                (Some(left), Some(right)) => match (left.parse::<u64>(), right.parse::<u64>()) {
                    (Ok(left), Ok(right)) => left.cmp(&right),
                    (Ok(_), Err(_)) => Ordering::Less,
                    (Err(_), Ok(_)) => Ordering::Greater,
                    (Err(_), Err(_)) => left.cmp(right),
                },
            };
            if order.is_ne() {
                return order;
            }
        }
    }
    let ((left, left_pre), (right, right_pre)) = (parse(left)?, parse(right)?);
    Some(
        left.cmp(&right)
            .then_with(|| last_if_none(left_pre, right_pre, identifiers)),
    )
}

/// How far from its release a PEP 440 suffix is.
const STAGES: &[(&str, i8)] = &[
    ("dev", -4),
    ("a", -3),
    ("b", -2),
    ("rc", -1),
    ("c", -1),
    ("post", 1),
];

/// Release numbers without trailing zeros, then the first suffix; epochs and local parts are left out.
fn pep440(left: &str, right: &str) -> Option<Ordering> {
    let parse = |text: &str| -> Option<(Vec<u64>, i8, u64)> {
        let text = text.trim().trim_start_matches('v').to_lowercase();
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (release, suffix) = text.split_at(end);
        let mut numbers: Vec<u64> = release
            .trim_end_matches('.')
            .split('.')
            .map(|part| part.parse().ok())
            .collect::<Option<_>>()?;
        while numbers.len() > 1 && numbers.last() == Some(&0) {
            numbers.pop();
        }
        let letters: String = suffix.chars().take_while(char::is_ascii_alphabetic).collect();
        if letters.is_empty() {
            return suffix.is_empty().then_some((numbers, 0, 0));
        }
        let (_, stage) = STAGES.iter().find(|(name, _)| *name == letters)?;
        let number = suffix[letters.len()..]
            .trim_start_matches(['.', '-', '_'])
            .parse()
            .unwrap_or(0);
        Some((numbers, *stage, number))
    };
    Some(parse(left)?.cmp(&parse(right)?))
}

//! What is known to be secret, and how it is kept out of whatever is shown.
//!
//! Whoever decrypts a text makes it known ([`learn`]); filters, functions and methods that were given a secret have
//! what they make of it known too ([`follow`]). Values themselves stay as they are: a secret can be compared, filtered
//! and written to files. Only on the way to a person is every text compared with what is known ([`scrub`]), whichever
//! way it took to get there: a result, a difference, a label, a message, what a command has printed.
//!
//! So a text is secret by what it says and not by where it comes from. What that cannot tell apart is shown: texts of
//! fewer than four characters inside of other texts, truth values, and numbers of fewer than four digits.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};

use crate::value::{Map, Value};

/// What is shown instead.
pub const MASK: &str = "***";
/// Shorter texts are in every other word: they are hidden only where they stand alone.
const SHORTEST: usize = 4;
/// Shorter lines of a longer secret say little by themselves, and stand in too many other texts.
const SHORTEST_LINE: usize = 8;
/// Of what is longer only its lines are known: it is a file, and nobody shows it in one piece.
const LONGEST: usize = 16 << 10;
/// What is longer altogether is not looked for: the search would cost more memory than the run.
const LONGEST_FILE: usize = 1 << 20;

/// Whether anything is known: without secrets nothing is compared.
static ANY: AtomicBool = AtomicBool::new(false);
static KNOWN: RwLock<Option<Known>> = RwLock::new(None);

#[derive(Default)]
struct Known {
    texts: HashSet<String>,
    /// Too short to be looked for inside of others.
    short: HashSet<String>,
    /// Made when it is next needed.
    search: Option<Arc<Search>>,
}

/// Finds the longest of the known texts first, in any mixture of cases.
struct Search {
    automaton: AhoCorasick,
    short: HashSet<String>,
}

/// Whether anything is secret at all.
pub fn any() -> bool {
    ANY.load(Ordering::Acquire)
}

/// Makes a text known as secret, with its lines and the forms that it takes inside of quotes.
pub fn learn(text: &str) {
    let text = text.trim();
    if text.is_empty() || text.len() > LONGEST_FILE || is_plain(text) {
        return;
    }
    let mut guard = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    let known = guard.get_or_insert_default();
    if text.chars().count() < SHORTEST {
        if known.short.insert(text.to_owned()) {
            known.search = None;
        }
    } else {
        if text.len() <= LONGEST {
            known.add(text);
        }
        let lines = text.lines().map(str::trim).filter(|line| *line != text);
        for line in lines.filter(|line| line.len() >= SHORTEST_LINE && !line.starts_with("-----")) {
            known.add(line);
        }
    }
    ANY.store(true, Ordering::Release);
}

/// Every text and number in a value, keys apart.
pub fn learn_value(value: &Value) {
    leaves(value, &mut |leaf| learn(leaf));
}

/// Words that decrypted files are full of and that give nothing away.
fn is_plain(text: &str) -> bool {
    let words = ["true", "false", "none", "null", "yes", "no", "on", "off"];
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

impl Known {
    fn add(&mut self, text: &str) {
        if !self.texts.insert(text.to_owned()) {
            return;
        }
        self.search = None;
        let json = serde_json::to_string(text).unwrap_or_default();
        let python = Value::from(vec![text]).to_string();
        let forms = [
            json[1..json.len() - 1].to_owned(),
            python[2..python.len() - 2].to_owned(),
            text.replace('\'', r"'\''"),
            text.replace('\'', r#"'"'"'"#),
            text.replace('\'', "''"),
        ];
        self.texts.extend(forms);
    }
}

fn search() -> Option<Arc<Search>> {
    if !any() {
        return None;
    }
    let current = |known: &Option<Known>| known.as_ref().and_then(|known| known.search.clone());
    if let Some(search) = current(&KNOWN.read().unwrap_or_else(PoisonError::into_inner)) {
        return Some(search);
    }
    let mut guard = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    let known = guard.as_mut()?;
    if known.search.is_none() {
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .ascii_case_insensitive(true)
            .build(&known.texts)
            .ok()?;
        known.search = Some(Arc::new(Search {
            automaton,
            short: known.short.clone(),
        }));
    }
    known.search.clone()
}

impl Search {
    fn scrub<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.short.contains(text.trim()) {
            return MASK.into();
        }
        if !self.automaton.is_match(text) {
            return text.into();
        }
        let mut out = String::with_capacity(text.len());
        self.automaton.replace_all_with(text, &mut out, |_, _, out| {
            out.push_str(MASK);
            true
        });
        out.into()
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::Str(text) => Value::Str(self.scrub(text).into_owned()),
            Value::Int(_) | Value::Float(_) => {
                let text = value.to_string();
                if text.len() >= SHORTEST && self.scrub(&text) == MASK {
                    MASK.into()
                } else {
                    value.clone()
                }
            }
            Value::List(items) => Value::List(items.iter().map(|item| self.value(item)).collect()),
            Value::Map(map) => Value::Map(
                map.iter()
                    .map(|(key, item)| (self.scrub(key).into_owned(), self.value(item)))
                    .collect::<Map>(),
            ),
            Value::Null | Value::Bool(_) => value.clone(),
        }
    }

    /// Which of the known texts are in this one.
    fn found_in(&self, text: &str, found: &mut HashSet<usize>) {
        found.extend(self.automaton.find_iter(text).map(|hit| hit.pattern().as_usize()));
    }
}

/// The text as it may be shown.
pub fn scrub(text: &str) -> Cow<'_, str> {
    match search() {
        Some(search) => search.scrub(text),
        None => text.into(),
    }
}

/// The value as it may be shown, keys too.
pub fn scrub_value(value: &Value) -> Cow<'_, Value> {
    match search() {
        Some(search) => Cow::Owned(search.value(value)),
        None => Cow::Borrowed(value),
    }
}

/// Whether there is a secret in the text, or it is one.
pub fn is_in(text: &str) -> bool {
    search().is_some_and(|search| search.automaton.is_match(text) || search.short.contains(text.trim()))
}

/// What was made of `inputs` is secret where they were: each text of `output` that was not among them. Where all
/// secrets are still to be seen in it, they are hidden there anyway, and what is around them is not secret.
pub fn follow(inputs: &[&Value], output: &Value) {
    let Some(search) = search() else {
        return;
    };
    let (mut given, mut known) = (HashSet::new(), HashSet::new());
    let mut short = false;
    for input in inputs {
        each_text(input, &mut |text| {
            search.found_in(text, &mut known);
            short |= search.short.contains(text);
            given.insert(text.to_owned());
        });
    }
    if known.is_empty() && !short {
        return;
    }
    let mut made = Vec::new();
    let mut seen = HashSet::new();
    leaves(output, &mut |text| {
        search.found_in(text, &mut seen);
        if !given.contains(text) && !is_plain(text) {
            made.push(text.to_owned());
        }
    });
    if known.is_subset(&seen) && !short {
        return;
    }
    for text in made.iter().filter(|text| text.len() >= SHORTEST || short) {
        learn(text);
    }
}

/// Calls `visit` for each text and number in a value.
fn leaves(value: &Value, visit: &mut dyn FnMut(&str)) {
    match value {
        Value::Str(text) => visit(text),
        Value::Int(_) | Value::Float(_) => {
            let text = value.to_string();
            if text.len() >= SHORTEST {
                visit(&text);
            }
        }
        Value::List(items) => items.iter().for_each(|item| leaves(item, visit)),
        Value::Map(map) => map.values().for_each(|item| leaves(item, visit)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Calls `visit` for each text and number in a value, keys included.
pub fn each_text(value: &Value, visit: &mut dyn FnMut(&str)) {
    match value {
        Value::List(items) => items.iter().for_each(|item| each_text(item, visit)),
        Value::Map(map) => {
            for (key, item) in map {
                visit(key);
                each_text(item, visit);
            }
        }
        leaf => leaves(leaf, visit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What is learnt is known to the whole process, other tests too: texts that nothing else holds.

    #[test]
    fn secrets_are_hidden_wherever_they_are() {
        learn("q7-Zebra's \"tail\"");
        assert_eq!(scrub("pw=q7-Zebra's \"tail\"!"), "pw=***!");
        assert_eq!(scrub(r#"{"a": "q7-Zebra's \"tail\""}"#), r#"{"a": "***"}"#);
        assert_eq!(scrub(r"echo 'q7-Zebra'\''s "), r"echo 'q7-Zebra'\''s ");
        assert_eq!(scrub("Q7-ZEBRA'S \"TAIL\""), MASK);
        assert_eq!(scrub("plain"), "plain");
        let value: Value =
            serde_json::from_str(r#"{"a":["xq7-Zebra's \"tail\"",1],"q7-Zebra's \"tail\"":null}"#).unwrap();
        assert_eq!(scrub_value(&value).to_string(), "{'a': ['x***', 1], '***': None}");
    }

    #[test]
    fn lines_numbers_and_short_texts() {
        learn("-----BEGIN KEY-----\nq7MIIEabcdef\nq7x\n-----END KEY-----\n");
        assert_eq!(scrub("+q7MIIEabcdef"), "+***");
        assert_eq!(scrub("-----BEGIN KEY-----"), "-----BEGIN KEY-----");
        learn("7731942");
        assert_eq!(*scrub_value(&Value::Int(7_731_942)), Value::from(MASK));
        learn("q7!");
        assert_eq!((scrub("q7!"), scrub("q7!x")), (MASK.into(), "q7!x".into()));
        learn("True");
        assert_eq!(scrub("True"), "True");
    }

    #[test]
    fn what_is_made_of_a_secret_is_one() {
        let value = |text: &str| Value::from(text);
        learn("q7-original");
        follow(&[&value("q7-original")], &value("digest-of-q7"));
        assert_eq!(scrub("digest-of-q7"), MASK);
        // The secret is still there to be hidden: the rest is not secret.
        follow(
            &[&value("q7-original")],
            &value("postgres://app:q7-original@host"),
        );
        assert_eq!(scrub("postgres://app:"), "postgres://app:");
        // What was given as it is comes out as it was.
        let given = Value::from(vec!["q7-original", "q7-public-name"]);
        follow(&[&given], &value("q7-public-name"));
        assert_eq!(scrub("q7-public-name"), "q7-public-name");
        follow(&[&value("q7 no secret")], &value("q7 nothing either"));
        assert_eq!(scrub("q7 nothing either"), "q7 nothing either");
    }
}

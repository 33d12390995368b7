//! Python's regular expressions, as playbooks are written with.
//!
//! What is spelt differently is translated. Expressions that look around or refer back go to `fancy-regex`, which knows only texts: on bytes
//! that are no UTF-8 they match nothing. Specification: Python's `re`.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::modules::Error;

/// A compiled expression.
#[derive(Debug)]
pub enum Pattern {
    /// In time that grows with the text alone.
    Linear(regex::bytes::Regex),
    Fancy(Box<fancy_regex::Regex>),
}

/// Where a match and its groups lie.
#[derive(Debug)]
pub struct Match {
    /// Group 0 is the whole; none for a group that took no part.
    groups: Vec<Option<Range<usize>>>,
    names: BTreeMap<String, usize>,
}

/// A pattern that matches what Python's would; `argument` is who is told of where it does not compile.
pub fn compile(argument: &str, pattern: &str) -> Result<Pattern, Error> {
    let translated = translate(pattern);
    if let Ok(linear) = regex::bytes::Regex::new(&translated) {
        return Ok(Pattern::Linear(linear));
    }
    match fancy_regex::Regex::new(&translated) {
        Ok(fancy) => Ok(Pattern::Fancy(Box::new(fancy))),
        Err(error) => Err(Error::new(format!(
            "{argument} is not a usable regular expression: {error}"
        ))),
    }
}

impl Pattern {
    pub fn is_match(&self, text: &[u8]) -> bool {
        match self {
            Self::Linear(pattern) => pattern.is_match(text),
            Self::Fancy(pattern) => {
                std::str::from_utf8(text).is_ok_and(|text| pattern.is_match(text).unwrap_or(false))
            }
        }
    }

    /// The first match at or after a position.
    pub fn find_at(&self, text: &[u8], start: usize) -> Option<Match> {
        match self {
            Self::Linear(pattern) => {
                let found = pattern.captures_at(text, start)?;
                Some(Match {
                    groups: found
                        .iter()
                        .map(|group| group.map(|group| group.range()))
                        .collect(),
                    names: named(pattern.capture_names()),
                })
            }
            Self::Fancy(pattern) => {
                let text = std::str::from_utf8(text).ok()?;
                let found = pattern.captures_from_pos(text, start).ok()??;
                Some(Match {
                    groups: found
                        .iter()
                        .map(|group| group.map(|group| group.range()))
                        .collect(),
                    names: named(pattern.capture_names()),
                })
            }
        }
    }

    /// Python's `re.subn`: every match replaced, and how many there were.
    pub fn replace_all(&self, text: &[u8], template: &str) -> (Vec<u8>, usize) {
        let mut out = Vec::with_capacity(text.len());
        let (mut copied, mut at, mut count) = (0, 0, 0);
        while let Some(found) = self.find_at(text, at) {
            let whole = found.range();
            out.extend_from_slice(&text[copied..whole.start]);
            out.extend(expand(&found, text, template));
            count += 1;
            copied = whole.end;
            at = whole.end;
            if whole.is_empty() {
                // On to the next character, for those that match texts only.
                at += 1;
                while text.get(at).is_some_and(|byte| byte & 0xC0 == 0x80) {
                    at += 1;
                }
                if at > text.len() {
                    break;
                }
            }
        }
        out.extend_from_slice(&text[copied..]);
        (out, count)
    }
}

fn named<'a>(names: impl Iterator<Item = Option<&'a str>>) -> BTreeMap<String, usize> {
    let numbered = names.enumerate();
    numbered
        .filter_map(|(number, name)| Some((name?.to_owned(), number)))
        .collect()
}

impl Match {
    /// Where the whole match lies.
    pub fn range(&self) -> Range<usize> {
        self.groups[0].clone().unwrap_or_default()
    }

    /// All groups but the whole, in order.
    pub fn groups(&self) -> impl Iterator<Item = Option<Range<usize>>> + '_ {
        self.groups.iter().skip(1).cloned()
    }

    pub fn named_groups(&self) -> impl Iterator<Item = (&str, Option<Range<usize>>)> {
        self.names
            .iter()
            .map(|(name, number)| (name.as_str(), self.groups[*number].clone()))
    }

    /// A group, by its number or name.
    pub fn group(&self, name: &str) -> Option<Range<usize>> {
        let number = name.parse().ok().or_else(|| self.names.get(name).copied())?;
        self.groups.get(number)?.clone()
    }
}

/// From Python's spelling to the crate's.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    let mut class = false;
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some('Z') if !class => out.push_str("\\z"),
                // Word boundaries in the crate, plain characters in Python.
                Some(c @ ('<' | '>')) => out.push(c),
                Some(c) => out.extend(['\\', c]),
                None => out.push('\\'),
            },
            '[' if !class => {
                class = true;
                out.push('[');
                // A bracket that comes first stands for itself.
                for first in ['^', ']'] {
                    if let Some(after) = rest.as_str().strip_prefix(first) {
                        rest = after.chars();
                        out.push_str(if first == '^' { "^" } else { "\\]" });
                    }
                }
            }
            ']' if class => {
                class = false;
                out.push(']');
            }
            // Sets within sets are the crate's own.
            '[' | '&' | '~' if class => out.extend(['\\', c]),
            '{' if !class && !is_count(rest.as_str()) => out.push_str("\\{"),
            c => out.push(c),
        }
    }
    out
}

/// Whether a brace opens a repetition: `{2}`, `{2,}`, `{,3}`, `{2,3}`.
fn is_count(after: &str) -> bool {
    after.split_once('}').is_some_and(|(count, _)| {
        count.chars().any(|c| c.is_ascii_digit()) && count.chars().all(|c| c.is_ascii_digit() || c == ',')
    })
}

/// Python's `match.expand`: `\1`, `\g<1>`, `\g<name>`, `\n`, `\t`, `\\`.
pub fn expand(found: &Match, text: &[u8], template: &str) -> Vec<u8> {
    let group = |name: &str| found.group(name).map_or(&b""[..], |range| &text[range]);
    let mut out = Vec::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        if let Some((name, after)) = rest.strip_prefix("g<").and_then(|rest| rest.split_once('>')) {
            out.extend_from_slice(group(name));
            rest = after;
            continue;
        }
        let digits = rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            out.extend_from_slice(group(&rest[..digits]));
            rest = &rest[digits..];
            continue;
        }
        let mut after = rest.chars();
        match after.next() {
            Some('n') => out.push(b'\n'),
            Some('t') => out.push(b'\t'),
            Some('r') => out.push(b'\r'),
            Some('\\') | None => out.push(b'\\'),
            Some(other) => out.extend_from_slice(format!("\\{other}").as_bytes()),
        }
        rest = after.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_spelling_is_understood() {
        for (pattern, text, matches) in [
            (r"^a\Z", "a", true),
            (r"foo{bar}", "foo{bar}", true),
            (r"^o{2,3}$", "ooo", true),
            (r"[[]x[]]", "[x]", true),
            (r"[^]]", "]", false),
            (r"[&~]+", "&&", true),
            (r"\<tag\>", "<tag>", true),
            (r"(?P<n>b)(?i)C", "bc", true),
            (r#"^\s*#?\s*"key"\s*="#, "# \"key\" =", true),
        ] {
            assert_eq!(
                compile("regexp", pattern).unwrap().is_match(text.as_bytes()),
                matches,
                "{pattern}"
            );
        }
    }

    #[test]
    fn expressions_look_around_and_refer_back() {
        let pattern = compile("regexp", r"^(?!#)(\w)\1").unwrap();
        assert!(pattern.is_match(b"aab") && !pattern.is_match(b"#aa") && !pattern.is_match(b"aa\xff"));
        let error = compile("regexp", "(").unwrap_err();
        assert!(
            error
                .message
                .starts_with("regexp is not a usable regular expression: "),
            "{}",
            error.message
        );
    }

    #[test]
    fn everything_is_replaced_as_python_does() {
        for (pattern, text, template, expected, count) in [
            ("x*", "abxd", "-", "-a-b--d-", 5),
            ("(?m)^(a)$", "a\nb\na", r"\1\1", "aa\nb\naa", 2),
            ("(?=ö)", "aöö", "-", "a-ö-ö", 2),
            ("none", "abc", "", "abc", 0),
        ] {
            let replaced = compile("regexp", pattern)
                .unwrap()
                .replace_all(text.as_bytes(), template);
            assert_eq!(replaced, (expected.as_bytes().to_vec(), count), "{pattern}");
        }
    }

    #[test]
    fn groups_are_put_in_place() {
        let pattern = compile("regexp", r"(\w+)=(?P<value>\w+)").unwrap();
        let found = pattern.find_at(b"a=b", 0).unwrap();
        assert_eq!(
            expand(&found, b"a=b", r"\2=\1 \g<value>\g<1>0 \\1 \d"),
            br"b=a ba0 \1 \d"
        );
    }
}

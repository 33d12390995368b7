//! Python's regular expressions, as playbooks are written with, on the `regex` crate.
//!
//! What is spelt differently is translated. Look-around and back-references inside a pattern have no
//! counterpart: they are refused with a message, never misread. Specification: Python's `re`.

use regex::bytes::{Captures, Regex};

use super::Error;

/// A pattern that matches what Python's would, on a line without its newline.
pub fn compile(argument: &str, pattern: &str) -> Result<Regex, Error> {
    Regex::new(&translate(pattern)).map_err(|error| {
        let unsupported = ["(?=", "(?!", "(?<=", "(?<!", "(?P="]
            .into_iter()
            .find(|part| pattern.contains(part));
        let why = match unsupported {
            Some(part) => {
                format!("`{part}` is not supported: look-around and back-references have no counterpart")
            }
            None => error.to_string(),
        };
        Error::new(format!("{argument} is not a usable regular expression: {why}"))
    })
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
pub fn expand(captures: &Captures<'_>, template: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        if let Some((name, after)) = rest.strip_prefix("g<").and_then(|rest| rest.split_once('>')) {
            let group = match name.parse() {
                Ok(number) => captures.get(number),
                Err(_) => captures.name(name),
            };
            out.extend_from_slice(group.map_or(b"", |group| group.as_bytes()));
            rest = after;
            continue;
        }
        let digits = rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            let number = rest[..digits].parse().unwrap_or_default();
            out.extend_from_slice(captures.get(number).map_or(b"", |group| group.as_bytes()));
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
    fn what_has_no_counterpart_is_refused() {
        let error = compile("regexp", "^(?!#)x").unwrap_err();
        assert_eq!(
            error.message,
            "regexp is not a usable regular expression: `(?!` is not supported: look-around and back-references have no counterpart"
        );
    }

    #[test]
    fn groups_are_put_in_place() {
        let pattern = compile("regexp", r"(\w+)=(?P<value>\w+)").unwrap();
        let captures = pattern.captures(b"a=b").unwrap();
        assert_eq!(
            expand(&captures, r"\2=\1 \g<value>\g<1>0 \\1 \d"),
            br"b=a ba0 \1 \d"
        );
    }
}

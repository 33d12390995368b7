//! From the text of a setting to its value.

use std::path::{Component, Path, PathBuf};

use super::setting::Kind;
use crate::value::Value;

/// What paths start from.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    /// For relative ones.
    pub folder: &'a Path,
    /// `{{CWD}}`.
    pub current: &'a Path,
    /// `~`.
    pub home: Option<&'a Path>,
    /// `{{ANSIBLE_HOME}}`.
    pub ansible_home: &'a str,
}

/// The value that `text` stands for, or what it should be.
pub fn value(kind: Kind, text: &str, base: Base<'_>) -> Result<Value, String> {
    Ok(match kind {
        Kind::Truth => Value::Bool(
            Value::from(text)
                .truth()
                .ok_or("a boolean: yes or no, true or false, 1 or 0")?,
        ),
        Kind::Integer => Value::Int(integer(text).ok_or("a whole number")?),
        Kind::Float => Value::Float(text.trim().parse().map_err(|_| "a number")?),
        Kind::Text => Value::from(unquoted(text)),
        Kind::Choice(words) => {
            let text = unquoted(text);
            if !words.contains(&text) {
                return Err(format!("one of {}", words.join(", ")));
            }
            Value::from(text)
        }
        Kind::List if text.is_empty() => Value::List(Vec::new()),
        Kind::List => items(text, ','),
        Kind::Path => Value::from(path(unquoted(text), base)),
        Kind::PathSpec => paths(text, ':', base),
        Kind::PathList => paths(text, ',', base),
    })
}

fn items(text: &str, separator: char) -> Value {
    let items: Vec<&str> = text.split(separator).map(|item| unquoted(item.trim())).collect();
    Value::from(items)
}

fn paths(text: &str, separator: char, base: Base<'_>) -> Value {
    let paths: Vec<String> = text
        .split(separator)
        .map(str::trim)
        // A list that ends with its separator has no further entry.
        .filter(|item| !item.is_empty())
        .map(|item| path(unquoted(item), base))
        .collect();
    Value::from(paths)
}

/// `3`, and `3.0` as well.
fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let (whole, fraction) = text.split_once('.')?;
        fraction
            .bytes()
            .all(|byte| byte == b'0')
            .then(|| whole.parse().ok())?
    })
}

/// A text without the quotes around it.
fn unquoted(text: &str) -> &str {
    let inside = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(text)
}

/// An absolute path without `.` and `..`.
fn path(text: &str, base: Base<'_>) -> String {
    let text = text
        .replace("{{CWD}}", &base.current.display().to_string())
        .replace("{{ANSIBLE_HOME}}", base.ansible_home);
    let joined = base.folder.join(home(&text, base.home));
    let mut clean = PathBuf::new();
    for component in joined.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean.display().to_string()
}

/// A path with `~` resolved.
pub fn home(text: &str, home: Option<&Path>) -> PathBuf {
    match (text.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.to_owned(),
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, text: &str) -> Result<String, String> {
        let base = Base {
            folder: Path::new("/etc/x"),
            current: Path::new("/here"),
            home: Some(Path::new("/home/me")),
            ansible_home: "/home/me/.ansible",
        };
        value(kind, text, base).map(|value| value.to_string())
    }

    #[test]
    fn texts_become_values() {
        for (kind, text, expected) in [
            (Kind::Truth, "Yes", "True"),
            (Kind::Truth, "0", "False"),
            (Kind::Integer, " 7", "7"),
            (Kind::Integer, "7.0", "7"),
            (Kind::Float, "0.5", "0.5"),
            (Kind::Text, "'a b'", "a b"),
            (Kind::Text, "\"a'", "\"a'"),
            (Kind::Choice(&["a", "b"]), "b", "b"),
            (Kind::List, "", "[]"),
            (Kind::List, "a, 'b' ,c", "['a', 'b', 'c']"),
            (Kind::Path, "~/k", "/home/me/k"),
            (Kind::Path, "../k/./l", "/etc/k/l"),
            (
                Kind::PathSpec,
                "./a:{{CWD}}/b:{{ANSIBLE_HOME}}/c",
                "['/etc/x/a', '/here/b', '/home/me/.ansible/c']",
            ),
            (Kind::PathList, "a, /b,", "['/etc/x/a', '/b']"),
        ] {
            assert_eq!(read(kind, text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_says_what_could() {
        for (kind, text, expected) in [
            (
                Kind::Truth,
                "maybe",
                "a boolean: yes or no, true or false, 1 or 0",
            ),
            (Kind::Integer, "7.5", "a whole number"),
            (Kind::Integer, "many", "a whole number"),
            (Kind::Float, "x", "a number"),
            (Kind::Choice(&["a", "b"]), "c", "one of a, b"),
        ] {
            assert_eq!(read(kind, text).unwrap_err(), expected, "{text}");
        }
    }
}

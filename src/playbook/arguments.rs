//! Arguments written as one text: `copy: src=a dest="{{ b }}"`, `command: ls -l chdir=/tmp`.
//!
//! Words are split at white space outside quotes and outside braces. For a module with a free-form argument,
//! only the words that it names as options are taken out; the rest is the free-form text, as written.

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::yaml::{Entry, Kind, Mapping, Node};

/// The argument that holds a free-form text.
pub const RAW: &str = "_raw_params";

/// The options that may stand among the words of a free-form text.
const FREE_FORM_OPTIONS: &[&str] = &[
    "creates",
    "removes",
    "chdir",
    "executable",
    "warn",
    "stdin",
    "stdin_add_newline",
    "strip_empty_ends",
    "decrypt",
];

/// A map of arguments from a text. `free_form`: the module takes one.
pub fn parse(node: &Node, free_form: bool) -> Result<Node, Diagnostic> {
    let text = node.as_str().unwrap_or_default();
    let mut map = Mapping::new();
    let mut raw: Vec<&str> = Vec::new();
    for word in split(text) {
        let pair = word
            .split_once('=')
            .filter(|(key, _)| is_name(key) && (!free_form || FREE_FORM_OPTIONS.contains(key)))
            .or_else(|| templated(word).filter(|_| !free_form));
        match pair {
            Some((key, value)) => {
                let entry = Entry {
                    key: node.span.clone(),
                    value: Node::new(Kind::Text(unquote(value).into()), &node.span),
                };
                map.insert(key.to_owned(), entry);
            }
            None if free_form => raw.push(word),
            None if word.trim().is_empty() => {}
            None => {
                return Err(Diagnostic::error(format!(
                    "`{}` is not an argument: expected key=value",
                    word.trim()
                ))
                .at(&place(node, word.trim()))
                .hint("write the arguments as a map below the module's name"));
            }
        }
    }
    if free_form {
        let text = raw.concat();
        if !text.trim().is_empty() {
            let value = Node::new(Kind::Text(text.trim().into()), &node.span);
            map.insert(
                RAW.to_owned(),
                Entry {
                    key: node.span.clone(),
                    value,
                },
            );
        }
    }
    Ok(Node::new(Kind::Map(Arc::new(map)), &node.span))
}

fn place(node: &Node, word: &str) -> Span {
    node.span
        .text()
        .find(word)
        .map_or_else(|| node.span.clone(), |at| node.span.part(at, at + word.len()))
}

/// `prefix_{{ name }}=value`: the first `=` outside of braces.
fn templated(word: &str) -> Option<(&str, &str)> {
    let start = word.find("{{")?;
    let end = start + word[start..].find("}}")? + "}}".len();
    let at = end
        + word[end..]
            .find('=')
            .filter(|at| !word[end..end + at].contains("{{"))?;
    let plain = |text: &str| text.is_empty() || is_name(&format!("_{text}"));
    (plain(&word[..start]) && plain(&word[end..at])).then(|| (&word[..at], &word[at + 1..]))
}

fn is_name(key: &str) -> bool {
    !key.is_empty()
        && key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// Words with the white space that follows them, so that a free-form text can be put together again.
fn split(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut quote: Option<char> = None;
    let mut depth = 0_u32;
    let mut escaped = false;
    let mut in_space = false;
    let mut previous = '\0';
    for (at, c) in text.char_indices() {
        let outside = quote.is_none() && depth == 0;
        if outside && in_space && !c.is_whitespace() {
            words.push(&text[start..at]);
            start = at;
            in_space = false;
        }
        match (quote, c) {
            (_, _) if escaped => escaped = false,
            (_, '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') if depth == 0 => quote = Some(c),
            (None, '{' | '%') if previous == '{' => depth += 1,
            (None, '}') if matches!(previous, '}' | '%') => depth = depth.saturating_sub(1),
            (None, c) if c.is_whitespace() && depth == 0 => in_space = true,
            _ => {}
        }
        previous = c;
    }
    if start < text.len() {
        words.push(&text[start..]);
    }
    words
}

fn unquote(value: &str) -> String {
    let value = value.trim_end();
    for quote in ['"', '\''] {
        if value.len() >= 2 && value.starts_with(quote) && value.ends_with(quote) {
            return value[1..value.len() - 1].replace(&format!("\\{quote}"), &quote.to_string());
        }
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    fn parsed(text: &str, free_form: bool) -> String {
        let source = Source::new("t.yml", text);
        let node = Node::text(text, &Span::whole(&source));
        match parse(&node, free_form) {
            Ok(node) => serde_json::to_string(&node.to_value()).unwrap(),
            Err(error) => error.message,
        }
    }

    #[test]
    fn splits_outside_quotes_and_braces() {
        assert_eq!(
            parsed("src=a dest=\"/b c\" mode={{ m | default('x y') }}", false),
            r#"{"src":"a","dest":"/b c","mode":"{{ m | default('x y') }}"}"#
        );
        assert_eq!(
            parsed("echo  a=b  'c d' chdir=/tmp | cat", true),
            r#"{"chdir":"/tmp","_raw_params":"echo  a=b  'c d' | cat"}"#
        );
        assert_eq!(
            parsed("src=a oops", false),
            "`oops` is not an argument: expected key=value"
        );
        assert_eq!(
            parsed("echo \"{{ a }}\" '{ x'", true),
            r#"{"_raw_params":"echo \"{{ a }}\" '{ x'"}"#
        );
    }
}

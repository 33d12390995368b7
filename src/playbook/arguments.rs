//! Arguments written as one text: `copy: src=a dest="{{ b }}"`, `command: ls -l chdir=/tmp`.
//!
//! Words are split at white space outside quotes and outside braces. What is no `key=value` is the free-form
//! text. Of a command's words only those that it names as options are taken out; the rest stays as written.

use std::sync::Arc;

use crate::source::Span;
use crate::yaml::{Entry, Kind, Mapping, Node};

/// The argument that holds a free-form text.
pub const RAW: &str = "_raw_params";

/// The argument that gives further ones: `args: "{{ map }}"`.
pub const VARIABLE: &str = "_variable_params";

/// The modules whose free-form text is a command line.
const COMMANDS: &[&str] = &["command", "raw", "script", "shell"];

/// The options that may stand among the words of a command line.
const OPTIONS: &[&str] = &[
    "creates",
    "removes",
    "chdir",
    "executable",
    "warn",
    "stdin",
    "stdin_add_newline",
    "strip_empty_ends",
];

/// A map of the arguments of `module`, by its short name, from a text.
pub fn parse(node: &Node, module: &str) -> Node {
    let is_command = COMMANDS.contains(&module);
    let mut map = Mapping::new();
    let mut raw: Vec<&str> = Vec::new();
    for word in split(node.as_str().unwrap_or_default()) {
        let decoded = decoded(word);
        let pair = split_pair(&decoded).filter(|(key, _)| !is_command || OPTIONS.contains(key));
        match pair {
            Some((key, value)) => {
                insert(&mut map, key, unquoted(value.trim()), &node.span);
            }
            None => raw.push(word),
        }
    }
    let raw = raw.concat();
    if !raw.trim().is_empty() {
        insert(&mut map, RAW, raw.trim(), &node.span);
    }
    Node::new(Kind::Map(Arc::new(map)), &node.span)
}

fn insert(map: &mut Mapping, key: &str, value: &str, span: &Span) {
    let entry = Entry {
        key: span.clone(),
        value: Node::new(Kind::Text(value.into()), span),
    };
    map.insert(key.to_owned(), entry);
}

/// The first word of a text, and the rest: a module and its arguments.
pub fn first_word(text: &str) -> (&str, &str) {
    let first = split(text).first().map_or(0, |word| word.len());
    let (first, rest) = text.split_at(first);
    (first.trim(), rest.trim())
}

/// Key and value at the first `=` that no backslash stands before.
fn split_pair(word: &str) -> Option<(&str, &str)> {
    let at = word
        .match_indices('=')
        .map(|(at, _)| at)
        .find(|at| *at == 0 || word.as_bytes()[at - 1] != b'\\')?;
    Some((word[..at].trim(), &word[at + 1..]))
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

/// A text without the quotes around it.
fn unquoted(value: &str) -> &str {
    let quoted = ['"', '\''].iter().any(|quote| {
        value.len() >= 2
            && value.starts_with(*quote)
            && value.ends_with(*quote)
            && !value[..value.len() - 1].ends_with('\\')
    });
    if quoted { &value[1..value.len() - 1] } else { value }
}

/// Backslash sequences as Python reads them; what is none stays.
fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(c) = rest.chars().next() else {
            out.push('\\');
            break;
        };
        let (plain, length) = match c {
            '\\' | '\'' | '"' => (Some(c), 1),
            'a' => (Some('\x07'), 1),
            'b' => (Some('\x08'), 1),
            'f' => (Some('\x0c'), 1),
            'n' => (Some('\n'), 1),
            'r' => (Some('\r'), 1),
            't' => (Some('\t'), 1),
            'v' => (Some('\x0b'), 1),
            'x' => (code_point(rest, 2), 3),
            'u' => (code_point(rest, 4), 5),
            'U' => (code_point(rest, 8), 9),
            _ => (None, 0),
        };
        match plain {
            Some(plain) => {
                out.push(plain);
                rest = &rest[length..];
            }
            None => out.push('\\'),
        }
    }
    out.push_str(rest);
    out
}

/// The character of `digits` hexadecimal digits after the first byte.
fn code_point(text: &str, digits: usize) -> Option<char> {
    let digits = text.get(1..=digits)?;
    char::from_u32(u32::from_str_radix(digits, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    fn parsed(text: &str, module: &str) -> String {
        let source = Source::new("t.yml", text);
        let node = Node::text(text, &Span::whole(&source));
        serde_json::to_string(&parse(&node, module).to_value()).unwrap()
    }

    #[test]
    fn splits_outside_quotes_and_braces() {
        assert_eq!(
            parsed("src=a dest=\"/b c\" mode={{ m | default('x y') }}", "copy"),
            r#"{"src":"a","dest":"/b c","mode":"{{ m | default('x y') }}"}"#
        );
        assert_eq!(
            parsed("echo  a=b  'c d' chdir=/tmp | cat", "shell"),
            r#"{"chdir":"/tmp","_raw_params":"echo  a=b  'c d' | cat"}"#
        );
        assert_eq!(
            parsed("echo \"{{ a }}\" '{ x'", "command"),
            r#"{"_raw_params":"echo \"{{ a }}\" '{ x'"}"#
        );
    }

    #[test]
    fn what_is_no_pair_is_free_form() {
        assert_eq!(
            parsed("src=a oops", "copy"),
            r#"{"src":"a","_raw_params":"oops"}"#
        );
        assert_eq!(
            parsed("x.yml name=all", "include_vars"),
            r#"{"name":"all","_raw_params":"x.yml"}"#
        );
        assert_eq!(
            parsed(r"a\=b c\=d=e", "copy"),
            r#"{"c\\=d":"e","_raw_params":"a\\=b"}"#
        );
    }

    #[test]
    fn backslashes() {
        assert_eq!(parsed(r#"msg="a\nb\tc\\d""#, "debug"), r#"{"msg":"a\nb\tc\\d"}"#);
        assert_eq!(parsed(r"msg='\x41\u00e9\q'", "debug"), r#"{"msg":"Aé\\q"}"#);
        assert_eq!(
            parsed(r#"echo "a\nb""#, "shell"),
            r#"{"_raw_params":"echo \"a\\nb\""}"#
        );
    }

    #[test]
    fn a_module_and_its_arguments() {
        assert_eq!(first_word("copy src=a"), ("copy", "src=a"));
        assert_eq!(first_word("{{ module }} src=a b"), ("{{ module }}", "src=a b"));
        assert_eq!(first_word("ping"), ("ping", ""));
    }
}

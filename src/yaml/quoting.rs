//! How a text is written in YAML: which of its characters mean something, and what quotes that asks for.
//!
//! The decisions are those of the dumper that Ansible uses.

use super::scalar;
use crate::value::Value;

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    Plain,
    Single,
    Double,
    /// A block of lines, after `|`.
    Literal,
}

/// What a text allows.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the text"
)]
struct Allowed {
    plain_in_flow: bool,
    plain_in_block: bool,
    single: bool,
    literal: bool,
    several_lines: bool,
}

/// How to write a text: as a key or a value, inside of brackets or not; `literal` prefers blocks for several lines.
pub fn choose(text: &str, key: bool, flow: bool, literal: bool) -> Scalar {
    let allowed = analyse(text);
    if allowed.several_lines && literal && !key {
        return if allowed.literal && !flow {
            Scalar::Literal
        } else {
            Scalar::Double
        };
    }
    let plain = if flow {
        allowed.plain_in_flow
    } else {
        allowed.plain_in_block
    };
    // A key is on one line.
    let fits = !(key && allowed.several_lines);
    if plain && fits && !text.is_empty() && !is_ambiguous(text) {
        Scalar::Plain
    } else if allowed.single && fits {
        Scalar::Single
    } else {
        Scalar::Double
    }
}

/// What stands for a character between double quotes; none for one that stands for itself.
pub fn escaped(c: char) -> Option<String> {
    let short = match c {
        '\0' => "\\0",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\t' => "\\t",
        '\n' => "\\n",
        '\u{b}' => "\\v",
        '\u{c}' => "\\f",
        '\r' => "\\r",
        '\u{1b}' => "\\e",
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{85}' => "\\N",
        '\u{2028}' => "\\L",
        '\u{2029}' => "\\P",
        _ if is_printable(c) => return None,
        _ => {
            let code = u32::from(c);
            return Some(match code {
                ..0x100 => format!("\\x{code:02X}"),
                0x100..0x1_0000 => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            });
        }
    };
    Some(short.to_owned())
}

fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
        && c != '\u{feff}'
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank(c: Option<char>) -> bool {
    c.is_none_or(|c| matches!(c, '\0' | ' ' | '\t' | '\r') || is_break(c))
}

/// Whether the text without quotes would be read as something else than a text.
fn is_ambiguous(text: &str) -> bool {
    !matches!(scalar::resolve(text), Value::Str(_))
        || matches!(text, "=" | "<<")
        || looks_like_time(text)
        || looks_like_clock(text)
}

/// `2001-01-01` and the like, which another reader would turn into a date.
fn looks_like_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mark = |at: usize| bytes.get(at) == Some(&b'-');
    let dated = bytes.len() >= 8
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && mark(4)
        && bytes[5].is_ascii_digit()
        && (mark(6) || mark(7));
    let short = bytes.len() == 10 || bytes.contains(&b':');
    let of_time = |byte: &u8| byte.is_ascii_digit() || b"-:.+TtZz \t".contains(byte);
    dated && short && bytes.iter().all(of_time)
}

/// `0:00:01.5`, a number to the base of 60 with a fraction.
fn looks_like_clock(text: &str) -> bool {
    let Some((clock, fraction)) = text.trim_start_matches(['+', '-']).split_once('.') else {
        return false;
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let mut parts = clock.split(':');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    first.starts_with(|c: char| c.is_ascii_digit())
        && digits(first)
        && digits(fraction)
        && !rest.is_empty()
        && rest
            .iter()
            .all(|part| part.parse::<u8>().is_ok_and(|part| part < 60))
}

fn analyse(text: &str) -> Allowed {
    let marks = text.starts_with("---") || text.starts_with("...");
    let (mut block_mark, mut flow_mark) = (marks, marks);
    let (mut special, mut space_break, mut break_space) = (false, false, false);
    let mut before: Option<char> = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let blank_before = is_blank(before);
        let blank_after = is_blank(rest.peek().copied());
        match (before, c) {
            (
                None,
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
                | '`',
            ) => {
                (block_mark, flow_mark) = (true, true);
            }
            (None, '-') if blank_after => (block_mark, flow_mark) = (true, true),
            (None, '?') | (_, ':') => {
                flow_mark = true;
                block_mark |= blank_after;
            }
            (Some(_), ',' | '?' | '[' | ']' | '{' | '}') => flow_mark = true,
            (Some(_), '#') if blank_before => (block_mark, flow_mark) = (true, true),
            _ => {}
        }
        special |= c != '\n' && !is_printable(c);
        space_break |= before == Some(' ') && is_break(c);
        break_space |= c == ' ' && before.is_some_and(is_break);
        before = Some(c);
    }
    let edge = |c: char| c == ' ' || is_break(c);
    let outer = text.starts_with(edge) || text.ends_with(edge);
    let several_lines = text.contains(is_break);
    let hard = space_break || special;
    let plain = !outer && !break_space && !hard && !several_lines;
    Allowed {
        plain_in_flow: plain && !flow_mark,
        plain_in_block: plain && !block_mark,
        single: !break_space && !hard,
        literal: !text.ends_with(' ') && !hard,
        several_lines,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_for_what_would_be_misread() {
        use Scalar::{Double, Plain, Single};
        let cases = [
            ("text", Plain),
            ("a b", Plain),
            ("it's", Plain),
            ("1e3", Plain),
            ("0o17", Plain),
            ("-x", Plain),
            ("a#b", Plain),
            ("a:b", Plain),
            ("http://x/y", Plain),
            ("é☺", Plain),
            ("", Single),
            ("yes", Single),
            ("017", Single),
            ("1_000", Single),
            ("12:30:45", Single),
            ("0:00:01.5", Single),
            ("2026-11-21", Single),
            ("2026-11-21 09:37:17.387959", Single),
            ("=", Single),
            ("<<", Single),
            ("~", Single),
            ("a: b", Single),
            ("a:", Single),
            ("a #b", Single),
            ("- a", Single),
            ("-", Single),
            ("--- a", Single),
            ("?x", Plain),
            ("? x", Single),
            ("{x", Single),
            (" x", Single),
            ("x ", Single),
            ("a\nb", Single),
            ("a\tb", Double),
            ("a \nb", Double),
            ("a\n b", Double),
            ("\u{7}", Double),
        ];
        for (text, expected) in cases {
            assert_eq!(choose(text, false, false, false), expected, "{text:?}");
        }
    }

    #[test]
    fn brackets_and_keys_ask_for_more() {
        assert_eq!(choose("a,b", false, false, false), Scalar::Plain);
        assert_eq!(choose("a,b", false, true, false), Scalar::Single);
        assert_eq!(choose("a\nb", true, false, true), Scalar::Double);
        assert_eq!(choose("a\nb", false, false, true), Scalar::Literal);
        assert_eq!(choose("a\nb", false, true, true), Scalar::Double);
    }
}

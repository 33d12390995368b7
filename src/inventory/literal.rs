//! Python literals, which is what the values of an INI inventory are: `1_000`, `0o17`, `[1, 'a']`, `None`.
//!
//! Only literals: no names, no operators but a sign. Bytes are texts, and so are complex numbers and `...`, which
//! have no counterpart in data. Whatever is not a literal is a text, and saying so is the caller's part.
//! Source: <https://docs.python.org/3/reference/lexical_analysis.html#literals>

use crate::value::{Map, Value};

/// Deeper texts are no literals: the evaluator recurses.
const MAX_DEPTH: usize = 64;

/// The value of a text that is a Python literal as a whole.
pub fn evaluate(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text };
    let first = reader.value(0)?;
    let value = if reader.take(',') {
        Value::List(reader.items(vec![first], None, 0)?)
    } else {
        first
    };
    reader.skip_space();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Spaces, and a comment: it reaches to the end.
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
        if self.rest.starts_with('#') {
            self.rest = "";
        }
    }

    fn take(&mut self, expected: char) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.skip_space();
        match self.rest.chars().next()? {
            '[' => {
                self.take('[');
                self.items(Vec::new(), Some(']'), depth).map(Value::List)
            }
            '(' => self.parenthesis(depth),
            '{' => self.braces(depth),
            '\'' | '"' => self.texts().map(Value::Str),
            '+' | '-' => self.signed(),
            _ if self.rest.starts_with("...") => {
                self.rest = &self.rest[3..];
                Some(Value::from("..."))
            }
            c if c.is_ascii_digit() || c == '.' => number(self.word()),
            _ => self.keyword(),
        }
    }

    /// Values up to `end`, with commas between them; `items` were read already.
    fn items(&mut self, mut items: Vec<Value>, end: Option<char>, depth: usize) -> Option<Vec<Value>> {
        loop {
            self.skip_space();
            match end {
                Some(end) if self.take(end) => return Some(items),
                None if self.rest.is_empty() => return Some(items),
                _ => items.push(self.value(depth + 1)?),
            }
            if !self.take(',') {
                let ended = match end {
                    Some(end) => self.take(end),
                    None => self.rest.is_empty(),
                };
                return ended.then_some(items);
            }
        }
    }

    /// `()` and `(1,)` are tuples, `(1)` is 1.
    fn parenthesis(&mut self, depth: usize) -> Option<Value> {
        self.take('(');
        if self.take(')') {
            return Some(Value::List(Vec::new()));
        }
        let first = self.value(depth + 1)?;
        if self.take(')') {
            return Some(first);
        }
        self.take(',')
            .then(|| self.items(vec![first], Some(')'), depth))?
            .map(Value::List)
    }

    /// A dict, or a set: that becomes a list.
    fn braces(&mut self, depth: usize) -> Option<Value> {
        self.take('{');
        if self.take('}') {
            return Some(Value::Map(Map::new()));
        }
        let first = self.value(depth + 1)?;
        if !self.take(':') {
            return if self.take(',') {
                self.items(vec![first], Some('}'), depth).map(Value::List)
            } else {
                self.take('}').then(|| Value::List(vec![first]))
            };
        }
        let mut map = Map::new();
        let mut key = first;
        loop {
            map.insert(key.to_string(), self.value(depth + 1)?);
            let more = self.take(',');
            if self.take('}') {
                return Some(Value::Map(map));
            }
            if !more {
                return None;
            }
            key = self.value(depth + 1)?;
            if !self.take(':') {
                return None;
            }
        }
    }

    /// The longest run of what names and numbers are made of.
    fn word(&mut self) -> &'a str {
        let mut end = 0;
        for (at, c) in self.rest.char_indices() {
            let exponent = matches!(c, '+' | '-')
                && self.rest[..at].ends_with(['e', 'E'])
                && !self.rest.starts_with("0x")
                && !self.rest.starts_with("0X");
            if !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.') || exponent) {
                break;
            }
            end = at + c.len_utf8();
        }
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn signed(&mut self) -> Option<Value> {
        let negative = self.rest.starts_with('-');
        self.rest = self.rest[1..].trim_start();
        match (number(self.word())?, negative) {
            (Value::Int(number), true) => Some(Value::Int(-number)),
            (Value::Float(number), true) => Some(Value::Float(-number)),
            (number, _) => Some(number),
        }
    }

    fn keyword(&mut self) -> Option<Value> {
        if matches!(
            self.rest.as_bytes(),
            [b'r' | b'R' | b'u' | b'U' | b'b' | b'B', b'\'' | b'"', ..]
        ) {
            return self.texts().map(Value::Str);
        }
        match self.word() {
            // The one way to write an empty set.
            "set" => (self.take('(') && self.take(')')).then(|| Value::List(Vec::new())),
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            "None" => Some(Value::Null),
            _ => None,
        }
    }

    /// Quoted texts; those that follow each other are one.
    fn texts(&mut self) -> Option<String> {
        let mut whole = String::new();
        loop {
            self.skip_space();
            let (raw, quoted) = match self.rest.as_bytes() {
                [b'r' | b'R', b'\'' | b'"', ..] => (true, &self.rest[1..]),
                [b'u' | b'U' | b'b' | b'B', b'\'' | b'"', ..] => (false, &self.rest[1..]),
                [b'\'' | b'"', ..] => (false, self.rest),
                _ => return Some(whole),
            };
            let long = quoted.starts_with("'''") || quoted.starts_with("\"\"\"");
            let (quote, inside) = quoted.split_at(if long { 3 } else { 1 });
            self.rest = inside;
            self.text(quote, raw, &mut whole)?;
        }
    }

    fn text(&mut self, quote: &str, raw: bool, out: &mut String) -> Option<()> {
        loop {
            if let Some(rest) = self.rest.strip_prefix(quote) {
                self.rest = rest;
                return Some(());
            }
            match self.next()? {
                '\\' if raw => {
                    out.push('\\');
                    out.push(self.next()?);
                }
                '\\' => self.escape(out)?,
                '\n' if quote.len() == 1 => return None,
                c => out.push(c),
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let c = characters.next()?;
        self.rest = characters.as_str();
        Some(c)
    }

    fn escape(&mut self, out: &mut String) -> Option<()> {
        let c = self.next()?;
        let escaped = match c {
            '\\' | '\'' | '"' => c,
            '\n' => return Some(()),
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'v' => '\x0b',
            'x' => self.code(2)?,
            'u' => self.code(4)?,
            'U' => self.code(8)?,
            '0'..='7' => {
                let mut code = c.to_digit(8)?;
                for _ in 0..2 {
                    let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else {
                        break;
                    };
                    self.next();
                    code = code * 8 + digit;
                }
                char::from_u32(code)?
            }
            other => {
                out.push('\\');
                other
            }
        };
        out.push(escaped);
        Some(())
    }

    fn code(&mut self, digits: usize) -> Option<char> {
        let hexadecimal = self.rest.get(..digits)?;
        self.rest = &self.rest[digits..];
        char::from_u32(u32::from_str_radix(hexadecimal, 16).ok()?)
    }
}

fn number(word: &str) -> Option<Value> {
    if let Some(Value::Int(_) | Value::Float(_)) = word.strip_suffix(['j', 'J']).and_then(number) {
        return Some(Value::from(word));
    }
    let radix = match word.as_bytes() {
        [b'0', b'x' | b'X', ..] => 16,
        [b'0', b'o' | b'O', ..] => 8,
        [b'0', b'b' | b'B', ..] => 2,
        _ => return decimal(word),
    };
    // After the prefix, and only there, an underscore may come first.
    let digits = word[2..].strip_prefix('_').unwrap_or(&word[2..]);
    i64::from_str_radix(&grouped(digits)?, radix).ok().map(Value::Int)
}

fn decimal(word: &str) -> Option<Value> {
    let integer = word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    if integer {
        let digits = grouped(word)?;
        let zeros = digits.bytes().all(|byte| byte == b'0');
        return (zeros || !digits.starts_with('0'))
            .then(|| digits.parse().ok().map(Value::Int))
            .flatten();
    }
    let (mantissa, exponent) = match word.find(['e', 'E']) {
        Some(at) => (&word[..at], Some(&word[at + 1..])),
        None => (word, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.map(|exponent| exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    let parts = [Some(whole), Some(fraction), exponent];
    for digits in parts.into_iter().flatten().filter(|digits| !digits.is_empty()) {
        grouped(digits)?
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then_some(())?;
    }
    if (whole.is_empty() && fraction.is_empty()) || exponent == Some("") {
        return None;
    }
    word.replace('_', "").parse().ok().map(Value::Float)
}

/// Digits without their underscores, each of which must stand between two digits.
fn grouped(digits: &str) -> Option<String> {
    let wrong =
        digits.is_empty() || digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    (!wrong).then(|| digits.replace('_', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        evaluate(text).map_or_else(|| "-".to_owned(), |value| serde_json::to_string(&value).unwrap())
    }

    #[test]
    fn evaluates_what_python_does_and_nothing_else() {
        let cases: &[(&str, &str)] = &[
            ("23", "23"),
            ("-5", "-5"),
            ("+3", "3"),
            ("- 3", "-3"),
            ("--3", "-"),
            ("1_000", "1000"),
            ("1__0", "-"),
            ("_1", "-"),
            ("1_", "-"),
            ("0o17", "15"),
            ("0x1F", "31"),
            ("0x1e+3", "-"),
            ("0b101", "5"),
            ("0o8", "-"),
            ("0644", "-"),
            ("00", "0"),
            ("9223372036854775808", "-"),
            ("1e3", "1000.0"),
            ("1.5e-1", "0.15"),
            ("1.", "1.0"),
            (".5", "0.5"),
            (".", "-"),
            ("1e", "-"),
            ("1_0.5", "10.5"),
            ("1.2.3.4", "-"),
            ("True", "true"),
            ("true", "-"),
            ("FALSE", "-"),
            ("None", "null"),
            ("yes", "-"),
            ("", "-"),
            ("foo", "-"),
            ("1+2", "-"),
            ("1+2j", "-"),
            ("b'x'", "-"),
            ("\"23\"", "\"23\""),
            ("'a' 'b'", "\"ab\""),
            ("'it\\'s\\n\\x41\\u00e9\\101'", "\"it's\\nAéA\""),
            ("r'\\n'", "\"\\\\n\""),
            ("'''a'b'''", "\"a'b\""),
            ("'open", "-"),
            ("[]", "[]"),
            ("[1, 'x', [None],]", "[1,\"x\",[null]]"),
            ("[,]", "-"),
            ("[1 2]", "-"),
            ("()", "[]"),
            ("(1)", "1"),
            ("(1,)", "[1]"),
            ("1,2", "[1,2]"),
            ("1,", "[1]"),
            ("{}", "{}"),
            ("{1, 2}", "[1,2]"),
            ("{\"a\": [1, None], 2: 'x'}", "{\"a\":[1,null],\"2\":\"x\"}"),
            ("{\"a\": true}", "-"),
            ("{'a': 1 'b': 2}", "-"),
            ("1 # one", "1"),
            ("foo # c", "-"),
        ];
        for (text, expected) in cases {
            assert_eq!(json(text), *expected, "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        assert_eq!(evaluate(&"[".repeat(100_000)), None);
    }
}

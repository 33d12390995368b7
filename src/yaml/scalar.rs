//! What an unquoted scalar means in YAML 1.1, as the loader that Ansible uses reads it.
//!
//! Timestamps stay texts: playbooks only ever print them.
//! Source: <https://yaml.org/type/>, with that loader's narrower floats (`1e3` is a text).

use crate::value::Value;

/// The value of a plain scalar.
pub fn resolve(text: &str) -> Value {
    if let Some(value) = word(text) {
        return value;
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Value::from(text);
    }
    integer(text)
        .map(Value::Int)
        .or_else(|| float(text).map(Value::Float))
        .unwrap_or_else(|| Value::from(text))
}

fn word(text: &str) -> Option<Value> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Value::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => Value::Float(f64::NAN),
        _ => return None,
    })
}

fn sign(text: &str) -> (i64, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    }
}

fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = sign(text);
    if digits.contains(':') {
        return sexagesimal(digits).map(|number| sign * number);
    }
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        [b'0'..=b'9', ..] => (10, digits),
        _ => return None,
    };
    let digits = digits.replace('_', "");
    i64::from_str_radix(&digits, radix)
        .ok()
        .filter(|_| !digits.starts_with(['+', '-']))
        .map(|number| sign * number)
}

/// `1:30:00` is 5400; no part after the first exceeds 59.
fn sexagesimal(digits: &str) -> Option<i64> {
    let mut parts = digits.split(':');
    let first = parts.next()?;
    if !first.starts_with(|c: char| matches!(c, '1'..='9')) {
        return None;
    }
    let mut number: i64 = first.replace('_', "").parse().ok()?;
    for part in parts {
        if part.is_empty() || part.len() > 2 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let part: i64 = part.parse().ok().filter(|part| *part < 60)?;
        number = number.checked_mul(60)?.checked_add(part)?;
    }
    Some(number)
}

/// A dot is needed, and a sign in the exponent.
fn float(text: &str) -> Option<f64> {
    let (_, body) = sign(text);
    let (mantissa, exponent) = match body.find(['e', 'E']) {
        Some(at) => (&body[..at], Some(&body[at + 1..])),
        None => (body, None),
    };
    let (whole, fraction) = mantissa.split_once('.')?;
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let whole_is_number = whole.is_empty() || (whole.as_bytes()[0].is_ascii_digit() && digits(whole));
    if !whole_is_number
        || !digits(fraction)
        || (whole.is_empty() && !fraction.starts_with(|c: char| c.is_ascii_digit()))
    {
        return None;
    }
    if let Some(exponent) = exponent {
        let power = exponent.strip_prefix(['+', '-'])?;
        if power.is_empty() || !power.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
    }
    text.replace('_', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_yaml_1_1() {
        let cases: &[(&str, Value)] = &[
            ("yes", true.into()),
            ("Off", false.into()),
            ("y", "y".into()),
            ("0644", 420.into()),
            ("0o644", "0o644".into()),
            ("08", "08".into()),
            ("0", 0.into()),
            ("-12", (-12).into()),
            ("1_000", 1000.into()),
            ("0x1F", 31.into()),
            ("0b101", 5.into()),
            ("22:22", 1342.into()),
            ("1:60", "1:60".into()),
            ("0:30", "0:30".into()),
            ("192.168.1.1", "192.168.1.1".into()),
            ("1.5", 1.5.into()),
            ("1.", 1.0.into()),
            (".5", 0.5.into()),
            (".", ".".into()),
            ("..", "..".into()),
            ("1e3", "1e3".into()),
            ("1.0e+3", 1000.0.into()),
            ("1.0e3", "1.0e3".into()),
            ("~", Value::Null),
            ("", Value::Null),
            ("2001-01-01", "2001-01-01".into()),
            ("-", "-".into()),
            ("+", "+".into()),
            ("0x", "0x".into()),
            ("99999999999999999999", "99999999999999999999".into()),
        ];
        for (text, expected) in cases {
            assert_eq!(&resolve(text), expected, "{text}");
        }
    }
}

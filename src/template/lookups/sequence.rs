//! `sequence`: numbers from `start=1 end=10 stride=2 count=5 format=host%02d`, or `1-10/2:host%02d`.

use super::{Answer, Lookup, Request, row};
use crate::template::error::EvalError;
use crate::value::{Map, Value};

/// A longer sequence is a mistake.
const MAX_LENGTH: i64 = 1_000_000;
/// A wider number too.
const MAX_WIDTH: usize = 1000;

pub(super) const LOOKUPS: &[Lookup] = &[row("sequence", "Numbers in order, as texts", |request| {
    if request.terms.is_empty() && request.options.is_empty() {
        return Ok(Vec::new());
    }
    if request.terms.is_empty() {
        return numbers(request, &request.options);
    }
    let mut all = Vec::new();
    for term in &request.terms {
        all.extend(numbers(request, &options(request, &term.to_string())?)?);
    }
    Ok(all)
})];

fn options(request: &Request, term: &str) -> Result<Map, EvalError> {
    if term.contains('=') {
        let mut options = request.options.clone();
        let own = |name: &str| term.contains(&format!("{name}="));
        if own("count") {
            options.shift_remove("end");
        }
        if own("end") {
            options.shift_remove("count");
        }
        for word in shell_words::split(term).unwrap_or_default() {
            let (name, value) = word.split_once('=').unwrap_or((&word, ""));
            if !["start", "end", "count", "stride", "format"].contains(&name) {
                return Err(request.fail(format!("unrecognized arguments to with_sequence: {name}")));
            }
            options.insert(name.to_owned(), value.into());
        }
        return Ok(options);
    }
    let mut options = request.options.clone();
    let mut set = |name: &str, value: &str| options.insert(name.to_owned(), value.into());
    let (range, format) = term
        .split_once(':')
        .map_or((term, None), |(range, format)| (range, Some(format)));
    let (range, stride) = range
        .split_once('/')
        .map_or((range, None), |(range, stride)| (range, Some(stride)));
    // A leading minus is the number's own.
    match range.get(1..).and_then(|rest| rest.find('-')) {
        Some(at) => {
            set("start", &range[..=at]);
            set("end", &range[at + 2..]);
        }
        None => {
            set("end", range);
        }
    }
    if let Some(stride) = stride {
        set("stride", stride);
    }
    if let Some(format) = format {
        set("format", format);
    }
    Ok(options)
}

fn number(request: &Request, options: &Map, name: &str) -> Result<Option<i64>, EvalError> {
    let Some(value) = options.get(name).filter(|value| **value != Value::Null) else {
        return Ok(None);
    };
    let text = value.to_string();
    let parsed = match text.get(..2) {
        Some("0x") => i64::from_str_radix(&text[2..], 16),
        Some("0o") => i64::from_str_radix(&text[2..], 8),
        _ => text.trim().parse(),
    };
    let parsed = parsed.map_err(|_| {
        request.fail(format!(
            "option `{name}` has an invalid value: can't parse {text} as integer"
        ))
    })?;
    Ok(Some(parsed))
}

fn numbers(request: &Request, options: &Map) -> Answer {
    let start = number(request, options, "start")?;
    let end = number(request, options, "end")?;
    let count = number(request, options, "count")?;
    let stride = number(request, options, "stride")?;
    let format = options
        .get("format")
        .map_or_else(|| "%d".to_owned(), ToString::to_string);
    let start = start.unwrap_or(1);
    let stride = stride.unwrap_or(1);
    let end = match (count, end) {
        (Some(_), Some(_)) => return Err(request.fail("can't specify both count and end in with_sequence")),
        (None, None) => return Err(request.fail("must specify count or end in with_sequence")),
        (Some(0), None) => return Ok(Vec::new()),
        // So it is with a negative stride, too: it gives two more.
        (Some(count), None) => start
            .saturating_add(count.saturating_mul(stride))
            .saturating_sub(1),
        (None, Some(end)) if stride > 0 && end < start => {
            return Err(request.fail("to count backwards make stride negative"));
        }
        (None, Some(end)) if stride < 0 && end > start => {
            return Err(request.fail("to count forward don't make stride negative"));
        }
        (None, Some(end)) => end,
    };
    if stride == 0 {
        return Ok(Vec::new());
    }
    let count = end.saturating_sub(start).saturating_div(stride).saturating_add(1);
    if count > MAX_LENGTH {
        return Err(request.fail(format!("more than {MAX_LENGTH} numbers")));
    }
    (0..count)
        .map(|index| {
            let number = start.saturating_add(index.saturating_mul(stride));
            formatted(&format, number)
                .map(Value::from)
                .ok_or_else(|| request.fail(format!("bad formatting string: {format}")))
        })
        .collect()
}

/// One `%[0][width](d|i|u|x|X|o)` in a text, and `%%`.
fn formatted(format: &str, number: i64) -> Option<String> {
    let mut out = String::new();
    let mut rest = format;
    let mut used = false;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let spec = &rest[at + 1..];
        if let Some(after) = spec.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let end = spec.find(|c: char| !c.is_ascii_digit())?;
        let zero = spec.starts_with('0');
        let width = if end == 0 {
            0
        } else {
            spec[..end].parse::<usize>().ok()?.min(MAX_WIDTH)
        };
        let digits = match spec[end..].chars().next()? {
            'd' | 'i' | 'u' | 's' => number.to_string(),
            'x' => format!("{number:x}"),
            'X' => format!("{number:X}"),
            'o' => format!("{number:o}"),
            _ => return None,
        };
        let padded = if !zero {
            format!("{digits:>width$}")
        } else if let Some(digits) = digits.strip_prefix('-') {
            format!("-{digits:0>width$}", width = width.saturating_sub(1))
        } else {
            format!("{digits:0>width$}")
        };
        out.push_str(&padded);
        rest = &spec[end + 1..];
        used = true;
    }
    used.then(|| out + rest)
}

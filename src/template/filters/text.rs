//! Filters on texts: letters, layout, splitting, quoting.

use std::fmt::Write;

use minijinja::Error;

use crate::template::call::{Call, Definition, row};
use crate::value::Value;

/// Wider than this, padding would only take memory.
const MAX_WIDTH: usize = 100_000;

pub(super) const FILTERS: &[Definition] = &[
    row("lower", "", "The text in small letters", |call| {
        Ok(call.text()?.to_lowercase().into())
    }),
    row("upper", "", "The text in capitals", |call| {
        Ok(call.text()?.to_uppercase().into())
    }),
    row(
        "title",
        "",
        "The text with a capital at the start of each word",
        title,
    ),
    row(
        "capitalize",
        "",
        "The text with one capital, at its start",
        |call| Ok(capitalized(&call.text()?).into()),
    ),
    row(
        "trim",
        "chars",
        "The text without blanks, or these characters, around it",
        trim,
    ),
    row(
        "replace",
        "old, new, count",
        "The text with one part replaced by another",
        replace,
    ),
    row("split", "split_string, maxsplit", "The parts of the text", split),
    row(
        "center",
        "width=80",
        "The text in the middle of that many columns",
        center,
    ),
    row(
        "wordwrap",
        "width=79, break_long_words=true, wrapstring",
        "The text in lines of that width",
        wordwrap,
    ),
    row("wordcount", "", "The number of words", |call| {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        Ok(call
            .text()?
            .split(|c| !word(c))
            .filter(|part| !part.is_empty())
            .count()
            .into())
    }),
    row(
        "truncate",
        "length=255, killwords=false, end='...', leeway=5",
        "The text, cut at that length",
        truncate,
    ),
    row(
        "indent",
        "width=4, first=false, blank=false",
        "The text with its lines moved to the right",
        indent,
    ),
    row(
        "comment",
        "style='plain', decoration, beginning, end, prefix, prefix_count, postfix, postfix_count, newline",
        "The text as a comment",
        comment,
    ),
    row("quote", "", "The text as one word of a shell's command", |call| {
        let text = match call.data()? {
            Value::Null => String::new(),
            other => other.to_string(),
        };
        Ok(shell_word(&text).into())
    }),
];

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first
            .to_uppercase()
            .chain(characters.as_str().to_lowercase().chars())
            .collect(),
        None => String::new(),
    }
}

fn title(call: &Call) -> Result<Value, Error> {
    let mut start = true;
    let mut out = String::new();
    for c in call.text()?.chars() {
        if start {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        // As in Jinja, an apostrophe does not end a word.
        start = c.is_whitespace() || "-({[<".contains(c);
    }
    Ok(out.into())
}

fn trim(call: &Call) -> Result<Value, Error> {
    let text = call.text()?;
    Ok(match call.string("chars")? {
        None => text.trim().into(),
        Some(characters) => text.trim_matches(|c| characters.contains(c)).into(),
    })
}

fn replace(call: &Call) -> Result<Value, Error> {
    let (old, new) = (
        call.required("old")?.to_string(),
        call.required("new")?.to_string(),
    );
    let text = call.text()?;
    Ok(match call.int("count")?.map(usize::try_from) {
        Some(Ok(count)) => text.replacen(&old, &new, count),
        _ => text.replace(&old, &new),
    }
    .into())
}

fn split(call: &Call) -> Result<Value, Error> {
    let text = call.text()?;
    let most = call.int("maxsplit")?.and_then(|most| usize::try_from(most).ok());
    let parts: Vec<&str> = match (call.string("split_string")?, most) {
        (None, None) => text.split_whitespace().collect(),
        (None, Some(most)) => {
            let mut parts = Vec::new();
            let mut rest = text.trim_start();
            while !rest.is_empty() {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                if parts.len() == most {
                    parts.push(rest);
                    break;
                }
                parts.push(&rest[..end]);
                rest = rest[end..].trim_start();
            }
            parts
        }
        (Some(separator), _) if separator.is_empty() => return Err(call.fail("empty separator")),
        (Some(separator), None) => return Ok(text.split(&separator).collect::<Vec<_>>().into()),
        (Some(separator), Some(most)) => {
            return Ok(text
                .splitn(most.saturating_add(1), &separator)
                .collect::<Vec<_>>()
                .into());
        }
    };
    Ok(parts.into())
}

fn center(call: &Call) -> Result<Value, Error> {
    let width = call.size("width", 80)?.min(MAX_WIDTH);
    let text = call.text()?;
    let spare = width.saturating_sub(text.chars().count());
    // Python puts the odd blank to the left where the width is odd.
    let left = spare / 2 + (spare & width & 1);
    Ok(format!("{}{text}{}", " ".repeat(left), " ".repeat(spare - left)).into())
}

fn wordwrap(call: &Call) -> Result<Value, Error> {
    let width = call.size("width", 79)?.max(1);
    let break_long = call.flag("break_long_words", true);
    let separator = call.string_or("wrapstring", "\n")?;
    let text = call.text()?;
    let lines: Vec<String> = text
        .lines()
        .map(|line| wrapped(line, width, break_long).join(&separator))
        .collect();
    Ok(lines.join(&separator).into())
}

fn wrapped(line: &str, width: usize, break_long: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for word in line.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        let used = current.chars().count();
        if used > 0 && used + 1 + word.len() <= width {
            current.push(' ');
            current.extend(word);
            continue;
        }
        if used > 0 {
            lines.push(std::mem::take(&mut current));
        }
        while break_long && word.len() > width {
            let rest = word.split_off(width);
            lines.push(word.into_iter().collect());
            word = rest;
        }
        current.extend(word);
    }
    if !current.is_empty() {
        lines.push(current);
    }
    lines
}

fn truncate(call: &Call) -> Result<Value, Error> {
    let length = call.size("length", 255)?;
    let leeway = call.size("leeway", 5)?;
    let end = call.string_or("end", "...")?;
    let text = call.text()?;
    let count = text.chars().count();
    if count <= length.saturating_add(leeway) {
        return Ok(text.into());
    }
    let room = length
        .checked_sub(end.chars().count())
        .ok_or_else(|| call.fail("`length` is less than the length of `end`"))?;
    let cut: String = text.chars().take(room).collect();
    let kept = match cut.rsplit_once(' ') {
        Some((words, _)) if !call.flag("killwords", false) => words,
        _ => &cut,
    };
    Ok(format!("{kept}{end}").into())
}

fn indent(call: &Call) -> Result<Value, Error> {
    let pad = match call.value("width")? {
        Some(Value::Str(pad)) => pad,
        _ => " ".repeat(call.size("width", 4)?.min(MAX_WIDTH)),
    };
    let blank = call.flag("blank", false);
    let text = call.text()?;
    let mut out = String::new();
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let wanted = if index == 0 {
            call.flag("first", false)
        } else {
            blank || !line.is_empty()
        };
        if wanted {
            out.push_str(&pad);
        }
        out.push_str(line);
    }
    Ok(out.into())
}

/// Name, decoration, beginning, end.
const COMMENTS: &[(&str, &str, &str, &str)] = &[
    ("plain", "# ", "", ""),
    ("erlang", "% ", "", ""),
    ("c", "// ", "", ""),
    ("cblock", " * ", "/*", " */"),
    ("xml", " - ", "<!--", "-->"),
];

fn comment(call: &Call) -> Result<Value, Error> {
    let style = call.string_or("style", "plain")?;
    let Some((_, decoration, beginning, end)) = COMMENTS.iter().find(|(name, ..)| *name == style) else {
        return Err(call.fail(format!("there is no comment style `{style}`")));
    };
    let newline = call.string_or("newline", "\n")?;
    let decoration = call.string_or("decoration", decoration)?;
    let beginning = call.string_or("beginning", beginning)?;
    let end = call.string_or("end", end)?;
    let bare = decoration.trim_end();
    let around = |name: &str, count: &str| -> Result<String, Error> {
        let line = call.string_or(name, bare)?;
        let count = call.size(count, 1)?.min(MAX_WIDTH);
        Ok(if line.is_empty() {
            newline.repeat(count)
        } else {
            format!("{line}{newline}").repeat(count)
        })
    };
    let prefix = around("prefix", "prefix_count")?;
    let postfix = around("postfix", "postfix_count")?;
    let text = call.text()?;
    let body: Vec<String> = text
        .split(newline.as_str())
        .map(|line| format!("{decoration}{line}").trim_end().to_owned())
        .collect();
    let mut out = String::new();
    if !beginning.is_empty() {
        let _ = write!(out, "{beginning}{newline}");
    }
    let _ = write!(out, "{prefix}{}{newline}", body.join(&newline));
    out.push_str(postfix.strip_suffix(newline.as_str()).unwrap_or(&postfix));
    if !end.is_empty() {
        let _ = write!(out, "{newline}{end}");
    }
    Ok(out.into())
}

/// Python's `shlex.quote`.
fn shell_word(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !text.is_empty() && text.chars().all(safe) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\"'\"'"))
    }
}

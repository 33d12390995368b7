//! Python's regular expressions. The `regex` crate runs them where it can; what looks around or refers back
//! goes to `fancy-regex`, which may give up on an expression that takes too long.

use minijinja::Error;

use crate::template::call::{Call, Definition, row};
use crate::value::Value;

pub(super) const FILTERS: &[Definition] = &[
    row(
        "regex_replace",
        "pattern='', replacement='', ignorecase=false, multiline=false, count=0, mandatory_count=0",
        "The text with what matches replaced",
        replace,
    ),
    row(
        "regex_search",
        "regex, *groups, ignorecase=false, multiline=false",
        "What matches, or its groups",
        search,
    ),
    row(
        "regex_findall",
        "regex, multiline=false, ignorecase=false",
        "All that matches",
        findall,
    ),
    row(
        "regex_escape",
        "re_type='python'",
        "The text as an expression that matches it",
        escape,
    ),
];

/// A compiled expression.
pub(in crate::template) enum Pattern {
    Plain(regex::Regex),
    Fancy(Box<fancy_regex::Regex>),
}

/// The groups of one match by number, and their names.
pub(in crate::template) struct Match<'t> {
    pub(in crate::template) start: usize,
    end: usize,
    groups: Vec<Option<&'t str>>,
    names: Vec<Option<String>>,
}

impl Match<'_> {
    /// A group by number or name; empty where it took no part in the match.
    fn group(&self, name: &str) -> Option<&str> {
        let index = match name.parse::<usize>() {
            Ok(index) => index,
            Err(_) => self
                .names
                .iter()
                .position(|known| known.as_deref() == Some(name))?,
        };
        self.groups.get(index).map(|group| group.unwrap_or_default())
    }
}

/// Compiles Python's spelling of an expression.
pub(in crate::template) fn compile(pattern: &str) -> Result<Pattern, String> {
    let translated = translate(pattern);
    match regex::Regex::new(&translated) {
        Ok(compiled) => Ok(Pattern::Plain(compiled)),
        Err(_) => fancy_regex::Regex::new(&translated)
            .map(|compiled| Pattern::Fancy(Box::new(compiled)))
            .map_err(|error| {
                // Python's words for the mistake that is made most.
                let error = error
                    .to_string()
                    .replace("Target of repeat operator is invalid", "nothing to repeat");
                format!("`{pattern}` is not a valid regular expression: {error}")
            }),
    }
}

/// `\Z` is the end of the text, `(?P=x)` refers back; `{` that starts no count is itself.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    let mut in_class = false;
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some('Z') => out.push_str(r"\z"),
                // Python escapes anything; the crate refuses letters it does not know, and some marks.
                Some(mark) if "/'\"<>,;:=!@%`_ ".contains(mark) => out.push(mark),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            '[' if in_class => out.push_str(r"\["),
            '[' => {
                in_class = true;
                out.push('[');
                if rest.as_str().starts_with('^') {
                    rest.next();
                    out.push('^');
                }
                if rest.as_str().starts_with(']') {
                    rest.next();
                    out.push_str(r"\]");
                }
            }
            ']' => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => out.extend(['\\', c]),
            '{' if !in_class && !starts_count(rest.as_str()) => out.push_str(r"\{"),
            '}' if !in_class && !ends_count(&out) => out.push_str(r"\}"),
            other => out.push(other),
        }
    }
    out
}

fn starts_count(rest: &str) -> bool {
    rest.split_once('}').is_some_and(|(count, _)| {
        count.starts_with(|c: char| c.is_ascii_digit() || c == ',')
            && count.chars().all(|c| c.is_ascii_digit() || c == ',')
    })
}

fn ends_count(out: &str) -> bool {
    out.rfind('{').is_some_and(|at| {
        !out[..at].ends_with('\\') && out[at + 1..].chars().all(|c| c.is_ascii_digit() || c == ',')
    }) || out.rfind("\\p{").is_some_and(|at| !out[at..].contains('}'))
}

impl Pattern {
    /// The first match from `start` on. One that takes too long counts as none.
    pub(in crate::template) fn find_at<'t>(&self, text: &'t str, start: usize) -> Option<Match<'t>> {
        match self {
            Self::Plain(regex) => {
                let captures = regex.captures_at(text, start)?;
                let whole = captures.get(0)?;
                Some(Match {
                    start: whole.start(),
                    end: whole.end(),
                    groups: captures
                        .iter()
                        .map(|group| group.map(|group| group.as_str()))
                        .collect(),
                    names: regex
                        .capture_names()
                        .map(|name| name.map(str::to_owned))
                        .collect(),
                })
            }
            Self::Fancy(regex) => {
                let captures = regex.captures_from_pos(text, start).ok()??;
                let whole = captures.get(0)?;
                Some(Match {
                    start: whole.start(),
                    end: whole.end(),
                    groups: (0..captures.len())
                        .map(|index| captures.get(index).map(|group| group.as_str()))
                        .collect(),
                    names: regex
                        .capture_names()
                        .map(|name| name.map(str::to_owned))
                        .collect(),
                })
            }
        }
    }

    /// All matches that do not overlap; at most `count`, unless that is zero.
    fn find_all<'t>(&self, text: &'t str, count: usize) -> Vec<Match<'t>> {
        let mut found = Vec::new();
        let mut at = 0;
        while at <= text.len() && (count == 0 || found.len() < count) {
            let Some(matched) = self.find_at(text, at) else {
                break;
            };
            let (start, end) = (matched.start, matched.end);
            found.push(matched);
            at = if end > start {
                end
            } else {
                end + text[end..].chars().next().map_or(1, char::len_utf8)
            };
        }
        found
    }

    pub(in crate::template) fn replace_all(
        &self,
        text: &str,
        count: usize,
        with: &dyn Fn(&Match) -> String,
    ) -> String {
        let mut out = String::new();
        let mut done = 0;
        for matched in self.find_all(text, count) {
            out.push_str(&text[done..matched.start]);
            out.push_str(&with(&matched));
            done = matched.end;
        }
        out + &text[done..]
    }
}

/// The expression with `ignorecase` and `multiline` as its flags.
pub(in crate::template) fn with_flags(call: &Call, pattern: &str) -> Result<Pattern, Error> {
    let flags = [("ignorecase", 'i'), ("multiline", 'm')];
    let flags: String = flags
        .iter()
        .filter(|(name, _)| call.flag(name, false))
        .map(|(_, flag)| *flag)
        .collect();
    let pattern = if flags.is_empty() {
        pattern.to_owned()
    } else {
        format!("(?{flags}){pattern}")
    };
    compile(&pattern).map_err(|message| call.fail(message))
}

fn replace(call: &Call) -> Result<Value, Error> {
    let pattern = with_flags(call, &call.string_or("pattern", "")?)?;
    let replacement = call.string_or("replacement", "")?;
    let text = call.text()?;
    let count = call.size("count", 0)?;
    let wanted = call.size("mandatory_count", 0)?;
    if wanted > 0 && pattern.find_all(&text, count).len() != wanted {
        return Err(call.fail(format!(
            "the expression should match {wanted} times, and does not"
        )));
    }
    Ok(pattern
        .replace_all(&text, count, &|matched| expand(matched, &replacement))
        .into())
}

/// `\1`, `\g<1>` and `\g<name>` in a replacement; `\n` and the like.
fn expand(matched: &Match, replacement: &str) -> String {
    let mut out = String::new();
    let mut rest = replacement;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let digits = after.bytes().take(2).take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            out.push_str(matched.group(&after[..digits]).unwrap_or_default());
            rest = &after[digits..];
        } else if let Some((name, after)) = after.strip_prefix("g<").and_then(|inside| inside.split_once('>'))
        {
            out.push_str(matched.group(name).unwrap_or_default());
            rest = after;
        } else {
            let mut characters = after.chars();
            match characters.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some('\\') | None => out.push('\\'),
                Some(other) => out.extend(['\\', other]),
            }
            rest = characters.as_str();
        }
    }
    out + rest
}

fn search(call: &Call) -> Result<Value, Error> {
    let pattern = with_flags(call, &call.required("regex")?.to_string())?;
    let text = call.text()?;
    let mut names = Vec::new();
    for group in call.rest()? {
        let group = group.to_string();
        let name = group
            .strip_prefix("\\g<")
            .and_then(|name| name.strip_suffix('>'))
            .or_else(|| group.strip_prefix('\\'))
            .ok_or_else(|| {
                call.fail(format!(
                    "unknown argument `{group}`: groups are '\\1' or '\\g<name>'"
                ))
            })?;
        names.push(name.to_owned());
    }
    let Some(matched) = pattern.find_at(&text, 0) else {
        return Ok(Value::Null);
    };
    if names.is_empty() {
        return Ok(matched.group("0").unwrap_or_default().into());
    }
    let mut groups = Vec::new();
    for name in names {
        let group = matched
            .group(&name)
            .ok_or_else(|| call.fail(format!("the expression has no group `{name}`")))?;
        groups.push(Value::from(group));
    }
    Ok(groups.into())
}

fn findall(call: &Call) -> Result<Value, Error> {
    let pattern = with_flags(call, &call.required("regex")?.to_string())?;
    let text = call.text()?;
    let shown = |matched: &Match| match matched.groups.as_slice() {
        [whole] | [_, whole] => Value::from(whole.unwrap_or_default()),
        groups => groups[1..]
            .iter()
            .map(|group| group.unwrap_or_default())
            .collect::<Vec<_>>()
            .into(),
    };
    Ok(Value::List(
        pattern.find_all(&text, 0).iter().map(shown).collect(),
    ))
}

fn escape(call: &Call) -> Result<Value, Error> {
    let marks = match call.string_or("re_type", "python")?.as_str() {
        "python" => "()[]{}?*+-|^$\\.&~# \t\n\r\u{b}\u{c}",
        "posix_basic" => "[].^$*\\",
        other => return Err(call.fail(format!("there is no expression type `{other}`"))),
    };
    let mut out = String::new();
    for c in call.text()?.chars() {
        if marks.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    Ok(out.into())
}

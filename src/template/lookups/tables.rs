//! Lookups in files of records: `csvfile` and `ini`.

use super::{Answer, Lookup, Request, row};
use crate::template::error::EvalError;
use crate::template::filters::regexes;
use crate::value::{Map, Value};

pub(super) const LOOKUPS: &[Lookup] = &[
    row("csvfile", "A column of the row that starts with a key", csvfile),
    row("ini", "The values of keys in INI files", ini),
];

fn text(options: &Map, name: &str, default: &str) -> String {
    match options.get(name) {
        None | Some(Value::Null) => default.to_owned(),
        Some(value) => value.to_string(),
    }
}

fn csvfile(request: &Request) -> Answer {
    let mut found = Vec::new();
    for term in &request.terms {
        let known = ["file", "delimiter", "col", "keycol", "default", "encoding"];
        let (key, options) = request.keyed(&term.to_string(), &known)?;
        if key.is_empty() {
            return Err(request.fail("Search key is required but was not found"));
        }
        let path = request.find("files", &text(&options, "file", "ansible.csv"))?;
        let contents = request.read_as(&path, &text(&options, "encoding", "utf-8"))?;
        let delimiter = match text(&options, "delimiter", "TAB").as_str() {
            "TAB" | "\\t" => '\t',
            other => other.chars().next().unwrap_or('\t'),
        };
        let column = |name: &str, default: &str| {
            text(&options, name, default)
                .parse::<usize>()
                .map_err(|_| request.fail(format!("option `{name}` has an invalid value: it is no number")))
        };
        let (keys, values) = (column("keycol", "0")?, column("col", "1")?);
        let records: Vec<Vec<String>> = contents.lines().map(|line| fields(line, delimiter)).collect();
        let matching = records.iter().find(|record| record.get(keys) == Some(&key));
        match matching.map(|record| record.get(values)) {
            Some(Some(field)) => found.push(field.as_str().into()),
            Some(None) => return Err(request.fail(format!("the row of `{key}` has no column {values}"))),
            None => match options.get("default").cloned() {
                Some(Value::List(several)) => found.extend(several),
                default => found.extend(default),
            },
        }
    }
    if request.terms.is_empty() {
        return Err(request.fail("Search key is required but was not found"));
    }
    Ok(found)
}

/// RFC 4180's fields of a line; a quoted field may not span lines.
fn fields(line: &str, delimiter: char) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        let Some(field) = fields.last_mut() else { break };
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            c if c == delimiter && !quoted => fields.push(String::new()),
            c => field.push(c),
        }
    }
    fields
}

/// The options of `ini` that may stand in a term.
const INI_OPTIONS: &[&str] = &[
    "section",
    "file",
    "type",
    "default",
    "re",
    "encoding",
    "allow_no_value",
    "allow_none",
    "case_sensitive",
    "interpolation",
];

/// A term's key and options; a term with nothing but options belongs to the key before it.
fn ini_terms(request: &Request) -> Result<Vec<(String, Map)>, EvalError> {
    let mut keys: Vec<(String, Map)> = Vec::new();
    for term in &request.terms {
        let term = term.to_string();
        // Without options a key may hold anything, blanks and expressions too.
        let inline = term.split_whitespace().any(|word| {
            word.split_once('=')
                .is_some_and(|(name, _)| INI_OPTIONS.contains(&name))
        });
        let (key, options) = if inline || (term.contains('=') && !term.contains(' ')) {
            request.keyed(&term, INI_OPTIONS)?
        } else {
            (term, request.options.clone())
        };
        match keys.last_mut() {
            Some((_, known)) if key.is_empty() => known.extend(options),
            None if key.is_empty() => {
                return Err(
                    request.fail("No key to look up was provided as first term within string inline options")
                );
            }
            _ => keys.push((key, options)),
        }
    }
    Ok(keys)
}

fn ini(request: &Request) -> Answer {
    let mut found = Vec::new();
    for (key, options) in ini_terms(request)? {
        let is = |name: &str| options.get(name).is_some_and(crate::template::filters::truth);
        let path = request.find("files", &text(&options, "file", "ansible.ini"))?;
        let properties = text(&options, "type", "ini") == "properties";
        let section = if properties {
            String::new()
        } else {
            text(&options, "section", "global")
        };
        let reading = Reading {
            bare_keys: is("allow_no_value") || is("allow_none"),
            case: is("case_sensitive"),
        };
        let contents = request.read_as(&path, &text(&options, "encoding", "utf-8"))?;
        let mut entries = entries(&contents, &section, &reading).map_err(|message| request.fail(message))?;
        if options
            .get("interpolation")
            .is_none_or(crate::template::filters::truth)
            && !properties
        {
            interpolate(&mut entries);
        }
        if is("re") {
            let pattern = regexes::compile(&key).map_err(|message| request.fail(message))?;
            let matching = entries
                .into_iter()
                .filter(|(name, _)| pattern.find_at(name, 0).is_some_and(|m| m.start == 0));
            found.extend(matching.map(|(_, value)| Value::from(value)));
            continue;
        }
        let key = reading.named(&key);
        match entries.into_iter().find(|(name, _)| *name == key) {
            // A key that stands alone has no value.
            Some((_, None)) => {}
            Some((_, value)) => found.push(value.into()),
            None => found.push(options.get("default").cloned().unwrap_or_else(|| "".into())),
        }
    }
    Ok(found)
}

/// How deep values may refer to values.
const MAX_INTERPOLATIONS: usize = 10;

/// Puts the values of other keys in for `%(key)s`, and `%` for `%%`. What is no key stays as it is.
fn interpolate(entries: &mut [(String, Option<String>)]) {
    let known: Vec<(String, String)> = entries
        .iter()
        .filter_map(|(name, value)| Some((format!("%({name})s"), value.clone()?)))
        .collect();
    for value in entries.iter_mut().filter_map(|(_, value)| value.as_mut()) {
        for _ in 0..MAX_INTERPOLATIONS {
            let Some((part, other)) = known.iter().find(|(part, _)| value.contains(part)) else {
                break;
            };
            *value = value.replace(part, other);
        }
        *value = value.replace("%%", "%");
    }
}

/// How an INI file is read.
struct Reading {
    /// A key may stand without a value.
    bare_keys: bool,
    /// Keys that differ in case differ.
    case: bool,
}

impl Reading {
    fn named(&self, key: &str) -> String {
        if self.case {
            key.to_owned()
        } else {
            key.to_lowercase()
        }
    }
}

/// The keys and values of a section; the empty one is what precedes the first.
fn entries(
    contents: &str,
    section: &str,
    reading: &Reading,
) -> Result<Vec<(String, Option<String>)>, String> {
    let mut current = String::new();
    let mut there = section.is_empty();
    let mut entries: Vec<(String, Option<String>)> = Vec::new();
    for line in contents.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut current);
            there |= current == section;
            continue;
        }
        if current != section {
            continue;
        }
        match entries.last_mut() {
            // An indented line goes on with the value before it.
            Some((_, Some(value))) if line.starts_with([' ', '\t']) => {
                value.push('\n');
                value.push_str(trimmed);
            }
            _ => {
                let (name, value) = match trimmed.split_once(['=', ':']) {
                    Some((name, value)) => (name, Some(value.trim().to_owned())),
                    None if reading.bare_keys => (trimmed, None),
                    None => return Err(format!("the line `{trimmed}` has a key without a value")),
                };
                let name = reading.named(name.trim());
                if entries.iter().any(|(known, _)| *known == name) {
                    return Err(format!("Duplicate option in section '{section}': {name}"));
                }
                entries.push((name, value));
            }
        }
    }
    if there {
        Ok(entries)
    } else {
        Err(format!("No section '{section}'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_records() {
        assert_eq!(fields(r#"a,"b ""c"", d",e"#, ','), ["a", "b \"c\", d", "e"]);
        let contents = "top = 1\n[web]\nuser: bob\n# no\nlong = a\n  b\n[db]\nuser = eve\n";
        let reading = Reading {
            bare_keys: false,
            case: false,
        };
        let read = |section: &str| {
            let entries = entries(contents, section, &reading)?;
            Ok::<_, String>(
                entries
                    .into_iter()
                    .map(|(key, value)| format!("{key}={}", value.unwrap_or_default()))
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(read("").unwrap(), ["top=1"]);
        assert_eq!(read("web").unwrap(), ["user=bob", "long=a\nb"]);
        assert_eq!(read("nope").unwrap_err(), "No section 'nope'");
        let twice = super::entries("A=1\na=2\n", "", &reading).unwrap_err();
        assert!(twice.starts_with("Duplicate option in"));
    }
}

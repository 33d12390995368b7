//! Lookups in files of records: `csvfile` and `ini`.

use super::{Answer, Lookup, Request, row};
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
        let (key, options) = request.inline(&term.to_string(), &known);
        let path = request.find("files", &text(&options, "file", "ansible.csv"))?;
        let contents = request.read(&path)?;
        let delimiter = match text(&options, "delimiter", "TAB").as_str() {
            "TAB" | "\\t" => '\t',
            other => other.chars().next().unwrap_or('\t'),
        };
        let column = |name: &str, default: &str| {
            text(&options, name, default)
                .parse::<usize>()
                .map_err(|_| request.fail(format!("`{name}` must be a number")))
        };
        let (keys, values) = (column("keycol", "0")?, column("col", "1")?);
        let records: Vec<Vec<String>> = contents.lines().map(|line| fields(line, delimiter)).collect();
        let matching = records.iter().find(|record| record.get(keys) == Some(&key));
        match matching.map(|record| record.get(values)) {
            Some(Some(field)) => found.push(field.as_str().into()),
            Some(None) => return Err(request.fail(format!("the row of `{key}` has no column {values}"))),
            None => found.extend(options.get("default").cloned()),
        }
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

fn ini(request: &Request) -> Answer {
    let mut found = Vec::new();
    for term in &request.terms {
        let known = [
            "section",
            "file",
            "type",
            "default",
            "re",
            "encoding",
            "allow_no_value",
            "case_sensitive",
        ];
        let (key, options) = request.inline(&term.to_string(), &known);
        let path = request.find("files", &text(&options, "file", "ansible.ini"))?;
        let properties = text(&options, "type", "ini") == "properties";
        let section = if properties {
            String::new()
        } else {
            text(&options, "section", "global")
        };
        let entries = entries(&request.read(&path)?, &section);
        if options.get("re").is_some_and(crate::template::filters::truth) {
            let pattern = regexes::compile(&key).map_err(|message| request.fail(message))?;
            let matching = entries
                .into_iter()
                .filter(|(name, _)| pattern.find_at(name, 0).is_some_and(|m| m.start == 0));
            found.extend(matching.map(|(_, value)| Value::from(value)));
            continue;
        }
        let value = entries
            .into_iter()
            .rev()
            .find(|(name, _)| name.eq_ignore_ascii_case(&key));
        found.push(match value {
            Some((_, value)) => value.into(),
            None => options.get("default").cloned().unwrap_or_else(|| "".into()),
        });
    }
    Ok(found)
}

/// The keys and values of a section; the empty one is what precedes the first.
fn entries(contents: &str, section: &str) -> Vec<(String, String)> {
    let mut current = String::new();
    let mut entries: Vec<(String, String)> = Vec::new();
    for line in contents.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut current);
            continue;
        }
        if current != section {
            continue;
        }
        match entries.last_mut() {
            // An indented line goes on with the value before it.
            Some((_, value)) if line.starts_with([' ', '\t']) => {
                value.push('\n');
                value.push_str(trimmed);
            }
            _ => {
                let (name, value) = trimmed.split_once(['=', ':']).unwrap_or((trimmed, ""));
                entries.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_records() {
        assert_eq!(fields(r#"a,"b ""c"", d",e"#, ','), ["a", "b \"c\", d", "e"]);
        let contents = "top = 1\n[web]\nuser: bob\n# no\nlong = a\n  b\n[db]\nuser = eve\n";
        assert_eq!(entries(contents, ""), [("top".to_owned(), "1".to_owned())]);
        assert_eq!(
            entries(contents, "web"),
            [
                ("user".to_owned(), "bob".to_owned()),
                ("long".to_owned(), "a\nb".to_owned())
            ]
        );
    }
}

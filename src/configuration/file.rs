//! The form of configuration files: sections, and keys with values, as Python's `configparser` reads them with
//! `;` for comments at the end of lines. From a text to entries; it knows no settings and reads no file.

use std::collections::HashSet;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};

/// One key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub section: String,
    /// In lower case.
    pub key: String,
    pub key_span: Span,
    /// Lines that continue it are behind line breaks.
    pub value: String,
    pub value_span: Span,
}

const FORM: &str = "a file of settings looks like `[defaults]` and, below it, `forks = 10`";

/// Reads a whole file.
pub fn parse(source: &Arc<Source>) -> Result<Vec<Entry>, Diagnostic> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut section: Option<String> = None;
    let mut seen = HashSet::new();
    // How far the last key is indented: lines that are indented further continue its value.
    let mut indent = None;
    let mut start = 0;
    for line in source.text().split_inclusive('\n') {
        let begin = start;
        start += line.len();
        let text = without_comment(line).trim_end();
        let body = text.trim_start();
        let margin = text.len() - body.len();
        if body.is_empty() {
            continue;
        }
        let span = Span::new(source, begin + margin, begin + text.len());
        if let (Some(indent), Some(last)) = (indent, entries.last_mut())
            && margin > indent
        {
            last.value.push('\n');
            last.value.push_str(body);
            last.value_span = Span::new(source, last.value_span.start(), span.end());
            continue;
        }
        if let Some(name) = body.strip_prefix('[') {
            let (name, _) = name.split_once(']').ok_or_else(|| {
                Diagnostic::error("a section is opened here and never closed")
                    .at(&span)
                    .hint(FORM)
            })?;
            if !seen.insert((name.to_owned(), String::new())) {
                return Err(Diagnostic::error(format!("the section `{name}` is there twice")).at(&span));
            }
            section = Some(name.to_owned());
            indent = None;
            continue;
        }
        let Some(section) = &section else {
            return Err(Diagnostic::error("this belongs to no section")
                .at(&span)
                .hint(FORM));
        };
        let Some(delimiter) = body.find(['=', ':']).filter(|at| *at > 0) else {
            return Err(
                Diagnostic::error("this is neither a section nor a key with a value")
                    .at(&span)
                    .hint(FORM),
            );
        };
        let key_text = body[..delimiter].trim_end();
        let value = body[delimiter + 1..].trim_start();
        let key_span = span.part(0, key_text.len());
        let key = key_text.to_lowercase();
        if !seen.insert((section.clone(), key.clone())) {
            return Err(
                Diagnostic::error(format!("`{key}` is set twice in the section `{section}`")).at(&key_span),
            );
        }
        indent = Some(margin);
        entries.push(Entry {
            section: section.clone(),
            key,
            key_span,
            value: value.to_owned(),
            value_span: span.part(body.len() - value.len(), body.len()),
        });
    }
    Ok(entries)
}

/// A line up to its comment: `#` and `;` at its start, ` ;` further on.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with(['#', ';']) {
        return "";
    }
    let comment = line
        .match_indices(';')
        .find(|(at, _)| line[..*at].ends_with(char::is_whitespace));
    comment.map_or(line, |(at, _)| &line[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String, String)> {
        let entries = parse(&Source::new("ansible.cfg", text)).unwrap();
        entries
            .into_iter()
            .map(|entry| (entry.section, entry.key, entry.value))
            .collect()
    }

    fn error(text: &str) -> String {
        parse(&Source::new("ansible.cfg", text))
            .unwrap_err()
            .render(false)
    }

    #[test]
    fn reads_what_configparser_reads() {
        let entry = |section: &str, key: &str, value: &str| (section.into(), key.into(), value.into());
        assert_eq!(
            read(
                "# c\n; c\n[defaults]\nForks = 7 ; many\ninventory: a,\n  b # kept\n\nurl=a;b\nempty =\n[ssh_connection]\nx = y=z\n"
            ),
            [
                entry("defaults", "forks", "7"),
                entry("defaults", "inventory", "a,\nb # kept"),
                entry("defaults", "url", "a;b"),
                entry("defaults", "empty", ""),
                entry("ssh_connection", "x", "y=z"),
            ]
        );
    }

    #[test]
    fn knows_places() {
        let entries = parse(&Source::new("f", "[a]\n  key = value ; x\n")).unwrap();
        assert_eq!(entries[0].key_span.text(), "key");
        assert_eq!(entries[0].value_span.text(), "value");
        assert_eq!(entries[0].value_span.to_string(), "f:2:9");
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        insta::assert_snapshot!(error("forks = 5\n"), @r"
        error: this belongs to no section
         --> ansible.cfg:1:1
          |
        1 | forks = 5
          | ^^^^^^^^^
          |
          = help: a file of settings looks like `[defaults]` and, below it, `forks = 10`
        ");
        insta::assert_snapshot!(error("[defaults\n"), @r"
        error: a section is opened here and never closed
         --> ansible.cfg:1:1
          |
        1 | [defaults
          | ^^^^^^^^^
          |
          = help: a file of settings looks like `[defaults]` and, below it, `forks = 10`
        ");
        insta::assert_snapshot!(error("[defaults]\nforks\n"), @r"
        error: this is neither a section nor a key with a value
         --> ansible.cfg:2:1
          |
        2 | forks
          | ^^^^^
          |
          = help: a file of settings looks like `[defaults]` and, below it, `forks = 10`
        ");
        insta::assert_snapshot!(error("[defaults]\nforks = 1\nForks = 2\n"), @r"
        error: `forks` is set twice in the section `defaults`
         --> ansible.cfg:3:1
          |
        3 | Forks = 2
          | ^^^^^
        ");
        insta::assert_snapshot!(error("[a]\n[a]\n"), @r"
        error: the section `a` is there twice
         --> ansible.cfg:2:1
          |
        2 | [a]
          | ^^^
        ");
    }
}

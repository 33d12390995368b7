//! Diagnostics in the words of Ansible's output: what failed, its origin with two lines before it, and what that
//! was caused by.

use std::path::Path;

use crate::diagnostic::{Diagnostic, led_by};
use crate::source::Span;

/// A line of a file is shown to this width, its number included.
const WIDTH: usize = 120;
const CUT: &str = "...";

/// Lines shown before the one that is meant.
const CONTEXT: usize = 2;

/// The text: one line, or several with an empty line at the end.
pub fn told(diagnostic: &Diagnostic) -> String {
    let steps = steps(diagnostic);
    let mut text = String::new();
    if steps.len() > 1 {
        text.push_str(&diagnostic.whole_message());
        text.push_str("\n\n");
    }
    let last = steps.len() - 1;
    for (index, (message, span)) in steps.into_iter().enumerate() {
        if index > 0 {
            text.push_str("\n<<< caused by >>>\n\n");
        }
        text.push_str(&message);
        text.push('\n');
        if let Some(span) = span {
            text.push_str(&origin(&span));
        }
        if index == last {
            let hints = &diagnostic.hints;
            if let ([hint], 1, None) = (hints.as_slice(), text.lines().count(), &diagnostic.span) {
                text = format!("{} {hint}\n", text.trim_end());
            } else if !hints.is_empty() {
                text.push_str(&format!("\n{}\n", hints.join("\n")));
            }
        }
    }
    let text = text.trim();
    let end = if text.contains('\n') { "\n\n" } else { "\n" };
    format!("{text}{end}")
}

/// From what failed to why, each with its place; what has the same place is one step.
fn steps(diagnostic: &Diagnostic) -> Vec<(String, Option<Span>)> {
    let places = diagnostic.failed.iter().rev().chain(diagnostic.trail.iter().rev());
    let mut steps: Vec<(String, Option<Span>)> = Vec::new();
    let own = (&diagnostic.message, diagnostic.span.as_ref());
    for (message, span) in places
        .map(|(message, span)| (message, Some(span)))
        .chain([own])
    {
        match steps.last_mut() {
            Some((before, place)) if same(place.as_ref(), span) => *before = led_by(before, message),
            Some((before, _)) => {
                if !before.ends_with(['.', '!', '?']) {
                    before.push('.');
                }
                steps.push((message.clone(), span.cloned()));
            }
            None => steps.push((message.clone(), span.cloned())),
        }
    }
    steps
}

/// A step without a place belongs to the one before it.
fn same(one: Option<&Span>, other: Option<&Span>) -> bool {
    other.is_none() || one == other
}

/// `Origin: FILE:LINE:COLUMN`, the line and what is before it, and a caret.
fn origin(span: &Span) -> String {
    let source = span.source();
    let position = source.position(span.start());
    let mut text = format!(
        "Origin: {}:{}:{}\n\n",
        absolute(source.name()),
        position.line,
        position.column
    );
    let label = position.line.to_string().len();
    let room = WIDTH - label - 1;
    let first = position.line.saturating_sub(CONTEXT + 1);
    let mut usable = room;
    let lines = source.text().lines().enumerate();
    for (index, line) in lines.skip(first).take(position.line - first) {
        let mut line = line.replace('\t', " ");
        if line.chars().count() > room {
            line = line.chars().take(room - CUT.len()).collect::<String>() + CUT;
            usable = room - CUT.len();
        }
        let space = if line.is_empty() { "" } else { " " };
        text.push_str(&format!("{:>label$}{space}{line}\n", index + 1));
    }
    if position.column <= usable {
        let before = position.column - 1;
        let marker = format!("column {}", position.column);
        let gap = " ".repeat(label + 1);
        if before + 2 + marker.len() > room {
            let spaces = " ".repeat(before.saturating_sub(marker.len() + 1));
            text.push_str(&format!("{gap}{spaces}{marker} ^\n"));
        } else {
            text.push_str(&format!("{gap}{}^ {marker}\n", " ".repeat(before)));
        }
    }
    text
}

/// A file's name from the root; the name of anything else as it is.
pub fn absolute(name: &str) -> String {
    if name.starts_with('<') {
        return name.to_owned();
    }
    std::path::absolute(Path::new(name)).map_or_else(|_| name.to_owned(), |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    fn place(text: &str, wanted: &str) -> Span {
        let source = Source::new("/site.yml", text);
        let start = text.find(wanted).unwrap();
        Span::new(&source, start, start + wanted.len())
    }

    #[test]
    fn one_place_is_one_step() {
        let task = place("- hosts: all\n  tasks:\n\n    - fail:\n", "fail");
        let error = Diagnostic::error("no reason")
            .failing("Action failed", &task)
            .failing("Task failed", &task)
            .at(&task);
        insta::assert_snapshot!(told(&error), @r"
        Task failed: Action failed: no reason
        Origin: /site.yml:4:7

        2   tasks:
        3
        4     - fail:
                ^ column 7
        ");
    }

    #[test]
    fn causes_follow_one_another() {
        let text = "- debug:\n    msg: '{{ x }}'\n";
        let error = Diagnostic::error("'x' is undefined")
            .at(&place(text, "x }}"))
            .hint("say what `x` is")
            .failing("Task failed", &place(text, "debug"));
        insta::assert_snapshot!(told(&error), @r"
        Task failed: 'x' is undefined

        Task failed.
        Origin: /site.yml:1:3

        1 - debug:
            ^ column 3

        <<< caused by >>>

        'x' is undefined
        Origin: /site.yml:2:14

        1 - debug:
        2     msg: '{{ x }}'
                       ^ column 14

        say what `x` is
        ");
    }

    #[test]
    fn what_has_no_place_is_one_line() {
        assert_eq!(told(&Diagnostic::error("x")), "x\n");
        assert_eq!(told(&Diagnostic::error("x").hint("do y")), "x do y\n");
    }

    #[test]
    fn long_lines_are_cut() {
        let line = format!("{}here{}", "x".repeat(112), "y".repeat(20));
        let shown = origin(&place(&line, "here"));
        let lines: Vec<&str> = shown.lines().skip(2).collect();
        assert_eq!(lines[0].len(), WIDTH);
        assert!(lines[0].ends_with("her..."), "{shown}");
        assert!(lines[1].ends_with("column 113 ^"), "{shown}");
    }
}

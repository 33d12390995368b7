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
                text = format!("{}\n", led_by(text.trim_end(), hint));
            } else if !hints.is_empty() {
                text.push_str(&format!("\n{}\n", hints.join("\n")));
            }
        }
    }
    let text = text.trim();
    let end = if text.contains('\n') { "\n\n" } else { "\n" };
    format!("{text}{end}")
}

/// A part of the message, and where that is.
type Step = (String, Option<Span>);

/// From what failed to why; what is at the same place, or inside of it, is one step.
fn steps(diagnostic: &Diagnostic) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (what, span) in diagnostic.failed.iter().rev() {
        add(&mut steps, Some(what), what, Some(span));
    }
    for (note, span) in diagnostic.trail.iter().rev() {
        add(&mut steps, None, note, Some(span));
    }
    let message = &diagnostic.message;
    add(&mut steps, Some(message), message, diagnostic.span.as_ref());
    steps
}

/// `also` goes on in a step that is there, `alone` starts a new one.
fn add(steps: &mut Vec<Step>, also: Option<&String>, alone: &str, span: Option<&Span>) {
    if let Some((before, place)) = steps.last_mut() {
        let inside = |inner: &Span| {
            place
                .as_ref()
                .is_some_and(|outer| outer.contains(inner) || same_start(outer, inner))
        };
        if span.is_none_or(inside) {
            if let Some(also) = also {
                *before = led_by(before, also);
            }
            if span.is_some() {
                *place = span.cloned();
            }
            return;
        }
        if !before.ends_with(['.', '!', '?']) {
            before.push('.');
        }
    }
    steps.push((alone.to_owned(), span.cloned()));
}

/// Whether two places are shown as the same one.
fn same_start(one: &Span, other: &Span) -> bool {
    std::sync::Arc::ptr_eq(one.source(), other.source()) && one.start() == other.start()
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
    if source.is_confidential() {
        text.push_str("(source not shown: content encrypted)\n");
        return text;
    }
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
    fn the_narrowest_place_is_shown() {
        let text = "- debug: msg={{ a.x }}\n";
        let source = Source::new("/site.yml", text);
        let place = |wanted: &str| {
            let start = text.find(wanted).unwrap();
            Span::new(&source, start, start + wanted.len())
        };
        let error = Diagnostic::error("'x' is undefined")
            .at(&place("x"))
            .via("needed for `a`", &place("a.x"))
            .failing("Error while resolving value for 'msg'", &place("{{ a.x }}"));
        insta::assert_snapshot!(told(&error), @r"
        Error while resolving value for 'msg': 'x' is undefined
        Origin: /site.yml:1:19

        1 - debug: msg={{ a.x }}
                            ^ column 19
        ");
    }

    #[test]
    fn what_has_no_place_is_one_line() {
        assert_eq!(told(&Diagnostic::error("x")), "x\n");
        assert_eq!(told(&Diagnostic::error("x").hint("do y")), "x: do y\n");
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

//! What is shown when something in a user's file is wrong: severity, message, the place with a caret,
//! a trail of how one got there, and hints.
//!
//! Style: lower case, no trailing period, legible without colour; a hint says what to do and is kept
//! apart from the error. Rendering is [`annotate_snippets`]'s.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::secrets;
use crate::source::Span;

/// How grave a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

/// One finding about one place. Build it with [`Diagnostic::error`] and the `with_*` methods.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    pub severity: Severity,
    pub message: String,
    /// Where it is; none for what concerns the command line or the machine.
    pub span: Option<Span>,
    /// A few words under the caret.
    pub label: Option<String>,
    /// What failed because of this ("Task failed"), and where, nearest first: the message goes on from there.
    pub failed: Vec<(String, Span)>,
    /// Other places that led here ("included here"), nearest first.
    pub trail: Vec<(String, Span)>,
    /// What to do, each a line of its own.
    pub hints: Vec<String>,
    pub cause: Cause,
}

/// What kind of fault it is, where that decides how the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cause {
    #[default]
    Other,
    /// What is named here is not there; all that was read is as it should be.
    Missing,
    /// What was read cannot be understood: no YAML, or a keyword that comes to nothing.
    Malformed,
}

impl Diagnostic {
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            span: None,
            label: None,
            failed: Vec::new(),
            trail: Vec::new(),
            hints: Vec::new(),
            cause: Cause::default(),
        }
    }

    pub fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message)
        }
    }

    /// An error about what is not where it was looked for.
    pub fn missing(message: impl Into<String>) -> Self {
        Self {
            cause: Cause::Missing,
            ..Self::error(message)
        }
    }

    #[must_use]
    pub fn malformed(mut self) -> Self {
        self.cause = Cause::Malformed;
        self
    }

    #[must_use]
    pub fn at(mut self, span: &Span) -> Self {
        self.span = Some(span.clone());
        self
    }

    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    #[must_use]
    pub fn via(mut self, note: impl Into<String>, span: &Span) -> Self {
        let step = (note.into(), span.clone());
        // What goes in a circle is said once.
        if !self.trail.contains(&step) {
            self.trail.push(step);
        }
        self
    }

    /// Says what failed because of this.
    #[must_use]
    pub fn failing(mut self, what: impl Into<String>, span: &Span) -> Self {
        self.failed.push((what.into(), span.clone()));
        self
    }

    /// The message with what failed because of it in front: `Task failed: 'x' is undefined`.
    pub fn whole_message(&self) -> String {
        let message = self.message.clone();
        self.failed
            .iter()
            .fold(message, |message, (what, _)| led_by(what, &message))
    }

    /// Adds "did you mean" when one of `candidates` is close to `given`.
    #[must_use]
    pub fn nearest<'a>(self, given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(given, candidates) {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// The text for a terminal, with colours or without, no trailing newline.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(self.message.as_str()));
        if let Some(span) = &self.span {
            group = place(group, span, AnnotationKind::Primary, self.label.as_deref());
        }
        let mut groups = Vec::new();
        for hint in &self.hints {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        groups.push(group);
        for (note, span) in self.failed.iter().chain(&self.trail) {
            let group = Group::with_title(Level::NOTE.secondary_title(note.as_str()));
            groups.push(place(group, span, AnnotationKind::Context, None));
        }
        secrets::scrub(&renderer.render(&groups)).into_owned()
    }
}

/// A place with its line; of a confidential text only where it is.
fn place<'a>(group: Group<'a>, span: &'a Span, kind: AnnotationKind, label: Option<&'a str>) -> Group<'a> {
    if span.source().is_confidential() {
        let position = span.position();
        let origin = Origin::path(span.source().name())
            .line(position.line)
            .char_column(position.column);
        return group.element(origin);
    }
    group.element(snippet(span, kind, label))
}

fn snippet<'a>(
    span: &'a Span,
    kind: AnnotationKind,
    label: Option<&'a str>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let text = span.source().text();
    // A caret under the first line says more than a bracket around twenty.
    let end = text[span.start()..span.end()]
        .find('\n')
        .map_or(span.end(), |at| span.start() + at);
    let mut annotation = kind.span(span.start()..end);
    if let Some(label) = label {
        annotation = annotation.label(label);
    }
    Snippet::source(text)
        .path(span.source().name())
        .line_start(1)
        .annotation(annotation)
}

/// One line, `file:line:column: message`: what a task's result carries.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(span) = &self.span {
            write!(f, "{span}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

/// Two parts of a message in one; a first part that says the second already stands alone.
pub fn led_by(first: &str, second: &str) -> String {
    if first.ends_with(second) {
        return first.to_owned();
    }
    format!("{}: {second}", first.trim_end_matches('.'))
}

/// The candidate that a typing slip would most likely have meant, if any is near enough.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (given.chars().count() / 4).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(given, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        // Of equally near words the one that starts alike: `taks` is `tasks` rather than `tags`.
        .min_by(|(one, first), (other, second)| {
            let alike = |candidate| strsim::jaro_winkler(given, candidate);
            one.cmp(other).then(alike(second).total_cmp(&alike(first)))
        })
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    #[test]
    fn shows_file_line_column_and_caret() {
        let source = Source::new("site.yml", "- hosts: all\n  taks: []\n");
        let shown = Diagnostic::error("`taks` is not a keyword of a play")
            .at(&Span::new(&source, 15, 19))
            .nearest("taks", ["hosts", "tasks", "roles"])
            .render(false);
        insta::assert_snapshot!(shown, @r"
        error: `taks` is not a keyword of a play
         --> site.yml:2:3
          |
        2 |   taks: []
          |   ^^^^
          |
          = help: did you mean `tasks`?
        ");
    }

    #[test]
    fn far_words_are_not_suggested() {
        assert_eq!(nearest("foobar", ["copy", "file"]), None);
        assert_eq!(nearest("coppy", ["copy", "file"]), Some("copy"));
        assert_eq!(nearest("taks", ["tags", "tasks"]), Some("tasks"));
        assert_eq!(nearest("host_name", ["role_name"]), None);
    }
}

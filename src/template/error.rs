//! Errors of evaluation: a diagnostic, and whether it was for want of a variable.

use std::fmt;

use minijinja::ErrorKind;

use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// Why something could not be evaluated.
#[derive(Debug, Clone)]
pub struct EvalError {
    pub diagnostic: Diagnostic,
    /// A name was undefined: what `default` and `is defined` forgive.
    pub undefined: bool,
}

impl EvalError {
    pub fn new(diagnostic: Diagnostic) -> Self {
        Self {
            diagnostic,
            undefined: false,
        }
    }

    pub fn undefined(diagnostic: Diagnostic) -> Self {
        Self {
            diagnostic,
            undefined: true,
        }
    }

    /// Says what failed because of this.
    #[must_use]
    pub fn failing(mut self, what: impl Into<String>, span: &Span) -> Self {
        self.diagnostic = self.diagnostic.failing(what, span);
        self
    }

    /// Whether the engine's error is one of ours that went through it.
    pub(super) fn is_carried(error: &minijinja::Error) -> bool {
        inner(error).is_some()
    }

    /// An engine's error in the text at `span`; one of ours that went through the engine comes out as it was.
    pub(super) fn from_engine(error: &minijinja::Error, span: &Span, text: &str) -> Self {
        if let Some(inner) = inner(error) {
            let mut inner = inner.clone();
            if inner.diagnostic.span.is_none() {
                let place = error
                    .range()
                    .map_or_else(|| span.clone(), |range| place(span, text, &range));
                inner.diagnostic = inner.diagnostic.at(&place);
            } else if inner.diagnostic.span.as_ref() != Some(span) {
                inner.diagnostic = inner.diagnostic.via("while evaluating", span);
            }
            return inner;
        }
        let place = error
            .range()
            .map_or_else(|| span.clone(), |range| place(span, text, &range));
        // An operator on something undefined is another kind of error to the engine.
        let undefined = matches!(
            error.kind(),
            ErrorKind::UndefinedError | ErrorKind::UnknownFunction | ErrorKind::UnknownMethod
        ) || error
            .detail()
            .is_some_and(|detail| detail.ends_with("is undefined)"));
        let diagnostic = if undefined {
            Diagnostic::error(undefined_message(error))
        } else {
            unknown_name(error).unwrap_or_else(|| Diagnostic::error(describe(error)))
        };
        Self {
            diagnostic: diagnostic.at(&place),
            undefined,
        }
    }
}

/// Our own error, if the engine's merely carries it.
fn inner(error: &minijinja::Error) -> Option<&EvalError> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<EvalError>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

fn undefined_message(error: &minijinja::Error) -> String {
    // The engine says `... (NAME is undefined)` or shows the expression in backquotes.
    match error.detail() {
        Some(detail) => detail.replace('`', "'"),
        None => "a variable is undefined".to_owned(),
    }
}

/// For a filter or a test that does not exist: its name, and the nearest one.
fn unknown_name(error: &minijinja::Error) -> Option<Diagnostic> {
    // The engine says `filter NAME is unknown`.
    let name = error.detail()?.strip_suffix(" is unknown")?;
    let name = name.rsplit(' ').next()?;
    let mut documentation: Vec<&str> = Vec::new();
    let kind = match error.kind() {
        ErrorKind::UnknownFilter => {
            documentation.extend(super::filters::documentation().map(|(name, ..)| name));
            documentation.extend(super::filters::ENGINE);
            "filter"
        }
        ErrorKind::UnknownTest => {
            documentation.extend(super::tests::documentation().map(|(name, ..)| name));
            "test"
        }
        _ => return None,
    };
    Some(
        Diagnostic::error(format!("Syntax error in template: No {kind} named '{name}'."))
            .nearest(name, documentation),
    )
}

/// What the engine says, in Ansible's words where they are known.
fn describe(error: &minijinja::Error) -> String {
    let kind = error.kind().to_string();
    let detail = error.detail().unwrap_or(&kind);
    if detail.starts_with("The ") && detail.contains(" plugin '") {
        return detail.to_owned();
    }
    let zero = [" / 0", " // 0", " % 0"].iter().any(|end| detail.ends_with(end));
    match error.kind() {
        ErrorKind::SyntaxError => format!("Syntax error in template: {detail}"),
        _ if zero => "Error rendering template: division by zero".to_owned(),
        _ => format!("Error rendering template: {detail}"),
    }
}

/// Where a range of the evaluated text is in the file: exact where the scalar, or of a block that line, stands as
/// written, else the whole scalar.
fn place(span: &Span, text: &str, range: &std::ops::Range<usize>) -> Span {
    let (Some(before), Some(after)) = (text.get(..range.start), text.get(range.end..)) else {
        return span.clone();
    };
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let end = range.end + after.find('\n').unwrap_or(after.len());
    [0..text.len(), start..end]
        .into_iter()
        .find_map(|part| {
            let offset = span.text().find(&text[part.clone()])?;
            Some(span.part(offset + range.start - part.start, offset + range.end - part.start))
        })
        .unwrap_or_else(|| span.clone())
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for EvalError {}

impl From<EvalError> for minijinja::Error {
    fn from(error: EvalError) -> Self {
        let kind = if error.undefined {
            ErrorKind::UndefinedError
        } else {
            ErrorKind::InvalidOperation
        };
        minijinja::Error::new(kind, error.diagnostic.message.clone()).with_source(error)
    }
}

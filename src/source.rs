//! Source texts and places in them.
//!
//! Everything that comes from a user (playbooks, inventories, variable files, `-e` words) is kept as a
//! [`Source`] for the whole run, so that whatever goes wrong later can point at the line that caused it.
//! This module reads nothing: whoever reads a file makes the `Source`.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// One text and the name under which its author knows it.
#[derive(Debug)]
pub struct Source {
    /// A path as the user would type it, or `<extra vars>` and the like.
    name: String,
    text: String,
    /// Byte offset of the start of each line.
    line_starts: Vec<usize>,
    /// What it says is nobody's business: it was decrypted.
    confidential: bool,
}

/// A path as a user would type it: relative to the current folder where it is below it.
pub fn shown(path: &Path) -> String {
    std::env::current_dir()
        .ok()
        .and_then(|folder| path.strip_prefix(folder).ok())
        .unwrap_or(path)
        .display()
        .to_string()
}

impl Source {
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Self::make(name.into(), text.into(), false)
    }

    /// A text that is not to be shown, in messages neither.
    pub fn confidential(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Self::make(name.into(), text.into(), true)
    }

    fn make(name: String, text: String, confidential: bool) -> Arc<Self> {
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Arc::new(Self {
            name,
            text,
            line_starts,
            confidential,
        })
    }

    pub fn is_confidential(&self) -> bool {
        self.confidential
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name as a path; meaningless for sources that are no files.
    pub fn path(&self) -> &Path {
        Path::new(&self.name)
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of a byte offset, both from 1, the column in characters.
    pub fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= offset) - 1;
        let start = self.line_starts[line];
        let column = self.text.get(start..offset).map_or(0, |t| t.chars().count());
        Position {
            line: line + 1,
            column: column + 1,
        }
    }

    /// Byte offset at which a line (from 1) starts.
    pub fn line_start(&self, line: usize) -> usize {
        self.line_starts
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or(self.text.len())
    }
}

/// Line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// A range of bytes in a source.
#[derive(Clone)]
pub struct Span {
    source: Arc<Source>,
    start: usize,
    end: usize,
}

impl Span {
    pub fn new(source: &Arc<Source>, start: usize, end: usize) -> Self {
        let start = start.min(source.text.len());
        Self {
            source: Arc::clone(source),
            start,
            end: end.clamp(start, source.text.len()),
        }
    }

    /// The whole of a source, for errors that concern no particular place in it.
    pub fn whole(source: &Arc<Source>) -> Self {
        Self::new(source, 0, source.text.len())
    }

    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    pub fn start(&self) -> usize {
        self.start
    }

    pub fn end(&self) -> usize {
        self.end
    }

    pub fn text(&self) -> &str {
        self.source.text.get(self.start..self.end).unwrap_or("")
    }

    pub fn position(&self) -> Position {
        self.source.position(self.start)
    }

    /// Whether another span is inside of this one.
    pub fn contains(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source) && self.start <= other.start && other.end <= self.end
    }

    /// A part of this span, by offsets from its start.
    #[must_use]
    pub fn part(&self, start: usize, end: usize) -> Self {
        Self::new(&self.source, self.start + start, self.start + end)
    }
}

/// `file:line:column`, the form that editors and terminals make clickable.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column } = self.position();
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Two spans are equal when they cover the same bytes of the same text.
impl PartialEq for Span {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source) && self.start == other.start && self.end == other.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let source = Source::new("a.yml", "é: 1\nb: 2\n");
        assert_eq!(Span::new(&source, 3, 4).to_string(), "a.yml:1:3");
        assert_eq!(Span::new(&source, 6, 7).to_string(), "a.yml:2:1");
        assert_eq!(Span::new(&source, 99, 99).to_string(), "a.yml:3:1");
    }
}

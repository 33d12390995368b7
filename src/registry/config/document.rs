//! From YAML to leaves: path, values, places. What a path means is not known here.

use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use super::Leaf;
use super::path::Word;
use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};

/// Distribution's own configurations are seven deep; beyond this is a mistake or an attack.
const MAX_DEPTH: usize = 16;

/// All leaves of a document, in order, with `above` in front of their paths. An empty document has none.
pub fn leaves(source: &Arc<Source>, above: &[Word]) -> Result<Vec<Leaf>, Box<Diagnostic>> {
    let whole = Span::whole(source);
    let mut reader = Reader {
        source,
        parser: Parser::new_from_str(source.text()),
        path: above.iter().map(|word| (word.clone(), whole.clone())).collect(),
        leaves: Vec::new(),
    };
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(reader.leaves),
            Event::Scalar(text, style, ..) if is_null(&text, style) => {}
            Event::MappingStart(..) => reader.mapping()?,
            Event::SequenceStart(..) if !above.is_empty() => reader.sequence(&span)?,
            Event::Scalar(..) | Event::SequenceStart(..) | Event::Alias(_) => {
                return Err(fault("a configuration is a mapping of keys to values", &span));
            }
            _ => {}
        }
    }
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// Words from the outermost in, and where each is written.
    path: Vec<(Word, Span)>,
    leaves: Vec<Leaf>,
}

fn fault(message: impl Into<String>, span: &Span) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(message).at(span))
}

fn is_null(text: &str, style: ScalarStyle) -> bool {
    style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Box<Diagnostic>> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let place = Span::new(self.source, self.offset(&span.start), self.offset(&span.end));
                Ok((event, place))
            }
            Some(Err(error)) => {
                let at = self.offset(error.marker());
                let place = Span::new(self.source, at, at + 1);
                Err(fault(format!("this is not YAML: {}", error.info()), &place))
            }
            None => Ok((Event::StreamEnd, Span::whole(self.source))),
        }
    }

    /// The parser counts lines from 1 and columns in characters from 0.
    fn offset(&self, marker: &Marker) -> usize {
        let start = self.source.line_start(marker.line());
        let line = &self.source.text()[start..];
        start + line.chars().take(marker.col()).map(char::len_utf8).sum::<usize>()
    }

    fn mapping(&mut self) -> Result<(), Box<Diagnostic>> {
        let mut seen: Vec<String> = Vec::new();
        loop {
            let (event, key) = self.next()?;
            let name = match event {
                Event::MappingEnd => return Ok(()),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(fault("a key must be a word", &key)),
            };
            if seen.contains(&name) {
                return Err(fault(format!("`{name}` is given twice"), &key));
            }
            seen.push(name.clone());
            self.enter(Word::Key(name), key)?;
            let (event, span) = self.next()?;
            match event {
                Event::MappingStart(..) => self.mapping()?,
                Event::SequenceStart(..) => self.sequence(&span)?,
                Event::Scalar(text, style, ..) => {
                    let null = is_null(&text, style);
                    self.leaf(vec![text.into_owned()], span, null);
                }
                _ => return Err(fault("aliases are not taken here; write the value out", &span)),
            }
            self.path.pop();
        }
    }

    fn enter(&mut self, word: Word, span: Span) -> Result<(), Box<Diagnostic>> {
        if self.path.len() >= MAX_DEPTH {
            return Err(fault("keys are nested too deeply", &span));
        }
        self.path.push((word, span));
        Ok(())
    }

    /// A list of plain values is a leaf; a list of mappings has leaves of its own.
    fn sequence(&mut self, first: &Span) -> Result<(), Box<Diagnostic>> {
        let (mut values, mut entries) = (Vec::new(), 0);
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::SequenceEnd => {
                    if entries == 0 {
                        let span = Span::new(self.source, first.start(), span.end().max(first.end()));
                        self.leaf(values, span, false);
                    }
                    return Ok(());
                }
                Event::Scalar(text, ..) if entries == 0 => values.push(text.into_owned()),
                Event::MappingStart(..) if values.is_empty() => {
                    let before = self.leaves.len();
                    self.enter(Word::Index(entries), span.clone())?;
                    self.mapping()?;
                    self.path.pop();
                    if self.leaves.len() == before {
                        return Err(fault("an entry of this list is empty", &span));
                    }
                    entries += 1;
                }
                Event::Scalar(..) | Event::MappingStart(..) => {
                    return Err(fault("a list holds plain values or mappings, not both", &span));
                }
                _ => return Err(fault("an entry of a list is a plain value or a mapping", &span)),
            }
        }
    }

    fn leaf(&mut self, values: Vec<String>, value: Span, null: bool) {
        let (path, mut keys): (Vec<Word>, Vec<Span>) = self.path.iter().cloned().unzip();
        if keys.is_empty() {
            keys.push(value.clone());
        }
        self.leaves.push(Leaf {
            path,
            keys,
            values,
            value,
            null,
        });
    }
}

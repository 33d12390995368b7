//! From YAML to leaves: dotted path, values, places. What a path means is not known here.

use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser};

use super::Leaf;
use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};

/// Distribution's own configurations are four deep; beyond this is a mistake or an attack.
const MAX_DEPTH: usize = 16;

/// All leaves of a document, in order. An empty document has none.
pub fn leaves(source: &Arc<Source>) -> Result<Vec<Leaf>, Box<Diagnostic>> {
    let mut reader = Reader {
        source,
        parser: Parser::new_from_str(source.text()),
        leaves: Vec::new(),
    };
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(reader.leaves),
            Event::MappingStart(..) => reader.mapping("", &mut Vec::new())?,
            Event::Scalar(text, ..) if text.is_empty() || text == "~" || text == "null" => {}
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
    leaves: Vec<Leaf>,
}

fn fault(message: impl Into<String>, span: &Span) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(message).at(span))
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

    fn mapping(&mut self, prefix: &str, above: &mut Vec<Span>) -> Result<(), Box<Diagnostic>> {
        let mut seen: Vec<String> = Vec::new();
        loop {
            let (event, key) = self.next()?;
            let name = match event {
                Event::MappingEnd => return Ok(()),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(fault("a key must be a word", &key)),
            };
            if above.len() >= MAX_DEPTH {
                return Err(fault("keys are nested too deeply", &key));
            }
            if seen.contains(&name) {
                return Err(fault(format!("`{name}` is given twice"), &key));
            }
            let path = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}.{name}")
            };
            seen.push(name);
            above.push(key.clone());
            let (event, span) = self.next()?;
            match event {
                Event::MappingStart(..) => self.mapping(&path, above)?,
                Event::Scalar(text, ..) => self.leaf(path, above, vec![text.into_owned()], span),
                Event::SequenceStart(..) => {
                    let (values, span) = self.sequence(&span)?;
                    self.leaf(path, above, values, span);
                }
                _ => return Err(fault("aliases are not taken here; write the value out", &span)),
            }
            above.pop();
        }
    }

    fn sequence(&mut self, first: &Span) -> Result<(Vec<String>, Span), Box<Diagnostic>> {
        let mut values = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::SequenceEnd => {
                    return Ok((values, Span::new(self.source, first.start(), span.end())));
                }
                Event::Scalar(text, ..) => values.push(text.into_owned()),
                _ => return Err(fault("a list here holds plain values", &span)),
            }
        }
    }

    fn leaf(&mut self, path: String, above: &[Span], values: Vec<String>, value: Span) {
        let key = above.last().cloned().unwrap_or_else(|| value.clone());
        self.leaves.push(Leaf {
            path,
            keys: above.to_vec(),
            key,
            values,
            value,
        });
    }
}

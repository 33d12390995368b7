//! From YAML to leaves: path, values, places. What a path means is not known here.
//!
//! What an alias stands for has the place of its anchor. Merge keys (`<<`) are YAML 1.1's, as Go's libraries have them: what
//! the mapping has itself goes before.

mod events;

use std::sync::Arc;

use saphyr_parser::ScalarStyle;

use self::events::{Event, Events, Read};
use super::Leaf;
use super::path::Word;
use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};

/// Distribution's own configurations are seven deep; beyond this is a mistake or an attack.
const MAX_DEPTH: usize = 16;
/// The key whose value is merged into its mapping.
const MERGE: &str = "<<";

/// All leaves of a document, in order, with `above` in front of their paths. An empty document has none.
pub fn leaves(source: &Arc<Source>, above: &[Word]) -> Result<Vec<Leaf>, Box<Diagnostic>> {
    let whole = Span::whole(source);
    let mut reader = Reader {
        source,
        events: Events::of(source),
        merging: 0,
        path: above.iter().map(|word| (word.clone(), whole.clone())).collect(),
        leaves: Vec::new(),
    };
    loop {
        let (event, span) = reader.events.next()?;
        match event {
            Event::StreamEnd => return Ok(reader.leaves),
            Event::Scalar(text, style, ..) if is_null(&text, style) => {}
            Event::MappingStart(..) => reader.mapping()?,
            Event::SequenceStart(..) if !above.is_empty() => reader.sequence(&span)?,
            Event::Scalar(..) | Event::SequenceStart(..) => {
                return Err(fault("a configuration is a mapping of keys to values", &span));
            }
            _ => {}
        }
    }
}

/// What a key's value was read as, and where the key is.
type Node<'a> = (Vec<Read<'a>>, Span);

struct Reader<'a> {
    source: &'a Arc<Source>,
    events: Events<'a>,
    /// Mappings that are being merged into one another.
    merging: usize,
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
    fn mapping(&mut self) -> Result<(), Box<Diagnostic>> {
        let mut seen: Vec<String> = Vec::new();
        let merged = self.entries(&mut seen, false)?;
        self.merge(merged, &mut seen)
    }

    /// The entries of a mapping, but what is merged into it, which comes back. Of a mapping that is itself merged
    /// only what has not been `seen`.
    fn entries(&mut self, seen: &mut Vec<String>, is_merged: bool) -> Result<Vec<Node<'a>>, Box<Diagnostic>> {
        let mut merged = Vec::new();
        let mut own = Vec::new();
        loop {
            let (event, key) = self.events.next()?;
            let name = match event {
                Event::MappingEnd => return Ok(merged),
                Event::Scalar(text, ScalarStyle::Plain, ..) if text == MERGE => {
                    merged.push((self.events.node()?, key));
                    continue;
                }
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(fault("a key must be a word", &key)),
            };
            if own.contains(&name) {
                return Err(fault(format!("`{name}` is given twice"), &key));
            }
            own.push(name.clone());
            if seen.contains(&name) && is_merged {
                self.events.node()?;
                continue;
            }
            seen.push(name.clone());
            self.enter(Word::Key(name), key)?;
            let (event, span) = self.events.next()?;
            match event {
                Event::MappingStart(..) => self.mapping()?,
                Event::SequenceStart(..) => self.sequence(&span)?,
                Event::Scalar(text, style, ..) => {
                    let null = is_null(&text, style);
                    self.leaf(vec![text.into_owned()], span, null);
                }
                _ => return Err(fault("a value is missing", &span)),
            }
            self.path.pop();
        }
    }

    /// Reads on as if these mappings, or lists of them, stood in the one that was read.
    fn merge(&mut self, nodes: Vec<Node<'a>>, seen: &mut Vec<String>) -> Result<(), Box<Diagnostic>> {
        self.merging += 1;
        for (node, key) in nodes {
            if self.merging > MAX_DEPTH {
                return Err(fault("mappings are merged too deeply", &key));
            }
            let refused = || fault("`<<` takes a mapping, or a list of them", &key);
            let is_list = matches!(node.first(), Some((Event::SequenceStart(..), _)));
            self.events.put_back(node);
            if is_list {
                self.events.next()?;
            }
            loop {
                match self.events.next()? {
                    (Event::MappingStart(..), _) => {
                        let further = self.entries(seen, true)?;
                        self.merge(further, seen)?;
                    }
                    (Event::SequenceEnd, _) if is_list => break,
                    _ => return Err(refused()),
                }
                if !is_list {
                    break;
                }
            }
        }
        self.merging -= 1;
        Ok(())
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
            let (event, span) = self.events.next()?;
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

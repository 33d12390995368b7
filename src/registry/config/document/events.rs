//! The parser's events with their places, and with what aliases stand for in their place.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

pub use saphyr_parser::Event;
use saphyr_parser::{Marker, Parser, StrInput};

use super::fault;
use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};

/// Events that all aliases together may stand for: aliases of aliases of aliases grow without end.
const MAX_ALIASED: usize = 10_000;

pub type Read<'a> = (Event<'a>, Span);

pub struct Events<'a> {
    source: &'a Arc<Source>,
    parser: Parser<'a, StrInput<'a>>,
    /// What comes before the parser's next one.
    ahead: VecDeque<Ahead<'a>>,
    anchors: HashMap<usize, Vec<Read<'a>>>,
    /// Anchored nodes that have begun and not ended.
    open: Vec<Anchored<'a>>,
    aliased: usize,
}

struct Ahead<'a> {
    read: Read<'a>,
    /// It was read before, and is a part of what it was read in already.
    again: bool,
}

struct Anchored<'a> {
    anchor: usize,
    depth: usize,
    events: Vec<Read<'a>>,
}

impl<'a> Events<'a> {
    pub fn of(source: &'a Arc<Source>) -> Self {
        Self {
            source,
            parser: Parser::new_from_str(source.text()),
            ahead: VecDeque::new(),
            anchors: HashMap::new(),
            open: Vec::new(),
            aliased: 0,
        }
    }

    /// The next event, which is no alias.
    pub fn next(&mut self) -> Result<Read<'a>, Box<Diagnostic>> {
        loop {
            if let Some(Ahead { read, again }) = self.ahead.pop_front() {
                if !again {
                    self.take_down(&read);
                }
                return Ok(read);
            }
            let read = self.parse()?;
            if let Event::Alias(anchor) = read.0 {
                self.stand_in(anchor, &read.1)?;
                continue;
            }
            if let Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _) = read.0
                && anchor > 0
            {
                self.open.push(Anchored {
                    anchor,
                    depth: 0,
                    events: Vec::new(),
                });
            }
            self.take_down(&read);
            return Ok(read);
        }
    }

    /// All events of the node that comes next.
    pub fn node(&mut self) -> Result<Vec<Read<'a>>, Box<Diagnostic>> {
        let (mut events, mut depth) = (Vec::new(), 0);
        loop {
            let read = self.next()?;
            depth = deeper(depth, &read.0);
            events.push(read);
            if depth == 0 {
                return Ok(events);
            }
        }
    }

    /// Has events come once more, before all others.
    pub fn put_back(&mut self, events: Vec<Read<'a>>) {
        for read in events.into_iter().rev() {
            self.ahead.push_front(Ahead { read, again: true });
        }
    }

    fn stand_in(&mut self, anchor: usize, place: &Span) -> Result<(), Box<Diagnostic>> {
        let events = self
            .anchors
            .get(&anchor)
            .ok_or_else(|| fault("this alias stands for what it is a part of", place))?;
        self.aliased += events.len();
        if self.aliased > MAX_ALIASED {
            return Err(fault("aliases stand for too much here; write it out", place));
        }
        self.ahead
            .extend(events.iter().cloned().map(|read| Ahead { read, again: false }));
        Ok(())
    }

    /// Adds an event to the anchored nodes that it is in.
    fn take_down(&mut self, read: &Read<'a>) {
        for node in &mut self.open {
            node.events.push(read.clone());
            node.depth = deeper(node.depth, &read.0);
        }
        // What began last ends first.
        while let Some(node) = self.open.pop_if(|node| node.depth == 0) {
            self.anchors.insert(node.anchor, node.events);
        }
    }

    fn parse(&mut self) -> Result<Read<'a>, Box<Diagnostic>> {
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
}

/// How many nodes are open after an event.
fn deeper(depth: usize, event: &Event<'_>) -> usize {
    match event {
        Event::SequenceStart(..) | Event::MappingStart(..) => depth + 1,
        Event::SequenceEnd | Event::MappingEnd => depth.saturating_sub(1),
        _ => depth,
    }
}

//! Parser events to [`Node`]s.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput, Tag};

use super::node::{Entry, Kind, Mapping, Node};
use super::scalar;
use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};
use crate::value::Value;

/// Deeper documents are refused: they are mistakes or attacks, and the loader recurses.
const MAX_DEPTH: usize = 128;

/// Nodes that aliases may add to a document, against exponential expansion.
const MAX_ALIASED_NODES: usize = 1_000_000;

/// A loaded document.
#[derive(Debug)]
pub struct Document {
    /// Null for an empty text.
    pub root: Node,
    /// Duplicate keys.
    pub warnings: Vec<Diagnostic>,
}

/// Loads a source that holds one document at most.
pub fn load(source: &Arc<Source>) -> Result<Document, Diagnostic> {
    let mut loader = Loader {
        source,
        offsets: Offsets::new(source.text()),
        parser: Parser::new_from_str(source.text()),
        anchors: HashMap::new(),
        aliased: 0,
        warnings: Vec::new(),
    };
    let root = loader.document().map_err(Diagnostic::malformed)?;
    Ok(Document {
        root,
        warnings: loader.warnings,
    })
}

/// One scalar, as it would be read if it stood unquoted in a document.
pub fn parse_scalar(text: &str) -> Value {
    scalar::resolve(text)
}

/// The parser counts characters, spans count bytes.
enum Offsets {
    Ascii,
    Characters(Vec<usize>),
}

impl Offsets {
    fn new(text: &str) -> Self {
        if text.is_ascii() {
            Self::Ascii
        } else {
            Self::Characters(
                text.char_indices()
                    .map(|(at, _)| at)
                    .chain([text.len()])
                    .collect(),
            )
        }
    }

    fn byte(&self, marker: &Marker) -> usize {
        match self {
            Self::Ascii => marker.index(),
            Self::Characters(offsets) => offsets
                .get(marker.index())
                .or(offsets.last())
                .copied()
                .unwrap_or_default(),
        }
    }
}

struct Loader<'a> {
    source: &'a Arc<Source>,
    offsets: Offsets,
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    aliased: usize,
    warnings: Vec<Diagnostic>,
}

impl<'a> Loader<'a> {
    fn document(&mut self) -> Result<Node, Diagnostic> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) if root.is_some() => {
                    return Err(Diagnostic::error("expected a single document, but found another one")
                        .at(&span)
                        .hint("remove the `---` in the middle, or put the second document into a file of its own"));
                }
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                event => root = Some(self.node(event, &span, 0)?),
            }
        }
        Ok(root.unwrap_or_else(|| Node::null(self.source)))
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Diagnostic> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let start = self.offsets.byte(&span.start);
                let end = self.offsets.byte(&span.end);
                Ok((event, Span::new(self.source, start, end)))
            }
            Some(Err(error)) => Err(self.syntax_error(&error)),
            None => Ok((Event::StreamEnd, Span::new(self.source, 0, 0))),
        }
    }

    fn syntax_error(&self, error: &saphyr_parser::ScanError) -> Diagnostic {
        let text = self.source.text();
        let noticed = self.offsets.byte(error.marker());
        // What ends too early ends where its last line does: past that a caret has nothing to stand under.
        let at = noticed.min(text.trim_end().len());
        let diagnostic = Diagnostic::error(format!("not valid YAML: {}", error.info())).at(&Span::new(
            self.source,
            at,
            at + 1,
        ));
        let position = self.source.position(noticed);
        let lines: Vec<&str> = text.lines().collect();
        let around = |line: usize| lines.get(line.wrapping_sub(1)).copied().unwrap_or("");
        let (this, before) = (around(position.line), around(position.line.wrapping_sub(1)));
        if this.starts_with('\t') || this.trim_start_matches(' ').starts_with('\t') {
            diagnostic.hint("indent with spaces: YAML does not allow tabs there")
        } else if [this, before]
            .iter()
            .any(|line| line.contains(": {{") || line.contains("- {{"))
        {
            diagnostic.hint("a value that starts with `{{` needs quotes: `name: \"{{ value }}\"`")
        } else if this.matches(": ").count() > 1 {
            diagnostic.hint("a text that holds `: ` needs quotes")
        } else if error.info().contains("quoted scalar") {
            diagnostic.hint("is the quote closed? what follows in further lines must be indented")
        } else if error.info().contains("did not find expected key") {
            diagnostic.hint("is the line indented like those above it that it belongs to?")
        } else {
            diagnostic
        }
    }

    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<Node, Diagnostic> {
        if depth > MAX_DEPTH {
            return Err(Diagnostic::error(format!("nested more than {MAX_DEPTH} levels deep")).at(span));
        }
        let (node, anchor) = match event {
            Event::Alias(id) => return self.alias(id, span),
            Event::Scalar(text, style, anchor, tag) => {
                (scalar_node(&text, style, tag.as_deref(), span)?, anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(span, depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(span, depth)?, anchor),
            other => {
                return Err(Diagnostic::error(format!("not valid YAML: unexpected {other:?}")).at(span));
            }
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, span: &Span) -> Result<Node, Diagnostic> {
        let node = self
            .anchors
            .get(&id)
            .cloned()
            .ok_or_else(|| Diagnostic::error("this alias refers to itself or to nothing").at(span))?;
        self.aliased += count(&node, MAX_ALIASED_NODES);
        if self.aliased > MAX_ALIASED_NODES {
            return Err(Diagnostic::error("the aliases of this document expand to too much").at(span));
        }
        Ok(node)
    }

    fn list(&mut self, start: &Span, depth: usize) -> Result<Node, Diagnostic> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                let whole = Span::new(self.source, start.start(), end_of(&items, &span));
                return Ok(Node::new(Kind::List(items.into()), &whole));
            }
            items.push(self.node(event, &span, depth + 1)?);
        }
    }

    fn map(&mut self, start: &Span, depth: usize) -> Result<Node, Diagnostic> {
        let mut map = Mapping::new();
        let mut merged: Vec<Node> = Vec::new();
        let mut end = start.end();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let plain = matches!(&event, Event::Scalar(_, ScalarStyle::Plain, ..));
            let key = self.node(event, &span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, &span, depth + 1)?;
            end = end.max(value.span.end());
            let name = match &key.kind {
                Kind::List(_) | Kind::Map(_) => {
                    let mut error = Diagnostic::error("a collection cannot be a key").at(&key.span);
                    if key.span.text().starts_with('{')
                        || self.source.text()[key.span.start()..].starts_with('{')
                    {
                        error =
                            error.hint("a value that starts with `{{` needs quotes: `name: \"{{ value }}\"`");
                    }
                    return Err(error);
                }
                _ => key.to_value().to_string(),
            };
            if plain && name == "<<" {
                merged.push(value);
                continue;
            }
            let key = key.span;
            if let Some(earlier) = map.get(&name) {
                self.warnings.push(
                    Diagnostic::warning(format!("the key `{name}` is given twice; the last one counts"))
                        .at(&key)
                        .via("first given here", &earlier.key),
                );
            }
            map.insert(name, Entry { key, value });
        }
        for source in merged {
            merge(&mut map, &source)?;
        }
        let whole = Span::new(self.source, start.start(), end);
        Ok(Node::new(Kind::Map(Arc::new(map)), &whole))
    }
}

/// The text of a `!!binary`; bytes that are none become marks, since there is no type for bytes.
fn decoded(text: &str, span: &Span) -> Result<String, Diagnostic> {
    use base64::Engine;
    let digits: String = text.split_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(digits)
        .map_err(|error| Diagnostic::error(format!("this is no base64: {error}")).at(span))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn scalar_node(text: &str, style: ScalarStyle, tag: Option<&Tag>, span: &Span) -> Result<Node, Diagnostic> {
    let kind = match tag.map(tag_name).as_deref() {
        Some("!vault" | "!vault-encrypted") => Kind::Vault(text.trim().into()),
        Some("!unsafe") => Kind::Literal(text.into()),
        Some("!!str" | "!") => Kind::Text(text.into()),
        Some("!!binary") => Kind::Literal(decoded(text, span)?.into()),
        Some(tag) if !tag.starts_with("!!") => {
            return Err(Diagnostic::error(format!("unknown tag `{tag}`"))
                .at(span)
                .hint("the tags are `!vault` and `!unsafe`"));
        }
        tag if style == ScalarStyle::Plain || tag.is_some() => match scalar::resolve(text) {
            Value::Str(text) => Kind::Text(text.into()),
            value => Kind::Scalar(value),
        },
        _ => Kind::Text(text.into()),
    };
    Ok(Node::new(kind, span))
}

/// `<<: *defaults`: keys that are already there stay.
fn merge(map: &mut Mapping, source: &Node) -> Result<(), Diagnostic> {
    match &source.kind {
        Kind::Map(other) => {
            for (name, entry) in other.iter() {
                map.entry(name.clone()).or_insert_with(|| entry.clone());
            }
            Ok(())
        }
        Kind::List(items) => items.iter().try_for_each(|item| merge(map, item)),
        _ => Err(Diagnostic::error(format!(
            "`<<` merges a map or a list of maps, not a {}",
            source.type_name()
        ))
        .at(&source.span)),
    }
}

fn end_of(items: &[Node], closing: &Span) -> usize {
    // The closing event of a block collection stands where the next token starts: too far.
    let last = items.last().map_or(closing.end(), |item| item.span.end());
    if closing.text().is_empty() {
        last
    } else {
        closing.end()
    }
}

fn tag_name(tag: &Tag) -> String {
    if tag.is_yaml_core_schema() {
        format!("!!{}", tag.suffix)
    } else {
        format!("{}{}", tag.handle, tag.suffix)
    }
}

/// How many nodes there are, counted no further than a limit.
fn count(node: &Node, limit: usize) -> usize {
    let children: Box<dyn Iterator<Item = &Node>> = match &node.kind {
        Kind::List(items) => Box::new(items.iter()),
        Kind::Map(map) => Box::new(map.values().map(|entry| &entry.value)),
        _ => return 1,
    };
    let mut total = 1;
    for child in children {
        if total > limit {
            break;
        }
        total += count(child, limit - total.min(limit));
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        let document =
            load(&Source::new("t.yml", text)).unwrap_or_else(|error| panic!("{}", error.render(false)));
        serde_json::to_string(&document.root.to_value()).unwrap()
    }

    fn error(text: &str) -> String {
        load(&Source::new("t.yml", text)).unwrap_err().render(false)
    }

    #[test]
    fn loads_what_playbooks_hold() {
        assert_eq!(
            json("- hosts: all\n  become: yes\n  vars: {mode: 0644, name: '0644'}\n  t: |\n    a\n    b\n"),
            r#"[{"hosts":"all","become":true,"vars":{"mode":420,"name":"0644"},"t":"a\nb\n"}]"#
        );
        assert_eq!(json(""), "null");
        assert_eq!(json("---\n"), "null");
        assert_eq!(
            json("a: !unsafe '{{ x }}'\nb: \"{{ y }}\"\n"),
            r#"{"a":"{{ x }}","b":"{{ y }}"}"#
        );
    }

    #[test]
    fn merges_and_aliases() {
        assert_eq!(
            json("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a\n"),
            r#"{"a":{"x":1,"y":2},"b":{"y":3,"x":1},"c":{"x":1,"y":2}}"#
        );
    }

    #[test]
    fn keeps_places() {
        let source = Source::new("t.yml", "é: ü\nlist:\n  - one\n  - {k: v}\n");
        let root = load(&source).unwrap().root;
        assert_eq!(root.get("é").unwrap().span.text(), "ü");
        let list = root.get("list").unwrap();
        assert_eq!(list.as_list().unwrap()[0].span.to_string(), "t.yml:3:5");
        assert_eq!(list.as_list().unwrap()[1].get("k").unwrap().span.text(), "v");
        assert_eq!(root.as_map().unwrap()["list"].key.text(), "list");
    }

    #[test]
    fn points_at_what_is_wrong() {
        insta::assert_snapshot!(error("a:\n\tb: 1\n"));
        insta::assert_snapshot!(error("name: {{ value }}\n"));
        insta::assert_snapshot!(error("a: [1, 2\nb: 3\n"));
        insta::assert_snapshot!(error("a: b: c\n"));
        insta::assert_snapshot!(error("a: !what 1\n"));
    }

    #[test]
    fn bounded_against_expansion() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let refs = vec![format!("*a{}", level - 1); 10].join(", ");
            text = format!("{text}a{level}: &a{level} [{refs}]\n");
        }
        assert!(error(&text).contains("expand to too much"));
    }

    #[test]
    fn warns_of_duplicate_keys() {
        let document = load(&Source::new("t.yml", "a: 1\nb: 2\na: 3\n")).unwrap();
        assert_eq!(document.warnings.len(), 1);
        assert_eq!(document.root.get("a").unwrap().to_value(), Value::Int(3));
    }
}

//! Nodes: what was written, and where. Cloning one is cheap.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::source::{Source, Span};
use crate::value::Value;

/// A piece of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub kind: Kind,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Anything that is neither text nor collection: null, bool, int, float.
    Scalar(Value),
    /// A text that may hold a template.
    Text(Arc<str>),
    /// A text that is to be taken literally: `!unsafe`, and what never came from a user.
    Literal(Arc<str>),
    /// The armoured text behind `!vault`.
    Vault(Arc<str>),
    List(Arc<[Node]>),
    Map(Arc<Mapping>),
}

/// Keys in the order in which they were written. Keys that are no texts are spelt as Python prints them.
pub type Mapping = IndexMap<String, Entry>;

#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: Span,
    pub value: Node,
}

impl Node {
    pub fn new(kind: Kind, span: &Span) -> Self {
        Self {
            kind,
            span: span.clone(),
        }
    }

    pub fn text(text: &str, span: &Span) -> Self {
        Self::new(Kind::Text(text.into()), span)
    }

    /// A value with no templates in it, as if it had been written at `span`.
    pub fn literal(value: &Value, span: &Span) -> Self {
        let kind = match value {
            Value::Str(text) => Kind::Literal(text.as_str().into()),
            Value::List(items) => Kind::List(items.iter().map(|item| Self::literal(item, span)).collect()),
            Value::Map(map) => Kind::Map(Arc::new(
                map.iter()
                    .map(|(name, item)| {
                        let entry = Entry {
                            key: span.clone(),
                            value: Self::literal(item, span),
                        };
                        (name.clone(), entry)
                    })
                    .collect(),
            )),
            scalar => Kind::Scalar(scalar.clone()),
        };
        Self::new(kind, span)
    }

    pub fn null(source: &Arc<Source>) -> Self {
        Self::new(Kind::Scalar(Value::Null), &Span::new(source, 0, 0))
    }

    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Scalar(Value::Null))
    }

    /// A text, literal or not.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) | Kind::Literal(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Arc<Mapping>> {
        match &self.kind {
            Kind::Map(map) => Some(map),
            _ => None,
        }
    }

    /// A key of a map; none for anything else.
    pub fn get(&self, key: &str) -> Option<&Node> {
        Some(&self.as_map()?.get(key)?.value)
    }

    /// Whether evaluating the node could give anything but what is written: it holds `{{` or `{%`, or a
    /// vaulted text.
    pub fn is_dynamic(&self) -> bool {
        match &self.kind {
            Kind::Text(text) => text.contains("{{") || text.contains("{%") || text.contains("{#"),
            Kind::Vault(_) => true,
            Kind::List(items) => items.iter().any(Self::is_dynamic),
            Kind::Map(map) => map
                .iter()
                .any(|(key, entry)| key.contains("{{") || entry.value.is_dynamic()),
            Kind::Scalar(_) | Kind::Literal(_) => false,
        }
    }

    /// The node's data with its templates left as they are: for messages, and for what is known to have none.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::Text(text) | Kind::Literal(text) | Kind::Vault(text) => Value::Str(text.to_string()),
            Kind::List(items) => Value::List(items.iter().map(Self::to_value).collect()),
            Kind::Map(map) => Value::Map(
                map.iter()
                    .map(|(key, entry)| (key.clone(), entry.value.to_value()))
                    .collect(),
            ),
        }
    }

    /// Python's name for the type, as in [`Value::type_name`].
    /// What it is, in the words of a message.
    pub fn described(&self) -> &'static str {
        match self.type_name() {
            "NoneType" => "nothing",
            "bool" => "a boolean",
            "int" | "float" => "a number",
            "list" => "a list",
            "dict" => "a map",
            _ => "a text",
        }
    }

    pub fn type_name(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar(value) => value.type_name(),
            Kind::Text(_) | Kind::Literal(_) | Kind::Vault(_) => "str",
            Kind::List(_) => "list",
            Kind::Map(_) => "dict",
        }
    }
}

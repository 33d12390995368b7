//! Maps that are set at two places, merged into one: `hash_behaviour = merge`.
//!
//! What is written is merged, not what it comes to: a template that gives a map replaces the other.

use std::sync::Arc;

use super::scope::Variable;
use crate::source::{Source, Span};
use crate::value::Value;
use crate::yaml::{Kind, Mapping, Node};

/// The stronger variable with what only the weaker one has; the stronger one alone unless both are maps.
pub fn merged(stronger: Variable, weaker: &Variable) -> Variable {
    match (map(&stronger), map(weaker)) {
        (Some(above), Some(below)) => Variable::Node(deep(&above, &below)),
        _ => stronger,
    }
}

/// Whether a weaker variable could add to it.
pub fn is_map(variable: &Variable) -> bool {
    match variable {
        Variable::Node(node) => node.as_map().is_some(),
        Variable::Value(value) => value.as_map().is_some(),
        _ => false,
    }
}

fn map(variable: &Variable) -> Option<Node> {
    match variable {
        Variable::Node(node) if node.as_map().is_some() => Some(node.clone()),
        Variable::Value(value @ Value::Map(_)) => {
            let nowhere = Span::whole(&Source::new("<data>", ""));
            Some(Node::literal(value, &nowhere))
        }
        _ => None,
    }
}

fn deep(above: &Node, below: &Node) -> Node {
    let (Some(strong), Some(weak)) = (above.as_map(), below.as_map()) else {
        return above.clone();
    };
    let mut all: Mapping = weak.as_ref().clone();
    for (key, entry) in strong.iter() {
        let mut entry = entry.clone();
        if let Some(other) = weak.get(key) {
            entry.value = deep(&entry.value, &other.value);
        }
        all.insert(key.clone(), entry);
    }
    Node::new(Kind::Map(Arc::new(all)), &above.span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::load;

    fn node(text: &str) -> Variable {
        load(&Source::new("t", text)).unwrap().root.into()
    }

    fn shown(stronger: Variable, weaker: &Variable) -> String {
        match merged(stronger, weaker) {
            Variable::Node(node) => node.to_value().to_string(),
            Variable::Value(value) => value.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn maps_are_merged_at_any_depth_and_nothing_else_is() {
        let weaker = node("{a: 1, b: {x: 1, y: [1]}, c: 3}");
        assert_eq!(
            shown(node("{b: {y: [2], z: 3}, c: {d: 4}}"), &weaker),
            "{'a': 1, 'b': {'x': 1, 'y': [2], 'z': 3}, 'c': {'d': 4}}"
        );
        assert_eq!(shown(node("[1]"), &weaker), "[1]");
        assert_eq!(shown(node("{a: 2}"), &node("text")), "{'a': 2}");
        let data = Value::Map(crate::value::Map::from_iter([("c".to_owned(), Value::from("d"))]));
        assert_eq!(shown(data.into(), &node("{a: 1}")), "{'a': 1, 'c': 'd'}");
    }
}

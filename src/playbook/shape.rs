//! What keywords take, and what is said where they are given something else: in the words that users know.

use super::names;
use crate::diagnostic::Diagnostic;
use crate::value::Value;
use crate::yaml::Node;

/// What a keyword takes; templates are allowed wherever a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Any,
    /// A boolean, or a text that evaluates to one.
    Truth,
    Number,
    Text,
    /// The name of a variable.
    Name,
    /// A text or a list of texts.
    Texts,
    List,
    Map,
    /// A map whose keys are names of variables.
    Variables,
}

/// Keywords that hold tasks.
const LISTS_OF_TASKS: &[&str] = &[
    "always",
    "block",
    "handlers",
    "post_tasks",
    "pre_tasks",
    "rescue",
    "tasks",
];

impl Shape {
    /// As messages and documents say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Truth => "a boolean",
            Self::Number => "a number",
            Self::Name => "the name of a variable",
            Self::Text => "a text",
            Self::Texts => "a text or a list of texts",
            Self::List => "a list",
            Self::Map => "a map",
            Self::Variables => "a map of variables",
        }
    }

    /// Whether the value of `keyword` is of this shape.
    pub fn check(self, keyword: &str, value: &Node) -> Result<(), Diagnostic> {
        let templated = value.as_str().is_some_and(|text| text.contains("{{"));
        let is_list = value.as_list().is_some();
        let is_map = value.as_map().is_some();
        let fits = match self {
            Self::Any => true,
            Self::Truth => templated || is_truth(value),
            Self::Number => templated || is_number(value),
            Self::Name => names::check_variable(&value.to_value()).is_ok(),
            Self::Text => !is_list && !is_map,
            Self::Texts => !is_map,
            Self::List => templated || value.is_null() || is_list,
            Self::Map => value.is_null() || is_map,
            Self::Variables if is_map => return check_names(value),
            Self::Variables => value.is_null(),
        };
        if fits {
            Ok(())
        } else {
            Err(Diagnostic::error(self.refusal(keyword, value)).at(&value.span))
        }
    }

    fn refusal(self, keyword: &str, node: &Node) -> String {
        let value = node.to_value();
        match self {
            Self::Truth => unconverted(keyword, value, "bool"),
            Self::Number => unconverted(keyword, value, "float"),
            Self::Name => {
                let reason = names::check_variable(&value).err().unwrap_or_default();
                format!("Invalid '{keyword}' specified: {reason}")
            }
            Self::List if LISTS_OF_TASKS.contains(&keyword) => format!(
                "A malformed block was encountered while loading {keyword}: {value} should be a list or None"
            ),
            Self::List if keyword == "roles" => {
                format!("A malformed role declaration was encountered. {value} should be a list")
            }
            _ => format!("`{keyword}` takes {}, not {}", self.name(), node.described()),
        }
    }
}

/// What is said of a value that is not of the type that a keyword takes.
pub fn unconverted(keyword: &str, value: Value, wanted: &str) -> String {
    // A list shows its elements as Python writes them.
    let shown = Value::List(vec![value]).to_string();
    let shown = &shown[1..shown.len() - 1];
    format!("Error processing keyword '{keyword}': The value {shown} could not be converted to '{wanted}'.")
}

fn check_names(map: &Node) -> Result<(), Diagnostic> {
    for (name, entry) in map.as_map().into_iter().flat_map(|map| map.iter()) {
        if !names::is_variable(name) {
            return Err(Diagnostic::error(format!("Invalid variable name '{name}'."))
                .at(&entry.key)
                .hint(names::HINT));
        }
    }
    Ok(())
}

fn is_truth(value: &Node) -> bool {
    value.is_null() || value.to_value().truth().is_some()
}

fn is_number(value: &Node) -> bool {
    match value.to_value() {
        Value::Str(text) => text.trim_end_matches('%').parse::<f64>().is_ok(),
        Value::Int(_) | Value::Float(_) => true,
        _ => false,
    }
}

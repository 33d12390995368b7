//! Values against an argument spec, as roles and `validate_argument_spec` have it: required and unknown names,
//! types, choices, options within options, what excludes or needs what.
//!
//! All that is wrong is said, each in the words that Ansible's users know. Nothing is read and nothing kept:
//! values are converted only to be looked at.

mod rules;

use crate::modules::spec::convert;
use crate::value::{Map, Value};

/// What is wrong with `parameters`, in the order in which it is found.
pub fn validate(spec: &Map, parameters: Map) -> Vec<String> {
    let mut validation = Validation::default();
    let mut parameters = parameters;
    validation.level(spec, &mut parameters, None);
    validation.unsupported();
    validation.errors
}

#[derive(Default)]
struct Validation {
    errors: Vec<String>,
    /// The options that lead to where it is.
    context: Vec<String>,
    /// Each name that is not known, and what is known there.
    unknown: Vec<(String, String)>,
}

impl Validation {
    /// The options of one spec; `owner` is the option that has them.
    fn level(&mut self, spec: &Map, parameters: &mut Map, owner: Option<&Map>) {
        self.aliases(spec, parameters);
        self.unknown(spec, parameters);
        if let Some(owner) = owner {
            self.check(rules::exclusive(owner, parameters));
        }
        set_defaults(spec, parameters, false);
        self.check(rules::required(spec, parameters));
        self.types(spec, parameters);
        self.choices(spec, parameters);
        if let Some(owner) = owner {
            self.check(rules::together(owner, parameters));
            self.check(rules::one_of(owner, parameters));
            self.check(rules::required_if(owner, parameters));
            self.check(rules::required_by(owner, parameters));
        }
        set_defaults(spec, parameters, true);
        for (name, option) in options(spec) {
            self.inner(name, option, parameters);
        }
    }

    fn inner(&mut self, name: &str, option: &Map, parameters: &mut Map) {
        let is = |key: &str, wanted: &str| option.get(key).and_then(Value::as_str) == Some(wanted);
        let holds_maps = is("type", "dict") || (is("type", "list") && is("elements", "dict"));
        if !holds_maps {
            return;
        }
        let Some(Value::Map(spec)) = option.get("options") else {
            return;
        };
        let defaults = option.get("apply_defaults").and_then(Value::truth) == Some(true);
        if defaults && parameters.get(name).is_none_or(|value| *value == Value::Null) {
            parameters.insert(name.to_owned(), Value::Map(Map::new()));
        }
        let elements = match parameters.get(name) {
            None | Some(Value::Null) => return,
            Some(Value::List(items)) => items.clone(),
            Some(other) => vec![other.clone()],
        };
        self.context.push(name.to_owned());
        for element in elements {
            match element {
                Value::Map(mut inner) => self.level(spec, &mut inner, Some(option)),
                _ => self
                    .errors
                    .push(format!("value of '{name}' must be of type dict or list of dicts")),
            }
        }
        self.context.pop();
    }

    fn aliases(&mut self, spec: &Map, parameters: &mut Map) {
        for (name, option) in options(spec) {
            let required = option.get("required").and_then(Value::truth) == Some(true);
            if required && option.get("default").is_some_and(|value| *value != Value::Null) {
                self.errors.push(format!(
                    "internal error: required and default are mutually exclusive for {name}"
                ));
            }
            for alias in rules::names(option.get("aliases")) {
                if let Some(value) = parameters.get(alias).cloned() {
                    parameters.insert(name.to_owned(), value);
                }
            }
        }
    }

    fn unknown(&mut self, spec: &Map, parameters: &Map) {
        let aliases: Vec<&str> = options(spec)
            .flat_map(|(_, option)| rules::names(option.get("aliases")))
            .collect();
        let mut supported: Vec<&str> = spec.keys().map(String::as_str).collect();
        supported.sort_unstable();
        let mut supported = supported.join(", ");
        if !aliases.is_empty() {
            let mut aliases = aliases.clone();
            aliases.sort_unstable();
            supported = format!("{supported} ({})", aliases.join(", "));
        }
        for name in parameters.keys() {
            if !spec.contains_key(name) && !aliases.contains(&name.as_str()) {
                let path = [self.context.as_slice(), std::slice::from_ref(name)].concat();
                self.unknown.push((path.join("."), supported.clone()));
            }
        }
    }

    fn unsupported(&mut self) {
        let Some((_, supported)) = self.unknown.last().cloned() else {
            return;
        };
        self.unknown.sort();
        let names: Vec<&str> = self.unknown.iter().map(|(name, _)| name.as_str()).collect();
        self.errors.push(format!(
            "{}. Supported parameters include: {supported}.",
            names.join(", ")
        ));
    }

    fn types(&mut self, spec: &Map, parameters: &mut Map) {
        for (name, option) in options(spec) {
            let Some(value) = parameters.get(name).cloned() else {
                continue;
            };
            let has = |key: &str| option.get(key).is_some_and(|value| *value != Value::Null);
            let required = option.get("required").and_then(Value::truth) == Some(true);
            if value == Value::Null && !required && !has("default") {
                continue;
            }
            let kind = option.get("type").and_then(Value::as_str).unwrap_or("str");
            match convert::convert(kind, &value) {
                Ok(converted) => {
                    let converted = match (option.get("elements").and_then(Value::as_str), converted) {
                        (Some(kind), Value::List(items)) => self.elements(name, kind, items),
                        (_, other) => other,
                    };
                    parameters.insert(name.to_owned(), converted);
                }
                Err(reason) => {
                    let place = if self.context.is_empty() {
                        String::new()
                    } else {
                        format!(" found in '{}'.", self.context.join(" -> "))
                    };
                    self.errors.push(format!(
                        "argument '{name}' is of type {}{place} and we were unable to convert to {kind}: {reason}",
                        value.type_name()
                    ));
                }
            }
        }
    }

    fn elements(&mut self, name: &str, kind: &str, items: Vec<Value>) -> Value {
        let mut converted = Vec::with_capacity(items.len());
        for item in items {
            match convert::convert(kind, &item) {
                Ok(item) => converted.push(item),
                Err(reason) => {
                    let place = if self.context.is_empty() {
                        String::new()
                    } else {
                        format!(" found in '{}'", self.context.join(" -> "))
                    };
                    self.errors.push(format!(
                        "Elements value for option '{name}'{place} is of type {} and we were unable to convert \
                         to {kind}: {reason}",
                        item.type_name()
                    ));
                }
            }
        }
        Value::List(converted)
    }

    fn choices(&mut self, spec: &Map, parameters: &Map) {
        for (name, option) in options(spec) {
            let Some(choices) = option.get("choices").filter(|value| **value != Value::Null) else {
                continue;
            };
            let Value::List(choices) = choices else {
                let message =
                    format!("internal error: choices for argument {name} are not iterable: {choices}");
                self.check(Err(message));
                continue;
            };
            let one_of = texts(choices);
            match parameters.get(name) {
                None => {}
                Some(Value::List(items)) => {
                    let others: Vec<Value> = items
                        .iter()
                        .filter(|item| !choices.contains(item))
                        .cloned()
                        .collect();
                    if !others.is_empty() {
                        self.check(Err(format!(
                            "value of {name} must be one or more of: {one_of}. Got no match for: {}",
                            texts(&others)
                        )));
                    }
                }
                Some(value) if choices.contains(value) || convert::is_choice_of_yaml(value, choices) => {}
                Some(value) => {
                    self.check(Err(format!(
                        "value of {name} must be one of: {one_of}, got: {value}"
                    )));
                }
            }
        }
    }

    /// Keeps what a rule says, with the place.
    fn check(&mut self, result: Result<(), String>) {
        if let Err(message) = result {
            self.errors.push(if self.context.is_empty() {
                message
            } else {
                format!("{message} found in {}", self.context.join(" -> "))
            });
        }
    }
}

/// The options of a spec; one without a description of its own has the usual one.
fn options(spec: &Map) -> impl Iterator<Item = (&str, &Map)> {
    spec.iter()
        .filter_map(|(name, option)| Some((name.as_str(), option.as_map()?)))
}

/// Defaults of what was not given; with `all` also the lack of one.
fn set_defaults(spec: &Map, parameters: &mut Map, all: bool) {
    for (name, option) in options(spec) {
        let default = option.get("default").cloned().unwrap_or(Value::Null);
        if !parameters.contains_key(name) && (all || default != Value::Null) {
            parameters.insert(name.to_owned(), default);
        }
    }
}

fn texts(values: &[Value]) -> String {
    let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests;

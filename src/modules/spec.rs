//! The table that describes a module's arguments: validation, defaults, documentation and the static check
//! all read it.
//!
//! Validation happens on the controller, before anything is sent: once on the names as written (each with
//! its place in the file), once on the values after templating. The messages are those that Ansible's users
//! know.

use crate::diagnostic::nearest;
use crate::value::{Map, Value};

/// What a module is called and takes.
#[derive(Debug)]
pub struct Spec {
    pub name: &'static str,
    /// One line for `doc --list`.
    pub summary: &'static str,
    pub args: &'static [Arg],
    /// What its results hold, besides what every result holds.
    pub returns: &'static [Return],
    /// Tasks in YAML, ready to be copied.
    pub example: &'static str,
    /// The argument that takes a free-form text (`command: ls -l`).
    pub free_form: Option<&'static str>,
    pub rules: &'static [Rule],
}

/// One argument. Built with the constructors below, in constants.
#[derive(Debug, Clone, Copy)]
pub struct Arg {
    pub name: &'static str,
    pub kind: Kind,
    pub aliases: &'static [&'static str],
    /// In YAML's spelling; none is null.
    pub default: Option<&'static str>,
    pub required: bool,
    /// The values that are allowed; empty: any.
    pub choices: &'static [&'static str],
    pub doc: &'static str,
    /// Never shown: passwords, keys.
    pub secret: bool,
}

/// One key of a module's result, as `doc` shows it.
#[derive(Debug, Clone, Copy)]
pub struct Return {
    pub name: &'static str,
    /// As the type of an argument is spelt; `list of dict` and the like.
    pub kind: &'static str,
    pub doc: &'static str,
    /// When it is there; empty: always.
    pub when: &'static str,
}

impl Return {
    pub const fn new(name: &'static str, kind: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            doc,
            when: "",
        }
    }

    #[must_use]
    pub const fn when(mut self, when: &'static str) -> Self {
        self.when = when;
        self
    }
}

/// What an argument's value is coerced to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Str,
    /// A path on the target, with `~` still in it.
    Path,
    Bool,
    Int,
    Float,
    /// Octal text, symbolic text (`u+x`), or a number as YAML 1.1 read it.
    Mode,
    /// A list of texts; a single text is split at commas.
    Strings,
    /// A list of anything.
    List,
    Dict,
    /// As it comes.
    Raw,
}

/// What must hold between arguments.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    Exclusive(&'static [&'static str]),
    OneOf(&'static [&'static str]),
    Together(&'static [&'static str]),
    /// If the argument has this value, then the others are required.
    If(&'static str, &'static str, &'static [&'static str]),
}

impl Arg {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            aliases: &[],
            default: None,
            required: false,
            choices: &[],
            doc: "",
            secret: false,
        }
    }

    pub const fn str(name: &'static str) -> Self {
        Self::new(name, Kind::Str)
    }

    pub const fn path(name: &'static str) -> Self {
        Self::new(name, Kind::Path)
    }

    pub const fn bool(name: &'static str) -> Self {
        Self::new(name, Kind::Bool)
    }

    pub const fn int(name: &'static str) -> Self {
        Self::new(name, Kind::Int)
    }

    pub const fn float(name: &'static str) -> Self {
        Self::new(name, Kind::Float)
    }

    pub const fn mode(name: &'static str) -> Self {
        Self::new(name, Kind::Mode)
    }

    pub const fn strings(name: &'static str) -> Self {
        Self::new(name, Kind::Strings)
    }

    pub const fn list(name: &'static str) -> Self {
        Self::new(name, Kind::List)
    }

    pub const fn dict(name: &'static str) -> Self {
        Self::new(name, Kind::Dict)
    }

    pub const fn raw(name: &'static str) -> Self {
        Self::new(name, Kind::Raw)
    }

    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    #[must_use]
    pub const fn default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    #[must_use]
    pub const fn choices(mut self, choices: &'static [&'static str]) -> Self {
        self.choices = choices;
        self
    }

    #[must_use]
    pub const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}

/// Why arguments were refused; `argument` names the one at fault, if it is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ArgumentError {
    pub argument: Option<String>,
    pub message: String,
    /// The argument that was probably meant.
    pub nearest: Option<String>,
}

impl ArgumentError {
    fn new(argument: Option<&str>, message: String) -> Self {
        Self {
            argument: argument.map(str::to_owned),
            message,
            nearest: None,
        }
    }
}

impl Spec {
    /// The argument that goes by this name or alias.
    pub fn arg(&self, name: &str) -> Option<&'static Arg> {
        self.args
            .iter()
            .find(|arg| arg.name == name || arg.aliases.contains(&name))
    }

    /// Checks one argument's name alone: all that can be known before templating.
    pub fn check_name(&self, name: &str) -> Result<&'static Arg, ArgumentError> {
        self.arg(name).ok_or_else(|| {
            let mut supported: Vec<&str> = self.args.iter().map(|arg| arg.name).collect();
            supported.sort_unstable();
            let known = self
                .args
                .iter()
                .flat_map(|arg| arg.aliases.iter().copied().chain([arg.name]));
            ArgumentError {
                argument: Some(name.to_owned()),
                message: format!(
                    "Unsupported parameters for ({}) module: {name}. Supported parameters include: {}.",
                    self.name,
                    supported.join(", "),
                ),
                nearest: nearest(name, known).map(str::to_owned),
            }
        })
    }

    /// Names, types, choices, defaults and rules: the map that the module receives, with every argument
    /// present under its first name (null where it has neither value nor default).
    pub fn resolve(&self, given: &Map) -> Result<Map, ArgumentError> {
        let mut values = Map::new();
        for (name, value) in given {
            let arg = self.check_name(name)?;
            if value == &Value::Null {
                continue;
            }
            values.insert(arg.name.to_owned(), arg.coerce(value)?);
        }
        for rule in self.rules {
            rule.check(&values, self)?;
        }
        let missing: Vec<&str> = self
            .args
            .iter()
            .filter(|arg| arg.required && !values.contains_key(arg.name))
            .map(|arg| arg.name)
            .collect();
        if !missing.is_empty() {
            return Err(ArgumentError::new(
                Some(missing[0]),
                format!("missing required arguments: {}", missing.join(", ")),
            ));
        }
        let mut resolved = Map::with_capacity(self.args.len());
        for arg in self.args {
            let value = match (values.swap_remove(arg.name), arg.default) {
                (Some(value), _) => value,
                (None, Some("[]")) => Value::List(Vec::new()),
                (None, Some(default)) => arg.coerce(&Value::from(default))?,
                (None, None) => Value::Null,
            };
            resolved.insert(arg.name.to_owned(), value);
        }
        Ok(resolved)
    }
}

impl Arg {
    /// The value as this argument's kind, if it can be one.
    fn coerce(&self, value: &Value) -> Result<Value, ArgumentError> {
        let coerced = match self.kind {
            Kind::Raw => Some(value.clone()),
            // As everywhere in Ansible: what is no text is spelt as one.
            Kind::Str | Kind::Path => Some(Value::Str(value.to_string())),
            Kind::Bool => value.truth().map(Value::Bool),
            Kind::Int => integer(value).map(Value::Int),
            Kind::Float => float(value).map(Value::Float),
            Kind::Mode => match value {
                // YAML 1.1 has read 0644 as the number 420: say it in octal again.
                Value::Int(number) => Some(Value::Str(format!("0{number:o}"))),
                other => text(other).map(Value::Str),
            },
            Kind::Strings => strings(value),
            Kind::List => Some(match value {
                Value::List(_) => value.clone(),
                Value::Str(text) => Value::from(split_commas(text)),
                other => Value::List(vec![other.clone()]),
            }),
            Kind::Dict => dict(value),
        };
        let coerced = coerced.ok_or_else(|| {
            ArgumentError::new(
                Some(self.name),
                format!(
                    "argument '{}' is of type {} and we were unable to convert to {}",
                    self.name,
                    value.type_name(),
                    self.kind.name()
                ),
            )
        })?;
        self.check_choice(&coerced)?;
        Ok(coerced)
    }

    fn check_choice(&self, value: &Value) -> Result<(), ArgumentError> {
        if self.choices.is_empty() {
            return Ok(());
        }
        let items = match value {
            Value::List(items) => items.as_slice(),
            other => std::slice::from_ref(other),
        };
        for item in items {
            let text = match item {
                Value::Bool(flag) => (if *flag { "yes" } else { "no" }).to_owned(),
                other => other.to_string(),
            };
            if !self.choices.contains(&text.as_str()) {
                let mut error = ArgumentError::new(
                    Some(self.name),
                    format!(
                        "value of {} must be one of: {}, got: {text}",
                        self.name,
                        self.choices.join(", ")
                    ),
                );
                error.nearest = nearest(&text, self.choices.iter().copied()).map(str::to_owned);
                return Err(error);
            }
        }
        Ok(())
    }
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Str => "str",
            Self::Path => "path",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Mode => "mode",
            Self::Strings => "list of str",
            Self::List => "list",
            Self::Dict => "dict",
            Self::Raw => "raw",
        }
    }
}

impl Rule {
    fn check(self, values: &Map, spec: &Spec) -> Result<(), ArgumentError> {
        // A condition may also be met by what an argument is where it is not given.
        let is = |name: &str, wanted: &str| {
            let default = || {
                let arg = spec.arg(name)?;
                arg.coerce(&Value::from(arg.default?)).ok()
            };
            let value = values.get(name).cloned().or_else(default);
            value.is_some_and(|value| value.to_string() == wanted)
        };
        let given = |names: &[&'static str]| -> Vec<&'static str> {
            names
                .iter()
                .copied()
                .filter(|name| values.contains_key(*name))
                .collect()
        };
        match self {
            Self::Exclusive(names) if given(names).len() > 1 => Err(ArgumentError::new(
                Some(given(names)[1]),
                format!("parameters are mutually exclusive: {}", names.join("|")),
            )),
            Self::OneOf(names) if given(names).is_empty() => Err(ArgumentError::new(
                None,
                format!("one of the following is required: {}", names.join(", ")),
            )),
            Self::Together(names) if !given(names).is_empty() && given(names).len() < names.len() => {
                Err(ArgumentError::new(
                    Some(given(names)[0]),
                    format!("parameters are required together: {}", names.join(", ")),
                ))
            }
            Self::If(name, wanted, names) if is(name, wanted) && given(names).len() < names.len() => {
                let missing: Vec<&str> = names
                    .iter()
                    .copied()
                    .filter(|name| !values.contains_key(*name))
                    .collect();
                Err(ArgumentError::new(
                    Some(name),
                    format!(
                        "{name} is {wanted} but all of the following are missing: {}",
                        missing.join(", ")
                    ),
                ))
            }
            _ => Ok(()),
        }
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::List(_) | Value::Map(_) => None,
        other => Some(other.to_string()),
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Str(text) => text.trim().parse().ok(),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "guarded by the fraction and the range"
        )]
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(*number as i64),
        _ => None,
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        #[expect(clippy::cast_precision_loss, reason = "timeouts and ratios are small")]
        Value::Int(number) => Some(*number as f64),
        Value::Str(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn strings(value: &Value) -> Option<Value> {
    match value {
        Value::List(items) => items
            .iter()
            .map(|item| text(item).map(Value::Str))
            .collect::<Option<Vec<_>>>()
            .map(Value::List),
        Value::Str(text) => Some(Value::from(split_commas(text))),
        Value::Map(_) => None,
        other => text(other).map(|text| Value::from(vec![text])),
    }
}

fn split_commas(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim().to_owned()).collect()
}

/// A map, JSON text of one, or `key=value` words.
fn dict(value: &Value) -> Option<Value> {
    match value {
        Value::Map(_) => Some(value.clone()),
        Value::Str(text) if text.trim_start().starts_with('{') => {
            serde_json::from_str::<Map>(text).ok().map(Value::Map)
        }
        Value::Str(text) => shell_words::split(&text.replace(',', " "))
            .ok()?
            .iter()
            .map(|word| {
                word.split_once('=')
                    .map(|(key, value)| (key.to_owned(), Value::from(value)))
            })
            .collect::<Option<Map>>()
            .map(Value::Map),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: Spec = Spec {
        name: "demo",
        summary: "",
        args: &[
            Arg::path("path").aliases(&["dest", "name"]).required(),
            Arg::mode("mode"),
            Arg::str("state")
                .choices(&["present", "absent"])
                .default("present"),
            Arg::bool("force").default("no"),
            Arg::strings("names"),
            Arg::str("content"),
            Arg::str("src"),
        ],
        returns: &[],
        example: "",
        free_form: None,
        rules: &[Rule::Exclusive(&["content", "src"])],
    };

    fn resolve(json: &str) -> Result<String, String> {
        SPEC.resolve(&serde_json::from_str(json).unwrap())
            .map(|map| serde_json::to_string(&map).unwrap())
            .map_err(|error| error.message)
    }

    #[test]
    fn fills_in_defaults_and_coerces() {
        insta::assert_snapshot!(
            resolve(r#"{"dest":"/x","mode":420,"force":"yes","names":"a, b"}"#).unwrap(),
            @r#"{"path":"/x","mode":"0644","state":"present","force":true,"names":["a","b"],"content":null,"src":null}"#
        );
    }

    #[test]
    fn refuses_with_the_words_that_users_know() {
        assert_eq!(resolve("{}").unwrap_err(), "missing required arguments: path");
        assert_eq!(
            resolve(r#"{"path":"/x","state":"gone"}"#).unwrap_err(),
            "value of state must be one of: present, absent, got: gone"
        );
        assert_eq!(
            resolve(r#"{"path":"/x","src":"a","content":"b"}"#).unwrap_err(),
            "parameters are mutually exclusive: content|src"
        );
        assert_eq!(
            SPEC.check_name("contnet").unwrap_err().nearest.as_deref(),
            Some("content")
        );
    }
}

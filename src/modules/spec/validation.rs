//! Arguments against their table: names, types, choices, defaults, rules, and the same for what is in them.
//!
//! [`Spec::resolve`] knows all values. [`Spec::look_through`] is for what is only written yet: where there is a
//! template, nobody knows whether it will be given and what it will be, so only what is wrong for certain is.

use super::{Arg, Rule, Spec, convert};
use crate::diagnostic::nearest;
use crate::value::{Map, Value};

/// From a map or list to what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Name(String),
    Item(usize),
}

/// Why arguments were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ArgumentError {
    /// The way to what is at fault, by the names that were written; empty: the arguments as a whole.
    pub path: Vec<Step>,
    /// It is the name at the end of the way that is wrong, not its value.
    pub by_name: bool,
    pub message: String,
    /// What was probably meant.
    pub nearest: Option<String>,
}

impl Spec {
    /// The map that the module receives, with every argument present under its first name (null where it has neither
    /// value nor default).
    pub fn resolve(&self, given: &Map) -> Result<Map, ArgumentError> {
        let mut values = Validation {
            module: self.name,
            path: Vec::new(),
            is_open: false,
            is_unknown: &|_| false,
        }
        .table(self.args, self.rules, given)?;
        let resolved = self.args.iter().map(|arg| {
            let value = values.swap_remove(arg.name).unwrap_or_default();
            (arg.name.to_owned(), value)
        });
        Ok(resolved.collect())
    }

    /// What is wrong whatever templates give; `is_unknown` tells where there are any. With `is_open` arguments come from
    /// elsewhere, too.
    pub fn look_through(
        &self,
        given: &Map,
        is_open: bool,
        is_unknown: &dyn Fn(&[Step]) -> bool,
    ) -> Result<(), ArgumentError> {
        let mut validation = Validation {
            module: self.name,
            path: Vec::new(),
            is_open,
            is_unknown,
        };
        validation.table(self.args, self.rules, given).map(|_| ())
    }
}

struct Validation<'a> {
    module: &'static str,
    /// Where it is, by the names that were written.
    path: Vec<Step>,
    is_open: bool,
    is_unknown: &'a dyn Fn(&[Step]) -> bool,
}

type Checked<T = ()> = Result<T, ArgumentError>;

impl Validation<'_> {
    /// The values of one table by their first names, with defaults.
    fn table(&mut self, args: &'static [Arg], rules: &[Rule], given: &Map) -> Checked<Map> {
        let mut level = Level {
            args,
            given,
            unknown: Vec::new(),
            is_open: self.is_open && self.path.is_empty(),
        };
        for (name, value) in given {
            self.path.push(Step::Name(name.clone()));
            let is_unknown = !has_known_parts(args, name, value) && (self.is_unknown)(&self.path);
            self.path.pop();
            match self.known(name, args) {
                Ok(arg) if is_unknown => level.unknown.push(arg.name),
                Ok(_) => {}
                // The name is a template.
                Err(_) if is_unknown && name.contains("{{") => level.is_open = true,
                Err(error) => return Err(error),
            }
        }
        let rules = |first: bool| {
            let is_first = move |rule: &&Rule| matches!(rule, Rule::Exclusive(_)) == first;
            rules.iter().filter(is_first).copied()
        };
        for rule in rules(true) {
            self.rule(rule, &level)?;
        }
        self.required(&level)?;
        let mut values = Map::new();
        for (name, value) in given {
            let Some(arg) = args.iter().find(|arg| arg.is_called(name)) else {
                continue;
            };
            if *value == Value::Null || level.unknown.contains(&arg.name) {
                continue;
            }
            self.path.push(Step::Name(name.clone()));
            let value = self.value(arg, value)?;
            self.path.pop();
            values.insert(arg.name.to_owned(), value);
        }
        for rule in rules(false) {
            self.rule(rule, &level)?;
        }
        for arg in args {
            if let Some(default) = arg.default.filter(|_| !values.contains_key(arg.name)) {
                let default = match default {
                    "[]" => Value::List(Vec::new()),
                    default => self.value(arg, &Value::from(default))?,
                };
                values.insert(arg.name.to_owned(), default);
            }
        }
        Ok(values)
    }

    /// The argument that goes by a name.
    fn known(&self, name: &str, args: &'static [Arg]) -> Checked<&'static Arg> {
        args.iter().find(|arg| arg.is_called(name)).ok_or_else(|| {
            let mut supported: Vec<&str> = args.iter().map(|arg| arg.name).collect();
            supported.sort_unstable();
            let names = args
                .iter()
                .flat_map(|arg| arg.aliases.iter().copied().chain([arg.name]));
            let mut context = self.names();
            context.push(name);
            let mut error = self.error(format!(
                "Unsupported parameters for ({}) module: {}. Supported parameters include: {}.",
                self.module,
                context.join("."),
                supported.join(", "),
            ));
            error.path.push(Step::Name(name.to_owned()));
            error.by_name = true;
            error.nearest = nearest(name, names).map(str::to_owned);
            error
        })
    }

    fn value(&mut self, arg: &'static Arg, value: &Value) -> Checked<Value> {
        let coerced = arg.coerce(value).map_err(|why| {
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            self.error(format!(
                "argument '{}' is of type {}{} and we were unable to convert to {}{why}",
                arg.name,
                value.type_name(),
                self.place(),
                arg.type_name(),
            ))
        })?;
        self.choice(arg, &coerced)?;
        if !arg.has_table() {
            return Ok(coerced);
        }
        match coerced {
            Value::Map(map) => Ok(Value::Map(self.table(arg.options, arg.rules, &map)?)),
            Value::List(items) => {
                let mut resolved = Vec::with_capacity(items.len());
                for (at, item) in items.iter().enumerate() {
                    self.path.push(Step::Item(at));
                    resolved.push(self.item(arg, item)?);
                    self.path.pop();
                }
                Ok(Value::List(resolved))
            }
            other => Ok(other),
        }
    }

    /// One dict of a list.
    fn item(&mut self, arg: &'static Arg, item: &Value) -> Checked<Value> {
        if item.as_map().is_none() && (self.is_unknown)(&self.path) {
            return Ok(Value::Null);
        }
        match convert::convert("dict", item) {
            Ok(Value::Map(map)) => Ok(Value::Map(self.table(arg.options, arg.rules, &map)?)),
            Ok(other) => Ok(other),
            Err(why) => Err(self.error(format!(
                "Elements value for option '{}'{} is of type {} and we were unable to convert to dict: {why}",
                arg.name,
                self.place(),
                item.type_name(),
            ))),
        }
    }

    fn choice(&self, arg: &Arg, value: &Value) -> Checked {
        if arg.choices.is_empty() {
            return Ok(());
        }
        let items = match value {
            Value::List(items) => items.as_slice(),
            other => std::slice::from_ref(other),
        };
        for (at, item) in items.iter().enumerate() {
            let text = match item {
                Value::Bool(flag) => (if *flag { "yes" } else { "no" }).to_owned(),
                other => other.to_string(),
            };
            if !arg.choices.contains(&text.as_str()) {
                let choices = arg.choices.join(", ");
                let mut around = self.names();
                around.pop();
                let mut error = self.error(format!(
                    "value of {} must be one of: {choices}, got: {text}{}",
                    arg.name,
                    found_in(&around)
                ));
                if value.as_list().is_some() {
                    error.path.push(Step::Item(at));
                }
                error.nearest = nearest(&text, arg.choices.iter().copied()).map(str::to_owned);
                return Err(error);
            }
        }
        Ok(())
    }

    fn required(&self, level: &Level) -> Checked {
        let required = level.args.iter().filter(|arg| arg.required);
        let missing: Vec<&str> = required
            .map(|arg| arg.name)
            .filter(|name| !level.may_have(name))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(self.ruled(format!("missing required arguments: {}", missing.join(", "))))
    }

    fn rule(&self, rule: Rule, level: &Level) -> Checked {
        let given = |names: &[&'static str]| -> Vec<&str> {
            names.iter().filter_map(|name| level.written(name)).collect()
        };
        let (at, message) = match rule {
            Rule::Exclusive(names) if given(names).len() > 1 => (
                Some(given(names)[1]),
                format!("parameters are mutually exclusive: {}", names.join("|")),
            ),
            Rule::OneOf(names) if !names.iter().any(|name| level.may_have(name)) => (
                None,
                format!("one of the following is required: {}", names.join(", ")),
            ),
            Rule::Together(names)
                if !given(names).is_empty() && !names.iter().all(|name| level.may_have(name)) =>
            {
                (
                    Some(given(names)[0]),
                    format!("parameters are required together: {}", names.join(", ")),
                )
            }
            Rule::If(name, wanted, names)
                if level.is(name, wanted) && !names.iter().all(|name| level.may_have(name)) =>
            {
                let missing: Vec<&str> = names
                    .iter()
                    .copied()
                    .filter(|name| !level.may_have(name))
                    .collect();
                (
                    level.written(name),
                    format!(
                        "{name} is {wanted} but all of the following are missing: {}",
                        missing.join(", ")
                    ),
                )
            }
            Rule::IfAny(name, wanted, names)
                if level.is(name, wanted) && !names.iter().any(|name| level.may_have(name)) =>
            {
                (
                    level.written(name),
                    format!(
                        "{name} is {wanted} but any of the following are missing: {}",
                        names.join(", ")
                    ),
                )
            }
            _ => return Ok(()),
        };
        let mut error = self.ruled(message);
        error.path.extend(at.map(|name| Step::Name(name.to_owned())));
        Err(error)
    }

    /// The names of the tables around.
    fn names(&self) -> Vec<&str> {
        let names = self.path.iter().filter_map(|step| match step {
            Step::Name(name) => Some(name.as_str()),
            Step::Item(_) => None,
        });
        names.collect()
    }

    /// Those around the argument at which it is.
    fn place(&self) -> String {
        match self.names().as_slice() {
            [] | [_] => String::new(),
            [around @ .., _] => format!(" found in '{}'.", around.join(" -> ")),
        }
    }

    fn error(&self, message: String) -> ArgumentError {
        ArgumentError {
            path: self.path.clone(),
            by_name: false,
            message,
            nearest: None,
        }
    }

    fn ruled(&self, message: String) -> ArgumentError {
        self.error(message + &found_in(&self.names()))
    }
}

/// Whether an argument is written in parts, each of which may be known or not.
fn has_known_parts(args: &[Arg], name: &str, value: &Value) -> bool {
    let in_parts = matches!(value, Value::Map(_) | Value::List(_));
    in_parts && args.iter().any(|arg| arg.is_called(name) && arg.has_table())
}

fn found_in(around: &[&str]) -> String {
    if around.is_empty() {
        return String::new();
    }
    format!(" found in {}", around.join(" -> "))
}

/// What is given for one table.
struct Level<'a> {
    args: &'static [Arg],
    given: &'a Map,
    /// Arguments that a template gives: perhaps nothing.
    unknown: Vec<&'static str>,
    is_open: bool,
}

impl Level<'_> {
    /// The name under which an argument certainly has a value.
    fn written(&self, name: &str) -> Option<&str> {
        let arg = self.args.iter().find(|arg| arg.name == name)?;
        let mut given = self.given.iter().filter(|(_, value)| **value != Value::Null);
        let (written, _) = given.find(|(written, _)| arg.is_called(written))?;
        (!self.unknown.contains(&arg.name)).then_some(written.as_str())
    }

    fn may_have(&self, name: &str) -> bool {
        self.is_open || self.unknown.contains(&name) || self.written(name).is_some()
    }

    /// Whether an argument certainly has this value; also by its default.
    fn is(&self, name: &str, wanted: &str) -> bool {
        let Some(arg) = self.args.iter().find(|arg| arg.name == name) else {
            return false;
        };
        let value = match self.written(name) {
            Some(written) => self.given.get(written).cloned(),
            None if self.may_have(name) => None,
            None => arg.default.map(Value::from),
        };
        let coerced = value.and_then(|value| arg.coerce(&value).ok());
        coerced.is_some_and(|value| value.to_string() == wanted)
    }
}

impl Arg {
    fn has_table(&self) -> bool {
        !self.options.is_empty()
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
            Arg::list("mounts").options(&[
                Arg::str("target").aliases(&["to"]).required(),
                Arg::str("type").choices(&["bind", "volume"]).default("volume"),
                Arg::str("source"),
                Arg::dict("limits").options(&[Arg::int("size")]),
            ]),
        ],
        returns: &[],
        example: "",
        free_form: None,
        rules: &[
            Rule::Exclusive(&["content", "src"]),
            Rule::If("state", "absent", &["force"]),
            Rule::Together(&["mode", "names"]),
        ],
    };

    fn map(json: &str) -> Map {
        serde_json::from_str(json).unwrap()
    }

    fn resolve(json: &str) -> Result<String, String> {
        SPEC.resolve(&map(json))
            .map(|map| serde_json::to_string(&map).unwrap())
            .map_err(|error| error.message)
    }

    /// What is wrong, and the way to it; `?` in a text stands for a template.
    #[track_caller]
    fn wrong(json: &str) -> String {
        let given = map(json);
        let is_unknown = |path: &[Step]| {
            let start = Some(Value::Map(given.clone()));
            let found = path.iter().fold(start, |value, step| match step {
                Step::Name(name) => value?.get(name).cloned(),
                Step::Item(at) => value?.as_list()?.get(*at).cloned(),
            });
            found.is_some_and(|value| value.to_string().contains('?'))
        };
        let Err(error) = SPEC.look_through(&given, false, &is_unknown) else {
            return String::new();
        };
        let steps = error.path.iter().map(|step| match step {
            Step::Name(name) => name.clone(),
            Step::Item(at) => at.to_string(),
        });
        let near = error.nearest.map(|near| format!(" ({near})")).unwrap_or_default();
        format!("{}: {}{near}", steps.collect::<Vec<_>>().join("/"), error.message)
    }

    #[test]
    fn fills_in_defaults_and_coerces() {
        insta::assert_snapshot!(
            resolve(r#"{"dest":"/x","mode":420,"force":"yes","names":"a, b"}"#).unwrap(),
            @r#"{"path":"/x","mode":"0644","state":"present","force":true,"names":["a","b"],"content":null,"src":null,"mounts":null}"#
        );
        let told = resolve(r#"{"path":"/x","mounts":[{"to":1,"source":null,"limits":"size=3"}]}"#).unwrap();
        assert!(
            told.ends_with(r#""mounts":[{"target":"1","limits":{"size":3},"type":"volume"}]}"#),
            "{told}"
        );
    }

    #[test]
    fn refuses_with_the_words_that_users_know() {
        assert_eq!(wrong("{}"), ": missing required arguments: path");
        assert_eq!(
            wrong(r#"{"path":"/x","state":"presnt"}"#),
            "state: value of state must be one of: present, absent, got: presnt (present)"
        );
        assert_eq!(
            wrong(r#"{"path":"/x","src":"a","content":"b"}"#),
            "src: parameters are mutually exclusive: content|src"
        );
        assert_eq!(
            wrong(r#"{"path":"/x","state":"absent"}"#),
            "state: state is absent but all of the following are missing: force"
        );
        assert_eq!(
            wrong(r#"{"path":"/x","mode":"0644"}"#),
            "mode: parameters are required together: mode, names"
        );
        assert!(wrong(r#"{"path":"/x","contnet":""}"#).ends_with("(content)"));
        assert_eq!(
            wrong(r#"{"path":"/x","force":"soon"}"#),
            "force: argument 'force' is of type str and we were unable to convert to bool: The value 'soon' is not a \
             valid boolean. Valid booleans include: y, yes, on, 1, true, t, n, no, off, 0, false, f"
        );
    }

    #[test]
    fn looks_into_dicts_and_their_lists() {
        let mounts = |mount: &str| {
            wrong(&format!(
                r#"{{"path":"/x","mounts":[{{"target":"/a"}},{mount}]}}"#
            ))
        };
        assert_eq!(
            mounts("{}"),
            "mounts/1: missing required arguments: target found in mounts"
        );
        assert_eq!(
            mounts(r#"{"taget":"/b"}"#),
            "mounts/1/taget: Unsupported parameters for (demo) module: mounts.taget. Supported parameters include: \
             limits, source, target, type. (target)"
        );
        assert_eq!(
            mounts(r#"{"to":"/b","type":"bnd"}"#),
            "mounts/1/type: value of type must be one of: bind, volume, got: bnd found in mounts (bind)"
        );
        assert_eq!(
            mounts(r#"{"to":"/b","limits":{"size":"x"}}"#),
            "mounts/1/limits/size: argument 'size' is of type str found in 'mounts -> limits'. and we were unable to \
             convert to int: \"'x'\" cannot be converted to an int"
        );
        assert_eq!(
            mounts("3"),
            "mounts/1: Elements value for option 'mounts' is of type int and we were unable to convert to dict: \
             <class 'int'> cannot be converted to a dict"
        );
    }

    #[test]
    fn of_templates_only_what_is_certain_is_said() {
        for sound in [
            r#"{"path":"?"}"#,
            r#"{"path":"/x","force":"?","mounts":"?"}"#,
            r#"{"path":"/x","mounts":["?",{"target":"?","type":"?","limits":"?"}]}"#,
            r#"{"path":"/x","src":"?","content":"b"}"#,
            r#"{"path":"/x","state":"absent","force":"?"}"#,
            r#"{"path":"/x","state":"?"}"#,
            r#"{"path":"/x","mode":"?"}"#,
        ] {
            assert_eq!(wrong(sound), "", "{sound}");
        }
        for (given, at) in [
            (r#"{"src":"?"}"#, ":"),
            (r#"{"path":"?","state":"gone"}"#, "state:"),
            (r#"{"path":"?","mounts":[{"source":"?"}]}"#, "mounts/0:"),
            (
                r#"{"path":"?","mounts":[{"target":"?","soruce":"?"}]}"#,
                "mounts/0/soruce:",
            ),
        ] {
            assert!(wrong(given).starts_with(at), "{given}: {}", wrong(given));
        }
    }
}

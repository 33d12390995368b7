//! Bad arguments from a table: what is sound, with one thing wrong.

use regdeploy::diagnostic::nearest;
use regdeploy::modules::spec::Step;
use regdeploy::modules::{Arg, Kind, Rule, Spec};
use regdeploy::value::{Map, Value};

use super::written::At;

/// Modules that take any name: it becomes a variable.
const ANY_NAME: &[&str] = &["add_host", "set_fact"];

/// Arguments with one thing wrong, and what must be said of it.
pub struct Bad {
    pub arguments: Map,
    pub message: String,
    pub at: At,
    pub nearest: Nearest,
    /// It breaks a rule between arguments.
    pub is_of_a_rule: bool,
}

pub enum Nearest {
    Any,
    OneOf(Vec<&'static str>),
}

/// Arguments that nothing is wrong with.
pub fn sound(spec: &Spec) -> Map {
    Table::of(spec).sound(Map::new(), &[])
}

/// Everything that can be wrong with a module's arguments.
pub fn all(spec: &Spec) -> Vec<Bad> {
    let mut bad = Table::of(spec).bad();
    if ANY_NAME.contains(&spec.name) {
        bad.retain(|bad| !matches!(bad.at, At::Name(_)));
    }
    bad
}

#[derive(Clone, Copy)]
struct Table {
    args: &'static [Arg],
    rules: &'static [Rule],
}

impl Table {
    fn of(spec: &Spec) -> Self {
        Self {
            args: spec.args,
            rules: spec.rules,
        }
    }

    fn arg(&self, name: &str) -> &'static Arg {
        let found = self.args.iter().find(|arg| arg.name == name);
        found.unwrap_or_else(|| panic!("a rule names `{name}`, which the table does not have"))
    }

    /// What is given already, with all that it needs to be sound but for `without`.
    fn sound(&self, given: Map, without: &[&str]) -> Map {
        let mut map = given;
        let required = self.args.iter().filter(|arg| arg.required);
        for arg in required.filter(|arg| !without.contains(&arg.name)) {
            map.entry(arg.name.to_owned()).or_insert_with(|| sample(arg));
        }
        loop {
            let wanted: Vec<&str> = self
                .rules
                .iter()
                .flat_map(|rule| self.wanted(*rule, &map, without))
                .filter(|name| !without.contains(name) && !map.contains_key(*name))
                .collect();
            let Some(name) = wanted.first() else {
                return map;
            };
            map.insert((*name).to_owned(), sample(self.arg(name)));
        }
    }

    /// What a rule makes necessary.
    fn wanted(&self, rule: Rule, map: &Map, without: &[&str]) -> Vec<&'static str> {
        match rule {
            Rule::OneOf(names) if !names.iter().any(|name| map.contains_key(*name)) => {
                let fits = |name: &&&str| !without.contains(*name) && !self.is_excluded(name, map);
                names.iter().find(fits).copied().into_iter().collect()
            }
            Rule::Together(names) if names.iter().any(|name| map.contains_key(*name)) => names.to_vec(),
            Rule::If(name, value, names) if self.is(map, name, value) => names.to_vec(),
            Rule::IfAny(name, value, names)
                if self.is(map, name, value) && !names.iter().any(|name| map.contains_key(*name)) =>
            {
                let fits = |name: &&&str| !without.contains(*name);
                names.iter().find(fits).copied().into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn is_excluded(&self, name: &str, map: &Map) -> bool {
        self.rules.iter().any(|rule| match rule {
            Rule::Exclusive(names) => {
                names.contains(&name)
                    && names
                        .iter()
                        .any(|other| *other != name && map.contains_key(*other))
            }
            _ => false,
        })
    }

    fn is(&self, map: &Map, name: &str, value: &str) -> bool {
        let given = map.get(name).map(Value::to_string);
        let is = given.or_else(|| self.arg(name).default.map(str::to_owned));
        is.is_some_and(|is| is == value)
    }

    fn bad(&self) -> Vec<Bad> {
        let mut bad = Vec::new();
        for arg in self.args {
            bad.extend(self.misspelt(arg));
            bad.extend(self.mistyped(arg));
            bad.extend(self.unchosen(arg));
            bad.extend(self.missing(arg));
            bad.extend(self.within(arg));
        }
        for rule in self.rules {
            bad.extend(self.broken(*rule));
        }
        bad
    }

    /// Sound but for one value.
    fn with(&self, arg: &Arg, value: Value) -> Map {
        self.sound(Map::from_iter([(arg.name.to_owned(), value)]), &[])
    }

    fn misspelt(&self, arg: &Arg) -> Option<Bad> {
        let all = || {
            self.args
                .iter()
                .flat_map(|arg| arg.aliases.iter().copied().chain([arg.name]))
        };
        let half = arg.name.len() / 2;
        let doubled = arg.name.get(half..=half).filter(|_| !arg.name.starts_with('_'))?;
        let written = format!("{}{doubled}{}", &arg.name[..half], &arg.name[half..]);
        if all().any(|name| name == written) {
            return None;
        }
        // Others may be as near: `userr` is `user` or `users`.
        let near: Vec<&str> = all()
            .filter(|name| nearest(&written, [*name]).is_some())
            .collect();
        assert!(
            near.contains(&arg.name),
            "`{written}` is not near to {}",
            arg.name
        );
        let mut arguments = self.sound(Map::new(), &[]);
        arguments.insert(written.clone(), sample(arg));
        Some(Bad {
            arguments,
            message: format!("{written}. Supported parameters include: "),
            at: At::Name(vec![Step::Name(written)]),
            nearest: Nearest::OneOf(near),
            is_of_a_rule: false,
        })
    }

    fn mistyped(&self, arg: &Arg) -> Option<Bad> {
        let map = || Value::Map(Map::from_iter([("a".to_owned(), "b".into())]));
        let value = match arg.kind {
            // Anything is a text.
            Kind::Str | Kind::Path | Kind::Raw => return None,
            Kind::Bool => "maybe".into(),
            Kind::Int => "many".into(),
            Kind::Float => "much".into(),
            Kind::Mode => vec!["0644"].into(),
            Kind::Dict => "words that are no pairs".into(),
            Kind::Strings | Kind::List => map(),
        };
        Some(Bad {
            arguments: self.with(arg, value),
            message: format!("argument '{}' is of type ", arg.name),
            at: At::Value(vec![Step::Name(arg.name.to_owned())]),
            nearest: Nearest::Any,
            is_of_a_rule: false,
        })
    }

    fn unchosen(&self, arg: &Arg) -> Option<Bad> {
        let first = arg.choices.first()?;
        let mut at = vec![Step::Name(arg.name.to_owned())];
        let (value, nearest) = match arg.kind {
            Kind::Int => (Value::Int(987_654), Nearest::Any),
            Kind::Strings => {
                at.push(Step::Item(0));
                (vec!["none-of-these"].into(), Nearest::Any)
            }
            // One letter too many, where that is close enough to be meant.
            _ => {
                let written = format!("{first}q");
                let near = arg.choices.iter().copied();
                let near: Vec<&str> = near
                    .filter(|choice| nearest(&written, [*choice]).is_some())
                    .collect();
                // A line's end is nothing to suggest by name.
                if near.iter().any(|choice| choice.trim().is_empty()) {
                    (written.into(), Nearest::Any)
                } else {
                    (written.into(), Nearest::OneOf(near))
                }
            }
        };
        Some(Bad {
            arguments: self.with(arg, value),
            message: format!("value of {} must be one of: ", arg.name),
            at: At::Value(at),
            nearest,
            is_of_a_rule: false,
        })
    }

    fn missing(&self, arg: &Arg) -> Option<Bad> {
        arg.required.then(|| Bad {
            arguments: self.sound(Map::new(), &[arg.name]),
            message: format!("missing required arguments: {}", arg.name),
            at: At::Value(Vec::new()),
            nearest: Nearest::Any,
            is_of_a_rule: true,
        })
    }

    /// What can be wrong in an argument's own table.
    fn within(&self, arg: &'static Arg) -> Vec<Bad> {
        let table = Self {
            args: arg.options,
            rules: arg.rules,
        };
        let in_list = arg.kind == Kind::List;
        let outer = |bad: Bad| {
            let way = |steps: Vec<Step>| {
                let item = in_list.then_some(Step::Item(0));
                let to = [Step::Name(arg.name.to_owned())].into_iter().chain(item);
                to.chain(steps).collect()
            };
            let inner = Value::Map(bad.arguments);
            let value = if in_list { vec![inner].into() } else { inner };
            Bad {
                arguments: self.with(arg, value),
                at: match bad.at {
                    At::Name(steps) => At::Name(way(steps)),
                    At::Value(steps) => At::Value(way(steps)),
                },
                ..bad
            }
        };
        table.bad().into_iter().map(outer).collect()
    }

    fn broken(&self, rule: Rule) -> Vec<Bad> {
        let bad = |given: &[&str], without: &[&str], message: String, at: Option<&str>| {
            let given = given
                .iter()
                .map(|name| ((*name).to_owned(), sample(self.arg(name))));
            Bad {
                arguments: self.sound(given.collect(), without),
                message,
                at: At::Value(at.map(|name| Step::Name(name.to_owned())).into_iter().collect()),
                nearest: Nearest::Any,
                is_of_a_rule: true,
            }
        };
        match rule {
            Rule::Exclusive(names) => {
                let others = names.iter().skip(1).filter(|name| self.arg(name).is_free());
                let message = format!("parameters are mutually exclusive: {}", names.join("|"));
                others
                    .map(|other| bad(&[names[0], other], &[], message.clone(), Some(other)))
                    .collect()
            }
            Rule::OneOf(names) => {
                let message = format!("one of the following is required: {}", names.join(", "));
                vec![bad(&[], names, message, None)]
            }
            Rule::Together(names) => {
                let message = format!("parameters are required together: {}", names.join(", "));
                let lonely = |name: &&'static str| {
                    let others: Vec<&str> = names.iter().copied().filter(|other| other != name).collect();
                    bad(&[name], &others, message.clone(), Some(name))
                };
                names.iter().map(lonely).collect()
            }
            Rule::If(name, value, needed) => {
                let value: Value = serde_yaml::from_str(value).unwrap_or_else(|_| value.into());
                let without = |lacking: &&'static str| Bad {
                    arguments: self.sound(Map::from_iter([(name.to_owned(), value.clone())]), &[lacking]),
                    message: format!("{name} is {value} but all of the following are missing: {lacking}"),
                    at: At::Value(vec![Step::Name(name.to_owned())]),
                    nearest: Nearest::Any,
                    is_of_a_rule: true,
                };
                needed.iter().map(without).collect()
            }
            Rule::IfAny(name, value, needed) => vec![Bad {
                arguments: self.sound(Map::from_iter([(name.to_owned(), value.into())]), needed),
                message: format!(
                    "{name} is {value} but any of the following are missing: {}",
                    needed.join(", ")
                ),
                at: At::Value(vec![Step::Name(name.to_owned())]),
                nearest: Nearest::Any,
                is_of_a_rule: true,
            }],
        }
    }
}

trait Free {
    fn is_free(&self) -> bool;
}

impl Free for Arg {
    /// Whether it can be left out.
    fn is_free(&self) -> bool {
        !self.required
    }
}

/// A value that an argument takes.
fn sample(arg: &Arg) -> Value {
    let inner = || {
        let table = Table {
            args: arg.options,
            rules: arg.rules,
        };
        Value::Map(table.sound(Map::new(), &[]))
    };
    match (arg.choices.first(), arg.kind) {
        (Some(choice), Kind::Int) => Value::Int(choice.parse().expect("a choice of its kind")),
        (Some(choice), Kind::Strings) => vec![*choice].into(),
        (Some(choice), _) => (*choice).into(),
        (None, Kind::Bool) => Value::Bool(true),
        (None, Kind::Int) => Value::Int(1),
        (None, Kind::Float) => Value::Float(1.5),
        (None, Kind::Mode) => "0644".into(),
        (None, Kind::Strings) => vec!["x"].into(),
        (None, Kind::List) if arg.options.is_empty() => vec!["x"].into(),
        (None, Kind::List) => vec![inner()].into(),
        (None, Kind::Dict) if arg.options.is_empty() => {
            Value::Map(Map::from_iter([("a".to_owned(), "b".into())]))
        }
        (None, Kind::Dict) => inner(),
        (None, Kind::Path) => "/tmp/x".into(),
        (None, Kind::Str | Kind::Raw) => "x".into(),
    }
}

//! One call of a filter, test or function: the table row that describes it and the arguments, bound to the
//! names that the row gives them.

use minijinja::value::{Kwargs, Rest, ValueOrKwargs};
use minijinja::{Error, ErrorKind, State, Value as Native};

use super::{convert, taint};
use crate::value::{Map, Value};

/// What is under a name: one row of a table.
pub(super) struct Definition {
    pub(super) name: &'static str,
    /// As in Python: `indent=4, sort_keys=true`; `*name` takes the remaining positional arguments and `**name`
    /// the remaining named ones. The defaults are for the reader.
    pub(super) parameters: &'static str,
    pub(super) doc: &'static str,
    run: Run,
}

/// What a name is called in: its kind, and the collection that Ansible has it in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plugin {
    pub(super) kind: &'static str,
    pub(super) collection: &'static str,
}

enum Run {
    Data(fn(&Call) -> Result<Value, Error>),
    Native(fn(&Call) -> Result<Native, Error>),
}

/// A row whose outcome is data.
pub(super) const fn row(
    name: &'static str,
    parameters: &'static str,
    doc: &'static str,
    run: fn(&Call) -> Result<Value, Error>,
) -> Definition {
    Definition {
        name,
        parameters,
        doc,
        run: Run::Data(run),
    }
}

/// A row whose outcome is the engine's: undefined values, objects, or what other filters make.
pub(super) const fn native(
    name: &'static str,
    parameters: &'static str,
    doc: &'static str,
    run: fn(&Call) -> Result<Native, Error>,
) -> Definition {
    Definition {
        name,
        parameters,
        doc,
        run: Run::Native(run),
    }
}

/// A table's names with what they take and do: what `doc` shows.
pub(super) fn documentation(
    tables: &'static [&'static [Definition]],
) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    tables
        .iter()
        .copied()
        .flatten()
        .map(|row| (row.name, row.parameters, row.doc))
}

impl Definition {
    /// Runs a filter or test on `input`.
    pub(super) fn apply(
        &'static self,
        plugin: Plugin,
        state: &mut State,
        input: &Native,
        arguments: Rest<ValueOrKwargs>,
    ) -> Result<Native, Error> {
        self.run(plugin, input, arguments).map_err(|error| {
            if input.is_undefined() && error.kind() == ErrorKind::UndefinedError {
                // The engine's own error names what is undefined.
                state.format(input.clone()).err().unwrap_or(error)
            } else {
                error
            }
        })
    }

    /// Runs what stands alone, or on `input`.
    pub(super) fn run(
        &'static self,
        plugin: Plugin,
        input: &Native,
        arguments: Rest<ValueOrKwargs>,
    ) -> Result<Native, Error> {
        let (positional, named) = self
            .bind(arguments)?
            .map_err(|message| self.error(plugin, &message))?;
        let call = Call {
            definition: self,
            plugin,
            input,
            positional,
            named,
        };
        let output = match self.run {
            Run::Data(run) => run(&call).map(|value| convert::from_value(&value)),
            Run::Native(run) => run(&call),
        }?;
        let named = call.named.iter().map(|(_, value)| value);
        taint::follow([input].into_iter().chain(&call.positional).chain(named), &output);
        Ok(output)
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.parameters
            .split(", ")
            .filter(|parameter| !parameter.is_empty())
            .map(|parameter| parameter.split_once('=').map_or(parameter, |(name, _)| name))
    }

    /// Named arguments, and what `*name` takes.
    fn bind(&self, arguments: Rest<ValueOrKwargs>) -> Result<Result<Bound, String>, Error> {
        let mut rest = Vec::new();
        let mut named: Vec<(String, Native)> = Vec::new();
        let mut parameters = self.names();
        let mut variadic = false;
        for argument in arguments.into_values() {
            if argument.is_kwargs() {
                let kwargs = Kwargs::try_from(argument)?;
                for name in kwargs.args() {
                    if !self.names().any(|known| known == name || known.starts_with("**")) {
                        return Ok(Err(format!("there is no argument `{name}`")));
                    }
                    if named.iter().any(|(given, _)| given == name) {
                        return Ok(Err(format!("argument `{name}` is given twice")));
                    }
                    named.push((name.to_owned(), kwargs.peek::<&Native>(name)?.clone()));
                }
                continue;
            }
            let next = if variadic { None } else { parameters.next() };
            match next {
                Some(name) if !name.starts_with('*') => named.push((name.to_owned(), argument)),
                Some(name) if !name.starts_with("**") => {
                    variadic = true;
                    rest.push(argument);
                }
                None if variadic => rest.push(argument),
                _ => return Ok(Err("it has too many arguments".to_owned())),
            }
        }
        Ok(Ok((rest, named)))
    }

    fn error(&self, plugin: Plugin, message: &str) -> Error {
        let Plugin { kind, collection } = plugin;
        Error::new(
            ErrorKind::InvalidOperation,
            format!("The {kind} plugin '{collection}.{}' failed: {message}", self.name),
        )
    }
}

/// What `*name` takes, and the named arguments.
type Bound = (Vec<Native>, Vec<(String, Native)>);

/// A call with its arguments bound.
pub(super) struct Call<'c> {
    definition: &'static Definition,
    plugin: Plugin,
    pub(super) input: &'c Native,
    /// What `*name` took.
    pub(super) positional: Vec<Native>,
    named: Vec<(String, Native)>,
}

impl Call<'_> {
    /// An error that names the filter.
    pub(super) fn fail(&self, message: impl AsRef<str>) -> Error {
        self.definition.error(self.plugin, message.as_ref())
    }

    /// The input as data.
    pub(super) fn data(&self) -> Result<Value, Error> {
        data(self.input)
    }

    /// The input as Python's `str()` would have it.
    pub(super) fn text(&self) -> Result<String, Error> {
        Ok(self.data()?.to_string())
    }

    /// The input's items: of a list, a map's keys, a text's characters.
    pub(super) fn list(&self) -> Result<Vec<Value>, Error> {
        self.items_of(self.data()?)
    }

    pub(super) fn map(&self) -> Result<Map, Error> {
        match self.data()? {
            Value::Map(map) => Ok(map),
            other => Err(self.fail(format!("it needs a dict, and got {}", described(&other)))),
        }
    }

    pub(super) fn items_of(&self, value: Value) -> Result<Vec<Value>, Error> {
        match value {
            Value::List(items) => Ok(items),
            Value::Map(map) => Ok(map.into_keys().map(Value::from).collect()),
            Value::Str(text) => Ok(text.chars().map(|c| Value::from(c.to_string())).collect()),
            other => Err(self.fail(format!(
                "it needs a list, and got {}: '{}' object is not iterable",
                described(&other),
                other.type_name()
            ))),
        }
    }

    /// A named argument; none where it is missing.
    pub(super) fn argument(&self, name: &str) -> Option<&Native> {
        self.named
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value)
    }

    /// The named arguments, as written.
    pub(super) fn named(&self) -> impl Iterator<Item = (&str, &Native)> {
        self.named.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(super) fn value(&self, name: &str) -> Result<Option<Value>, Error> {
        self.argument(name).map(data).transpose()
    }

    /// An argument that must be there.
    pub(super) fn required(&self, name: &str) -> Result<Value, Error> {
        self.value(name)?
            .ok_or_else(|| self.fail(format!("argument `{name}` is missing")))
    }

    /// The remaining positional arguments as data.
    pub(super) fn rest(&self) -> Result<Vec<Value>, Error> {
        self.positional.iter().map(data).collect()
    }

    /// A text argument; none where it is missing or none.
    pub(super) fn string(&self, name: &str) -> Result<Option<String>, Error> {
        Ok(match self.value(name)? {
            None | Some(Value::Null) => None,
            Some(value) => Some(value.to_string()),
        })
    }

    pub(super) fn string_or(&self, name: &str, default: &str) -> Result<String, Error> {
        Ok(self.string(name)?.unwrap_or_else(|| default.to_owned()))
    }

    pub(super) fn int(&self, name: &str) -> Result<Option<i64>, Error> {
        match self.value(name)? {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Int(number)) => Ok(Some(number)),
            Some(Value::Bool(flag)) => Ok(Some(flag.into())),
            Some(other) => match other.to_string().parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(self.fail(format!(
                    "argument `{name}` must be an integer, and is {}",
                    described(&other)
                ))),
            },
        }
    }

    /// A count: a negative one is an error.
    pub(super) fn size(&self, name: &str, default: usize) -> Result<usize, Error> {
        match self.int(name)? {
            None => Ok(default),
            Some(number) => usize::try_from(number)
                .map_err(|_| self.fail(format!("argument `{name}` must not be negative"))),
        }
    }

    /// Whether an argument is true; `default` where it is missing.
    pub(super) fn flag(&self, name: &str, default: bool) -> bool {
        self.argument(name).map_or(default, Native::is_true)
    }
}

/// An engine's value as data, with the engine's own error for what is undefined.
pub(super) fn data(value: &Native) -> Result<Value, Error> {
    if value.is_undefined() {
        // Without detail: the engine adds which expression was undefined.
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    convert::to_value(value).map_err(|message| {
        let kind = if message.contains("undefined") {
            ErrorKind::UndefinedError
        } else {
            ErrorKind::InvalidOperation
        };
        Error::new(kind, message)
    })
}

/// A value for a message: its type and the start of it.
pub(super) fn described(value: &Value) -> String {
    let text: String = value.to_string().chars().take(40).collect();
    format!("{} ({text})", value.type_name())
}

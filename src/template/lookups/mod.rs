//! `lookup()`, `query()` and `with_*`: one table a file. And the engine's other functions, in [`globals`].
//!
//! Lookups run on the controller. There is none that needs the inventory or the network.

mod data;
mod files;
mod globals;
mod loops;
mod password;
mod sequence;
mod tables;

use std::path::PathBuf;
use std::sync::Arc;

pub use self::globals::documentation as function_documentation;
use minijinja::value::{Kwargs, Rest, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State};

use super::convert;
use super::encoding::decode;
use super::error::EvalError;
use super::evaluate::evaluate_text;
use super::scope::{Context, SCOPE, Scope};
use crate::diagnostic::Diagnostic;
use crate::secrets;
use crate::source::{Source, Span};
use crate::value::{Map, Value};
use crate::vault;

/// What a lookup is asked.
struct Request<'r> {
    name: &'r str,
    terms: Vec<Value>,
    options: Map,
    /// The `default` that is given is undefined: so is what is missing.
    undefined_default: bool,
    scope: &'r Arc<Scope>,
    /// Where it is asked; none inside of an expression, whose place is added later.
    span: Option<&'r Span>,
}

type Answer = Result<Vec<Value>, EvalError>;

/// One row of a table.
struct Lookup {
    name: &'static str,
    doc: &'static str,
    run: fn(&Request) -> Answer,
}

const fn row(name: &'static str, doc: &'static str, run: fn(&Request) -> Answer) -> Lookup {
    Lookup { name, doc, run }
}

const TABLES: &[&[Lookup]] = &[
    data::LOOKUPS,
    files::LOOKUPS,
    loops::LOOKUPS,
    password::LOOKUPS,
    sequence::LOOKUPS,
    tables::LOOKUPS,
];

impl Request<'_> {
    fn fail(&self, message: impl AsRef<str>) -> EvalError {
        self.located(EvalError::new(Diagnostic::error(format!(
            "The lookup plugin '{}' failed: {}",
            self.name,
            message.as_ref()
        ))))
    }

    fn located(&self, mut error: EvalError) -> EvalError {
        if let (None, Some(span)) = (&error.diagnostic.span, self.span) {
            error.diagnostic = error.diagnostic.at(span);
        }
        error
    }

    fn flag(&self, name: &str, default: bool) -> bool {
        self.options.get(name).map_or(default, super::filters::truth)
    }

    /// Where a file of this kind is.
    fn find(&self, kind: &str, name: &str) -> Result<PathBuf, EvalError> {
        let name = super::filters::expand_user(name);
        self.scope.search.find(kind, &name).ok_or_else(|| {
            let mut error = self.fail(format!(
                "Unable to access the file '{name}': No such file or directory where files are looked for"
            ));
            for candidate in self.scope.search.candidates(kind, &name) {
                error.diagnostic = error
                    .diagnostic
                    .hint(format!("looked at {}", candidate.display()));
            }
            error
        })
    }

    fn read(&self, path: &std::path::Path) -> Result<String, EvalError> {
        self.read_as(path, "utf-8")
    }

    fn read_as(&self, path: &std::path::Path, encoding: &str) -> Result<String, EvalError> {
        let shown = path.display();
        let bytes =
            std::fs::read(path).map_err(|error| self.fail(format!("cannot read {shown}: {error}")))?;
        let bytes = vault::opened_bytes(bytes)
            .map_err(|closed| self.fail(format!("{shown} stays encrypted: {closed}")))?;
        decode(&bytes, encoding).map_err(|message| self.fail(format!("{shown}: {message}")))
    }

    /// The one record that a term asks for: its key, with the options in the term on top of those given. Where a
    /// term says `key=value`, what is no option is a mistake.
    fn keyed(&self, term: &str, known: &[&str]) -> Result<(String, Map), EvalError> {
        let mut options = self.options.clone();
        let mut key = Vec::new();
        for word in words(term) {
            match word.split_once('=') {
                Some((name, value)) if known.contains(&name) => {
                    let bare = value
                        .strip_prefix(['\'', '"'])
                        .and_then(|value| value.strip_suffix(['\'', '"']));
                    options.insert(name.to_owned(), bare.unwrap_or(value).into());
                }
                Some((name, _)) => {
                    return Err(self.fail(format!("{name} is not a valid option")));
                }
                None => key.push(word),
            }
        }
        Ok((key.join(" "), options))
    }

    /// `TERM key=value key=value`: the term without its options, and the options on top of those given.
    fn inline(&self, term: &str, known: &[&str]) -> (String, Map) {
        let mut options = self.options.clone();
        let words = shell_words::split(term).unwrap_or_else(|_| vec![term.to_owned()]);
        let mut rest = Vec::new();
        for word in words {
            match word.split_once('=') {
                Some((name, value)) if known.contains(&name) => {
                    options.insert(name.to_owned(), value.into());
                }
                _ => rest.push(word),
            }
        }
        (rest.join(" "), options)
    }
}

/// A term's words, quotes and all; a quoted blank separates nothing.
fn words(term: &str) -> Vec<&str> {
    let mut quote = None;
    term.split(|c: char| {
        match quote {
            None if matches!(c, '\'' | '"') => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        quote.is_none() && c == ' '
    })
    .filter(|word| !word.is_empty())
    .collect()
}

/// Runs a lookup: the items of `with_NAME`, or of `query(NAME, ...)`. `terms` is what stands under `with_NAME`
/// as a list (a lone text or dict is a list of one).
pub fn run(
    name: &str,
    terms: Vec<Value>,
    options: Map,
    scope: &Arc<Scope>,
    span: &Span,
) -> Result<Vec<Value>, EvalError> {
    ask(&Request {
        name,
        terms,
        options,
        undefined_default: false,
        scope,
        span: Some(span),
    })
}

fn ask(request: &Request) -> Answer {
    let name = request.name;
    let short = name
        .strip_prefix("ansible.builtin.")
        .or_else(|| name.strip_prefix("ansible.legacy."))
        .or_else(|| name.strip_prefix("community.general."))
        .or_else(|| name.strip_prefix("ansible.utils."))
        .unwrap_or(name);
    let rows = || TABLES.iter().copied().flatten();
    match rows().find(|row| row.name == short) {
        Some(row) => (row.run)(request).map_err(|error| request.located(error)),
        None => Err(request.located(EvalError::new(
            Diagnostic::error(format!("The lookup plugin '{name}' was not found."))
                .nearest(short, rows().map(|row| row.name)),
        ))),
    }
}

/// The names of all lookups with what they give.
pub fn documentation() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLES.iter().copied().flatten().map(|row| (row.name, row.doc))
}

pub(super) fn install(environment: &mut Environment<'static>) {
    environment.add_function(
        "lookup",
        |state: &mut State, name: String, arguments: Rest<ValueOrKwargs>| {
            called(state, &name, arguments, false)
        },
    );
    for query in ["query", "q"] {
        environment.add_function(
            query,
            |state: &mut State, name: String, arguments: Rest<ValueOrKwargs>| {
                called(state, &name, arguments, true)
            },
        );
    }
    globals::install(environment);
}

/// The scope that a function is called in.
fn scope(state: &State) -> Result<Arc<Scope>, Error> {
    state
        .lookup(SCOPE)
        .and_then(|context| context.downcast_object::<Context>())
        .map(|context| Arc::clone(&context.0))
        .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "lookups need variables around them"))
}

/// What a text within a condition comes to, which is a template itself.
pub(super) fn embedded(state: &State, text: &str) -> Result<minijinja::Value, Error> {
    let value = evaluate_text(text, &anywhere(), &scope(state)?)?;
    Ok(convert::from_value(&value))
}

/// What to do about a lookup that fails.
fn called(
    state: &mut State,
    name: &str,
    arguments: Rest<ValueOrKwargs>,
    list: bool,
) -> Result<minijinja::Value, Error> {
    let mut terms = Vec::new();
    let mut options = Map::new();
    let mut undefined_default = false;
    for argument in arguments.into_values() {
        if argument.is_kwargs() {
            let kwargs = Kwargs::try_from(argument)?;
            for option in kwargs.args() {
                if option == "default" && kwargs.peek::<&minijinja::Value>(option)?.is_undefined() {
                    undefined_default = true;
                    continue;
                }
                options.insert(option.to_owned(), super::call::data(&kwargs.peek(option)?)?);
            }
        } else {
            terms.push(super::call::data(&argument)?);
        }
    }
    let list = options
        .shift_remove("wantlist")
        .map_or(list, |wanted| super::filters::truth(&wanted));
    let errors = options
        .shift_remove("errors")
        .unwrap_or_else(|| "strict".into())
        .to_string();
    let scope = scope(state)?;
    let mut given = terms.clone();
    given.push(Value::Map(options.clone()));
    let answer = ask(&Request {
        name,
        terms,
        options,
        undefined_default,
        scope: &scope,
        span: None,
    });
    let items = match (answer, errors.as_str()) {
        (Ok(items), _) => items,
        (Err(error), _) if undefined_default && error.undefined => return Ok(minijinja::Value::UNDEFINED),
        (Err(error), "strict") => return Err(error.into()),
        (Err(error), choice) => {
            if choice == "warn" {
                tracing::warn!("{error}");
            }
            return Ok(if list {
                minijinja::Value::from(Vec::<minijinja::Value>::new())
            } else {
                ().into()
            });
        }
    };
    let output = if list { items.into() } else { joined(items) };
    secrets::follow(&given.iter().collect::<Vec<_>>(), &output);
    Ok(convert::from_value(&output))
}

/// `lookup()` gives a lone item as it is, and texts with commas between.
fn joined(mut items: Vec<Value>) -> Value {
    if items.len() == 1 {
        return items.remove(0);
    }
    if items.is_empty() {
        return items.into();
    }
    match items.iter().map(Value::as_str).collect::<Option<Vec<&str>>>() {
        Some(texts) => texts.join(",").into(),
        None => items.into(),
    }
}

/// A place for what is asked inside of an expression.
fn anywhere() -> Span {
    Span::whole(&Source::new("<template>", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_once_and_documented() {
        let mut names: Vec<&str> = documentation().map(|(name, _)| name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(documentation().all(|(_, doc)| !doc.is_empty() && !doc.ends_with('.')));
    }

    fn lookup(name: &str, terms: &str) -> Result<Value, EvalError> {
        let terms: Value = serde_json::from_str(terms).unwrap();
        let scope = Scope::new(Vec::new(), crate::template::SearchPath::default());
        let span = Span::whole(&Source::new("t.yml", "with"));
        run(name, terms.as_list().unwrap().to_vec(), Map::new(), &scope, &span).map(Value::from)
    }

    #[test]
    fn loops_open_lists_as_with_does() {
        for (name, terms, expected) in [
            ("items", "[[1,2],[[3]],4]", "[1, 2, [3], 4]"),
            ("dict", r#"[{"a":1}]"#, "[{'key': 'a', 'value': 1}]"),
            ("flattened", "[[1,[2,[3]]]]", "[1, 2, 3]"),
            ("sequence", r#"["start=0 end=4 stride=2"]"#, "['0', '2', '4']"),
            ("cartesian", "[[1,2],[3]]", "[[1, 3], [2, 3]]"),
        ] {
            assert_eq!(lookup(name, terms).unwrap().to_string(), expected, "{name}");
        }
        let error = lookup("sequnce", "[]").unwrap_err();
        assert!(error.diagnostic.span.is_some());
        assert_eq!(error.diagnostic.hints, ["did you mean `sequence`?"]);
    }

    #[test]
    fn a_password_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let terms = format!(
            r#"["{}/deep/secret length=12 chars=digits"]"#,
            folder.path().display()
        );
        let first = lookup("password", &terms).unwrap();
        assert_eq!(lookup("password", &terms).unwrap(), first);
        let text = first.as_list().unwrap()[0].to_string();
        assert!(text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()));
    }
}

//! The engine, set up as Ansible sets up Jinja: strict about what is undefined, Python's spelling in output,
//! newlines after blocks removed, the last newline kept.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, Value};

use super::options::Options;
use super::{convert, filters, lookups, methods, native, owned, rewrite, tests};
use crate::vault;

/// What precedes a playbook's template where the engine asks for a name: so each is compiled once.
pub(super) const INLINE: &str = "\0";

/// The engine with the usual options, made once.
pub(super) static USUAL: LazyLock<Environment<'static>> = LazyLock::new(|| {
    build(&Options::default()).unwrap_or_else(|error| unreachable!("the usual syntax is valid: {error}"))
});

pub(super) fn build(options: &Options) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    let syntax = options.syntax()?;
    environment.set_syntax(syntax.clone());
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    // Only then does the engine say what was undefined.
    environment.set_debug(true);
    environment.set_recursion_limit(200);
    environment.set_formatter(native::format);
    environment.set_unknown_method_callback(methods::call);
    environment.set_path_join_callback(|name, parent| join(name, parent).into());
    environment.set_loader(move |name| {
        if let Some(text) = name.strip_prefix(INLINE) {
            return Ok(Some(
                rewrite::template(&rewrite::literal(text), &syntax).into_owned(),
            ));
        }
        if !Path::new(name).is_absolute() {
            return Ok(None);
        }
        match read(name) {
            // As Jinja's: only the outermost template keeps its last newline.
            Ok(text) => {
                let text = text.strip_suffix('\n').unwrap_or(&text);
                Ok(Some(rewrite::template(text, &syntax).into_owned()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::new(
                ErrorKind::InvalidOperation,
                format!("cannot read {name}: {error}"),
            )),
        }
    });
    filters::install(&mut environment);
    tests::install(&mut environment);
    lookups::install(&mut environment);
    environment.add_global("omit", convert::OMIT.clone());
    environment.add_function("cycler", minijinja_contrib::globals::cycler);
    environment.add_function("joiner", minijinja_contrib::globals::joiner);
    environment.add_function(rewrite::CHAIN, |value: &Value| rewrite::Chain::wrap(value));
    environment.add_function(rewrite::CONCAT, text);
    environment.add_function(rewrite::OWN, owned::own);
    environment.add_function(rewrite::EMBEDDED, lookups::embedded);
    environment.add_filter(rewrite::PERCENT, percent);
    environment.add_filter(rewrite::MINUS, minus);
    Ok(environment)
}

/// A template that is included, decrypted where it is a vault.
fn read(name: &str) -> std::io::Result<String> {
    let bytes = vault::opened_bytes(std::fs::read(name)?).map_err(std::io::Error::other)?;
    String::from_utf8(bytes).map_err(std::io::Error::other)
}

/// A template's includes are looked up beside it, and in the folders above it up to its `templates`.
fn join(name: &str, parent: &str) -> String {
    let name_path = Path::new(name);
    if name_path.is_absolute() || !Path::new(parent).is_absolute() {
        return name.to_owned();
    }
    let mut folder = Path::new(parent).parent();
    let beside: PathBuf = folder.map_or_else(PathBuf::new, |folder| folder.join(name_path));
    while let Some(current) = folder {
        let candidate = current.join(name_path);
        if candidate.exists() {
            return candidate.display().to_string();
        }
        if current.file_name().is_some_and(|last| last == "templates") {
            break;
        }
        folder = current.parent();
    }
    beside.display().to_string()
}

/// The engine's formatter makes the error for what is undefined.
fn defined(state: &mut State, values: &[&Value]) -> Result<(), Error> {
    match values.iter().find(|value| value.is_undefined()) {
        Some(undefined) => state.format((*undefined).clone()).map(drop),
        None => Ok(()),
    }
}

/// One side of `a ~ b` in Python's spelling, none too: only where it is printed alone is none nothing.
fn text(state: &mut State, value: &Value) -> Result<Value, Error> {
    defined(state, &[value])?;
    convert::display(value)
        .map(Value::from)
        .map_err(|message| Error::new(ErrorKind::InvalidOperation, message))
}

/// `a % b`: formats where `a` is a text.
fn percent(state: &mut State, left: &Value, right: &Value) -> Result<Value, Error> {
    defined(state, &[left, right])?;
    if left.as_str().is_none() {
        return modulo(left, right);
    }
    let mut arguments = vec![left.clone()];
    if right.is_tuple() {
        arguments.extend(right.try_iter()?);
    } else {
        arguments.push(right.clone());
    }
    state.apply_filter("format", &arguments)
}

/// `a - b`, of dates too.
fn minus(state: &mut State, left: &Value, right: &Value) -> Result<Value, Error> {
    defined(state, &[left, right])?;
    if let Some(between) = filters::between(left, right) {
        return Ok(between);
    }
    let failed = || Error::new(ErrorKind::InvalidOperation, "unsupported operand type(s) for -");
    match (left.as_i64(), right.as_i64()) {
        (Some(left), Some(right)) if left.checked_sub(right).is_some() => Ok(Value::from(left - right)),
        _ if left.kind() == ValueKind::Number && right.kind() == ValueKind::Number => Ok(Value::from(
            f64::try_from(left.clone())? - f64::try_from(right.clone())?,
        )),
        _ => Err(failed()),
    }
}

/// Python's remainder has the sign of the divisor.
fn modulo(left: &Value, right: &Value) -> Result<Value, Error> {
    let failed = |message: &str| Error::new(ErrorKind::InvalidOperation, message.to_owned());
    if left.kind() != ValueKind::Number || right.kind() != ValueKind::Number {
        return Err(failed("unsupported operand type(s) for %"));
    }
    if !right.is_true() {
        return Err(failed("modulo by zero"));
    }
    if let (true, Some(left), true, Some(right)) = (
        left.is_integer(),
        left.as_i64(),
        right.is_integer(),
        right.as_i64(),
    ) {
        let rest = left.wrapping_rem(right);
        let across = rest != 0 && (rest < 0) != (right < 0);
        return Ok(Value::from(if across { rest + right } else { rest }));
    }
    let (left, right) = (f64::try_from(left.clone())?, f64::try_from(right.clone())?);
    Ok(Value::from(left - right * (left / right).floor()))
}

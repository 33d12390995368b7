//! Lookups of the environment, of variables and of commands' output.

use std::process::Command;

use super::{Answer, Lookup, Request, row};
use crate::diagnostic::Diagnostic;
use crate::template::error::EvalError;
use crate::template::filters::regexes;
use crate::value::Value;

pub(super) const LOOKUPS: &[Lookup] = &[
    row("env", "The controller's environment variables", env),
    row("vars", "The values of variables by name", vars),
    row(
        "varnames",
        "The names of variables that match expressions",
        varnames,
    ),
    row("pipe", "What commands print on the controller", |request| {
        let text = |term: &Value| Ok(output(request, term)?.trim_end().into());
        request.terms.iter().map(text).collect()
    }),
    row(
        "lines",
        "The lines that commands print on the controller",
        |request| {
            let mut lines = Vec::new();
            for term in &request.terms {
                lines.extend(output(request, term)?.lines().map(Value::from));
            }
            Ok(lines)
        },
    ),
];

#[expect(clippy::unnecessary_wraps, reason = "the table's signature")]
fn env(request: &Request) -> Answer {
    let default = request
        .options
        .get("default")
        .cloned()
        .unwrap_or_else(|| "".into());
    let variable =
        |term: &Value| std::env::var(term.to_string()).map_or_else(|_| default.clone(), Value::from);
    Ok(request.terms.iter().map(variable).collect())
}

fn vars(request: &Request) -> Answer {
    let mut values = Vec::new();
    for term in &request.terms {
        let name = term.to_string();
        match (request.scope.value(&name), request.options.get("default")) {
            (Ok(Some(value)), _) => values.push(value),
            (Ok(None), Some(default)) => values.push(default.clone()),
            (Err(error), Some(default)) if error.undefined => values.push(default.clone()),
            (Err(error), _) => return Err(error),
            (Ok(None), None) => {
                let names = request.scope.names();
                return Err(EvalError::undefined(
                    Diagnostic::error(format!("No variable named '{name}' was found."))
                        .nearest(&name, names.iter().map(String::as_str)),
                ));
            }
        }
    }
    Ok(values)
}

fn varnames(request: &Request) -> Answer {
    let names = request.scope.names();
    let mut found = Vec::new();
    for term in &request.terms {
        let pattern = regexes::compile(&term.to_string()).map_err(|message| request.fail(message))?;
        let matching = names.iter().filter(|name| pattern.find_at(name, 0).is_some());
        found.extend(matching.map(|name| Value::from(name.as_str())));
    }
    Ok(found)
}

/// A shell's output, run where the playbook is. That is what these lookups are for: the controller is the
/// user's own machine, and the command their own text.
fn output(request: &Request, command: &Value) -> Result<String, EvalError> {
    let command = command.to_string();
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(&command);
    if let Some(folder) = request.scope.search.folders.last() {
        shell.current_dir(folder);
    }
    let done = shell
        .output()
        .map_err(|error| request.fail(format!("cannot run `{command}`: {error}")))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(request.fail(format!("`{command}` ended with {}: {}", done.status, said.trim())));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

//! Lookups of the controller's files.

use super::{Answer, Lookup, Request, anywhere, row};
use crate::template::about::with_file_variables;
use crate::template::evaluate::render_file;
use crate::template::filters::glob;
use crate::template::options::Options;
use crate::template::scope::{Names, Variable};
use crate::value::Value;
use std::sync::Arc;

pub(super) const LOOKUPS: &[Lookup] = &[
    row("file", "The contents of files", file),
    row("unvault", "The contents of files, encrypted or not", unvault),
    row("template", "What template files come to", template),
    row("fileglob", "The files that match patterns", fileglob),
];

fn file(request: &Request) -> Answer {
    let mut texts = Vec::new();
    for term in &request.terms {
        let text = request.read(&request.find("files", &term.to_string())?)?;
        let mut text = text.as_str();
        if request.flag("lstrip", false) {
            text = text.trim_start();
        }
        if request.flag("rstrip", true) {
            text = text.trim_end();
        }
        texts.push(text.into());
    }
    Ok(texts)
}

fn unvault(request: &Request) -> Answer {
    let terms = request.terms.iter();
    terms
        .map(|term| Ok(request.read(&request.find("files", &term.to_string())?)?.into()))
        .collect()
}

fn template(request: &Request) -> Answer {
    let mut options = Options::default();
    for (name, value) in &request.options {
        if Options::NAMES.contains(&name.as_str()) {
            options
                .set(name, &value.to_string())
                .map_err(|message| request.fail(message))?;
        }
    }
    let mut scope = Arc::clone(request.scope);
    if let Some(variables) = request.options.get("template_vars").and_then(Value::as_map) {
        let names: Names = variables
            .iter()
            .map(|(name, value)| (name.clone(), Variable::from(value.clone())))
            .collect();
        scope = scope.with(Arc::new(names));
    }
    let span = request.span.cloned().unwrap_or_else(anywhere);
    let mut values = Vec::new();
    for term in &request.terms {
        let name = term.to_string();
        let path = request.find("templates", &name)?;
        let text = request.read(&path)?;
        let scope = with_file_variables(&scope, &name, &path, None, &span);
        values.push(render_file(&path, &text, &options, &span, &scope)?);
    }
    Ok(values)
}

#[expect(clippy::unnecessary_wraps, reason = "the table's signature")]
fn fileglob(request: &Request) -> Answer {
    let mut found = Vec::new();
    for term in &request.terms {
        // The first folder in which something matches.
        let matches = request
            .scope
            .search
            .candidates("files", &term.to_string())
            .iter()
            .map(|pattern| glob(&pattern.to_string_lossy()))
            .find(|matches| !matches.is_empty());
        found.extend(matches.unwrap_or_default().into_iter().map(Value::from));
    }
    Ok(found)
}

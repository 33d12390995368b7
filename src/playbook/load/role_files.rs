//! The files of a role.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Loader;
use super::search::{Found, absolute};
use crate::diagnostic::Diagnostic;
use crate::playbook::context::Context;
use crate::playbook::role::Role;
use crate::source::{Span, shown};
use crate::yaml::{Kind, Mapping, Node};

/// Which of a role's files are meant, where not `main`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct From {
    pub tasks: Option<String>,
    pub handlers: Option<String>,
    pub vars: Option<String>,
    pub defaults: Option<String>,
}

impl Loader {
    /// The role of this name as seen from `context`, read if it was not yet.
    pub(super) fn role(
        &self,
        name: &str,
        context: &Context,
        span: &Span,
        from: &From,
    ) -> Result<Arc<Role>, Diagnostic> {
        let found = self.find_role(name, context, span)?;
        let key = (found.path.clone(), format!("{} {from:?}", found.name));
        if let Some(role) = self.roles.lock().ok().and_then(|roles| roles.get(&key).cloned()) {
            return Ok(role);
        }
        let role = Arc::new(self.read_role(found, from, span)?);
        if let Ok(mut roles) = self.roles.lock() {
            roles.insert(key, Arc::clone(&role));
        }
        Ok(role)
    }

    fn read_role(&self, found: Found, from: &From, span: &Span) -> Result<Role, Diagnostic> {
        let reading = Reading {
            loader: self,
            name: &found.name,
            path: &found.path,
            span,
        };
        Ok(Role {
            entry_point: from.tasks.clone().unwrap_or_else(|| "main".to_owned()),
            defaults: reading.variables("defaults", from.defaults.as_deref())?,
            vars: reading.variables("vars", from.vars.as_deref())?,
            tasks: reading.file("tasks", from.tasks.as_deref())?,
            handlers: reading.file("handlers", from.handlers.as_deref())?,
            meta: reading.file("meta", None)?,
            argument_specs: reading.argument_specs()?,
            name: found.name,
            collection: found.collection,
            path: found.path,
        })
    }
}

/// A role while its files are read.
struct Reading<'a> {
    loader: &'a Loader,
    name: &'a str,
    path: &'a Path,
    /// Who asks for it.
    span: &'a Span,
}

impl Reading<'_> {
    fn file(&self, kind: &str, name: Option<&str>) -> Result<Node, Diagnostic> {
        match self.candidates(kind, name)?.iter().find(|path| path.is_file()) {
            Some(path) => self.loader.file(path, Some(self.span)),
            None => self.missing(kind, name, Node::null(self.span.source())),
        }
    }

    fn argument_specs(&self) -> Result<Node, Diagnostic> {
        let folder = self.path.join("meta");
        let file = ["yml", "yaml", "json"]
            .iter()
            .map(|ending| folder.join(format!("argument_specs.{ending}")))
            .find(|path| path.is_file());
        match file {
            Some(path) => self.loader.file(&path, Some(self.span)),
            None => Ok(Node::null(self.span.source())),
        }
    }

    /// `defaults/main.yml`, or all files below `defaults/main/`.
    fn variables(&self, kind: &str, name: Option<&str>) -> Result<Arc<Mapping>, Diagnostic> {
        let candidates = self.candidates(kind, name)?;
        let Some(path) = candidates.iter().find(|path| path.exists()) else {
            return self.missing(kind, name, Arc::default());
        };
        let mut files = Vec::new();
        if path.is_dir() {
            variable_files(path, &mut files)?;
        } else {
            files.push(path.clone());
        }
        let mut all = Mapping::new();
        for path in files {
            let root = self.loader.file(&path, Some(self.span))?;
            match &root.kind {
                Kind::Map(map) => all.extend(map.iter().map(|(name, entry)| (name.clone(), entry.clone()))),
                _ if root.is_null() => {}
                _ => {
                    return Err(Diagnostic::error(format!(
                        "The {kind}/main.yml file for role '{}' must contain a dictionary of variables",
                        self.name
                    ))
                    .at(&root.span));
                }
            }
        }
        Ok(Arc::new(all))
    }

    /// The files that may be meant, none of them outside the role.
    fn candidates(&self, kind: &str, name: Option<&str>) -> Result<Vec<PathBuf>, Diagnostic> {
        let folder = self.path.join(kind);
        // A name that was given may have its ending; `main` without one is the last resort.
        let endings = match name {
            Some(_) => ["", ".yml", ".yaml", ".json"],
            None => [".yml", ".yaml", ".json", ""],
        };
        let name = name.unwrap_or("main");
        let candidates: Vec<PathBuf> = endings
            .iter()
            .map(|ending| absolute(&folder.join(format!("{name}{ending}"))))
            .collect();
        let outside = candidates
            .iter()
            .find(|path| path.exists() && !path.starts_with(&folder));
        match outside {
            Some(path) => Err(Diagnostic::error(format!(
                "Failed loading '{}' for role ({}) as it is not inside the expected role path: '{}'",
                shown(path),
                self.name,
                shown(&folder)
            ))
            .at(self.span)),
            None => Ok(candidates),
        }
    }

    /// A file that was asked for by name must be there.
    fn missing<T>(&self, kind: &str, name: Option<&str>, nothing: T) -> Result<T, Diagnostic> {
        match name {
            Some(name) if self.path.join(kind).is_dir() => Err(Diagnostic::error(format!(
                "Could not find specified file in role: {kind}/{name}"
            ))
            .at(self.span)
            .hint(format!("looked in {}", shown(&self.path.join(kind))))),
            _ => Ok(nothing),
        }
    }
}

/// All files of variables in a folder and below, in order of their names.
fn variable_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Diagnostic> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| Diagnostic::error(format!("cannot read {}: {error}", shown(folder))))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let ending = path.extension().and_then(|ending| ending.to_str());
        if path.is_dir() {
            variable_files(&path, files)?;
        } else if matches!(ending, None | Some("yml" | "yaml" | "json")) {
            files.push(path);
        }
    }
    Ok(())
}

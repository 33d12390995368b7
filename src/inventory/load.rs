//! From `-i` to an inventory: each source is read in the first [`Form`] that can, a folder file by file.
//!
//! A source that cannot be read leaves nothing behind, and is a warning unless the configuration says more.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regex::Regex;

use super::Inventory;
use super::form::{FORMS, Form, Reading};
use super::graph::Naming;
use crate::configuration::{Configuration, table};
use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{Source, shown};
use crate::template::Names;
use crate::vault;

/// Larger inventories are taken for a slip: an image or a log in the inventory's folder.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Folders inside folders, against links that lead in a circle.
const MAX_DEPTH: usize = 16;

/// Entries of a folder that hold variables, not hosts.
const VARIABLE_FOLDERS: [&str; 3] = ["group_vars", "host_vars", "vars_plugins"];

impl Inventory {
    /// Reads all sources, in order: what a later one says of a host or group wins. Gives warnings beside it.
    pub fn load(
        sources: &[String],
        configuration: &Configuration,
        extra_vars: &Arc<Names>,
    ) -> Result<(Self, Vec<Diagnostic>), Diagnostic> {
        let mut loading = Loading::new(configuration, extra_vars)?;
        let mut parsed = false;
        for source in sources {
            parsed |= loading.source(source, 0)?;
        }
        loading.end(parsed)
    }
}

/// An inventory that is being put together.
struct Loading<'a> {
    inventory: Inventory,
    configuration: &'a Configuration,
    /// Plugins may see them.
    extra_vars: &'a Arc<Names>,
    forms: Vec<&'static Form>,
    ignored_endings: Vec<String>,
    ignored: Vec<Regex>,
    warnings: Vec<Diagnostic>,
}

impl<'a> Loading<'a> {
    fn new(configuration: &'a Configuration, extra_vars: &'a Arc<Names>) -> Result<Self, Diagnostic> {
        let mut inventory = Inventory::default();
        let merging = configuration.text(&table::DEFAULT_HASH_BEHAVIOUR) == Some("merge");
        inventory.files.merging = merging;
        inventory.graph.merging = merging;
        let naming = configuration.text(&table::TRANSFORM_INVALID_GROUP_CHARS);
        if matches!(naming, Some("always" | "silently")) {
            inventory.graph.naming = Naming::Replace;
        }
        let ignored = configuration.list(&table::INVENTORY_IGNORE_PATTERNS);
        let ignored = ignored.iter().filter(|pattern| !pattern.is_empty());
        let mut warnings = Vec::new();
        Ok(Self {
            inventory,
            configuration,
            extra_vars,
            forms: forms(configuration, &mut warnings),
            ignored_endings: configuration.list(&table::INVENTORY_IGNORE_EXTS),
            ignored: ignored
                .map(|pattern| {
                    Regex::new(pattern).map_err(|error| {
                        Diagnostic::error(format!("`{pattern}` is not a regular expression")).hint(format!(
                            "it is a pattern of files to ignore in inventories: {error}"
                        ))
                    })
                })
                .collect::<Result<_, _>>()?,
            warnings,
        })
    }

    /// Reads one source; whether there was anything to read in it.
    fn source(&mut self, source: &str, depth: usize) -> Result<bool, Diagnostic> {
        let path = Path::new(source);
        if path.is_dir() {
            let parsed = self.folder(path, depth)?;
            if depth == 0 {
                self.add_folder(path);
            }
            return Ok(parsed);
        }
        if depth == 0 && path.is_file() {
            self.add_folder(path.parent().unwrap_or(Path::new("")));
        }
        let parsed = self.file(source);
        if parsed {
            return Ok(true);
        }
        if self.configuration.truth(&table::INVENTORY_ANY_UNPARSED_IS_FAILED) {
            let mut error =
                Diagnostic::error(format!("Completely failed to parse inventory source {source}"));
            if let Some(cause) = self.warnings.pop() {
                error = Diagnostic {
                    severity: Severity::Error,
                    ..cause
                }
                .hint(error.message);
            }
            return Err(error);
        }
        let unparsed = Diagnostic::warning(format!(
            "Unable to parse {} as an inventory source",
            absolute(path)
        ));
        self.warnings.push(match path.exists() {
            true => unparsed,
            false => missing(source, unparsed),
        });
        Ok(false)
    }

    fn add_folder(&mut self, folder: &Path) {
        // The same folder for two sources counts once, as strong as the last of them.
        let folders = &mut self.inventory.folders;
        folders.retain(|known| known != folder);
        folders.push(folder.to_owned());
    }

    /// Reads a folder's entries, sorted by name.
    fn folder(&mut self, folder: &Path, depth: usize) -> Result<bool, Diagnostic> {
        if depth > MAX_DEPTH {
            return Err(Diagnostic::error(format!(
                "the inventory folder `{}` is nested more than {MAX_DEPTH} levels deep",
                folder.display()
            ))
            .hint("a symbolic link may lead back to a folder above it"));
        }
        let mut parsed = false;
        for path in sorted_entries(folder).map_err(|error| unreadable(folder, &error))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let ignored = name.starts_with('.')
                || VARIABLE_FOLDERS.contains(&name.as_ref())
                || self
                    .ignored_endings
                    .iter()
                    .any(|ending| name.ends_with(ending.as_str()))
                || self.ignored.iter().any(|pattern| pattern.is_match(&name));
            if !ignored {
                parsed |= self.source(&path.display().to_string(), depth + 1)?;
            }
        }
        Ok(parsed)
    }

    /// Reads a file or a list in the first form that can; whether there was one. What those that could not have
    /// to say is a warning each.
    fn file(&mut self, source: &str) -> bool {
        let mut failures = Vec::new();
        for form in &self.forms {
            if !(form.suits)(source, self.configuration) {
                continue;
            }
            let before = self.inventory.graph.clone();
            self.inventory.graph.source = Some(source.into());
            let read = (form.read)(
                source,
                &mut Reading {
                    inventory: &mut self.inventory,
                    configuration: self.configuration,
                    extra_vars: self.extra_vars,
                    warnings: &mut self.warnings,
                },
            );
            self.inventory.graph.source = None;
            match read {
                Ok(()) => return true,
                Err(error) => {
                    self.inventory.graph = before;
                    failures.push((form, error));
                }
            }
        }
        let certain = failures.iter().position(|(form, _)| form.certain);
        let told = certain.map_or(failures.len(), |at| at + 1);
        for (form, error) in failures.into_iter().take(told) {
            self.warnings.push(Diagnostic {
                severity: Severity::Warning,
                message: format!(
                    "Failed to parse inventory with '{}' plugin: {}",
                    form.name, error.message
                ),
                ..error
            });
        }
        false
    }

    fn end(mut self, parsed: bool) -> Result<(Inventory, Vec<Diagnostic>), Diagnostic> {
        let truth = |setting| self.configuration.truth(setting);
        if self.inventory.graph.odd_names {
            let what = match self.configuration.text(&table::TRANSFORM_INVALID_GROUP_CHARS) {
                Some("always") => Some("automatically replaced"),
                Some("never") => Some("not replaced"),
                _ => None,
            };
            let link = if what == Some("not replaced") {
                "but"
            } else {
                "and"
            };
            self.warnings.extend(what.map(|what| {
                Diagnostic::warning(format!(
                    "Invalid characters were found in group names {link} {what}, use -vvvv to see details"
                ))
            }));
        }
        if !parsed {
            if truth(&table::INVENTORY_UNPARSED_IS_FAILED) {
                return Err(Diagnostic::error(
                    "No inventory was parsed, please check your configuration and options.",
                ));
            }
            if truth(&table::INVENTORY_UNPARSED_WARNING) {
                self.warnings.push(Diagnostic::warning(
                    "No inventory was parsed, only implicit localhost is available",
                ));
            }
        }
        Ok((self.inventory, self.warnings))
    }
}

/// The enabled forms, in their order.
fn forms(configuration: &Configuration, warnings: &mut Vec<Diagnostic>) -> Vec<&'static Form> {
    let mut forms = Vec::new();
    for name in configuration.list(&table::INVENTORY_ENABLED) {
        let short = name.rsplit('.').next().unwrap_or(&name);
        match FORMS.iter().find(|form| form.name == short) {
            Some(form) => forms.push(form),
            // It is enabled by default and no reason for a word.
            None if short == "toml" => {}
            None => warnings.push(
                Diagnostic::warning(format!("Failed to load inventory plugin, skipping {name}"))
                    .nearest(short, FORMS.iter().map(|form| form.name)),
            ),
        }
    }
    forms
}

fn absolute(path: &Path) -> String {
    let absolute = std::path::absolute(path);
    absolute.as_deref().unwrap_or(path).display().to_string()
}

/// Says what may have been meant by a source that does not exist.
fn missing(source: &str, warning: Diagnostic) -> Diagnostic {
    let path = Path::new(source);
    let siblings = sorted_entries(path.parent().unwrap_or(Path::new(""))).unwrap_or_default();
    let siblings: Vec<&str> = siblings.iter().filter_map(|path| path.to_str()).collect();
    warning.nearest(source, siblings).hint(format!(
        "there is no such file; for a host without an inventory file end the list with a comma: -i '{source},'"
    ))
}

fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::error(format!("cannot read `{}`: {error}", path.display()))
}

/// A folder's entries, sorted; the empty path is the current folder.
pub(super) fn sorted_entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let shown = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let mut entries = fs::read_dir(shown)?
        .map(|entry| entry.map(|entry| folder.join(entry.file_name())))
        .collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}

/// A text file of bounded size.
pub(super) fn read(path: &Path) -> Result<Arc<Source>, Diagnostic> {
    let length = fs::metadata(path)
        .map_err(|error| unreadable(path, &error))?
        .len();
    if length > MAX_FILE {
        return Err(Diagnostic::error(format!(
            "`{}` has {length} bytes, more than the {MAX_FILE} that an inventory's file may have",
            path.display()
        )));
    }
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        Diagnostic::error(format!(
            "`{}` is not UTF-8 text: byte {} is not part of a character",
            path.display(),
            error.utf8_error().valid_up_to()
        ))
    })?;
    vault::opened(Source::new(shown(path), text))
}

#[cfg(test)]
mod tests;

//! From `-i` to an inventory: files, folders of files, and `host,host` lists.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::graph::UNGROUPED;
use super::{Inventory, address, ini, yaml};
use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};
use crate::vault;
use crate::yaml::{Kind, load};

/// Larger inventories are taken for a slip: an image or a log in the inventory's folder.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Folders inside folders, against links that lead in a circle.
const MAX_DEPTH: usize = 16;

/// Files in a folder that are no inventories.
const IGNORED_ENDINGS: [&str; 13] = [
    "~", ".bak", ".cfg", ".md", ".orig", ".pyc", ".pyo", ".retry", ".rpm", ".rst", ".swp", ".txt", ".gitkeep",
];

/// Entries of a folder that hold variables, not hosts.
const VARIABLE_FOLDERS: [&str; 3] = ["group_vars", "host_vars", "vars_plugins"];

const YAML_EXTENSIONS: [&str; 3] = ["yml", "yaml", "json"];

impl Inventory {
    /// Reads all sources, in order: what a later one says of a host or group wins. Gives warnings beside it.
    pub fn load(sources: &[String]) -> Result<(Self, Vec<Diagnostic>), Diagnostic> {
        let mut inventory = Self::default();
        let mut warnings = Vec::new();
        for source in sources {
            let path = Path::new(source);
            match fs::metadata(path) {
                Ok(metadata) if metadata.is_dir() => {
                    let files = inventory.folder(path, 0, &mut warnings)?;
                    if files == 0 {
                        warnings.push(Diagnostic::warning(format!(
                            "the inventory folder `{source}` holds no inventory"
                        )));
                    }
                    inventory.add_folder(path);
                }
                Ok(_) => {
                    inventory.file(path, &mut warnings)?;
                    inventory.add_folder(path.parent().unwrap_or(Path::new("")));
                }
                Err(_) if source.contains(',') => inventory.list(source)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(not_found(source)),
                Err(error) => return Err(unreadable(path, &error)),
            }
        }
        if sources.is_empty() {
            warnings.push(Diagnostic::warning(
                "No inventory was parsed, only implicit localhost is available",
            ));
        }
        if inventory.graph.hosts().is_empty() {
            warnings.push(Diagnostic::warning(
                "provided hosts list is empty, only localhost is available. Note that the implicit localhost does not match 'all'",
            ));
        }
        Ok((inventory, warnings))
    }

    fn add_folder(&mut self, folder: &Path) {
        // The same folder for two sources counts once, as strong as the last of them.
        self.folders.retain(|known| known != folder);
        self.folders.push(folder.to_owned());
    }

    /// Reads a folder's files, sorted by name, and gives their number.
    fn folder(
        &mut self,
        folder: &Path,
        depth: usize,
        warnings: &mut Vec<Diagnostic>,
    ) -> Result<usize, Diagnostic> {
        if depth > MAX_DEPTH {
            return Err(Diagnostic::error(format!(
                "the inventory folder `{}` is nested more than {MAX_DEPTH} levels deep",
                folder.display()
            ))
            .hint("a symbolic link may lead back to a folder above it"));
        }
        let mut count = 0;
        for path in sorted_entries(folder).map_err(|error| unreadable(folder, &error))? {
            let name = path.file_name().unwrap_or_default();
            let ignored = name.as_bytes().starts_with(b".")
                || VARIABLE_FOLDERS.iter().any(|folder| name == *folder)
                || IGNORED_ENDINGS
                    .iter()
                    .any(|ending| name.as_bytes().ends_with(ending.as_bytes()));
            if ignored {
                continue;
            }
            if path.is_dir() {
                count += self.folder(&path, depth + 1, warnings)?;
            } else {
                self.file(&path, warnings)?;
                count += 1;
            }
        }
        Ok(count)
    }

    fn file(&mut self, path: &Path, warnings: &mut Vec<Diagnostic>) -> Result<(), Diagnostic> {
        let source = read(path)?;
        if source.text().starts_with("#!") {
            return Err(Diagnostic::error("inventory scripts cannot be run yet")
                .at(&Span::new(&source, 0, source.text().find('\n').unwrap_or(2)))
                .hint("write the script's result to a file: ansible-inventory -i THIS --list --yaml --output hosts.yml"));
        }
        let extension = path.extension().map(|extension| extension.to_string_lossy());
        let document = match extension {
            Some(extension) if YAML_EXTENSIONS.contains(&extension.as_ref()) => load(&source)?,
            Some(_) => return ini::parse(&source, &mut self.graph),
            // A name without an extension says nothing: a map of groups cannot be read as INI.
            None => match load(&source) {
                Ok(document) if matches!(document.root.kind, Kind::Map(_)) => document,
                _ => return ini::parse(&source, &mut self.graph),
            },
        };
        warnings.extend(document.warnings);
        if document.root.is_null() {
            return Ok(());
        }
        warnings.extend(yaml::parse(&document.root, &mut self.graph)?);
        Ok(())
    }

    /// `web1,web2:2222,`
    fn list(&mut self, text: &str) -> Result<(), Diagnostic> {
        let source = Source::new("<inventory>", text);
        let mut start = 0;
        for part in text.split(',') {
            let place = Span::new(&source, start, start + part.len());
            start += part.len() + 1;
            if part.trim().is_empty() {
                continue;
            }
            let address = address::parse(part.trim(), &place)?;
            for host in &address.hosts {
                self.graph.add_to_group(host, UNGROUPED);
                if let Some((name, port)) = address.variable(&place) {
                    self.graph.set_host_variable(host, name, port.into());
                }
            }
        }
        Ok(())
    }
}

fn not_found(source: &str) -> Diagnostic {
    let error = Diagnostic::error(format!("inventory file '{source}' not found"));
    let path = Path::new(source);
    let folder = path.parent().unwrap_or(Path::new(""));
    let siblings = sorted_entries(folder).unwrap_or_default();
    let siblings: Vec<&str> = siblings.iter().filter_map(|path| path.to_str()).collect();
    error.nearest(source, siblings).hint(format!(
        "for a host without an inventory file end the list with a comma: -i '{source},'"
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
    vault::opened(Source::new(path.display().to_string(), text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Pattern;
    use crate::source::Source;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn load(sources: &[&str]) -> Result<(Inventory, Vec<Diagnostic>), Diagnostic> {
        Inventory::load(&sources.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn a_folder_is_all_its_inventories() {
        let folder = folder(&[
            ("10-web.ini", "[web]\nw1\n"),
            ("20-db.yml", "db:\n  hosts:\n    d1:\n"),
            ("30-plain", "p1\n"),
            ("40-plain-yaml", "all: {hosts: {y1: }}\n"),
            ("more/x.ini", "x1\n"),
            ("group_vars/all.yml", "a: 1\n"),
            ("host_vars/w1", "a: 1\n"),
            (".hidden", "h1\n"),
            ("old.ini~", "o1\n"),
            ("README.md", "no inventory\n"),
            ("site.retry", "r1\n"),
        ]);
        let (inventory, warnings) = load(&[folder.path().to_str().unwrap()]).unwrap();
        assert!(warnings.is_empty());
        let hosts: Vec<&str> = inventory.hosts().collect();
        assert_eq!(hosts, ["y1", "p1", "x1", "w1", "d1"]);
        assert_eq!(inventory.group_names("p1"), ["ungrouped"]);
    }

    #[test]
    fn lists_and_their_ports() {
        let (inventory, warnings) = load(&["w1,w2:2222, [fe80::1]:22,"]).unwrap();
        assert!(warnings.is_empty());
        assert_eq!(inventory.hosts().collect::<Vec<_>>(), ["w1", "w2", "fe80::1"]);
        assert!(
            inventory
                .variables("w2", None)
                .unwrap()
                .get("ansible_port")
                .is_some()
        );
    }

    #[test]
    fn without_sources_there_is_only_localhost() {
        let (inventory, warnings) = load(&[]).unwrap();
        let shown: Vec<String> = warnings.iter().map(|warning| warning.render(false)).collect();
        assert_eq!(
            shown,
            [
                "warning: No inventory was parsed, only implicit localhost is available",
                "warning: provided hosts list is empty, only localhost is available. Note that the implicit localhost does not match 'all'",
            ]
        );
        let place = Span::whole(&Source::new("t", "localhost"));
        let pattern = Pattern::parse("localhost", &place).unwrap();
        assert_eq!(inventory.select(&pattern).hosts, ["localhost"]);
    }

    #[test]
    fn says_which_file_is_missing() {
        let folder = folder(&[("hosts.ini", "h\n")]);
        let at = |name: &str| folder.path().join(name).display().to_string();
        let error = load(&[&at("host.ini")]).unwrap_err().render(false);
        assert_eq!(
            error.replace(&folder.path().display().to_string(), "DIR"),
            "error: inventory file 'DIR/host.ini' not found\n |\n = help: did you mean `DIR/hosts.ini`?\n = help: for a host without an inventory file end the list with a comma: -i 'DIR/host.ini,'"
        );
    }

    #[test]
    fn scripts_and_binaries_are_refused() {
        let folder = folder(&[("script", "#!/bin/sh\necho {}\n")]);
        fs::write(folder.path().join("binary"), b"\x7fELF\xff").unwrap();
        let message = |name: &str| {
            load(&[folder.path().join(name).to_str().unwrap()])
                .unwrap_err()
                .message
        };
        assert_eq!(message("script"), "inventory scripts cannot be run yet");
        assert!(message("binary").ends_with("is not UTF-8 text: byte 4 is not part of a character"));
    }
}

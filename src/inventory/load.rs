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
use crate::source::Source;
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
        inventory.files.merging = configuration.text(&table::DEFAULT_HASH_BEHAVIOUR) == Some("merge");
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
    vault::opened(Source::new(path.display().to_string(), text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration;
    use crate::inventory::Pattern;
    use crate::source::Span;
    use std::os::unix::fs::PermissionsExt;

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
        load_with(sources, &[])
    }

    /// Loads as with these variables of the environment.
    fn load_with(
        sources: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<(Inventory, Vec<Diagnostic>), Diagnostic> {
        let sources: Vec<String> = sources.iter().map(ToString::to_string).collect();
        let (configuration, _) = Configuration::of(&configuration::Surroundings {
            variable: &|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            },
            folder: Path::new("/"),
            home: None,
            system: Path::new("/nonexistent"),
        })?;
        Inventory::load(&sources, &configuration, &Arc::default())
    }

    fn messages(warnings: &[Diagnostic], folder: &tempfile::TempDir) -> Vec<String> {
        let root = folder.path().display().to_string();
        let shown = warnings
            .iter()
            .map(|warning| warning.message.replace(&root, "DIR"));
        shown.collect()
    }

    fn hosts(inventory: &Inventory) -> Vec<&str> {
        inventory.hosts().collect()
    }

    fn program(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    #[test]
    fn a_folder_is_all_its_inventories() {
        let folder = folder(&[
            ("10-web.ini", "[web]\nw1\n"),
            ("20-db.yml", "db:\n  hosts:\n    d1:\n"),
            ("30-plain", "p1\n"),
            ("40-plain-yaml", "all: {hosts: {y1: }}\n"),
            ("50.json", "{\"all\": {\"hosts\": {\"j1\": {\"a\": 1}}}}"),
            ("more/x.ini", "x1\n"),
            ("group_vars/all.yml", "a: 1\n"),
            ("host_vars/w1", "a: 1\n"),
            (".hidden", "h1\n"),
            ("old.ini~", "o1\n"),
            ("README.md", "no inventory\n"),
            ("site.retry", "r1\n"),
        ]);
        let path = folder.path().to_str().unwrap();
        let (inventory, warnings) = load(&[path]).unwrap();
        assert_eq!(messages(&warnings, &folder), [""; 0]);
        assert_eq!(hosts(&inventory), ["y1", "p1", "j1", "x1", "w1", "d1"]);
        assert_eq!(inventory.group_names("p1"), ["ungrouped"]);
        let ignore = [
            ("ANSIBLE_INVENTORY_IGNORE", ".ini, .json"),
            ("ANSIBLE_INVENTORY_IGNORE_REGEX", "^2.*b, plain-y"),
        ];
        let (inventory, _) = load_with(&[path], &ignore).unwrap();
        assert_eq!(hosts(&inventory), ["p1", "o1", "no", "r1"]);
    }

    #[test]
    fn lists_and_their_ports() {
        let (inventory, warnings) = load(&["w1,w2:2222, [fe80::1]:22,"]).unwrap();
        assert!(warnings.is_empty());
        assert_eq!(hosts(&inventory), ["w1", "w2", "fe80::1"]);
        let variables = inventory.variables("w2", None).unwrap();
        assert!(variables.get("ansible_port").is_some());
    }

    #[test]
    fn without_sources_there_is_only_localhost() {
        let folder = folder(&[]);
        let (inventory, warnings) = load(&[]).unwrap();
        assert_eq!(
            messages(&warnings, &folder),
            ["No inventory was parsed, only implicit localhost is available"]
        );
        let place = Span::whole(&Source::new("t", "localhost"));
        let pattern = Pattern::parse("localhost", &place).unwrap();
        assert_eq!(inventory.select(&pattern).hosts, ["localhost"]);
        assert!(
            load_with(&[], &[("ANSIBLE_INVENTORY_UNPARSED_WARNING", "no")])
                .unwrap()
                .1
                .is_empty()
        );
        let error = load_with(&[], &[("ANSIBLE_INVENTORY_UNPARSED_FAILED", "yes")]).unwrap_err();
        assert_eq!(
            error.message,
            "No inventory was parsed, please check your configuration and options."
        );
    }

    #[test]
    fn says_which_file_is_missing() {
        let folder = folder(&[("hosts.ini", "h\n")]);
        let at = |name: &str| folder.path().join(name).display().to_string();
        let (_, warnings) = load(&[&at("host.ini"), &at("hosts.ini")]).unwrap();
        let shown = warnings[0].render(false);
        insta::assert_snapshot!(shown.replace(&folder.path().display().to_string(), "DIR"), @r"
        warning: Unable to parse DIR/host.ini as an inventory source
         |
         = help: did you mean `DIR/hosts.ini`?
         = help: there is no such file; for a host without an inventory file end the list with a comma: -i 'DIR/host.ini,'
        ");
        assert_eq!(warnings.len(), 1);
    }

    #[test]
    fn a_source_that_cannot_be_read_leaves_nothing_behind() {
        let folder = folder(&[
            ("a.ini", "[web]\nh1\nbad line\n"),
            ("b.yml", "web:\n  hosts: [h2]\n"),
            ("c.ini", "h3\n"),
        ]);
        let path = folder.path().to_str().unwrap();
        let (inventory, warnings) = load(&[path]).unwrap();
        assert_eq!(hosts(&inventory), ["h3"]);
        assert_eq!(inventory.groups().collect::<Vec<_>>(), ["all", "ungrouped"]);
        assert_eq!(
            messages(&warnings, &folder),
            [
                "Failed to parse inventory with 'ini' plugin: expected `name=value` after the host, got `line`",
                "Unable to parse DIR/a.ini as an inventory source",
                "Failed to parse inventory with 'yaml' plugin: `hosts` of the group `web` must be a map, not a list",
                "Failed to parse inventory with 'ini' plugin: a host's name cannot end with `:`",
                "Unable to parse DIR/b.yml as an inventory source",
            ]
        );
        let strict = [("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED", "yes")];
        let error = load_with(&[path], &strict).unwrap_err();
        assert_eq!(error.severity, Severity::Error);
        assert!(error.span.is_some());
        assert!(
            error
                .hints
                .iter()
                .any(|hint| hint.starts_with("Completely failed to parse inventory source"))
        );
    }

    #[test]
    fn only_enabled_forms_are_tried() {
        let folder = folder(&[("a.ini", "h1\n")]);
        let path = folder.path().join("a.ini").display().to_string();
        let (inventory, warnings) = load_with(
            &[&path],
            &[("ANSIBLE_INVENTORY_ENABLED", "yaml,ansible.builtin.host_list,inii")],
        )
        .unwrap();
        assert!(hosts(&inventory).is_empty());
        assert_eq!(
            messages(&warnings, &folder),
            [
                "Failed to load inventory plugin, skipping inii",
                "Unable to parse DIR/a.ini as an inventory source",
                "No inventory was parsed, only implicit localhost is available",
            ]
        );
    }

    #[test]
    fn odd_names_of_groups_are_kept_or_replaced() {
        let folder = folder(&[(
            "a.ini",
            "[a-b]\nh\n[top:children]\na-b\n9x\n[9x]\n[a-b:vars]\nv=1\n",
        )]);
        let path = folder.path().join("a.ini").display().to_string();
        let with = |value| {
            let (inventory, warnings) =
                load_with(&[&path], &[("ANSIBLE_TRANSFORM_INVALID_GROUP_CHARS", value)]).unwrap();
            assert!(inventory.variables("h", None).unwrap().get("v").is_some());
            (
                inventory.group_names("h").join(" "),
                messages(&warnings, &folder).join(" "),
            )
        };
        let but = "Invalid characters were found in group names but not replaced, use -vvvv to see details";
        let and = "Invalid characters were found in group names and automatically replaced, use -vvvv to see details";
        assert_eq!(with("never"), ("a-b top".into(), but.into()));
        assert_eq!(with("ignore"), ("a-b top".into(), String::new()));
        assert_eq!(with("always"), ("a_b top".into(), and.into()));
        assert_eq!(with("silently"), ("a_b top".into(), String::new()));
    }

    #[test]
    fn scripts_are_run() {
        let folder = folder(&[]);
        let meta = program(
            &folder,
            "meta.sh",
            r#"#!/bin/sh
echo careful >&2
echo '{"web": ["w1", "w2"], "db": {"hosts": ["d1"], "vars": {"a": 1}, "children": ["sub"]},
"sub": {"hosts": ["s1"]}, "old": {"v": 2}, "_meta": {"hostvars": {"w1": {"b": "{{ a }}"}}}}'
"#,
        );
        let (inventory, warnings) = load(&[&meta]).unwrap();
        assert_eq!(hosts(&inventory), ["w1", "w2", "d1", "old", "s1"]);
        assert_eq!(inventory.group_names("s1"), ["db", "sub"]);
        assert!(inventory.variables("s1", None).unwrap().get("a").is_some());
        assert!(inventory.variables("w1", None).unwrap().get("b").is_some());
        assert!(inventory.variables("old", None).unwrap().get("v").is_some());
        assert_eq!(
            messages(&warnings, &folder),
            ["the inventory script DIR/meta.sh says: careful"]
        );
        let each = program(
            &folder,
            "each.sh",
            "#!/bin/sh\nif [ $1 = --list ]; then echo '{\"web\": [\"w1\"]}'; else echo \"{\\\"n\\\": \\\"$2\\\"}\"; fi\n",
        );
        let (inventory, _) = load(&[&each]).unwrap();
        assert!(inventory.variables("w1", None).unwrap().get("n").is_some());
    }

    #[test]
    fn scripts_that_fail_say_why() {
        let folder = folder(&[]);
        for (text, expected) in [
            ("exit 3", "Inventory script returned non-zero exit code 3."),
            (
                "echo {nope",
                "what an inventory script prints must be JSON: key must be a string at line 1 column 2",
            ),
            (
                "echo '[]'",
                "the output of an inventory script must be a map, not a list",
            ),
            ("echo '{\"a\": 1}'", "the group `a` must be a map, not a number"),
            (
                "echo '{\"a\": {\"hosts\": 1}}'",
                "`hosts` of the group `a` must be a list, not a number",
            ),
        ] {
            let path = program(&folder, "s.sh", &format!("#!/bin/sh\n{text}\n"));
            let (_, warnings) = load(&[&path]).unwrap();
            assert_eq!(
                warnings[0].message,
                format!("Failed to parse inventory with 'script' plugin: {expected}")
            );
        }
    }

    #[test]
    fn plugins_that_are_not_built_in_are_refused_clearly() {
        let folder = folder(&[("aws.yml", "plugin: amazon.aws.aws_ec2\n")]);
        let (_, warnings) = load(&[folder.path().join("aws.yml").to_str().unwrap()]).unwrap();
        let shown = warnings[0]
            .render(false)
            .replace(&folder.path().display().to_string(), "DIR");
        insta::assert_snapshot!(shown, @r"
        warning: Failed to parse inventory with 'auto' plugin: there is no inventory plugin `amazon.aws.aws_ec2`
         --> DIR/aws.yml:1:9
          |
        1 | plugin: amazon.aws.aws_ec2
          |         ^^^^^^^^^^^^^^^^^^
          |
          = help: write the plugin's result to a file: ansible-inventory -i THIS --list --yaml --output hosts.yml
        ");
    }
}

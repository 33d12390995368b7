//! What is known of a host before a play starts, in order of precedence.
//!
//! Files of variables are read when a host first needs them, and once in a run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::graph::{ALL, PRIORITY, USUAL_PRIORITY};
use super::{Inventory, LOCALHOST, load};
use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};
use crate::template::{Names, Variable, merge};
use crate::value::Value;
use crate::vault;
use crate::yaml::{self, Node};

/// What a name without an extension may end with; the empty one first, so that a folder wins over a file.
const EXTENSIONS: [&str; 4] = ["", ".yml", ".yaml", ".json"];

/// Folders inside folders, against links that lead in a circle.
const MAX_DEPTH: usize = 16;

/// Where a variable comes from, weakest first: the numbers 3 to 10 of Ansible's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    InventoryGroups,
    InventoryGroupVarsAll,
    PlaybookGroupVarsAll,
    InventoryGroupVars,
    PlaybookGroupVars,
    InventoryHosts,
    InventoryHostVars,
    PlaybookHostVars,
}

impl Class {
    /// Whether it is read from `group_vars` or `host_vars`.
    pub fn is_of_files(self) -> bool {
        !matches!(self, Self::InventoryGroups | Self::InventoryHosts)
    }
}

const CLASSES: [Class; 8] = [
    Class::InventoryGroups,
    Class::InventoryGroupVarsAll,
    Class::PlaybookGroupVarsAll,
    Class::InventoryGroupVars,
    Class::PlaybookGroupVars,
    Class::InventoryHosts,
    Class::InventoryHostVars,
    Class::PlaybookHostVars,
];

/// A host's variables, one layer per class. Within a layer a stronger group has replaced a weaker one.
#[derive(Debug, Clone, Default)]
pub struct VariableLayers {
    layers: Vec<(Class, Arc<Names>)>,
}

impl VariableLayers {
    /// The layers that hold anything, weakest first.
    pub fn weakest_first(&self) -> impl DoubleEndedIterator<Item = &Arc<Names>> {
        self.layers.iter().map(|(_, names)| names)
    }

    /// The layers that hold anything with what they are, weakest first.
    pub fn classes(&self) -> impl Iterator<Item = (Class, &Arc<Names>)> {
        self.layers.iter().map(|(class, names)| (*class, names))
    }

    /// The strongest variable of a name.
    pub fn get(&self, name: &str) -> Option<&Variable> {
        self.weakest_first().rev().find_map(|names| names.get(name))
    }
}

impl Inventory {
    /// The variables of a host. One that is not in the inventory has those of `all`; the implicit localhost
    /// has a local connection too.
    pub fn variables(&self, host: &str, playbook: Option<&Path>) -> Result<VariableLayers, Diagnostic> {
        let groups = self.graph.groups_of(host);
        let mut layers = Vec::new();
        for class in CLASSES {
            let names = self.layer(class, host, &groups, playbook)?;
            if !names.is_empty() {
                layers.push((class, names));
            }
        }
        Ok(VariableLayers { layers })
    }

    /// Every place that sets a variable for a host, weakest first, with the group or host that it is set for.
    pub fn places(
        &self,
        host: &str,
        variable: &str,
        playbook: Option<&Path>,
    ) -> Result<Vec<(Class, String, Variable)>, Diagnostic> {
        let groups = self.graph.groups_of(host);
        let others: Vec<String> = groups.iter().filter(|group| *group != ALL).cloned().collect();
        let (all, own) = (vec![ALL.to_owned()], vec![host.to_owned()]);
        let inventory: Vec<&Path> = self.folders.iter().map(PathBuf::as_path).collect();
        let playbook: Vec<&Path> = playbook.into_iter().collect();
        let mut places = Vec::new();
        for class in CLASSES {
            let (kind, folders, names) = match class {
                Class::InventoryGroups => {
                    for group in &groups {
                        let found = self.graph.groups()[group].variables.get(variable);
                        places.extend(found.map(|found| (class, group.clone(), found.clone())));
                    }
                    continue;
                }
                Class::InventoryHosts => {
                    let found = self.host_names(host).shift_remove(variable);
                    places.extend(found.map(|found| (class, host.to_owned(), found)));
                    continue;
                }
                Class::InventoryGroupVarsAll => ("group_vars", &inventory, &all),
                Class::PlaybookGroupVarsAll => ("group_vars", &playbook, &all),
                Class::InventoryGroupVars => ("group_vars", &inventory, &others),
                Class::PlaybookGroupVars => ("group_vars", &playbook, &others),
                Class::InventoryHostVars => ("host_vars", &inventory, &own),
                Class::PlaybookHostVars => ("host_vars", &playbook, &own),
            };
            for name in names {
                for folder in folders {
                    for path in files(&folder.join(kind), name)? {
                        let document = yaml::load(&load::read(&path)?)?;
                        let found = variables_of(&document.root)?.shift_remove(variable);
                        places.extend(found.map(|found| (class, name.clone(), found)));
                    }
                }
            }
        }
        Ok(places)
    }

    /// The variables that a group itself has, wherever they were set; its priority too, where it has one.
    pub fn group_variables(&self, group: &str, playbook: Option<&Path>) -> Result<Names, Diagnostic> {
        let Some(node) = self.graph.groups().get(group) else {
            return Ok(Names::new());
        };
        let name = &[group.to_owned()];
        let folders: Vec<&Path> = self
            .folders
            .iter()
            .map(PathBuf::as_path)
            .chain(playbook)
            .collect();
        let files = self.files.all(&folders, "group_vars", name)?;
        let mut names = merged([&node.variables, files.as_ref()], self.files.merging);
        if node.priority != USUAL_PRIORITY {
            names.insert(PRIORITY.to_owned(), Value::Int(node.priority).into());
        }
        Ok(names)
    }

    /// The variables that were set for a host itself, not for a group of it.
    pub fn own_variables(&self, host: &str, playbook: Option<&Path>) -> Result<Names, Diagnostic> {
        let name = &[host.to_owned()];
        let folders: Vec<&Path> = self
            .folders
            .iter()
            .map(PathBuf::as_path)
            .chain(playbook)
            .collect();
        let files = self.files.all(&folders, "host_vars", name)?;
        let own = self.host_names(host);
        Ok(merged([&own, files.as_ref()], self.files.merging))
    }

    /// What loading variable files has warned of since the last call.
    pub fn take_warnings(&self) -> Vec<Diagnostic> {
        std::mem::take(&mut self.files.state().warnings)
    }

    fn layer(
        &self,
        class: Class,
        host: &str,
        groups: &[String],
        playbook: Option<&Path>,
    ) -> Result<Arc<Names>, Diagnostic> {
        let inventory: Vec<&Path> = self.folders.iter().map(PathBuf::as_path).collect();
        let playbook: Vec<&Path> = playbook.into_iter().collect();
        let all: &[String] = &[ALL.to_owned()];
        let others: Vec<String> = groups.iter().filter(|group| *group != ALL).cloned().collect();
        let host_name: &[String] = &[host.to_owned()];
        match class {
            Class::InventoryGroups => Ok(Arc::new(merged(
                groups.iter().map(|group| &self.graph.groups()[group].variables),
                self.files.merging,
            ))),
            Class::InventoryHosts => Ok(Arc::new(self.host_names(host))),
            Class::InventoryGroupVarsAll => self.files.all(&inventory, "group_vars", all),
            Class::PlaybookGroupVarsAll => self.files.all(&playbook, "group_vars", all),
            Class::InventoryGroupVars => self.files.all(&inventory, "group_vars", &others),
            Class::PlaybookGroupVars => self.files.all(&playbook, "group_vars", &others),
            Class::InventoryHostVars => self.files.all(&inventory, "host_vars", host_name),
            Class::PlaybookHostVars => self.files.all(&playbook, "host_vars", host_name),
        }
    }

    fn host_names(&self, host: &str) -> Names {
        match self.graph.hosts().get(host) {
            Some(host) => host.variables.clone(),
            None if LOCALHOST.contains(&host) => {
                let source = Source::new("<implicit localhost>", "local");
                let local = Node::text("local", &Span::whole(&source));
                Names::from([("ansible_connection".to_owned(), local.into())])
            }
            None => Names::new(),
        }
    }
}

/// All names of several layers, the weakest first; maps that several of them set may be merged.
fn merged<'a>(layers: impl IntoIterator<Item = &'a Names>, deep: bool) -> Names {
    let mut all = Names::new();
    for names in layers {
        for (name, value) in names {
            let value = match all.get(name).filter(|_| deep) {
                Some(weaker) => merge::merged(value.clone(), weaker),
                None => value.clone(),
            };
            all.insert(name.clone(), value);
        }
    }
    all
}

/// The files that have been read, by the folder and the name that they were looked for with.
#[derive(Debug, Default)]
pub struct VariableFiles {
    state: Mutex<State>,
    /// Maps that several files set are merged.
    pub merging: bool,
}

#[derive(Debug, Default)]
struct State {
    read: HashMap<PathBuf, Arc<Names>>,
    warnings: Vec<Diagnostic>,
}

impl VariableFiles {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic elsewhere leaves at worst a file unread: it is read again.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The variables of `names` (weakest first) in `kind` below each of `folders` (weakest first). A
    /// stronger group wins over a stronger folder.
    fn all(&self, folders: &[&Path], kind: &str, names: &[String]) -> Result<Arc<Names>, Diagnostic> {
        let mut found = Vec::new();
        for name in names {
            for folder in folders {
                found.push(self.named(&folder.join(kind), name)?);
            }
        }
        found.retain(|names| !names.is_empty());
        Ok(match found.len() {
            1 => found.remove(0),
            _ => Arc::new(merged(found.iter().map(Arc::as_ref), self.merging)),
        })
    }

    fn named(&self, folder: &Path, name: &str) -> Result<Arc<Names>, Diagnostic> {
        // A name with a slash would leave the folder: no file can be meant.
        if name.contains('/') {
            return Ok(Arc::default());
        }
        let key = folder.join(name);
        if let Some(names) = self.state().read.get(&key) {
            return Ok(Arc::clone(names));
        }
        let mut names = Names::new();
        for path in files(folder, name)? {
            let document = yaml::load(&load::read(&path)?)?;
            self.state().warnings.extend(document.warnings);
            names = merged([&names, &variables_of(&document.root)?], self.merging);
        }
        let names = Arc::new(names);
        self.state().read.insert(key, Arc::clone(&names));
        Ok(names)
    }
}

/// The files that stand for a name: the first of `EXTENSIONS` that exists, a folder with all its files.
fn files(folder: &Path, name: &str) -> Result<Vec<PathBuf>, Diagnostic> {
    for extension in EXTENSIONS {
        let path = folder.join(format!("{name}{extension}"));
        if path.is_dir() {
            let mut found = Vec::new();
            walk(&path, 0, &mut found)?;
            return Ok(found);
        }
        if path.exists() {
            return Ok(vec![path]);
        }
    }
    Ok(Vec::new())
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Diagnostic> {
    let wrong = |reason: &dyn std::fmt::Display| {
        Diagnostic::error(format!(
            "cannot read the variables in `{}`: {reason}",
            folder.display()
        ))
    };
    if depth > MAX_DEPTH {
        return Err(wrong(&format!("nested more than {MAX_DEPTH} levels deep")));
    }
    for path in load::sorted_entries(folder).map_err(|error| wrong(&error))? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let extension = name.rfind('.').map_or("", |at| &name[at..]);
        if path.is_dir() {
            if extension.is_empty() {
                walk(&path, depth + 1, found)?;
            }
        } else if EXTENSIONS.contains(&extension) {
            found.push(path);
        }
    }
    Ok(())
}

/// The variables that a document holds.
fn variables_of(root: &Node) -> Result<Names, Diagnostic> {
    if root.is_null() {
        return Ok(Names::new());
    }
    vault::learn_from(root);
    let map = root.as_map().ok_or_else(|| {
        Diagnostic::error(format!(
            "a file of variables must be a map, not a {}",
            root.type_name()
        ))
        .at(&root.span)
        .hint("write one `name: value` per line")
    })?;
    Ok(map
        .iter()
        .map(|(name, entry)| (name.clone(), Variable::Node(entry.value.clone())))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::Configuration;
    use std::fs;

    fn write(folder: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn inventory(folder: &Path) -> Inventory {
        let (inventory, warnings) = Inventory::load(
            &[folder.join("inv/hosts.ini").display().to_string()],
            &Configuration::default(),
            &Arc::default(),
        )
        .unwrap();
        assert!(warnings.is_empty());
        inventory
    }

    fn value(layers: &VariableLayers, name: &str) -> String {
        match layers.get(name) {
            Some(Variable::Node(node)) => node.to_value().to_string(),
            other => format!("{other:?}"),
        }
    }

    /// Each place sets the variables of all weaker places and one of its own: `v3` is set by class 3 and
    /// everything stronger must not have it.
    #[test]
    fn places_win_in_ansibles_order() {
        let folder = tempfile::tempdir().unwrap();
        let set = |from: usize, equals: &str| {
            let lines = (from..=10).map(|number| format!("v{number}{equals}{from}"));
            lines.collect::<Vec<_>>()
        };
        let yaml = |from| set(from, ": ").join("\n");
        let hosts = format!(
            "[web]\nh {}\n[web:vars]\n{}\n",
            set(8, "=").join(" "),
            set(3, "=").join("\n")
        );
        write(
            folder.path(),
            &[
                ("inv/hosts.ini", &hosts),
                ("inv/group_vars/all.yml", &yaml(4)),
                ("play/group_vars/all.yaml", &yaml(5)),
                ("inv/group_vars/web", &yaml(6)),
                (
                    "play/group_vars/web/main.json",
                    "{\"v7\": 7, \"v8\": 7, \"v9\": 7, \"v10\": 7}",
                ),
                ("inv/host_vars/h.yml", &yaml(9)),
                ("play/host_vars/h.yml", &yaml(10)),
            ],
        );
        let inventory = inventory(folder.path());
        let layers = inventory
            .variables("h", Some(&folder.path().join("play")))
            .unwrap();
        for number in 3..=10 {
            assert_eq!(value(&layers, &format!("v{number}")), number.to_string());
        }
        assert_eq!(
            layers.classes().map(|(class, _)| class).collect::<Vec<_>>(),
            CLASSES
        );
    }

    #[test]
    fn deeper_groups_replace_shallower_ones() {
        let folder = tempfile::tempdir().unwrap();
        write(
            folder.path(),
            &[
                (
                    "inv/hosts.ini",
                    "[a]\nh\n[b]\nh\n[top:children]\na\n[a:vars]\nx={'a': 1}\n[b:vars]\nx={'b': 1}\ny=b\n[top:vars]\ny=top\nx=0\n",
                ),
                ("inv/group_vars/a/10.yml", "z: 10\n"),
                ("inv/group_vars/a/20.yml", "z: 20\n"),
                ("inv/group_vars/a/deep/30.yml", "w: 30\n"),
                ("inv/group_vars/a/.40.yml", "z: 40\n"),
                ("inv/group_vars/a/50.bak", "z: 50\n"),
                ("inv/group_vars/a.yml", "z: the folder hides this file\n"),
            ],
        );
        let layers = inventory(folder.path()).variables("h", None).unwrap();
        assert_eq!(value(&layers, "x"), "{'a': 1}");
        assert_eq!(value(&layers, "y"), "top");
        assert_eq!(
            (value(&layers, "z"), value(&layers, "w")),
            ("20".into(), "30".into())
        );
    }

    #[test]
    fn implicit_localhost_is_local_and_in_all() {
        let folder = tempfile::tempdir().unwrap();
        write(
            folder.path(),
            &[("inv/hosts.ini", "h\n"), ("inv/group_vars/all", "x: 1\n")],
        );
        let inventory = inventory(folder.path());
        let layers = inventory.variables("localhost", None).unwrap();
        assert_eq!(
            (value(&layers, "ansible_connection"), value(&layers, "x")),
            ("local".into(), "1".into())
        );
        assert!(
            inventory
                .variables("stranger", None)
                .unwrap()
                .get("ansible_connection")
                .is_none()
        );
    }

    #[test]
    fn warns_and_fails_with_places() {
        let folder = tempfile::tempdir().unwrap();
        write(
            folder.path(),
            &[
                ("inv/hosts.ini", "h\nbad\nsecret\n"),
                ("inv/host_vars/h.yml", "a: 1\na: 2\n"),
                ("inv/host_vars/bad.yml", "- a\n"),
                ("inv/host_vars/secret.yml", "$ANSIBLE_VAULT;1.1;AES256\n6162\n"),
            ],
        );
        let inventory = inventory(folder.path());
        inventory.variables("h", None).unwrap();
        inventory.variables("h", None).unwrap();
        assert_eq!(inventory.take_warnings().len(), 1);
        let error = |host: &str| {
            let error = inventory.variables(host, None).unwrap_err().to_string();
            error.rsplit_once("host_vars/").unwrap().1.to_owned()
        };
        assert_eq!(
            error("bad"),
            "bad.yml:1:1: a file of variables must be a map, not a list"
        );
        assert_eq!(
            error("secret"),
            "secret.yml:1:1: Attempting to decrypt but no vault secrets found"
        );
    }
}

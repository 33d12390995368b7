//! Users' own modules: files in `library/` beside a playbook or role, in the configured folders, in collections' `plugins/modules`.
//!
//! A program in any language is one if it reads its arguments by Ansible's conventions for modules that are not Python's. What
//! imports `ansible.module_utils` needs Python and Ansible on the target, and is found only to be refused.

use std::path::{Path, PathBuf};

use super::Loader;
use super::search::{playbook_folder, searched_collections, split_full_name};
use crate::playbook::context::Context;

/// Files in these folders that are no modules.
const IGNORED: &[&str] = &[
    "pyc", "pyo", "swp", "bak", "rpm", "md", "txt", "rst", "yaml", "yml", "ini",
];
/// What is in a module that needs Ansible's own Python code.
const PYTHON: &[&str] = &[
    "from ansible",
    "import ansible",
    "ansible.module_utils",
    "#<<INCLUDE_ANSIBLE_MODULE_COMMON>>",
];
/// Collections whose modules are those of this program alone.
const BUILT_IN: &str = "ansible.builtin";

/// A module that is not this program's.
pub(super) enum Foreign {
    /// It can be run.
    Own(PathBuf),
    /// A module or an action in Python.
    Python(PathBuf),
}

impl Loader {
    /// The file of this name as seen from `context`.
    pub(super) fn find_foreign(&self, name: &str, context: &Context) -> Option<Foreign> {
        let short = match split_full_name(name) {
            Some((_, short)) => short,
            None => name,
        };
        let (libraries, actions) = self.module_folders(name, context);
        let action = actions.iter().map(|folder| folder.join(format!("{short}.py")));
        if let Some(file) = action.into_iter().find(|file| file.is_file()) {
            return Some(Foreign::Python(file));
        }
        let file = libraries.iter().find_map(|folder| module_in(folder, short))?;
        let text = std::fs::read(&file).ok()?;
        let needs = |words: &&str| contains(&text, words.as_bytes());
        if file.extension().is_some_and(|ending| ending == "py") && PYTHON.iter().any(needs) {
            return Some(Foreign::Python(file));
        }
        Some(Foreign::Own(file))
    }

    /// The user's own module of this name; none if it is one in Python.
    pub fn find_own(&self, name: &str, context: &Context) -> Option<PathBuf> {
        match self.find_foreign(name, context)? {
            Foreign::Own(file) => Some(file),
            Foreign::Python(_) => None,
        }
    }

    /// Folders of modules and of actions.
    fn module_folders(&self, name: &str, context: &Context) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let playbook = playbook_folder(context);
        let plugins = |collection: &str| {
            let folder = self.collection_folder(collection, playbook.map(PathBuf::as_path))?;
            Some(folder.join("plugins"))
        };
        let (mut libraries, mut actions) = (Vec::new(), Vec::new());
        let mut add = |folder: PathBuf| {
            libraries.push(folder.join("modules"));
            actions.push(folder.join("action"));
        };
        match split_full_name(name) {
            Some((BUILT_IN, _)) => return (libraries, actions),
            Some((collection, _)) if collection != "ansible.legacy" => {
                plugins(collection).into_iter().for_each(&mut add);
                return (libraries, actions);
            }
            _ => {}
        }
        searched_collections(context)
            .iter()
            .filter_map(|collection| plugins(collection))
            .for_each(add);
        let roles = context.chain().filter_map(|context| context.role.as_ref());
        let beside = roles.map(|used| used.role.path.clone()).chain(playbook.cloned());
        for folder in beside {
            libraries.push(folder.join("library"));
            actions.push(folder.join("action_plugins"));
        }
        libraries.extend(self.places.modules.iter().cloned());
        (libraries, actions)
    }
}

/// The module of this name in a folder, whatever its ending; with none before any other.
fn module_in(folder: &Path, name: &str) -> Option<PathBuf> {
    let plain = folder.join(name);
    if plain.is_file() {
        return Some(plain);
    }
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.file_stem().is_some_and(|stem| stem == name) && path.is_file())
        .filter(|path| {
            let ending = path.extension().unwrap_or_default().to_string_lossy();
            !ending.ends_with('~') && !IGNORED.contains(&ending.as_ref())
        })
        .collect();
    found.sort();
    found.into_iter().next()
}

fn contains(text: &[u8], words: &[u8]) -> bool {
    text.windows(words.len()).any(|window| window == words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_found_whatever_its_ending() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.md", "a.sh", "b", "b.pl", "c.yml"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found = |name| {
            let file = module_in(folder.path(), name)?;
            Some(file.file_name()?.to_str()?.to_owned())
        };
        assert_eq!(found("a").as_deref(), Some("a.sh"));
        assert_eq!(found("b").as_deref(), Some("b"));
        assert_eq!(found("c"), None);
    }
}

//! Where roles and playbooks are: the folders that are searched, and collections.

use std::path::{Component, Path, PathBuf};

use super::Loader;
use crate::diagnostic::Diagnostic;
use crate::playbook::context::Context;
use crate::source::Span;
use crate::yaml::Node;

/// The folder below which collections are installed, in each of the places for them.
const COLLECTIONS: &str = "ansible_collections";

/// What the configuration says of where things are and how they are read.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Folders of roles, searched after the playbook's own `roles`.
    pub roles: Vec<PathBuf>,
    /// Folders that hold `ansible_collections`, searched after the playbook's own `collections`.
    pub collections: Vec<PathBuf>,
    /// Folders of users' own modules, searched after the `library` folders of playbook and roles.
    pub modules: Vec<PathBuf>,
    /// Whether roles keep their variables to themselves; unset, only those that are included while a play
    /// runs do.
    pub private_role_vars: Option<bool>,
}

/// A role that was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub name: String,
    pub collection: Option<String>,
    pub path: PathBuf,
}

impl Loader {
    /// The role of this name as seen from `context`.
    pub(super) fn find_role(&self, name: &str, context: &Context, span: &Span) -> Result<Found, Diagnostic> {
        if let Some(found) = self.find_in_collections(name, context) {
            return Ok(found);
        }
        let candidates = self.role_candidates(name, context);
        if let Some(path) = candidates.iter().find(|path| path.is_dir()) {
            return Ok(Found {
                name: name.to_owned(),
                collection: None,
                path: path.clone(),
            });
        }
        let given = absolute(Path::new(name));
        if given.is_dir() {
            return Ok(Found {
                name: given
                    .file_name()
                    .map_or_else(|| name.to_owned(), |last| last.to_string_lossy().into_owned()),
                collection: None,
                path: given,
            });
        }
        let folders: Vec<String> = candidates
            .iter()
            .filter_map(|path| path.parent())
            .map(|folder| std::env::current_dir().unwrap_or_default().join(folder))
            .map(|folder| folder.display().to_string().trim_end_matches('/').to_owned())
            .collect();
        let siblings = siblings(&candidates);
        Err(Diagnostic::missing(format!(
            "the role '{name}' was not found in {}",
            folders.join(":")
        ))
        .at(span)
        .nearest(name, siblings.iter().map(String::as_str)))
    }

    /// Whether there is a role of this name as seen from `context`.
    pub fn has_role(&self, name: &Node, context: &Context) -> bool {
        self.find_role(&name.to_value().to_string(), context, &name.span)
            .is_ok()
    }

    /// The playbook's `roles`, then the configured folders, then beside the role that asks, then beside the
    /// playbook.
    fn role_candidates(&self, name: &str, context: &Context) -> Vec<PathBuf> {
        let playbook = playbook_folder(context);
        let mut candidates: Vec<PathBuf> = Vec::new();
        candidates.extend(playbook.map(|folder| folder.join("roles").join(name)));
        candidates.extend(self.places.roles.iter().map(|folder| folder.join(name)));
        let role = context.role();
        candidates.extend(role.and_then(|role| Some(role.role.path.parent()?.join(name))));
        candidates.extend(playbook.map(|folder| folder.join(name)));
        let mut unique: Vec<PathBuf> = Vec::new();
        for path in candidates.iter().map(|path| absolute(path)) {
            if !unique.contains(&path) {
                unique.push(path);
            }
        }
        unique
    }

    /// `NAMESPACE.COLLECTION.ROLE`, or a plain name in one of the collections that are searched.
    fn find_in_collections(&self, name: &str, context: &Context) -> Option<Found> {
        let playbook = playbook_folder(context);
        let find = |collection: &str, role: &str| {
            let folder = self.collection_folder(collection, playbook.map(PathBuf::as_path))?;
            let path = folder.join("roles").join(role.replace('.', "/"));
            path.is_dir().then(|| Found {
                name: role.to_owned(),
                collection: Some(collection.to_owned()),
                path,
            })
        };
        if let Some((collection, role)) = split_full_name(name) {
            return find(collection, role);
        }
        searched_collections(context)
            .iter()
            .find_map(|collection| find(collection, name))
    }

    /// A playbook by its full name, `NAMESPACE.COLLECTION.PLAYBOOK`.
    pub fn find_playbook(&self, name: &str, folder: &Path) -> Option<PathBuf> {
        let (collection, playbook) = split_full_name(name)?;
        let folder = self
            .collection_folder(collection, Some(folder))?
            .join("playbooks");
        let path = folder.join(playbook.replace('.', "/"));
        ["yml", "yaml"]
            .iter()
            .map(|ending| path.with_extension(ending))
            .find(|path| path.is_file())
    }

    pub(super) fn collection_folder(&self, collection: &str, playbook: Option<&Path>) -> Option<PathBuf> {
        let (namespace, name) = collection.split_once('.')?;
        let beside = playbook.map(|folder| folder.join("collections"));
        beside
            .into_iter()
            .chain(self.places.collections.iter().cloned())
            .map(|folder| {
                if folder.ends_with(COLLECTIONS) {
                    folder.join(namespace).join(name)
                } else {
                    folder.join(COLLECTIONS).join(namespace).join(name)
                }
            })
            .find(|folder| folder.is_dir())
    }
}

/// The collection that a file belongs to.
pub(super) fn collection_of(path: &Path) -> Option<String> {
    let names: Vec<String> = path
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    let at = names.iter().rposition(|name| name == COLLECTIONS)?;
    Some(format!("{}.{}", names.get(at + 1)?, names.get(at + 2)?))
}

/// In which collections plain names are looked up: those of the role, else those of the keyword and of the
/// playbook.
pub(super) fn searched_collections(context: &Context) -> Vec<String> {
    let keyword = |context: &Context| -> Vec<String> {
        let list = context.nearest("collections").and_then(Node::as_list);
        let names = list.unwrap_or_default().iter().filter_map(Node::as_str);
        names.map(str::to_owned).collect()
    };
    match context.role() {
        Some(role) => role.role.collections(),
        None => playbook_folder(context)
            .and_then(|folder| collection_of(folder))
            .into_iter()
            .chain(keyword(context))
            .collect(),
    }
}

/// The folder of the playbook that `context` is in.
pub(super) fn playbook_folder(context: &Context) -> Option<&PathBuf> {
    context
        .chain()
        .filter_map(|context| context.folder.as_ref())
        .last()
}

/// `NAMESPACE.COLLECTION` and what follows.
pub(super) fn split_full_name(name: &str) -> Option<(&str, &str)> {
    let mut dots = name.match_indices('.').map(|(at, _)| at);
    let second = dots.nth(1)?;
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && word.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    name.split('.')
        .all(is_word)
        .then(|| (&name[..second], &name[second + 1..]))
}

/// Absolute, and without `..` and `.`: the file that a name means, not the way to it.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let path = match path.strip_prefix("~") {
        Ok(rest) => std::env::home_dir().unwrap_or_default().join(rest),
        Err(_) => std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()),
    };
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// The names of the folders beside the candidates: what may have been meant.
fn siblings(candidates: &[PathBuf]) -> Vec<String> {
    candidates
        .iter()
        .filter_map(|path| std::fs::read_dir(path.parent()?).ok())
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_names() {
        assert_eq!(split_full_name("a.b.c"), Some(("a.b", "c")));
        assert_eq!(split_full_name("a.b.c.d"), Some(("a.b", "c.d")));
        assert_eq!(split_full_name("a.b"), None);
        assert_eq!(split_full_name("../a.b.c"), None);
        assert_eq!(
            collection_of(Path::new("/x/ansible_collections/a/b/playbooks")),
            Some("a.b".to_owned())
        );
        assert_eq!(collection_of(Path::new("/x/ansible_collections/a")), None);
    }

    #[test]
    fn paths_are_plain() {
        assert_eq!(absolute(Path::new("/a/./b/../c/")), Path::new("/a/c"));
    }
}

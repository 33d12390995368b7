//! Plays and playbooks.

use std::path::Path;
use std::sync::Arc;

use super::roles::Placed;
use super::{Loader, shown};
use crate::diagnostic::Diagnostic;
use crate::playbook::context::{Attributes, Context, Include};
use crate::playbook::keyword::{self, Level};
use crate::playbook::play::{Play, Playbook};
use crate::playbook::task::{Item, short_name};
use crate::yaml::{Mapping, Node};

/// Playbooks that import each other deeper than this do so in a circle.
const MAX_PLAYBOOKS: usize = 32;

impl Loader {
    /// A playbook and whatever it imports.
    pub fn playbook(&self, path: &Path) -> Result<Playbook, Diagnostic> {
        let mut plays = Vec::new();
        self.plays(path, None, 0, &mut plays)?;
        Ok(Playbook {
            name: shown(path),
            folder: folder_of(path),
            plays,
        })
    }

    fn plays(
        &self,
        path: &Path,
        outer: Option<&Arc<Context>>,
        depth: usize,
        plays: &mut Vec<Play>,
    ) -> Result<(), Diagnostic> {
        if depth > MAX_PLAYBOOKS {
            return Err(Diagnostic::error(format!("{} imports itself", path.display())));
        }
        let root = self.file(path, None)?;
        let Some(nodes) = root.as_list() else {
            return Err(Diagnostic::error(format!(
                "a playbook is a list of plays, not a {}",
                root.type_name()
            ))
            .at(&root.span)
            .hint("each play starts with `- hosts: ...`"));
        };
        for node in nodes {
            let map = node.as_map().ok_or_else(|| {
                Diagnostic::error(format!("a play is a map, not a {}", node.type_name())).at(&node.span)
            })?;
            let import = map.iter().find(|(name, _)| short_name(name) == "import_playbook");
            match import {
                Some((_, entry)) => {
                    let name = entry.value.as_str().unwrap_or_default();
                    let file = folder_of(path).join(name);
                    if !file.is_file() {
                        return Err(super::not_found("the playbook", name, &[file], &entry.value.span));
                    }
                    let context = import_context(map, outer, node);
                    self.plays(&file, Some(&context), depth + 1, plays)?;
                }
                None => plays.push(self.play(node, map, path, outer)?),
            }
        }
        Ok(())
    }

    fn play(
        &self,
        node: &Node,
        map: &Arc<Mapping>,
        path: &Path,
        outer: Option<&Arc<Context>>,
    ) -> Result<Play, Diagnostic> {
        keyword::check_all(map, Level::Play)?;
        let hosts = map
            .get("hosts")
            .filter(|entry| !is_empty(&entry.value))
            .ok_or_else(|| {
                let error = Diagnostic::error("the play names no hosts").at(&node.span);
                match map
                    .keys()
                    .any(|name| self.vocabulary.modules().contains(&short_name(name)))
                {
                    true => error.hint("this looks like a task: put it under `tasks:` of a play"),
                    false => error.hint("add `hosts: all`, or a group or pattern of the inventory"),
                }
            })?;
        let context = Arc::new(Context {
            attributes: Attributes {
                map: Arc::clone(map),
                span: node.span.clone(),
            },
            parent: outer.cloned(),
            include: Include::Static,
            role: None,
            folder: Some(folder_of(path)),
        });
        let null = Node::null(node.span.source());
        let section = |name: &str| map.get(name).map_or(&null, |entry| &entry.value);
        let items = |name: &str| -> Result<Vec<Item>, Diagnostic> {
            self.items(section(name), &context, Level::Task)
        };
        let mut placed = Placed::default();
        for role in section("roles").as_list().unwrap_or_default() {
            self.place_role(role, &context, &mut placed, &mut Vec::new())?;
        }
        let mut handlers = self.handlers(section("handlers"), &context)?;
        handlers.extend(placed.handlers);
        Ok(Play {
            hosts: hosts.value.clone(),
            roles: placed.uses,
            pre_tasks: items("pre_tasks")?,
            role_tasks: placed.items,
            tasks: items("tasks")?,
            post_tasks: items("post_tasks")?,
            handlers,
            folder: folder_of(path),
            context,
        })
    }
}

/// What stands beside `import_playbook` surrounds every play that it brings.
fn import_context(import: &Mapping, outer: Option<&Arc<Context>>, node: &Node) -> Arc<Context> {
    let kept: Mapping = import
        .iter()
        .filter(|(name, _)| matches!(name.as_str(), "tags" | "vars" | "when"))
        .map(|(name, entry)| (name.clone(), entry.clone()))
        .collect();
    Arc::new(Context {
        attributes: Attributes {
            map: Arc::new(kept),
            span: node.span.clone(),
        },
        parent: outer.cloned(),
        include: Include::Static,
        role: None,
        folder: None,
    })
}

fn is_empty(node: &Node) -> bool {
    node.is_null() || node.as_str() == Some("") || node.as_list().is_some_and(<[Node]>::is_empty)
}

fn folder_of(path: &Path) -> std::path::PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    path.parent().map(Path::to_path_buf).unwrap_or_default()
}

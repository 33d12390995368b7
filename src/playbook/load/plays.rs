//! Plays and playbooks.

use std::path::Path;
use std::sync::Arc;

use super::Loader;
use super::roles::Placed;
use crate::diagnostic::Diagnostic;
use crate::playbook::context::{Attributes, Context, Include};
use crate::playbook::keyword::{self, Level};
use crate::playbook::play::{Play, Playbook};
use crate::playbook::task::{Item, short_name};
use crate::source::shown;
use crate::yaml::{Mapping, Node};

/// Playbooks that import each other deeper than this do so in a circle.
const MAX_PLAYBOOKS: usize = 32;

const PLAY_STARTS: &str = "each play starts with `- hosts: ...`";

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

    /// A playbook that stands in no file and holds a single play; `folder` stands in for its own.
    pub fn single(&self, play: &Node, folder: &Path) -> Result<Playbook, Diagnostic> {
        let map = play.as_map().cloned().unwrap_or_default();
        Ok(Playbook {
            name: String::new(),
            folder: folder.to_owned(),
            plays: vec![self.play(play, &map, &folder.join("playbook"), None)?],
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
        if root.is_null() {
            return Err(
                Diagnostic::error(format!("the playbook {} is empty", shown(path))).hint(PLAY_STARTS),
            );
        }
        let Some(nodes) = root.as_list() else {
            return Err(Diagnostic::error(format!(
                "a playbook is a list of plays, not {}",
                root.described()
            ))
            .at(&root.span)
            .hint(PLAY_STARTS));
        };
        for node in nodes {
            let map = node.as_map().ok_or_else(|| {
                Diagnostic::error(format!("a play is a map, not {}", node.described())).at(&node.span)
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
        if !map.contains_key("hosts")
            && let Some(entry) = map
                .iter()
                .find(|(name, _)| self.vocabulary.modules().contains(&short_name(name)))
                .map(|(_, entry)| entry)
        {
            return Err(Diagnostic::error("a task cannot stand among plays")
                .at(&entry.key)
                .hint("put it under `tasks:` of a play, which starts with `- hosts: ...`"));
        }
        keyword::check_all(map, Level::Play)?;
        let hosts = map
            .get("hosts")
            .filter(|entry| !is_empty(&entry.value))
            .ok_or_else(|| {
                Diagnostic::error("the play names no hosts")
                    .at(&node.span)
                    .hint("add `hosts: all`, or a group or pattern of the inventory")
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
        let mut placed = Placed::default();
        for role in section("roles").as_list().unwrap_or_default() {
            self.place_role(role, &context, &mut placed, &mut Vec::new())?;
        }
        let role_tasks = std::mem::take(&mut placed.items);
        // In the order of loading: of handlers with one name in several places the last wins.
        let own = self.handlers(section("handlers"), &context)?;
        placed.handlers.extend(own);
        let mut items = |name: &str| -> Result<Vec<Item>, Diagnostic> {
            self.items(section(name), &context, Level::Task, &mut placed)
        };
        let pre_tasks = items("pre_tasks")?;
        let tasks = items("tasks")?;
        let post_tasks = items("post_tasks")?;
        Ok(Play {
            hosts: hosts.value.clone(),
            roles: placed.uses,
            pre_tasks,
            role_tasks,
            tasks,
            post_tasks,
            handlers: placed.handlers,
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

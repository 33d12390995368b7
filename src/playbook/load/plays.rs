//! Plays and playbooks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Loader;
use super::roles::Placed;
use crate::diagnostic::Diagnostic;
use crate::playbook::collection::short_name;
use crate::playbook::context::{Attributes, Context, Include};
use crate::playbook::keyword::{self, Level};
use crate::playbook::play::{Play, Playbook};
use crate::playbook::task::Item;
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
                Diagnostic::error(format!("Empty playbook, nothing to do: {}", shown(path)))
                    .hint(PLAY_STARTS),
            );
        }
        let Some(nodes) = root.as_list() else {
            return Err(Diagnostic::error(format!(
                "A playbook must be a list of plays, got {} instead: {}",
                root.described(),
                shown(path)
            ))
            .at(&root.span)
            .hint(PLAY_STARTS));
        };
        if nodes.is_empty() {
            return Err(Diagnostic::error("A playbook must contain at least one play")
                .at(&root.span)
                .hint(PLAY_STARTS));
        }
        for node in nodes {
            let map = node.as_map().ok_or_else(|| {
                Diagnostic::error(
                    "playbook entries must be either valid plays or 'import_playbook' statements",
                )
                .at(&node.span)
                .hint(PLAY_STARTS)
            })?;
            let import = map.iter().find(|(name, _)| short_name(name) == "import_playbook");
            match import {
                Some((_, entry)) => {
                    let (file, context) = self.import_playbook(map, &entry.value, path, outer, node)?;
                    self.plays(&file, Some(&context), depth + 1, plays)
                        .map_err(|error| error.via("imported here", &entry.value.span))?;
                }
                None => plays.push(self.play(node, map, path, outer)?),
            }
        }
        Ok(())
    }

    /// The playbook that an import names, and what stands beside it: that surrounds every play it brings.
    fn import_playbook(
        &self,
        import: &Mapping,
        name: &Node,
        path: &Path,
        outer: Option<&Arc<Context>>,
        node: &Node,
    ) -> Result<(PathBuf, Arc<Context>), Diagnostic> {
        let mut kept = Mapping::new();
        for (key, entry) in import {
            match key.as_str() {
                "name" => {}
                key if short_name(key) == "import_playbook" => {}
                "tags" | "vars" | "when" => {
                    if let Some(keyword) = keyword::find(key, Level::Block) {
                        keyword.check(entry)?;
                    }
                    kept.insert(key.to_owned(), entry.clone());
                }
                key => {
                    return Err(Diagnostic::error(format!(
                        "'{key}' is not a valid attribute for a PlaybookInclude"
                    ))
                    .at(&entry.key)
                    .hint("beside `import_playbook` stand only `name`, `tags`, `vars` and `when`"));
                }
            }
        }
        let surroundings = |map: Mapping| {
            Arc::new(Context {
                attributes: Attributes {
                    map: Arc::new(map),
                    span: node.span.clone(),
                },
                parent: outer.cloned(),
                include: Include::Static,
                role: None,
                folder: None,
                variables: Vec::new(),
            })
        };
        let context = surroundings(kept.clone());
        let kept = self.with_settled_tags(kept, &context)?;
        let context = surroundings(kept);
        if name.is_null() {
            return Err(
                Diagnostic::error("The field 'import_playbook' is required but was not set.").at(&node.span),
            );
        }
        let text = self.vocabulary.evaluate(name, &context)?;
        let folder = folder_of(path);
        let candidates = [folder.join(&text)];
        let file = if candidates[0].is_file() {
            Some(candidates[0].clone())
        } else {
            self.find_playbook(&text, &folder)
        };
        match file {
            Some(file) => Ok((file, context)),
            None => Err(super::not_found("the playbook", &text, &candidates, &name.span)),
        }
    }

    /// `vars_files` that can be read before there are hosts: static imports and tags may depend on them. What
    /// is wrong in them is said when the play starts.
    fn known_files(&self, context: &Context) -> Vec<Arc<Mapping>> {
        let Some(node) = context.attributes.get("vars_files") else {
            return Vec::new();
        };
        let folder = context.folder.clone().unwrap_or_default();
        let entries = node.as_list().unwrap_or(std::slice::from_ref(node));
        let read = |choice: &Node| {
            let name = self.vocabulary.evaluate(choice, context).ok()?;
            let path = [folder.join("vars").join(&name), folder.join(&name)]
                .into_iter()
                .find(|path| path.is_file())?;
            self.file(&path, None).ok()?.as_map().cloned()
        };
        let first = |entry: &Node| {
            let choices = entry.as_list().unwrap_or(std::slice::from_ref(entry));
            choices.iter().find_map(read)
        };
        entries.iter().rev().filter_map(first).collect()
    }

    fn play(
        &self,
        node: &Node,
        map: &Arc<Mapping>,
        path: &Path,
        outer: Option<&Arc<Context>>,
    ) -> Result<Play, Diagnostic> {
        let map = &Arc::new(without_user(map)?);
        let is_task = |name: &str| {
            keyword::find(name, Level::Play).is_none()
                && self.vocabulary.modules().contains(&short_name(name))
        };
        if let Some((name, entry)) = map.iter().find(|(name, _)| is_task(name)) {
            return Err(keyword::unknown(name, &entry.key, Level::Play)
                .hint("put it under `tasks:` of a play, which starts with `- hosts: ...`"));
        }
        keyword::check_all(map, Level::Play)?;
        let hosts = map.get("hosts").ok_or_else(|| {
            Diagnostic::error("The field 'hosts' is required but was not set.")
                .at(&node.span)
                .hint("add `hosts: all`, or a group or pattern of the inventory")
        })?;
        if is_empty(&hosts.value) {
            return Err(
                Diagnostic::error("Hosts list cannot be empty. Please check your playbook")
                    .at(&hosts.value.span)
                    .hint("write `hosts: all`, or a group or pattern of the inventory"),
            );
        }
        let bare = Context {
            attributes: Attributes {
                map: Arc::clone(map),
                span: node.span.clone(),
            },
            parent: outer.cloned(),
            include: Include::Static,
            role: None,
            folder: Some(folder_of(path)),
            variables: Vec::new(),
        };
        let bare = Context {
            variables: self.known_files(&bare),
            ..bare
        };
        let attributes = self.with_settled_tags(map.as_ref().clone(), &bare)?;
        let context = Arc::new(Context {
            attributes: Attributes {
                map: Arc::new(attributes),
                span: node.span.clone(),
            },
            ..bare
        });
        let null = Node::null(node.span.source());
        let section = |name: &str| map.get(name).map_or(&null, |entry| &entry.value);
        let mut placed = Placed::default();
        for role in section("roles").as_list().unwrap_or_default() {
            let used = self.place_role(role, &context, &mut placed)?;
            placed.uses.push(used);
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

/// `user` is an old name of `remote_user`.
fn without_user(map: &Mapping) -> Result<Mapping, Diagnostic> {
    let mut map = map.clone();
    if let Some(entry) = map.shift_remove("user") {
        if map.contains_key("remote_user") {
            return Err(Diagnostic::error(
                "both 'user' and 'remote_user' are set for this play. \
                 The use of 'user' is deprecated, and should be removed",
            )
            .at(&entry.key));
        }
        map.insert("remote_user".to_owned(), entry);
    }
    Ok(map)
}

fn is_empty(node: &Node) -> bool {
    node.is_null() || node.as_str() == Some("") || node.as_list().is_some_and(<[Node]>::is_empty)
}

fn folder_of(path: &Path) -> std::path::PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    path.parent().map(Path::to_path_buf).unwrap_or_default()
}

//! Roles: where they are, what they hold, and their tasks in place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::tasks::{refuse_loop, with_apply};
use super::{Loader, not_found};
use crate::diagnostic::Diagnostic;
use crate::playbook::context::{Attributes, Context, Include};
use crate::playbook::keyword::{self, Level};
use crate::playbook::role::{Role, RoleUse};
use crate::playbook::task::{Item, Task};
use crate::source::Span;
use crate::yaml::{Kind, Mapping, Node};

/// A role brought into a play: itself and its dependencies, in the order in which they run.
#[derive(Debug, Default)]
pub struct Placed {
    pub uses: Vec<Arc<RoleUse>>,
    pub items: Vec<Item>,
    pub handlers: Vec<Arc<Task>>,
    /// What tells uses of the same role apart: parameters, variables, conditions and tags.
    identities: Vec<(Arc<Role>, Mapping)>,
}

/// Which of a role's files are meant, where not `main`.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    pub tasks: &'a str,
    pub handlers: &'a str,
    pub vars: &'a str,
    pub defaults: &'a str,
}

impl Default for Entry<'_> {
    fn default() -> Self {
        Self {
            tasks: "main",
            handlers: "main",
            vars: "main",
            defaults: "main",
        }
    }
}

impl Loader {
    /// The role of this name as seen from `context`.
    pub fn role(&self, name: &str, context: &Context, span: &Span) -> Result<Arc<Role>, Diagnostic> {
        self.role_from(name, context, span, &Entry::default())
    }

    fn role_from(
        &self,
        name: &str,
        context: &Context,
        span: &Span,
        entry: &Entry,
    ) -> Result<Arc<Role>, Diagnostic> {
        let candidates = self.role_candidates(name, context);
        let path = candidates.iter().find(|path| path.is_dir()).ok_or_else(|| {
            let error = not_found("the role", name, &candidates, span);
            let siblings = siblings(&candidates);
            error.nearest(name, siblings.iter().map(String::as_str))
        })?;
        let key = path.join(format!(
            "{}|{}|{}|{}",
            entry.tasks, entry.handlers, entry.vars, entry.defaults
        ));
        if let Some(role) = self.roles.lock().ok().and_then(|roles| roles.get(&key).cloned()) {
            return Ok(role);
        }
        let role = Arc::new(Role {
            name: name.to_owned(),
            path: path.clone(),
            defaults: self.role_variables(path, "defaults", entry.defaults)?,
            vars: self.role_variables(path, "vars", entry.vars)?,
            tasks: self.role_file(path, "tasks", entry.tasks, span)?,
            handlers: self.role_file(path, "handlers", entry.handlers, span)?,
            meta: self.role_file(path, "meta", "main", span)?,
        });
        if let Ok(mut roles) = self.roles.lock() {
            roles.insert(key, Arc::clone(&role));
        }
        Ok(role)
    }

    /// The playbook's `roles`, then the project's, then beside the role that asks.
    fn role_candidates(&self, name: &str, context: &Context) -> Vec<PathBuf> {
        let name = name
            .rsplit_once('.')
            .filter(|_| name.matches('.').count() == 2)
            .map_or(name, |(_, last)| last);
        if name.contains('/') {
            let path = Path::new(name);
            if path.is_absolute() {
                return vec![path.to_path_buf()];
            }
        }
        let mut candidates: Vec<PathBuf> = Vec::new();
        let playbook = context
            .chain()
            .filter_map(|context| context.folder.as_ref())
            .last();
        candidates.extend(playbook.map(|folder| folder.join("roles").join(name)));
        candidates.extend(self.role_path.iter().map(|folder| folder.join(name)));
        candidates.extend(
            context
                .role()
                .and_then(|role| Some(role.role.path.parent()?.join(name))),
        );
        candidates.extend(playbook.map(|folder| folder.join(name)));
        let mut seen = Vec::new();
        candidates.retain(|path| {
            let new = !seen.contains(path);
            seen.push(path.clone());
            new
        });
        candidates
    }

    fn role_file(&self, role: &Path, kind: &str, name: &str, span: &Span) -> Result<Node, Diagnostic> {
        let folder = role.join(kind);
        let candidates = named(&folder, name);
        match candidates.iter().find(|path| path.is_file()) {
            Some(path) => self.file(path, None),
            None if name == "main" => Ok(Node::null(span.source())),
            None => Err(not_found(
                &format!("the role's file of {kind}"),
                name,
                &candidates,
                span,
            )),
        }
    }

    /// `defaults/main.yml` or all files of `defaults/main/`.
    fn role_variables(&self, role: &Path, kind: &str, name: &str) -> Result<Arc<Mapping>, Diagnostic> {
        let folder = role.join(kind);
        let inner = folder.join(name);
        let mut files: Vec<PathBuf> = if inner.is_dir() {
            let entries = std::fs::read_dir(&inner)
                .map_err(|error| Diagnostic::error(format!("cannot read {}: {error}", inner.display())))?;
            entries
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.is_file())
                .collect()
        } else {
            named(&folder, name)
                .into_iter()
                .filter(|path| path.is_file())
                .take(1)
                .collect()
        };
        files.sort();
        let mut all = Mapping::new();
        for path in files {
            let root = self.file(&path, None)?;
            match &root.kind {
                Kind::Map(map) => all.extend(map.iter().map(|(name, entry)| (name.clone(), entry.clone()))),
                _ if root.is_null() => {}
                _ => {
                    return Err(Diagnostic::error(format!(
                        "a file of variables holds a map, not {}",
                        root.described()
                    ))
                    .at(&root.span));
                }
            }
        }
        Ok(Arc::new(all))
    }

    /// An element of `roles:`: the role, after the roles that it depends on.
    pub(super) fn place_role(
        &self,
        node: &Node,
        parent: &Arc<Context>,
        placed: &mut Placed,
        trail: &mut Vec<String>,
    ) -> Result<(), Diagnostic> {
        let (name, span, attributes, params) = self.role_entry(node, parent)?;
        let role = self.role(&name, parent, &span)?;
        self.place(&role, &span, attributes, params, parent, placed, trail)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "each is a different part of one use of a role"
    )]
    fn place(
        &self,
        role: &Arc<Role>,
        span: &Span,
        attributes: Mapping,
        params: Mapping,
        parent: &Arc<Context>,
        placed: &mut Placed,
        trail: &mut Vec<String>,
    ) -> Result<(), Diagnostic> {
        if trail.contains(&role.name) {
            let path = trail.join(" -> ");
            return Err(Diagnostic::error(format!(
                "the roles depend on each other in a circle: {path} -> {}",
                role.name
            ))
            .at(span));
        }
        let mut identity = params.clone();
        identity.extend(
            attributes
                .iter()
                .filter(|(name, _)| matches!(name.as_str(), "vars" | "when" | "tags"))
                .map(|(name, entry)| (name.clone(), entry.clone())),
        );
        let known = placed
            .identities
            .iter()
            .any(|(used, theirs)| Arc::ptr_eq(used, role) && same(theirs, &identity));
        let duplicates = role
            .meta
            .get("allow_duplicates")
            .is_some_and(|node| node.to_value().truth().unwrap_or(false));
        if known && !duplicates {
            return Ok(());
        }
        trail.push(role.name.clone());
        let used = Arc::new(RoleUse {
            role: Arc::clone(role),
            params: Arc::new(params),
        });
        let context = Arc::new(Context {
            attributes: Attributes {
                map: Arc::new(attributes),
                span: span.clone(),
            },
            parent: Some(Arc::clone(parent)),
            include: Include::Static,
            role: Some(Arc::clone(&used)),
            folder: Some(role.path.join("tasks")),
        });
        for dependency in role
            .meta
            .get("dependencies")
            .and_then(Node::as_list)
            .unwrap_or_default()
        {
            self.place_role(dependency, &context, placed, trail)?;
        }
        trail.pop();
        placed.identities.push((Arc::clone(role), identity));
        placed.uses.push(used);
        let items = self.items(&role.tasks, &context, Level::Task, placed)?;
        placed.items.extend(items);
        placed.handlers.extend(self.handlers(&role.handlers, &context)?);
        Ok(())
    }

    /// Name, keywords and parameters of an element of `roles:` or of `dependencies:`.
    fn role_entry(
        &self,
        node: &Node,
        parent: &Context,
    ) -> Result<(String, Span, Mapping, Mapping), Diagnostic> {
        if node.as_str().is_some() {
            return Ok((
                self.vocabulary.evaluate(node, parent)?,
                node.span.clone(),
                Mapping::new(),
                Mapping::new(),
            ));
        }
        let map = node.as_map().ok_or_else(|| {
            Diagnostic::error(format!("a role is a name or a map, not {}", node.described())).at(&node.span)
        })?;
        let name = map
            .get("role")
            .or_else(|| map.get("name"))
            .ok_or_else(|| Diagnostic::error("which role? `role: NAME` is missing").at(&node.span))?;
        let mut attributes = Mapping::new();
        let mut params = Mapping::new();
        for (key, entry) in map.iter() {
            match (key.as_str(), keyword::find(key, Level::Role)) {
                ("role" | "name", _) => {}
                (_, Some(keyword)) => {
                    keyword.check(entry)?;
                    attributes.insert(key.clone(), entry.clone());
                }
                (_, None) => {
                    params.insert(key.clone(), entry.clone());
                }
            }
        }
        Ok((
            self.vocabulary.evaluate(&name.value, parent)?,
            name.value.span.clone(),
            attributes,
            params,
        ))
    }

    /// A list of handlers.
    pub(super) fn handlers(&self, list: &Node, context: &Arc<Context>) -> Result<Vec<Arc<Task>>, Diagnostic> {
        let mut handlers = Vec::new();
        let folder = context.role().map(|role| role.role.path.join("handlers"));
        let context = match folder {
            Some(folder) => Arc::new(Context {
                attributes: context.attributes.clone(),
                parent: context.parent.clone(),
                include: context.include,
                role: context.role.clone(),
                folder: Some(folder),
            }),
            None => Arc::clone(context),
        };
        for item in self.items(list, &context, Level::Handler, &mut Placed::default())? {
            collect_handlers(item, &mut handlers);
        }
        Ok(handlers)
    }

    /// `import_role`: the role's tasks take the place of the import; its variables and handlers are the play's.
    pub(super) fn import_role(
        &self,
        task: &Task,
        items: &mut Vec<Item>,
        placed: &mut Placed,
    ) -> Result<(), Diagnostic> {
        refuse_loop(task, "include_role")?;
        let evaluate = |node: &Node| self.vocabulary.evaluate(node, &task.context);
        let imported = self.role_task(task, &task.context, Include::Static, &evaluate)?;
        items.extend(imported.items);
        placed.uses.extend(imported.uses);
        placed.handlers.extend(imported.handlers);
        Ok(())
    }

    /// The role that an `import_role` or `include_role` names, its dependencies first. `evaluate` gives the
    /// texts of its arguments.
    pub fn role_task(
        &self,
        task: &Task,
        context: &Arc<Context>,
        include: Include,
        evaluate: &dyn Fn(&Node) -> Result<String, Diagnostic>,
    ) -> Result<Placed, Diagnostic> {
        let argument = |name: &str| task.arguments.get(name).map(evaluate).transpose();
        let node = task
            .arguments
            .get("name")
            .or_else(|| task.arguments.get("role"))
            .ok_or_else(|| Diagnostic::error("which role? `name` is missing").at(&task.action_span))?;
        let name = evaluate(node)?;
        let span = &node.span;
        let main = || "main".to_owned();
        let from = [
            argument("tasks_from")?.unwrap_or_else(main),
            argument("handlers_from")?.unwrap_or_else(main),
            argument("vars_from")?.unwrap_or_else(main),
            argument("defaults_from")?.unwrap_or_else(main),
        ];
        let entry = Entry {
            tasks: &from[0],
            handlers: &from[1],
            vars: &from[2],
            defaults: &from[3],
        };
        let role = self.role_from(&name, context, span, &entry)?;
        let keep = |key: &str| include == Include::Static || key == "vars";
        let attributes: Mapping = context
            .attributes
            .map
            .iter()
            .filter(|(key, _)| keep(key) && !matches!(key.as_str(), "name" | "register"))
            .map(|(key, entry)| (key.clone(), entry.clone()))
            .collect();
        let parent = Arc::new(Context {
            attributes: Attributes {
                map: Arc::new(attributes),
                span: task.span().clone(),
            },
            parent: context.parent.clone(),
            include,
            role: None,
            folder: None,
        });
        let parent = with_apply(&parent, task);
        let mut placed = Placed::default();
        self.place(
            &role,
            span,
            Mapping::new(),
            Mapping::new(),
            &parent,
            &mut placed,
            &mut Vec::new(),
        )?;
        Ok(placed)
    }
}

fn collect_handlers(item: Item, handlers: &mut Vec<Arc<Task>>) {
    match item {
        Item::Task(task) => handlers.push(task),
        Item::Block(block) => {
            for item in block
                .tasks
                .iter()
                .chain(block.rescue.iter())
                .chain(block.always.iter())
            {
                collect_handlers(item.clone(), handlers);
            }
        }
    }
}

fn same(one: &Mapping, other: &Mapping) -> bool {
    one.len() == other.len()
        && one.iter().all(|(name, entry)| {
            other
                .get(name)
                .is_some_and(|found| found.value.to_value() == entry.value.to_value())
        })
}

/// `NAME`, `NAME.yml`, `NAME.yaml`, `NAME.json` in a folder.
fn named(folder: &Path, name: &str) -> Vec<PathBuf> {
    ["yml", "yaml", "json", ""]
        .iter()
        .map(|ending| match *ending {
            "" => folder.join(name),
            ending => folder.join(format!("{name}.{ending}")),
        })
        .collect()
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

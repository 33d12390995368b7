//! Roles in a play: their tasks, handlers and variables in place, dependencies before their dependants.

use std::sync::{Arc, OnceLock};

use super::Loader;
use super::role_files::From;
use super::tasks::{refuse_loop, with_apply};
use crate::diagnostic::Diagnostic;
use crate::playbook::context::{Attributes, Context, Include};
use crate::playbook::keyword::{self, Level};
use crate::playbook::role::{Role, RoleUse};
use crate::playbook::task::{Item, Meta, Task, What};
use crate::source::{Span, shown};
use crate::value::Value;
use crate::yaml::{Entry, Kind, Mapping, Node};

/// What roles bring into a play.
#[derive(Debug, Default)]
pub struct Placed {
    pub uses: Vec<Arc<RoleUse>>,
    pub items: Vec<Item>,
    pub handlers: Vec<Arc<Task>>,
}

/// A role that is about to be placed.
struct Placing<'a> {
    role: Arc<Role>,
    /// Who names it.
    span: &'a Span,
    attributes: Mapping,
    params: Mapping,
    /// By `import_role` or `include_role`, with what they say.
    included: Option<Included>,
}

/// What `import_role` and `include_role` say of a role besides its name.
struct Included {
    include: Include,
    public: Option<bool>,
    duplicates: bool,
    validate: bool,
    /// Their `vars`.
    variables: Option<Node>,
}

impl Loader {
    /// An element of `roles:` or of `dependencies:`.
    pub(super) fn place_role(
        &self,
        node: &Node,
        parent: &Arc<Context>,
        placed: &mut Placed,
    ) -> Result<Arc<RoleUse>, Diagnostic> {
        let (name, attributes, params) = role_entry(node)?;
        let placing = Placing {
            role: self.role(
                &self.vocabulary.evaluate(&name, parent)?,
                parent,
                &name.span,
                &From::default(),
            )?,
            span: &name.span,
            attributes,
            params,
            included: None,
        };
        self.place(placing, parent, placed)
    }

    /// A role after those that it depends on.
    fn place(
        &self,
        placing: Placing<'_>,
        parent: &Arc<Context>,
        placed: &mut Placed,
    ) -> Result<Arc<RoleUse>, Diagnostic> {
        refuse_circle(&placing, parent)?;
        let role = &placing.role;
        let used = Arc::new(self.role_use(&placing));
        let attributes = self.with_settled_tags(placing.attributes, parent)?;
        let context = Arc::new(Context {
            attributes: Attributes {
                map: Arc::new(attributes),
                span: placing.span.clone(),
            },
            parent: Some(Arc::clone(parent)),
            include: Include::Static,
            role: Some(Arc::clone(&used)),
            folder: Some(role.path.join("tasks")),
            variables: Vec::new(),
        });
        let listed = role.meta.get("dependencies").and_then(Node::as_list);
        let mut dependencies = Vec::new();
        for dependency in listed.unwrap_or_default() {
            let dependency = self.place_role(dependency, &context, placed)?;
            dependencies.extend(dependency.dependencies().iter().cloned());
            dependencies.push(dependency);
        }
        used.dependencies.get_or_init(|| dependencies);
        let validates = placing.included.as_ref().is_none_or(|included| included.validate);
        if let Some(spec) = role.argument_spec().filter(|spec| validates && is_filled(spec)) {
            placed.items.push(validation(&used, spec, &context));
        }
        let items = self.items(&role.tasks, &context, Level::Task, placed)?;
        placed.items.extend(items);
        placed.items.push(completion(&context));
        placed.handlers.extend(self.handlers(&role.handlers, &context)?);
        Ok(used)
    }

    fn role_use(&self, placing: &Placing<'_>) -> RoleUse {
        let role = &placing.role;
        let included = placing.included.as_ref();
        let is_static = included.is_none_or(|included| included.include == Include::Static);
        let usual = self
            .places
            .private_role_vars
            .map_or(is_static, |private| !private);
        let listed = role.meta.get("allow_duplicates");
        RoleUse {
            identity: identity(placing),
            role: Arc::clone(role),
            duplicates: match included {
                Some(included) => included.duplicates,
                None => listed.is_some_and(|node| node.to_value().truth() == Some(true)),
            },
            public: included.and_then(|included| included.public).unwrap_or(usual),
            params: Arc::new(placing.params.clone()),
            dependencies: OnceLock::new(),
        }
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
                variables: Vec::new(),
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
        let text = |name: &str| task.arguments.get(name).map(evaluate).transpose();
        let truth = |name: &str| -> Result<Option<bool>, Diagnostic> {
            Ok(text(name)?.and_then(|text| Value::from(text).truth()))
        };
        let name = role_name(task)?;
        let from = From {
            tasks: text("tasks_from")?,
            handlers: text("handlers_from")?,
            vars: text("vars_from")?,
            defaults: text("defaults_from")?,
        };
        let role = self.role(&evaluate(name)?, context, &name.span, &from)?;
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
            variables: Vec::new(),
        });
        let parent = with_apply(&parent, task);
        let mut placed = Placed::default();
        let placing = Placing {
            role,
            span: &name.span,
            attributes: Mapping::new(),
            params: Mapping::new(),
            included: Some(Included {
                include,
                public: truth("public")?,
                duplicates: truth("allow_duplicates")?.unwrap_or(true),
                validate: truth("rolespec_validate")?.unwrap_or(true),
                variables: context.attributes.get("vars").cloned(),
            }),
        };
        let used = self.place(placing, &parent, &mut placed)?;
        placed.uses.push(used);
        Ok(placed)
    }
}

/// Name, keywords and parameters of an element of `roles:` or of `dependencies:`.
fn role_entry(node: &Node) -> Result<(Node, Mapping, Mapping), Diagnostic> {
    let Some(map) = node.as_map() else {
        let is_name = node.as_str().is_some() || node.type_name() == "int";
        if let Some(text) = node.as_str().filter(|text| text.contains(',')) {
            return Err(
                Diagnostic::error(format!("Invalid old style role requirement: {text}")).at(&node.span),
            );
        }
        return if is_name {
            Ok((node.clone(), Mapping::new(), Mapping::new()))
        } else {
            Err(
                Diagnostic::error(format!("a role is a name or a map, not {}", node.described()))
                    .at(&node.span),
            )
        };
    };
    let name = ["role", "name"].iter().find_map(|key| map.get(*key));
    let name = name.filter(|entry| entry.value.as_str().is_some_and(|name| !name.is_empty()));
    let name = name.ok_or_else(|| {
        Diagnostic::error("role definitions must contain a role name")
            .at(&node.span)
            .hint("add `role: NAME`")
    })?;
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
    Ok((name.value.clone(), attributes, params))
}

/// Which role an `import_role` or `include_role` means.
pub fn role_name(task: &Task) -> Result<&Node, Diagnostic> {
    let given = ["name", "role"].iter().find_map(|key| task.arguments.get(key));
    given.filter(|node| !node.is_null()).ok_or_else(|| {
        Diagnostic::error(format!("'name' is a required field for {}.", task.action)).at(&task.action_span)
    })
}

/// What makes two uses one and the same.
fn identity(placing: &Placing<'_>) -> Arc<str> {
    let attribute = |name: &str| placing.attributes.get(name).map(|entry| entry.value.to_value());
    let included = placing.included.as_ref();
    let variables = included
        .and_then(|included| included.variables.as_ref())
        .map(Node::to_value);
    let params: Value = Node::new(Kind::Map(Arc::new(placing.params.clone())), placing.span).to_value();
    let role = &placing.role;
    let files = (
        &role.entry_point,
        Arc::as_ptr(&role.vars),
        Arc::as_ptr(&role.defaults),
    );
    format!(
        "{}\0{:?}\0{:?}\0{:?}\0{:?}\0{:?}\0{files:?}\0{}",
        shown(&role.path),
        params,
        attribute("when"),
        attribute("tags"),
        attribute("vars"),
        variables,
        included.is_some(),
    )
    .into()
}

/// The error for a role that is placed inside itself, nothing that is decided while the play runs in between.
fn refuse_circle(placing: &Placing<'_>, parent: &Context) -> Result<(), Diagnostic> {
    let around: Vec<&Context> = parent
        .chain()
        .take_while(|context| context.include == Include::Static)
        .filter(|context| context.role.is_some())
        .collect();
    let is_same = |context: &&Context| {
        let used = context.role.as_ref();
        used.is_some_and(|used| Arc::ptr_eq(&used.role, &placing.role))
    };
    let Some(first) = around.iter().position(is_same) else {
        return Ok(());
    };
    let names = around[..=first]
        .iter()
        .rev()
        .filter_map(|context| context.role.as_ref());
    let way: Vec<String> = names.map(|used| used.role.full_name()).collect();
    Err(Diagnostic::error(
        "A recursion loop was detected with the roles specified. \
         Make sure child roles do not have dependencies on parent roles",
    )
    .at(placing.span)
    .hint(format!("{} -> {}", way.join(" -> "), placing.role.full_name())))
}

/// The task that compares the variables with what the role says that it takes.
fn validation(used: &RoleUse, spec: &Node, context: &Arc<Context>) -> Item {
    let role = &used.role;
    let span = &spec.span;
    let text = |text: &str| Node::literal(&Value::from(text), span);
    let mut name = format!("Validating arguments against arg spec '{}'", role.entry_point);
    if let Some(description) = spec.get("short_description") {
        name = format!("{name} - {}", description.to_value());
    }
    let about = map(
        span,
        [
            ("type", text("role")),
            ("name", text(&role.name)),
            ("argument_spec_name", text(&role.entry_point)),
            ("path", text(&role.path.display().to_string())),
        ],
    );
    let options = spec.get("options").filter(|node| !node.is_null());
    let arguments = map(
        span,
        [
            ("argument_spec", options.cloned().unwrap_or_else(|| map(span, []))),
            (
                "provided_arguments",
                Node::new(Kind::Map(Arc::clone(&used.params)), span),
            ),
            ("validate_args_context", about),
        ],
    );
    let keywords = map(span, [("name", text(&name)), ("tags", text("always"))]);
    made(
        What::Run("validate_argument_spec".to_owned()),
        "ansible.builtin.validate_argument_spec",
        arguments,
        &keywords,
        context,
        false,
    )
}

/// What marks the end of a role's tasks.
fn completion(context: &Arc<Context>) -> Item {
    let span = &context.attributes.span;
    made(
        What::Meta(Meta::RoleComplete),
        "meta",
        map(span, []),
        &map(span, []),
        context,
        true,
    )
}

fn made(
    what: What,
    action: &str,
    arguments: Node,
    keywords: &Node,
    parent: &Arc<Context>,
    implicit: bool,
) -> Item {
    let span = arguments.span.clone();
    Item::Task(Arc::new(Task {
        what,
        action: action.to_owned(),
        action_span: span.clone(),
        arguments,
        repeat: None,
        own: None,
        context: Arc::new(Context {
            attributes: Attributes {
                map: keywords.as_map().cloned().unwrap_or_default(),
                span,
            },
            parent: Some(Arc::clone(parent)),
            include: Include::Static,
            role: None,
            folder: None,
            variables: Vec::new(),
        }),
        implicit,
    }))
}

fn map<const N: usize>(span: &Span, entries: [(&str, Node); N]) -> Node {
    let entries = entries.into_iter().map(|(name, value)| {
        let key = span.clone();
        (name.to_owned(), Entry { key, value })
    });
    Node::new(Kind::Map(Arc::new(entries.collect())), span)
}

/// Whether a role's argument spec says anything.
fn is_filled(spec: &Node) -> bool {
    spec.as_map().is_some_and(|map| !map.is_empty())
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

//! Lists of tasks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::given::{Given, no_action, old_style};
use super::own::Foreign;
use super::{Loader, Placed, not_found, role_name};
use crate::diagnostic::Diagnostic;
use crate::playbook::arguments;
use crate::playbook::collection::short_name;
use crate::playbook::context::{Attributes, Context, Include};
use crate::playbook::keyword::{self, Level};
use crate::playbook::task::{Block, Item, Loop, Meta, Task, What};
use crate::source::{Span, shown};
use crate::yaml::{Entry, Mapping, Node};

impl Loader {
    /// A list of tasks and blocks, inside `parent`. What the roles that it imports bring besides tasks goes
    /// into `placed`.
    pub fn items(
        &self,
        list: &Node,
        parent: &Arc<Context>,
        level: Level,
        placed: &mut Placed,
    ) -> Result<Vec<Item>, Diagnostic> {
        if list.is_null() {
            return Ok(Vec::new());
        }
        let nodes = list.as_list().ok_or_else(|| {
            Diagnostic::error(format!(
                "A malformed block was encountered while loading tasks: expected a list of tasks, not {}",
                list.described()
            ))
            .at(&list.span)
            .hint("each task starts with `- `")
        })?;
        let mut items = Vec::with_capacity(nodes.len());
        for node in nodes {
            self.item(node, parent, level, &mut items, placed)?;
        }
        Ok(items)
    }

    fn item(
        &self,
        node: &Node,
        parent: &Arc<Context>,
        level: Level,
        items: &mut Vec<Item>,
        placed: &mut Placed,
    ) -> Result<(), Diagnostic> {
        let map = node.as_map().ok_or_else(|| {
            Diagnostic::error(format!("a task is a map, not {}", node.described())).at(&node.span)
        })?;
        if ["block", "rescue", "always"]
            .iter()
            .any(|name| map.contains_key(*name))
        {
            let block = self.block(node, map, parent, level, placed)?;
            items.push(Item::Block(Arc::new(block)));
            return Ok(());
        }
        let task = self.task(node, map, parent, level)?;
        match short_name(&task.action) {
            "import_tasks" => self.import_tasks(&task, level, items, placed),
            "import_role" => self.import_role(&task, items, placed),
            _ => {
                items.push(Item::Task(Arc::new(task)));
                Ok(())
            }
        }
    }

    fn block(
        &self,
        node: &Node,
        map: &Arc<Mapping>,
        parent: &Arc<Context>,
        level: Level,
        placed: &mut Placed,
    ) -> Result<Block, Diagnostic> {
        keyword::check_all(map, Level::Block)?;
        let null = Node::null(node.span.source());
        let section = |name: &str| map.get(name).map_or(&null, |entry| &entry.value);
        if !map.contains_key("block")
            && let Some(name) = ["rescue", "always"].iter().find(|name| !is_empty(section(name)))
        {
            return Err(
                Diagnostic::error(format!("'{name}' keyword cannot be used without 'block'")).at(&node.span),
            );
        }
        let kept: Mapping = map
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "block" | "rescue" | "always"))
            .map(|(name, entry)| (name.clone(), entry.clone()))
            .collect();
        let kept = self.with_settled_tags(kept, parent)?;
        let context = child(parent, Arc::new(kept), &node.span, Include::Static);
        let mut list = |name: &str| self.items(section(name), &context, level, placed);
        Ok(Block {
            tasks: list("block")?.into(),
            rescue: list("rescue")?.into(),
            always: list("always")?.into(),
        })
    }

    fn task(
        &self,
        node: &Node,
        map: &Arc<Mapping>,
        parent: &Arc<Context>,
        level: Level,
    ) -> Result<Task, Diagnostic> {
        let mut kept = Mapping::new();
        let mut actions: Vec<(&str, &Entry)> = Vec::new();
        let mut repeat: Option<Loop> = None;
        for (name, entry) in map.iter() {
            if let Some(keyword) = keyword::find(name, level) {
                keyword.check(entry)?;
                kept.insert(name.clone(), entry.clone());
            } else if let Some(lookup) = name.strip_prefix("with_") {
                if !self.vocabulary.lookups().contains(&lookup) {
                    return Err(keyword::unknown(name, &entry.key, level)
                        .hint(format!("there is no lookup `{lookup}`"))
                        .nearest(lookup, self.vocabulary.lookups()));
                }
                repeat = Some(new_loop(Some(lookup), entry, repeat.as_ref())?);
            } else {
                actions.push((name, entry));
            }
        }
        if let Some(entry) = kept.shift_remove("loop") {
            repeat = Some(new_loop(None, &entry, repeat.as_ref())?);
        }
        let span = node.span.clone();
        let given = match (old_style(&mut kept)?, actions.as_slice()) {
            (None, [(name, entry)]) => Given {
                name: (*name).to_owned(),
                span: entry.key.clone(),
                arguments: entry.value.clone(),
            },
            (Some(given), []) => given,
            (Some(given), [(second, entry), ..]) => {
                return Err(self.two_actions(&given.name, second, entry, level));
            }
            (None, [(first, _), (second, entry), ..]) => {
                return Err(self.two_actions(first, second, entry, level));
            }
            (None, []) => return Err(no_action(&span, map)),
        };
        let short = short_name(&given.name).to_owned();
        let known = self.vocabulary.modules().contains(&short.as_str());
        let own = if is_template(&short) || self.vocabulary.is_action(&short) {
            None
        } else {
            self.own_module(&given, known, parent, level)?
        };
        let arguments = self.arguments(&short, given.arguments, kept.shift_remove("args"))?;
        let what = kind_of(&short, &arguments)?;
        if matches!(what, What::IncludeTasks | What::IncludeRole) {
            keyword::check_include(&kept, &short)?;
        }
        refuse_misplaced(&what, &short, &given.span, parent, level)?;
        let kept = self.with_settled_tags(kept, parent)?;
        let task = Task {
            what,
            action: given.name,
            action_span: given.span,
            arguments,
            repeat,
            own,
            context: child(parent, Arc::new(kept), &span, Include::Static),
            implicit: false,
        };
        if matches!(task.what, What::IncludeRole) {
            role_name(&task)?;
        }
        Ok(task)
    }

    /// The arguments as one map: from a text, from a map, and from `args`.
    fn arguments(&self, module: &str, given: Node, args: Option<Entry>) -> Result<Node, Diagnostic> {
        let given = match given.as_str() {
            Some(_) => arguments::parse(&given, module),
            None if given.is_null() => Node::new(crate::yaml::Kind::Map(Arc::default()), &given.span),
            None if given.as_map().is_some() => given,
            None => {
                return Err(Diagnostic::error(format!(
                    "unexpected parameter type in action: the arguments of `{module}` are a map or a text, not {}",
                    given.described()
                ))
                .at(&given.span));
            }
        };
        let mut map = given.as_map().map(|map| map.as_ref().clone()).unwrap_or_default();
        if let Some(entry) = args.filter(|entry| !entry.value.is_null()) {
            match entry.value.as_map() {
                Some(extra) => {
                    for (name, value) in extra.iter() {
                        map.entry(name.clone()).or_insert_with(|| value.clone());
                    }
                }
                // `args: "{{ map }}"` is known only when the task runs.
                None if entry.value.as_str().is_some_and(is_template) => {
                    map.insert(arguments::VARIABLE.to_owned(), entry);
                    return Ok(Node::new(crate::yaml::Kind::Map(Arc::new(map)), &given.span));
                }
                None => {
                    return Err(
                        Diagnostic::error("The value of the task `args` keyword is invalid.")
                            .at(&entry.value.span)
                            .hint("a map, or a template that gives one, is required"),
                    );
                }
            }
        }
        let reserved = map.iter().find(|(name, _)| name.starts_with("_ansible_"));
        if let Some((name, entry)) = reserved {
            return Err(Diagnostic::error(format!(
                "Invalid parameter specified beginning with keyword '_ansible_' for action '{module}': '{name}'. \
                 The prefix '_ansible_' is reserved for internal use only."
            ))
            .at(&entry.key));
        }
        self.vocabulary.check_include(module, &map)?;
        Ok(Node::new(crate::yaml::Kind::Map(Arc::new(map)), &given.span))
    }

    /// The user's own module of that name, which goes before one of this program (`known`). One in Python fails only when it is run.
    fn own_module(
        &self,
        given: &Given,
        known: bool,
        context: &Context,
        level: Level,
    ) -> Result<Option<PathBuf>, Diagnostic> {
        match self.find_foreign(&given.name, context) {
            Some(Foreign::Own(file)) => Ok(Some(file)),
            _ if known => Ok(None),
            None => Err(self.unknown_module(&given.name, &given.span, level)),
            Some(Foreign::Python(file)) => {
                self.warn([Diagnostic::warning(format!(
                    "the module '{}' is written in Python and cannot be run: a task that runs it fails",
                    given.name
                ))
                .at(&given.span)
                .hint(format!("it is {}", shown(&file)))]);
                Ok(None)
            }
        }
    }

    /// Keywords with the templates in `tags` evaluated: what is selected is known before there are hosts.
    pub(super) fn with_settled_tags(
        &self,
        mut map: Mapping,
        context: &Context,
    ) -> Result<Mapping, Diagnostic> {
        if let Some(entry) = map.get_mut("tags").filter(|entry| entry.value.is_dynamic()) {
            let own = entry.value.span.clone();
            let value = self.vocabulary.value(&entry.value, context)?;
            entry.value = Node::literal(&value, &own);
        }
        Ok(map)
    }

    fn unknown_module(&self, name: &str, span: &Span, level: Level) -> Diagnostic {
        if short_name(name) == "include" {
            return Diagnostic::error(
                "The 'ansible.builtin.include' action plugin has been removed. \
                 Use include_tasks or import_tasks instead.",
            )
            .at(span);
        }
        let modules = self.vocabulary.modules();
        let error = Diagnostic::error(format!(
            "couldn't resolve module/action '{name}'. \
             This often indicates a misspelling, missing collection, or incorrect module path."
        ))
        .at(span);
        let short = name.rsplit('.').next().unwrap_or(name);
        let keywords: Vec<&str> = keyword::names(level).chain(modules).collect();
        match crate::diagnostic::nearest(short, keywords) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("docs/modules.md lists the modules that there are"),
        }
    }

    fn two_actions(&self, first: &str, second: &str, entry: &Entry, level: Level) -> Diagnostic {
        let modules = self.vocabulary.modules();
        let known = |name: &str| modules.contains(&short_name(name));
        let error =
            Diagnostic::error(format!("conflicting action statements: {first}, {second}")).at(&entry.key);
        if known(first) && known(second) {
            return error.hint("a task runs one module; start another task with `- `");
        }
        let unknown = if known(first) { second } else { first };
        let belongs = keyword::elsewhere(unknown);
        if belongs.is_empty() {
            error
                .hint(format!("`{unknown}` is neither a module nor a keyword of a task"))
                .nearest(unknown, keyword::names(level))
        } else {
            error.hint(format!("`{unknown}` belongs to {}", belongs.join(", ")))
        }
    }

    /// `import_tasks`: the file's tasks take the place of the import, with all that it says.
    fn import_tasks(
        &self,
        task: &Task,
        level: Level,
        items: &mut Vec<Item>,
        placed: &mut Placed,
    ) -> Result<(), Diagnostic> {
        refuse_loop(task, "include_tasks")?;
        let (name, span) = self.file_name(task)?;
        let path = self.find_tasks(&name, &task.context, &span)?;
        refuse_circle(task, &path, &span)?;
        let context = file_context(&task.context, &path, Include::Static);
        let root = self
            .file(&path, Some(&span))
            .map_err(|error| error.via("imported here", &span))?;
        items.extend(self.items(&root, &context, level, placed)?);
        Ok(())
    }

    /// The file that an import or include names.
    fn file_name(&self, task: &Task) -> Result<(String, Span), Diagnostic> {
        let node = file_argument(task)?;
        Ok((self.vocabulary.evaluate(node, &task.context)?, node.span.clone()))
    }

    /// Where a file of tasks is: beside the file that names it, then in the role, then beside the playbook.
    pub fn find_tasks(&self, name: &str, context: &Context, span: &Span) -> Result<PathBuf, Diagnostic> {
        let candidates = task_candidates(name, context);
        candidates
            .iter()
            .find(|path| path.is_file())
            .cloned()
            .ok_or_else(|| not_found("file of tasks", name, &candidates, span))
    }

    /// The items of a file that is included while a play runs; `context` is the include's, with the variables
    /// of its loop.
    pub fn include_tasks(
        &self,
        task: &Task,
        context: &Arc<Context>,
        path: &Path,
        level: Level,
        placed: &mut Placed,
    ) -> Result<Vec<Item>, Diagnostic> {
        let context = file_context(context, path, Include::Dynamic);
        let root = self
            .file(path, Some(&task.action_span))
            .map_err(|error| error.via("included here", &task.action_span))?;
        self.items(&root, &with_apply(&context, task), level, placed)
    }
}

/// Which file of tasks an import or include means.
pub fn file_argument(task: &Task) -> Result<&Node, Diagnostic> {
    let given = [arguments::RAW, "file"]
        .iter()
        .find_map(|name| task.arguments.get(name));
    given.filter(|node| !node.is_null()).ok_or_else(|| {
        Diagnostic::error(format!("No file specified for {}", task.action)).at(&task.action_span)
    })
}

/// `apply:` of an include: keywords for everything in it.
pub(super) fn with_apply(context: &Arc<Context>, task: &Task) -> Arc<Context> {
    match task.arguments.get("apply").and_then(Node::as_map) {
        Some(map) => child(context, Arc::clone(map), &task.action_span, Include::Static),
        None => Arc::clone(context),
    }
}

/// The error for a file that is imported while it is being imported.
fn refuse_circle(task: &Task, path: &Path, span: &Span) -> Result<(), Diagnostic> {
    let file = shown(path);
    let imports: Vec<&Span> = task
        .context
        .chain()
        .map(|context| &context.attributes.span)
        .collect();
    if !imports.iter().any(|place| place.source().name() == file) {
        return Ok(());
    }
    let mut error = Diagnostic::error(format!("{file} imports itself"))
        .at(span)
        .hint("an `include_tasks` with a `when` can repeat a file until something is done");
    for place in imports.into_iter().skip(1) {
        error = error.via("imported here", place);
        if place.source().name() == file {
            break;
        }
    }
    Err(error)
}

fn task_candidates(name: &str, context: &Context) -> Vec<PathBuf> {
    let path = Path::new(name);
    if path.is_absolute() {
        return vec![path.to_path_buf()];
    }
    let mut candidates: Vec<PathBuf> = Vec::new();
    let mut push = |path: PathBuf| {
        if !candidates.contains(&path) {
            candidates.push(path);
        }
    };
    for folder in context.chain().filter_map(|context| context.folder.as_ref()) {
        push(folder.join(path));
    }
    if let Some(role) = context.role() {
        push(role.role.path.join("tasks").join(path));
    }
    candidates
}

/// A context inside `parent`.
pub(super) fn child(parent: &Arc<Context>, map: Arc<Mapping>, span: &Span, include: Include) -> Arc<Context> {
    Arc::new(Context {
        attributes: Attributes {
            map,
            span: span.clone(),
        },
        parent: Some(Arc::clone(parent)),
        include,
        role: None,
        folder: None,
        variables: Vec::new(),
    })
}

/// The context of what a file holds: that of the import or include, with the file's folder.
pub(super) fn file_context(parent: &Arc<Context>, path: &Path, include: Include) -> Arc<Context> {
    let keep = |name: &str| include == Include::Static || matches!(name, "vars");
    Arc::new(Context {
        attributes: Attributes {
            map: Arc::new(
                parent
                    .attributes
                    .map
                    .iter()
                    .filter(|(name, _)| keep(name) && !matches!(name.as_str(), "name" | "register"))
                    .map(|(name, entry)| (name.clone(), entry.clone()))
                    .collect(),
            ),
            span: parent.attributes.span.clone(),
        },
        parent: parent.parent.clone(),
        include,
        role: None,
        folder: path.parent().map(Path::to_path_buf),
        variables: Vec::new(),
    })
}

fn new_loop(lookup: Option<&str>, entry: &Entry, earlier: Option<&Loop>) -> Result<Loop, Diagnostic> {
    if let Some(earlier) = earlier {
        let name = lookup.or(earlier.lookup.as_deref()).unwrap_or("loop");
        return Err(Diagnostic::error(format!("duplicate loop in task: {name}"))
            .at(&entry.key)
            .via("the other one is here", &earlier.span));
    }
    if entry.value.is_null()
        && let Some(lookup) = lookup
    {
        return Err(
            Diagnostic::error(format!("you must specify a value when using with_{lookup}")).at(&entry.key),
        );
    }
    Ok(Loop {
        lookup: lookup.map(str::to_owned),
        items: entry.value.clone(),
        span: entry.key.clone(),
    })
}

/// What may not stand where it stands.
fn refuse_misplaced(
    what: &What,
    action: &str,
    span: &Span,
    parent: &Context,
    level: Level,
) -> Result<(), Diagnostic> {
    let message = match (what, level) {
        (What::Meta(Meta::EndRole), Level::Handler) => "Cannot execute 'end_role' from a handler".to_owned(),
        (What::Meta(Meta::EndRole), _) if parent.role().is_none() => {
            "Cannot execute 'end_role' from outside of a role".to_owned()
        }
        (What::IncludeRole, Level::Handler) => format!("Using '{action}' as a handler is not supported."),
        (What::Run(name), Level::Handler) if name == "import_role" => {
            format!("Using '{action}' as a handler is not supported.")
        }
        _ => return Ok(()),
    };
    Err(Diagnostic::error(message).at(span))
}

/// Whether a text is evaluated when the play runs.
fn is_template(text: &str) -> bool {
    text.contains("{{")
}

fn is_empty(node: &Node) -> bool {
    node.is_null() || node.as_list().is_some_and(<[Node]>::is_empty)
}

fn kind_of(short: &str, arguments: &Node) -> Result<What, Diagnostic> {
    Ok(match short {
        "include_tasks" => What::IncludeTasks,
        "include_role" => What::IncludeRole,
        "meta" => {
            let word = arguments
                .get(arguments::RAW)
                .and_then(Node::as_str)
                .unwrap_or_default();
            let meta = Meta::TABLE.iter().find(|(name, _)| *name == word);
            let (_, meta) = meta.ok_or_else(|| {
                Diagnostic::error(format!("invalid meta action requested: {word}"))
                    .at(&arguments.span)
                    .nearest(word, Meta::TABLE.iter().map(|(name, _)| *name))
            })?;
            What::Meta(*meta)
        }
        other => What::Run(other.to_owned()),
    })
}

pub(super) fn refuse_loop(task: &Task, instead: &str) -> Result<(), Diagnostic> {
    match &task.repeat {
        Some(repeat) => Err(Diagnostic::error(format!(
            "You cannot use loops on '{}' statements. You should use '{instead}' instead.",
            task.action
        ))
        .at(&repeat.span)),
        None => Ok(()),
    }
}

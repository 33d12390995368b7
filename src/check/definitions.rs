//! Every name that anything could define: the inventory, extra variables, plays, roles, blocks and tasks, what is
//! set, registered and included, loops and prompts.
//!
//! Names are taken together over all plays: variables of a host outlive a play, and to miss a mistake is better
//! than to see one where there is none.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::Surroundings;
use super::walk::{Seen, Walk};
use crate::diagnostic::Diagnostic;
use crate::playbook::arguments::{RAW, VARIABLE};
use crate::playbook::names::is_reserved;
use crate::playbook::{Context, Task, What};
use crate::template::SearchPath;
use crate::yaml::{Mapping, Node};

/// Functions and constants of templates.
const LANGUAGE: &[&str] = &[
    "cycler",
    "dict",
    "environment",
    "false",
    "hostvars",
    "joiner",
    "lipsum",
    "lookup",
    "namespace",
    "none",
    "now",
    "omit",
    "q",
    "query",
    "range",
    "true",
    "undef",
    "vars",
    "False",
    "None",
    "True",
];

/// What modules and gathering may define: all facts of the engine, and those of the modules that report others.
const FACTS: &[&str] = &[
    "ansible_",
    "facter_",
    "getent_",
    "ohai_",
    "packages",
    "services",
    "discovered_",
];

pub(super) struct Definitions<'a> {
    names: HashSet<String>,
    /// Something defines names that only a run knows.
    open: bool,
    handlers: Vec<Option<HashSet<String>>>,
    /// Variables whose names are taken.
    pub reserved: Vec<Diagnostic>,
    around: &'a Surroundings<'a>,
}

impl<'a> Definitions<'a> {
    pub fn of(walk: &Walk, around: &'a Surroundings<'a>) -> Self {
        let mut definitions = Self {
            names: around.names.clone(),
            open: walk.open,
            handlers: Vec::new(),
            reserved: Vec::new(),
            around,
        };
        definitions
            .names
            .extend(LANGUAGE.iter().map(|name| (*name).to_owned()));
        for play in &walk.plays {
            definitions.play(play);
        }
        for used in &walk.roles {
            for map in [&used.role.defaults, &used.role.vars, &used.params] {
                definitions.keys(map);
            }
        }
        for seen in &walk.tasks {
            definitions.task(seen);
        }
        for handlers in &walk.handlers {
            let known = (!walk.open).then(|| handler_names(handlers)).flatten();
            definitions.handlers.push(known);
        }
        definitions
    }

    /// Whether some way could define it.
    pub fn may_define(&self, name: &str) -> bool {
        self.open || self.names.contains(name) || FACTS.iter().any(|prefix| name.starts_with(prefix))
    }

    /// For the nearest name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// All that `notify` may name in a play; none where that is not known.
    pub fn handlers(&self, play: usize) -> Option<&HashSet<String>> {
        self.handlers.get(play)?.as_ref()
    }

    fn keys(&mut self, map: &Mapping) {
        for (name, entry) in map.iter().filter(|(name, _)| is_reserved(name)) {
            let message = format!("Found variable using reserved name '{name}'.");
            self.reserved.push(Diagnostic::warning(message).at(&entry.key));
        }
        self.names.extend(map.keys().cloned());
        self.open |= map.keys().any(|key| key.contains("{{"));
    }

    fn play(&mut self, play: &Context) {
        self.surroundings(play);
        for file in &play.variables {
            self.keys(file);
        }
        let files = play.attributes.get("vars_files");
        self.open |= files.is_some_and(Node::is_dynamic);
        let prompts = play.attributes.get("vars_prompt").and_then(Node::as_list);
        for prompt in prompts.unwrap_or_default() {
            self.names
                .extend(prompt.get("name").map(|node| node.to_value().to_string()));
        }
    }

    /// `vars` of this and of all that surrounds it.
    fn surroundings(&mut self, context: &Context) {
        for context in context.chain() {
            if let Some(vars) = context.attributes.get("vars").and_then(Node::as_map) {
                self.keys(vars);
            }
        }
    }

    fn task(&mut self, seen: &Seen) {
        let task = &seen.task;
        self.surroundings(&task.context);
        self.names
            .extend(task.own("register").map(|node| node.to_value().to_string()));
        if task.repeat.is_some() {
            let control = task.own("loop_control");
            let given = |key: &str| Some(control?.get(key)?.to_value().to_string());
            self.names
                .insert(given("loop_var").unwrap_or_else(|| "item".to_owned()));
            self.names.extend(given("index_var"));
        }
        let arguments = task.arguments.as_map().map(Arc::as_ref);
        self.open |= arguments.is_some_and(|map| map.contains_key(VARIABLE));
        match (&task.what, arguments) {
            (What::Run(module), Some(arguments)) => match module.as_str() {
                "set_fact" => self.keys(arguments),
                "add_host" => self.names.extend(arguments.keys().cloned()),
                "include_vars" => self.included(task, arguments),
                // What a module of unknown name reports is not known.
                name if task.own.is_some() || (self.around.spec)(name).is_none() => self.open = true,
                _ => {}
            },
            (What::IncludeTasks | What::IncludeRole, Some(arguments)) => {
                if let Some(vars) = arguments.get("apply").and_then(|entry| entry.value.get("vars")) {
                    vars.as_map().into_iter().for_each(|vars| self.keys(vars));
                }
            }
            _ => {}
        }
    }

    /// `include_vars`: the file's names, where its own name is known and it is there.
    fn included(&mut self, task: &Task, arguments: &Mapping) {
        if let Some(entry) = arguments.get("name") {
            self.names.insert(entry.value.to_value().to_string());
        }
        let file = [RAW, "file"].iter().find_map(|key| arguments.get(*key));
        let name = file.map(|entry| &entry.value).filter(|node| !node.is_dynamic());
        let found = name.and_then(|name| find(task, "vars", &name.to_value().to_string()));
        let read = found.and_then(|path| self.around.loader.file(Path::new(&path), None).ok());
        match read.as_ref().and_then(Node::as_map) {
            Some(map) => self.keys(map),
            None => self.open = true,
        }
    }
}

/// A file of the controller, as an action of the task would find it.
pub(super) fn find(task: &Task, kind: &str, name: &str) -> Option<std::path::PathBuf> {
    search(task).find(kind, name)
}

/// Where the files of a task are looked up: its roles, the folders of the files around it, the playbook's.
pub(super) fn search(task: &Task) -> SearchPath {
    let mut folders = Vec::new();
    for context in task.context.chain() {
        folders.extend(context.role.as_ref().map(|used| used.role.path.clone()));
        folders.extend(context.folder.clone());
    }
    SearchPath { folders }
}

/// The names and topics of handlers; none where one of them is a template.
fn handler_names(handlers: &[Arc<Task>]) -> Option<HashSet<String>> {
    let mut names = HashSet::new();
    for handler in handlers {
        // What it includes may have handlers of its own.
        if !matches!(handler.what, What::Run(_) | What::Meta(_)) {
            return None;
        }
        let mut known = Vec::new();
        if let Some(node) = handler.name() {
            if node.is_dynamic() {
                return None;
            }
            known.push(node.to_value().to_string());
        }
        if let Some(node) = handler.own("listen") {
            if node.is_dynamic() {
                return None;
            }
            known.extend(crate::playbook::tags_of(node));
        }
        if let Some(used) = handler.context.role() {
            let role = [used.role.name.clone(), used.role.full_name()];
            let with_role = |name: &String| role.clone().map(|role| format!("{role} : {name}"));
            names.extend(known.iter().flat_map(with_role));
        }
        names.extend(known);
    }
    Some(names)
}

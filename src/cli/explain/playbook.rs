//! The places in a play that set a variable. What is included while the play runs is not followed.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::site::{Rank, Reach, Site};
use crate::playbook::{Context, Include, Item, Loader, Play, Role, Task, What};
use crate::source::Span;
use crate::template::Variable;
use crate::yaml::{Mapping, Node};

/// What a play says of a variable.
#[derive(Default)]
pub struct Found {
    pub sites: Vec<Site>,
    /// Includes whose contents are only known when the play runs.
    pub includes: Vec<Span>,
}

struct Search<'a> {
    name: &'a str,
    loader: &'a Loader,
    found: Found,
    /// Contexts that many tasks share, by their address.
    seen: HashSet<usize>,
}

/// Looks through a whole play.
pub fn search(name: &str, play: &Play, loader: &Loader) -> Found {
    let mut search = Search {
        name,
        loader,
        found: Found::default(),
        seen: HashSet::new(),
    };
    search.play(play);
    search.found
}

impl Search<'_> {
    fn play(&mut self, play: &Play) {
        for context in play.context.chain() {
            self.map(Rank::PlayVars, "", vars(context), &Reach::Everywhere);
            for file in &context.variables {
                self.map(Rank::VarsFiles, "", Some(file), &Reach::Everywhere);
            }
        }
        let prompts = play.get("vars_prompt").and_then(Node::as_list);
        for prompt in prompts.unwrap_or_default() {
            if prompt.get("name").and_then(Node::as_str) == Some(self.name) {
                let site = Site::new(Rank::VarsPrompt, "", &prompt.clone().into());
                self.found.sites.push(Site {
                    value: "what is answered".to_owned(),
                    ..site
                });
            }
        }
        for used in &play.roles {
            for dependency in used.dependencies() {
                self.role(&dependency.role, &dependency.params, &Reach::Everywhere);
            }
            self.role(&used.role, &used.params, &Reach::Everywhere);
        }
        let lists = [&play.pre_tasks, &play.role_tasks, &play.tasks, &play.post_tasks];
        for items in lists {
            self.items(items);
        }
        for handler in &play.handlers {
            self.task(handler);
        }
    }

    fn role(&mut self, role: &Role, params: &Arc<Mapping>, reach: &Reach) {
        let name = role.full_name();
        self.map(Rank::RoleDefaults, &name, Some(&role.defaults), reach);
        self.map(Rank::RoleVars, &name, Some(&role.vars), reach);
        let inside = Reach::Inside(format!("the role `{name}`"));
        self.map(Rank::RoleParameters, &name, Some(params), &inside);
    }

    fn map(&mut self, rank: Rank, holder: &str, map: Option<&Arc<Mapping>>, reach: &Reach) {
        let Some(entry) = map.and_then(|map| map.get(self.name)) else {
            return;
        };
        let site = Site::new(rank, holder, &entry.value.clone().into());
        let known = |other: &Site| (other.rank, &other.span) == (site.rank, &site.span);
        if !self.found.sites.iter().any(known) {
            self.found.sites.push(site.reaching(reach.clone()));
        }
    }

    fn items(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Task(task) => self.task(task),
                Item::Block(block) => {
                    for list in [&block.tasks, &block.rescue, &block.always] {
                        self.items(list);
                    }
                }
            }
        }
    }

    fn task(&mut self, task: &Task) {
        if task.implicit {
            return;
        }
        let title = title(task);
        let dynamic = matches!(task.what, What::IncludeTasks | What::IncludeRole);
        for (depth, context) in task.context.chain().enumerate() {
            // The play itself has been looked at.
            if context.parent.is_none() || !self.seen.insert(std::ptr::from_ref(context).addr()) {
                break;
            }
            if let Some(used) = &context.role {
                let inside = Reach::Inside(format!("the role `{}`", used.role.full_name()));
                self.role(&used.role, &used.params, &inside);
            }
            let (rank, reach) = match (depth, dynamic, context.include) {
                (0, true, _) => (Rank::IncludeParameters, format!("what {title} includes")),
                (_, _, Include::Dynamic) => (Rank::IncludeParameters, "an include".to_owned()),
                (0, ..) => (Rank::TaskVars, title.clone()),
                _ => (Rank::BlockVars, "a block".to_owned()),
            };
            self.map(rank, "", vars(context), &Reach::Inside(reach));
        }
        let after = Reach::After(title);
        if let Some(node) = task
            .own("register")
            .filter(|node| node.as_str() == Some(self.name))
        {
            let site = Site::new(Rank::SetFact, "register", &node.clone().into());
            self.found.sites.push(
                Site {
                    value: "the task's result".to_owned(),
                    ..site
                }
                .reaching(after.clone()),
            );
        }
        match &task.what {
            What::Run(module) if module == "set_fact" => {
                if let Some(node) = task.arguments.get(self.name) {
                    let site = Site::new(Rank::SetFact, "set_fact", &node.clone().into());
                    self.found.sites.push(site.reaching(after));
                }
            }
            What::Run(module) if module == "include_vars" => self.include_vars(task, after),
            What::IncludeTasks | What::IncludeRole => self.found.includes.push(task.span().clone()),
            _ => {}
        }
    }

    /// A file whose name is written out; a folder or a template is only known when the play runs.
    fn include_vars(&mut self, task: &Task, after: Reach) {
        let named = ["file", "_raw_params"]
            .iter()
            .find_map(|key| task.arguments.get(key));
        let named = named.unwrap_or(&task.arguments);
        let Some(file) = named.as_str().filter(|_| !named.is_dynamic()) else {
            self.found.includes.push(task.span().clone());
            return;
        };
        let read = folders(&task.context)
            .into_iter()
            .flat_map(|folder| [folder.join("vars").join(file), folder.join(file)])
            .find(|path| path.is_file())
            .and_then(|path| self.loader.file(&path, None).ok());
        let Some(root) = read else {
            return;
        };
        let value = match task.arguments.get("name").and_then(Node::as_str) {
            Some(name) if name == self.name => Some(&root),
            Some(_) => None,
            None => root.get(self.name),
        };
        if let Some(value) = value {
            let site = Site::new(Rank::IncludeVars, "", &Variable::Node(value.clone()));
            self.found.sites.push(site.reaching(after));
        }
    }
}

/// Where files that a task names are looked for: roles, files, the play.
fn folders(context: &Context) -> Vec<PathBuf> {
    let of = |context: &Context| {
        let role = context.role.as_ref().map(|used| used.role.path.clone());
        [role, context.folder.clone()]
    };
    let found: Vec<PathBuf> = context.chain().flat_map(of).flatten().collect();
    match found.is_empty() {
        true => vec![Path::new("").to_owned()],
        false => found,
    }
}

fn vars(context: &Context) -> Option<&Arc<Mapping>> {
    context.attributes.get("vars")?.as_map()
}

/// A task as one speaks of it.
fn title(task: &Task) -> String {
    match task.name().and_then(Node::as_str) {
        Some(name) => format!("the task `{name}`"),
        None => format!("the task at {}", task.span()),
    }
}

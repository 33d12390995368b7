//! Every task that may run: those of plays and roles, and of inclusions whose names are known.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::Surroundings;
use crate::diagnostic::Diagnostic;
use crate::playbook::keyword::Level;
use crate::playbook::{
    Context, Include, Item, Meta, Placed, Play, RoleUse, Task, What, file_argument, role_name,
};
use crate::yaml::Node;

/// Inclusions within inclusions are followed this far.
const MAX_DEPTH: usize = 16;

/// A task, and what is known of whether it runs.
pub(super) struct Seen {
    pub task: Arc<Task>,
    /// It runs if nothing fails before it, and its failure ends the play.
    pub certain: bool,
    /// The play that it is in.
    pub play: usize,
    /// The inclusions that lead to it.
    pub inclusions: Vec<Arc<Task>>,
}

pub(super) struct Walk<'a> {
    around: &'a Surroundings<'a>,
    pub tasks: Vec<Seen>,
    pub plays: Vec<Arc<Context>>,
    pub roles: Vec<Arc<RoleUse>>,
    /// The handlers of each play.
    pub handlers: Vec<Vec<Arc<Task>>>,
    /// There is more, and what it is depends on the run.
    pub open: bool,
    pub findings: Vec<Diagnostic>,
    /// Files that were followed from here, each with the include that did.
    followed: HashSet<(PathBuf, String)>,
    inclusions: Vec<Arc<Task>>,
    /// A task ends the run for certain: nothing that follows is certain to run.
    ended: bool,
}

impl<'a> Walk<'a> {
    pub fn new(around: &'a Surroundings<'a>) -> Self {
        Self {
            around,
            tasks: Vec::new(),
            plays: Vec::new(),
            roles: Vec::new(),
            handlers: Vec::new(),
            open: false,
            findings: Vec::new(),
            followed: HashSet::new(),
            inclusions: Vec::new(),
            ended: false,
        }
    }

    pub fn play(&mut self, play: &Play) {
        self.plays.push(Arc::clone(&play.context));
        self.handlers.push(Vec::new());
        self.uses(&play.roles);
        for list in [&play.pre_tasks, &play.role_tasks, &play.tasks, &play.post_tasks] {
            self.items(list, true);
        }
        self.take_handlers(&play.handlers);
    }

    fn uses(&mut self, uses: &[Arc<RoleUse>]) {
        for used in uses {
            self.roles.extend(used.dependencies().iter().cloned());
            self.roles.push(Arc::clone(used));
        }
    }

    fn take_handlers(&mut self, handlers: &[Arc<Task>]) {
        for handler in handlers {
            if let Some(all) = self.handlers.last_mut() {
                all.push(Arc::clone(handler));
            }
            self.task(handler, false, Level::Handler);
        }
    }

    fn items(&mut self, items: &[Item], certain: bool) {
        for item in items {
            match item {
                Item::Task(task) => self.task(task, certain, Level::Task),
                Item::Block(block) => {
                    self.items(&block.tasks, certain && block.rescue.is_empty());
                    self.items(&block.rescue, false);
                    self.items(&block.always, certain);
                }
            }
        }
    }

    fn task(&mut self, task: &Arc<Task>, certain: bool, level: Level) {
        // A role's own uses are those of the context, where it was included.
        if let Some(used) = task.context.role()
            && !self.roles.iter().any(|known| Arc::ptr_eq(known, used))
        {
            self.uses(&[Arc::clone(used)]);
        }
        let certain = certain && !self.ended && is_certain(task) && self.is_selected(task);
        self.ended |= certain && ends(task);
        self.tasks.push(Seen {
            task: Arc::clone(task),
            certain,
            play: self.plays.len() - 1,
            inclusions: self.inclusions.clone(),
        });
        let placed = match task.what {
            What::IncludeTasks => self.included_tasks(task, certain, level),
            What::IncludeRole => self.included_role(task, certain),
            _ => return,
        };
        if let Some(placed) = placed {
            self.inclusions.push(Arc::clone(task));
            self.uses(&placed.uses);
            self.items(&placed.items, certain);
            self.take_handlers(&placed.handlers);
            self.inclusions.pop();
        }
    }

    fn is_selected(&self, task: &Task) -> bool {
        self.around.selection.selects(&task.context.tags())
    }

    fn included_tasks(&mut self, task: &Arc<Task>, certain: bool, level: Level) -> Option<Placed> {
        let loader = self.around.loader;
        let node = file_argument(task).ok()?;
        if node.is_dynamic() {
            self.open = true;
            return None;
        }
        let name = node.to_value().to_string();
        let Ok(path) = loader.find_tasks(&name, &task.context, &node.span) else {
            return self.not_there();
        };
        if !self.goes_on(&path, task) {
            return None;
        }
        let mut placed = Placed::default();
        let items = loader.include_tasks(task, &task.context, &path, level, &mut placed);
        placed.items = self.understood(items, certain)?;
        Some(placed)
    }

    fn included_role(&mut self, task: &Arc<Task>, certain: bool) -> Option<Placed> {
        let name = role_name(task).ok()?;
        let arguments = task.arguments.as_map().into_iter().flat_map(|map| map.values());
        let known = arguments.filter(|entry| entry.value.as_map().is_none());
        if known.into_iter().any(|entry| entry.value.is_dynamic()) {
            self.open = true;
            return None;
        }
        if !self.around.loader.has_role(name, &task.context) {
            return self.not_there();
        }
        let text = |node: &Node| Ok(node.to_value().to_string());
        let key = PathBuf::from(task.arguments.to_value().to_string());
        if !self.goes_on(&key, task) {
            return None;
        }
        let placed = self
            .around
            .loader
            .role_task(task, &task.context, Include::Dynamic, &text)
            .map_err(|error| match error.span {
                Some(_) => error,
                None => error.at(&name.span),
            });
        self.understood(placed, certain)
    }

    /// What is not there yet may be made by a task before: if it comes to it the run says so, as that task's result.
    fn not_there(&mut self) -> Option<Placed> {
        self.open = true;
        None
    }

    /// Whether this is not what was followed already, or goes in a circle.
    fn goes_on(&mut self, path: &std::path::Path, task: &Task) -> bool {
        let place = format!("{} {}", task.span(), self.plays.len());
        self.inclusions.len() < MAX_DEPTH && self.followed.insert((path.to_path_buf(), place))
    }

    /// What is included under a condition may be meant for other systems, with modules that only those have: of
    /// that the run speaks if it comes to it.
    fn understood<T>(&mut self, result: Result<T, Diagnostic>, certain: bool) -> Option<T> {
        result
            .map_err(|error| {
                self.open = true;
                if certain {
                    self.findings.push(error);
                }
            })
            .ok()
    }
}

/// Whether nothing follows once this has run.
fn ends(task: &Task) -> bool {
    match &task.what {
        What::Run(module) => module == "fail",
        What::Meta(meta) => matches!(meta, Meta::EndPlay | Meta::EndBatch | Meta::EndHost),
        What::IncludeTasks | What::IncludeRole => false,
    }
}

/// Whether nothing that is written about the task keeps it from running, or its failure from being one.
fn is_certain(task: &Task) -> bool {
    let keeps = ["ignore_errors", "ignore_unreachable"];
    task.context.conditions().is_empty()
        && task.repeat.is_none()
        && task.own("failed_when").is_none()
        && keeps
            .iter()
            .all(|keyword| task.context.nearest(keyword).is_none())
}

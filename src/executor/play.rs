//! A play while it runs.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use super::roles::RoleProgress;
use super::run::Run;
use super::scope;
use crate::diagnostic::Diagnostic;
use crate::output::Event;
use crate::playbook::{Attributes, Context, Include, Item, Meta, Play, RoleUse, Task, What, short_name};
use crate::template::{self, Scope};
use crate::value::Value;
use crate::yaml::{Entry, Kind, Mapping, Node};

/// What the tasks of a play share.
pub struct ActivePlay {
    pub play: Arc<Play>,
    pub name: String,
    /// All hosts that the play matched, those that failed since included.
    pub all_hosts: Vec<String>,
    /// The hosts of the current batch.
    pub batch: Vec<String>,
    /// `vars_files` of each host, later files first.
    pub files: HashMap<String, Vec<Arc<Mapping>>>,
    /// Grows as roles with handlers are included.
    pub handlers: Mutex<Vec<Arc<Task>>>,
    /// Roles that were included.
    pub exposed: Mutex<Vec<Arc<RoleUse>>>,
    pub progress: RoleProgress,
    /// Hosts that have failed or become unreachable.
    pub lost: Mutex<Vec<String>>,
}

impl ActivePlay {
    /// Hosts of the play that are still worked on.
    pub fn active_hosts(&self) -> Vec<String> {
        let lost = self.lost.lock().map(|lost| lost.clone()).unwrap_or_default();
        self.all_hosts
            .iter()
            .filter(|host| !lost.contains(host))
            .cloned()
            .collect()
    }

    pub fn lose(&self, host: &str) {
        if let Ok(mut lost) = self.lost.lock()
            && !lost.iter().any(|name| name == host)
        {
            lost.push(host.to_owned());
        }
    }

    pub fn regain(&self, host: &str) {
        if let Ok(mut lost) = self.lost.lock() {
            lost.retain(|name| name != host);
        }
    }

    /// What an inclusion brings for the tasks that follow.
    pub fn take_in(&self, uses: Vec<Arc<RoleUse>>, handlers: Vec<Arc<Task>>) {
        if let Ok(mut exposed) = self.exposed.lock() {
            exposed.extend(uses);
        }
        if let Ok(mut all) = self.handlers.lock() {
            for handler in handlers {
                // A role that is included again brings the same handlers.
                if !all.iter().any(|known| known.span() == handler.span()) {
                    all.push(handler);
                }
            }
        }
    }

    /// All roles of the play, those that were included at the end.
    pub fn roles(&self) -> Vec<Arc<RoleUse>> {
        let mut roles = self.play.roles.clone();
        roles.extend(
            self.exposed
                .lock()
                .map(|exposed| exposed.clone())
                .unwrap_or_default(),
        );
        roles
    }

    /// Whose variables are seen by every task: the play's roles, each after those that it depends on.
    pub fn visible_roles(&self) -> Vec<Arc<RoleUse>> {
        self.roles()
            .iter()
            .filter(|used| used.public)
            .flat_map(|used| used.dependencies().iter().chain([used]).cloned())
            .collect()
    }
}

impl Run {
    /// Runs a play. False if no further play is to run.
    pub(super) async fn play(self: &Arc<Self>, play: Arc<Play>) -> Result<bool, Diagnostic> {
        let bare = scope::bare(&self.settings.extra_vars, &play.context);
        let text = |node: &Node| -> Result<String, Diagnostic> {
            let value = template::evaluate(node, &bare).map_err(|error| error.diagnostic)?;
            Ok(match value {
                Value::List(items) => items
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(","),
                other => other.to_string(),
            })
        };
        let pattern = text(&play.hosts)?;
        let name = play
            .get("name")
            .map(&text)
            .transpose()?
            .unwrap_or_else(|| pattern.clone());
        self.show(&Event::Play { name: &name });
        let selection = self.select(&pattern, &play.hosts.span)?;
        for term in &selection.unmatched {
            self.show(&Event::Warning(&format!(
                "Could not match supplied host pattern, ignoring: {term}"
            )));
        }
        if selection.hosts.is_empty() {
            self.show(&Event::NoHostsMatched);
            return Ok(true);
        }
        let hosts: Vec<String> = selection
            .hosts
            .into_iter()
            .filter(|host| !self.is_lost(host))
            .collect();
        if hosts.is_empty() {
            return Ok(false);
        }
        self.check_variables(&hosts, &play.folder)?;
        self.warn_all();
        let number = |keyword: &str| play.get(keyword).map(&text).transpose();
        let limit = number("max_fail_percentage")?.and_then(|text| text.trim_end_matches('%').parse().ok());
        refuse_strategy(&play, &text)?;
        for (number, batch) in batches(&hosts, &serial(&play, &bare)?).into_iter().enumerate() {
            let batch: Vec<String> = batch.into_iter().filter(|host| !self.is_lost(host)).collect();
            if batch.is_empty() {
                continue;
            }
            if number > 0 {
                self.show(&Event::Play { name: &name });
            }
            let mut active = ActivePlay {
                handlers: Mutex::new(play.handlers.clone()),
                play: Arc::clone(&play),
                name: name.clone(),
                all_hosts: hosts.clone(),
                files: HashMap::new(),
                exposed: Mutex::default(),
                progress: RoleProgress::default(),
                lost: Mutex::default(),
                batch,
            };
            self.read_variable_files(&mut active)?;
            let active = Arc::new(active);
            let items = items_of(&play);
            let selected = self.selection(&items);
            let (go_on, end_play) = self.batch(active, items, selected, limit).await?;
            if end_play {
                return Ok(true);
            }
            if !go_on {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `vars_files` of each host: names may depend on its variables, a list is a choice.
    fn read_variable_files(self: &Arc<Self>, active: &mut ActivePlay) -> Result<(), Diagnostic> {
        let Some(node) = active.play.get("vars_files").cloned() else {
            return Ok(());
        };
        for host in active.batch.clone() {
            let reading = Arc::new(ActivePlay {
                play: Arc::clone(&active.play),
                name: active.name.clone(),
                all_hosts: active.all_hosts.clone(),
                batch: active.batch.clone(),
                files: HashMap::new(),
                handlers: Mutex::default(),
                exposed: Mutex::default(),
                progress: RoleProgress::default(),
                lost: Mutex::default(),
            });
            let scope = self.scope(&host, Some(&reading), None, Vec::new());
            let mut files = Vec::new();
            for entry in node.as_list().unwrap_or(std::slice::from_ref(&node)) {
                let choices = entry.as_list().unwrap_or(std::slice::from_ref(entry));
                files.push(self.variable_file(choices, entry, &active.play, &scope)?);
            }
            files.reverse();
            active.files.insert(host, files);
        }
        Ok(())
    }

    fn variable_file(
        &self,
        choices: &[Node],
        entry: &Node,
        play: &Play,
        scope: &Arc<Scope>,
    ) -> Result<Arc<Mapping>, Diagnostic> {
        let mut looked_for = Vec::new();
        for choice in choices {
            let name = match template::evaluate(choice, scope) {
                Ok(name) => name.to_string(),
                // One of several may depend on what is not known.
                Err(error) if error.undefined && choices.len() > 1 => continue,
                Err(error) => return Err(error.diagnostic),
            };
            let candidates = [play.folder.join(&name), play.folder.join("vars").join(&name)];
            if let Some(path) = candidates.iter().find(|path| path.is_file()) {
                let root = self.loader.file(path, Some(&choice.span))?;
                return match root.as_map() {
                    Some(map) => Ok(Arc::clone(map)),
                    None if root.is_null() => Ok(Arc::default()),
                    None => Err(Diagnostic::error(format!(
                        "a file of variables holds a map, not {}",
                        root.described()
                    ))
                    .at(&root.span)),
                };
            }
            looked_for.push(name);
        }
        Err(Diagnostic::error(format!("vars file {} was not found", looked_for.join(", "))).at(&entry.span))
    }

    /// Which of the play's tasks run: tags, and `--start-at-task`.
    pub(super) fn selection(&self, items: &[Item]) -> Box<dyn Fn(&Task) -> bool + Send + Sync> {
        let selection = self.settings.selection.clone();
        let before = self.before_start(items);
        Box::new(move |task: &Task| {
            let flush = task.implicit && matches!(task.what, What::Meta(_));
            let early = before.contains(&std::ptr::from_ref(task).addr());
            flush || (!early && selection.selects(&task.context.tags()))
        })
    }

    /// The tasks in front of the one to start at.
    fn before_start(&self, items: &[Item]) -> HashSet<usize> {
        let Some(wanted) = &self.settings.start_at_task else {
            return HashSet::new();
        };
        if self.has_started() {
            return HashSet::new();
        }
        let mut before = HashSet::new();
        for task in flattened(items) {
            if task.implicit {
                continue;
            }
            if start_names(task).iter().any(|name| names_task(wanted, name)) {
                self.start();
                return before;
            }
            before.insert(std::ptr::from_ref(task.as_ref()).addr());
        }
        before
    }
}

/// What a task may be called with `--start-at-task`: its name, and that with its role's in front.
pub fn start_names(task: &Task) -> Vec<String> {
    let name = task
        .name()
        .map_or_else(|| task.action.clone(), |node| node.to_value().to_string());
    let role = task.context.role();
    let full = role.map(|role| format!("{} : {name}", role.role.full_name()));
    std::iter::once(name).chain(full).collect()
}

/// Whether what `--start-at-task` was given names this task: a name or a pattern of it.
pub fn names_task(wanted: &str, name: &str) -> bool {
    let glob = globset::Glob::new(wanted).map(|glob| glob.compile_matcher());
    name == wanted || glob.is_ok_and(|glob| glob.is_match(name))
}

/// All that the play runs, in order, handlers flushed in between.
fn items_of(play: &Play) -> Arc<[Item]> {
    let flush = || {
        Item::Task(Arc::new(implicit(
            play,
            "meta",
            What::Meta(Meta::FlushHandlers),
            Arc::default(),
        )))
    };
    let mut items = Vec::new();
    let gathers = play
        .get("gather_facts")
        .and_then(|node| node.to_value().truth())
        .unwrap_or(true);
    if gathers {
        let mut map = Mapping::new();
        // Facts are wanted whatever the tags, unless the play has tags of its own.
        if play.context.tags().is_empty() {
            let span = &play.context.attributes.span;
            let value = Node::text("always", span);
            map.insert(
                "tags".to_owned(),
                Entry {
                    key: span.clone(),
                    value,
                },
            );
        }
        items.push(Item::Task(Arc::new(implicit(
            play,
            "setup",
            What::Run("setup".to_owned()),
            Arc::new(map),
        ))));
    }
    items.extend(play.pre_tasks.iter().cloned());
    items.push(flush());
    items.extend(play.role_tasks.iter().chain(&play.tasks).cloned());
    items.push(flush());
    items.extend(play.post_tasks.iter().cloned());
    items.push(flush());
    items.into()
}

/// Every task of a list, blocks opened.
pub fn flattened(items: &[Item]) -> Vec<&Arc<Task>> {
    items
        .iter()
        .flat_map(|item| match item {
            Item::Task(task) => vec![task],
            Item::Block(block) => [&block.tasks, &block.rescue, &block.always]
                .into_iter()
                .flat_map(|list| flattened(list))
                .collect(),
        })
        .collect()
}

fn implicit(play: &Play, action: &str, what: What, map: Arc<Mapping>) -> Task {
    let span = &play.context.attributes.span;
    let arguments = match (&what, play.get("gather_subset")) {
        (What::Run(_), Some(subset)) => Mapping::from_iter([(
            "gather_subset".to_owned(),
            Entry {
                key: subset.span.clone(),
                value: subset.clone(),
            },
        )]),
        _ => Mapping::new(),
    };
    Task {
        what,
        action: action.to_owned(),
        action_span: span.clone(),
        arguments: Node::new(Kind::Map(Arc::new(arguments)), span),
        repeat: None,
        context: Arc::new(Context {
            attributes: Attributes {
                map,
                span: span.clone(),
            },
            parent: Some(Arc::clone(&play.context)),
            include: Include::Static,
            role: None,
            folder: None,
            variables: Vec::new(),
        }),
        implicit: true,
    }
}

fn refuse_strategy(
    play: &Play,
    text: &dyn Fn(&Node) -> Result<String, Diagnostic>,
) -> Result<(), Diagnostic> {
    let Some(node) = play.get("strategy") else {
        return Ok(());
    };
    match short_name(&text(node)?) {
        "linear" => Ok(()),
        other => Err(
            Diagnostic::error(format!("the strategy `{other}` is not supported"))
                .at(&node.span)
                .hint("leave it out: hosts then run task by task, as with `linear`"),
        ),
    }
}

/// One entry of `serial`.
enum Size {
    Hosts(usize),
    Percent(f64),
}

fn serial(play: &Play, scope: &Arc<Scope>) -> Result<Vec<Size>, Diagnostic> {
    let Some(node) = play.get("serial") else {
        return Ok(Vec::new());
    };
    let value = template::evaluate(node, scope).map_err(|error| error.diagnostic)?;
    let entries = match &value {
        Value::List(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    entries
        .iter()
        .map(|entry| {
            let text = entry.to_string();
            let size = match text.strip_suffix('%') {
                Some(percent) => percent.trim().parse().ok().map(Size::Percent),
                None => text.trim().parse().ok().map(Size::Hosts),
            };
            size.ok_or_else(|| {
                Diagnostic::error(format!("`serial` takes numbers and percentages, not `{text}`"))
                    .at(&node.span)
            })
        })
        .collect()
}

/// Hosts in batches; the last size repeats.
fn batches(hosts: &[String], sizes: &[Size]) -> Vec<Vec<String>> {
    let mut batches = Vec::new();
    let mut rest = hosts;
    let mut sizes = sizes.iter().peekable();
    while !rest.is_empty() {
        let size = match sizes.peek() {
            None | Some(Size::Hosts(0)) => rest.len(),
            Some(Size::Hosts(count)) => *count,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a share of a small number"
            )]
            Some(Size::Percent(percent)) => ((hosts.len() as f64 * percent / 100.0) as usize).max(1),
        };
        if sizes.len() > 1 {
            sizes.next();
        }
        let (batch, others) = rest.split_at(size.min(rest.len()));
        batches.push(batch.to_vec());
        rest = others;
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_size_repeats() {
        let hosts: Vec<String> = (0..7).map(|number| number.to_string()).collect();
        let sizes = |sizes: &[Size]| batches(&hosts, sizes).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(&[]), [7]);
        assert_eq!(sizes(&[Size::Hosts(3)]), [3, 3, 1]);
        assert_eq!(sizes(&[Size::Hosts(1), Size::Percent(30.0)]), [1, 2, 2, 2]);
    }
}

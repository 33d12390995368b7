//! A play while it runs.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock};

use super::batches;
use super::prompts;
use super::roles::RoleProgress;
use super::run::Run;
use super::scope;
use super::strategy::{After, Selected, Strategy};
use super::vars_files::VariableFiles;
use crate::configuration::{Setting, table};
use crate::diagnostic::Diagnostic;
use crate::output::Event;
use crate::playbook::{Attributes, Block, Context, Include, Item, Meta, Play, RoleUse, Task, What};
use crate::template::{self, Names, Scope};
use crate::value::Value;
use crate::yaml::{Entry, Kind, Mapping, Node};

/// The keywords that are arguments of the gathering of facts, and what they are where no play says so.
static GATHERING: [(&str, &Setting); 3] = [
    ("gather_subset", &table::DEFAULT_GATHER_SUBSET),
    ("gather_timeout", &table::DEFAULT_GATHER_TIMEOUT),
    ("fact_path", &table::DEFAULT_FACT_PATH),
];

/// What the tasks of a play share.
pub struct ActivePlay {
    pub play: Arc<Play>,
    pub name: String,
    pub strategy: Strategy,
    /// All hosts that the play matched, those that failed since included.
    pub all_hosts: Vec<String>,
    /// The hosts of the current batch, those aside that had failed before.
    pub batch: Vec<String>,
    /// How many hosts the batch has, those that had failed before included.
    pub batch_size: usize,
    /// The answers to `vars_prompt`.
    pub prompted: Arc<Names>,
    /// `vars_files`.
    pub files: OnceLock<VariableFiles>,
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

    /// The hosts of the batch that can be reached.
    pub fn reachable_batch(&self, run: &Run) -> Vec<String> {
        let reachable = self.batch.iter().filter(|host| !run.is_unreachable(host));
        reachable.cloned().collect()
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
    /// Runs a play.
    pub(super) async fn play(self: &Arc<Self>, play: Arc<Play>) -> Result<After, Diagnostic> {
        let bare = scope::bare(&self.settings.extra_vars, &play.context);
        let text = |node: &Node| -> Result<String, Diagnostic> {
            let value = template::evaluate(node, &bare).map_err(|error| error.diagnostic.malformed())?;
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
        let check = play.get("check_mode").and_then(|node| node.to_value().truth());
        let announced = |tasks: usize| Event::Play {
            name: &name,
            check: check.unwrap_or(self.settings.check),
            tasks,
        };
        let prompted = Arc::new(prompts::ask(self, &play, &bare)?);
        let mut selection = self.select(&pattern, &play.hosts.span)?;
        if selection.hosts.is_empty() {
            self.show(&announced(0));
        }
        for term in &selection.unmatched {
            self.show(&Event::Warning(&format!(
                "Could not match supplied host pattern, ignoring: {term}"
            )));
        }
        if selection.hosts.is_empty() {
            self.show(&Event::NoHostsMatched);
            return Ok(After::Next);
        }
        batches::sort(&mut selection.hosts, &play, &bare)?;
        let hosts = selection.hosts;
        self.check_variables(&hosts, &play.folder)?;
        let keyword = |keyword: &str| play.get(keyword).map(&text).transpose();
        let limit = keyword("max_fail_percentage")?.and_then(|text| text.trim_end_matches('%').parse().ok());
        let strategy = match play.get("strategy") {
            Some(node) => Strategy::parse(&text(node)?, node)?,
            None => match self.settings.configuration.text(&table::DEFAULT_STRATEGY) {
                Some(word) => Strategy::parse(word, &play.hosts)?,
                None => Strategy::default(),
            },
        };
        let items = self.items_of(&play, &bare)?;
        for batch in batches::batches(&hosts, &batches::serial(&play, &bare)?) {
            self.show(&announced(flattened(&items).len()));
            self.warn_all();
            let active = Arc::new(ActivePlay {
                handlers: Mutex::new(play.handlers.clone()),
                play: Arc::clone(&play),
                name: name.clone(),
                strategy,
                all_hosts: hosts.clone(),
                files: OnceLock::new(),
                exposed: Mutex::default(),
                progress: RoleProgress::default(),
                lost: Mutex::new(hosts.iter().filter(|host| self.is_lost(host)).cloned().collect()),
                batch_size: batch.len(),
                batch: batch.into_iter().filter(|host| !self.is_lost(host)).collect(),
                prompted: Arc::clone(&prompted),
            });
            let files = self.read_variable_files(&active)?;
            active.files.get_or_init(|| files);
            let selected = self.selection(&items);
            match self.batch(active, &items, selected, limit).await? {
                After::Next => {}
                After::EndPlay => break,
                After::Stop => return Ok(After::Stop),
            }
        }
        Ok(After::Next)
    }

    /// Which of the play's tasks run: tags, and `--start-at-task`.
    pub(super) fn selection(&self, items: &[Item]) -> Selected {
        let selection = self.settings.selection.clone();
        let before = self.before_start(items);
        Box::new(move |task: &Task| {
            let flush = task.implicit && matches!(task.what, What::Meta(_));
            let early = before.contains(&std::ptr::from_ref(task).addr());
            flush || (!early && selection.selects(&task.context.tags()))
        })
    }

    /// All that the play runs, in order, handlers flushed in between: after a failure too, where that is wanted.
    fn items_of(&self, play: &Play, scope: &Arc<Scope>) -> Result<Arc<[Item]>, Diagnostic> {
        let truth = |keyword: &str| -> Result<Option<bool>, Diagnostic> {
            let value = play
                .get(keyword)
                .map(|node| template::evaluate(node, scope))
                .transpose();
            Ok(value
                .map_err(|error| error.diagnostic.malformed())?
                .and_then(|value| value.truth()))
        };
        let flush = || {
            let what = What::Meta(Meta::FlushHandlers);
            Item::Task(Arc::new(implicit(play, "meta", what, Arc::default())))
        };
        let force = truth("force_handlers")?.unwrap_or(self.settings.force_handlers);
        let mut items = Vec::new();
        let usual = self.settings.configuration.text(&table::DEFAULT_GATHERING) != Some("explicit");
        if truth("gather_facts")?.unwrap_or(usual) {
            items.push(Item::Task(Arc::new(self.gathering(play))));
        }
        let tasks = play.role_tasks.iter().chain(&play.tasks).cloned().collect();
        for section in [play.pre_tasks.clone(), tasks, play.post_tasks.clone()] {
            if force {
                items.push(Item::Block(Arc::new(Block {
                    tasks: section.into(),
                    rescue: Arc::default(),
                    always: Arc::new([flush()]),
                })));
            } else {
                items.extend(section);
                items.push(flush());
            }
        }
        Ok(items.into())
    }

    /// The task that gathers facts before all others.
    fn gathering(&self, play: &Play) -> Task {
        let span = &play.context.attributes.span;
        let mut map = Mapping::new();
        let entry = |value: Node| Entry {
            key: value.span.clone(),
            value,
        };
        // Facts are wanted whatever the tags, unless the play has tags of its own.
        if play.context.tags().is_empty() {
            map.insert("tags".to_owned(), entry(Node::text("always", span)));
        }
        // Each host has facts of its own.
        map.insert(
            "run_once".to_owned(),
            entry(Node::literal(&Value::Bool(false), span)),
        );
        let configured = |setting| {
            let value = self.settings.configuration.value(setting);
            (!matches!(value, Value::Null)).then(|| Node::literal(value, span))
        };
        let arguments: Mapping = GATHERING
            .iter()
            .filter_map(|(name, setting)| {
                let value = play.get(name).cloned().or_else(|| configured(setting))?;
                Some(((*name).to_owned(), entry(value)))
            })
            .collect();
        Task {
            arguments: Node::new(Kind::Map(Arc::new(arguments)), span),
            ..implicit(
                play,
                "gather_facts",
                What::Run("gather_facts".to_owned()),
                Arc::new(map),
            )
        }
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
    Task {
        what,
        action: action.to_owned(),
        action_span: span.clone(),
        arguments: Node::new(Kind::Map(Arc::default()), span),
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
        own: None,
        implicit: true,
    }
}

//! A run: what all plays share.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use super::custom_stats;
use super::fact_cache::FactCache;
use super::host::{GATHERED, Memory};
use super::links::Links;
use super::settings::Settings;
use super::strategy::After;
use crate::actions::Effect;
use crate::configuration::table;
use crate::diagnostic::{Cause, Diagnostic};
use crate::inventory::{Inventory, Pattern, Selection};
use crate::output::{Event, Output, State, Stats, Summary, absolute};
use crate::playbook::{Loader, Playbook};
use crate::source::Span;
use crate::template::{Names, Variable};
use crate::value::{Map, Value};

/// Everything that outlives a play.
pub struct Run {
    pub settings: Settings,
    pub loader: Loader,
    pub(super) links: Links,
    fact_cache: FactCache,
    inventory: RwLock<Inventory>,
    memories: Mutex<HashMap<String, Memory>>,
    layers: Mutex<HashMap<String, Vec<Arc<Names>>>>,
    output: Mutex<Output>,
    summary: Mutex<Summary>,
    /// Hosts that later plays leave out.
    lost: Mutex<HashMap<String, Lost>>,
    /// Hosts and groups that plays have made: they outlive a refreshed inventory.
    made: Mutex<Vec<Made>>,
    limit: Option<Pattern>,
    /// The task to start at has been found.
    started: AtomicBool,
}

/// Why a host is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    Failed,
    Unreachable,
}

/// What a play adds to the inventory.
#[derive(Debug, Clone)]
enum Made {
    Host {
        name: String,
        groups: Vec<String>,
        variables: Names,
    },
    Member {
        host: String,
        group: String,
        parents: Vec<String>,
    },
}

impl Made {
    fn put_into(self, inventory: &mut Inventory) {
        match self {
            Self::Host {
                name,
                groups,
                variables,
            } => inventory.add_host(&name, &groups, variables),
            Self::Member { host, group, parents } => inventory.add_to_group(&host, &group, &parents),
        }
    }
}

/// How a run ended, as an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    Well,
    /// Something concerned no host: an unknown handler.
    Error,
    Failed,
    /// A play, or what it reads, that could not be understood.
    Malformed,
    Unreachable,
}

impl Ended {
    pub fn code(self) -> u8 {
        match self {
            Self::Well => 0,
            Self::Error => 1,
            Self::Failed => 2,
            Self::Malformed | Self::Unreachable => 4,
        }
    }
}

/// A lock that a panicking thread left behind still guards whole data: every section under these locks is
/// a plain assignment.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run {
    pub fn new(
        settings: Settings,
        inventory: Inventory,
        loader: Loader,
        output: Output,
    ) -> Result<Arc<Self>, Diagnostic> {
        let limit = settings
            .limit
            .as_deref()
            .map(|text| Pattern::parse_limit(text, |path| std::fs::read_to_string(path)))
            .transpose()?;
        Ok(Arc::new(Self {
            links: Links::new(),
            fact_cache: FactCache::new(&settings.configuration)?,
            settings,
            loader,
            inventory: RwLock::new(inventory),
            memories: Mutex::default(),
            layers: Mutex::default(),
            output: Mutex::new(output),
            summary: Mutex::default(),
            lost: Mutex::default(),
            made: Mutex::default(),
            limit,
            started: AtomicBool::new(false),
        }))
    }

    /// Forgets the facts that earlier runs have kept of the hosts of the inventory.
    pub fn flush_facts(&self) {
        for host in self.host_names() {
            self.clear_facts(&host);
        }
    }

    /// Runs playbooks, one after the other, and shows a recap after each.
    pub async fn playbooks(self: &Arc<Self>, playbooks: Vec<Playbook>) -> Ended {
        let mut ended = Ended::Well;
        for playbook in playbooks {
            ended = self.playbook(playbook).await;
            if ended != Ended::Well {
                break;
            }
        }
        for (host, traffic) in self.links.close().await {
            self.show(&Event::Traffic {
                host: &host,
                exchanges: traffic.exchanges(),
                sent: traffic.sent(),
                received: traffic.received(),
            });
        }
        ended
    }

    async fn playbook(self: &Arc<Self>, playbook: Playbook) -> Ended {
        let file = PathBuf::from(absolute(&playbook.name));
        self.show(&Event::Playbook {
            file: &file,
            check: self.settings.check,
            plays: playbook.plays.len(),
        });
        let mut error = None;
        for play in playbook.plays {
            match self.play(Arc::new(play)).await {
                Ok(After::Next | After::EndPlay) => {}
                Ok(After::Stop) => break,
                Err(diagnostic) => {
                    self.show(&Event::Diagnostic(&diagnostic));
                    error = Some(diagnostic.cause);
                    break;
                }
            }
        }
        self.write_retry_file(&file);
        let summary = held(&self.summary).clone();
        if error.is_none() || !summary.hosts.is_empty() {
            self.show(&Event::Recap(&summary));
        }
        let lost = held(&self.lost);
        if lost.values().any(|lost| *lost == Lost::Unreachable) {
            Ended::Unreachable
        } else if !lost.is_empty() {
            Ended::Failed
        } else {
            match error {
                None => Ended::Well,
                Some(Cause::Malformed) => Ended::Malformed,
                Some(_) => Ended::Error,
            }
        }
    }

    /// Writes the hosts that have failed to a file, if that is wanted, for a run that is limited to them.
    fn write_retry_file(&self, playbook: &Path) {
        let configuration = &self.settings.configuration;
        let mut hosts: Vec<String> = held(&self.lost).keys().cloned().collect();
        if hosts.is_empty() || !configuration.truth(&table::RETRY_FILES_ENABLED) {
            return;
        }
        hosts.sort();
        let beside = || playbook.parent().map(Path::to_owned).unwrap_or_default();
        let folder = configuration
            .path(&table::RETRY_FILES_SAVE_PATH)
            .unwrap_or_else(beside);
        let name = playbook.with_extension("retry");
        let file = folder.join(name.file_name().unwrap_or_default());
        let text = hosts.join("\n") + "\n";
        match std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, text)) {
            Ok(()) => self.show(&Event::Retry { file: &file }),
            Err(error) => self.show(&Event::Warning(&format!(
                "Could not create retry file '{}'. {error}",
                file.display()
            ))),
        }
    }

    pub(super) fn has_started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }

    pub(super) fn start(&self) {
        self.started.store(true, Ordering::Relaxed);
    }

    pub fn show(&self, event: &Event<'_>) {
        held(&self.output).show(event);
    }

    pub(super) fn warn_all(&self) {
        let inventory = self.inventory().take_warnings();
        for warning in self.loader.take_warnings().into_iter().chain(inventory) {
            self.show(&Event::Diagnostic(&warning));
        }
    }

    /// Counts a task's end on a host.
    pub(super) fn count(&self, host: &str, state: State, ignored: bool) {
        self.count_with(host, |stats| match state {
            State::Ok => stats.ok += 1,
            State::Changed => {
                stats.ok += 1;
                stats.changed += 1;
            }
            State::Skipped => stats.skipped += 1,
            State::Failed | State::Unreachable if ignored => {
                stats.ok += 1;
                stats.ignored += 1;
            }
            State::Failed => stats.failed += 1,
            State::Unreachable => stats.unreachable += 1,
        });
    }

    pub(super) fn count_with(&self, host: &str, change: impl FnOnce(&mut Stats)) {
        change(held(&self.summary).hosts.entry(host.to_owned()).or_default());
    }

    pub(super) fn lose(&self, host: &str, lost: Lost) {
        held(&self.lost).insert(host.to_owned(), lost);
    }

    pub(super) fn regain(&self, host: &str) {
        held(&self.lost).remove(host);
    }

    pub(super) fn is_lost(&self, host: &str) -> bool {
        held(&self.lost).contains_key(host)
    }

    pub(super) fn is_unreachable(&self, host: &str) -> bool {
        held(&self.lost).get(host) == Some(&Lost::Unreachable)
    }

    /// How many hosts have failed for good so far, those that cannot be reached aside.
    pub(super) fn failed_hosts(&self) -> usize {
        let lost = held(&self.lost);
        lost.values().filter(|lost| **lost == Lost::Failed).count()
    }

    pub(super) fn memory(&self, host: &str) -> Memory {
        held(&self.memories)
            .entry(host.to_owned())
            .or_insert_with(|| self.recalled(host))
            .clone()
    }

    pub(super) fn remember(&self, host: &str, change: impl FnOnce(&mut Memory)) {
        let mut memories = held(&self.memories);
        change(
            memories
                .entry(host.to_owned())
                .or_insert_with(|| self.recalled(host)),
        );
    }

    /// What an earlier run has left of a host.
    fn recalled(&self, host: &str) -> Memory {
        Memory::with_facts(self.fact_cache.load(host).unwrap_or_default(), self.injects())
    }

    /// Whether facts are variables of their own, too.
    fn injects(&self) -> bool {
        self.settings.configuration.truth(&table::INJECT_FACTS_AS_VARS)
    }

    /// Adds to the facts of a host.
    pub(super) fn gather(&self, host: &str, facts: &Map) {
        let inject = self.injects();
        self.remember(host, |memory| memory.gather(facts, inject));
        if let Some(message) = self.fact_cache.store(host, self.memory(host).gathered()) {
            self.show(&Event::Warning(&message));
        }
    }

    /// Whether a host's facts were gathered, in this run or an earlier one.
    pub(super) fn knows_facts(&self, host: &str) -> bool {
        self.memory(host).gathered().contains_key(GATHERED)
    }

    pub(super) fn clear_facts(&self, host: &str) {
        self.remember(host, Memory::clear_facts);
        self.fact_cache.forget(host);
    }

    /// What a task's result means for the variables of `hosts`.
    pub(super) fn apply(&self, hosts: &[String], effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Assign { names, cacheable } => {
                    for host in hosts {
                        if cacheable {
                            self.gather(host, &names);
                        }
                        self.remember(host, |memory| {
                            for (name, value) in &names {
                                memory.assign(name, value.clone());
                            }
                        });
                    }
                }
                Effect::Gather(facts) => hosts.iter().for_each(|host| self.gather(host, &facts)),
                Effect::Include(variables) => {
                    for host in hosts {
                        self.remember(host, |memory| memory.include(variables.clone()));
                    }
                }
                Effect::Stats {
                    data,
                    per_host,
                    aggregate,
                } => {
                    let mut summary = held(&self.summary);
                    let owners = hosts.iter().map(|host| Some(host.as_str()));
                    let owners: Vec<_> = if per_host { owners.collect() } else { vec![None] };
                    for host in owners {
                        custom_stats::set(&mut summary, host, &data, aggregate);
                    }
                }
                Effect::AddHost {
                    name,
                    groups,
                    variables,
                } => {
                    let variables = variables
                        .into_iter()
                        .map(|(name, value)| (name, Variable::Value(value)))
                        .collect();
                    self.make(Made::Host {
                        name,
                        groups,
                        variables,
                    });
                }
                Effect::GroupBy { group, parents } => {
                    for host in hosts {
                        self.make(Made::Member {
                            host: host.clone(),
                            group: group.clone(),
                            parents: parents.clone(),
                        });
                    }
                }
            }
        }
    }

    fn make(&self, made: Made) {
        held(&self.made).push(made.clone());
        self.change_inventory(|inventory| made.put_into(inventory));
    }

    fn change_inventory(&self, change: impl FnOnce(&mut Inventory)) {
        change(&mut self.inventory.write().unwrap_or_else(PoisonError::into_inner));
        held(&self.layers).clear();
    }

    /// The hosts that a pattern names and the run's limit leaves.
    pub fn selected(&self, pattern: &Pattern) -> Selection {
        self.inventory().select_limited(pattern, self.limit.as_ref())
    }

    /// Whether there is none but the implicit localhost.
    pub fn has_no_hosts(&self) -> bool {
        self.inventory().hosts().next().is_none()
    }

    /// The source that named a host first, as an absolute path where it is one.
    pub(super) fn inventory_source(&self, host: &str) -> Option<String> {
        let inventory = self.inventory();
        let source = inventory.source(host)?;
        let path = std::path::absolute(source).ok().filter(|path| path.exists());
        Some(path.map_or_else(|| source.to_owned(), |path| path.display().to_string()))
    }

    /// Reads the inventory's sources anew; what plays have made stays.
    pub(super) fn refresh_inventory(&self) -> Result<(), Diagnostic> {
        let (mut fresh, warnings) = Inventory::load(
            &self.settings.inventories,
            &self.settings.configuration,
            &self.settings.extra_vars,
        )?;
        for made in held(&self.made).iter() {
            made.clone().put_into(&mut fresh);
        }
        self.change_inventory(|inventory| *inventory = fresh);
        for warning in &warnings {
            self.show(&Event::Diagnostic(warning));
        }
        Ok(())
    }

    pub(super) fn inventory(&self) -> RwLockReadGuard<'_, Inventory> {
        self.inventory.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hosts that a play's pattern names, less what `--limit` leaves out.
    pub(super) fn select(&self, pattern: &str, span: &Span) -> Result<Selection, Diagnostic> {
        Ok(self
            .inventory()
            .select_limited(&Pattern::parse(pattern, span)?, self.limit.as_ref()))
    }

    /// The limit's own selection, to tell a limit that matches nothing from a play that does.
    pub fn limited(&self) -> Option<Selection> {
        self.limit.as_ref().map(|limit| self.inventory().select(limit))
    }

    /// The inventory's variables of a host, weakest first; none where its files cannot be read, which
    /// [`Self::check_variables`] has said before the play.
    pub(super) fn inventory_layers(&self, host: &str, folder: Option<&Path>) -> Vec<Arc<Names>> {
        let key = format!(
            "{host}\0{}",
            folder
                .map(|folder| folder.display().to_string())
                .unwrap_or_default()
        );
        if let Some(layers) = held(&self.layers).get(&key) {
            return layers.clone();
        }
        let layers: Vec<Arc<Names>> = self
            .inventory()
            .variables(host, folder)
            .map(|layers| layers.weakest_first().cloned().collect())
            .unwrap_or_default();
        held(&self.layers).insert(key, layers.clone());
        layers
    }

    /// Every name that the inventory or the command line gives to any host.
    pub fn defined_names(&self, playbooks: &[Playbook]) -> HashSet<String> {
        let mut names: HashSet<String> = self.settings.extra_vars.keys().cloned().collect();
        let mut folders: Vec<&Path> = Vec::new();
        for play in playbooks.iter().flat_map(|playbook| &playbook.plays) {
            if !folders.contains(&play.folder.as_path()) {
                folders.push(&play.folder);
            }
        }
        for host in self.host_names().iter().map(String::as_str).chain(["localhost"]) {
            for folder in &folders {
                for layer in self.inventory_layers(host, Some(folder)) {
                    names.extend(layer.keys().cloned());
                }
            }
        }
        names
    }

    /// Reads the variables of these hosts, so that what is wrong in their files is said before anything runs.
    pub(super) fn check_variables(&self, hosts: &[String], folder: &Path) -> Result<(), Diagnostic> {
        let inventory = self.inventory();
        hosts
            .iter()
            .try_for_each(|host| inventory.variables(host, Some(folder)).map(|_| ()))
    }

    pub(super) fn knows_host(&self, host: &str) -> bool {
        self.inventory().contains(host) || held(&self.memories).contains_key(host)
    }

    pub(super) fn host_names(&self) -> Vec<String> {
        self.inventory().hosts().map(str::to_owned).collect()
    }

    pub(super) fn group_names(&self, host: &str) -> Vec<String> {
        self.inventory().group_names(host)
    }

    /// The variable `groups`.
    pub(super) fn groups(&self) -> Value {
        let inventory = self.inventory();
        let groups: Map = inventory
            .groups()
            .map(|group| (group.to_owned(), Value::from(inventory.group_hosts(group))))
            .collect();
        Value::Map(groups)
    }
}

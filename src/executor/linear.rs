//! Plays: all hosts of a batch go through the tasks in step.
//!
//! Each host has a lane with its cursor. The earliest position that any lane has reached is run next, on all
//! lanes that are there; so a host in a `rescue` or an inclusion is waited for, and overtaken by none.

use std::sync::Arc;
use std::sync::PoisonError;

use tokio::task::JoinSet;

use super::attempt::{End, Site, task_name};
use super::handlers::Notified;
use super::host::Memory;
use super::include::{Included, Inclusion, Inclusions};
use super::iterator::{Cursor, Failure, Moved};
use super::play::ActivePlay;
use super::run::Run;
use super::scope::layer;
use crate::diagnostic::Diagnostic;
use crate::output::{Event, Label, Report, State};
use crate::playbook::keyword::Level;
use crate::playbook::{Item, Meta, Task, What};
use crate::template::Layer;
use crate::value::{Map, Value};
use crate::yaml::Node;

/// A host's way through a list of tasks.
struct Lane {
    host: String,
    cursor: Cursor,
    /// What a rescue may know of the failure.
    local: Vec<Arc<dyn Layer>>,
}

/// What is driven: a batch's tasks, or a handler.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tasks,
    Handler,
}

/// How driving ended.
#[derive(Debug, Default)]
struct Driven {
    /// Hosts that have failed here.
    failed: Vec<String>,
    /// No further batch and no further play: too many have failed.
    stop: bool,
    /// `meta: end_play`.
    end_play: bool,
}

/// A batch while it runs.
struct Batch {
    run: Arc<Run>,
    active: Arc<ActivePlay>,
    notified: Notified,
    selected: Box<dyn Fn(&Task) -> bool + Send + Sync>,
    max_fail_percentage: Option<f64>,
}

impl Run {
    /// Runs the hosts of one batch. False if nothing further is to run.
    pub(super) async fn batch(
        self: &Arc<Self>,
        active: Arc<ActivePlay>,
        items: Arc<[Item]>,
        selected: Box<dyn Fn(&Task) -> bool + Send + Sync>,
        max_fail_percentage: Option<f64>,
    ) -> Result<(bool, bool), Diagnostic> {
        let batch = Batch {
            run: Arc::clone(self),
            active,
            notified: Notified::default(),
            selected,
            max_fail_percentage,
        };
        let hosts = batch.active.batch.clone();
        let mut lanes: Vec<Lane> = hosts
            .iter()
            .map(|host| Lane {
                host: host.clone(),
                cursor: Cursor::new(Arc::clone(&items), &*batch.selected),
                local: Vec::new(),
            })
            .collect();
        let driven = batch.drive(&mut lanes, Kind::Tasks).await?;
        if batch.forces_handlers() {
            batch.flush(&driven.failed).await?;
        }
        let left = hosts.iter().any(|host| !self.is_lost(host));
        Ok((left && !driven.stop, driven.end_play))
    }
}

impl Batch {
    fn forces_handlers(&self) -> bool {
        let keyword = self.active.play.get("force_handlers");
        let asked = keyword.and_then(|node| node.to_value().truth());
        asked.unwrap_or(self.run.settings.force_handlers)
    }

    fn site(&self, lane: &Lane, task: &Arc<Task>) -> Site {
        Site {
            run: Arc::clone(&self.run),
            play: Arc::clone(&self.active),
            host: lane.host.clone(),
            task: Arc::clone(task),
            local: lane.local.clone(),
        }
    }

    /// Runs all lanes to their ends.
    async fn drive(&self, lanes: &mut Vec<Lane>, kind: Kind) -> Result<Driven, Diagnostic> {
        let mut driven = Driven::default();
        loop {
            self.pass_over_roles(lanes, &mut driven);
            let Some((task, at)) = next(lanes) else {
                break;
            };
            match &task.what {
                What::Meta(meta) => self.meta(*meta, &task, lanes, &at, &mut driven).await?,
                What::IncludeTasks | What::IncludeRole => {
                    self.include(&task, lanes, &at, kind, &mut driven)?;
                }
                What::Run(_) => self.step(&task, lanes, &at, kind, &mut driven).await?,
            }
            lanes.retain(|lane| !driven.failed.contains(&lane.host) && !self.run.is_lost(&lane.host));
            if kind == Kind::Tasks && self.too_many_failed() {
                self.run.show(&Event::NoHostsLeft);
                driven.stop = true;
                break;
            }
            if driven.end_play {
                break;
            }
        }
        Ok(driven)
    }

    /// Hosts go past the tasks of roles that they have done with.
    fn pass_over_roles(&self, lanes: &mut [Lane], driven: &mut Driven) {
        for lane in lanes {
            while let Some(task) = lane.cursor.task().cloned()
                && self.active.progress.has_done(&task, &lane.host)
            {
                let moved = lane.cursor.advance(&*self.selected);
                self.moved(moved, lane, driven);
            }
        }
    }

    /// Hosts go to the ends of the roles that they are in.
    fn end_role(&self, lanes: &mut [Lane], hosts: &[String], driven: &mut Driven) {
        for lane in lanes.iter_mut().filter(|lane| hosts.contains(&lane.host)) {
            while let Some(task) = lane.cursor.task()
                && task.what != What::Meta(Meta::RoleComplete)
            {
                let moved = lane.cursor.advance(&*self.selected);
                self.moved(moved, lane, driven);
            }
        }
    }

    fn too_many_failed(&self) -> bool {
        let Some(limit) = self.max_fail_percentage else {
            return false;
        };
        let failed = self
            .active
            .batch
            .iter()
            .filter(|host| self.run.is_lost(host))
            .count();
        #[expect(clippy::cast_precision_loss, reason = "hosts are few")]
        let share = failed as f64 * 100.0 / self.active.batch.len().max(1) as f64;
        failed > 0 && share > limit
    }

    /// Runs a task on the lanes at `at`.
    async fn step(
        &self,
        task: &Arc<Task>,
        lanes: &mut [Lane],
        at: &[usize],
        kind: Kind,
        driven: &mut Driven,
    ) -> Result<(), Diagnostic> {
        let first = self.site(&lanes[at[0]], task);
        let scope = first.scope();
        self.banner(task, &scope, kind);
        let once = first
            .truth("run_once", &scope)
            .map_err(|error| error.diagnostic)?
            .unwrap_or(false);
        if once {
            let end = first.run_task().await;
            let host = lanes[at[0]].host.clone();
            let failed = self.settle(&first, end, &mut lanes[at[0]], driven)?;
            self.spread(task, &host, lanes, at, failed, driven);
            return Ok(());
        }
        let mut waiting = at.iter().copied();
        let mut running = JoinSet::new();
        let mut any_failed = false;
        loop {
            while running.len() < self.run.settings.forks
                && let Some(index) = waiting.next()
            {
                let site = self.site(&lanes[index], task);
                running.spawn(async move {
                    let end = site.run_task().await;
                    (index, site, end)
                });
            }
            let Some(joined) = running.join_next().await else {
                break;
            };
            let (index, site, end) = match joined {
                Ok(finished) => finished,
                Err(error) => return Err(Diagnostic::error(format!("a task was lost: {error}"))),
            };
            any_failed |= self.settle(&site, end, &mut lanes[index], driven)?;
        }
        if any_failed
            && first
                .truth("any_errors_fatal", &scope)
                .ok()
                .flatten()
                .unwrap_or(false)
        {
            self.fail_all(lanes, at, driven);
        }
        Ok(())
    }

    fn banner(&self, task: &Task, scope: &Arc<crate::template::Scope>, kind: Kind) {
        let name = if task.implicit {
            "Gathering Facts".to_owned()
        } else {
            task_name(task, scope)
        };
        let place = task.span().to_string();
        let place = place.rsplit_once(':').map_or(place.as_str(), |(place, _)| place);
        self.run.show(&Event::Task {
            name: &name,
            place,
            handler: kind == Kind::Handler,
        });
    }

    /// What follows from a result: variables, notifications, counts, and where the host goes on.
    /// True if the host has failed.
    fn settle(
        &self,
        site: &Site,
        mut end: End,
        lane: &mut Lane,
        driven: &mut Driven,
    ) -> Result<bool, Diagnostic> {
        let scope = site.scope();
        if !matches!(end.state, State::Skipped | State::Unreachable) {
            self.active.progress.begin(&site.task, &site.host);
        }
        self.remember(site, &mut end, &scope);
        let ignores = |keyword: &str| site.truth(keyword, &scope).ok().flatten().unwrap_or(false);
        let ignored = match end.state {
            State::Failed => ignores("ignore_errors"),
            State::Unreachable => ignores("ignore_unreachable"),
            _ => false,
        };
        let in_loop = site.task.repeat.is_some() && end.result.get("results").is_some_and(is_filled);
        if !in_loop || matches!(end.state, State::Unreachable | State::Skipped) {
            self.run.report(&Report {
                label: Label {
                    host: site.host.clone(),
                    delegate: end.delegate.clone(),
                },
                state: end.state,
                ignored,
                item: None,
                result: end.visible(),
                diff: if end.no_log { Vec::new() } else { end.diff.clone() },
                always: end.shown && !end.no_log,
                action: site.task.action.clone(),
                diagnostic: end.diagnostic.clone().filter(|_| !end.no_log),
            });
        }
        if end.state == State::Changed
            || (in_loop
                && end.state == State::Failed
                && ignored
                && end.result.get("changed") == Some(&Value::Bool(true)))
        {
            site.notify(&self.notified)?;
        }
        match end.state {
            State::Failed if !ignored => {
                self.fail(lane, Some((&site.task, &end.result)), driven);
                Ok(true)
            }
            State::Unreachable if !ignored => {
                self.run.count(&lane.host, State::Unreachable, false);
                self.run.lose(&lane.host);
                self.active.lose(&lane.host);
                lane.cursor.end();
                Ok(true)
            }
            state => {
                self.run.count(&lane.host, state, ignored);
                if ignored && end.result.get("changed") == Some(&Value::Bool(true)) {
                    self.run.count_with(&lane.host, |stats| stats.changed += 1);
                }
                self.moved(lane.cursor.advance(&*self.selected), lane, driven);
                Ok(false)
            }
        }
    }

    /// Registered results, set facts, gathered facts.
    fn remember(&self, site: &Site, end: &mut End, scope: &Arc<crate::template::Scope>) {
        let owner = site.owner_of_facts(end, scope);
        self.run.apply(&owner, std::mem::take(&mut end.effects));
        let gathers = matches!(&site.task.what, What::Run(module) if !matches!(module.as_str(), "set_fact" | "include_vars"));
        if let (true, Some(Value::Map(facts))) = (gathers, end.result.get("ansible_facts")) {
            self.run.remember(&owner, |memory| memory.gather(facts));
        }
        if let Some(name) = site.register() {
            let result = Value::Map(end.result.clone());
            self.run
                .remember(&site.host, |memory| memory.assign(name, result));
        }
    }

    /// A task has failed on a lane; without a cause it has failed on another one, for all.
    fn fail(&self, lane: &mut Lane, cause: Option<(&Arc<Task>, &Map)>, driven: &mut Driven) {
        if let Some((task, result)) = cause {
            let name = task
                .name()
                .map_or_else(|| Value::from(task.action.as_str()), Node::to_value);
            let described = Map::from_iter([
                ("name".to_owned(), name),
                ("action".to_owned(), Value::from(task.action.as_str())),
            ]);
            lane.local = vec![layer([
                ("ansible_failed_task".to_owned(), Value::Map(described)),
                ("ansible_failed_result".to_owned(), Value::Map(result.clone())),
            ])];
        }
        match lane.cursor.fail(&*self.selected) {
            Failure::Rescued => self.run.count_with(&lane.host, |stats| stats.rescued += 1),
            Failure::Cleaning => {}
            Failure::Stopped if cause.is_some() => self.stopped(lane, driven),
            Failure::Stopped => self.leave(lane, driven),
        }
    }

    fn moved(&self, moved: Moved, lane: &mut Lane, driven: &mut Driven) {
        match moved {
            Moved::On => {}
            Moved::Rescued => self.run.count_with(&lane.host, |stats| stats.rescued += 1),
            Moved::Failed => self.stopped(lane, driven),
        }
    }

    fn stopped(&self, lane: &mut Lane, driven: &mut Driven) {
        self.run.count(&lane.host, State::Failed, false);
        self.leave(lane, driven);
    }

    /// The host is out of this play and of those that follow.
    fn leave(&self, lane: &mut Lane, driven: &mut Driven) {
        self.run.lose(&lane.host);
        self.active.lose(&lane.host);
        lane.cursor.end();
        driven.failed.push(lane.host.clone());
    }

    /// The result of a `run_once` task counts for all.
    fn spread(
        &self,
        task: &Arc<Task>,
        host: &str,
        lanes: &mut [Lane],
        at: &[usize],
        failed: bool,
        driven: &mut Driven,
    ) {
        let registered = task
            .own("register")
            .and_then(|node| node.as_str())
            .and_then(|name| {
                let memory = self.run.memory(host);
                memory
                    .assigned
                    .get(name)
                    .cloned()
                    .map(|value| (name.to_owned(), value))
            });
        for index in &at[1..] {
            let lane = &mut lanes[*index];
            if let Some((name, crate::template::Variable::Value(value))) = &registered {
                self.run
                    .remember(&lane.host, |memory| memory.assign(name, value.clone()));
            }
            if failed {
                self.fail(lane, None, driven);
            } else {
                let moved = lane.cursor.advance(&*self.selected);
                self.moved(moved, lane, driven);
            }
        }
    }

    /// `any_errors_fatal`: whoever has not failed fails now.
    fn fail_all(&self, lanes: &mut [Lane], at: &[usize], driven: &mut Driven) {
        for index in at {
            let lane = &mut lanes[*index];
            if lane.cursor.task().is_some()
                && !driven.failed.contains(&lane.host)
                && !self.run.is_lost(&lane.host)
            {
                self.run.lose(&lane.host);
                self.active.lose(&lane.host);
                lane.cursor.end();
            }
        }
        driven.stop = true;
    }

    fn include(
        &self,
        task: &Arc<Task>,
        lanes: &mut [Lane],
        at: &[usize],
        kind: Kind,
        driven: &mut Driven,
    ) -> Result<(), Diagnostic> {
        let first = self.site(&lanes[at[0]], task);
        self.banner(task, &first.scope(), kind);
        let level = if kind == Kind::Handler {
            Level::Handler
        } else {
            Level::Task
        };
        let mut known = Inclusions::default();
        let mut shown: Vec<(Included, Vec<String>)> = Vec::new();
        for index in at {
            let site = self.site(&lanes[*index], task);
            match self.run.inclusion(&site, &mut known, level) {
                Ok(Inclusion { lists, shown: files }) => {
                    for file in files {
                        match shown.iter_mut().find(|(name, _)| *name == file) {
                            Some((_, hosts)) if !hosts.contains(&site.host) => hosts.push(site.host.clone()),
                            _ => shown.push((file, vec![site.host.clone()])),
                        }
                    }
                    for _ in &lists {
                        self.run.count(&site.host, State::Ok, false);
                    }
                    let lane = &mut lanes[*index];
                    let moved = lane.cursor.include(lists, &*self.selected);
                    self.moved(moved, lane, driven);
                }
                Err(end) => {
                    self.settle(&site, *end, &mut lanes[*index], driven)?;
                }
            }
        }
        for (included, hosts) in &shown {
            self.run.show(&Event::Included {
                file: &included.file,
                item: included.item.as_deref(),
                hosts,
            });
        }
        self.run.warn_all();
        Ok(())
    }

    async fn meta(
        &self,
        meta: Meta,
        task: &Arc<Task>,
        lanes: &mut Vec<Lane>,
        at: &[usize],
        driven: &mut Driven,
    ) -> Result<(), Diagnostic> {
        if !task.implicit {
            let first = self.site(&lanes[at[0]], task);
            self.banner(task, &first.scope(), Kind::Tasks);
        }
        let mut wanted = Vec::new();
        for index in at {
            let site = self.site(&lanes[*index], task);
            let scope = site.scope();
            match site.false_condition(&scope).map_err(|error| error.diagnostic)? {
                None => wanted.push(*index),
                Some(_) if task.implicit => {}
                Some(condition) => self.run.report(&Report {
                    label: Label {
                        host: site.host.clone(),
                        delegate: None,
                    },
                    state: State::Skipped,
                    ignored: false,
                    item: None,
                    result: End::skipped(condition).visible(),
                    diff: Vec::new(),
                    always: false,
                    action: task.action.clone(),
                    diagnostic: None,
                }),
            }
        }
        let hosts: Vec<String> = wanted.iter().map(|index| lanes[*index].host.clone()).collect();
        for index in at {
            let lane = &mut lanes[*index];
            let moved = lane.cursor.advance(&*self.selected);
            self.moved(moved, lane, driven);
        }
        match meta {
            Meta::FlushHandlers => {
                let mut hosts = hosts;
                if self.forces_handlers() {
                    hosts.extend(driven.failed.iter().cloned());
                    hosts.sort_by_key(|host| self.active.batch.iter().position(|name| name == host));
                }
                let failed = self.flush(&hosts).await?;
                for lane in lanes.iter_mut().filter(|lane| failed.contains(&lane.host)) {
                    lane.cursor.end();
                }
                driven.failed.extend(failed);
            }
            Meta::EndHost => wanted.iter().for_each(|index| lanes[*index].cursor.end()),
            Meta::EndBatch if !wanted.is_empty() => lanes.clear(),
            Meta::EndPlay if !wanted.is_empty() => {
                lanes.clear();
                driven.end_play = true;
            }
            Meta::ClearFacts => {
                for host in &hosts {
                    self.run.remember(host, Memory::clear_facts);
                }
            }
            Meta::ClearHostErrors => self.active.all_hosts.iter().for_each(|host| {
                self.run.regain(host);
                self.active.regain(host);
            }),
            Meta::ResetConnection => {
                for host in &hosts {
                    self.run.links.reset(host).await;
                }
            }
            Meta::RoleComplete => hosts
                .iter()
                .for_each(|host| self.active.progress.complete(task, host)),
            Meta::EndRole => self.end_role(lanes, &hosts, driven),
            Meta::Noop | Meta::RefreshInventory | Meta::EndBatch | Meta::EndPlay => {}
        }
        Ok(())
    }

    /// Runs what these hosts have notified, in order of definition. Gives the hosts that failed.
    async fn flush(&self, hosts: &[String]) -> Result<Vec<String>, Diagnostic> {
        let mut failed: Vec<String> = Vec::new();
        let mut index = 0;
        loop {
            let handler = {
                let handlers = self
                    .active
                    .handlers
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                handlers.get(index).cloned()
            };
            let Some(handler) = handler else {
                return Ok(failed);
            };
            let mut lanes: Vec<Lane> = hosts
                .iter()
                .filter(|host| !failed.contains(host) && self.notified.take(host, index))
                .map(|host| Lane {
                    host: host.clone(),
                    // Tags do not select handlers.
                    cursor: Cursor::new(vec![Item::Task(Arc::clone(&handler))].into(), &|_| true),
                    local: Vec::new(),
                })
                .collect();
            if !lanes.is_empty() {
                let driven = Box::pin(self.drive(&mut lanes, Kind::Handler)).await?;
                failed.extend(driven.failed);
            }
            index += 1;
        }
    }
}

/// The task at the earliest position, and the lanes that are there.
fn next(lanes: &[Lane]) -> Option<(Arc<Task>, Vec<usize>)> {
    let (_, lane) = lanes
        .iter()
        .filter(|lane| lane.cursor.task().is_some())
        .map(|lane| (lane.cursor.position(), lane))
        .min_by(|(one, _), (other, _)| one.cmp(other))?;
    let position = lane.cursor.position();
    let task = Arc::clone(lane.cursor.task()?);
    let at = lanes
        .iter()
        .enumerate()
        .filter(|(_, lane)| {
            lane.cursor.task().is_some_and(|other| Arc::ptr_eq(other, &task))
                && lane.cursor.position() == position
        })
        .map(|(index, _)| index)
        .collect();
    Some((task, at))
}

fn is_filled(value: &Value) -> bool {
    value.as_list().is_some_and(|list| !list.is_empty())
}

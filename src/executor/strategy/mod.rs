//! Strategies: which host runs which task when.
//!
//! Each strategy drives the lanes of one batch and is a file here: [`linear`] keeps the hosts in step, [`free`]
//! lets each go at its own pace. What follows from a result is the same in all of them: [`settle`], [`meta`],
//! [`include`].

mod free;
mod include;
mod linear;
mod meta;
mod settle;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::attempt::Site;
use super::iterator::{Choice, Cursor, Moved};
use super::play::ActivePlay;
use super::roles::RoleProgress;
use super::run::{Lost, Run};
use crate::configuration::table;
use crate::diagnostic::Diagnostic;
use crate::output::{Announced, Event};
use crate::playbook::{Item, Task, What, short_name};
use crate::yaml::Node;

/// How the hosts of a play go through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Task by task, all hosts together.
    #[default]
    Linear,
    /// Each host as fast as it can.
    Free,
    /// As `Free`, and no host starts before there is room for it to go on to the end.
    HostPinned,
}

impl Strategy {
    /// By the word that playbooks use.
    const TABLE: &[(&str, Self)] = &[
        ("linear", Self::Linear),
        ("free", Self::Free),
        ("host_pinned", Self::HostPinned),
    ];

    pub fn parse(word: &str, node: &Node) -> Result<Self, Diagnostic> {
        let short = short_name(word);
        let found = Self::TABLE.iter().find(|(name, _)| *name == short);
        found.map(|(_, strategy)| *strategy).ok_or_else(|| {
            let error = Diagnostic::error(format!("there is no strategy `{word}`")).at(&node.span);
            match short {
                "debug" => {
                    error.hint("there is no interactive debugger; use `-vvv` and `register` with `debug`")
                }
                _ => error.hint("the strategies are `linear`, `free` and `host_pinned`"),
            }
        })
    }
}

/// Whether tags and `--start-at-task` select a task.
pub type Selected = Box<dyn Fn(&Task) -> bool + Send + Sync>;

/// A host's way through the play.
struct Lane {
    host: String,
    cursor: Cursor,
    /// What the host has notified since the last flush, in order.
    notifications: Vec<String>,
    /// The handlers that this means, by their place in the play's list; those that have run are taken out.
    notified: BTreeSet<usize>,
    /// The host cannot be reached: it stays where it is until its errors are cleared.
    unreachable: bool,
    /// A failure has ended it.
    stopped: bool,
}

impl Lane {
    fn new(host: String, items: Arc<[Item]>) -> Self {
        Self {
            host,
            cursor: Cursor::new(items),
            notifications: Vec::new(),
            notified: BTreeSet::new(),
            unreachable: false,
            stopped: false,
        }
    }

    /// What it runs next, once it is settled.
    fn task(&self) -> Option<&Arc<Task>> {
        self.cursor.task().filter(|_| !self.unreachable)
    }

    /// Goes to what comes next.
    fn settle(&mut self, selected: &Selected, roles: &RoleProgress) {
        let choice = Choice {
            selected: &|task| selected(task) && !roles.has_done(task, &self.host),
            notified: &self.notified,
        };
        self.stopped |= self.cursor.settle(choice) == Moved::Stopped;
    }
}

/// The hosts of one batch while they run.
pub(super) struct Batch {
    run: Arc<Run>,
    active: Arc<ActivePlay>,
    lanes: Vec<Lane>,
    selected: Selected,
    max_fail_percentage: Option<f64>,
    /// Too many have failed: nothing further is to run.
    stop: bool,
    end_play: bool,
}

/// How a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Other batches and plays follow.
    Next,
    /// `meta: end_play`: other plays follow.
    EndPlay,
    /// All hosts of the batch have failed, or too many.
    Stop,
}

impl Run {
    /// Runs the hosts of one batch.
    pub(super) async fn batch(
        self: &Arc<Self>,
        active: Arc<ActivePlay>,
        items: &Arc<[Item]>,
        selected: Selected,
        max_fail_percentage: Option<f64>,
    ) -> Result<After, Diagnostic> {
        let smart = self.settings.configuration.text(&table::DEFAULT_GATHERING) == Some("smart");
        let lanes: Vec<Lane> = active
            .batch
            .iter()
            .map(|host| {
                let mut lane = Lane::new(host.clone(), Arc::clone(items));
                if smart && gathers(items) && self.knows_facts(host) {
                    lane.cursor.advance();
                }
                lane
            })
            .collect();
        let started = lanes.len();
        let strategy = active.strategy;
        let mut batch = Batch {
            run: Arc::clone(self),
            active,
            lanes,
            selected,
            max_fail_percentage,
            stop: false,
            end_play: false,
        };
        match strategy {
            Strategy::Linear => batch.linear().await?,
            Strategy::Free => batch.free(started).await?,
            Strategy::HostPinned => batch.free(self.settings.forks).await?,
        }
        for lane in batch.lanes.iter().filter(|lane| lane.stopped) {
            self.lose(&lane.host, Lost::Failed);
        }
        let lost = batch.lanes.iter().filter(|lane| self.is_lost(&lane.host)).count();
        Ok(
            if batch.stop || (lost == started && started == batch.active.batch_size) {
                After::Stop
            } else if batch.end_play {
                After::EndPlay
            } else {
                After::Next
            },
        )
    }
}

/// Whether the first of these tasks is the gathering of facts.
fn gathers(items: &[Item]) -> bool {
    matches!(items.first(), Some(Item::Task(task)) if task.implicit && matches!(task.what, What::Run(_)))
}

impl Batch {
    /// Announces a task that these lanes run.
    fn announce(&self, task: &Arc<Task>, at: &[usize]) -> Arc<Announced> {
        let announced = self.described(at[0], task);
        self.run.show(&Event::Task {
            task: &announced,
            hosts: at.len(),
        });
        announced
    }

    fn described(&self, index: usize, task: &Arc<Task>) -> Arc<Announced> {
        Arc::new(self.site(index, task, &Arc::default()).described())
    }

    fn site(&self, index: usize, task: &Arc<Task>, announced: &Arc<Announced>) -> Site {
        let lane = &self.lanes[index];
        Site {
            run: Arc::clone(&self.run),
            play: Arc::clone(&self.active),
            host: lane.host.clone(),
            task: Arc::clone(task),
            local: Vec::new(),
            once: false,
            handler: lane.cursor.in_handlers(),
            announced: Arc::clone(announced),
        }
    }

    /// The handler that is about to run has run, for these lanes.
    fn take_handler(&mut self, at: &[usize]) {
        for index in at {
            let lane = &mut self.lanes[*index];
            if let Some(handler) = lane.cursor.handler() {
                lane.notified.remove(&handler);
            }
        }
    }
}

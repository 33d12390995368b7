//! `linear`: all hosts of a batch go through the tasks in step.
//!
//! The earliest position that any lane has reached is run next, on all lanes that are there; so a host in a
//! `rescue`, an inclusion or a handler is waited for, and overtaken by none.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::Batch;
use super::settle::Verdict;
use crate::actions;
use crate::configuration::table;
use crate::diagnostic::Diagnostic;
use crate::executor::attempt::Site;
use crate::executor::end::End;
use crate::executor::run::Lost;
use crate::output::Event;
use crate::playbook::{Task, What};
use crate::template::Scope;

impl Batch {
    /// Runs all lanes to their ends.
    pub(super) async fn linear(&mut self) -> Result<(), Diagnostic> {
        while let Some((task, at)) = self.next() {
            match &task.what {
                What::Meta(meta) => self.meta(*meta, &task, &at).await?,
                What::IncludeTasks | What::IncludeRole => self.take_in(&task, &at)?,
                What::Run(_) => self.step(&task, &at).await?,
            }
            if self.stop || self.end_play {
                break;
            }
        }
        Ok(())
    }

    /// The task at the earliest position, and the lanes that are there.
    fn next(&mut self) -> Option<(Arc<Task>, Vec<usize>)> {
        for lane in &mut self.lanes {
            lane.settle(&self.selected, &self.active.progress);
        }
        let running = || {
            self.lanes
                .iter()
                .enumerate()
                .filter(|(_, lane)| lane.task().is_some())
        };
        let (_, first) = running().min_by(|(_, one), (_, other)| one.cursor.order(&other.cursor))?;
        let task = Arc::clone(first.task()?);
        let at = running()
            .filter(|(_, lane)| lane.task().is_some_and(|other| Arc::ptr_eq(other, &task)))
            .filter(|(_, lane)| lane.cursor.order(&first.cursor).is_eq())
            .map(|(index, _)| index)
            .collect();
        Some((task, at))
    }

    /// Runs a task on the lanes at `at`.
    async fn step(&mut self, task: &Arc<Task>, at: &[usize]) -> Result<(), Diagnostic> {
        let announced = self.announce(task, at);
        let mut first = self.site(at[0], task, &announced);
        let scope = first.scope();
        let plain = |error: crate::template::EvalError| error.diagnostic;
        // What is wrong with a keyword the task itself says.
        first.once = first.truth("run_once", &scope).ok().flatten().unwrap_or(false);
        let single = first.once
            || matches!(&task.what, What::Run(name) if actions::find(name).is_some_and(actions::Action::runs_once));
        let throttle = first.throttle(&scope).map_err(plain)?.unwrap_or(0);
        let limit = match usize::try_from(throttle) {
            Ok(throttle @ 1..) => throttle.min(self.run.settings.forks),
            _ => self.run.settings.forks,
        };
        let fatal = single || self.is_fatal(&first, &scope).unwrap_or(false);
        drop(scope);
        self.take_handler(at);
        let mut waiting = if single { &at[..1] } else { at }.iter().copied();
        let mut running = JoinSet::new();
        let mut failed = Vec::new();
        loop {
            while running.len() < limit
                && let Some(index) = waiting.next()
            {
                let mut site = self.site(index, task, &announced);
                site.once = first.once;
                site.start();
                running.spawn(async move {
                    let end = site.run_task().await;
                    (index, site, end)
                });
            }
            let Some(joined) = running.join_next().await else {
                break;
            };
            // Of those that are there already, the inventory's order.
            let mut finished = vec![joined];
            finished.extend(std::iter::from_fn(|| running.try_join_next()));
            let mut finished = finished
                .into_iter()
                .collect::<Result<Vec<(usize, Site, End)>, _>>()
                .map_err(|error| Diagnostic::error(format!("a task was lost: {error}")))?;
            finished.sort_by_key(|(index, ..)| *index);
            for (index, site, end) in finished {
                if self.settle(index, &site, end)? == Verdict::Bad {
                    failed.push(index);
                }
            }
        }
        if first.once && !failed.is_empty() {
            self.fail_others(&failed);
        } else if single {
            for index in &at[1..] {
                self.lanes[*index].cursor.advance();
            }
        }
        if fatal && !failed.is_empty() {
            self.lose_others(&failed);
        }
        self.limit_failures(&failed);
        Ok(())
    }

    /// As [`Self::step`], for what brings more tasks.
    fn take_in(&mut self, task: &Arc<Task>, at: &[usize]) -> Result<(), Diagnostic> {
        let first = self.site(at[0], task, &Arc::default());
        let scope = first.scope();
        let once = first
            .truth("run_once", &scope)
            .map_err(|error| error.diagnostic)?;
        let (at, others) = at.split_at(if once == Some(true) { 1 } else { at.len() });
        let fatal = once == Some(true) || self.is_fatal(&first, &scope)?;
        drop(scope);
        let failed = self.include(task, at)?;
        for index in others {
            self.lanes[*index].cursor.advance();
        }
        if fatal && !failed.is_empty() {
            self.lose_others(&failed);
        }
        self.limit_failures(&failed);
        Ok(())
    }

    /// `any_errors_fatal`
    fn is_fatal(&self, site: &Site, scope: &Arc<Scope>) -> Result<bool, Diagnostic> {
        let asked = site
            .truth("any_errors_fatal", scope)
            .map_err(|error| error.diagnostic)?;
        let usual = || self.run.settings.configuration.truth(&table::ANY_ERRORS_FATAL);
        Ok(asked.unwrap_or_else(usual))
    }

    /// Whoever has not failed by itself fails with the others; a `rescue` of its own may take that.
    fn fail_others(&mut self, failed: &[usize]) {
        for index in 0..self.lanes.len() {
            let lane = &self.lanes[index];
            if !failed.contains(&index) && lane.cursor.is_active() && !lane.unreachable {
                self.fail(index);
            }
        }
    }

    /// As [`Self::fail_others`], and later plays are without them.
    fn lose_others(&mut self, failed: &[usize]) {
        for (index, lane) in self.lanes.iter().enumerate() {
            if !failed.contains(&index) && !lane.unreachable {
                self.run.lose(&lane.host, Lost::Failed);
            }
        }
        self.fail_others(failed);
    }

    /// `max_fail_percentage`: the play ends when more hosts than this have failed.
    fn limit_failures(&mut self, failed: &[usize]) {
        let Some(limit) = self.max_fail_percentage else {
            return;
        };
        let count = self.run.failed_hosts();
        #[expect(clippy::cast_precision_loss, reason = "hosts are few")]
        let share = count as f64 * 100.0 / self.active.batch.len().max(1) as f64;
        if count > 0 && share > limit {
            self.lose_others(failed);
            self.run.show(&Event::NoHostsLeft);
            self.stop = true;
        }
    }
}

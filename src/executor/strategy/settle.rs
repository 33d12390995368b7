//! What follows from a result: variables, notifications, counts, and where the host goes on.

use super::{Batch, Lane};
use crate::configuration::table;
use crate::diagnostic::Diagnostic;
use crate::executor::attempt::Site;
use crate::executor::end::{End, Notification};
use crate::executor::iterator::Moved;
use crate::executor::run::Lost;
use crate::output::{Event, Extent, State};
use crate::value::{Map, Value};
use crate::yaml::Node;

/// Whether a result counts against the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It went well, was skipped, or its failure is ignored.
    Good,
    /// It has failed or cannot be reached, even if that is rescued.
    Bad,
}

impl Batch {
    pub(super) fn settle(&mut self, index: usize, site: &Site, mut end: End) -> Result<Verdict, Diagnostic> {
        if !matches!(end.state, State::Skipped | State::Unreachable) {
            self.active.progress.begin(&site.task, &site.host);
        }
        let ignored = is_ignored(site, &end);
        remember(site, &mut end);
        let extent = if end.result.contains_key("results") && site.task.repeat.is_some() {
            Extent::Loop
        } else {
            Extent::Task
        };
        site.report(&end, extent, ignored);
        if end.state == State::Changed {
            self.notify(index, site, &end.notify)?;
        }
        if end.unknown {
            self.run.count_with(&site.host, |stats| stats.unknown += 1);
        }
        let changed = end.result.get("changed") == Some(&Value::Bool(true));
        match end.state {
            State::Failed if !ignored => {
                self.fail_by(index, site, &end.result);
                Ok(Verdict::Bad)
            }
            State::Unreachable if !ignored => {
                self.run.count(&site.host, State::Unreachable, false);
                self.run.lose(&site.host, Lost::Unreachable);
                self.active.lose(&site.host);
                self.lanes[index].unreachable = true;
                self.lanes[index].cursor.advance();
                Ok(Verdict::Bad)
            }
            state => {
                self.run.count(&site.host, state, ignored);
                if state == State::Failed && changed {
                    self.run.count_with(&site.host, |stats| stats.changed += 1);
                }
                self.lanes[index].cursor.advance();
                Ok(Verdict::Good)
            }
        }
    }

    /// What is notified in handlers runs in the same flush, if it comes later; all else is resolved at the next
    /// one, when all handlers are known.
    fn notify(&mut self, index: usize, site: &Site, notify: &[Notification]) -> Result<(), Diagnostic> {
        if notify.is_empty() {
            return Ok(());
        }
        let scope = site.scope();
        for (name, span) in notify {
            let found = self.active.handlers_called(name, &scope);
            if found.is_empty() {
                let error = self.active.unheard(name, span);
                if self
                    .run
                    .settings
                    .configuration
                    .truth(&table::ERROR_ON_MISSING_HANDLER)
                {
                    return Err(error);
                }
                self.run.show(&Event::Warning(&error.message));
            }
            let lane = &mut self.lanes[index];
            if lane.cursor.in_handlers() {
                lane.notified.extend(found);
            } else if !lane.notifications.contains(name) {
                lane.notifications.push(name.clone());
            }
        }
        Ok(())
    }

    /// The lane's own task has failed.
    fn fail_by(&mut self, index: usize, site: &Site, result: &Map) {
        let rescued = self.lanes[index].cursor.is_rescued();
        if rescued {
            self.run.count_with(&site.host, |stats| stats.rescued += 1);
            self.run.remember(&site.host, |memory| {
                memory.assign("ansible_failed_task", described(site));
                memory.assign("ansible_failed_result", Value::Map(result.clone()));
            });
        } else {
            self.run.count(&site.host, State::Failed, false);
            self.active.lose(&site.host);
        }
        let lane = &mut self.lanes[index];
        lane.fail();
        if lane.stopped {
            self.run.lose(&site.host, Lost::Failed);
        }
    }

    /// A task has failed elsewhere, and that counts for this lane.
    pub(super) fn fail(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        self.active.lose(&lane.host);
        lane.fail();
    }
}

impl Lane {
    fn fail(&mut self) {
        self.stopped |= self.cursor.fail() == Moved::Stopped;
    }
}

fn is_ignored(site: &Site, end: &End) -> bool {
    let keyword = match end.state {
        State::Failed => "ignore_errors",
        State::Unreachable => "ignore_unreachable",
        _ => return false,
    };
    site.truth(keyword, &site.scope()).ok().flatten().unwrap_or(false)
}

/// Set and gathered facts, registered results.
fn remember(site: &Site, end: &mut End) {
    site.apply(end);
    if let Some(name) = site.register() {
        let result = Value::Map(end.result.clone());
        for host in site.hosts() {
            site.run
                .remember(&host, |memory| memory.assign(name, result.clone()));
        }
    }
}

/// The variable `ansible_failed_task`.
fn described(site: &Site) -> Value {
    let task = &site.task;
    let action = Value::from(task.action.as_str());
    let own = |keyword: &str| task.own(keyword).map_or(Value::Null, Node::to_value);
    Value::Map(Map::from_iter([
        ("name".to_owned(), task.name().map_or("".into(), Node::to_value)),
        ("action".to_owned(), action),
        ("args".to_owned(), task.arguments.to_value()),
        ("tags".to_owned(), Value::from(task.context.tags())),
        ("vars".to_owned(), own("vars")),
        ("register".to_owned(), own("register")),
        ("delegate_to".to_owned(), own("delegate_to")),
    ]))
}

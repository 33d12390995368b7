//! `meta`: tasks that steer the run itself.

use std::sync::Arc;

use super::{Batch, Strategy};
use crate::diagnostic::Diagnostic;
use crate::executor::attempt::Site;
use crate::executor::end::End;
use crate::output::{Announced, Event, Extent, State};
use crate::playbook::{Item, Meta, Task};
use crate::value::{Map, Value};

/// Whose conditions decide, and whom it concerns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Each host for itself.
    Each,
    /// The first host decides for all.
    All,
    /// Conditions are not looked at.
    Always,
}

fn reach(meta: Meta) -> Reach {
    match meta {
        Meta::FlushHandlers | Meta::EndHost | Meta::EndRole => Reach::Each,
        Meta::EndPlay | Meta::EndBatch | Meta::ClearFacts | Meta::ClearHostErrors => Reach::All,
        Meta::Noop | Meta::RefreshInventory | Meta::ResetConnection | Meta::RoleComplete => Reach::Always,
    }
}

impl Batch {
    pub(super) async fn meta(
        &mut self,
        meta: Meta,
        task: &Arc<Task>,
        at: &[usize],
    ) -> Result<(), Diagnostic> {
        let announced = if task.implicit || self.active.strategy != Strategy::Linear {
            self.described(at[0], task)
        } else {
            self.announce(task, at)
        };
        let wanted = self.wanted(meta, task, at, &announced)?;
        if !task.implicit {
            self.tell(meta, task, at, &wanted);
        }
        self.take_handler(at);
        match meta {
            Meta::FlushHandlers => self.flush(task, &wanted)?,
            Meta::EndHost => {
                for index in &wanted {
                    self.active.lose(&self.lanes[*index].host);
                    self.lanes[*index].cursor.end();
                }
            }
            Meta::EndRole => {
                for index in &wanted {
                    self.lanes[*index].cursor.end_role();
                }
            }
            Meta::EndBatch if !wanted.is_empty() => self.end_all(),
            Meta::EndPlay if !wanted.is_empty() => {
                self.end_all();
                self.end_play = true;
            }
            Meta::ClearFacts if !wanted.is_empty() => {
                for lane in &self.lanes {
                    self.run.clear_facts(&lane.host);
                }
            }
            Meta::ClearHostErrors if !wanted.is_empty() => {
                for lane in &mut self.lanes {
                    self.run.regain(&lane.host);
                    self.active.regain(&lane.host);
                    (lane.unreachable, lane.stopped) = (false, false);
                    lane.cursor.forgive();
                }
            }
            Meta::RoleComplete => {
                for index in &wanted {
                    self.active.progress.complete(task, &self.lanes[*index].host);
                }
            }
            Meta::ResetConnection => {
                for index in at {
                    self.run.links.reset(&self.lanes[*index].host).await;
                }
            }
            Meta::RefreshInventory => self.run.refresh_inventory()?,
            _ => {}
        }
        let moved = |index: &usize| match meta {
            Meta::FlushHandlers | Meta::EndHost | Meta::EndRole => wanted.contains(index),
            _ => false,
        };
        let stay: Vec<usize> = at.iter().copied().filter(|index| !moved(index)).collect();
        for index in stay {
            self.lanes[index].cursor.advance();
        }
        Ok(())
    }

    /// The lanes for which the conditions hold; the others are shown as skipped.
    fn wanted(
        &self,
        meta: Meta,
        task: &Arc<Task>,
        at: &[usize],
        announced: &Arc<Announced>,
    ) -> Result<Vec<usize>, Diagnostic> {
        let reach = reach(meta);
        if reach == Reach::Always {
            if !task.implicit && !task.context.conditions().is_empty() {
                let name = Meta::TABLE
                    .iter()
                    .find(|(_, other)| *other == meta)
                    .map_or("", |(name, _)| *name);
                self.run.show(&Event::Warning(&format!(
                    "{name} task does not support when conditional"
                )));
            }
            return Ok(at.to_vec());
        }
        let asked = if reach == Reach::All { &at[..1] } else { at };
        let mut wanted = Vec::new();
        for index in asked {
            let site = self.site(*index, task, announced);
            let condition = site
                .false_condition(&site.scope())
                .map_err(|error| error.diagnostic)?;
            match condition {
                None => wanted.push(*index),
                Some(_) if task.implicit => {}
                Some(_) => show_skipped(&site, meta),
            }
        }
        Ok(wanted)
    }

    /// Says what becomes of each host that was asked.
    fn tell(&self, meta: Meta, task: &Task, at: &[usize], wanted: &[usize]) {
        let asked = if reach(meta) == Reach::All { &at[..1] } else { at };
        for index in asked {
            let host = &self.lanes[*index].host;
            let text = if wanted.contains(index) {
                told(meta, host, task).0
            } else {
                reason(meta, host, task)
            };
            self.run.show(&Event::Meta { text: &text });
        }
    }

    fn end_all(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.cursor.end());
    }

    /// The handlers that these lanes have notified run next.
    fn flush(&mut self, task: &Task, wanted: &[usize]) -> Result<(), Diagnostic> {
        if wanted.iter().any(|index| self.lanes[*index].cursor.in_handlers()) {
            return Err(Diagnostic::error("flush_handlers cannot be used as a handler").at(&task.action_span));
        }
        let handlers: Arc<[Item]> = self.active.handlers().into_iter().map(Item::Task).collect();
        for index in wanted {
            let notifications = std::mem::take(&mut self.lanes[*index].notifications);
            let scope = self
                .run
                .scope(&self.lanes[*index].host, Some(&self.active), None, Vec::new());
            for name in notifications {
                for called in self.active.handlers_called(&name, &scope) {
                    if self.lanes[*index].notified.insert(called) {
                        self.run.show(&Event::Notified {
                            handler: &name,
                            host: &self.lanes[*index].host,
                        });
                    }
                }
            }
            self.lanes[*index].cursor.flush(Arc::clone(&handlers));
        }
        Ok(())
    }
}

/// The word that playbooks use.
fn word(meta: Meta) -> &'static str {
    let known = Meta::TABLE.iter().find(|(_, other)| *other == meta);
    known.map_or("role_complete", |(name, _)| *name)
}

/// Why a meta task has done nothing.
fn reason(meta: Meta, host: &str, task: &Task) -> String {
    format!(
        "{} conditional evaluated to False{}",
        word(meta),
        told(meta, host, task).1
    )
}

/// What a meta task has done, and how the sentence goes on that says why it has not.
fn told(meta: Meta, host: &str, task: &Task) -> (String, String) {
    let role = task.context.role().map_or("", |role| role.role.name.as_str());
    match meta {
        Meta::FlushHandlers => (
            format!("triggered running handlers for {host}"),
            format!(", not running handlers for {host}"),
        ),
        Meta::RefreshInventory => ("inventory successfully refreshed".to_owned(), String::new()),
        Meta::ClearFacts => (
            "facts cleared".to_owned(),
            format!(", not clearing facts and fact cache for {host}"),
        ),
        Meta::ClearHostErrors => (
            "cleared host errors".to_owned(),
            format!(", not clearing host error state for {host}"),
        ),
        Meta::EndBatch => ("ending batch".to_owned(), ", continuing current batch".to_owned()),
        Meta::EndPlay => ("ending play".to_owned(), ", continuing play".to_owned()),
        Meta::EndHost => (
            format!("ending play for {host}"),
            format!(", continuing execution for {host}"),
        ),
        Meta::EndRole => (
            format!("ending role {role} for {host}"),
            format!("continuing role {role} for {host}"),
        ),
        Meta::ResetConnection => ("reset connection".to_owned(), String::new()),
        Meta::Noop | Meta::RoleComplete => (word(meta).to_owned(), String::new()),
    }
}

fn show_skipped(site: &Site, meta: Meta) {
    let reason = reason(meta, &site.host, &site.task);
    let message = match meta {
        Meta::EndHost => format!(
            "end_host conditional evaluated to false, continuing execution for {}",
            site.host
        ),
        _ => word(meta).to_owned(),
    };
    let result = Map::from_iter([
        ("msg".to_owned(), Value::from(message)),
        ("skip_reason".to_owned(), Value::from(reason)),
        ("skipped".to_owned(), Value::Bool(true)),
    ]);
    site.report(&End::new(State::Skipped, result), Extent::Task, false);
}

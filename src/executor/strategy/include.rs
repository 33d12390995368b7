//! Inclusions while the play runs: the lanes that include the same go on with the same list of tasks, in step.

use std::sync::Arc;

use super::Batch;
use super::settle::Verdict;
use crate::diagnostic::Diagnostic;
use crate::executor::include::{Included, Inclusion, Inclusions};
use crate::output::{Event, State};
use crate::playbook::Task;
use crate::playbook::keyword::Level;

impl Batch {
    /// Gives the lanes on which it has failed.
    pub(super) fn include(&mut self, task: &Arc<Task>, at: &[usize]) -> Result<Vec<usize>, Diagnostic> {
        let announced = self.announce(task, at);
        let level = if self.lanes[at[0]].cursor.in_handlers() {
            Level::Handler
        } else {
            Level::Task
        };
        self.take_handler(at);
        let mut failed = Vec::new();
        let mut known = Inclusions::default();
        let mut shown: Vec<(Included, Vec<String>)> = Vec::new();
        for index in at {
            let site = self.site(*index, task, &announced);
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
                    self.lanes[*index].cursor.include(lists);
                }
                Err(end) => {
                    if self.settle(*index, &site, *end)? == Verdict::Bad {
                        failed.push(*index);
                    }
                }
            }
        }
        for (included, hosts) in &shown {
            self.run.show(&Event::Included {
                task: &announced,
                file: &included.file,
                item: included.item.as_deref(),
                hosts,
            });
        }
        self.run.warn_all();
        Ok(failed)
    }
}

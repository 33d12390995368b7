//! `free` and `host_pinned`: each host goes through the tasks at its own pace.
//!
//! Hosts that are ready take turns, so that none is always the first. What would need all hosts at one task
//! (`run_once`, `any_errors_fatal`, `max_fail_percentage`) has no meaning here, and a warning says so.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::Batch;
use crate::actions;
use crate::diagnostic::Diagnostic;
use crate::executor::attempt::Site;
use crate::executor::end::End;
use crate::output::Event;
use crate::playbook::What;

/// What is under way.
#[derive(Default)]
struct Traffic {
    running: JoinSet<(usize, Site, End)>,
    /// The task of each lane that is busy.
    busy: Vec<(usize, usize)>,
    /// Lanes that may go on, the one that has waited longest first.
    ready: VecDeque<usize>,
    /// What was warned of already.
    warned: BTreeSet<String>,
}

/// What a lane did when it was its turn.
enum Step {
    Started,
    /// It may go on at once.
    Moved,
    /// There is no room for its task.
    Held,
    Ended,
}

impl Batch {
    /// Runs all lanes to their ends; no more than `abreast` of them are in the middle of the play.
    pub(super) async fn free(&mut self, abreast: usize) -> Result<(), Diagnostic> {
        let mut traffic = Traffic::default();
        if self.max_fail_percentage.is_some() {
            self.warn(&mut traffic, "max_fail_percentage");
        }
        let mut later = (0..self.lanes.len()).collect::<VecDeque<_>>();
        let mut open = 0;
        loop {
            while open < abreast.max(1)
                && let Some(index) = later.pop_front()
            {
                open += 1;
                traffic.ready.push_back(index);
            }
            let mut moved = false;
            for _ in 0..traffic.ready.len() {
                let Some(index) = traffic.ready.pop_front() else {
                    break;
                };
                match self.proceed(index, &mut traffic).await? {
                    Step::Ended => {
                        open -= 1;
                        moved = true;
                    }
                    Step::Moved => {
                        traffic.ready.push_back(index);
                        moved = true;
                    }
                    Step::Held => traffic.ready.push_back(index),
                    Step::Started => {}
                }
            }
            if moved {
                continue;
            }
            if let Some(joined) = traffic.running.join_next().await {
                let (index, site, end) =
                    joined.map_err(|error| Diagnostic::error(format!("a task was lost: {error}")))?;
                traffic.busy.retain(|(lane, _)| *lane != index);
                self.settle(index, &site, end)?;
                traffic.ready.push_back(index);
            } else if traffic.ready.is_empty() && later.is_empty() {
                return Ok(());
            }
        }
    }

    /// Starts a lane's next task, or does what needs no waiting.
    async fn proceed(&mut self, index: usize, traffic: &mut Traffic) -> Result<Step, Diagnostic> {
        self.lanes[index].settle(&self.selected, &self.active.progress);
        let Some(task) = self.lanes[index].task().cloned().filter(|_| !self.end_play) else {
            return Ok(Step::Ended);
        };
        let module = match &task.what {
            What::Meta(meta) => {
                self.meta(*meta, &task, &[index]).await?;
                return Ok(Step::Moved);
            }
            What::IncludeTasks | What::IncludeRole => {
                self.include(&task, &[index])?;
                return Ok(Step::Moved);
            }
            What::Run(module) => module,
        };
        if actions::find(module).is_some_and(actions::Action::runs_once) {
            return Err(Diagnostic::error(format!(
                "`{module}` runs once for all hosts, and with this strategy hosts do not meet"
            ))
            .at(&task.action_span)
            .hint("put it into a play with the strategy `linear`"));
        }
        let site = self.site(index, &task, &Arc::default());
        if traffic.busy.len() >= self.run.settings.forks || is_throttled(&site, traffic)? {
            return Ok(Step::Held);
        }
        self.warn_of_keywords(&site, traffic);
        self.take_handler(&[index]);
        let announced = self.announce(&task, &[index]);
        let site = self.site(index, &task, &announced);
        site.start();
        traffic.busy.push((index, Arc::as_ptr(&task).addr()));
        traffic.running.spawn(async move {
            let end = site.run_task().await;
            (index, site, end)
        });
        Ok(Step::Started)
    }

    fn warn_of_keywords(&self, site: &Site, traffic: &mut Traffic) {
        for keyword in ["run_once", "any_errors_fatal"] {
            if site.task.context.nearest(keyword).is_some()
                && site.truth(keyword, &site.scope()).ok().flatten() == Some(true)
            {
                self.warn(traffic, keyword);
            }
        }
    }

    fn warn(&self, traffic: &mut Traffic, keyword: &str) {
        if traffic.warned.insert(keyword.to_owned()) {
            self.run.show(&Event::Warning(&format!(
                "Using {keyword} with the free strategy is not supported, as tasks are executed independently on each host"
            )));
        }
    }
}

/// Whether as many hosts as `throttle` allows are at this task.
fn is_throttled(site: &Site, traffic: &Traffic) -> Result<bool, Diagnostic> {
    if site.task.context.nearest("throttle").is_none() {
        return Ok(false);
    }
    let throttle = site.throttle(&site.scope()).map_err(|error| error.diagnostic)?;
    let task = Arc::as_ptr(&site.task).addr();
    let same = traffic.busy.iter().filter(|(_, other)| *other == task).count();
    Ok(throttle
        .and_then(|limit| usize::try_from(limit).ok())
        .is_some_and(|limit| limit > 0 && same >= limit))
}

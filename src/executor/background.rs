//! `async`: a task goes on by itself on its host, and is asked for its result from time to time.

use std::hash::BuildHasher;
use std::time::Duration;

use super::attempt::Site;
use super::remote::Remote;
use crate::actions::{Failure, Held, Target};
use crate::configuration::table;
use crate::output::{Event, JobState, Label};
use crate::template::EvalError;
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

/// The first question comes after this long, each further one after twice as long: a short job is not waited for
/// longer than it takes.
const FIRST: Duration = Duration::from_millis(100);

/// `async` and `poll` of a task.
#[derive(Debug, Clone, Copy)]
pub struct Background {
    /// Seconds that the job may take.
    limit: u64,
    /// None where it is not waited for.
    poll: Option<Duration>,
}

impl Site {
    /// Whether the task is to go on by itself.
    pub fn background(
        &self,
        scope: &std::sync::Arc<crate::template::Scope>,
    ) -> Result<Option<Background>, EvalError> {
        let limit = self
            .number("async", scope)?
            .and_then(|limit| u64::try_from(limit).ok());
        let Some(limit) = limit.filter(|limit| *limit > 0) else {
            return Ok(None);
        };
        let usual = || {
            self.run
                .settings
                .configuration
                .integer(&table::DEFAULT_POLL_INTERVAL)
        };
        let poll = self.number("poll", scope)?.or_else(usual).unwrap_or_default();
        let poll = u64::try_from(poll).unwrap_or(0);
        Ok(Some(Background {
            limit,
            poll: Some(Duration::from_secs(poll)).filter(|poll| !poll.is_zero()),
        }))
    }
}

impl Remote<'_> {
    /// Starts a module that goes on by itself, and waits for it if it is to be waited for.
    pub async fn start(
        &self,
        module: &str,
        arguments: Map,
        background: Background,
    ) -> Result<Outcome, Failure> {
        let (_, transport, _) = self.transport()?;
        let call = self.message(module, arguments, &transport)?;
        let call = Value::from_serialize(&call).map_err(|error| Failure::new(error.to_string()))?;
        let number = std::hash::RandomState::new().hash_one(module) % 1_000_000_000_000;
        let jid = format!("j{number}.{}", std::process::id());
        let limit = i64::try_from(background.limit).unwrap_or(i64::MAX);
        let arguments = Map::from_iter([
            ("jid".to_owned(), Value::from(jid.as_str())),
            ("limit".to_owned(), Value::Int(limit)),
            ("call".to_owned(), call),
        ]);
        // The job itself is what predicts.
        let engine = Remote {
            check: false,
            ..*self
        };
        let started = engine.call("job", arguments, Held::default()).await?;
        match background.poll {
            Some(poll) if !started.failed => engine.wait(&jid, background.limit, poll).await,
            _ => Ok(started),
        }
    }

    async fn wait(&self, jid: &str, limit: u64, poll: Duration) -> Result<Outcome, Failure> {
        let started = tokio::time::Instant::now();
        let limit = Duration::from_secs(limit);
        let mut pause = FIRST.min(poll);
        let mut shown = started;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(poll);
            let outcome = self.status(jid, "status").await?;
            if outcome.values.get("finished").and_then(Value::truth) != Some(false) {
                let state = if outcome.failed {
                    JobState::Failed
                } else {
                    JobState::Ok
                };
                self.show(jid, state);
                self.status(jid, "cleanup").await?;
                return Ok(outcome);
            }
            // The job ends itself when its time is up; this is for one that could not.
            if started.elapsed() > limit + poll {
                self.show(jid, JobState::Failed);
                return Ok(Outcome::failed(format!(
                    "async task did not complete within the requested time - {}s",
                    limit.as_secs()
                ))
                .with("async_result", outcome.values));
            }
            if shown.elapsed() >= poll {
                shown = tokio::time::Instant::now();
                self.show(jid, JobState::Running);
            }
        }
    }

    async fn status(&self, jid: &str, mode: &str) -> Result<Outcome, Failure> {
        let arguments = Map::from_iter([
            ("jid".to_owned(), Value::from(jid)),
            ("mode".to_owned(), Value::from(mode)),
        ]);
        self.call("async_status", arguments, Held::default()).await
    }

    fn show(&self, job: &str, state: JobState) {
        let label = Label {
            host: self.site.host.clone(),
            delegate: self.delegate.map(str::to_owned),
        };
        self.site.run.show(&Event::Job {
            label: &label,
            job,
            state,
        });
    }
}

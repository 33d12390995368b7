//! The work of every verb, the same in a server and without one.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use super::message::{Event, ReadOnly, Request};
use super::own_folder;
use super::running::Running;
use super::told::By;
use crate::registry::access::audit::Audit;
use crate::registry::content::{CareError, Registry, Watch};
use crate::registry::digest::Digest;
use crate::registry::exchange;
use crate::registry::metrics::metrics;

/// How often one hears of progress.
const PROGRESS: Duration = Duration::from_millis(100);

/// Where verbs work.
pub struct Workplace {
    registry: Arc<Registry>,
    /// For lists that do not fit into memory.
    scratch: PathBuf,
    audit: Arc<Audit>,
    running: Option<Arc<dyn Running>>,
    /// What takes things away, one at a time. A scrub takes days, and has its own.
    taking: Mutex<()>,
    scrubbing: Mutex<()>,
    stopping: AtomicBool,
}

/// Takes what comes back; false where nobody listens any more.
pub type Tell<'a> = dyn FnMut(Event) -> bool + Send + 'a;

impl Workplace {
    pub fn new(
        registry: Arc<Registry>,
        root: &Path,
        audit: Arc<Audit>,
        running: Option<Arc<dyn Running>>,
    ) -> Self {
        Self {
            registry,
            scratch: own_folder(root),
            audit,
            running,
            taking: Mutex::default(),
            scrubbing: Mutex::default(),
            stopping: AtomicBool::new(false),
        }
    }

    /// Ends what is under way, and whatever comes after.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.scratch
    }

    /// Does what is asked; `content` is what follows the request. The last event says how it ended.
    pub fn perform(&self, request: &Request, by: &By, content: &mut dyn Read, tell: &mut Tell<'_>) {
        let busy = match request {
            Request::Collect { .. } | Request::Purge { .. } | Request::Retain { .. } => Some(&self.taking),
            Request::Scrub { .. } => Some(&self.scrubbing),
            _ => None,
        };
        let teller = Teller {
            stopping: &self.stopping,
            telling: Mutex::new(Telling { tell, last: None }),
        };
        let _guard = match busy.map(|busy| turn(busy, &teller)) {
            None => None,
            Some(Some(guard)) => Some(guard),
            Some(None) => {
                teller.tell(Event::Failed {
                    message: CareError::Stopped.to_string(),
                });
                return;
            }
        };
        let result = self.work(request, content, &teller);
        if let Some(work) = request.work() {
            metrics().worked(work, result.is_ok());
        }
        let ended = match result {
            Ok(result) => Event::Done { result },
            Err(message) => Event::Failed { message },
        };
        if let Some(running) = &self.running
            && request.deed().is_some()
        {
            // Also when it has failed: half of it may be done.
            running.changed();
        }
        by.tell(&self.audit, request, &ended);
        teller.tell(ended);
    }

    fn work(
        &self,
        request: &Request,
        content: &mut dyn Read,
        teller: &Teller<'_, '_>,
    ) -> Result<Value, String> {
        let registry = &self.registry;
        match request {
            Request::Collect { options } => answer(registry.collect(*options, &self.scratch, teller)),
            Request::Explain { digest } => {
                let digest: Digest = digest.parse().map_err(said)?;
                answer(registry.explain(&digest, teller))
            }
            Request::Purge { age, dry_run } => answer(registry.purge_uploads(*age, *dry_run, teller)),
            Request::Retain { rules, apply } => answer(registry.retain(rules, *apply, teller, &mut |fate| {
                if let Ok(item) = serde_json::to_value(fate) {
                    teller.tell(Event::Item { item });
                }
            })),
            Request::Scrub { options } => answer(registry.scrub(*options, teller)),
            Request::Stats { largest } => answer(registry.stats(*largest, teller)),
            Request::Import { repository, tag } => {
                let into = exchange::Into::parse(repository.as_deref(), tag.as_deref()).map_err(said)?;
                answer(exchange::import(registry, content, &into, teller))
            }
            Request::ReadOnly { on } => {
                let running = self.running.as_ref().ok_or(
                    "no server runs on this folder; `storage.maintenance.readonly.enabled` is for the next start",
                )?;
                if let Some(on) = on {
                    running.set_read_only(*on);
                }
                answer(Ok::<_, String>(ReadOnly {
                    read_only: running.is_read_only(),
                }))
            }
        }
    }
}

/// Waits until what is under way has ended; none where nobody waits any more.
fn turn<'a>(busy: &'a Mutex<()>, watch: &dyn Watch) -> Option<MutexGuard<'a, ()>> {
    loop {
        match busy.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if watch.progress("waiting for what is under way", 0, None) => {
                std::thread::sleep(PROGRESS);
            }
            Err(TryLockError::WouldBlock) => return None,
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn said(error: impl ToString) -> String {
    error.to_string()
}

fn answer<T: Serialize, E: ToString>(done: Result<T, E>) -> Result<Value, String> {
    serde_json::to_value(done.map_err(said)?).map_err(said)
}

/// Makes events of progress, and not too many.
struct Teller<'a, 'b> {
    stopping: &'a AtomicBool,
    telling: Mutex<Telling<'a, 'b>>,
}

struct Telling<'a, 'b> {
    tell: &'a mut Tell<'b>,
    last: Option<(Instant, &'static str)>,
}

impl<'a, 'b> Teller<'a, 'b> {
    fn telling(&self) -> MutexGuard<'_, Telling<'a, 'b>> {
        self.telling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: Event) -> bool {
        (self.telling().tell)(event)
    }
}

impl Watch for Teller<'_, '_> {
    fn progress(&self, phase: &'static str, done: u64, total: Option<u64>) -> bool {
        if self.stopping.load(Ordering::Relaxed) {
            return false;
        }
        let mut telling = self.telling();
        if let Some((last, named)) = telling.last
            && named == phase
            && last.elapsed() < PROGRESS
        {
            return true;
        }
        telling.last = Some((Instant::now(), phase));
        (telling.tell)(Event::Progress {
            phase: phase.to_owned(),
            done,
            total,
        })
    }
}

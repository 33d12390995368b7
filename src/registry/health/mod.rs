//! Whether this server is well, and whether it should be sent requests.
//!
//! `checks` looks from time to time and notes here what it finds; who asks is answered from the notes, at once.
//! Being alive is answering at all; being ready is that no check fails and that the server is not about to
//! stop. While a check fails that the configuration asks for, the API is closed, as distribution's is. A full disk
//! is a warning, and one that takes no writes makes the server not ready: pulls go on.

mod checks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

pub use checks::{Check, all};

/// The questions, by path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// `/healthz`
    Alive,
    /// `/readyz`
    Ready,
    /// `/debug/health`, as distribution answers it
    Debug,
}

/// What the checks have found.
#[derive(Debug, Default)]
pub struct Health {
    draining: AtomicBool,
    /// Asked by every request.
    closed: AtomicBool,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    report: Report,
    /// The checks for whose sake the API is closed.
    closing: BTreeSet<String>,
}

/// What is wrong, by the name of the check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub failing: BTreeMap<String, String>,
    pub warnings: BTreeMap<String, String>,
}

impl Report {
    pub fn ready(&self) -> bool {
        self.failing.is_empty()
    }
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Well,
    Warning(String),
    /// Others should be asked; who comes all the same is served.
    Unready(String),
    /// Nobody is served.
    Failing(String),
}

impl Health {
    /// From now on the server is not ready.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Forgets what was found: other checks begin.
    pub fn forget(&self) {
        *self.notes() = Notes::default();
        self.closed.store(false, Ordering::Relaxed);
    }

    /// Whether the API answers that it is not well, and nothing else.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn report(&self) -> Report {
        let mut report = self.notes().report.clone();
        if self.draining.load(Ordering::Relaxed) {
            report
                .failing
                .insert("draining".to_owned(), "the server is about to stop".to_owned());
        }
        report
    }

    /// Whether all is well, and the JSON that says so or why not.
    pub fn answer(&self, probe: Probe) -> (bool, Value) {
        let found = self.report();
        let ready = found.ready();
        match probe {
            Probe::Alive => (true, json!({"status": "alive"})),
            Probe::Ready => {
                let status = if ready { "ready" } else { "not ready" };
                let body = json!({"status": status, "failing": found.failing, "warnings": found.warnings});
                (ready, body)
            }
            // Distribution's form: a map of what fails, empty where nothing does.
            Probe::Debug => (ready, json!(found.failing)),
        }
    }

    /// Notes how a check ended; what changes is logged.
    fn note(&self, check: &str, outcome: Outcome) {
        let mut notes = self.notes();
        let failed = notes.report.failing.remove(check);
        let warned = notes.report.warnings.remove(check);
        notes.closing.remove(check);
        let fail = |report: &mut Report, reason: String| {
            if failed.is_none() {
                tracing::error!(check, reason, "a check fails");
            }
            report.failing.insert(check.to_owned(), reason);
        };
        match outcome {
            Outcome::Well => {
                if failed.is_some() || warned.is_some() {
                    tracing::info!(check, "well again");
                }
            }
            Outcome::Warning(reason) => {
                if warned.is_none() {
                    tracing::warn!(check, reason, "a check warns");
                }
                notes.report.warnings.insert(check.to_owned(), reason);
            }
            Outcome::Unready(reason) => fail(&mut notes.report, reason),
            Outcome::Failing(reason) => {
                notes.closing.insert(check.to_owned());
                fail(&mut notes.report, reason);
            }
        }
        self.closed.store(!notes.closing.is_empty(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_replace_one_another() {
        let health = Health::default();
        assert!(health.report().ready());
        health.note("disk", Outcome::Warning("full".to_owned()));
        assert!(health.report().ready());
        assert_eq!(health.report().warnings["disk"], "full");
        health.note("disk", Outcome::Unready("read-only".to_owned()));
        assert!(!health.report().ready() && !health.is_closed());
        health.note("disk", Outcome::Failing("gone".to_owned()));
        assert!(!health.report().ready() && health.is_closed());
        assert!(health.report().warnings.is_empty());
        health.note("disk", Outcome::Well);
        assert_eq!(health.report(), Report::default());
        assert!(!health.is_closed());
        health.drain();
        // Requests that have come are answered to the end.
        assert!(!health.report().ready() && !health.is_closed());
    }
}

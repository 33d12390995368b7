//! The thread that makes what was noted durable where it belongs, so that the journal can forget it.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use super::group::{Shared, State, number};
use super::half::Halves;
use super::record::Moment;

/// How long what was noted may wait.
const REST: Duration = Duration::from_secs(5);

/// Keeps the halves until the journal is to go, and leaves them empty.
pub fn keep(shared: &Shared, halves: &Halves) {
    let mut state = shared.state();
    while state.broken.is_none() {
        if state.is_empty() && !state.full {
            if state.closing {
                break;
            }
            state = shared.rest(state);
            continue;
        }
        let rested = shared.wanted.wait_timeout_while(state, REST, |state| {
            !state.full && !state.closing && state.broken.is_none()
        });
        state = rested.unwrap_or_else(PoisonError::into_inner).0;
        if state.broken.is_none() {
            state = checkpoint(shared, halves, state);
        }
    }
    let is_settled = state.broken.is_none();
    drop(state);
    if is_settled && let Err(error) = halves.empty() {
        tracing::warn!(%error, "the storage's journal could not be emptied");
    }
}

/// Makes all that the active half holds durable where it belongs, while the other one takes what comes.
fn checkpoint<'a>(
    shared: &'a Shared,
    halves: &Halves,
    mut state: MutexGuard<'a, State>,
) -> MutexGuard<'a, State> {
    state.switching = true;
    loop {
        state = if state.writing.is_some() {
            shared.rest(state)
        } else if state.batch.frames.is_empty() {
            break;
        } else {
            shared.write(state)
        };
    }
    let filled = state.active;
    state.active = 1 - filled;
    // Later than all before, whatever becomes of the clock.
    state.generation = Moment::now().to.max(state.generation + 1);
    state.end = 0;
    state.full = false;
    state.switching = false;
    shared.changed.notify_all();
    while state.unmade[filled] > 0 {
        state = shared.rest(state);
    }
    drop(state);
    let settled = settle(shared, halves, filled);
    let mut state = shared.state();
    if let Err(error) = settled {
        tracing::error!(%error, "the disk failed to keep what was written: no more is taken until the next start");
        state.broken = Some(number(&error));
    }
    shared.changed.notify_all();
    state
}

fn settle(shared: &Shared, halves: &Halves, filled: usize) -> io::Result<()> {
    shared.count.fetch_add(1, Ordering::Relaxed);
    rustix::fs::syncfs(&shared.folder)?;
    halves.0[filled].clear()
}

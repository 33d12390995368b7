//! Those that note at the same time: while one writes for all that have come before, the others gather.

use std::fs::File;
use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use super::half::Halves;

pub struct Shared {
    pub root: PathBuf,
    pub folder: File,
    /// Of the system that runs.
    pub boot: String,
    /// What a half may grow to, bytes.
    pub capacity: u64,
    pub state: Mutex<State>,
    pub changed: Condvar,
    /// Synchronisations so far: tests count them.
    pub count: AtomicU64,
}

/// What came of writing a batch: nothing yet, or all of it is durable, or the number of an error.
pub type Outcome = Arc<OnceLock<Result<(), i32>>>;

/// Frames that are written together.
#[derive(Default)]
pub struct Batch {
    pub frames: Vec<u8>,
    pub outcome: Outcome,
}

#[derive(Default)]
pub struct State {
    /// Taken when something is noted for the first time.
    pub halves: Option<Arc<Halves>>,
    /// The half that takes what comes, the mark of its frames, and where the last one ends.
    pub active: usize,
    pub generation: u64,
    pub end: u64,
    /// What is to be written behind that.
    pub batch: Batch,
    /// What is being written.
    pub writing: Option<Outcome>,
    /// Changes that each half holds and that are not made yet.
    pub unmade: [usize; 2],
    /// The active half must be emptied before it can take more.
    pub full: bool,
    /// The halves are about to change places.
    pub switching: bool,
    /// The journal is about to go.
    pub closing: bool,
    /// The disk's error when it failed to keep what was written: nothing can be promised any more.
    pub broken: Option<i32>,
}

impl State {
    /// Whether nothing is noted in the active half.
    pub fn is_empty(&self) -> bool {
        self.end == 0 && self.batch.frames.is_empty()
    }

    /// Whether the active half takes nothing more.
    pub fn is_closed(&self) -> bool {
        self.switching || self.full
    }
}

impl Shared {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when the batch with this outcome has one, whoever writes it.
    pub fn written<'a>(&'a self, mut state: MutexGuard<'a, State>, outcome: &Outcome) -> io::Result<()> {
        loop {
            if let Some(outcome) = outcome.get() {
                return outcome.map_err(io::Error::from_raw_os_error);
            }
            state = if state.writing.is_some() {
                self.wait(state)
            } else {
                self.write(state)
            };
        }
    }

    /// Writes what has gathered.
    pub fn write<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let batch = mem::take(&mut state.batch);
        let Some(halves) = state.halves.clone() else {
            return state;
        };
        let (active, position) = (state.active, state.end);
        state.writing = Some(Outcome::clone(&batch.outcome));
        state.end += batch.frames.len() as u64;
        drop(state);
        self.count.fetch_add(1, Ordering::Relaxed);
        let written = halves.0[active].write(&batch.frames, position);
        let written = written.map_err(|error| number(&error));
        let mut state = self.state();
        state.writing = None;
        if written.is_err() {
            // What follows would stand behind something that may be there or not: this half is done with.
            state.full = true;
            let behind = mem::take(&mut state.batch);
            let _ = behind.outcome.set(written);
        }
        let _ = batch.outcome.set(written);
        self.changed.notify_all();
        state
    }
}

/// Changes that are noted and about to be made: the half that holds them is kept until this is dropped.
pub struct Making<'a> {
    shared: &'a Shared,
    half: usize,
}

impl<'a> Making<'a> {
    pub fn new(shared: &'a Shared, state: &mut State) -> Self {
        let half = state.active;
        state.unmade[half] += 1;
        Self { shared, half }
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.unmade[self.half] -= 1;
        if state.unmade[self.half] == 0 {
            self.shared.changed.notify_all();
        }
    }
}

/// The system's number of an error, which can be told to many.
pub fn number(error: &io::Error) -> i32 {
    error
        .raw_os_error()
        .unwrap_or(rustix::io::Errno::IO.raw_os_error())
}

//! The journal of a storage folder: many small changes are made durable by one write to one file.
//!
//! Who changes something notes it here first; the change itself may then reach the disk at its leisure. Those that
//! note at the same time share a write ([`group`]). A thread has all that was noted made durable where it belongs,
//! every few seconds and when a half is full, while the other half takes what comes ([`keeper`]). After a system has
//! stopped without having been shut down, what did not last is done again before anything is served ([`replay`]). A
//! process that is killed loses nothing: what it has written is the system's.

mod group;
mod half;
mod keeper;
mod record;
mod replay;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

pub use group::Making;
use group::{Outcome, Shared, State};
use half::{Halves, LEAST};
pub use record::Change;
use record::{Moment, Record};

/// What a half may grow to, bytes, on a file system that is large enough.
const CAPACITY: u64 = 16 << 20;
/// The most that may be noted at once, bytes.
pub const PORTION: usize = 64 << 10;
/// What waits for somebody to settle it, bytes: more is written at once.
const UNSETTLED: usize = 1 << 20;
/// Of a running system: another one has started from what was on the disk.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

pub struct Journal {
    shared: Arc<Shared>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

impl Journal {
    /// Opens the journal of the storage in a folder, and does again what a system that stopped has lost.
    pub fn open(root: &Path) -> io::Result<Self> {
        let space = rustix::fs::statvfs(root)?;
        let total = space.f_blocks.saturating_mul(space.f_frsize);
        let boot = fs::read_to_string(BOOT)?;
        Self::under(root, boot.trim(), (total / 128).clamp(LEAST, CAPACITY))
    }

    fn under(root: &Path, boot: &str, capacity: u64) -> io::Result<Self> {
        replay::recover(root, boot)?;
        Ok(Self {
            shared: Arc::new(Shared {
                folder: File::open(root)?,
                root: root.to_owned(),
                boot: boot.to_owned(),
                capacity,
                state: Mutex::default(),
                changed: Condvar::new(),
                wanted: Condvar::new(),
                count: AtomicU64::new(0),
            }),
            keeper: Mutex::default(),
        })
    }

    /// Notes changes that are then to be made at once; they last when this returns.
    pub fn note(&self, changes: Vec<Change>) -> io::Result<Making<'_>> {
        let (making, outcome) = self.add(changes)?;
        self.shared.written(self.shared.state(), &outcome)?;
        Ok(making)
    }

    /// Notes changes that are then to be made at once, and last when they are [settled](Journal::settle).
    pub fn note_later(&self, changes: Vec<Change>) -> io::Result<Making<'_>> {
        let (making, outcome) = self.add(changes)?;
        let state = self.shared.state();
        if state.batch.frames.len() > UNSETTLED {
            self.shared.written(state, &outcome)?;
        }
        Ok(making)
    }

    /// Makes what was noted so far last.
    pub fn settle(&self) -> io::Result<()> {
        let state = self.shared.state();
        let outcome = match &state.writing {
            _ if !state.batch.frames.is_empty() => Outcome::clone(&state.batch.outcome),
            Some(outcome) => Outcome::clone(outcome),
            None => return Ok(()),
        };
        self.shared.written(state, &outcome)
    }

    /// Makes one file or folder durable by itself.
    pub fn synchronize(&self, file: &File) -> io::Result<()> {
        self.shared.count.fetch_add(1, Ordering::Relaxed);
        file.sync_all()
    }

    fn add(&self, changes: Vec<Change>) -> io::Result<(Making<'_>, Outcome)> {
        let record = Record {
            boot: self.shared.boot.clone(),
            moment: Moment::now(),
            changes,
        };
        let mut frame = record.frame()?;
        let mut state = self.room(frame.len() as u64)?;
        record::stamp(&mut frame, state.generation);
        if state.is_empty() {
            self.shared.wanted.notify_one();
        }
        state.batch.frames.extend(frame);
        let making = Making::new(&self.shared, &mut state);
        Ok((making, Outcome::clone(&state.batch.outcome)))
    }

    /// Waits until the active half has room for a frame of `length` bytes.
    fn room(&self, length: u64) -> io::Result<MutexGuard<'_, State>> {
        let shared = &*self.shared;
        let mut state = shared.state();
        loop {
            if let Some(number) = state.broken {
                return Err(io::Error::from_raw_os_error(number));
            }
            if !state.is_closed() {
                let halves = self.halves(&mut state)?;
                let taken = state.end + state.batch.frames.len() as u64;
                match halves.0[state.active].reserve(taken + length, shared.capacity) {
                    Ok(true) => return Ok(state),
                    Ok(false) if taken == 0 => return Err(io::ErrorKind::FileTooLarge.into()),
                    Err(error) if taken == 0 => return Err(error),
                    // It grows no more, but will be empty again.
                    Ok(false) | Err(_) => {}
                }
                state.full = true;
                shared.wanted.notify_one();
            }
            state = shared.wait(state);
        }
    }

    /// The files: taken, and the keeper with them, when something is noted for the first time.
    fn halves(&self, state: &mut State) -> io::Result<Arc<Halves>> {
        if let Some(halves) = &state.halves {
            return Ok(Arc::clone(halves));
        }
        let folder = half::folder(&self.shared.root);
        fs::create_dir_all(&folder)?;
        let halves = Arc::new(Halves::take(&folder)?);
        for half in &halves.0 {
            half.reserve(LEAST, self.shared.capacity)?;
        }
        // Their names must last before anybody relies on what they hold.
        for folder in [&folder, &self.shared.root] {
            self.synchronize(&File::open(folder)?)?;
        }
        let keeping = (Arc::clone(&self.shared), Arc::clone(&halves));
        let keeper = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || keeper::keep(&keeping.0, &keeping.1))?;
        *self.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(keeper);
        state.generation = Moment::now().to;
        state.halves = Some(Arc::clone(&halves));
        Ok(halves)
    }
}

/// All that was noted is durable where it belongs when the journal has gone.
impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.state().closing = true;
        self.shared.wanted.notify_one();
        let keeper = self.keeper.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(keeper) = keeper.take() {
            let _ = keeper.join();
        }
    }
}

//! What makes writes durable: one synchronisation for all that wait for one.
//!
//! Who writes alone has its own files and folders synchronised. Where several write at the same time, the whole
//! file system is, once for all of them: a call that begins after something was written makes it durable, whoever
//! makes the call.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

/// The synchronisations of one file system.
pub(super) struct Syncing {
    root: File,
    rounds: Mutex<Rounds>,
    ended: Condvar,
    /// Commits under way.
    writers: AtomicUsize,
    /// A commit failed: folders that it made may not be durable, and the next one may rely on them.
    doubt: AtomicBool,
    /// Synchronisations so far, of a file, a folder or everything: tests count them.
    count: AtomicU64,
}

#[derive(Default)]
struct Rounds {
    running: bool,
    begun: u64,
    done: u64,
    /// The last round that failed, and how.
    failed: Option<(u64, Errno)>,
    waiting: usize,
}

/// Somebody who writes, from the first file to the end of the last synchronisation.
pub(super) struct Writer<'a> {
    syncing: &'a Syncing,
    succeeded: bool,
}

impl Syncing {
    /// Of the file system that `root` lies on.
    pub fn new(root: &Path) -> io::Result<Self> {
        Ok(Self {
            root: File::open(root)?,
            rounds: Mutex::default(),
            ended: Condvar::new(),
            writers: AtomicUsize::new(0),
            doubt: AtomicBool::new(false),
            count: AtomicU64::new(0),
        })
    }

    pub fn writer(&self) -> Writer<'_> {
        self.writers.fetch_add(1, Ordering::SeqCst);
        Writer {
            syncing: self,
            succeeded: false,
        }
    }

    #[cfg(test)]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Makes one file or folder durable, whatever else is written.
    pub fn one(&self, file: &File) -> io::Result<()> {
        self.count.fetch_add(1, Ordering::SeqCst);
        file.sync_all()
    }

    pub fn folder(&self, folder: &Path) -> io::Result<()> {
        self.one(&File::open(folder)?)
    }

    fn rounds(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when a round that began after this call has ended.
    fn everything(&self) -> io::Result<()> {
        let mut rounds = self.rounds();
        // One that runs already may have passed what this caller has written.
        let mine = rounds.begun + 1;
        while rounds.done < mine {
            if rounds.running {
                rounds.waiting += 1;
                rounds = self.ended.wait(rounds).unwrap_or_else(PoisonError::into_inner);
                rounds.waiting -= 1;
                continue;
            }
            rounds.running = true;
            rounds.begun += 1;
            let number = rounds.begun;
            drop(rounds);
            self.count.fetch_add(1, Ordering::SeqCst);
            let outcome = rustix::fs::syncfs(&self.root);
            rounds = self.rounds();
            rounds.running = false;
            rounds.done = number;
            if let Err(error) = outcome {
                rounds.failed = Some((number, error));
            }
            self.ended.notify_all();
        }
        match rounds.failed {
            Some((number, error)) if number >= mine => Err(error.into()),
            _ => Ok(()),
        }
    }
}

impl Writer<'_> {
    /// Makes what this writer has written durable: `files` and `folders` are all of it.
    pub fn sync<'a>(
        &self,
        files: impl Iterator<Item = &'a File>,
        folders: impl Iterator<Item = &'a Path>,
    ) -> io::Result<()> {
        let syncing = self.syncing;
        // Another's folders that are not durable yet may be what this writer builds on.
        let doubt = syncing.doubt.swap(false, Ordering::SeqCst);
        if doubt || syncing.writers.load(Ordering::SeqCst) > 1 {
            return syncing.everything().inspect_err(|_| {
                syncing.doubt.store(true, Ordering::SeqCst);
            });
        }
        for file in files {
            syncing.one(file)?;
        }
        for folder in folders {
            syncing.folder(folder)?;
        }
        Ok(())
    }

    /// Ends well.
    pub fn finish(mut self) {
        self.succeeded = true;
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if !self.succeeded {
            self.syncing.doubt.store(true, Ordering::SeqCst);
        }
        self.syncing.writers.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
impl Syncing {
    /// Keeps rounds from beginning.
    pub fn hold(&self) {
        let mut rounds = self.rounds();
        assert!(!rounds.running, "nobody synchronises yet");
        rounds.running = true;
    }

    /// Lets them begin once so many wait for one.
    pub fn release_when_waiting(&self, count: usize) {
        while self.rounds().waiting < count {
            std::thread::yield_now();
        }
        self.rounds().running = false;
        self.ended.notify_all();
    }
}

//! The two files of a journal: one takes frames while what the other holds is made durable where it belongs.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::record::{self, FRAME, Record};

/// A half grows by this much, in zeros: a write that changes no length costs its disk no more than itself.
pub const STEP: u64 = 256 << 10;
/// How many processes may write to one folder at the same time.
const SLOTS: usize = 16;

/// One file. The zeros at its beginning say that nothing in it is to be done again; so does an empty one.
pub struct Half {
    file: File,
    allocated: AtomicU64,
}

/// Both files, held by one process.
pub struct Halves(pub [Half; 2]);

impl Halves {
    /// The first pair that no other process holds; made where there is none.
    pub fn take(folder: &Path) -> io::Result<Self> {
        for slot in 0..SLOTS {
            let options = || {
                let mut options = OpenOptions::new();
                options
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .mode(0o600);
                options
            };
            if let Some(halves) = Self::open(folder, slot, options)? {
                // One that is to be settled first is somebody else's matter.
                if halves.records()?.is_empty() {
                    return Ok(halves);
                }
            }
        }
        Err(io::Error::other(format!(
            "{SLOTS} processes write to this folder already"
        )))
    }

    /// Those that are there and that no process holds.
    pub fn left(folder: &Path) -> Vec<Self> {
        let options = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true);
            options
        };
        (0..SLOTS)
            // A folder that may only be read has none that could be settled.
            .map_while(|slot| Self::open(folder, slot, options).ok())
            .flatten()
            .collect()
    }

    fn open(folder: &Path, slot: usize, options: impl Fn() -> OpenOptions) -> io::Result<Option<Self>> {
        let path = |half: char| folder.join(format!("journal-{slot}{half}"));
        let first = options().open(path('a'))?;
        match first.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let second = options().open(path('b'))?;
        Ok(Some(Self([Half::new(first)?, Half::new(second)?])))
    }

    /// What is to be done again, in its order.
    pub fn records(&self) -> io::Result<Vec<(u64, Vec<Record>)>> {
        let mut found = Vec::new();
        for half in &self.0 {
            found.extend(half.records()?);
        }
        Ok(found)
    }

    /// Says that nothing is to be done again, and gives the space back.
    pub fn empty(&self) -> io::Result<()> {
        for half in &self.0 {
            half.file.set_len(0)?;
            half.allocated.store(0, Ordering::Relaxed);
            half.file.sync_all()?;
        }
        Ok(())
    }
}

impl Half {
    fn new(file: File) -> io::Result<Self> {
        let allocated = AtomicU64::new(file.metadata()?.len());
        Ok(Self { file, allocated })
    }

    /// Sees to it that the file has `length` bytes, of at most `capacity`; whether it has them.
    pub fn reserve(&self, length: u64, capacity: u64) -> io::Result<bool> {
        let allocated = self.allocated.load(Ordering::Relaxed);
        if length <= allocated {
            return Ok(true);
        }
        let wanted = length.next_multiple_of(STEP);
        if wanted > capacity {
            return Ok(false);
        }
        let zeros = vec![0; usize::try_from(wanted - allocated).unwrap_or(0)];
        if let Err(error) = self.file.write_all_at(&zeros, allocated) {
            let _ = self.file.set_len(allocated);
            return Err(error);
        }
        self.allocated.store(wanted, Ordering::Relaxed);
        Ok(true)
    }

    /// Frames that are durable after this.
    pub fn write(&self, frames: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(frames, offset)?;
        self.file.sync_data()
    }

    /// Says that what it holds need not be done again.
    pub fn clear(&self) -> io::Result<()> {
        self.write(&[0; FRAME], 0)
    }

    pub fn records(&self) -> io::Result<Option<(u64, Vec<Record>)>> {
        let mut head = [0; FRAME];
        let length = self.file.metadata()?.len();
        if length < FRAME as u64 {
            return Ok(None);
        }
        self.file.read_exact_at(&mut head, 0)?;
        if head == [0; FRAME] {
            return Ok(None);
        }
        let mut half = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file.read_exact_at(&mut half, 0)?;
        Ok(record::records(&half))
    }
}

/// Where the files of a storage folder's journals are.
pub fn folder(root: &Path) -> PathBuf {
    root.join(super::super::paths::OWN)
}

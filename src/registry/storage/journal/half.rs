//! The two files of a journal: one takes frames while what the other holds is made durable where it belongs.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::record::{self, FRAME, Record};

/// The least that a half may hold, bytes.
pub const LEAST: u64 = 256 << 10;
/// A half grows to what it may hold in so many steps, in zeros: a write that changes no length costs the disk no more
/// than itself, and one that does has the file system write all that is new.
const STEPS: u64 = 4;
/// How many pairs a folder may have. It takes one for each process that writes, and for each that was killed a
/// moment ago.
const SLOTS: usize = 64;

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
                if halves.boot()?.is_none() {
                    return Ok(halves);
                }
            }
        }
        Err(io::Error::other(format!(
            "{SLOTS} journals are in use in {} already",
            folder.display()
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
        // Before the one that is locked: where that is, both are.
        let second = options().open(path('b'))?;
        let first = options().open(path('a'))?;
        match first.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(Some(Self([Half::new(first)?, Half::new(second)?])))
    }

    /// The system that noted what is to be done again; none where there is nothing.
    pub fn boot(&self) -> io::Result<Option<String>> {
        for half in &self.0 {
            if let Some(first) = half.first()? {
                return Ok(Some(first.boot));
            }
        }
        Ok(None)
    }

    /// What is to be done again, each half with the mark of its frames.
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
        let step = (capacity / STEPS).max(LEAST);
        let wanted = length.next_multiple_of(step);
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

    /// What it holds first: without a read of all of it.
    pub fn first(&self) -> io::Result<Option<Record>> {
        let length = self.file.metadata()?.len();
        let mut head = [0; FRAME];
        if length < FRAME as u64 {
            return Ok(None);
        }
        self.file.read_exact_at(&mut head, 0)?;
        let frame = FRAME as u64 + record::payload(&head);
        if head == [0; FRAME] || frame > length {
            return Ok(None);
        }
        let first = record::records(&self.read(frame)?);
        Ok(first.and_then(|(_, records)| records.into_iter().next()))
    }

    fn records(&self) -> io::Result<Option<(u64, Vec<Record>)>> {
        let length = self.file.metadata()?.len();
        Ok(record::records(&self.read(length)?))
    }

    fn read(&self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

/// Where the files of a storage folder's journals are.
pub fn folder(root: &Path) -> PathBuf {
    root.join(super::super::paths::OWN)
}

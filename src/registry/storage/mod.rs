//! Where bytes are kept: the [`Storage`] trait, and nothing of what the bytes mean.
//!
//! A driver is one file here, one variant of the configuration, and one call of
//! [`conformance::check`]. Drivers are synchronous: they run on blocking threads (see `registry`).
//! Keys come from [`paths`] alone, so that no driver ever sees a path that a client wrote.

#[cfg(test)]
pub mod conformance;
mod file;
pub mod filesystem;
mod journal;
pub mod paths;
mod stamp;

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use bytes::Bytes;

pub use filesystem::Filesystem;
pub use paths::Key;
pub use stamp::Stamp;

/// A store of named objects, with what a registry needs of it and no more.
pub trait Storage: Send + Sync + 'static {
    /// A whole object that is at most `limit` bytes long.
    fn read(&self, key: &Key, limit: u64) -> Result<Bytes, StorageError>;

    /// Opens an object for reads at any place. What was opened stays readable when it is deleted.
    fn open(&self, key: &Key) -> Result<Arc<dyn Content>, StorageError>;

    fn exists(&self, key: &Key) -> Result<bool, StorageError> {
        match self.stamp(key) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What tells, without a read, whether an object or the names right under a key have changed.
    fn stamp(&self, key: &Key) -> Result<Stamp, StorageError>;

    /// The stamps of what has these names right under `key`, none where there is nothing, in their order.
    fn stamps(
        &self,
        key: &Key,
        names: &mut dyn Iterator<Item = &str>,
    ) -> Result<Vec<Option<Stamp>>, StorageError>;

    /// Takes steps in their order: readers see the old or the new of each, never a later one without those
    /// before it. After a crash each is old or new too; all survive one once this returns. Steps of requests
    /// that come at the same time share what makes them durable.
    fn commit(&self, steps: &[Step]) -> Result<(), StorageError>;

    /// Writes or replaces an object, as [`Storage::commit`] does.
    fn write(&self, key: &Key, content: &[u8]) -> Result<(), StorageError> {
        self.commit(&[Step::Write {
            key: key.clone(),
            content: Bytes::copy_from_slice(content),
        }])
    }

    /// Moves a grown object to its final key, as [`Storage::commit`] does.
    fn publish(&self, from: &Key, to: &Key) -> Result<(), StorageError> {
        self.commit(&[Step::Publish {
            from: from.clone(),
            to: to.clone(),
        }])
    }

    /// Starts an object that is to grow. It is visible at once and promises nothing until published.
    fn create(&self, key: &Key) -> Result<Box<dyn Growing>, StorageError>;

    /// Goes on with an object that [`Storage::create`] started, at its end.
    fn append(&self, key: &Key) -> Result<Box<dyn Growing>, StorageError>;

    /// Names right under `key` that come after `after`, sorted by byte, at most `limit`.
    /// Empty where there is nothing.
    fn list(&self, key: &Key, after: Option<&str>, limit: usize) -> Result<Vec<String>, StorageError>;

    /// Removes an object, or everything under a key; fine where there is nothing.
    fn delete(&self, key: &Key) -> Result<(), StorageError>;

    /// As [`Storage::delete`], for many: after a crash it may be there again, unless its folder was settled.
    fn discard(&self, key: &Key) -> Result<(), StorageError>;

    /// Makes durable what was discarded under `key`.
    fn settle(&self, key: &Key) -> Result<(), StorageError>;

    /// An object's size and the time of its last change; none where there is no such object.
    fn stat(&self, key: &Key) -> Result<Option<Stat>, StorageError>;

    /// What is left of the place that everything shares; none where there is no telling.
    fn space(&self) -> Result<Option<Space>, StorageError>;
}

/// One step of a [`Storage::commit`].
#[derive(Debug, Clone)]
pub enum Step {
    /// Writes or replaces an object.
    Write { key: Key, content: Bytes },
    /// Moves a grown object to its final key, replacing what is there.
    Publish { from: Key, to: Key },
}

/// What is known of an object without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub size: u64,
    /// Seconds since 1970.
    pub modified: u64,
}

/// Bytes of the place where everything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    pub total: u64,
    /// What this process may still write.
    pub free: u64,
}

/// An open object.
pub trait Content: Send + Sync {
    fn size(&self) -> u64;

    /// Up to `length` bytes from `offset`; fewer, and never none, before the end.
    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes>;

    /// The same into `buffer`, if it takes no waiting: none where it would.
    fn try_read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let _ = (offset, buffer);
        Ok(None)
    }

    /// The file that holds it, where one does: the kernel can send that without our reading it.
    fn file(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Waits until bytes can be had from the file without more waiting.
    fn prepare(&self, offset: u64, length: usize) -> io::Result<()> {
        let _ = (offset, length);
        Ok(())
    }
}

/// An object that grows at its end. One writer at a time: the caller sees to it.
pub trait Growing: Send {
    /// Bytes that it holds so far.
    fn size(&self) -> u64;

    /// Takes all of the pieces or none.
    fn append_all(&mut self, pieces: &[Bytes]) -> Result<(), StorageError>;

    fn append(&mut self, piece: &[u8]) -> Result<(), StorageError> {
        self.append_all(&[Bytes::copy_from_slice(piece)])
    }
}

/// What went wrong, in which operation, on what.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("{operation} {key}: there is no such object")]
    NotFound { operation: &'static str, key: Key },
    #[error("{operation} {key}: the storage is full")]
    Full {
        operation: &'static str,
        key: Key,
        source: io::Error,
    },
    #[error("{operation} {key}: {size} bytes are more than the {limit} that are expected of it")]
    TooLarge {
        operation: &'static str,
        key: Key,
        size: u64,
        limit: u64,
    },
    #[error("{operation} {key}: {source}")]
    Failed {
        operation: &'static str,
        key: Key,
        source: io::Error,
    },
}

impl StorageError {
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Sorts an I/O error into the kinds that callers treat differently.
    fn from_io(operation: &'static str, key: &Key, source: io::Error) -> Self {
        let key = key.clone();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NotFound { operation, key },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full {
                operation,
                key,
                source,
            },
            _ => Self::Failed {
                operation,
                key,
                source,
            },
        }
    }
}

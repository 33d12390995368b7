//! Where bytes are kept: the [`Storage`] trait, and nothing of what the bytes mean.
//!
//! A driver is one file here, one variant of the configuration, and one call of
//! [`conformance::check`]. Drivers are synchronous: they run on blocking threads (see `registry`).
//! Keys come from [`paths`] alone, so that no driver ever sees a path that a client wrote.

#[cfg(test)]
pub mod conformance;
pub mod filesystem;
pub mod paths;

use std::io;
use std::sync::Arc;

use bytes::Bytes;

pub use filesystem::Filesystem;
pub use paths::Key;

/// A store of named objects, with what a registry needs of it and no more.
pub trait Storage: Send + Sync + 'static {
    /// A whole object that is at most `limit` bytes long.
    fn read(&self, key: &Key, limit: u64) -> Result<Bytes, StorageError>;

    /// Opens an object for reads at any place. What was opened stays readable when it is deleted.
    fn open(&self, key: &Key) -> Result<Arc<dyn Content>, StorageError>;

    fn exists(&self, key: &Key) -> Result<bool, StorageError>;

    /// Writes or replaces an object: readers see the old or the new, and it survives a crash once this returns.
    fn write(&self, key: &Key, content: &[u8]) -> Result<(), StorageError>;

    /// Starts an object that is to grow. It is visible at once and promises nothing until published.
    fn create(&self, key: &Key) -> Result<Box<dyn Growing>, StorageError>;

    /// Goes on with an object that [`Storage::create`] started, at its end.
    fn append(&self, key: &Key) -> Result<Box<dyn Growing>, StorageError>;

    /// Moves a grown object to its final key, replacing what is there; durable once this returns.
    fn publish(&self, from: &Key, to: &Key) -> Result<(), StorageError>;

    /// Names right under `key` that come after `after`, sorted by byte, at most `limit`.
    /// Empty where there is nothing.
    fn list(&self, key: &Key, after: Option<&str>, limit: usize) -> Result<Vec<String>, StorageError>;

    /// Removes an object, or everything under a key; fine where there is nothing.
    fn delete(&self, key: &Key) -> Result<(), StorageError>;

    /// As [`Storage::delete`], for many: after a crash it may be there again, unless its folder was settled.
    fn discard(&self, key: &Key) -> Result<(), StorageError>;

    /// Makes durable what was discarded right under `key`.
    fn settle(&self, key: &Key) -> Result<(), StorageError>;

    /// An object's size and the time of its last change; none where there is no such object.
    fn stat(&self, key: &Key) -> Result<Option<Stat>, StorageError>;

    /// What is left of the place that everything shares; none where there is no telling.
    fn space(&self) -> Result<Option<Space>, StorageError>;
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
}

/// An object that grows at its end. One writer at a time: the caller sees to it.
pub trait Growing: Send {
    /// Bytes that it holds so far.
    fn size(&self) -> u64;

    fn append(&mut self, piece: &[u8]) -> Result<(), StorageError>;
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

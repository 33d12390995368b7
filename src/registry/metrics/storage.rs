//! A storage driver that counts what the one within it does.
//!
//! What is not there is an answer, not an error: most of a registry's questions are "is it there?".

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::metrics;
use crate::registry::storage::{Content, Growing, Key, Space, Stamp, Stat, Step, Storage, StorageError};

pub struct Measured<S>(pub S);

fn measured<T>(
    action: &'static str,
    work: impl FnOnce() -> Result<T, StorageError>,
) -> Result<T, StorageError> {
    let start = Instant::now();
    let outcome = work();
    let metrics = metrics();
    metrics
        .storage
        .get_or_create(&[("action", action)])
        .observe(start.elapsed().as_secs_f64());
    if outcome.as_ref().is_err_and(|error| !error.is_not_found()) {
        metrics.storage_errors.get_or_create(&[("action", action)]).inc();
    }
    outcome
}

impl<S: Storage> Storage for Measured<S> {
    fn read(&self, key: &Key, limit: u64) -> Result<Bytes, StorageError> {
        measured("read", || self.0.read(key, limit))
    }

    fn open(&self, key: &Key) -> Result<Arc<dyn Content>, StorageError> {
        measured("open", || self.0.open(key))
    }

    fn stamp(&self, key: &Key) -> Result<Stamp, StorageError> {
        measured("stamp", || self.0.stamp(key))
    }

    fn stamps(
        &self,
        key: &Key,
        names: &mut dyn Iterator<Item = &str>,
    ) -> Result<Vec<Option<Stamp>>, StorageError> {
        measured("stamps", || self.0.stamps(key, names))
    }

    fn commit(&self, steps: &[Step]) -> Result<(), StorageError> {
        measured("commit", || self.0.commit(steps))
    }

    fn create(&self, key: &Key) -> Result<Box<dyn Growing>, StorageError> {
        measured("create", || self.0.create(key))
    }

    fn append(&self, key: &Key) -> Result<Box<dyn Growing>, StorageError> {
        measured("append", || self.0.append(key))
    }

    fn list(&self, key: &Key, after: Option<&str>, limit: usize) -> Result<Vec<String>, StorageError> {
        measured("list", || self.0.list(key, after, limit))
    }

    fn delete(&self, key: &Key) -> Result<(), StorageError> {
        measured("delete", || self.0.delete(key))
    }

    fn discard(&self, key: &Key) -> Result<(), StorageError> {
        measured("discard", || self.0.discard(key))
    }

    fn settle(&self, key: &Key) -> Result<(), StorageError> {
        measured("settle", || self.0.settle(key))
    }

    fn stat(&self, key: &Key) -> Result<Option<Stat>, StorageError> {
        measured("stat", || self.0.stat(key))
    }

    fn space(&self) -> Result<Option<Space>, StorageError> {
        measured("space", || self.0.space())
    }
}

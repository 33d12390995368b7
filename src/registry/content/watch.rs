//! How long work tells how far it is, and hears that it shall stop.

use super::ContentError;
use crate::registry::storage::StorageError;

/// Who waits for long work.
pub trait Watch: Sync {
    /// `done` of `total`, where that is known. False: stop here.
    fn progress(&self, phase: &'static str, done: u64, total: Option<u64>) -> bool;

    /// The same, as an error that ends the work.
    fn step(&self, phase: &'static str, done: u64, total: Option<u64>) -> Result<(), CareError> {
        if self.progress(phase, done, total) {
            Ok(())
        } else {
            Err(CareError::Stopped)
        }
    }
}

/// Nobody waits.
pub struct Unwatched;

impl Watch for Unwatched {
    fn progress(&self, _: &'static str, _: u64, _: Option<u64>) -> bool {
        true
    }
}

/// Why the care of a storage ended early.
#[derive(Debug, thiserror::Error)]
pub enum CareError {
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error("stopped before its end; what was done is done")]
    Stopped,
    #[error("keep a list of digests: {0}")]
    Scratch(#[from] std::io::Error),
}

impl From<StorageError> for CareError {
    fn from(error: StorageError) -> Self {
        Self::Content(error.into())
    }
}

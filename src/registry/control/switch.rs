//! Read-only mode while a server runs: a word over the configuration's, gone with the process.

use std::sync::atomic::{AtomicU8, Ordering};

use super::perform::Switch;
use crate::registry::api::Service;

const AS_CONFIGURED: u8 = 0;
const OFF: u8 = 1;
const ON: u8 = 2;

/// On, off, or as the configuration has it.
#[derive(Debug, Default)]
pub struct Override(AtomicU8);

impl Override {
    pub fn set(&self, on: bool) {
        self.0.store(if on { ON } else { OFF }, Ordering::Relaxed);
    }

    pub fn over(&self, configured: bool) -> bool {
        match self.0.load(Ordering::Relaxed) {
            AS_CONFIGURED => configured,
            word => word == ON,
        }
    }
}

impl Switch for Service {
    fn is_read_only(&self) -> bool {
        self.read_only.over(self.config().storage.read_only)
    }

    fn set_read_only(&self, on: bool) {
        self.read_only.set(on);
    }
}

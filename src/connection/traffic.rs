//! What a connection costs: tests hold it to its promises, `-vvv` shows it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one link, readable while it works.
#[derive(Debug, Default)]
pub struct Traffic {
    exchanges: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Traffic {
    /// How often the controller said something and then had to wait for the answer.
    pub fn exchanges(&self) -> u64 {
        self.exchanges.load(Ordering::Relaxed)
    }

    /// Bytes to the agent, before encryption.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Bytes from the agent.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(super) fn add_exchange(&self) {
        self.exchanges.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn add_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

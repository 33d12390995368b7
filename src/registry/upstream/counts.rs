//! What the mirrors have done since the start: one set for all upstreams, which the metrics show, too.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::registry::metrics::{Lookup, metrics};

/// A number that only grows.
#[derive(Debug)]
pub struct Count {
    name: &'static str,
    lookup: Option<Lookup>,
    value: AtomicU64,
}

impl Count {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            lookup: None,
            value: AtomicU64::new(0),
        }
    }

    /// One that is a way in which a lookup ends.
    const fn of(name: &'static str, lookup: Lookup) -> Self {
        Self {
            lookup: Some(lookup),
            ..Self::new(name)
        }
    }

    pub fn add(&self, more: u64) {
        self.value.fetch_add(more, Ordering::Relaxed);
        match self.lookup {
            Some(lookup) => metrics().looked_up("upstream", lookup),
            None => metrics().mirrored(self.name, more),
        }
    }

    pub fn get(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
pub struct Counts {
    /// Manifests and blobs that were served without a request to the upstream.
    pub hits: Count,
    /// Those that had to be fetched.
    pub misses: Count,
    /// Tags that were served although the upstream could not be asked.
    pub stale: Count,
    /// Tags that the upstream has confirmed.
    pub confirmed: Count,
    /// Requests to upstreams, and those that failed. That something is not there is no failure.
    pub requests: Count,
    pub failures: Count,
    /// Bytes of manifests and blobs that came from upstreams.
    pub bytes: Count,
    /// Blobs that were handed on without being kept, since the storage did not take them.
    pub passed: Count,
    /// Manifests and blobs that nobody had asked for during their time, and were let go.
    pub expired: Count,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            hits: Count::of("hits", Lookup::Hit),
            misses: Count::of("misses", Lookup::Miss),
            stale: Count::of("stale", Lookup::Stale),
            confirmed: Count::of("confirmed", Lookup::Revalidated),
            requests: Count::new("requests"),
            failures: Count::new("failures"),
            bytes: Count::new("bytes"),
            passed: Count::new("passed"),
            expired: Count::new("expired"),
        }
    }
}

//! What the mirrors have done since the start: for whoever shows it.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All of them, for all upstreams together.
#[derive(Debug, Default)]
pub struct Counts {
    /// Manifests and blobs that were served without a request to the upstream.
    pub hits: Count,
    /// Those that had to be fetched.
    pub misses: Count,
    /// Tags that the upstream has confirmed.
    pub confirmed: Count,
    /// Tags that were served although the upstream could not be asked.
    pub stale: Count,
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

impl Counts {
    /// Name, meaning and value of each.
    pub fn all(&self) -> [(&'static str, &'static str, u64); 9] {
        [
            (
                "hits",
                "manifests and blobs served without asking an upstream",
                self.hits.get(),
            ),
            (
                "misses",
                "manifests and blobs fetched from an upstream",
                self.misses.get(),
            ),
            (
                "confirmed",
                "tags that an upstream has confirmed",
                self.confirmed.get(),
            ),
            (
                "stale",
                "tags served although the upstream could not be asked",
                self.stale.get(),
            ),
            ("requests", "requests to upstreams", self.requests.get()),
            (
                "failures",
                "requests to upstreams that failed",
                self.failures.get(),
            ),
            (
                "bytes",
                "bytes of content that came from upstreams",
                self.bytes.get(),
            ),
            ("passed", "blobs handed on without being kept", self.passed.get()),
            (
                "expired",
                "manifests and blobs let go since nobody asked for them",
                self.expired.get(),
            ),
        ]
    }
}

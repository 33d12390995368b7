//! What is counted while the server runs, and how Prometheus reads it.
//!
//! One process is one server, so there is one set of counters, [`metrics`], that any layer may count in
//! with one line. Names and labels are distribution's where it has the same. No label holds what a client
//! chooses: neither repositories nor users, so the number of series is bounded.

mod exposition;
mod process;
mod storage;

use std::sync::LazyLock;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use exposition::{Form, text};
pub use storage::Measured;

use super::route::Endpoint;

/// Upper ends of the buckets of durations, in seconds: a manifest takes parts of a millisecond, a layer minutes.
const DURATIONS: [f64; 16] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0,
];
/// Methods that requests are counted by; others are clients' inventions.
const METHODS: [(&str, &str); 7] = [
    ("GET", "get"),
    ("HEAD", "head"),
    ("PUT", "put"),
    ("POST", "post"),
    ("PATCH", "patch"),
    ("DELETE", "delete"),
    ("OPTIONS", "options"),
];

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// The process's counters.
pub fn metrics() -> &'static Metrics {
    &METRICS
}

/// A label with one of a few values.
type One = [(&'static str, &'static str); 1];
type Two = [(&'static str, &'static str); 2];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    handler: &'static str,
    method: &'static str,
    code: u32,
}

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    durations: Family<Two, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    sent: Family<One, Counter>,
    received: Counter,
    storage: Family<One, Histogram, fn() -> Histogram>,
    storage_errors: Family<One, Counter>,
    cache: Family<Two, Counter>,
    mirrored: Family<One, Counter>,
    work: Family<Two, Counter>,
    events: Family<One, Counter>,
    events_dropped: Counter,
    notifications: Family<[(&'static str, String); 2], Counter>,
    pending: Family<[(&'static str, String); 1], Gauge>,
    spans_dropped: Counter,
}

/// How looking into a cache ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    Hit,
    Miss,
    /// Too old, and still what the upstream has.
    Revalidated,
    /// Too old, and served because the upstream did not answer.
    Stale,
}

impl Lookup {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Revalidated => "revalidated",
            Self::Stale => "stale",
        }
    }
}

impl Metrics {
    fn new() -> Self {
        let mut all = Registry::default();
        all.register_collector(Box::new(process::Process::now()));
        let registry = all.sub_registry_with_prefix("registry");
        let histogram: fn() -> Histogram = || Histogram::new(DURATIONS);
        let metrics = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(histogram),
            in_flight: Gauge::default(),
            sent: Family::default(),
            received: Counter::default(),
            storage: Family::new_with_constructor(histogram),
            storage_errors: Family::default(),
            cache: Family::default(),
            mirrored: Family::default(),
            work: Family::default(),
            events: Family::default(),
            events_dropped: Counter::default(),
            notifications: Family::default(),
            pending: Family::default(),
            spans_dropped: Counter::default(),
            registry: Registry::default(),
        };
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "What is running", Info::new(version));
        registry.register(
            "http_requests",
            "Requests that were answered",
            metrics.requests.clone(),
        );
        registry.register(
            "http_request_duration_seconds",
            "From a request's head to the last byte of its answer",
            metrics.durations.clone(),
        );
        registry.register(
            "http_in_flight_requests",
            "Requests under way",
            metrics.in_flight.clone(),
        );
        registry.register(
            "http_sent_bytes",
            "Bytes of answers' bodies",
            metrics.sent.clone(),
        );
        registry.register(
            "http_received_bytes",
            "Bytes of requests' bodies",
            metrics.received.clone(),
        );
        registry.register(
            "storage_action_seconds",
            "Operations of the storage driver",
            metrics.storage.clone(),
        );
        registry.register(
            "storage_errors",
            "Operations of the storage driver that failed",
            metrics.storage_errors.clone(),
        );
        registry.register("cache_lookups", "Lookups in caches", metrics.cache.clone());
        registry.register(
            "mirror",
            "What mirrors of other registries have done: requests, failures, bytes and so on",
            metrics.mirrored.clone(),
        );
        registry.register(
            "maintenance_runs",
            "Collections, scrubs and retention runs that ended",
            metrics.work.clone(),
        );
        registry.register("events", "What happened to content", metrics.events.clone());
        registry.register(
            "events_dropped",
            "Events that a listener was too slow for",
            metrics.events_dropped.clone(),
        );
        registry.register(
            "notifications_events",
            "Events by endpoint: delivered, retried, dropped",
            metrics.notifications.clone(),
        );
        registry.register(
            "notifications_pending",
            "Events that wait for their endpoint",
            metrics.pending.clone(),
        );
        registry.register(
            "traces_spans_dropped",
            "Spans that could not be exported",
            metrics.spans_dropped.clone(),
        );
        Self {
            registry: all,
            ..metrics
        }
    }

    /// A request's head has come; the guard's end is the end of its answer.
    pub fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(())
    }

    /// A request has been answered to its end.
    pub fn answered(
        &self,
        handler: &'static str,
        method: &hyper::Method,
        code: u16,
        took: Duration,
        sent: u64,
    ) {
        let method = method_label(method);
        let answered = Answered {
            handler,
            method,
            code: code.into(),
        };
        self.requests.get_or_create(&answered).inc();
        self.durations
            .get_or_create(&[("handler", handler), ("method", method)])
            .observe(took.as_secs_f64());
        if sent > 0 {
            self.sent.get_or_create(&[("handler", handler)]).inc_by(sent);
        }
    }

    /// A piece of a request's body has come.
    pub fn received(&self, bytes: usize) {
        self.received.inc_by(bytes as u64);
    }

    /// `cache` is `manifest` or `upstream`.
    pub fn looked_up(&self, cache: &'static str, outcome: Lookup) {
        self.cache
            .get_or_create(&[("cache", cache), ("outcome", outcome.as_str())])
            .inc();
    }

    /// `what` is one of the counts of mirrors of other registries.
    pub fn mirrored(&self, what: &'static str, more: u64) {
        self.mirrored.get_or_create(&[("what", what)]).inc_by(more);
    }

    /// A collection, a scrub or a retention run has ended.
    pub fn worked(&self, work: &'static str, well: bool) {
        let outcome = if well { "done" } else { "failed" };
        self.work
            .get_or_create(&[("work", work), ("outcome", outcome)])
            .inc();
    }

    pub(super) fn happened(&self, action: &'static str) {
        self.events.get_or_create(&[("action", action)]).inc();
    }

    pub(super) fn dropped_event(&self) {
        self.events_dropped.inc();
    }

    pub(super) fn notified(&self, endpoint: &str, outcome: &str, events: u64) {
        let labels = [("endpoint", endpoint.to_owned()), ("outcome", outcome.to_owned())];
        self.notifications.get_or_create(&labels).inc_by(events);
    }

    pub(super) fn pending(&self, endpoint: &str, events: usize) {
        let labels = [("endpoint", endpoint.to_owned())];
        let events = i64::try_from(events).unwrap_or(i64::MAX);
        self.pending.get_or_create(&labels).set(events);
    }

    pub(super) fn dropped_spans(&self, spans: u64) {
        self.spans_dropped.inc_by(spans);
    }
}

/// A request that is under way.
pub struct InFlight(());

impl Drop for InFlight {
    fn drop(&mut self) {
        METRICS.in_flight.dec();
    }
}

fn method_label(method: &hyper::Method) -> &'static str {
    METHODS
        .iter()
        .find(|(name, _)| *name == method.as_str())
        .map_or("other", |(_, label)| label)
}

/// What an endpoint is counted under; distribution's names where it has them.
pub fn handler(endpoint: &Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Root => "root",
        Endpoint::Base => "base",
        Endpoint::Token | Endpoint::PostToken | Endpoint::TokenKeys => "token",
        Endpoint::Catalog(_) => "catalog",
        Endpoint::Tags(..) => "tags",
        Endpoint::GetManifest(..) | Endpoint::PutManifest(..) | Endpoint::DeleteManifest(..) => "manifest",
        Endpoint::GetBlob(..) | Endpoint::DeleteBlob(..) => "blob",
        Endpoint::StartUpload(..) => "blob_upload",
        Endpoint::UploadStatus(..)
        | Endpoint::AppendUpload(..)
        | Endpoint::FinishUpload(..)
        | Endpoint::CancelUpload(..) => "blob_upload_chunk",
        Endpoint::Referrers(..) => "referrers",
        Endpoint::Probe(_) => "health",
        Endpoint::Metrics => "metrics",
        Endpoint::Page(_) => "page",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_clients_invent_are_one_series() {
        assert_eq!(method_label(&hyper::Method::PATCH), "patch");
        assert_eq!(method_label(&"BREW".parse().unwrap()), "other");
    }
}

//! The pull-through cache: repositories whose content is another registry's, fetched when it is first asked for.
//!
//! | file | |
//! |---|---|
//! | `names` | which upstream a repository comes from (pure) |
//! | `ask`, `login`, `challenge`, `limits` | one request to an upstream: who asks, how often, what its answer means |
//! | `manifests` | by digest from here; by tag confirmed now and then, stale while the upstream fails |
//! | `blobs`, `flights`, `following` | one fetch for each blob, read by all who wait while it grows |
//! | `marks`, `expiry` | what is used is marked so, and what nobody asks for is let go |
//! | `listing` | tags and referrers as the upstream has them |
//!
//! What was fetched is ordinary content of a repository here: it is served, collected and scrubbed as everything
//! else. Nothing is believed that its digest does not prove, but what a tag names. Nobody but the upstream's owner
//! can say who may read there: whoever may read the repository here reads as whom this registry logs in as.

mod ask;
mod blobs;
mod challenge;
pub mod counts;
mod error;
mod expiry;
mod flights;
mod following;
mod limits;
mod listing;
mod login;
mod manifests;
mod marks;
mod names;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hyper::header::HeaderMap;
use hyper::{Method, Response};
use tokio::sync::watch;

pub use ask::Upstream;
pub use blobs::Found;
pub use error::{Shared, UpstreamError};
pub use expiry::expire;
pub use following::Pieces;
pub use manifests::Served;
pub use names::{Lost, origin, settle};

use super::config::{MinFree, Proxy};
use super::content::Registry;
use super::name::{NameError, RepositoryName};
use super::outbound::Arriving;
use super::telemetry::Parent;
use counts::Counts;

/// All upstreams, and what is under way with them. It outlives every configuration.
pub struct Mirrors {
    registry: Arc<Registry>,
    pub counts: Arc<Counts>,
    upstreams: Mutex<HashMap<String, Arc<Upstream>>>,
    asked: Once<manifests::Key, Result<Served, Shared>>,
    absent: Mutex<HashMap<manifests::Key, Instant>>,
    flights: flights::Flights,
}

/// What of the content of others may be kept now.
#[derive(Debug, Clone, Copy)]
pub struct Keeps {
    /// In read-only mode what comes is handed on, and nothing is written.
    pub anything: bool,
    /// Less room than this is left to pushes' manifests.
    pub min_free: MinFree,
}

/// A repository whose content comes from an upstream.
#[derive(Clone)]
pub struct Mirrored {
    mirrors: Arc<Mirrors>,
    upstream: Arc<Upstream>,
    name: RepositoryName,
    /// What it is called there.
    remote: RepositoryName,
    keeps: Keeps,
    /// The span of the request that it is wanted by.
    trace: Option<Parent>,
}

impl Mirrors {
    pub fn new(registry: Arc<Registry>) -> Arc<Self> {
        Arc::new(Self {
            registry,
            counts: Arc::default(),
            upstreams: Mutex::default(),
            asked: Once::default(),
            absent: Mutex::default(),
            flights: flights::Flights::default(),
        })
    }

    /// The repository of an upstream that a name of ours stands for; none if it is our own.
    pub fn find(
        self: &Arc<Self>,
        proxy: &Proxy,
        name: &RepositoryName,
        keeps: Keeps,
        trace: Option<Parent>,
    ) -> Result<Option<Mirrored>, NameError> {
        Ok(origin(proxy, name)?.map(|origin| Mirrored {
            mirrors: Arc::clone(self),
            upstream: self.upstream(origin.key, origin.upstream),
            name: origin.local,
            remote: origin.remote,
            keeps,
            trace,
        }))
    }

    /// The state of an upstream: a new one when its configuration has changed.
    fn upstream(&self, key: &str, config: &super::config::Upstream) -> Arc<Upstream> {
        let mut upstreams = locked(&self.upstreams);
        match upstreams.get(key) {
            Some(upstream) if upstream.config == *config => Arc::clone(upstream),
            _ => {
                let upstream = Arc::new(Upstream::new(config, Arc::clone(&self.counts)));
                upstreams.insert(key.to_owned(), Arc::clone(&upstream));
                upstream
            }
        }
    }
}

impl Mirrored {
    /// Asks the upstream for `rest` of the repository.
    async fn ask(
        &self,
        method: Method,
        rest: &str,
        headers: HeaderMap,
        kind: limits::Kind,
    ) -> Result<Response<Arriving>, UpstreamError> {
        let trace = self.trace.as_ref();
        self.upstream
            .ask(method, &self.remote, rest, headers, kind, trace)
            .await
    }

    /// Runs storage work on a blocking thread.
    async fn content<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Registry, &RepositoryName) -> T + Send + 'static,
    ) -> Result<T, UpstreamError> {
        let _span = self.trace.as_ref().map(Parent::storage);
        let (registry, name) = (Arc::clone(&self.mirrors.registry), self.name.clone());
        let work = tokio::task::spawn_blocking(move || work(&registry, &name));
        work.await
            .map_err(|error| UpstreamError::Internal(error.to_string()))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds since 1970.
fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0)
}

/// Work that is done once for all who ask for it at the same time, and to its end when they go away.
struct Once<K, T>(Arc<Mutex<HashMap<K, watch::Receiver<Option<T>>>>>);

impl<K, T> Default for Once<K, T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Hash + Eq + Clone + Send + 'static, T: Clone + Send + Sync + 'static> Once<K, T> {
    /// The result of `work`, or of the same that is under way. None where it panicked.
    async fn run<F>(&self, key: K, work: impl FnOnce() -> F) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut receiver = {
            let mut running = locked(&self.0);
            match running.get(&key) {
                // One whose work has panicked has no sender any more.
                Some(receiver) if receiver.has_changed().is_ok() => receiver.clone(),
                _ => {
                    let (sender, receiver) = watch::channel(None);
                    running.insert(key.clone(), receiver.clone());
                    let (work, running) = (work(), Arc::clone(&self.0));
                    tokio::spawn(async move {
                        let result = work.await;
                        locked(&running).remove(&key);
                        sender.send_replace(Some(result));
                    });
                    receiver
                }
            }
        };
        let result = receiver.wait_for(Option::is_some).await.ok()?;
        result.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn work_is_done_once_for_all_and_again_after_a_panic() {
        let once: Arc<Once<u8, usize>> = Arc::default();
        let count = Arc::new(AtomicUsize::new(0));
        let start = Arc::new(tokio::sync::Semaphore::new(0));
        let ask = || {
            let (once, count, start) = (Arc::clone(&once), Arc::clone(&count), Arc::clone(&start));
            tokio::spawn(async move {
                once.run(1, || async move {
                    let _ = start.acquire().await;
                    count.fetch_add(1, Ordering::SeqCst) + 1
                })
                .await
            })
        };
        let all: Vec<_> = (0..100).map(|_| ask()).collect();
        while locked(&once.0).is_empty() {
            tokio::task::yield_now().await;
        }
        start.add_permits(1);
        for asked in all {
            assert_eq!(asked.await.unwrap(), Some(1));
        }
        assert_eq!(ask().await.unwrap(), Some(2));
        assert_eq!(once.run(2, || async { panic!("on purpose") }).await, None);
        assert_eq!(once.run(2, || async { 7 }).await, Some(7));
    }
}

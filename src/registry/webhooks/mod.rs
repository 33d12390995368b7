//! Webhooks: what happens, told to other servers in distribution's notification format.
//!
//! Each endpoint has a queue of its own on the disk, under `regdeploy/notifications/` of the storage folder,
//! and gets its events one after the other, in the order in which they happened. What it does not take is
//! tried again until it does: neither its downtime nor a restart of this server loses anything, unless
//! the queue outgrows its bound. An event can come twice (after a crash), always with the same id.
//!
//! An event is on the disk some milliseconds after its request was answered, and the disk is not made to
//! write it down: a crash of the process loses no more than those, a crash of the machine some seconds.

mod deliver;
mod spool;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use super::config::{Endpoint, Notifications};
use super::events::{Event, Events};
use super::metrics::metrics;
use deliver::Delivery;
use spool::Spool;

/// Where queues are kept, below the storage's root.
const FOLDER: &str = "regdeploy/notifications";
/// Events that go to the disk in one file.
const BATCH: usize = 256;

/// Why an endpoint cannot be told anything.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error("{operation} {path}, the queue of notifications for `{endpoint}`: {source}")]
    Spool {
        operation: &'static str,
        path: PathBuf,
        endpoint: String,
        source: std::io::Error,
    },
}

/// All endpoints at work.
pub struct Webhooks {
    writers: Vec<JoinHandle<()>>,
    deliveries: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl Webhooks {
    /// Opens the endpoints' queues and starts their deliveries.
    pub fn start(configured: &Notifications, root: &Path, events: &mut Events) -> Result<Self, WebhookError> {
        let (mut writers, mut deliveries) = (Vec::new(), Vec::new());
        let stop = watch::Sender::new(false);
        for endpoint in configured.endpoints.iter().filter(|endpoint| !endpoint.disabled) {
            let endpoint = Arc::new(endpoint.clone());
            let spool = Arc::new(Spool::open(&root.join(FOLDER), &endpoint.name)?);
            let more = Arc::new(Notify::new());
            let delivery = Delivery::new(Arc::clone(&endpoint), Arc::clone(&spool), Arc::clone(&more));
            deliveries.push(tokio::spawn(delivery.run()));
            let writer = Writer {
                endpoint,
                spool,
                more,
            };
            writers.push(tokio::spawn(writer.run(events.listen(), stop.subscribe())));
        }
        Ok(Self {
            writers,
            deliveries,
            stop,
        })
    }

    /// Ends deliveries where they are and writes down what is left.
    pub async fn finish(self) {
        for delivery in self.deliveries {
            delivery.abort();
        }
        self.stop.send_replace(true);
        for writer in self.writers {
            let _ = writer.await;
        }
    }
}

/// Takes events from the server and puts on the disk those that the endpoint wants.
struct Writer {
    endpoint: Arc<Endpoint>,
    spool: Arc<Spool>,
    more: Arc<Notify>,
}

impl Writer {
    async fn run(self, mut queue: mpsc::Receiver<Arc<Event>>, mut stop: watch::Receiver<bool>) {
        let mut batch = Vec::new();
        loop {
            let received = tokio::select! {
                received = queue.recv_many(&mut batch, BATCH) => received,
                // An error means that everything has gone, which is as good a reason.
                _ = stop.wait_for(|stop| *stop) => break,
            };
            if received == 0 {
                return;
            }
            self.write(std::mem::take(&mut batch)).await;
        }
        queue.close();
        while queue.recv_many(&mut batch, BATCH).await > 0 {
            self.write(std::mem::take(&mut batch)).await;
        }
    }

    async fn write(&self, mut events: Vec<Arc<Event>>) {
        events.retain(|event| wants(&self.endpoint, event));
        if events.is_empty() {
            return;
        }
        let count = events.len() as u64;
        let spool = Arc::clone(&self.spool);
        let lost = || metrics().notified(&self.endpoint.name, "dropped", count);
        match tokio::task::spawn_blocking(move || spool.push(&events)).await {
            Ok(Ok(true)) => self.more.notify_one(),
            Ok(Ok(false)) => lost(),
            Ok(Err(error)) => {
                lost();
                tracing::error!(%error, count, "notifications are lost");
            }
            Err(error) => tracing::error!(%error, "writing notifications panicked"),
        }
    }
}

fn wants(endpoint: &Endpoint, event: &Event) -> bool {
    !endpoint.ignored_actions.contains(&event.action)
        && !endpoint.ignored_media_types.contains(&event.target.media_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::events::{Action, Actor, RequestRecord, Target};

    #[tokio::test]
    async fn what_is_ignored_is_not_queued() {
        let mut events = Events::new("here".to_owned(), false);
        let mut queue = events.listen();
        let target = Target {
            media_type: "a/b".to_owned(),
            ..Target::default()
        };
        events.tell(Action::Push, target, RequestRecord::default(), Actor::default());
        let event = queue.recv().await.unwrap();
        let mut endpoint = Endpoint::default();
        assert!(wants(&endpoint, &event));
        endpoint.ignored_media_types = vec!["a/b".to_owned()];
        assert!(!wants(&endpoint, &event));
        endpoint.ignored_media_types.clear();
        endpoint.ignored_actions = vec![Action::Push];
        assert!(!wants(&endpoint, &event));
    }
}

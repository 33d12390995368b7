//! Delivery to one endpoint: the oldest event first, again and again until it is taken.
//!
//! Each event is one POST, an envelope with a list of one, as distribution sends them. An answer below 400
//! takes it. After `threshold` failures in a row each further attempt waits for `backoff`; the first ones
//! follow faster.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::Notify;

use super::spool::Spool;
use crate::registry::config::Endpoint;
use crate::registry::events::Event;
use crate::registry::metrics::metrics;
use crate::registry::outbound::{Options, Outbound};

pub const MEDIA_TYPE: &str = "application/vnd.docker.distribution.events.v1+json";
/// The wait after a first failure; it doubles up to `backoff`.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// How long to wait where the queue itself cannot be read.
const DISK_WAIT: Duration = Duration::from_secs(10);

pub struct Delivery {
    endpoint: Arc<Endpoint>,
    spool: Arc<Spool>,
    more: Arc<Notify>,
    client: Outbound,
    failures: u32,
}

impl Delivery {
    pub fn new(endpoint: Arc<Endpoint>, spool: Arc<Spool>, more: Arc<Notify>) -> Self {
        let client = Outbound::new(Options {
            connect: endpoint.timeout,
            response: endpoint.timeout,
            stall: endpoint.timeout,
            redirects: 0,
            ..Options::default()
        });
        Self {
            endpoint,
            spool,
            more,
            client,
            failures: 0,
        }
    }

    /// Delivers for ever.
    pub async fn run(mut self) {
        loop {
            let spool = Arc::clone(&self.spool);
            let batch = match tokio::task::spawn_blocking(move || spool.oldest()).await {
                Ok(Ok(Some(batch))) => batch,
                Ok(Ok(None)) => {
                    self.more.notified().await;
                    continue;
                }
                Ok(Err(error)) => {
                    tracing::error!(%error, "notifications wait");
                    tokio::time::sleep(DISK_WAIT).await;
                    continue;
                }
                // Only while the process ends.
                Err(_) => return,
            };
            for event in &batch.events {
                self.deliver(event).await;
            }
            let spool = Arc::clone(&self.spool);
            if let Ok(Err(error)) = tokio::task::spawn_blocking(move || spool.done(&batch)).await {
                tracing::error!(%error, "notifications that were delivered stay and will come again");
                tokio::time::sleep(DISK_WAIT).await;
            }
        }
    }

    async fn deliver(&mut self, event: &Event) {
        let body = Bytes::from(json!({"events": [event]}).to_string());
        loop {
            let Err(error) = self.post(body.clone()).await else {
                if self.failures >= self.endpoint.threshold {
                    tracing::info!(endpoint = self.endpoint.name, "notifications are taken again");
                }
                self.failures = 0;
                metrics().notified(&self.endpoint.name, "delivered", 1);
                return;
            };
            self.failures = self.failures.saturating_add(1);
            metrics().notified(&self.endpoint.name, "retried", 1);
            // Once, not for each attempt of what may last for days.
            if self.failures == self.endpoint.threshold {
                tracing::warn!(
                    endpoint = self.endpoint.name,
                    error,
                    "notifications are not taken; trying on"
                );
            } else {
                tracing::debug!(
                    endpoint = self.endpoint.name,
                    error,
                    "a notification was not taken"
                );
            }
            tokio::time::sleep(self.wait()).await;
        }
    }

    /// How long to wait after so many failures.
    fn wait(&self) -> Duration {
        let Endpoint {
            threshold, backoff, ..
        } = *self.endpoint;
        if self.failures >= threshold {
            return backoff;
        }
        FIRST_WAIT
            .saturating_mul(1 << self.failures.saturating_sub(1).min(16))
            .min(backoff)
    }

    async fn post(&self, body: Bytes) -> Result<(), String> {
        let Endpoint { url, headers, .. } = &*self.endpoint;
        let status = self.client.post(url.as_str(), MEDIA_TYPE, headers, body).await?;
        if status.as_u16() < 400 {
            Ok(())
        } else {
            Err(format!("answered {status}"))
        }
    }
}

//! Those who watch the server at work: webhooks, health checks, traces. Started before the first request,
//! ended after the last.

use std::sync::Arc;

use tokio::net::TcpListener;

use super::ServeError;
use crate::registry::api::Service;
use crate::registry::config::Config;
use crate::registry::events::Events;
use crate::registry::health::{self, Health};
use crate::registry::storage::Storage;
use crate::registry::telemetry::{self, Exporting};
use crate::registry::webhooks::Webhooks;

pub struct Observers {
    pub health: Arc<Health>,
    webhooks: Webhooks,
    traces: Option<Exporting>,
}

impl Observers {
    pub fn start(
        config: &Config,
        listener: &TcpListener,
        storage: &Arc<dyn Storage>,
    ) -> Result<(Events, Self), ServeError> {
        let mut events = Events::new(own_address(listener), config.notifications.references);
        let webhooks = Webhooks::start(&config.notifications, &config.storage.root, &mut events)?;
        let health = Arc::new(Health::default());
        for check in health::all(config, storage) {
            tokio::spawn(check.run(Arc::clone(&health)));
        }
        let observers = Self {
            health,
            webhooks,
            traces: telemetry::start(),
        };
        Ok((events, observers))
    }

    /// What has not been told yet is told, or written down for the next start.
    pub async fn finish(self) {
        self.webhooks.finish().await;
        if let Some(traces) = self.traces {
            traces.finish().await;
        }
    }
}

/// What this server calls itself in events: `HOST:PORT`.
fn own_address(listener: &TcpListener) -> String {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy();
    let port = listener.local_addr().map_or(0, |address| address.port());
    format!("{host}:{port}")
}

impl Service {
    /// What of this server is counted only when somebody asks: name, meaning, value.
    pub fn gauges(&self) -> Vec<(&'static str, &'static str, u64)> {
        let free = health::free_bytes(&self.config.storage.root);
        free.map(|free| {
            (
                "registry_storage_free_bytes",
                "Bytes that the storage still has room for",
                free,
            )
        })
        .into_iter()
        .collect()
    }
}

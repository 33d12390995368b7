//! Those who watch the server at work: webhooks, health checks, traces.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::ServeError;
use super::background::{Background, Life};
use super::listen::Listener;
use crate::registry::api::Service;
use crate::registry::config::Config;
use crate::registry::events::Events;
use crate::registry::health::{self, Health};
use crate::registry::storage::Storage;
use crate::registry::telemetry::{self, Exporting};
use crate::registry::webhooks::Webhooks;

pub struct Observers {
    health: Arc<Health>,
    storage: Arc<dyn Storage>,
    webhooks: Webhooks,
    traces: Option<Exporting>,
}

impl Observers {
    /// Starts those who have to be there before the first request.
    pub fn start(
        config: &Config,
        listener: &Listener,
        storage: &Arc<dyn Storage>,
    ) -> Result<(Events, Self), ServeError> {
        let mut events = Events::new(own_address(listener), config.notifications.references);
        let webhooks = Webhooks::start(&config.notifications, &config.storage.root, &mut events)?;
        let observers = Self {
            health: Arc::default(),
            storage: Arc::clone(storage),
            webhooks,
            traces: telemetry::start(),
        };
        Ok((events, observers))
    }

    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// Lets all of them live as long as the server does.
    pub fn observe(self, background: &mut Background) {
        let Self {
            health,
            storage,
            webhooks,
            traces,
        } = self;
        background.spawn("health", |life| look_after(life, health, storage));
        background.spawn("notifications", |mut life| async move {
            life.drained().await;
            webhooks.finish().await;
        });
        if let Some(traces) = traces {
            background.spawn("traces", |mut life| async move {
                life.drained().await;
                traces.finish().await;
            });
        }
    }
}

/// Runs the checks of the configuration in force until the server drains.
async fn look_after(mut life: Life, health: Arc<Health>, storage: Arc<dyn Storage>) {
    let mut config = life.config();
    let mut ends = life.clone();
    loop {
        let mut checks = JoinSet::new();
        for check in health::all(&config, &storage) {
            checks.spawn(check.run(Arc::clone(&health)));
        }
        tokio::select! {
            next = life.reconfigured() => config = next,
            () = ends.draining() => break,
        }
        checks.shutdown().await;
        health.forget();
    }
    health.drain();
}

/// What this server calls itself in events: `HOST:PORT`, where it has a port.
fn own_address(listener: &Listener) -> String {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy();
    match listener.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.into_owned(),
    }
}

impl Service {
    /// What of this server is counted only when somebody asks: name, meaning, value. Asks the storage.
    pub fn gauges(&self) -> Vec<(&'static str, &'static str, u64)> {
        let uploads = self.registry.uploads_under_way() as u64;
        let mut gauges = vec![("registry_uploads_open", "Uploads that are under way", uploads)];
        if let Ok(Some(space)) = self.registry.space() {
            gauges.push((
                "registry_storage_free_bytes",
                "Bytes that can still be written",
                space.free,
            ));
            gauges.push((
                "registry_storage_size_bytes",
                "Bytes of the place of all data",
                space.total,
            ));
        }
        gauges
    }
}

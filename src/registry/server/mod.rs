//! The process's life: listen, take connections, stop when told to.
//!
//! SIGTERM or SIGINT ends the accepting; requests under way have `http.draintimeout` to end. SIGHUP reads the
//! configuration again. A panic ends the connection that it happened on and nothing else.

pub mod background;
mod certificates;
mod connection;
pub mod debug;
mod listen;
mod observers;
mod patience;
mod reload;
mod sending;
mod service_manager;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

use super::access::{Access, AccessError};
use super::api::Service;
use super::config::{Config, Live, Origin};
use super::content::Registry;
use super::control::{Lock, LockError};
use super::metrics::Measured;
use super::storage::{Filesystem, Storage};
use super::tls::{Keeper, TlsError};
use super::upstream::Mirrors;
use super::webhooks::WebhookError;
use background::Background;
use connection::Connections;
use listen::{Accepted, Listener};
use observers::Observers;

/// How long accepting rests when the system has no descriptor left: connections that end give some back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Threads for storage work. More would only wait for the same disk.
pub const STORAGE_THREADS: usize = 64;

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("open the storage folder {path}: {source}")]
    Storage { path: PathBuf, source: io::Error },
    #[error("listen on {address}: {source}")]
    Listen { address: String, source: io::Error },
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Webhooks(#[from] WebhookError),
    #[error("watch for signals: {0}")]
    Signals(io::Error),
}

/// Serves until a signal says stop. `origin` is where `config` came from, and newer ones will.
pub async fn serve(config: Config, origin: Origin) -> Result<(), ServeError> {
    let (sender, live) = Live::new(config);
    let config = live.now();
    let storage = Filesystem::new(&config.storage.root).map_err(|source| ServeError::Storage {
        path: config.storage.root.clone(),
        source,
    })?;
    let _lock = lock(&config.storage.root)?;
    let keeper = Keeper::start(&config)?;
    let listener = Listener::bind(&config.http.address).await?;
    let second = match &config.http.debug.address {
        None => None,
        Some(address) => Some(Listener::bind(address).await?),
    };
    let access = Access::open(&config)?;
    raise_descriptor_limit();
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(ServeError::Signals)?;
    let with = if keeper.is_some() { "TLS" } else { "without TLS" };
    tracing::info!("listening on {}, {with}", listener.shown());
    if let Some(second) = &second {
        tracing::info!("debugging on {}", second.shown());
    }
    let storage: Arc<dyn Storage> = Arc::new(Measured(storage));
    let (events, observers) = Observers::start(&config, &listener, &storage)?;
    service_manager::ready();

    let graceful = GracefulShutdown::new();
    let registry = Arc::new(Registry::new(storage));
    let service = Arc::new(Service {
        mirrors: Mirrors::new(Arc::clone(&registry)),
        registry,
        live: live.clone(),
        access,
        events,
        health: observers.health(),
    });
    let mut background = Background::new(live);
    background::start(&mut background, &service);
    observers.observe(&mut background);
    let tls = keeper.as_ref().map(Keeper::offer);
    if let Some(keeper) = keeper {
        let offer = keeper.offer();
        background.spawn("certificates", |life| certificates::keep(life, keeper));
        background.spawn("ACME", |life| certificates::renew(life, offer));
    }
    if let Some(second) = second {
        let service = Arc::clone(&service);
        background.spawn("debugging", |life| debug::serve(life, second, service));
    }
    if let Some(expected) = service_manager::watchdog() {
        background.spawn("watchdog", |life| service_manager::live(life, expected));
    }
    let connections = Arc::new(Connections { service, tls });
    let reloads = async {
        while hangup.recv().await.is_some() {
            service_manager::reloading();
            // Files are read, and secrets among them.
            let (origin, sender) = (origin.clone(), sender.clone());
            let _ = tokio::task::spawn_blocking(move || reload::reload(&origin, &sender)).await;
            service_manager::ready();
        }
    };
    tokio::select! {
        () = accept(&listener, &connections, &graceful, config.http.max_connections) => {}
        () = reloads => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    drop(listener);
    service_manager::stopping();
    background.drain();
    tracing::info!(requests = graceful.count(), "stopping");
    let drain_timeout = connections.service.config().http.drain_timeout;
    if tokio::time::timeout(drain_timeout, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("the drain timeout is over; what is still under way is cut off");
    }
    background.end().await;
    Ok(())
}

/// As many descriptors as the system lets it have: each connection is one, and so is the file that it reads.
/// The limit that a shell starts with keeps to the 1024 that `select` can count.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Takes the data folder for this process. One that cannot be written to needs no lock, and is served.
fn lock(root: &Path) -> Result<Option<Lock>, LockError> {
    match Lock::take(root, "a server") {
        Err(LockError::Failed { path, source })
            if matches!(
                source.kind(),
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
            ) =>
        {
            tracing::warn!(path = %path.display(), error = %source, "the data folder is not locked");
            Ok(None)
        }
        taken => taken.map(Some),
    }
}

/// Takes connections for ever, no more than `limit` at a time: the others wait in the kernel's queue.
async fn accept(
    listener: &Listener,
    connections: &Arc<Connections>,
    graceful: &GracefulShutdown,
    limit: usize,
) {
    let room = Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok(accepted) => {
                let (connections, watcher) = (Arc::clone(connections), graceful.watcher());
                tokio::spawn(async move {
                    match accepted {
                        Accepted::Tcp(stream, peer) => connections.serve(stream, peer, watcher).await,
                        Accepted::Unix(stream) => connections.serve_local(stream, watcher).await,
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

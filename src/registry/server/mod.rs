//! The process's life: listen, take connections, stop when told to.
//!
//! SIGTERM or SIGINT ends the accepting; requests under way have `http.draintimeout` to end. SIGHUP reads the
//! configuration again. A panic ends the connection that it happened on and nothing else.

pub mod background;
mod connection;
mod patience;
mod reload;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::api::Service;
use super::config::{Address, Config, Live, Origin};
use super::content::Registry;
use super::storage::Filesystem;
use super::tls::{self, TlsError};
use super::upstream::Mirrors;
use background::Background;
use connection::Connections;

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
    Tls(#[from] TlsError),
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
    let tls = match (&config.http.tls.certificate, &config.http.tls.key) {
        (Some(certificate), Some(key)) => Some(tls::load(certificate, key, config.http.tls.minimum)?),
        _ => None,
    };
    let listener = listen(&config.http.address).await?;
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(ServeError::Signals)?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(
            "listening on {address}, {}",
            if tls.is_some() { "TLS" } else { "without TLS" }
        );
    }
    notify(NotifyState::Ready);

    let graceful = GracefulShutdown::new();
    let registry = Arc::new(Registry::new(Arc::new(storage)));
    let service = Arc::new(Service {
        mirrors: Mirrors::new(Arc::clone(&registry)),
        registry,
        live: live.clone(),
    });
    let mut background = Background::new(live);
    background::start(&mut background, &service);
    let connections = Arc::new(Connections {
        service,
        tls: tls.map(TlsAcceptor::from),
    });
    let reloads = async {
        while hangup.recv().await.is_some() {
            // Files are read, and secrets among them.
            let (origin, sender) = (origin.clone(), sender.clone());
            let _ = tokio::task::spawn_blocking(move || reload::reload(&origin, &sender)).await;
        }
    };
    tokio::select! {
        () = accept(&listener, &connections, &graceful, config.http.max_connections) => {}
        () = reloads => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    drop(listener);
    notify(NotifyState::Stopping);
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

async fn listen(address: &Address) -> Result<TcpListener, ServeError> {
    let (shown, bound) = match *address {
        Address::One(address) => (address.to_string(), TcpListener::bind(address).await),
        Address::Any(port) => {
            let both = TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).await;
            let bound = match both {
                // A kernel without IPv6.
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                    TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).await
                }
                both => both,
            };
            (format!("port {port}"), bound)
        }
    };
    bound.map_err(|source| ServeError::Listen {
        address: shown,
        source,
    })
}

/// Takes connections for ever, no more than `limit` at a time: the others wait in the kernel's queue.
async fn accept(
    listener: &TcpListener,
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
            Ok((stream, peer)) => {
                let (connections, watcher) = (Arc::clone(connections), graceful.watcher());
                tokio::spawn(async move {
                    connections.serve(stream, peer, watcher).await;
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

/// Tells systemd, where it is the one that started this.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "telling the service manager failed");
    }
}

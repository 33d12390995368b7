//! Verbs on a data folder, whether a server runs on it or not.
//!
//! One process at a time works on a folder: it holds [`lock`]. A server also listens on a socket in the folder;
//! a verb that finds it there has the server do the work and shows what comes back, and otherwise takes the
//! lock and does the same work itself ([`perform`]). What travels is [`message`]: a line of JSON for the
//! request, then raw bytes where the verb brings a file, and lines of JSON back. Who may open the socket may
//! do all of it, so it is the server's user's alone.

mod client;
mod lock;
pub mod message;
mod perform;
mod running;
mod schedule;
mod server;
mod told;

pub use client::{Asked, ask};
pub use lock::{Lock, LockError};
pub use perform::Workplace;
pub use running::Running;
pub use told::By;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::access::audit::AuditError;
use super::api::Service;
use super::server::background::Background;
use super::storage::paths::OWN;

const SOCKET: &str = "control.sock";

/// The folder of what is not distribution's.
pub fn own_folder(root: &Path) -> PathBuf {
    root.join(OWN)
}

/// Why a verb was not done.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("talk to the server on {path}: {source}")]
    Server { path: PathBuf, source: io::Error },
    #[error("the server on {path} ended before its answer")]
    Cut { path: PathBuf },
    #[error("there is no storage folder {0}; a server makes it when it starts")]
    NoFolder(PathBuf),
    #[error("open the storage folder {path}: {source}")]
    Storage { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error("an answer that cannot be understood: {0}")]
    Answer(#[from] serde_json::Error),
    /// What the work itself says.
    #[error("{0}")]
    Failed(String),
}

/// That there is a data folder. A verb makes none: a path that is misspelt would be an empty registry.
pub fn need_folder(root: &Path) -> Result<(), ControlError> {
    if root.is_dir() {
        Ok(())
    } else {
        Err(ControlError::NoFolder(root.to_owned()))
    }
}

/// Starts a server's parts of it: the socket, and what is done by itself.
pub fn start(background: &mut Background, service: &Arc<Service>) {
    let root = service.config().storage.root.clone();
    let running: Arc<dyn Running> = Arc::<Service>::clone(service);
    let workplace = Arc::new(Workplace::new(
        Arc::clone(&service.registry),
        &root,
        Arc::clone(&service.access.audit),
        Some(running),
    ));
    let scheduled = Arc::clone(&workplace);
    background.spawn("control", |mut life| async move {
        tokio::select! {
            () = server::serve(root, workplace) => {}
            () = life.draining() => {}
        }
    });
    background.spawn("care", |life| schedule::keep(life, scheduled));
}

//! SSH, by libssh2: one connection for a host's whole run.

mod authentication;
pub(super) mod known_hosts;
mod session;
mod settings;

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use self::session::Spawn;
use self::settings::{Settings, Surroundings};
use super::channel::Channel;
use super::{Connection, ConnectionError, SshOptions};
use crate::resolve::resolve;

/// A session that is logged in. Its thread ends when this is dropped and the last process is over.
pub struct Ssh {
    host: String,
    spawns: mpsc::Sender<Spawn>,
    wake: Arc<UnixStream>,
}

/// All addresses of the host, in the order in which they are to be tried.
async fn addresses(settings: &Settings) -> Result<Vec<SocketAddr>, String> {
    let limit = settings.timeout;
    let found = tokio::time::timeout(limit, resolve(&settings.address))
        .await
        .map_err(|_| format!("no name server answered within {} s", limit.as_secs()))?
        .map_err(|error| format!("{error}: correct it or set ansible_host to an address"))?;
    Ok(found
        .into_iter()
        .map(|address| SocketAddr::new(address, settings.port))
        .collect())
}

impl Ssh {
    pub async fn connect(options: &SshOptions) -> Result<Self, ConnectionError> {
        let host = options.host.clone();
        let configuration = |reason: String| ConnectionError::Configuration {
            host: host.clone(),
            reason,
        };
        let settings = Settings::new(options, &Surroundings::of_this_process()).map_err(configuration)?;
        let addresses = addresses(&settings)
            .await
            .map_err(|reason| ConnectionError::Unreachable {
                host: host.clone(),
                reason,
            })?;
        let (wake, woken) = UnixStream::pair()
            .and_then(|(wake, woken)| {
                wake.set_nonblocking(true)?;
                woken.set_nonblocking(true)?;
                Ok((wake, woken))
            })
            .map_err(|error| configuration(error.to_string()))?;
        let (ready, readiness) = oneshot::channel();
        let (spawns, requests) = mpsc::channel(1);
        std::thread::Builder::new()
            .name(format!("ssh {host}"))
            .spawn(move || session::run(&settings, &addresses, &woken, ready, requests))
            .map_err(|error| configuration(format!("no thread can be started: {error}")))?;
        readiness.await.map_err(|_| ConnectionError::Unreachable {
            host: host.clone(),
            reason: "the connection's thread has ended unexpectedly".to_owned(),
        })??;
        Ok(Self {
            host,
            spawns,
            wake: Arc::new(wake),
        })
    }
}

impl Connection for Ssh {
    fn spawn(&mut self, command: &str) -> Result<Channel, ConnectionError> {
        let wake = Arc::clone(&self.wake);
        let (channel, process) = Channel::pair(move || {
            // A full pair means that the thread is about to wake anyway.
            let _ = (&*wake).write(&[0]);
        });
        let spawn = Spawn {
            command: command.to_owned(),
            process,
        };
        self.spawns
            .try_send(spawn)
            .map_err(|_| ConnectionError::Unreachable {
                host: self.host.clone(),
                reason: "the connection is closed".to_owned(),
            })?;
        Ok(channel)
    }
}

//! Where connections come in: TCP on one address or all of them, or a socket in the file system.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::ServeError;
use crate::registry::config::Address;
use crate::resolve::resolve;

pub enum Listener {
    Tcp(TcpListener),
    /// Removed when it is dropped.
    Unix(UnixListener, PathBuf),
}

/// A connection that has come in.
pub enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    pub async fn bind(address: &Address) -> Result<Self, ServeError> {
        let (shown, bound) = match address {
            Address::One(address) => (
                address.to_string(),
                TcpListener::bind(address).await.map(Self::Tcp),
            ),
            Address::Named(host, port) => (format!("{host}:{port}"), named(host, *port).await.map(Self::Tcp)),
            Address::Any(port) => (format!("port {port}"), any(*port).await.map(Self::Tcp)),
            Address::Unix(path) => (
                path.display().to_string(),
                unix(path).map(|listener| Self::Unix(listener, path.clone())),
            ),
        };
        bound.map_err(|source| ServeError::Listen {
            address: shown,
            source,
        })
    }

    /// The address with the port that the system chose.
    pub fn shown(&self) -> String {
        match self {
            Self::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|error| error.to_string(), |address| address.to_string()),
            Self::Unix(_, path) => path.display().to_string(),
        }
    }

    /// The TCP port, where it is one.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
            Self::Unix(..) => None,
        }
    }

    pub async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok(Accepted::Tcp(stream, peer))
            }
            Self::Unix(listener, _) => Ok(Accepted::Unix(listener.accept().await?.0)),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Listens on one address of a host, as Go does: IPv4 before IPv6.
async fn named(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut addresses = resolve(host).await?;
    addresses.sort_by_key(IpAddr::is_ipv6);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in addresses {
        match TcpListener::bind((address, port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn any(port: u16) -> io::Result<TcpListener> {
    match TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).await {
        // A kernel without IPv6.
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).await
        }
        both => both,
    }
}

/// A socket that a process left behind which is no more is in nobody's way.
fn unix(path: &Path) -> io::Result<UnixListener> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket
        && std::os::unix::net::UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    {
        std::fs::remove_file(path)?;
    }
    UnixListener::bind(path)
}

//! TCP connections.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::resolve::resolve;

/// The first address that answers within the time.
pub fn connect(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let deadline = Instant::now() + timeout;
    let runtime = runtime()?;
    let addresses = runtime
        .block_on(async { tokio::time::timeout(timeout, resolve(host)).await })
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let mut untried = addresses.len();
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(&SocketAddr::new(address, port), share(left, untried)) {
            Ok(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
        untried -= 1;
    }
    Err(last)
}

/// The same over asynchronous streams.
pub async fn connect_async(host: &str, port: u16, timeout: Duration) -> io::Result<tokio::net::TcpStream> {
    let deadline = Instant::now() + timeout;
    let addresses = resolve(host).await?;
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let mut untried = addresses.len();
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now());
        let attempt = tokio::net::TcpStream::connect((address, port));
        match tokio::time::timeout(share(left, untried), attempt).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
        untried -= 1;
    }
    Err(last)
}

/// One address's part of the time: a family that leads nowhere must not use up what the other needs.
fn share(left: Duration, untried: usize) -> Duration {
    let addresses = u32::try_from(untried.max(1)).unwrap_or(u32::MAX);
    left / addresses
}

/// Modules are plain blocking code: each of their requests has a small runtime to itself.
pub fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_takes_all_the_time() {
        let second = Duration::from_secs(1);
        assert_eq!(share(second, 2), second / 2);
        assert_eq!(share(second, 1), second);
    }

    #[test]
    fn a_closed_port_is_refused() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(connect("localhost", port, Duration::from_secs(5)).is_ok());
        drop(listener);
        let error = connect("127.0.0.1", port, Duration::from_secs(5)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}

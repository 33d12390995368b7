//! Names and TCP connections.
//!
//! A static executable has no name service of the C library's: names go through `/etc/hosts` and then the
//! servers of `/etc/resolv.conf`.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;

/// The addresses that a name (or an address, in brackets or not) stands for, in the order to try.
pub async fn resolve(host: &str) -> io::Result<Vec<IpAddr>> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let listed = hosts_file(host);
    if !listed.is_empty() {
        return Ok(listed);
    }
    let resolver = TokioResolver::builder_tokio()
        .and_then(hickory_resolver::ResolverBuilder::build)
        .map_err(io::Error::other)?;
    let found: Vec<IpAddr> = resolver
        .lookup_ip(host)
        .await
        .map_err(|error| io::Error::new(io::ErrorKind::NotFound, error.to_string()))?
        .iter()
        .collect();
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(found)
}

/// Hickory reads the file once and then asks for both address families; this is what people test with.
fn hosts_file(host: &str) -> Vec<IpAddr> {
    let text = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let mut found = in_hosts(&text, host);
    if found.is_empty() && host.eq_ignore_ascii_case("localhost") {
        found = vec![
            IpAddr::from([127, 0, 0, 1]),
            IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        ];
    }
    found
}

/// hosts(5).
fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words
                .any(|name| name.eq_ignore_ascii_case(host))
                .then_some(address)
        })
        .collect()
}

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
    fn hosts_lines_have_aliases_and_comments() {
        let text = "127.0.0.1 localhost\n10.0.0.5\tregistry registry.lan # 10.0.0.6 other\nbad line\n::1 localhost\n";
        assert_eq!(in_hosts(text, "Registry.LAN"), [IpAddr::from([10, 0, 0, 5])]);
        assert_eq!(in_hosts(text, "localhost").len(), 2);
        assert_eq!(in_hosts(text, "other"), Vec::<IpAddr>::new());
    }

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

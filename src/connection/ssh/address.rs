//! From a host's name to addresses.
//!
//! The executable is static, so the C library's resolver (and whatever NSS would load) is not used:
//! `/etc/hosts` first, then DNS as `/etc/resolv.conf` says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;

/// All addresses of a host, in the order in which they are to be tried.
pub async fn resolve(name: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>, String> {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let mut addresses = in_hosts(&hosts, name);
    if addresses.is_empty() && name.eq_ignore_ascii_case("localhost") {
        addresses = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    if addresses.is_empty() {
        addresses = tokio::time::timeout(limit, in_dns(name))
            .await
            .map_err(|_| format!("no name server answered within {} s", limit.as_secs()))??;
    }
    Ok(addresses
        .into_iter()
        .map(|address| SocketAddr::new(address, port))
        .collect())
}

async fn in_dns(name: &str) -> Result<Vec<IpAddr>, String> {
    let resolver = TokioResolver::builder_tokio()
        .and_then(hickory_resolver::ResolverBuilder::build)
        .map_err(|error| format!("`{name}` cannot be looked up: {error}"))?;
    let found = resolver.lookup_ip(name).await.map_err(|error| {
        format!("the name `{name}` is not known ({error}): correct it or set ansible_host to an address")
    })?;
    Ok(found.iter().collect())
}

/// The addresses that an `/etc/hosts` file has for a name.
fn in_hosts(text: &str, name: &str) -> Vec<IpAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words
                .any(|word| word.eq_ignore_ascii_case(name))
                .then_some(address)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hosts_files() {
        let text = "127.0.0.1 localhost # web\n::1 localhost\n192.0.2.1 web.example Web\nnonsense web\n";
        assert_eq!(in_hosts(text, "web"), ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(in_hosts(text, "localhost").len(), 2);
        assert!(in_hosts(text, "other").is_empty());
    }

    #[tokio::test]
    async fn addresses_are_taken_as_they_are() {
        let limit = Duration::from_secs(1);
        let v6 = resolve("[::1]", 2222, limit).await.unwrap();
        assert_eq!(v6, ["[::1]:2222".parse::<SocketAddr>().unwrap()]);
        let v4 = resolve("192.0.2.1", 22, limit).await.unwrap();
        assert_eq!(v4, ["192.0.2.1:22".parse::<SocketAddr>().unwrap()]);
    }
}

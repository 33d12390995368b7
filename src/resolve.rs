//! From a host's name to addresses.
//!
//! The executable is static, so the C library's resolver (and whatever NSS would load) is not used:
//! `/etc/hosts` first, then DNS as `/etc/resolv.conf` says.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_resolver::TokioResolver;

/// The addresses that a name (or an address, in brackets or not) stands for, in the order to try.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] for a name that nobody knows; otherwise that nobody could be asked.
pub async fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
    let name = name.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let listed = in_hosts(&hosts, name);
    if !listed.is_empty() {
        return Ok(listed);
    }
    if name.eq_ignore_ascii_case("localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    in_dns(name).await
}

async fn in_dns(name: &str) -> io::Result<Vec<IpAddr>> {
    let unknown = || io::Error::new(io::ErrorKind::NotFound, format!("the name `{name}` is not known"));
    let resolver = TokioResolver::builder_tokio()
        .and_then(hickory_resolver::ResolverBuilder::build)
        .map_err(io::Error::other)?;
    let found: Vec<IpAddr> = match resolver.lookup_ip(name).await {
        Ok(found) => found.iter().collect(),
        Err(error) if error.is_nx_domain() || error.is_no_records_found() => return Err(unknown()),
        Err(error) => return Err(io::Error::other(format!("`{name}` cannot be looked up: {error}"))),
    };
    if found.is_empty() {
        Err(unknown())
    } else {
        Ok(found)
    }
}

/// The addresses that a hosts(5) file has for a name.
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
    fn hosts_lines_have_aliases_and_comments() {
        let text = "127.0.0.1 localhost\n10.0.0.5\tregistry registry.lan # 10.0.0.6 other\nbad line\n::1 localhost\n";
        assert_eq!(in_hosts(text, "Registry.LAN"), [IpAddr::from([10, 0, 0, 5])]);
        assert_eq!(in_hosts(text, "localhost").len(), 2);
        assert_eq!(in_hosts(text, "other"), Vec::<IpAddr>::new());
    }

    #[tokio::test]
    async fn addresses_are_taken_as_they_are() {
        assert_eq!(resolve("[::1]").await.unwrap(), [IpAddr::V6(Ipv6Addr::LOCALHOST)]);
        assert_eq!(
            resolve("192.0.2.1").await.unwrap(),
            [IpAddr::from([192, 0, 2, 1])]
        );
    }
}

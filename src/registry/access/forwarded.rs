//! Who is behind a proxy: `Forwarded` (RFC 7239) and `X-Forwarded-*`, from proxies that are trusted and nobody else.
//!
//! Each proxy adds the address that it was called from at the end, so the list is read from its end: what a
//! trusted proxy has said is believed, up to the first address that is none. Everything before it was written by
//! the client and is not looked at.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// What the proxies say of the request; none where they say nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forwarded {
    pub address: Option<IpAddr>,
    pub secure: Option<bool>,
    pub host: Option<String>,
}

/// The values of the headers, in the order in which they came.
#[derive(Debug, Clone, Default)]
pub struct Said<'a> {
    pub forwarded: Vec<&'a str>,
    pub x_for: Vec<&'a str>,
    pub x_proto: Option<&'a str>,
    pub x_host: Option<&'a str>,
}

impl Forwarded {
    pub fn read(peer: IpAddr, trusted: &[IpNet], said: &Said<'_>) -> Self {
        let is_trusted = |address: IpAddr| {
            let address = address.to_canonical();
            trusted.iter().any(|network| network.contains(&address))
        };
        if !is_trusted(peer) {
            return Self::default();
        }
        let mut found = Self::default();
        if said.forwarded.is_empty() {
            let hops: Vec<&str> = said.x_for.iter().flat_map(|value| value.split(',')).collect();
            for hop in hops.iter().rev() {
                let Some(address) = address(hop) else { break };
                found.address = Some(address);
                if !is_trusted(address) {
                    break;
                }
            }
            found.secure = said.x_proto.and_then(secure);
            found.host = said.x_host.and_then(host);
        } else {
            let hops: Vec<&str> = said.forwarded.iter().flat_map(|value| value.split(',')).collect();
            for hop in hops.iter().rev() {
                let parameter = |wanted: &str| {
                    let mut pairs = hop.split(';').filter_map(|pair| pair.split_once('='));
                    pairs
                        .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
                        .map(|(_, value)| value.trim().trim_matches('"'))
                };
                // The proxy nearest to the client knows how the client came.
                found.secure = parameter("proto").and_then(secure).or(found.secure);
                found.host = parameter("host").and_then(host).or(found.host);
                let Some(address) = parameter("for").and_then(address) else {
                    break;
                };
                found.address = Some(address);
                if !is_trusted(address) {
                    break;
                }
            }
        }
        found
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse::<IpAddr>().ok();
    address
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .map(|address| address.to_canonical())
}

fn secure(text: &str) -> Option<bool> {
    match text.trim() {
        "https" => Some(true),
        "http" => Some(false),
        _ => None,
    }
}

fn host(text: &str) -> Option<String> {
    let host = text.trim();
    let fine = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b));
    fine.then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address_of(peer: &str, said: &Said<'_>) -> Option<String> {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let found = Forwarded::read(peer.parse().unwrap(), &trusted, said);
        found.address.map(|address| address.to_string())
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        for (peer, x_for, expected) in [
            ("192.0.2.9", "198.51.100.1", None),
            ("10.0.0.1", "198.51.100.1", Some("198.51.100.1")),
            ("::ffff:10.0.0.1", "198.51.100.1", Some("198.51.100.1")),
            ("::1", "198.51.100.1", Some("198.51.100.1")),
            // What the client has written itself stands before what the proxy has added.
            ("10.0.0.1", "1.1.1.1, 198.51.100.1", Some("198.51.100.1")),
            (
                "10.0.0.1",
                "1.1.1.1, 198.51.100.1, 10.0.0.2",
                Some("198.51.100.1"),
            ),
            ("10.0.0.1", "10.0.0.3,10.0.0.2", Some("10.0.0.3")),
            ("10.0.0.1", "[2001:db8::1]:1234", Some("2001:db8::1")),
            ("10.0.0.1", "2001:db8::1", Some("2001:db8::1")),
            ("10.0.0.1", "198.51.100.1:80", Some("198.51.100.1")),
            ("10.0.0.1", "198.51.100.1, nonsense", None),
            ("10.0.0.1", "nonsense, 10.0.0.2", Some("10.0.0.2")),
            ("10.0.0.1", "", None),
        ] {
            let said = Said {
                x_for: vec![x_for],
                ..Said::default()
            };
            assert_eq!(address_of(peer, &said).as_deref(), expected, "{peer} {x_for}");
        }
    }

    #[test]
    fn the_standard_s_header_goes_before_the_others() {
        let said = Said {
            forwarded: vec![
                "for=1.1.1.1;proto=http;host=evil",
                "for=\"[2001:db8::7]:47011\";Proto=https;host=registry.example, for=10.0.0.2;proto=http",
            ],
            x_for: vec!["198.51.100.1"],
            ..Said::default()
        };
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        assert_eq!(
            Forwarded::read("10.0.0.1".parse().unwrap(), &trusted, &said),
            Forwarded {
                address: Some("2001:db8::7".parse().unwrap()),
                secure: Some(true),
                host: Some("registry.example".to_owned()),
            }
        );
        let hidden = Said {
            forwarded: vec!["for=_hidden", "for=unknown"],
            ..Said::default()
        };
        assert_eq!(address_of("10.0.0.1", &hidden), None);
    }

    #[test]
    fn scheme_and_host() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let read = |peer: &str, proto, host| {
            let said = Said {
                x_proto: Some(proto),
                x_host: Some(host),
                ..Said::default()
            };
            let found = Forwarded::read(peer.parse().unwrap(), &trusted, &said);
            (found.secure, found.host)
        };
        assert_eq!(
            read("10.0.0.1", "https", "a.example:443"),
            (Some(true), Some("a.example:443".to_owned()))
        );
        assert_eq!(read("10.0.0.1", "gopher", "a\r\nb"), (None, None));
        assert_eq!(read("192.0.2.1", "https", "a"), (None, None));
    }
}

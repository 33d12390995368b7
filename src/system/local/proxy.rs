//! Which proxy, if any: `http_proxy`, `https_proxy`, `no_proxy` and their capitals.
//!
//! No standard says what they mean; this follows curl: a name in `no_proxy` covers its subdomains, `*`
//! covers all, addresses may be networks (`10.0.0.0/8`), and a port may be added.

use std::io;
use std::net::IpAddr;

use url::Url;

#[derive(Debug, PartialEq)]
pub struct Proxy {
    pub host: String,
    pub port: u16,
    /// `user:password`.
    pub credentials: Option<String>,
}

/// curl's, where the variable names no port.
const DEFAULT_PORT: u16 = 1080;

/// The proxy for a request to `host:port`.
pub fn choose(
    scheme: &str,
    host: &str,
    port: u16,
    env: impl Fn(&str) -> Option<String>,
) -> io::Result<Option<Proxy>> {
    let lower = format!("{scheme}_proxy");
    // A CGI program gets `HTTP_PROXY` from a request's `Proxy:` header: only its small form is trusted.
    let upper = (scheme != "http").then(|| lower.to_uppercase());
    let Some(text) = env(&lower)
        .or_else(|| upper.and_then(|upper| env(&upper)))
        .filter(|text| !text.trim().is_empty())
    else {
        return Ok(None);
    };
    let exceptions = env("no_proxy").or_else(|| env("NO_PROXY")).unwrap_or_default();
    if excepted(&exceptions, host, port) {
        return Ok(None);
    }
    parse(text.trim()).map(Some)
}

fn parse(text: &str) -> io::Result<Proxy> {
    let full = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let wrong = |why: &str| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("the proxy's address is wrong: {why}"),
        )
    };
    let url = Url::parse(&full).map_err(|error| wrong(&error.to_string()))?;
    if url.scheme() != "http" {
        return Err(wrong("only proxies that are spoken to over http are supported"));
    }
    let credentials = (!url.username().is_empty()).then(|| {
        let decode = |text: &str| {
            url::form_urlencoded::parse(format!("x={}", text.replace('+', "%2B")).as_bytes())
                .next()
                .map(|(_, value)| value.into_owned())
                .unwrap_or_default()
        };
        format!(
            "{}:{}",
            decode(url.username()),
            decode(url.password().unwrap_or_default())
        )
    });
    // The crate drops `:80` from the text; curl's default stands only where no port was written.
    let written_80 = full.trim_end_matches('/').ends_with(":80");
    Ok(Proxy {
        host: url
            .host_str()
            .ok_or_else(|| wrong("it names no host"))?
            .to_owned(),
        port: url.port().unwrap_or(if written_80 { 80 } else { DEFAULT_PORT }),
        credentials,
    })
}

fn excepted(exceptions: &str, host: &str, port: u16) -> bool {
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    exceptions
        .split([',', ' '])
        .map(|entry| entry.trim().to_ascii_lowercase())
        .filter(|entry| !entry.is_empty())
        .any(|entry| {
            if entry == "*" {
                return true;
            }
            if let Some(address) = address
                && let Some(network) = in_network(&entry, address)
            {
                return network;
            }
            let (name, wanted) = match entry.rsplit_once(':') {
                Some((name, digits)) if digits.parse::<u16>().is_ok() && !name.contains(':') => {
                    (name, digits.parse().ok())
                }
                _ => (entry.as_str(), None),
            };
            let name = name.trim_start_matches("*.").trim_start_matches('.');
            wanted.is_none_or(|wanted: u16| wanted == port)
                && (host == name || host.strip_suffix(name).is_some_and(|head| head.ends_with('.')))
        })
}

/// Whether the address lies in `a.b.c.d/n`; none if the entry is no network.
fn in_network(entry: &str, address: IpAddr) -> Option<bool> {
    let (network, length) = entry.split_once('/')?;
    let length: u32 = length.parse().ok()?;
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let (network, width) = bits(network.parse().ok()?);
    let (address, own_width) = bits(address);
    let mask = u128::MAX.checked_shl(128 - length.min(width)).unwrap_or(0);
    Some(width == own_width && network & mask == address & mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_cover_names_networks_and_ports() {
        for (exceptions, host, covered) in [
            ("localhost,.example.com", "www.example.com", true),
            ("example.com", "example.com", true),
            ("example.com", "badexample.com", false),
            ("example.com:8080", "example.com", false),
            ("example.com:443", "example.com", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("0.0.0.0/0", "11.1.2.3", true),
            ("::1", "[::1]", true),
            ("*", "anything", true),
            ("", "anything", false),
        ] {
            assert_eq!(excepted(exceptions, host, 443), covered, "{exceptions} {host}");
        }
    }

    #[test]
    fn addresses_with_and_without_scheme_and_credentials() {
        let env = |name: &str| (name == "https_proxy").then(|| "http://ann:p%40ss@proxy:3128/".to_owned());
        let proxy = choose("https", "example.com", 443, env).unwrap().unwrap();
        assert_eq!(
            proxy,
            Proxy {
                host: "proxy".into(),
                port: 3128,
                credentials: Some("ann:p@ss".into())
            }
        );
        assert_eq!(parse("proxy:80").unwrap().port, 80);
        assert!(parse("socks5://proxy").is_err());
        assert_eq!(choose("http", "example.com", 80, env).unwrap(), None);
    }
}

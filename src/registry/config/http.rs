//! `http`: where to listen, how URLs and answers look, and limits. `http.tls` is in `tls`.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};

use super::Tls;
use super::key::{Key, Section};
use super::scalar::{address, base_url, count, duration, flag, positive, shown_address, shown_duration};

#[derive(Debug, Clone)]
pub struct Http {
    pub address: Address,
    /// Base of absolute URLs, `https://registry.example`.
    pub host: Option<String>,
    pub relative_urls: bool,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How long requests may take to end once the server is told to stop.
    pub drain_timeout: Duration,
    /// How long a client may send or take nothing.
    pub idle_timeout: Duration,
    pub max_connections: usize,
    /// Largest manifest that is taken, in bytes.
    pub manifest_limit: usize,
    pub tls: Tls,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Every address of this machine: both families where there are two.
    Any(u16),
    One(SocketAddr),
}

impl Default for Http {
    fn default() -> Self {
        Self {
            address: Address::Any(5000),
            host: None,
            relative_urls: true,
            headers: Vec::new(),
            drain_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_mins(1),
            max_connections: 4096,
            manifest_limit: 4 << 20,
            tls: Tls::default(),
        }
    }
}

pub const SECTION: Section = Section {
    keys: &[
        Key::one(
            "http.addr",
            "`:PORT` is every address; or `IP:PORT`, `[IPv6]:PORT`, `localhost:PORT`",
            |c, text| address(text).map(|value| c.http.address = value),
            |c| Some(shown_address(&c.http.address)),
        )
        .at_start(|new, old| new.http.address.clone_from(&old.http.address)),
        Key::one(
            "http.host",
            "base of the URLs in answers, when they are not relative",
            |c, text| base_url(text).map(|value| c.http.host = value),
            |c| c.http.host.clone(),
        ),
        Key::one(
            "http.relativeurls",
            "relative URLs in `Location`: right behind every proxy",
            |c, text| flag(text).map(|value| c.http.relative_urls = value),
            |c| Some(c.http.relative_urls.to_string()),
        ),
        Key::each_many(
            "http.headers.*",
            "a header that every answer carries, and its values",
            |c, at, values| {
                let name = header_name(at.word(0))?;
                c.http.headers.retain(|(known, _)| *known != name);
                for value in values {
                    c.http.headers.push((name.clone(), header_value(value)?));
                }
                Ok(())
            },
            |c| shown_headers(&c.http.headers),
        ),
        Key::one(
            "http.draintimeout",
            "how long requests may take to end once the server is told to stop",
            |c, text| duration(text).map(|value| c.http.drain_timeout = value),
            |c| Some(shown_duration(c.http.drain_timeout)),
        ),
        Key::one(
            "http.idletimeout",
            "how long a client may send or take nothing in the middle of a body",
            |c, text| positive(text).map(|value| c.http.idle_timeout = value),
            |c| Some(shown_duration(c.http.idle_timeout)),
        ),
        Key::one(
            "http.maxconnections",
            "connections at once; more wait in the kernel's queue",
            |c, text| count(text).map(|value| c.http.max_connections = value),
            |c| Some(c.http.max_connections.to_string()),
        )
        .at_start(|new, old| new.http.max_connections = old.http.max_connections),
        Key::one(
            "http.manifestlimit",
            "the largest manifest in bytes; more is answered 413",
            |c, text| count(text).map(|value| c.http.manifest_limit = value),
            |c| Some(c.http.manifest_limit.to_string()),
        ),
    ],
    without_effect: &[
        (
            "http.secret",
            "upload URLs hold no state that a secret would sign",
        ),
        ("http.http2", "HTTP/2 is offered over TLS and not elsewhere"),
        ("http.debug", "there is no debugging endpoint"),
    ],
    refused: &[
        ("http.h2c", "HTTP/2 is offered over TLS only"),
        ("http.net", "it listens on TCP"),
        ("http.prefix", "paths begin with /v2/"),
    ],
    ..Section::EMPTY
};

fn header_name(name: &str) -> Result<HeaderName, String> {
    name.parse().map_err(|_| "is no name of a header".to_owned())
}

fn header_value(value: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(value).map_err(|_| "fits in no header".to_owned())
}

/// The values of each name together, names in the order of their first.
fn shown_headers(headers: &[(HeaderName, HeaderValue)]) -> Vec<(Vec<String>, Vec<String>)> {
    let mut all: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        match all.iter_mut().find(|(known, _)| known[0] == name.as_str()) {
            Some((_, values)) => values.push(value),
            None => all.push((vec![name.to_string()], vec![value])),
        }
    }
    all
}

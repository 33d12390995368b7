//! `http`: where to listen, how URLs and answers look, and limits. `http.tls` is in `tls`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};

use super::key::{Filled, Key, Section, Words, name_of, one_of};
use super::scalar::{
    address, base_url, count, duration, flag, positive, prefix, shown_address, shown_duration,
};
use super::{Config, Places, Tls};
use crate::diagnostic::Diagnostic;

#[derive(Debug, Clone)]
pub struct Http {
    pub address: Address,
    network: Network,
    /// What paths begin with; empty, or `/registry`.
    pub prefix: String,
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
    /// HTTP/2 where a client offers it over TLS.
    pub http2: bool,
    /// HTTP/2 without TLS, where a client begins with it.
    pub h2c: bool,
    /// What clients are asked to make the chunks of an upload no smaller than, in bytes.
    pub chunk_minimum: Option<usize>,
    /// What every answer warns of.
    pub warning: Option<String>,
    pub tls: Tls,
    pub debug: Debug,
}

/// The port for those who run the server.
#[derive(Debug, Clone)]
pub struct Debug {
    /// None where there is none.
    pub address: Option<Address>,
    pub prometheus: bool,
    /// Where metrics are, with `prometheus`.
    pub metrics_path: String,
}

impl Default for Debug {
    fn default() -> Self {
        Self {
            address: None,
            prometheus: false,
            metrics_path: "/metrics".to_owned(),
        }
    }
}

/// What `http.net` says `http.addr` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    Tcp,
    Unix,
}

const NETWORKS: &Words<Network> = &[("tcp", Network::Tcp), ("unix", Network::Unix)];

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Every address of this machine: both families where there are two.
    Any(u16),
    One(SocketAddr),
    /// A host's name and port: the first of its addresses that can be had.
    Named(String, u16),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl Default for Http {
    fn default() -> Self {
        Self {
            address: Address::Any(5000),
            network: Network::Tcp,
            prefix: String::new(),
            host: None,
            relative_urls: true,
            headers: Vec::new(),
            drain_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_mins(1),
            max_connections: 4096,
            manifest_limit: 4 << 20,
            http2: true,
            h2c: false,
            chunk_minimum: None,
            warning: None,
            tls: Tls::default(),
            debug: Debug::default(),
        }
    }
}

pub const SECTION: Section = Section {
    keys: &[
        Key::one(
            "http.addr",
            "`:PORT` is every address; or `IP:PORT`, `[IPv6]:PORT`, `HOST:PORT`; the path of a socket with `http.net: unix`",
            |c, text| address(text).map(|value| c.http.address = value),
            |c| Some(shown_address(&c.http.address)),
        )
        .at_start(|new, old| new.http.address.clone_from(&old.http.address)),
        Key::one(
            "http.net",
            "`tcp`, or `unix`: `http.addr` is a socket, for a proxy on this machine",
            |c, text| one_of(NETWORKS, text).map(|value| c.http.network = value),
            |c| name_of(NETWORKS, c.http.network),
        )
        .at_start(|new, old| new.http.network = old.http.network),
        Key::one(
            "http.prefix",
            "what all paths begin with, before `/v2/`",
            |c, text| prefix(text).map(|value| c.http.prefix = value),
            |c| Some(c.http.prefix.clone()).filter(|prefix| !prefix.is_empty()),
        ),
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
        Key::one(
            "http.http2.disabled",
            "no HTTP/2, over TLS neither",
            |c, text| flag(text).map(|value| c.http.http2 = !value),
            |c| Some((!c.http.http2).to_string()),
        ),
        Key::one(
            "http.chunkminlength",
            "bytes that a chunk of an upload should have at least; clients are told, smaller ones are taken",
            |c, text| count(text).map(|value| c.http.chunk_minimum = Some(value)),
            |c| c.http.chunk_minimum.map(|value| value.to_string()),
        ),
        Key::one(
            "http.warning",
            "a text that every answer carries and some clients show, such as containerd and oras",
            |c, text| {
                c.http.warning = Some(text.to_owned()).filter(|text| !text.is_empty());
                Ok(())
            },
            |c| c.http.warning.clone(),
        ),
        Key::one(
            "http.h2c.enabled",
            "HTTP/2 without TLS, for proxies that speak it to what is behind them",
            |c, text| flag(text).map(|value| c.http.h2c = value),
            |c| Some(c.http.h2c.to_string()),
        ),
        Key::one(
            "http.debug.addr",
            "a second port, without TLS, for those who run the server: `/debug/health`, `/healthz`, `/readyz`, metrics. Never for everybody",
            |c, text| {
                c.http.debug.address = if text.is_empty() { None } else { Some(address(text)?) };
                Ok(())
            },
            |c| c.http.debug.address.as_ref().map(shown_address),
        )
        .at_start(|new, old| new.http.debug.address.clone_from(&old.http.debug.address)),
        Key::one(
            "http.debug.prometheus.enabled",
            "whether there are metrics on the second port",
            |c, text| flag(text).map(|value| c.http.debug.prometheus = value),
            |c| Some(c.http.debug.prometheus.to_string()),
        ),
        Key::one(
            "http.debug.prometheus.path",
            "where they are",
            |c, text| {
                if !text.starts_with('/') {
                    return Err("must be a path such as /metrics".to_owned());
                }
                text.clone_into(&mut c.http.debug.metrics_path);
                Ok(())
            },
            |c| Some(c.http.debug.metrics_path.clone()),
        ),
    ],
    without_effect: &[(
        "http.secret",
        "upload URLs hold no state that a secret would sign",
    )],
    check,
    ..Section::EMPTY
};

fn check(config: &Config, places: &Places<'_>) -> Vec<Diagnostic> {
    let http = &config.http;
    let is_path = matches!(http.address, Address::Unix(_));
    let mut errors = Vec::new();
    if is_path && http.network == Network::Tcp {
        let error = places.error("http.addr", "`http.addr` is a path, and no address of TCP");
        errors.push(error.hint("`http.net: unix` makes it a socket"));
    }
    if !is_path && http.network == Network::Unix {
        let message =
            "`http.net: unix` needs the path of a socket in `http.addr`, from the root: /run/registry.sock";
        errors.push(places.error("http.net", message));
    }
    errors
}

fn header_name(name: &str) -> Result<HeaderName, String> {
    name.parse().map_err(|_| "is no name of a header".to_owned())
}

fn header_value(value: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(value).map_err(|_| "fits in no header".to_owned())
}

/// The values of each name together, names in the order of their first.
fn shown_headers(headers: &[(HeaderName, HeaderValue)]) -> Filled<Vec<String>> {
    let mut all: Filled<Vec<String>> = Vec::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        match all.iter_mut().find(|(known, _)| known[0] == name.as_str()) {
            Some((_, values)) => values.push(value),
            None => all.push((vec![name.to_string()], vec![value])),
        }
    }
    all
}

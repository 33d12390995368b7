//! The server's configuration: what it means once it is read.
//!
//! `document` reads YAML into leaves with places, `keys` is the table that gives each key its meaning, and
//! [`load`] puts file and environment together. Keys are those of distribution's `config.yml` where they
//! have a counterpart, so that people can bring theirs.

mod document;
mod health;
mod keys;
mod notifications;
mod observability;
mod scalar;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};

pub use health::{FileCheck, HealthConfig, HttpCheck, StorageCheck, TcpCheck};
pub use keys::{KEYS, show};
pub use notifications::{Endpoint, Notifications};
pub use observability::Observability;

use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};

/// The whole configuration, resolved.
#[derive(Debug, Clone, Default)]
pub struct Config {
    pub log: Log,
    pub storage: StorageConfig,
    pub http: Http,
    pub catalog: Catalog,
    pub notifications: Notifications,
    pub observability: Observability,
    pub health: HealthConfig,
}

#[derive(Debug, Clone)]
pub struct Log {
    pub level: tracing::Level,
    pub format: LogFormat,
    pub access: bool,
    /// Where access lines go; standard output without.
    pub access_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone)]
pub struct StorageConfig {
    pub root: PathBuf,
    pub delete_enabled: bool,
    pub read_only: bool,
}

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
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub minimum_tls: TlsVersion,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Every address of this machine: both families where there are two.
    Any(u16),
    One(SocketAddr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    V12,
    V13,
}

#[derive(Debug, Clone)]
pub struct Catalog {
    /// The most repositories of one answer.
    pub max_entries: usize,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: tracing::Level::INFO,
            format: LogFormat::Text,
            access: true,
            access_file: None,
        }
    }
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            root: PathBuf::from("/var/lib/registry"),
            delete_enabled: false,
            read_only: false,
        }
    }
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
            certificate: None,
            key: None,
            minimum_tls: TlsVersion::V12,
        }
    }
}

impl Default for Catalog {
    fn default() -> Self {
        Self { max_entries: 1000 }
    }
}

/// A configuration and what is to be said of it that does not keep it from being used.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Diagnostic>,
}

/// Reads a configuration, then `REGISTRY_*` variables over it.
///
/// All that is wrong is told at once.
pub fn load(
    source: &std::sync::Arc<Source>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, Vec<Diagnostic>> {
    let mut loaded = Loaded {
        config: Config::default(),
        warnings: Vec::new(),
    };
    let leaves = document::leaves(source).map_err(|error| vec![*error])?;
    let mut errors = Vec::new();
    for leaf in &leaves {
        keys::apply_leaf(leaf, &mut loaded, &mut errors);
    }
    for (name, value) in environment {
        keys::apply_variable(&name, &value, &mut loaded, &mut errors);
    }
    let http = &loaded.config.http;
    if http.certificate.is_some() != http.key.is_some() {
        let (there, missing) = if http.key.is_some() {
            ("key", "certificate")
        } else {
            ("certificate", "key")
        };
        let named = leaves
            .iter()
            .find(|leaf| leaf.path == format!("http.tls.{there}"));
        let mut error = Diagnostic::error(format!("`http.tls.{there}` needs `http.tls.{missing}` beside it"));
        if let Some(leaf) = named {
            error = error.at(&leaf.key);
        }
        errors.push(error);
    }
    if errors.is_empty() {
        Ok(loaded)
    } else {
        Err(errors)
    }
}

/// One value of a configuration, with its place.
#[derive(Debug)]
struct Leaf {
    /// Keys from the outermost in, joined by dots.
    path: String,
    /// Where each of them is written.
    keys: Vec<Span>,
    /// The innermost.
    key: Span,
    /// A scalar is one value.
    values: Vec<String>,
    value: Span,
}

impl Leaf {
    /// Where `path`, which this leaf lies under, has its last key.
    fn key_of(&self, path: &str) -> &Span {
        self.keys.get(path.split('.').count() - 1).unwrap_or(&self.key)
    }
}

#[cfg(test)]
mod tests;

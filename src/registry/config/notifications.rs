//! `notifications`: who is told what happens.

use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};

use crate::registry::events::Action;

#[derive(Debug, Clone, Default)]
pub struct Notifications {
    pub endpoints: Vec<Endpoint>,
    /// Whether events of manifests carry what these refer to.
    pub references: bool,
}

/// One server that is told; the defaults are distribution's.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub name: String,
    pub disabled: bool,
    pub url: String,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// For each of connecting and being answered.
    pub timeout: Duration,
    /// Failures in a row after which attempts wait for `backoff`.
    pub threshold: u32,
    pub backoff: Duration,
    pub ignored_media_types: Vec<String>,
    pub ignored_actions: Vec<Action>,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            name: String::new(),
            disabled: false,
            url: String::new(),
            headers: Vec::new(),
            timeout: Duration::from_secs(1),
            threshold: 10,
            backoff: Duration::from_secs(1),
            ignored_media_types: Vec::new(),
            ignored_actions: Vec::new(),
        }
    }
}

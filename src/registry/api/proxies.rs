//! Connections that come through proxies: whose they are, as far as proxies are trusted.

use std::net::SocketAddr;

use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Request};

use super::Connection;
use crate::registry::access::forwarded::{Forwarded, Said};
use crate::registry::config::Config;

const X_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

impl Connection {
    /// The connection as the client made it, and in `request` the host that it asked.
    #[must_use]
    pub fn behind_proxies<B>(self, request: &mut Request<B>, config: &Config) -> Self {
        let trusted = &config.access.trusted_proxies;
        if trusted.is_empty() {
            return self;
        }
        let headers = request.headers();
        let said = Said {
            forwarded: texts(headers, &header::FORWARDED),
            x_for: texts(headers, &X_FOR),
            x_proto: texts(headers, &X_PROTO).last().copied(),
            x_host: texts(headers, &X_HOST).last().copied(),
        };
        let found = Forwarded::read(self.peer.ip(), trusted, &said);
        if let Some(host) = found
            .host
            .as_deref()
            .and_then(|host| HeaderValue::from_str(host).ok())
        {
            request.headers_mut().insert(header::HOST, host);
        }
        Self {
            // Nobody says from which port.
            peer: found
                .address
                .map_or(self.peer, |address| SocketAddr::new(address, 0)),
            secure: found.secure.unwrap_or(self.secure),
            certificate: self.certificate,
        }
    }
}

fn texts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let values = headers.get_all(name).iter();
    values.filter_map(|value| value.to_str().ok()).collect()
}

//! URLs that answers carry in `Location`.
//!
//! Relative by default: a relative one is right behind every proxy. Absolute ones follow `http.host`, or
//! else the request's own `Host` and scheme.

use hyper::Response;
use hyper::header;

use super::body::Body;
use super::{Asked, respond};

impl Asked<'_> {
    /// `path` as this registry writes URLs.
    fn url(&self, path: &str) -> String {
        if self.config.http.relative_urls {
            return format!("{}{path}", self.config.http.prefix);
        }
        self.absolute(path)
    }

    /// `path` as those write it who are somewhere else.
    pub fn absolute(&self, path: &str) -> String {
        let http = &self.config.http;
        let path = format!("{}{path}", http.prefix);
        if let Some(host) = &http.host {
            return format!("{}{path}", host.trim_end_matches('/'));
        }
        let scheme = if self.connection.secure { "https" } else { "http" };
        match self.host() {
            Some(host) => format!("{scheme}://{host}{path}"),
            None => path,
        }
    }

    /// What the client calls this server.
    pub fn host(&self) -> Option<&str> {
        let authority = self.request.uri().authority();
        authority
            .map(hyper::http::uri::Authority::as_str)
            .or_else(|| self.header(header::HOST))
    }

    pub fn set_location(&self, response: &mut Response<Body>, path: &str) {
        respond::set(response, header::LOCATION, &self.url(path));
    }
}

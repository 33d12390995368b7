//! Where a redirect leads, and what may be taken along.

use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Method, Response, StatusCode, Uri};
use url::Url;

use super::Arriving;

/// What another host may be told. Everything else may be a secret of the first one.
const TOLD_TO_ANYBODY: [HeaderName; 7] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::RANGE,
    header::IF_RANGE,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::USER_AGENT,
];

/// Where an answer sends the client: none if it is not a redirect that is followed.
///
/// Only GET and HEAD are repeated elsewhere. From https to http is refused: what was asked for safely would
/// come from anybody.
pub fn target(method: &Method, from: &Uri, answer: &Response<Arriving>) -> Result<Option<Uri>, &'static str> {
    let status = answer.status();
    let redirects = matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    if !redirects || !matches!(*method, Method::GET | Method::HEAD) {
        return Ok(None);
    }
    let Some(location) = answer.headers().get(header::LOCATION) else {
        return Ok(None);
    };
    let location = location.to_str().map_err(|_| "a URL that is no text")?;
    resolve(from, location).map(Some)
}

fn resolve(from: &Uri, location: &str) -> Result<Uri, &'static str> {
    let base = Url::parse(&from.to_string()).map_err(|_| "a URL that cannot be resolved")?;
    let mut next = base.join(location).map_err(|_| "what is no URL")?;
    match next.scheme() {
        "https" => {}
        "http" if base.scheme() == "http" => {}
        "http" => return Err("plain http from https"),
        _ => return Err("a URL that is neither http nor https"),
    }
    next.set_fragment(None);
    // A redirect names a place, it does not log anybody in.
    let cleared = next.set_username("").and_then(|()| next.set_password(None));
    cleared.map_err(|()| "a URL without a host")?;
    next.as_str().parse().map_err(|_| "what is no URL")
}

/// Whether both are the same server: scheme, host and port.
pub fn same_origin(one: &Uri, other: &Uri) -> bool {
    let origin = |uri: &Uri| {
        let scheme = uri.scheme_str().unwrap_or("").to_owned();
        let default = if scheme == "https" { 443 } else { 80 };
        let host = uri.host().unwrap_or("").to_ascii_lowercase();
        (scheme, host, uri.port_u16().unwrap_or(default))
    };
    origin(one) == origin(other)
}

/// Leaves what another host may be told.
pub fn drop_secrets(headers: &mut HeaderMap) {
    let secret: Vec<HeaderName> = headers
        .keys()
        .filter(|name| !TOLD_TO_ANYBODY.contains(name))
        .cloned()
        .collect();
    for name in secret {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        for (from, location, expected) in [
            ("http://a/v2/x?y=z", "/b", Ok("http://a/b")),
            ("http://a/v2/x", "y?k=v#part", Ok("http://a/v2/y?k=v")),
            ("https://a/", "//b:8443/c", Ok("https://b:8443/c")),
            ("http://a/", "https://me:secret@b/c", Ok("https://b/c")),
            ("https://a/", "http://a/", Err("plain http from https")),
            (
                "http://a/",
                "file:///etc/passwd",
                Err("a URL that is neither http nor https"),
            ),
            ("http://a/", "http://", Err("what is no URL")),
        ] {
            let found = resolve(&from.parse().unwrap(), location).map(|uri| uri.to_string());
            assert_eq!(found.as_deref().map_err(|error| *error), expected, "{location}");
        }
    }

    #[test]
    fn origins() {
        for (one, other, expected) in [
            ("http://a/x", "http://A:80/y", true),
            ("https://a/x", "https://a:443/y", true),
            ("http://a/", "http://a:81/", false),
            ("http://a/", "https://a/", false),
            ("http://a/", "http://b/", false),
        ] {
            let found = same_origin(&one.parse().unwrap(), &other.parse().unwrap());
            assert_eq!(found, expected, "{one} {other}");
        }
    }
}

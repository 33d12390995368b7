//! `http.prefix`: what all paths begin with. Routes and handlers know nothing of it.

use hyper::Response;
use hyper::header::{self, HeaderValue};

use super::body::Body;

/// A path without the prefix; None where it does not have it.
pub fn without<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// Puts the prefix before the path that `Link` gives: `</v2/...>; rel="next"`.
pub fn add_to_link(response: &mut Response<Body>, prefix: &str) {
    if prefix.is_empty() {
        return;
    }
    let Some(link) = response.headers().get(header::LINK) else {
        return;
    };
    let link = link.to_str().ok().and_then(|link| link.strip_prefix('<'));
    if let Some(value) = link.and_then(|rest| HeaderValue::try_from(format!("<{prefix}{rest}")).ok()) {
        response.headers_mut().insert(header::LINK, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_whole_words() {
        assert_eq!(without("/v2/", ""), Some("/v2/"));
        assert_eq!(without("/a/b/v2/", "/a/b"), Some("/v2/"));
        assert_eq!(without("/a/bv2/", "/a/b"), None);
        assert_eq!(without("/v2/", "/a"), None);
    }
}

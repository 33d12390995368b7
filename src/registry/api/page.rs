//! The page for people over HTTP: what goes with every answer, and refusals that people can read.

use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::body::Body;
use super::{Answer, Asked, error_response, respond};
use crate::registry::error::{ApiError, Problem};
use crate::registry::page::{self, POLICY, Site, Wanted};

const HTML: &str = "text/html; charset=utf-8";
/// Style sheet and script have their content in their URL.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("private, no-cache");
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

pub async fn get(asked: &Asked<'_>, wanted: Wanted) -> Answer {
    if !asked.config.observability.page {
        return Err(Problem::NoSuchEndpoint.into());
    }
    let site = Site {
        host: host(asked),
        base: asked.config.http.prefix.clone(),
    };
    let (media_type, text, caching) = match wanted {
        Wanted::Style => ("text/css; charset=utf-8", page::STYLE.to_owned(), FOREVER),
        Wanted::Script => ("text/javascript; charset=utf-8", page::SCRIPT.to_owned(), FOREVER),
        Wanted::Repositories { search, after } => {
            let may = asked.lists();
            let page = asked
                .content(move |registry| page::repositories(registry, &site, &search, after.as_deref(), &may))
                .await?;
            (HTML, page, ASK_AGAIN)
        }
        Wanted::Tags { name, after } => {
            let page = asked
                .content(move |registry| page::tags(registry, &site, &name, after.as_deref()))
                .await?;
            (HTML, page, ASK_AGAIN)
        }
        Wanted::Image { name, reference } => {
            let page = asked
                .content(move |registry| page::image(registry, &site, &name, &reference))
                .await?;
            (HTML, page, ASK_AGAIN)
        }
    };
    let mut response = respond::typed(StatusCode::OK, media_type, text.into_bytes());
    response.headers_mut().insert(header::CACHE_CONTROL, caching);
    response
        .headers_mut()
        .extend(HEADERS.map(|(name, value)| (Some(name), value)));
    Ok(response)
}

/// What people write before the name when they pull.
fn host(asked: &Asked<'_>) -> String {
    let configured = asked.config.http.host.as_deref();
    let configured = configured
        .and_then(|url| url.split_once("://"))
        .map(|(_, rest)| rest);
    let host = configured.or_else(|| asked.host()).unwrap_or("localhost");
    host.trim_end_matches('/').to_owned()
}

impl Asked<'_> {
    /// Whether a browser asks, for the page.
    pub fn is_for_people(&self) -> bool {
        let path = super::prefix::without(self.request.uri().path(), &self.config.http.prefix);
        path.is_some_and(|path| path == "/ui" || path.starts_with("/ui/"))
    }

    /// A refusal in the form that the asker reads: JSON for clients, a page for people at the page.
    pub fn refused(&self, error: &ApiError) -> Response<Body> {
        let mut response = error_response(error);
        if !self.is_for_people() {
            return response;
        }
        let status = error.problem.status().as_u16();
        let detail = error.detail.as_ref().and_then(|detail| detail.as_str());
        let page = page::failure(&self.config.http.prefix, status, error.problem.message(), detail);
        *response.body_mut() = Body::Bytes(page.into_bytes().into());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(HTML));
        headers.extend(HEADERS.map(|(name, value)| (Some(name), value)));
        response
    }
}

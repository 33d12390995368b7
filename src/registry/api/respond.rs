//! Making answers, and what every answer carries.

use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::Value;

use super::body::Body;
use crate::registry::digest::Digest;
use crate::registry::error::ApiError;

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
pub const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

pub fn empty(status: StatusCode) -> Response<Body> {
    with_body(status, Body::empty())
}

pub fn with_body(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

pub fn json(status: StatusCode, value: &Value) -> Response<Body> {
    typed(status, "application/json", value.to_string().into_bytes())
}

pub fn typed(status: StatusCode, media_type: &'static str, bytes: Vec<u8>) -> Response<Body> {
    let mut response = with_body(status, Body::Bytes(bytes.into()));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Sets a header whose value was made here; what no header can hold is left out and logged.
pub fn set(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().append(name, value);
    } else {
        tracing::error!(header = %name, value, "a value that no header can hold");
    }
}

pub fn set_digest(response: &mut Response<Body>, digest: &Digest) {
    set(response, CONTENT_DIGEST, digest.as_str());
}

pub fn error_response(error: &ApiError) -> Response<Body> {
    let mut response = typed(error.problem.status(), "application/json", error.body());
    for (name, value) in &error.headers {
        response.headers_mut().insert(name, value.clone());
    }
    response
}

/// The last touch: the version header, the configured headers, the exact length; no body for HEAD.
pub fn finish(
    mut response: Response<Body>,
    head: bool,
    configured: &[(HeaderName, HeaderValue)],
) -> Response<Body> {
    let status = response.status();
    let length = response.body().remaining();
    let headers = response.headers_mut();
    headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    for (name, value) in configured {
        headers.append(name, value.clone());
    }
    if status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if head {
        *response.body_mut() = Body::empty();
    }
    response
}

//! `/` and `/v2/`: whether a registry is here.

use hyper::{Response, StatusCode};

use super::body::Body;
use super::respond;

/// Load balancers ask for `/` before they have been told what to ask.
pub fn root() -> Response<Body> {
    respond::empty(StatusCode::OK)
}

pub fn version() -> Response<Body> {
    respond::json(StatusCode::OK, &serde_json::json!({}))
}

//! `/healthz`, `/readyz`, `/debug/health` and `/metrics`: what those ask who watch the server.

use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};

use super::body::Body;
use super::{Answer, Asked, respond};
use crate::registry::error::{ApiError, Problem};
use crate::registry::events::{Action, Actor, RequestRecord, Target};
use crate::registry::health::Probe;
use crate::registry::metrics::{self, Form};
use crate::registry::name::RepositoryName;
use crate::registry::route::Endpoint;

/// Answers are of the moment.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

impl Asked<'_> {
    /// While a check of `health` fails, nobody is served but those who ask how it goes.
    pub fn refuse_when_unwell(&self, endpoint: &Endpoint) -> Result<(), ApiError> {
        let watched = matches!(endpoint, Endpoint::Probe(_) | Endpoint::Metrics);
        if watched || !self.service.health.is_closed() {
            return Ok(());
        }
        Err(Problem::Unwell.detail("health check failed: please see /debug/health"))
    }
}

pub fn probe(asked: &Asked<'_>, probe: Probe) -> Response<Body> {
    let (well, body) = asked.service.health.answer(probe);
    let status = if well {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut response = respond::json(status, &body);
    response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    response
}

pub async fn metrics(asked: &Asked<'_>) -> Answer {
    if !asked.config.observability.metrics {
        return Err(Problem::NoSuchEndpoint.into());
    }
    let form = Form::wanted(asked.header(header::ACCEPT));
    let service = std::sync::Arc::clone(asked.service);
    let text = asked
        .content(move |_| Ok::<_, ApiError>(metrics::text(metrics::metrics(), form, &service.gauges())))
        .await?;
    let mut response = respond::typed(StatusCode::OK, form.media_type(), text.into_bytes());
    response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    Ok(response)
}

impl Asked<'_> {
    /// Tells those who listen what has happened to the repository; nothing is made where nobody does.
    pub fn tell(&self, action: Action, target: impl FnOnce(&RepositoryName, bool) -> Target) {
        let Some(name) = &self.told else { return };
        let mut target = target(name, self.service.events.references);
        if !target.url.is_empty() {
            target.url = self.absolute(&target.url);
        }
        let text = |name| self.header(name).unwrap_or("").to_owned();
        let request = RequestRecord {
            id: text(crate::registry::access_log::REQUEST_ID),
            addr: self.connection.peer.to_string(),
            host: self.host().unwrap_or("").to_owned(),
            method: self.request.method().to_string(),
            useragent: text(header::USER_AGENT),
        };
        let actor = Actor {
            name: self.record.user.as_deref().unwrap_or("").to_owned(),
        };
        self.service.events.tell(action, target, request, actor);
    }
}

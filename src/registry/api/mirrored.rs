//! Repositories whose content is another registry's: between the handlers and `upstream`.

use std::time::Duration;

use hyper::Response;
use hyper::header;

use super::body::Body;
use super::{Answer, Asked, warning};
use crate::registry::digest::Digest;
use crate::registry::error::{ApiError, Problem};
use crate::registry::name::RepositoryName;
use crate::registry::route::{Action, Endpoint};
use crate::registry::telemetry::Span;
use crate::registry::upstream::{Found, Keeps, Lost, Mirrored, Shared, UpstreamError, origin, settle};

impl Asked<'_> {
    /// Gives a request the name that its repository has here.
    pub fn named_here(&self, endpoint: Endpoint) -> Result<Endpoint, ApiError> {
        let query = self.request.uri().query().unwrap_or("");
        let host = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "ns");
        let host = host
            .map(|(_, host)| host.into_owned())
            .filter(|host| !host.is_empty());
        settle(&self.config.proxy, endpoint, host.as_deref()).map_err(|lost| match lost {
            Lost::Host(host) => Problem::NameUnknown.detail(format!("this registry is no mirror of {host}")),
            Lost::Taken(name) => Problem::NameUnknown.detail(format!(
                "what is asked for would be {name} here, and that is another repository"
            )),
            Lost::Name(error) => Problem::NameInvalid.detail(error.to_string()),
        })
    }

    /// What was fetched from elsewhere stays what it is there.
    pub fn refuse_push_to_mirror(&self, endpoint: &Endpoint) -> Result<(), ApiError> {
        if endpoint.action() == Action::Push
            && let Some(name) = endpoint.repository()
            && let Ok(Some(origin)) = origin(&self.config.proxy, name)
        {
            let of = origin.upstream.url.as_deref().unwrap_or("another registry");
            return Err(Problem::Unsupported.detail(format!(
                "{name} is a mirror of {} at {of}: push it there, or under a name that is no mirror's",
                origin.remote
            )));
        }
        Ok(())
    }

    /// The repository of another registry that a name stands for; none for one of our own.
    pub fn mirrored(&self, name: &RepositoryName) -> Option<Mirrored> {
        let keeps = Keeps {
            anything: !self.service.access.is_read_only(self.config),
            min_free: self.config.maintenance.min_free,
        };
        let trace = self.record.span.as_ref().map(Span::parent);
        let found = self.service.mirrors.find(&self.config.proxy, name, keeps, trace);
        // A name that could not be one there has been refused already.
        found.ok().flatten()
    }
}

/// The body of a blob's answer: bytes `start..end` of what was found.
pub fn body(mirrored: &Mirrored, digest: &Digest, found: Found, start: u64, end: u64) -> Body {
    match found {
        Found::Stored(content) | Found::Fetched(content) => Body::blob(content, start, end),
        found => match mirrored.following(digest, found, start, end) {
            Some(pieces) => Body::growing(pieces, end - start),
            // The answer to a HEAD: its length counts, and nothing is sent.
            None => Body::Omitted(end - start),
        },
    }
}

/// Says why an answer may not be what the upstream would say now.
pub fn warn(response: &mut Response<Body>, text: Option<&str>) {
    if let Some(text) = text {
        warning::add(response, text);
    }
}

/// An error of `upstream` about something that `unknown` names.
pub fn refused(unknown: Problem) -> impl Fn(Shared) -> ApiError {
    move |error| {
        let problem = match &*error {
            UpstreamError::Unknown { .. } => return unknown.into(),
            UpstreamError::Denied { .. } => Problem::UpstreamDenied,
            UpstreamError::Limited { wait, .. } => {
                return Problem::UpstreamLimited
                    .detail(error.to_string())
                    .header(header::RETRY_AFTER, &seconds(*wait).to_string());
            }
            UpstreamError::Slow { .. } => Problem::UpstreamSlow,
            UpstreamError::Unreachable { .. }
            | UpstreamError::Failed { .. }
            | UpstreamError::Wrong { .. }
            | UpstreamError::LogIn { .. }
            | UpstreamError::Abandoned => Problem::UpstreamFailed,
            UpstreamError::Full => return Problem::StorageFull.into(),
            UpstreamError::Storage { .. } | UpstreamError::Internal(_) => {
                // Its text may hold paths of this machine: for the log, not for the client.
                tracing::error!(%error, "mirroring failed");
                return Problem::Internal.into();
            }
        };
        problem.detail(error.to_string())
    }
}

/// Rounded up: a client that came back a moment too early would only be refused again.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// An answer with its warning.
pub fn warned(answer: Answer, warning: Option<&str>) -> Answer {
    let mut response = answer?;
    warn(&mut response, warning);
    Ok(response)
}

//! One request to an upstream, with all that every request needs: who asks, the upstream's limits, what its
//! status means.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{self, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::Semaphore;

use super::counts::Counts;
use super::error::UpstreamError;
use super::flights::MAX_OF_ONE;
use super::limits::{Kind, Limits};
use super::login::LogIn;
use super::names;
use crate::registry::config;
use crate::registry::name::RepositoryName;
use crate::registry::outbound::{Arriving, Options, Outbound, OutboundError};
use crate::registry::telemetry::Parent;

/// Of a refusal, read so that its connection can be used again.
const REFUSAL: usize = 16 << 10;

/// Sends a request that is a span of its own, until the head of its answer has come.
pub async fn send(
    outbound: &Outbound,
    mut request: Request<Bytes>,
    trace: Option<&Parent>,
) -> Result<Response<Arriving>, OutboundError> {
    let Some(mut span) = trace.map(Parent::upstream) else {
        return outbound.send(request).await;
    };
    span.asks(&mut request);
    let answer = outbound.send(request).await;
    match &answer {
        Ok(answer) => span.was_answered(answer.status().as_u16()),
        Err(error) => span.failed(&error.to_string()),
    }
    answer
}

/// A registry that is asked.
pub struct Upstream {
    pub config: config::Upstream,
    /// Its host, for messages.
    pub shown: String,
    pub limits: Limits,
    /// Room for the fetches of its blobs.
    pub flights: Semaphore,
    base: String,
    outbound: Outbound,
    login: LogIn,
    counts: Arc<Counts>,
}

impl Upstream {
    pub fn new(config: &config::Upstream, counts: Arc<Counts>) -> Self {
        let (base, shown) = (names::base_url(config), names::shown(config));
        let defaults = Options::default();
        let outbound = Outbound::new(Options {
            connect: defaults.connect.min(config.timeout),
            response: config.timeout,
            stall: config.timeout,
            authorities: config.authorities.clone(),
            ..defaults
        });
        Self {
            config: config.clone(),
            limits: Limits::default(),
            flights: Semaphore::new(MAX_OF_ONE),
            login: LogIn::new(&shown, &base, config),
            base,
            shown,
            outbound,
            counts,
        }
    }

    /// Asks for `rest` of a repository. A 2xx or 304 is an answer, everything else an error.
    pub async fn ask(
        &self,
        method: Method,
        repository: &RepositoryName,
        rest: &str,
        headers: HeaderMap,
        kind: Kind,
        trace: Option<&Parent>,
    ) -> Result<Response<Arriving>, UpstreamError> {
        let answer = self.asked(method, repository, rest, headers, kind, trace).await;
        if let Err(error) = &answer {
            if error.is_silence() {
                self.limits.did_not_answer();
            }
            if !matches!(error, UpstreamError::Unknown { .. }) {
                self.counts.failures.add(1);
                tracing::warn!(%repository, "upstream: {error}");
            }
        }
        answer
    }

    async fn asked(
        &self,
        method: Method,
        repository: &RepositoryName,
        rest: &str,
        headers: HeaderMap,
        kind: Kind,
        trace: Option<&Parent>,
    ) -> Result<Response<Arriving>, UpstreamError> {
        let (url, scope) = (
            format!("{}/v2/{repository}/{rest}", self.base),
            format!("repository:{repository}:pull"),
        );
        let mut again = true;
        loop {
            if let Some(wait) = self.limits.wait(kind) {
                return Err(self.limited(wait));
            }
            let authorization = self
                .login
                .authorization(&self.outbound, &self.limits, &scope, trace)
                .await?;
            let mut request = Request::new(Bytes::new());
            *request.method_mut() = method.clone();
            *request.uri_mut() = url
                .parse()
                .map_err(|_| UpstreamError::Internal("no URL".to_owned()))?;
            *request.headers_mut() = headers.clone();
            if let Some(secret) = &authorization {
                request
                    .headers_mut()
                    .insert(header::AUTHORIZATION, secret.clone());
            }
            self.counts.requests.add(1);
            let answer = send(&self.outbound, request, trace).await;
            let answer = answer.map_err(|source| UpstreamError::unreachable(&self.shown, source))?;
            let status = answer.status();
            if let Some(wait) = self.limits.learn(status, answer.headers()) {
                return Err(self.limited(wait));
            }
            if status == StatusCode::UNAUTHORIZED && again {
                again = false;
                if self
                    .login
                    .challenged(answer.headers(), authorization.as_ref(), &scope)
                    .await
                {
                    let _ = answer.into_body().whole(REFUSAL).await;
                    continue;
                }
            }
            let upstream = self.shown.clone();
            return match status {
                status if status.is_success() || status == StatusCode::NOT_MODIFIED => Ok(answer),
                StatusCode::NOT_FOUND => Err(UpstreamError::Unknown { upstream }),
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    Err(UpstreamError::Denied { upstream, status })
                }
                status => Err(UpstreamError::Failed { upstream, status }),
            };
        }
    }

    fn limited(&self, wait: std::time::Duration) -> UpstreamError {
        UpstreamError::Limited {
            upstream: self.shown.clone(),
            wait,
        }
    }
}

//! Who this registry is at an upstream: Basic, or tokens of docker's token protocol, anonymous ones too.
//!
//! Nothing is sent before the upstream has asked for it once. Tokens are kept until they expire or are refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode};
use serde::Deserialize;
use url::Url;

use super::ask::send;
use super::challenge::{self, Challenge};
use super::error::UpstreamError;
use super::limits::Limits;
use super::locked;
use crate::registry::config;
use crate::registry::outbound::Outbound;
use crate::registry::telemetry::Parent;

/// What a token server may answer: tokens with many claims reach 16 KiB.
const MAX_TOKEN_ANSWER: usize = 256 << 10;
/// Docker's specification: without `expires_in`, a token is good for this long.
const UNSAID: Duration = Duration::from_mins(1);
/// Tokens that are kept, one for each repository.
const MAX_TOKENS: usize = 1024;

/// The state of one upstream's log-ins.
pub struct LogIn {
    upstream: String,
    secure: bool,
    basic: Option<HeaderValue>,
    challenge: Mutex<Option<Challenge>>,
    /// By scope.
    tokens: Mutex<HashMap<String, Slot>>,
}

/// The place of one token: locked while it is fetched, so that all who need it wait for one, and nobody else does.
type Slot = Arc<tokio::sync::Mutex<Held>>;

#[derive(Default)]
struct Held {
    token: Option<Token>,
    /// When the token server was last found not to answer.
    silent: Option<Instant>,
}

struct Token {
    header: HeaderValue,
    until: Instant,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl LogIn {
    pub fn new(upstream: &str, base: &str, config: &config::Upstream) -> Self {
        let basic = match (&config.username, config.secret()) {
            (Some(username), Some(password)) => {
                let pair = STANDARD.encode(format!("{username}:{}", password.expose()));
                secret_header(&format!("Basic {pair}"))
            }
            _ => None,
        };
        Self {
            upstream: upstream.to_owned(),
            secure: base.starts_with("https:"),
            basic,
            challenge: Mutex::default(),
            tokens: Mutex::default(),
        }
    }

    fn known(&self) -> Option<Challenge> {
        locked(&self.challenge).clone()
    }

    /// What a request of this scope says of who asks, as far as the upstream has ever asked.
    pub async fn authorization(
        &self,
        outbound: &Outbound,
        limits: &Limits,
        scope: &str,
        trace: Option<&Parent>,
    ) -> Result<Option<HeaderValue>, UpstreamError> {
        match self.known() {
            None => Ok(None),
            Some(Challenge::Basic) => Ok(self.basic.clone()),
            Some(Challenge::Bearer { realm, service }) => {
                let began = Instant::now();
                let slot = self.slot(scope);
                let mut held = slot.lock().await;
                if let Some(token) = held.token.as_ref().filter(|token| token.until > Instant::now()) {
                    return Ok(Some(token.header.clone()));
                }
                if held.silent.is_some_and(|silent| silent >= began) {
                    // Who has waited in vain for another's attempt does not begin one of his own.
                    let upstream = self.upstream.clone();
                    return Err(UpstreamError::Slow { upstream });
                }
                let request = self.token_request(&realm, service.as_deref(), scope)?;
                let fetched = self.fetch(outbound, limits, request, trace).await;
                if fetched.as_ref().is_err_and(UpstreamError::is_silence) {
                    held.silent = Some(Instant::now());
                }
                let token = held.token.insert(fetched?);
                Ok(Some(token.header.clone()))
            }
        }
    }

    fn slot(&self, scope: &str) -> Slot {
        let mut tokens = locked(&self.tokens);
        if tokens.len() >= MAX_TOKENS && !tokens.contains_key(scope) {
            // Those that are in nobody's hands: they can be fetched again.
            tokens.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(tokens.entry(scope.to_owned()).or_default())
    }

    /// Takes in a 401. Says whether asking again may help; `used` is what was refused.
    pub async fn challenged(&self, headers: &HeaderMap, used: Option<&HeaderValue>, scope: &str) -> bool {
        let values = headers.get_all(header::WWW_AUTHENTICATE).iter();
        let Some(challenge) = challenge::parse(values.filter_map(|value| value.to_str().ok())) else {
            return false;
        };
        let helps = match &challenge {
            Challenge::Basic => self.basic.is_some() && used != self.basic.as_ref(),
            Challenge::Bearer { .. } => {
                let slot = self.slot(scope);
                let mut held = slot.lock().await;
                if held.token.as_ref().map(|token| &token.header) == used {
                    held.token = None;
                }
                true
            }
        };
        *locked(&self.challenge) = Some(challenge);
        helps
    }

    fn failed(&self, reason: impl Into<String>) -> UpstreamError {
        UpstreamError::LogIn {
            upstream: self.upstream.clone(),
            reason: reason.into(),
        }
    }

    fn token_request(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: &str,
    ) -> Result<Request<Bytes>, UpstreamError> {
        let mut url =
            Url::parse(realm).map_err(|_| self.failed(format!("its token server {realm:?} is no URL")))?;
        if self.secure && url.scheme() != "https" {
            return Err(self.failed("its token server is not reached by https, as it is itself"));
        }
        if let Some(service) = service {
            url.query_pairs_mut().append_pair("service", service);
        }
        url.query_pairs_mut().append_pair("scope", scope);
        let mut request = Request::get(url.as_str());
        if let Some(basic) = &self.basic {
            request = request.header(header::AUTHORIZATION, basic.clone());
        }
        request
            .body(Bytes::new())
            .map_err(|error| self.failed(error.to_string()))
    }

    async fn fetch(
        &self,
        outbound: &Outbound,
        limits: &Limits,
        request: Request<Bytes>,
        trace: Option<&Parent>,
    ) -> Result<Token, UpstreamError> {
        let unreachable = |source| UpstreamError::unreachable(&self.upstream, source);
        let asked = Instant::now();
        let answer = send(outbound, request, trace).await.map_err(unreachable)?;
        if let Some(wait) = limits.learn(answer.status(), answer.headers()) {
            let upstream = self.upstream.clone();
            return Err(UpstreamError::Limited { upstream, wait });
        }
        match answer.status() {
            StatusCode::OK => {}
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                return Err(UpstreamError::Denied {
                    upstream: self.upstream.clone(),
                    status,
                });
            }
            status => return Err(self.failed(format!("its token server answered {status}"))),
        }
        let body = answer
            .into_body()
            .whole(MAX_TOKEN_ANSWER)
            .await
            .map_err(unreachable)?;
        // The text of an error could hold a part of the token.
        let unreadable = || self.failed("its token server's answer is not understood");
        let parsed: TokenAnswer = serde_json::from_slice(&body).map_err(|_| unreadable())?;
        let token = parsed
            .token
            .filter(|token| !token.is_empty())
            .or(parsed.access_token);
        let header = token.and_then(|token| secret_header(&format!("Bearer {token}")));
        let life = parsed.expires_in.map_or(UNSAID, Duration::from_secs);
        Ok(Token {
            header: header.ok_or_else(unreadable)?,
            // A part of it is left for the way.
            until: asked + life * 9 / 10,
        })
    }
}

/// A header that is not shown, nor remembered by HTTP/2's compression.
fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

//! Who this registry is at an upstream: Basic, or tokens of docker's token protocol, anonymous ones too.
//!
//! Nothing is sent before the upstream has asked for it once. Tokens are kept until they expire or are refused.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode};
use serde::Deserialize;
use url::Url;

use super::challenge::{self, Challenge};
use super::error::UpstreamError;
use crate::registry::config;
use crate::registry::outbound::Outbound;

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
    /// By scope. Held while a token is fetched, so that all who need it wait for one.
    tokens: tokio::sync::Mutex<HashMap<String, Token>>,
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
            tokens: tokio::sync::Mutex::default(),
        }
    }

    fn known(&self) -> Option<Challenge> {
        self.challenge
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What a request of this scope says of who asks, as far as the upstream has ever asked.
    pub async fn authorization(
        &self,
        outbound: &Outbound,
        scope: &str,
    ) -> Result<Option<HeaderValue>, UpstreamError> {
        match self.known() {
            None => Ok(None),
            Some(Challenge::Basic) => Ok(self.basic.clone()),
            Some(Challenge::Bearer { realm, service }) => {
                let mut tokens = self.tokens.lock().await;
                let now = Instant::now();
                if let Some(token) = tokens.get(scope).filter(|token| token.until > now) {
                    return Ok(Some(token.header.clone()));
                }
                let token = self.fetch(outbound, &realm, service.as_deref(), scope).await?;
                if tokens.len() >= MAX_TOKENS {
                    tokens.retain(|_, token| token.until > now);
                }
                if tokens.len() >= MAX_TOKENS {
                    tokens.clear();
                }
                let header = token.header.clone();
                tokens.insert(scope.to_owned(), token);
                Ok(Some(header))
            }
        }
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
                let mut tokens = self.tokens.lock().await;
                if tokens.get(scope).is_some_and(|token| Some(&token.header) == used) {
                    tokens.remove(scope);
                }
                true
            }
        };
        *self.challenge.lock().unwrap_or_else(PoisonError::into_inner) = Some(challenge);
        helps
    }

    async fn fetch(
        &self,
        outbound: &Outbound,
        realm: &str,
        service: Option<&str>,
        scope: &str,
    ) -> Result<Token, UpstreamError> {
        let failed = |reason: String| UpstreamError::LogIn {
            upstream: self.upstream.clone(),
            reason,
        };
        let mut url =
            Url::parse(realm).map_err(|_| failed(format!("its token server {realm:?} is no URL")))?;
        if self.secure && url.scheme() != "https" {
            return Err(failed(
                "its token server is not reached by https, as it is itself".to_owned(),
            ));
        }
        if let Some(service) = service {
            url.query_pairs_mut().append_pair("service", service);
        }
        url.query_pairs_mut().append_pair("scope", scope);
        let mut request = Request::get(url.as_str());
        if let Some(basic) = &self.basic {
            request = request.header(header::AUTHORIZATION, basic.clone());
        }
        let request = request
            .body(Bytes::new())
            .map_err(|error| failed(error.to_string()))?;
        let unreachable = |source| UpstreamError::unreachable(&self.upstream, source);
        let asked = Instant::now();
        let answer = outbound.send(request).await.map_err(unreachable)?;
        match answer.status() {
            StatusCode::OK => {}
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                return Err(UpstreamError::Denied {
                    upstream: self.upstream.clone(),
                    status,
                });
            }
            status => return Err(failed(format!("its token server answered {status}"))),
        }
        let body = answer
            .into_body()
            .whole(MAX_TOKEN_ANSWER)
            .await
            .map_err(unreachable)?;
        // The text of an error could hold a part of the token.
        let unreadable = || failed("its token server's answer is not understood".to_owned());
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

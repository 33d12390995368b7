//! Requests that the registry makes itself: to upstream registries, token servers, webhooks, key sets.
//!
//! The one HTTP(S) client of this server. It speaks HTTP/1.1 over TLS or plain, goes through the proxies that
//! the environment names, follows redirects of GET and HEAD without taking credentials to another host, and
//! hands bodies on as they come. Every wait is bounded. It retries nothing and knows no service: who asks
//! brings the headers. What is logged of a request is its URL without query and credentials.

mod body;
mod connect;
mod redirect;

use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

pub use body::Arriving;
pub use hyper_util::client::proxy::matcher::Matcher as Proxies;

use connect::Connector;

/// Connections that wait for the next request to the same host, and for how long.
const IDLE_CONNECTIONS: usize = 8;
const IDLE_TIME: Duration = Duration::from_secs(30);
/// What one connection reads at once, and the largest head of an answer.
const READ_BUFFER: usize = 64 << 10;
/// A body that nobody wants is read so that its connection can be used again; longer ones are not worth it.
const UNREAD_BODY: usize = 64 << 10;

/// How long to wait for what, and whom to trust.
#[derive(Debug, Clone)]
pub struct Options {
    /// For the name, the connection, the proxy and TLS together.
    pub connect: Duration,
    /// From the request to the head of its answer.
    pub response: Duration,
    /// How long nothing may come in the middle of a body.
    pub stall: Duration,
    /// How many redirects are followed; with 0 they are handed back.
    pub redirects: usize,
    /// PEM files of authorities that are trusted beside the system's.
    pub authorities: Vec<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            response: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            redirects: 5,
            authorities: Vec::new(),
        }
    }
}

/// The client. Clones share connections.
#[derive(Clone)]
pub struct Outbound {
    client: Client<Connector, Full<Bytes>>,
    connector: Connector,
    options: Options,
}

/// What kept a request from being answered, or its body from coming whole.
#[derive(Debug, thiserror::Error)]
#[error("{method} {target}: {fault}")]
pub struct OutboundError {
    pub method: Method,
    /// The URL without what may be secret in it.
    pub target: Target,
    pub fault: Fault,
}

#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("the URL must be an absolute one of http or https, without a user's name in it")]
    Url,
    /// Nobody was reached: the request has certainly had no effect.
    #[error("connect: {0}")]
    Connect(String),
    #[error("no answer within {} s", .0.as_secs_f32())]
    NoAnswer(Duration),
    #[error("nothing more came for {} s", .0.as_secs_f32())]
    Stalled(Duration),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the answer has more than {0} bytes")]
    TooLong(usize),
    #[error("redirected more than {0} times")]
    Redirects(usize),
    #[error("redirected to {0}")]
    Redirect(&'static str),
}

/// A URL as it may be logged: without user, query and fragment, all of which may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(String);

impl Target {
    pub fn of(url: &Uri) -> Self {
        let mut shown = String::new();
        if let Some(scheme) = url.scheme_str() {
            let _ = write!(shown, "{scheme}://");
        }
        shown.push_str(url.host().unwrap_or(""));
        if let Some(port) = url.port() {
            let _ = write!(shown, ":{port}");
        }
        shown.push_str(url.path_and_query().map_or("", PathAndQuery::path));
        Self(shown)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Outbound {
    /// A client that uses the proxies of `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    ///
    /// Nothing is opened or read before the first request needs it.
    pub fn new(options: Options) -> Self {
        Self::through(Proxies::from_env(), options)
    }

    /// The same, through these proxies.
    pub fn through(proxies: Proxies, options: Options) -> Self {
        let connector = Connector::new(proxies, &options);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http1_max_buf_size(READ_BUFFER)
            .build(connector.clone());
        Self {
            client,
            connector,
            options,
        }
    }

    /// Sends a request and returns the head of its answer, with the body still to come.
    ///
    /// # Errors
    /// That there is no answer; what an answer's status means is the caller's business.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Arriving>, OutboundError> {
        let (mut parts, body) = request.into_parts();
        for _ in 0..=self.options.redirects {
            let arrived = self.once(parts.clone(), body.clone()).await?;
            if self.options.redirects == 0 {
                return Ok(arrived);
            }
            let failed = |fault| failure(&parts.method, &parts.uri, fault);
            let Some(next) = redirect::target(&parts.method, &parts.uri, &arrived)
                .map_err(|why| failed(Fault::Redirect(why)))?
            else {
                return Ok(arrived);
            };
            // Read for the connection's sake; an error would be of no interest.
            let _ = arrived.into_body().whole(UNREAD_BODY).await;
            if !redirect::same_origin(&parts.uri, &next) {
                redirect::drop_secrets(&mut parts.headers);
            }
            parts.uri = next;
        }
        Err(failure(
            &parts.method,
            &parts.uri,
            Fault::Redirects(self.options.redirects),
        ))
    }

    /// Posts a body and says with which status it was answered; what else the answer says is read and left.
    ///
    /// # Errors
    /// In words: the URL is none, or there is no answer.
    pub async fn post(
        &self,
        url: &str,
        media_type: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<StatusCode, String> {
        let mut request = Request::post(url)
            .header(header::CONTENT_TYPE, media_type)
            .body(body)
            .map_err(|error| error.to_string())?;
        for (name, value) in headers {
            request.headers_mut().append(name, value.clone());
        }
        let answer = self.send(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        // Read for the connection's sake; an error would be of no interest.
        let _ = answer.into_body().whole(UNREAD_BODY).await;
        Ok(status)
    }

    async fn once(
        &self,
        mut parts: hyper::http::request::Parts,
        body: Bytes,
    ) -> Result<Response<Arriving>, OutboundError> {
        let (method, url) = (parts.method.clone(), parts.uri.clone());
        let failed = |fault| failure(&method, &url, fault);
        let named = url.authority().is_some_and(|host| !host.as_str().contains('@'));
        if !named || !matches!(url.scheme_str(), Some("http" | "https")) {
            return Err(failed(Fault::Url));
        }
        if let Some(secret) = self.connector.proxy_authorization(&url) {
            parts.headers.insert(header::PROXY_AUTHORIZATION, secret);
        }
        parts
            .headers
            .entry(header::USER_AGENT)
            .or_insert(HeaderValue::from_static(concat!(
                "regdeploy-registry/",
                env!("CARGO_PKG_VERSION")
            )));
        let request = Request::from_parts(parts, Full::new(body));
        let limit = self.options.connect + self.options.response;
        match tokio::time::timeout(limit, self.client.request(request)).await {
            Err(_) => Err(failed(Fault::NoAnswer(limit))),
            Ok(Err(error)) if error.is_connect() => Err(failed(Fault::Connect(causes(&error)))),
            Ok(Err(error)) => Err(failed(Fault::Broken(causes(&error)))),
            Ok(Ok(response)) => {
                let stall = self.options.stall;
                Ok(response.map(|body| Arriving::new(body, stall, method, Target::of(&url))))
            }
        }
    }
}

fn failure(method: &Method, url: &Uri, fault: Fault) -> OutboundError {
    OutboundError {
        method: method.clone(),
        target: Target::of(url),
        fault,
    }
}

/// What lies behind an error of hyper's, whose own text is only its kind.
fn causes(error: &dyn std::error::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(error) = next {
        let text = error.to_string();
        // Some repeat the cause in their own text.
        if texts.last().is_none_or(|above| !above.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    if texts.is_empty() {
        error.to_string()
    } else {
        texts.join(": ")
    }
}

#[cfg(test)]
mod tests;

//! The server's own log, and what is known of each request once it is over: its access line, its counts
//! and its span.
//!
//! The server's log goes through `tracing` to standard error. An access line is written when the answer has
//! gone out or its client has, to standard output or a file, with one write. Files are opened for
//! appending, so that they can be rotated by copy-and-truncate; a reload opens them anew. Until that write nothing
//! is copied: what a line needs of a request shares the request's own memory.

mod line;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, Uri, Version};
use tracing_subscriber::filter::{Filtered, LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;

pub use line::Format;
use line::Line;

use super::api::Body;
use super::config::{Config, LogFormat};
use super::metrics::{InFlight, Lookup, metrics};
use super::random::random;
use super::telemetry::{self, Span};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A longer id than that is no id.
const MAX_REQUEST_ID: usize = 128;

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
#[error("open the access log {path}: {source}")]
pub struct LogError {
    path: PathBuf,
    source: io::Error,
}

/// Where access lines go; nowhere where this is empty.
static ACCESS: RwLock<Option<(Format, Sink)>> = RwLock::new(None);

/// The server's log: a form, and what is told in it.
type Told = Filtered<Box<dyn Layer<Registry> + Send + Sync>, Targets, Registry>;
static LOG: OnceLock<Handle<Told, Registry>> = OnceLock::new();

enum Sink {
    Output,
    File(Mutex<File>),
}

/// Starts logging for the whole process; only the first call has an effect.
pub fn start(config: &Config) -> Result<(), LogError> {
    let (layer, handle) = reload::Layer::new(form(config).with_filter(level(config)));
    // An error means that a subscriber is there already, which is as good.
    if tracing_subscriber::registry().with(layer).try_init().is_ok() {
        let _ = LOG.set(handle);
    }
    open_access(config)
}

/// Goes on as another configuration says; where its file cannot be opened, access lines go where they went.
pub fn reopen(config: &Config) {
    if let Some(log) = LOG.get() {
        // An error means that the process ends.
        let _ = log.modify(|told| {
            *told.inner_mut() = form(config);
            *told.filter_mut() = level(config);
        });
    }
    if let Err(error) = open_access(config) {
        tracing::error!("{error}; access lines go where they went");
    }
}

fn form(config: &Config) -> Box<dyn Layer<Registry> + Send + Sync> {
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false);
    match config.log.format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}

fn level(config: &Config) -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("regdeploy", config.log.level)
}

fn open_access(config: &Config) -> Result<(), LogError> {
    let log = &config.log;
    let sink = match &log.access_file {
        _ if !log.access => None,
        None => Some(Sink::Output),
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            Some(Sink::File(Mutex::new(file.map_err(|source| LogError {
                path: path.clone(),
                source,
            })?)))
        }
    };
    let format = config.observability.access_format.unwrap_or(match log.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    });
    *ACCESS.write().unwrap_or_else(PoisonError::into_inner) = sink.map(|sink| (format, sink));
    Ok(())
}

impl Sink {
    fn write(&self, line: &[u8]) {
        // A log that takes nothing is no reason to stop serving.
        let _ = match self {
            Self::Output => io::stdout().lock().write_all(line),
            Self::File(file) => file
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .write_all(line),
        };
    }
}

/// A request, from its head to the last byte of its answer.
pub struct Record {
    start: Instant,
    _in_flight: InFlight,
    peer: SocketAddr,
    method: Method,
    uri: Uri,
    version: Version,
    agent: Option<HeaderValue>,
    referer: Option<HeaderValue>,
    id: HeaderValue,
    /// What it is counted under: the endpoint's kind.
    pub handler: &'static str,
    pub user: Option<Arc<str>>,
    /// What of the upstream was needed, where a repository is a mirror.
    pub upstream: Option<Lookup>,
    pub span: Option<Span>,
}

impl Record {
    /// Takes down a request, which carries an id from here on.
    pub fn new<B>(request: &mut Request<B>, peer: SocketAddr) -> Self {
        let metrics = metrics();
        let headers = request.headers_mut();
        let id = match headers.get(REQUEST_ID) {
            Some(id) if is_id(id) => id.clone(),
            _ => {
                let id = fresh_id();
                headers.insert(REQUEST_ID, id.clone());
                id
            }
        };
        let header = |name| request.headers().get(name).cloned();
        Self {
            start: Instant::now(),
            _in_flight: metrics.begin(),
            peer,
            method: request.method().clone(),
            version: request.version(),
            agent: header(header::USER_AGENT),
            referer: header(header::REFERER),
            id,
            handler: "none",
            user: None,
            upstream: None,
            span: telemetry::begin(request),
            uri: request.uri().clone(),
        }
    }

    /// Wraps the answer, so that its end is seen.
    pub fn observe(self, mut response: Response<Body>) -> Response<Observed> {
        response.headers_mut().insert(REQUEST_ID, self.id.clone());
        let status = response.status().as_u16();
        response.map(|body| Observed {
            promised: body.remaining(),
            body,
            record: self,
            status,
            sent: 0,
        })
    }
}

/// Whether a client's id can go into logs and events as it is.
fn is_id(id: &HeaderValue) -> bool {
    (1..=MAX_REQUEST_ID).contains(&id.len())
        && id
            .as_bytes()
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(b))
}

/// An id that no other request of this or another process has.
fn fresh_id() -> HeaderValue {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| u64::from_be_bytes(random()));
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    HeaderValue::from_str(&format!("{:016x}{count:016x}", *PROCESS)).expect("digits fit in a header")
}

/// A body that takes down its request's end when it is done with.
pub struct Observed {
    body: Body,
    record: Record,
    status: u16,
    /// Bytes that were to be sent.
    promised: u64,
    sent: u64,
}

impl hyper::body::Body for Observed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.sent += frame.data_ref().map_or(0, |piece| piece.len() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        let record = &mut self.record;
        let took = record.start.elapsed();
        metrics().answered(record.handler, &record.method, self.status, took, self.sent);
        if let Some(span) = record.span.take() {
            span.answered(
                record.handler,
                &record.method,
                &record.uri,
                self.status,
                self.sent,
            );
        }
        let access = ACCESS.read().unwrap_or_else(PoisonError::into_inner);
        let Some((format, sink)) = &*access else {
            return;
        };
        let line = Line {
            peer: record.peer,
            user: record.user.as_deref(),
            method: record.method.as_str(),
            uri: record.uri.path_and_query().map_or("", |uri| uri.as_str()),
            version: record.version,
            status: self.status,
            sent: self.sent,
            complete: self.sent == self.promised,
            took,
            agent: shown(record.agent.as_ref()),
            referer: shown(record.referer.as_ref()),
            request: record.id.to_str().unwrap_or(""),
            upstream: record.upstream,
        };
        sink.write(line.render(*format).as_bytes());
    }
}

fn shown(value: Option<&HeaderValue>) -> Option<&str> {
    value?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_made_where_none_can_be_taken() {
        assert!(is_id(&HeaderValue::from_static("abc-1.2/3")));
        for bad in ["", "a b", "a\"b", &"x".repeat(129)] {
            assert!(!is_id(&HeaderValue::from_str(bad).unwrap()), "{bad:?}");
        }
        assert_ne!(fresh_id(), fresh_id());
        assert!(is_id(&fresh_id()));
    }
}

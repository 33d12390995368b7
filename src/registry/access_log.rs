//! The server's own log and the access log, both through `tracing`.
//!
//! The server's goes to standard error; an access line, written when the answer has gone out or its
//! client has, goes to standard output or a file. Files are opened for appending, so that they can be
//! rotated by copy-and-truncate.

use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use hyper::{Request, Response, header};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::api::{Body, Connection};
use super::config::{Log, LogFormat};

/// The target that tells access lines from the rest.
const ACCESS: &str = "access";
/// Longer agents are cut: lines stay lines.
const MAX_AGENT: usize = 200;

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
#[error("open the access log {path}: {source}")]
pub struct LogError {
    path: PathBuf,
    source: io::Error,
}

/// Starts logging for the whole process; only the first call has an effect.
pub fn start(log: &Log) -> Result<(), LogError> {
    let own = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("regdeploy", log.level)
        .with_target(ACCESS, LevelFilter::OFF);
    let access = Targets::new().with_target(
        ACCESS,
        if log.access {
            LevelFilter::INFO
        } else {
            LevelFilter::OFF
        },
    );
    let mut layers = vec![layer(log.format, io::stderr).with_filter(own).boxed()];
    layers.push(match &log.access_file {
        None => layer(log.format, io::stdout).with_filter(access).boxed(),
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            let file = file.map_err(|source| LogError {
                path: path.clone(),
                source,
            })?;
            layer(log.format, Mutex::new(file)).with_filter(access).boxed()
        }
    });
    // An error means that a subscriber is there already, which is as good.
    let _ = tracing_subscriber::registry().with(layers).try_init();
    Ok(())
}

fn layer<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(false);
    match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}

/// A request as its access line will tell it.
pub struct Record {
    start: Instant,
    connection: Connection,
    method: hyper::Method,
    uri: String,
    version: hyper::Version,
    agent: String,
}

impl Record {
    pub fn new<B>(request: &Request<B>, connection: Connection) -> Self {
        let agent = request.headers().get(header::USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok()).unwrap_or("-");
        Self {
            start: Instant::now(),
            connection,
            method: request.method().clone(),
            uri: request
                .uri()
                .path_and_query()
                .map_or_else(String::new, ToString::to_string),
            version: request.version(),
            agent: agent.chars().take(MAX_AGENT).collect(),
        }
    }

    /// Wraps the answer, so that its end is seen.
    pub fn observe(self, response: Response<Body>) -> Response<Observed> {
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

/// A body that writes its access line when it is done with.
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
        let record = &self.record;
        tracing::info!(
            target: ACCESS,
            peer = %record.connection.peer,
            method = %record.method,
            uri = record.uri,
            version = ?record.version,
            status = self.status,
            sent = self.sent,
            complete = self.sent == self.promised,
            milliseconds = u64::try_from(record.start.elapsed().as_millis()).unwrap_or(u64::MAX),
            agent = record.agent,
        );
    }
}

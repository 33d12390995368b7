//! The way of finished spans to their collector: gathered, and sent as OTLP over HTTP.
//!
//! A batch goes when it is full or has waited long enough. A collector that is overloaded or away is tried
//! a few times; then the batch is dropped and counted, since newer spans are worth more.

use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::settings::{self, Encoding, Settings};
use super::{TRACES, Traces, attribute};
use crate::registry::metrics::metrics;
use crate::registry::outbound::{Options, Outbound};

/// Attempts for one batch, with a wait before each but the first that doubles.
const ATTEMPTS: u32 = 3;
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The exporter at work.
pub struct Exporting {
    task: JoinHandle<()>,
    stop: mpsc::Sender<()>,
}

/// Starts exporting if the environment says so.
pub fn start() -> Option<Exporting> {
    let settings = match settings::read(|name| std::env::var(name).ok()) {
        Ok(settings) => settings?,
        Err(error) => {
            tracing::error!("{error}");
            return None;
        }
    };
    let (queue, spans) = mpsc::channel(settings.queue);
    let sampler = settings.sampler;
    TRACES.set(Traces { queue, sampler }).ok()?;
    tracing::info!(endpoint = %settings.endpoint, "exporting traces");
    let (stop, stopped) = mpsc::channel(1);
    let task = tokio::spawn(Exporter::new(settings).run(spans, stopped));
    Some(Exporting { task, stop })
}

impl Exporting {
    /// Sends what is left, within the time that an export may take.
    pub async fn finish(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
}

struct Exporter {
    settings: Settings,
    client: Outbound,
}

impl Exporter {
    fn new(settings: Settings) -> Self {
        let client = Outbound::new(Options {
            connect: settings.timeout,
            response: settings.timeout,
            stall: settings.timeout,
            redirects: 0,
            ..Options::default()
        });
        Self { settings, client }
    }

    async fn run(self, mut spans: mpsc::Receiver<Span>, mut stopped: mpsc::Receiver<()>) {
        let limit = self.settings.batch;
        loop {
            let mut batch = Vec::new();
            let stopping = tokio::select! {
                received = spans.recv_many(&mut batch, limit) => received == 0,
                _ = stopped.recv() => true,
            };
            let due = Instant::now() + self.settings.delay;
            while !stopping && batch.len() < limit {
                let left = limit - batch.len();
                tokio::select! {
                    received = spans.recv_many(&mut batch, left) => if received == 0 { break },
                    () = tokio::time::sleep_until(due) => break,
                    _ = stopped.recv() => break,
                }
            }
            if stopping {
                while let Ok(span) = spans.try_recv() {
                    batch.push(span);
                }
            }
            let attempts = if stopping { 1 } else { ATTEMPTS };
            for part in batch.chunks(limit) {
                self.export(part, attempts).await;
            }
            if stopping {
                return;
            }
        }
    }

    async fn export(&self, spans: &[Span], attempts: u32) {
        let body = self.encoded(spans);
        let mut wait = FIRST_WAIT;
        for attempt in 1..=attempts {
            let told = match self.send(body.clone()).await {
                Ok(status) if status.is_success() => return,
                Ok(status) if !worth_another(status) => {
                    tracing::warn!(endpoint = %self.settings.endpoint, %status, "the collector refuses traces");
                    break;
                }
                Ok(status) => status.to_string(),
                Err(error) => error,
            };
            if attempt == attempts {
                tracing::warn!(endpoint = %self.settings.endpoint, error = told, "exporting traces failed");
            } else {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
        }
        metrics().dropped_spans(spans.len() as u64);
    }

    async fn send(&self, body: Bytes) -> Result<StatusCode, String> {
        let Settings {
            endpoint,
            encoding,
            headers,
            ..
        } = &self.settings;
        let media_type = encoding.media_type();
        self.client
            .post(endpoint.as_str(), media_type, headers, body)
            .await
    }

    fn encoded(&self, spans: &[Span]) -> Bytes {
        let resource = self.settings.resource.iter();
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource {
                    attributes: resource
                        .map(|(key, value)| attribute(key, Value::StringValue(value.clone())))
                        .collect(),
                    ..Resource::default()
                }),
                scope_spans: vec![ScopeSpans {
                    scope: Some(InstrumentationScope {
                        name: "regdeploy-registry".to_owned(),
                        version: env!("CARGO_PKG_VERSION").to_owned(),
                        ..InstrumentationScope::default()
                    }),
                    spans: spans.to_vec(),
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        match self.settings.encoding {
            Encoding::Protobuf => request.encode_to_vec().into(),
            Encoding::Json => serde_json::to_vec(&request).unwrap_or_default().into(),
        }
    }
}

/// The answers after which OTLP has a client try again.
fn worth_another(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

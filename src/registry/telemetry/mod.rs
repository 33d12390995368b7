//! Traces: a span for each request, and children for its waits on storage and upstreams.
//!
//! Off unless the standard `OTEL_*` variables say where to (see [`settings`]); then a request costs one
//! look at an empty cell. Spans go to their collector by OTLP over HTTP in batches (see [`export`]); a
//! collector that is slow or gone loses spans, which are counted, and holds nobody up. There are
//! neither metrics nor logs here: `/metrics` and the log have those.
//!
//! Follows W3C Trace Context and OpenTelemetry's conventions for HTTP servers.

mod export;
mod settings;

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span as Finished, Status};
use tokio::sync::mpsc;

use super::metrics::metrics;
use super::outbound::Target;
use super::random::random;
pub use export::{Exporting, start};

pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// The flag of a trace that is recorded.
const SAMPLED: u8 = 1;

/// Where finished spans go, and which are recorded; empty where there are no traces.
static TRACES: OnceLock<Traces> = OnceLock::new();

struct Traces {
    queue: mpsc::Sender<Finished>,
    sampler: settings::Sampler,
}

/// Which trace a span is part of, and which span of it: what `traceparent` carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    trace: [u8; 16],
    span: [u8; 8],
    sampled: bool,
}

impl Context {
    /// `00-<trace>-<span>-<flags>`
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split('-');
        let (version, trace, span, flags) = (words.next()?, words.next()?, words.next()?, words.next()?);
        // A later version may have more words, this one has not; `ff` is none.
        if version.len() != 2 || version == "ff" || (version == "00" && words.next().is_some()) {
            return None;
        }
        let context = Self {
            trace: bytes(trace)?,
            span: bytes(span)?,
            sampled: bytes::<1>(flags)?[0] & SAMPLED != 0,
        };
        (context.trace != [0; 16] && context.span != [0; 8]).then_some(context)
    }

    fn header(&self) -> HeaderValue {
        let text = format!(
            "00-{:032x}-{:016x}-{:02x}",
            u128::from_be_bytes(self.trace),
            u64::from_be_bytes(self.span),
            u8::from(self.sampled) * SAMPLED,
        );
        HeaderValue::from_str(&text).expect("digits and dashes fit in a header")
    }
}

/// Lower-case hexadecimal of exactly `N` bytes.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if text.len() != 2 * N || !text.bytes().all(lower) {
        return None;
    }
    let mut out = [0; N];
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(out)
}

/// A span that has begun; its drop is its end.
pub struct Span {
    context: Context,
    began: Instant,
    record: Finished,
}

/// What spans within another one need of it.
#[derive(Debug, Clone)]
pub struct Parent {
    context: Context,
    state: String,
}

impl Parent {
    /// A wait on the server's own storage.
    pub fn storage(&self) -> Span {
        self.child("storage", SpanKind::Internal)
    }

    /// A request to another server: see [`Span::asks`].
    pub fn upstream(&self) -> Span {
        self.child("upstream", SpanKind::Client)
    }

    fn child(&self, name: &str, kind: SpanKind) -> Span {
        let mut child = Span::new(self.context.trace, Some(self.context.span), kind);
        name.clone_into(&mut child.record.name);
        child.record.trace_state.clone_from(&self.state);
        child
    }
}

/// Begins the span of a request, as part of the client's trace if it has one. None where nothing is recorded.
pub fn begin<B>(request: &Request<B>) -> Option<Span> {
    let traces = TRACES.get()?;
    let header = |name| request.headers().get(name)?.to_str().ok();
    let parent = header(TRACEPARENT).and_then(Context::parse);
    let trace = parent.map_or_else(random, |parent| parent.trace);
    if !traces.sampler.takes(&trace, parent.map(|parent| parent.sampled)) {
        return None;
    }
    let mut span = Span::new(trace, parent.map(|parent| parent.span), SpanKind::Server);
    if parent.is_some() {
        header(TRACESTATE)
            .unwrap_or_default()
            .clone_into(&mut span.record.trace_state);
    }
    if let Some(agent) = header(hyper::header::USER_AGENT) {
        span.text("user_agent.original", agent);
    }
    Some(span)
}

impl Span {
    fn new(trace: [u8; 16], parent: Option<[u8; 8]>, kind: SpanKind) -> Self {
        let context = Context {
            trace,
            span: random(),
            sampled: true,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            context,
            began: Instant::now(),
            record: Finished {
                trace_id: trace.to_vec(),
                span_id: context.span.to_vec(),
                parent_span_id: parent.map_or_else(Vec::new, |parent| parent.to_vec()),
                flags: u32::from(SAMPLED),
                kind: kind as i32,
                start_time_unix_nano: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
                ..Finished::default()
            },
        }
    }

    /// What makes spans within this one, also when it has ended.
    pub fn parent(&self) -> Parent {
        Parent {
            context: self.context,
            state: self.record.trace_state.clone(),
        }
    }

    /// Takes down what is asked of another server, and has the request go on with the trace.
    pub fn asks<B>(&mut self, request: &mut Request<B>) {
        self.text("http.request.method", request.method().as_str());
        self.text("server.address", request.uri().host().unwrap_or(""));
        if let Some(port) = request.uri().port_u16() {
            self.number("server.port", port.into());
        }
        self.text("url.full", &Target::of(request.uri()).to_string());
        let state = HeaderValue::from_str(&self.record.trace_state).ok();
        let headers = request.headers_mut();
        headers.insert(TRACEPARENT, self.context.header());
        if let Some(state) = state.filter(|state| !state.is_empty()) {
            headers.insert(TRACESTATE, state);
        }
    }

    /// Takes down what the other server has answered.
    pub fn was_answered(&mut self, status: u16) {
        self.number("http.response.status_code", status.into());
        if status >= 400 {
            self.failed("");
        }
    }

    pub fn text(&mut self, key: &str, value: &str) {
        self.attribute(key, Value::StringValue(value.to_owned()));
    }

    pub fn number(&mut self, key: &str, value: u64) {
        self.attribute(key, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn attribute(&mut self, key: &str, value: Value) {
        self.record.attributes.push(attribute(key, value));
    }

    pub fn failed(&mut self, message: &str) {
        self.record.status = Some(Status {
            message: message.to_owned(),
            code: StatusCode::Error as i32,
        });
    }

    /// Ends the span of a request.
    pub fn answered(mut self, handler: &str, method: &Method, uri: &Uri, status: u16, sent: u64) {
        self.record.name = format!("{method} {handler}");
        self.text("http.request.method", method.as_str());
        self.text("http.route", handler);
        self.text("url.path", uri.path());
        self.number("http.response.status_code", status.into());
        self.number("http.response.body.size", sent);
        if status >= 500 {
            self.failed("");
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(traces) = TRACES.get() else { return };
        let mut record = std::mem::take(&mut self.record);
        let took = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        record.end_time_unix_nano = record.start_time_unix_nano.saturating_add(took);
        if traces.queue.try_send(record).is_err() {
            metrics().dropped_spans(1);
        }
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn traceparents_are_read_as_the_standard_says() {
        let good = format!("00-{TRACE}-{SPAN}-01");
        let context = Context::parse(&good).unwrap();
        assert!(context.sampled);
        assert_eq!(context.header(), good);
        assert!(!Context::parse(&format!("00-{TRACE}-{SPAN}-00")).unwrap().sampled);
        // A later version is read as this one, whatever follows.
        assert!(Context::parse(&format!("cc-{TRACE}-{SPAN}-01-what")).is_some());
        for bad in [
            String::new(),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
        ] {
            assert_eq!(Context::parse(&bad), None, "{bad}");
        }
    }
}

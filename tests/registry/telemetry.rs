//! Traces: decoded by OpenTelemetry's own messages, as a collector does.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;

use super::proxy::section;
use super::receiver::{Receiver, Taken};
use super::server::{Server, sha256};
use super::upstream::Upstream;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn start(receiver: &Receiver, protocol: &str) -> Server {
    let endpoint = format!("http://{}", receiver.address);
    Server::with_environment(
        "",
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=k%20k"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
            ("OTEL_SERVICE_NAME", "mine"),
        ],
    )
}

fn decoded(taken: &Taken) -> ExportTraceServiceRequest {
    if taken.head.contains("content-type: application/json\r\n") {
        serde_json::from_slice(&taken.body).unwrap()
    } else {
        assert!(taken.head.contains("content-type: application/x-protobuf\r\n"));
        ExportTraceServiceRequest::decode(taken.body.as_slice()).unwrap()
    }
}

fn spans(taken: &[Taken]) -> Vec<Span> {
    taken
        .iter()
        .flat_map(|taken| decoded(taken).resource_spans)
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn attribute(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|found| found.value.clone()?.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// A request that is part of a client's trace, and one that the client does not record.
fn continued(protocol: &str) {
    let receiver = Receiver::start();
    let server = start(&receiver, protocol);
    server.push_blob("a", b"x");
    let parent = |sampled: &str| format!("00-{TRACE}-{PARENT}-{sampled}");
    server
        .send("GET", "/v2/none/tags/list", &[("traceparent", &parent("00"))], "")
        .expect(404);
    server
        .send(
            "GET",
            "/v2/none/tags/list?n=1",
            &[("traceparent", &parent("01"))],
            "",
        )
        .expect(404);
    let of_trace = |taken: &[Taken]| {
        let mut spans = spans(taken);
        spans.retain(|span| hex(&span.trace_id) == TRACE);
        spans
    };
    let taken = receiver.wait(|taken| of_trace(taken).len() >= 2);
    assert!(taken[0].head.starts_with("post /v1/traces "), "{}", taken[0].head);
    assert!(taken[0].head.contains("api-key: k k\r\n"));
    let resource = decoded(&taken[0]).resource_spans[0].resource.clone().unwrap();
    assert_eq!(attribute(&resource.attributes, "service.name"), "mine");
    let found = of_trace(&taken);
    assert_eq!(found.len(), 2, "{found:#?}");
    let root = found
        .iter()
        .find(|span| hex(&span.parent_span_id) == PARENT)
        .unwrap();
    assert_eq!(root.name, "GET tags");
    assert_eq!(attribute(&root.attributes, "http.response.status_code"), "404");
    assert_eq!(attribute(&root.attributes, "url.path"), "/v2/none/tags/list");
    let child = found.iter().find(|span| span.name == "storage").unwrap();
    assert_eq!(child.parent_span_id, root.span_id);
    assert!(root.start_time_unix_nano <= child.start_time_unix_nano);
    assert!(child.end_time_unix_nano <= root.end_time_unix_nano);
    // The push was nobody's trace, so it has begun one.
    let push = spans(&taken)
        .into_iter()
        .find(|span| span.name == "POST blob_upload")
        .unwrap();
    assert!(push.parent_span_id.is_empty() && push.trace_id.len() == 16);
}

#[test]
fn spans_go_on_with_a_client_s_trace_as_protobuf() {
    continued("http/protobuf");
}

#[test]
fn spans_go_on_with_a_client_s_trace_as_json() {
    continued("http/json");
}

/// A mirror's requests to its upstream are spans, and the upstream can go on with the trace.
#[test]
fn spans_go_on_to_an_upstream() {
    let receiver = Receiver::start();
    let origin = Server::start();
    origin.push_image("some/image", "v1", b"layer");
    let upstream = Upstream::before(origin.address);
    let endpoint = format!("http://{}", receiver.address);
    let mirror = Server::with_environment(
        &section(upstream.address, ""),
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ],
    );
    let traced = [
        ("traceparent", &*format!("00-{TRACE}-{PARENT}-01")),
        ("tracestate", "who=me"),
    ];
    let blob = format!("/v2/hub/some/image/blobs/{}", sha256(b"layer"));
    for target in ["/v2/hub/some/image/manifests/v1", &blob, &blob] {
        mirror.send("GET", target, &traced, "").expect(200);
    }
    mirror.get("/v2/hub/some/image/blobs/sha256:0").expect(400);
    let refused = mirror.send("GET", "/v2/hub/some/image/manifests/v2", &traced, "");
    refused.expect(404);
    let of_trace = |taken: &[Taken]| {
        let mut spans = spans(taken);
        spans.retain(|span| hex(&span.trace_id) == TRACE);
        spans
    };
    let is_root = |span: &Span| hex(&span.parent_span_id) == PARENT;
    let taken = receiver.wait(|taken| of_trace(taken).iter().filter(|span| is_root(span)).count() == 4);
    let found = of_trace(&taken);
    // The second time the blob was here.
    let seen = upstream.take();
    let asked: Vec<&Span> = found.iter().filter(|span| span.name == "upstream").collect();
    assert_eq!((asked.len(), seen.len()), (3, 3), "{found:#?} {seen:#?}");
    for (span, status) in asked.iter().zip(["200", "200", "404"]) {
        assert_eq!(span.kind, SpanKind::Client as i32);
        let root = found.iter().find(|root| root.span_id == span.parent_span_id);
        assert!(root.is_some_and(is_root), "{found:#?}");
        assert_eq!(attribute(&span.attributes, "http.response.status_code"), status);
        let sent = format!("00-{TRACE}-{}-01", hex(&span.span_id));
        let seen = seen.iter().find(|seen| seen.header("traceparent") == sent);
        let seen = seen.unwrap_or_else(|| panic!("{sent}: {found:#?}"));
        assert_eq!(seen.header("tracestate"), "who=me");
        let url = format!("http://{}{}", upstream.address, seen.target);
        assert_eq!(attribute(&span.attributes, "url.full"), url);
    }
}

#[test]
fn what_is_left_goes_out_at_the_end() {
    let receiver = Receiver::start();
    let endpoint = format!("http://{}/v1/traces", receiver.address);
    let mut server = Server::with_environment("", &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint)]);
    server.get("/v2/").expect(200);
    server.terminate();
    assert!(server.wait().success());
    let taken = receiver.wait(|taken| !taken.is_empty());
    assert_eq!(spans(&taken).len(), 1);
}

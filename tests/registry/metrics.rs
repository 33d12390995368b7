//! `/metrics`, access lines and request ids: what is counted and told of requests.

use super::server::Server;

const ON: &str = "metrics:\n  enabled: true\n";

/// The value of one series.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.map(|rest| rest.trim().parse().unwrap())
}

/// Scrapes until a request that has just been answered is counted: that is after its last byte.
fn scrape(server: &Server, until: &str) -> String {
    for _ in 0..500 {
        let text = String::from_utf8(server.get("/metrics").expect(200).body.to_vec()).unwrap();
        if text.contains(until) {
            return text;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{until} does not come");
}

#[test]
fn requests_are_counted() {
    let server = Server::with(ON);
    let (digest, manifest) = server.push_image("secret/name", "v1", b"a layer of 21 bytes..");
    for _ in 0..3 {
        server.get("/v2/secret/name/manifests/v1").expect(200);
    }
    server.get("/v2/secret/name/manifests/none").expect(404);
    server.send("BREW", "/v2/", &[], "").expect(405);
    server
        .get(&format!("/v2/secret/name/manifests/{digest}"))
        .expect(200);
    server.verb(&["purge"]);
    scrape(
        &server,
        "registry_maintenance_runs_total{work=\"purge\",outcome=\"done\"} 1",
    );
    let text = scrape(
        &server,
        "registry_http_requests_total{handler=\"manifest\",method=\"get\",code=\"200\"} 4",
    );
    for (series, expected) in [
        (
            "registry_http_requests_total{handler=\"manifest\",method=\"put\",code=\"201\"}",
            1,
        ),
        (
            "registry_http_requests_total{handler=\"manifest\",method=\"get\",code=\"404\"}",
            1,
        ),
        (
            "registry_http_requests_total{handler=\"blob_upload\",method=\"post\",code=\"201\"}",
            2,
        ),
        (
            "registry_http_requests_total{handler=\"none\",method=\"other\",code=\"405\"}",
            1,
        ),
        (
            "registry_http_request_duration_seconds_count{handler=\"manifest\",method=\"get\"}",
            5,
        ),
        ("registry_http_received_bytes_total", 21 + 2 + manifest.len()),
        ("registry_http_in_flight_requests", 1),
        ("registry_uploads_open", 0),
    ] {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let expected = expected as f64;
        assert_eq!(value(&text, series), Some(expected), "{series}\n{text}");
    }
    for series in [
        "registry_cache_lookups_total{cache=\"manifest\",outcome=\"miss\"}",
        "registry_storage_free_bytes",
        "registry_storage_action_seconds_count{action=\"commit\"}",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(
            value(&text, series).is_some_and(|value| value > 0.0),
            "{series}\n{text}"
        );
    }
    assert!(!text.contains("secret"), "labels hold no names of repositories");
    assert!(!text.contains("# EOF"));
    let open = server.send(
        "GET",
        "/metrics",
        &[("accept", "application/openmetrics-text")],
        "",
    );
    assert!(open.expect(200).body.ends_with(b"# EOF\n"));
}

#[test]
fn metrics_are_off_unless_wanted() {
    Server::start().get("/metrics").expect(404);
}

/// The access lines once there are as many as wanted.
fn lines(server: &Server, count: usize) -> Vec<String> {
    let log = server.folder.path().join("access.log");
    for _ in 0..500 {
        let text = std::fs::read_to_string(&log).unwrap();
        if text.lines().count() >= count {
            return text.lines().map(str::to_owned).collect();
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("there are not {count} lines");
}

#[test]
fn access_lines_as_json() {
    let server = Server::with_environment("", &[("REGISTRY_LOG_ACCESSLOG_FORMATTER", "json")]);
    let answer = server.send(
        "GET",
        "/v2/?x=1",
        &[("x-request-id", "mine-7"), ("user-agent", "a \"b\"")],
        "",
    );
    assert_eq!(answer.expect(200).header("x-request-id"), "mine-7");
    let made = server
        .send("GET", "/v2/none/tags/list", &[("x-request-id", "a b")], "")
        .expect(404);
    let made = made.header("x-request-id").to_owned();
    assert!(
        made.len() == 32 && made.bytes().all(|b| b.is_ascii_hexdigit()),
        "{made}"
    );
    let lines: Vec<serde_json::Value> = lines(&server, 2)
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["request"], "mine-7");
    assert_eq!(lines[0]["uri"], "/v2/?x=1");
    assert_eq!(lines[0]["agent"], "a \"b\"");
    assert_eq!(lines[0]["sent"], 2);
    assert_eq!(lines[1]["request"], made.as_str());
    assert_eq!(lines[1]["status"], 404);
}

#[test]
fn access_lines_as_web_servers_write_them() {
    let server = Server::with_environment("", &[("REGISTRY_LOG_ACCESSLOG_FORMATTER", "combined")]);
    let headers = [("user-agent", "tester/1"), ("referer", "http://x/\"")];
    server.send("GET", "/v2/", &headers, "").expect(200);
    let line = lines(&server, 1).remove(0);
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    assert!(
        line.ends_with("] \"GET /v2/ HTTP/1.1\" 200 2 \"http://x/\\\"\" \"tester/1\""),
        "{line}"
    );
}

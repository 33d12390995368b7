//! The forms of an access line: words, JSON, or the combined format of Apache's server, which
//! distribution writes too.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::Version;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::registry::metrics::Lookup;

/// Longer agents are cut: lines stay lines.
const MAX_AGENT: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `key=value`
    Text,
    Json,
    /// `host - user [time] "request" status bytes "referer" "agent"`
    Combined,
}

/// What a line tells.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    pub peer: SocketAddr,
    pub user: Option<&'a str>,
    pub method: &'a str,
    pub uri: &'a str,
    pub version: Version,
    pub status: u16,
    pub sent: u64,
    /// Whether all that was promised was sent.
    pub complete: bool,
    pub took: Duration,
    pub agent: Option<&'a str>,
    pub referer: Option<&'a str>,
    pub request: &'a str,
    pub upstream: Option<Lookup>,
}

#[derive(Serialize)]
struct Json<'a> {
    timestamp: String,
    request: &'a str,
    peer: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    method: &'a str,
    uri: &'a str,
    version: &'static str,
    status: u16,
    sent: u64,
    complete: bool,
    milliseconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    referer: Option<&'a str>,
    agent: &'a str,
}

impl Line<'_> {
    /// The line with its end, now.
    pub fn render(&self, format: Format) -> String {
        let now = Timestamp::now();
        match format {
            Format::Text => self.text(now),
            Format::Json => self.json(now),
            Format::Combined => self.combined(now),
        }
    }

    fn text(&self, now: Timestamp) -> String {
        let mut line = String::with_capacity(256);
        let _ = write!(
            line,
            "{now:.3} request={} peer={} user={:?} method={} uri={:?} version={} status={} sent={} complete={} milliseconds={:.3}",
            self.request,
            self.peer,
            self.user.unwrap_or("-"),
            self.method,
            self.uri,
            self.version(),
            self.status,
            self.sent,
            self.complete,
            self.milliseconds(),
        );
        if let Some(upstream) = self.upstream {
            let _ = write!(line, " upstream={}", upstream.as_str());
        }
        let _ = writeln!(line, " agent={:?}", self.agent());
        line
    }

    fn json(&self, now: Timestamp) -> String {
        let line = Json {
            timestamp: format!("{now:.3}"),
            request: self.request,
            peer: self.peer,
            user: self.user,
            method: self.method,
            uri: self.uri,
            version: self.version(),
            status: self.status,
            sent: self.sent,
            complete: self.complete,
            milliseconds: self.milliseconds(),
            upstream: self.upstream.map(Lookup::as_str),
            referer: self.referer,
            agent: self.agent(),
        };
        let mut line = serde_json::to_string(&line).unwrap_or_default();
        line.push('\n');
        line
    }

    fn combined(&self, now: Timestamp) -> String {
        let time = now.to_zoned(TimeZone::UTC);
        format!(
            "{} - {} [{}] {:?} {} {} {:?} {:?}\n",
            self.peer.ip(),
            self.user.unwrap_or("-").escape_debug(),
            time.strftime("%d/%b/%Y:%H:%M:%S %z"),
            format_args!("{} {} {}", self.method, self.uri, self.version()).to_string(),
            self.status,
            self.sent,
            self.referer.unwrap_or("-"),
            self.agent(),
        )
    }

    fn milliseconds(&self) -> f64 {
        (self.took.as_secs_f64() * 1e6).round() / 1e3
    }

    fn agent(&self) -> &str {
        let agent = self.agent.unwrap_or("-");
        agent
            .char_indices()
            .nth(MAX_AGENT)
            .map_or(agent, |(end, _)| &agent[..end])
    }

    fn version(&self) -> &'static str {
        match self.version {
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2.0",
            _ => "HTTP/1.1",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms() {
        let line = Line {
            peer: "192.0.2.1:99".parse().unwrap(),
            user: Some("ann"),
            method: "GET",
            uri: "/v2/a?x=%0a",
            version: Version::HTTP_11,
            status: 200,
            sent: 7,
            complete: true,
            took: Duration::from_micros(1500),
            agent: Some("x \"y\"\n"),
            referer: None,
            request: "r1",
            upstream: Some(Lookup::Hit),
        };
        let now: Timestamp = "2026-11-21T01:02:03.004Z".parse().unwrap();
        assert_eq!(
            line.text(now),
            "2026-11-21T01:02:03.004Z request=r1 peer=192.0.2.1:99 user=\"ann\" method=GET uri=\"/v2/a?x=%0a\" \
             version=HTTP/1.1 status=200 sent=7 complete=true milliseconds=1.500 upstream=hit agent=\"x \\\"y\\\"\\n\"\n"
        );
        assert_eq!(
            line.json(now),
            "{\"timestamp\":\"2026-11-21T01:02:03.004Z\",\"request\":\"r1\",\"peer\":\"192.0.2.1:99\",\"user\":\"ann\",\
             \"method\":\"GET\",\"uri\":\"/v2/a?x=%0a\",\"version\":\"HTTP/1.1\",\"status\":200,\"sent\":7,\"complete\":true,\
             \"milliseconds\":1.5,\"upstream\":\"hit\",\"agent\":\"x \\\"y\\\"\\n\"}\n"
        );
        assert_eq!(
            line.combined(now),
            "192.0.2.1 - ann [21/Nov/2026:01:02:03 +0000] \"GET /v2/a?x=%0a HTTP/1.1\" 200 7 \"-\" \"x \\\"y\\\"\\n\"\n"
        );
    }
}

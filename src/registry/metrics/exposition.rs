//! The text that a scraper gets: `OpenMetrics` for those who ask for it, else Prometheus' own older form.
//!
//! The library writes `OpenMetrics`. The older form differs in three ways: a counter's type and help stand
//! under its full name, there are no units, and nothing marks the end.

use std::fmt::Write as _;

use prometheus_client::encoding::text::encode;

use super::Metrics;

/// A form of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Prometheus,
    OpenMetrics,
}

impl Form {
    /// What an `Accept` header asks for.
    pub fn wanted(accept: Option<&str>) -> Self {
        if accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// All that is counted, now; `extra` is what only the asker knows, name, help and value.
pub fn text(metrics: &Metrics, form: Form, extra: &[(&str, &str, u64)]) -> String {
    let mut text = String::new();
    encode(&mut text, &metrics.registry).expect("a string takes everything");
    let mut gauges = String::new();
    for (name, help, value) in extra {
        let _ = writeln!(
            gauges,
            "# HELP {name} {help}.\n# TYPE {name} gauge\n{name} {value}"
        );
    }
    let end = text.rfind("# EOF").unwrap_or(text.len());
    text.insert_str(end, &gauges);
    match form {
        Form::OpenMetrics => text,
        Form::Prometheus => older(&text),
    }
}

fn older(text: &str) -> String {
    /// What the library adds to names by their type.
    const SUFFIXES: [(&str, &str, &str); 2] = [("counter", "_total", "counter"), ("info", "_info", "gauge")];
    let mut out = String::with_capacity(text.len());
    let mut help = None;
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(_), told) => help = told,
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let (suffix, kind) = SUFFIXES
                    .iter()
                    .find(|(open, ..)| *open == kind)
                    .map_or(("", kind), |(_, suffix, kind)| (suffix, kind));
                if let Some(help) = help.take() {
                    let _ = writeln!(out, "# HELP {name}{suffix} {help}");
                }
                let _ = writeln!(out, "# TYPE {name}{suffix} {kind}");
            }
            (Some("#"), Some("UNIT" | "EOF"), ..) => {}
            _ => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_form() {
        let open = "# HELP a Things.\n# TYPE a counter\na_total{x=\"y z\"} 1\n# HELP b Built.\n# TYPE b info\nb_info{v=\"1\"} 1\n\
                    # HELP c_seconds Time.\n# TYPE c_seconds gauge\n# UNIT c_seconds seconds\nc_seconds 2.5\n# EOF\n";
        assert_eq!(
            older(open),
            "# HELP a_total Things.\n# TYPE a_total counter\na_total{x=\"y z\"} 1\n# HELP b_info Built.\n# TYPE b_info gauge\n\
             b_info{v=\"1\"} 1\n# HELP c_seconds Time.\n# TYPE c_seconds gauge\nc_seconds 2.5\n"
        );
    }

    #[test]
    fn who_asks_for_what() {
        assert_eq!(Form::wanted(None), Form::Prometheus);
        assert_eq!(Form::wanted(Some("text/plain;version=0.0.4")), Form::Prometheus);
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";
        assert_eq!(Form::wanted(Some(prometheus)), Form::OpenMetrics);
    }
}

//! What the `OTEL_*` variables of the OpenTelemetry specification say, as far as they are about traces.
//!
//! Nothing is exported unless `OTEL_TRACES_EXPORTER=otlp` or an endpoint is given. What is offered is OTLP over
//! HTTP; a variable that asks for anything else is an error, and then there are no traces.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use url::Url;

const DEFAULT_ENDPOINT: &str = "http://localhost:4318";
const DEFAULT_SERVICE: &str = "regdeploy-registry";

/// Why there are no traces, though somebody wanted them.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{variable} {reason}; no traces are exported")]
pub struct SettingsError {
    variable: String,
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// Which traces are recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Whether a client that has decided has decided for us.
    parent: bool,
    /// Traces whose number is below are recorded: a share of all numbers.
    below: u64,
}

impl Sampler {
    pub fn takes(&self, trace: &[u8; 16], parent: Option<bool>) -> bool {
        match parent {
            Some(sampled) if self.parent => sampled,
            // The last 7 bytes are the random ones, as W3C Trace Context has it.
            _ => {
                u64::from_be_bytes([
                    0, trace[9], trace[10], trace[11], trace[12], trace[13], trace[14], trace[15],
                ]) < self.below
            }
        }
    }

    fn share(parent: bool, share: f64) -> Self {
        /// One more than the greatest number of 7 bytes.
        const ALL: f64 = 72_057_594_037_927_936.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of 2^56 is at least 0 and fits"
        )]
        let below = (share * ALL) as u64;
        Self { parent, below }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub endpoint: Url,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub encoding: Encoding,
    pub timeout: Duration,
    pub sampler: Sampler,
    /// What describes this process: `service.name` and others.
    pub resource: BTreeMap<String, String>,
    /// How long spans are gathered, how many may wait, and how many go at once.
    pub delay: Duration,
    pub queue: usize,
    pub batch: usize,
}

/// Reads the variables; none where nobody wants traces.
pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Settings>, SettingsError> {
    let get = |name: &str| variable(name).filter(|value| !value.is_empty());
    // The signal's own variable is stronger than the one for all signals.
    let otlp = |name: &str| {
        [
            format!("OTEL_EXPORTER_OTLP_TRACES_{name}"),
            format!("OTEL_EXPORTER_OTLP_{name}"),
        ]
        .into_iter()
        .find_map(|name| get(&name).map(|value| (name, value)))
    };
    let refuse = |variable: &str, reason: &str| SettingsError {
        variable: variable.to_owned(),
        reason: reason.to_owned(),
    };
    let exporter = get("OTEL_TRACES_EXPORTER");
    let wanted = match exporter.as_deref() {
        None => otlp("ENDPOINT").is_some(),
        Some("otlp") => true,
        Some("none") => false,
        Some(_) => return Err(refuse("OTEL_TRACES_EXPORTER", "must be otlp or none")),
    };
    if !wanted || get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let number = |name: &str, otherwise: u64| match get(name) {
        None => Ok(otherwise),
        Some(text) => match text.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(refuse(name, "must be a whole number above 0")),
        },
    };
    let count = |name, otherwise| number(name, otherwise).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let encoding = match otlp("PROTOCOL") {
        None => Encoding::Protobuf,
        Some((name, text)) => match text.as_str() {
            "http/protobuf" => Encoding::Protobuf,
            "http/json" => Encoding::Json,
            _ => return Err(refuse(&name, "must be http/protobuf or http/json")),
        },
    };
    let timeout = match otlp("TIMEOUT") {
        None => 10_000,
        Some((name, _)) => number(&name, 0)?,
    };
    let headers = match otlp("HEADERS") {
        None => Vec::new(),
        Some((name, text)) => pairs(&text)
            .ok_or_else(|| refuse(&name, "must be NAME=VALUE,NAME=VALUE"))?
            .into_iter()
            .map(|(key, value)| Some((key.parse().ok()?, sensitive(&value)?)))
            .collect::<Option<_>>()
            .ok_or_else(|| refuse(&name, "has what fits in no header"))?,
    };
    let mut resource = BTreeMap::from([
        ("service.name".to_owned(), DEFAULT_SERVICE.to_owned()),
        ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    if let Some(text) = get("OTEL_RESOURCE_ATTRIBUTES") {
        resource.extend(
            pairs(&text)
                .ok_or_else(|| refuse("OTEL_RESOURCE_ATTRIBUTES", "must be NAME=VALUE,NAME=VALUE"))?,
        );
    }
    if let Some(name) = get("OTEL_SERVICE_NAME") {
        resource.insert("service.name".to_owned(), name);
    }
    Ok(Some(Settings {
        endpoint: endpoint(&get)?,
        headers,
        encoding,
        timeout: Duration::from_millis(timeout),
        sampler: sampler(&get)?,
        resource,
        delay: Duration::from_millis(number("OTEL_BSP_SCHEDULE_DELAY", 5_000)?),
        queue: count("OTEL_BSP_MAX_QUEUE_SIZE", 2_048)?,
        batch: count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)?,
    }))
}

fn endpoint(get: &impl Fn(&str) -> Option<String>) -> Result<Url, SettingsError> {
    const OWN: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    const SHARED: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let (name, text) = if let Some(text) = get(OWN) {
        (OWN, text)
    } else {
        let base = get(SHARED).unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
        (SHARED, format!("{}/v1/traces", base.trim_end_matches('/')))
    };
    match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(SettingsError {
            variable: name.to_owned(),
            reason: "must be a URL such as http://localhost:4318".to_owned(),
        }),
    }
}

fn sampler(get: &impl Fn(&str) -> Option<String>) -> Result<Sampler, SettingsError> {
    const NAME: &str = "OTEL_TRACES_SAMPLER";
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    let share = || match get(ARGUMENT).map(|text| text.parse::<f64>()) {
        None => Ok(1.0),
        Some(Ok(share)) if (0.0..=1.0).contains(&share) => Ok(share),
        Some(_) => Err(SettingsError {
            variable: ARGUMENT.to_owned(),
            reason: "must be a number from 0 to 1".to_owned(),
        }),
    };
    let name = get(NAME);
    let name = name.as_deref().unwrap_or("parentbased_always_on");
    let (parent, own) = match name.strip_prefix("parentbased_") {
        Some(own) => (true, own),
        None => (false, name),
    };
    let share = match own {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => share()?,
        _ => {
            return Err(SettingsError {
                variable: NAME.to_owned(),
                reason: "must be always_on, always_off or traceidratio, also with parentbased_ before it"
                    .to_owned(),
            });
        }
    };
    Ok(Sampler::share(parent, share))
}

/// `a=b,c=d`, percent-encoded.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    text.split(',')
        .filter(|pair| !pair.trim().is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            // A plus is itself here, other than in forms.
            let value = value.trim().replace('+', "%2B");
            let decoded = url::form_urlencoded::parse(value.as_bytes()).next();
            Some((
                key.trim().to_owned(),
                decoded.map(|(value, _)| value.into_owned()).unwrap_or_default(),
            ))
        })
        .collect()
}

/// Headers carry keys of collectors: they are not to be shown.
fn sensitive(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn off_unless_wanted() {
        for variables in [
            &[][..],
            &[("OTEL_SERVICE_NAME", "x")],
            &[
                ("OTEL_TRACES_EXPORTER", "none"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"),
            ],
            &[("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_SDK_DISABLED", "true")],
        ] {
            assert_eq!(settings(variables), Ok(None), "{variables:?}");
        }
    }

    #[test]
    fn the_variables() {
        let default = settings(&[("OTEL_TRACES_EXPORTER", "otlp")]).unwrap().unwrap();
        assert_eq!(default.endpoint.as_str(), "http://localhost:4318/v1/traces");
        assert_eq!(default.encoding, Encoding::Protobuf);
        let all = settings(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://ignored"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://c.example/in"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b+c, x=y"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "5"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=no,zone=z"),
            ("OTEL_SERVICE_NAME", "mine"),
        ])
        .unwrap()
        .unwrap();
        assert_eq!(all.endpoint.as_str(), "https://c.example/in");
        assert_eq!(all.headers[0].1, "a b+c");
        assert!(!format!("{:?}", all.headers).contains("a b+c"));
        assert_eq!(all.resource["service.name"], "mine");
        assert_eq!(all.resource["zone"], "z");
        assert_eq!(all.timeout, Duration::from_millis(5));
    }

    #[test]
    fn what_is_not_offered_is_told() {
        for (name, value, reason) in [
            (
                "OTEL_TRACES_EXPORTER",
                "zipkin",
                "OTEL_TRACES_EXPORTER must be otlp or none; no traces are exported",
            ),
            (
                "OTEL_EXPORTER_OTLP_PROTOCOL",
                "grpc",
                "OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf or http/json; no traces are exported",
            ),
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "collector:4318",
                "OTEL_EXPORTER_OTLP_ENDPOINT must be a URL such as http://localhost:4318; no traces are exported",
            ),
            (
                "OTEL_TRACES_SAMPLER_ARG",
                "2",
                "OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1; no traces are exported",
            ),
        ] {
            let base = [
                (name, value),
                ("OTEL_TRACES_EXPORTER", "otlp"),
                ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ];
            assert_eq!(settings(&base), Err(reason.to_owned()));
        }
    }

    #[test]
    fn sampling() {
        let low = [0; 16];
        let high = [0xff; 16];
        let all = Sampler::share(true, 1.0);
        assert!(all.takes(&high, None) && all.takes(&low, Some(true)) && !all.takes(&low, Some(false)));
        let half = Sampler::share(false, 0.5);
        assert!(half.takes(&low, Some(false)) && !half.takes(&high, Some(true)));
        assert!(!Sampler::share(false, 0.0).takes(&low, None));
    }
}

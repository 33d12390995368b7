//! `health`: what is looked at from time to time to say whether this server is well.

use std::path::PathBuf;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};

use super::Config;
use super::key::{At, Key, Section, in_list};
use super::notifications::{secret_header, web_address};
use super::scalar::{count, flag, path, positive, shown_duration};

/// Distribution's, for every check that does not say.
pub const INTERVAL: Duration = Duration::from_secs(10);
pub const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub struct HealthConfig {
    pub storage: StorageCheck,
    pub files: Vec<FileCheck>,
    pub http: Vec<HttpCheck>,
    pub tcp: Vec<TcpCheck>,
}

/// `health.storagedriver`: a small write now and then.
#[derive(Debug, Clone)]
pub struct StorageCheck {
    pub enabled: bool,
    pub interval: Duration,
    /// Failures in a row that it takes to be unwell.
    pub threshold: u32,
}

/// `health.file`: unwell while this file is there.
#[derive(Debug, Clone)]
pub struct FileCheck {
    pub file: PathBuf,
    pub interval: Duration,
}

/// `health.http`: unwell while this URL answers otherwise.
#[derive(Debug, Clone)]
pub struct HttpCheck {
    pub uri: String,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub status: u16,
    pub timeout: Duration,
    pub interval: Duration,
    pub threshold: u32,
}

/// `health.tcp`: unwell while nobody listens there.
#[derive(Debug, Clone)]
pub struct TcpCheck {
    pub address: String,
    pub timeout: Duration,
    pub interval: Duration,
    pub threshold: u32,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            storage: StorageCheck {
                enabled: true,
                interval: INTERVAL,
                threshold: 3,
            },
            files: Vec::new(),
            http: Vec::new(),
            tcp: Vec::new(),
        }
    }
}

impl Default for FileCheck {
    fn default() -> Self {
        Self {
            file: PathBuf::new(),
            interval: INTERVAL,
        }
    }
}

impl Default for HttpCheck {
    fn default() -> Self {
        Self {
            uri: String::new(),
            headers: Vec::new(),
            status: 200,
            timeout: TIMEOUT,
            interval: INTERVAL,
            threshold: 1,
        }
    }
}

impl Default for TcpCheck {
    fn default() -> Self {
        Self {
            address: String::new(),
            timeout: TIMEOUT,
            interval: INTERVAL,
            threshold: 1,
        }
    }
}

fn file<'c>(config: &'c mut Config, at: At<'_>) -> Result<&'c mut FileCheck, String> {
    at.entry(0, &mut config.health.files)
}

fn http<'c>(config: &'c mut Config, at: At<'_>) -> Result<&'c mut HttpCheck, String> {
    at.entry(0, &mut config.health.http)
}

fn tcp<'c>(config: &'c mut Config, at: At<'_>) -> Result<&'c mut TcpCheck, String> {
    at.entry(0, &mut config.health.tcp)
}

fn threshold(text: &str) -> Result<u32, String> {
    u32::try_from(count(text)?).map_err(|_| "is too large".to_owned())
}

/// `HOST:PORT`
fn host_and_port(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        _ => Err("must be an address such as database.example:5432".to_owned()),
    }
}

fn status(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(status) if (100..600).contains(&status) => Ok(status),
        _ => Err("must be a status such as 200".to_owned()),
    }
}

pub const SECTION: Section = Section {
    keys: &[
        Key::one(
            "health.storagedriver.enabled",
            "write a few bytes now and then; what fails makes `/readyz` answer 503",
            |c, text| flag(text).map(|value| c.health.storage.enabled = value),
            |c| Some(c.health.storage.enabled.to_string()),
        ),
        Key::one(
            "health.storagedriver.interval",
            "how often",
            |c, text| positive(text).map(|value| c.health.storage.interval = value),
            |c| Some(shown_duration(c.health.storage.interval)),
        ),
        Key::one(
            "health.storagedriver.threshold",
            "failures in a row that it takes to be unwell",
            |c, text| threshold(text).map(|value| c.health.storage.threshold = value),
            |c| Some(c.health.storage.threshold.to_string()),
        ),
        Key::each(
            "health.file.[].file",
            "unwell while this file is there",
            |c, at, text| {
                let value = path(text)?;
                file(c, at).map(|check| check.file = value)
            },
            |c| in_list(&c.health.files, |check| Some(check.file.display().to_string())),
        ),
        Key::each(
            "health.file.[].interval",
            "how often it is looked for",
            |c, at, text| {
                let value = positive(text)?;
                file(c, at).map(|check| check.interval = value)
            },
            |c| in_list(&c.health.files, |check| Some(shown_duration(check.interval))),
        ),
        Key::each(
            "health.http.[].uri",
            "unwell while a HEAD of this URL is answered otherwise",
            |c, at, text| {
                let value = web_address(text)?;
                http(c, at).map(|check| check.uri = value)
            },
            |c| in_list(&c.health.http, |check| Some(check.uri.clone())),
        ),
        Key::each_many(
            "health.http.[].headers.*",
            "a header of that request, and its values",
            |c, at, values| {
                let name: HeaderName = at.word(1).parse().map_err(|_| "is no name of a header")?;
                let headers = &mut http(c, at)?.headers;
                headers.retain(|(known, _)| *known != name);
                for value in values {
                    headers.push((name.clone(), secret_header(value)?));
                }
                Ok(())
            },
            |c| {
                let checks = c.health.http.iter().enumerate();
                let hidden = |index: usize, name: &HeaderName| {
                    (vec![index.to_string(), name.to_string()], vec!["***".to_owned()])
                };
                checks
                    .flat_map(|(index, check)| check.headers.iter().map(move |(name, _)| hidden(index, name)))
                    .collect()
            },
        )
        .secret(),
        Key::each(
            "health.http.[].statuscode",
            "than with this status",
            |c, at, text| {
                let value = status(text)?;
                http(c, at).map(|check| check.status = value)
            },
            |c| in_list(&c.health.http, |check| Some(check.status.to_string())),
        ),
        Key::each(
            "health.http.[].timeout",
            "within this time",
            |c, at, text| {
                let value = positive(text)?;
                http(c, at).map(|check| check.timeout = value)
            },
            |c| in_list(&c.health.http, |check| Some(shown_duration(check.timeout))),
        ),
        Key::each(
            "health.http.[].interval",
            "how often it is asked",
            |c, at, text| {
                let value = positive(text)?;
                http(c, at).map(|check| check.interval = value)
            },
            |c| in_list(&c.health.http, |check| Some(shown_duration(check.interval))),
        ),
        Key::each(
            "health.http.[].threshold",
            "failures in a row that it takes to be unwell",
            |c, at, text| {
                let value = threshold(text)?;
                http(c, at).map(|check| check.threshold = value)
            },
            |c| in_list(&c.health.http, |check| Some(check.threshold.to_string())),
        ),
        Key::each(
            "health.tcp.[].addr",
            "unwell while nobody listens at this `HOST:PORT`",
            |c, at, text| {
                let value = host_and_port(text)?;
                tcp(c, at).map(|check| check.address = value)
            },
            |c| in_list(&c.health.tcp, |check| Some(check.address.clone())),
        ),
        Key::each(
            "health.tcp.[].timeout",
            "how long connecting may take",
            |c, at, text| {
                let value = positive(text)?;
                tcp(c, at).map(|check| check.timeout = value)
            },
            |c| in_list(&c.health.tcp, |check| Some(shown_duration(check.timeout))),
        ),
        Key::each(
            "health.tcp.[].interval",
            "how often it is tried",
            |c, at, text| {
                let value = positive(text)?;
                tcp(c, at).map(|check| check.interval = value)
            },
            |c| in_list(&c.health.tcp, |check| Some(shown_duration(check.interval))),
        ),
        Key::each(
            "health.tcp.[].threshold",
            "failures in a row that it takes to be unwell",
            |c, at, text| {
                let value = threshold(text)?;
                tcp(c, at).map(|check| check.threshold = value)
            },
            |c| in_list(&c.health.tcp, |check| Some(check.threshold.to_string())),
        ),
    ],
    check: |config, places| {
        let health = &config.health;
        let files = health.files.iter().map(|check| check.file.as_os_str().is_empty());
        let http = health.http.iter().map(|check| check.uri.is_empty());
        let tcp = health.tcp.iter().map(|check| check.address.is_empty());
        let mut errors = Vec::new();
        for (kind, needed, missing) in [
            ("file", "file", files.collect::<Vec<_>>()),
            ("http", "uri", http.collect()),
            ("tcp", "addr", tcp.collect()),
        ] {
            for (index, _) in missing.iter().enumerate().filter(|(_, missing)| **missing) {
                let at = format!("health.{kind}.{index}");
                errors.push(places.error(&at, format!("`{at}` needs `{needed}`")));
            }
        }
        errors
    },
    ..Section::EMPTY
};

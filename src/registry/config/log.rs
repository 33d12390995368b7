//! `log`: the server's own log and its access log.

use std::path::PathBuf;

use super::key::{Key, Section, Words, name_of, one_of};
use super::scalar::{flag, path, shown_path};

#[derive(Debug, Clone)]
pub struct Log {
    pub level: tracing::Level,
    pub format: LogFormat,
    pub access: bool,
    /// Where access lines go; standard output without.
    pub access_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: tracing::Level::INFO,
            format: LogFormat::Text,
            access: true,
            access_file: None,
        }
    }
}

const LEVELS: &Words<tracing::Level> = &[
    ("error", tracing::Level::ERROR),
    ("warn", tracing::Level::WARN),
    ("info", tracing::Level::INFO),
    ("debug", tracing::Level::DEBUG),
];
const FORMATS: &Words<LogFormat> = &[
    ("text", LogFormat::Text),
    ("json", LogFormat::Json),
    ("logstash", LogFormat::Json),
];

pub const SECTION: Section = Section {
    keys: &[
        Key::one(
            "log.level",
            "`error`, `warn`, `info` or `debug`; the log goes to standard error",
            |c, text| one_of(LEVELS, text).map(|value| c.log.level = value),
            |c| name_of(LEVELS, c.log.level),
        ),
        Key::one(
            "log.formatter",
            "`text` or `json`, for the log and the access log; distribution's `logstash` is `json`",
            |c, text| one_of(FORMATS, text).map(|value| c.log.format = value),
            |c| name_of(FORMATS, c.log.format),
        ),
        Key::one(
            "log.accesslog.disabled",
            "no line for each request",
            |c, text| flag(text).map(|value| c.log.access = !value),
            |c| Some((!c.log.access).to_string()),
        ),
        Key::one(
            "log.accesslog.file",
            "where access lines go; standard output without. Opened anew at each reload",
            |c, text| path(text).map(|value| c.log.access_file = Some(value)),
            |c| shown_path(c.log.access_file.as_ref()),
        ),
        Key::one(
            "loglevel",
            "the older name of `log.level`",
            |c, text| one_of(LEVELS, text).map(|value| c.log.level = value),
            |_| None,
        ),
    ],
    without_effect: &[
        ("log.fields", "log lines carry no fixed fields"),
        ("log.reportcaller", "log lines name the part that wrote them"),
        ("log.hooks", "no mail is sent of what is logged"),
    ],
    ..Section::EMPTY
};

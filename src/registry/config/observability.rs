//! What can be seen of the server from outside: access lines, `/metrics`, the page for people.

use super::key::{Key, Section, Words, name_of, one_of};
use super::scalar::flag;
use crate::registry::access_log::Format;

#[derive(Debug, Clone)]
pub struct Observability {
    /// As the server's own log without it.
    pub access_format: Option<Format>,
    /// Whether `/metrics` answers on the main port.
    pub metrics: bool,
    /// Whether `/ui/` answers.
    pub page: bool,
}

impl Default for Observability {
    fn default() -> Self {
        Self {
            access_format: None,
            metrics: false,
            page: true,
        }
    }
}

const FORMATS: &Words<Format> = &[
    ("text", Format::Text),
    ("json", Format::Json),
    ("combined", Format::Combined),
];

pub const SECTION: Section = Section {
    keys: &[
        Key::one(
            "log.accesslog.formatter",
            "`text`, `json`, or `combined` as web servers write it; as `log.formatter` without it",
            |c, text| one_of(FORMATS, text).map(|value| c.observability.access_format = Some(value)),
            |c| name_of(FORMATS, c.observability.access_format?),
        ),
        Key::one(
            "metrics.enabled",
            "whether `/metrics` answers, for Prometheus",
            |c, text| flag(text).map(|value| c.observability.metrics = value),
            |c| Some(c.observability.metrics.to_string()),
        ),
        Key::one(
            "ui.enabled",
            "whether the page for people answers at `/ui/`",
            |c, text| flag(text).map(|value| c.observability.page = value),
            |c| Some(c.observability.page.to_string()),
        ),
    ],
    ..Section::EMPTY
};

//! What can be seen of the server from outside: access lines, `/metrics`, the page for people.

use crate::registry::access_log::Format;

#[derive(Debug, Clone, Default)]
pub struct Observability {
    /// `log.accesslog.formatter`; as the server's own log without it.
    pub access_format: Option<Format>,
    /// `metrics.enabled`: whether `/metrics` answers on the main port.
    pub metrics: bool,
    /// `ui.enabled`: whether `/ui/` answers.
    pub page: bool,
}

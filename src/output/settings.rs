//! How results are shown.

use super::console::Stream;
use crate::configuration::{Configuration, table};

/// What a result is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Json,
    Yaml,
}

/// Settings that printers share; the defaults are Ansible's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Settings {
    /// How many `-v`.
    pub verbosity: u8,
    /// `--check` was given.
    pub check: bool,
    pub format: Format,
    /// Whether results are laid out to be read; none leaves it to the format.
    pub pretty: Option<bool>,
    pub skipped_hosts: bool,
    pub ok_hosts: bool,
    /// Where failures go.
    pub failures: Stream,
    pub custom_stats: bool,
    pub host_start: bool,
    pub check_markers: bool,
    pub path_on_failure: bool,
    pub arguments: bool,
    /// Lines around each change of a diff.
    pub diff_context: usize,
    /// Where what `-v` adds goes.
    pub chatter: Stream,
}

impl Settings {
    pub fn new(configuration: &Configuration, verbosity: u8, check: bool) -> Self {
        let truth = |setting| configuration.truth(setting);
        let stream = |to_stderr| if to_stderr { Stream::Err } else { Stream::Out };
        Self {
            verbosity,
            check,
            format: match configuration.text(&table::CALLBACK_RESULT_FORMAT) {
                Some("yaml") => Format::Yaml,
                _ => Format::Json,
            },
            pretty: configuration.value(&table::CALLBACK_FORMAT_PRETTY).as_bool(),
            skipped_hosts: truth(&table::DISPLAY_SKIPPED_HOSTS),
            ok_hosts: truth(&table::DISPLAY_OK_HOSTS),
            failures: stream(truth(&table::DISPLAY_FAILED_STDERR)),
            custom_stats: truth(&table::SHOW_CUSTOM_STATS),
            host_start: truth(&table::SHOW_PER_HOST_START),
            check_markers: truth(&table::CHECK_MODE_MARKERS),
            path_on_failure: truth(&table::SHOW_TASK_PATH_ON_FAILURE),
            arguments: truth(&table::DISPLAY_ARGS_TO_STDOUT),
            diff_context: configuration
                .integer(&table::DIFF_CONTEXT)
                .and_then(|lines| usize::try_from(lines).ok())
                .unwrap_or_default(),
            chatter: stream(truth(&table::VERBOSE_TO_STDERR)),
        }
    }

    /// The same with results as YAML.
    #[must_use]
    pub fn yaml(self) -> Self {
        Self {
            format: Format::Yaml,
            ..self
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(&Configuration::default(), 0, false)
    }
}

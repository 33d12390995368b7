//! How results are shown.

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
    pub failed_to_stderr: bool,
    pub custom_stats: bool,
    pub host_start: bool,
    pub check_markers: bool,
    pub path_on_failure: bool,
    pub arguments: bool,
    pub deprecations: bool,
    /// Lines around each change of a diff.
    pub diff_context: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            verbosity: 0,
            check: false,
            format: Format::Json,
            pretty: None,
            skipped_hosts: true,
            ok_hosts: true,
            failed_to_stderr: false,
            custom_stats: false,
            host_start: false,
            check_markers: false,
            path_on_failure: false,
            arguments: false,
            deprecations: true,
            diff_context: 3,
        }
    }
}

//! Colours, by Ansible's meaning of them.

/// What a text is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    Ok,
    Changed,
    Skipped,
    Error,
    Unreachable,
    Warning,
    Verbose,
    DiffAdded,
    DiffRemoved,
    DiffPlace,
}

impl Colour {
    fn code(self) -> &'static str {
        match self {
            Self::Ok | Self::DiffAdded => "0;32",
            Self::Changed => "0;33",
            Self::Skipped | Self::DiffPlace => "0;36",
            Self::Error | Self::DiffRemoved => "0;31",
            Self::Unreachable => "1;31",
            Self::Warning => "1;35",
            Self::Verbose => "0;34",
        }
    }
}

/// Paints, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint(pub bool);

impl Paint {
    /// Each line is painted by itself, so that a pager that starts in the middle shows it right.
    pub fn paint(self, text: &str, colour: Colour) -> String {
        if !self.0 {
            return text.to_owned();
        }
        text.split('\n')
            .map(|line| format!("\x1b[{}m{line}\x1b[0m", colour.code()))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

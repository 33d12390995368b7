//! Where a configuration is read from, at the start and again at each reload: a file and the environment.

use std::path::PathBuf;

use super::{Loaded, load};
use crate::diagnostic::Diagnostic;
use crate::source::Source;

#[derive(Debug, Clone)]
pub struct Origin {
    /// Without it, the environment and the defaults.
    pub file: Option<PathBuf>,
}

impl Origin {
    pub fn read(&self) -> Result<Loaded, Vec<Diagnostic>> {
        let (name, text) = match &self.file {
            None => ("<defaults>".to_owned(), String::new()),
            Some(file) => match std::fs::read_to_string(file) {
                Ok(text) => (file.display().to_string(), text),
                Err(error) => {
                    let message = format!("read the configuration {}: {error}", file.display());
                    return Err(vec![Diagnostic::error(message)]);
                }
            },
        };
        // A variable that is no text is none of ours.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        load(&Source::new(name, text), environment)
    }
}

//! Passwords and the like: shown as `***`, in messages too.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::secrets;

/// A text that nothing prints. It stands in the configuration, or in a file that the configuration names.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    file: Option<PathBuf>,
}

impl Secret {
    /// From the configuration itself.
    pub fn given(text: &str) -> Result<Self, String> {
        if text == secrets::MASK {
            return Err(format!(
                "is `{}`, which stands for a secret where one is shown: write the secret itself",
                secrets::MASK
            ));
        }
        Ok(Self::new(text, None))
    }

    /// What a file holds, without the newline at its end.
    pub fn in_file(path: &str) -> Result<Self, String> {
        let path = PathBuf::from(path);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("names {}, which cannot be read: {error}", path.display()))?;
        Ok(Self::new(text.trim_end_matches(['\n', '\r']), Some(path)))
    }

    fn new(text: &str, file: Option<PathBuf>) -> Self {
        secrets::learn(text);
        Self {
            text: text.to_owned(),
            file,
        }
    }

    /// The secret itself: for where it is used, never for what is shown.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// For the key that holds the secret.
    pub fn shown(&self) -> Option<String> {
        self.file.is_none().then(|| secrets::MASK.to_owned())
    }

    /// For the key that names the file.
    pub fn shown_file(&self) -> Option<String> {
        self.file
            .as_deref()
            .map(Path::display)
            .map(|path| path.to_string())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(secrets::MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "of a file\n").unwrap();
        let file = path.display().to_string();
        let (given, read) = (
            Secret::given("open sesame").unwrap(),
            Secret::in_file(&file).unwrap(),
        );
        assert_eq!((given.expose(), read.expose()), ("open sesame", "of a file"));
        assert_eq!(
            (given.shown().as_deref(), given.shown_file()),
            (Some("***"), None)
        );
        assert_eq!((read.shown(), read.shown_file()), (None, Some(file)));
        assert_eq!(format!("{given:?} {read:?}"), "*** ***");
        assert!(Secret::given("***").is_err());
        assert!(
            Secret::in_file("/nowhere/password")
                .unwrap_err()
                .contains("cannot be read")
        );
    }
}

//! Path arguments as playbooks write them: `~`, `~user`, `$NAME` and `${NAME}`.
//!
//! Specification: Python's `os.path.expandvars` and `expanduser`, but that a home which is not known is an
//! error.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::modules::Error;
use crate::system::System;

/// The path that a text stands for on the target; without a trailing slash.
pub fn expand(text: &str, system: &dyn System) -> Result<PathBuf, Error> {
    let text = with_variables(text, system);
    let text = match text.trim_end_matches('/') {
        "" if text.starts_with('/') => "/",
        trimmed => trimmed,
    };
    let Some(rest) = text.strip_prefix('~') else {
        return Ok(PathBuf::from(text));
    };
    let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let own = system.env("HOME").filter(|_| name.is_empty());
    let home = match own {
        Some(home) => Some(PathBuf::from(home)),
        None => system
            .users()?
            .into_iter()
            .find(|user| {
                if name.is_empty() {
                    user.uid == system.uid()
                } else {
                    user.name == name
                }
            })
            .map(|user| user.home),
    };
    let home =
        home.ok_or_else(|| Error::new(format!("the home folder that {text} begins with is not known")))?;
    Ok(if rest.is_empty() { home } else { home.join(rest) })
}

/// A path as text that can be sent. One that is no text is told in hexadecimal digits after a NUL, which no path contains.
pub fn to_text(path: &Path) -> String {
    if let Some(text) = path.to_str() {
        return text.to_owned();
    }
    let bytes = path.as_os_str().as_bytes();
    bytes.iter().fold("\0".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The path that [`to_text`] told.
pub fn from_text(text: &str) -> PathBuf {
    let Some(digits) = text.strip_prefix('\0') else {
        return PathBuf::from(text);
    };
    let bytes = digits.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).unwrap_or_default();
        // What are no digits cannot come from there; a NUL is refused by the kernel.
        u8::from_str_radix(pair, 16).unwrap_or_default()
    });
    PathBuf::from(OsString::from_vec(bytes.collect()))
}

/// A text with the variables that are set put in; others stay as they are written.
pub fn with_variables(text: &str, system: &dyn System) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let braced = rest[1..].strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let (name, length) = if let Some((name, _)) = braced {
            (name, name.len() + 3)
        } else {
            let end = rest[1..]
                .find(|c: char| c != '_' && !c.is_ascii_alphanumeric())
                .map_or(rest.len(), |end| end + 1);
            (&rest[1..end], end)
        };
        match system.env(name).filter(|_| !name.is_empty()) {
            Some(value) => out.push_str(&value),
            None => out.push_str(&rest[..length]),
        }
        rest = &rest[length..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::fake::Fake;

    #[test]
    fn names_that_are_no_text_survive() {
        for bytes in [&b"plain"[..], b"a\xff/b", b"new\nline", b"\xc3"] {
            let path = PathBuf::from(OsString::from_vec(bytes.to_vec()));
            assert_eq!(from_text(&to_text(&path)), path);
        }
    }

    #[test]
    fn homes_and_variables() {
        let fake = Fake::new();
        fake.environment
            .borrow_mut()
            .insert("DATA".to_owned(), "/srv/data".to_owned());
        for (text, path) in [
            ("/etc/app/", "/etc/app"),
            ("/", "/"),
            ("~", "/root"),
            ("~/x", "/root/x"),
            ("~ann/x/", "/home/ann/x"),
            ("$DATA/x", "/srv/data/x"),
            ("${DATA}x", "/srv/datax"),
            ("/a$UNKNOWN/$/${", "/a$UNKNOWN/$/${"),
            ("relative", "relative"),
        ] {
            assert_eq!(expand(text, &fake).unwrap(), PathBuf::from(path), "{text}");
        }
        assert_eq!(
            expand("~bob/x", &fake).unwrap_err().message,
            "the home folder that ~bob/x begins with is not known"
        );
    }
}

//! What a shell would do to a word before a program sees it: `~`, `$NAME`, and file name patterns.
//!
//! Deliberately no word splitting, command substitution or braces.

use std::path::{Path, PathBuf};

use globset::GlobBuilder;

use super::Error;
use crate::system::{Follow, System};

/// `~` and `~name` at the beginning; anything that names no user stays as it is.
pub fn home(text: &str, system: &dyn System) -> String {
    let Some(rest) = text.strip_prefix('~') else {
        return text.to_owned();
    };
    let (name, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let users = system.users().unwrap_or_default();
    let home = if name.is_empty() {
        system.env("HOME").or_else(|| {
            let own = users.iter().find(|user| user.uid == system.uid())?;
            Some(own.home.display().to_string())
        })
    } else {
        users
            .iter()
            .find(|user| user.name == name)
            .map(|user| user.home.display().to_string())
    };
    home.map_or_else(|| text.to_owned(), |home| format!("{home}{tail}"))
}

/// `$NAME` and `${NAME}`; a variable that is not set stays as it is written.
pub fn variables(text: &str, system: &dyn System) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (name, length) = variable_name(rest);
        match name.and_then(|name| system.env(name)) {
            Some(value) => out.push_str(&value),
            None => out.push_str(&rest[..length]),
        }
        rest = &rest[length..];
    }
    out + rest
}

/// The name after a `$`, and how many bytes the whole reference takes.
fn variable_name(text: &str) -> (Option<&str>, usize) {
    if let Some(inner) = text.strip_prefix("${") {
        return match inner.find('}') {
            Some(end) => (Some(&inner[..end]), end + 3),
            None => (None, 2),
        };
    }
    let body = &text[1..];
    let end = body
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(body.len());
    ((end > 0).then(|| &body[..end]), end + 1)
}

/// An argument of kind path: variables and `~` expanded, relative to `directory`.
pub fn path(text: &str, directory: Option<&Path>, system: &dyn System) -> PathBuf {
    let text = home(&variables(text, system), system);
    match directory {
        Some(directory) => directory.join(text),
        None => PathBuf::from(text),
    }
}

/// Whether anything has this path, or a path that it is a pattern of.
pub fn any_exists(pattern: &Path, system: &dyn System) -> Result<bool, Error> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let text = part.as_os_str().to_string_lossy();
        if !text.contains(['*', '?', '[']) {
            for path in &mut found {
                path.push(part);
            }
            continue;
        }
        let matcher = GlobBuilder::new(&text)
            .build()
            .map_err(|error| Error::new(format!("`{text}` is not a file name pattern: {error}")))?
            .compile_matcher();
        let mut next = Vec::new();
        for folder in found {
            // A pattern below something that is no folder matches nothing.
            let names = system.read_dir(&folder).unwrap_or_default();
            let names = names.iter().filter_map(|path| path.file_name());
            next.extend(
                names
                    .filter(|name| text.starts_with('.') || !name.to_string_lossy().starts_with('.'))
                    .filter(|name| matcher.is_match(name))
                    .map(|name| folder.join(name)),
            );
        }
        found = next;
    }
    for path in found {
        if system.metadata(&path, Follow::Yes)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::variable_name;

    #[test]
    fn finds_the_name_of_a_variable() {
        assert_eq!(variable_name("$HOME/x"), (Some("HOME"), 5));
        assert_eq!(variable_name("${HOME}x"), (Some("HOME"), 7));
        assert_eq!(variable_name("$ "), (None, 1));
        assert_eq!(variable_name("${open"), (None, 2));
    }
}

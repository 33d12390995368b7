//! What a shell would do for a program: the home folder that a word begins with, and file name patterns.
//!
//! Variables, and whole paths, are [`crate::modules::files::path`]'s.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::modules::Error;
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

/// A file name pattern; its `*` matches slashes, too.
pub fn matcher(pattern: &str) -> Result<GlobMatcher, Error> {
    let glob = GlobBuilder::new(pattern)
        .build()
        .map_err(|error| Error::new(format!("`{pattern}` is not a file name pattern: {error}")))?;
    Ok(glob.compile_matcher())
}

/// Whether anything has this path, or a path that it is a pattern of.
pub fn any_exists(pattern: &Path, system: &dyn System) -> Result<bool, Error> {
    Ok(!existing(pattern, system)?.is_empty())
}

/// What has this path, or a path that it is a pattern of.
pub fn existing(pattern: &Path, system: &dyn System) -> Result<Vec<PathBuf>, Error> {
    let mut there = Vec::new();
    for path in matching(pattern, system)? {
        if system.metadata(&path, Follow::Yes)?.is_some() {
            there.push(path);
        }
    }
    Ok(there)
}

/// The paths that one is a pattern of, in order; a path without patterns itself, whether it is there or not.
pub fn matching(pattern: &Path, system: &dyn System) -> Result<Vec<PathBuf>, Error> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let text = part.as_os_str().to_string_lossy();
        if !text.contains(['*', '?', '[']) {
            for path in &mut found {
                path.push(part);
            }
            continue;
        }
        let matcher = matcher(&text)?;
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
    Ok(found)
}

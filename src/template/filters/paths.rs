//! Filters on file names. They look at the controller's files where they look at any.

use std::path::{Component, Path, PathBuf};

use minijinja::Error;

use crate::template::call::{Call, Definition, row};
use crate::value::Value;

pub(super) const FILTERS: &[Definition] = &[
    row("basename", "", "What follows the last slash", |call| {
        let text = call.text()?;
        Ok(text
            .rsplit_once('/')
            .map_or(text.as_str(), |(_, last)| last)
            .into())
    }),
    row("dirname", "", "What precedes the last slash", |call| {
        Ok(dirname(&call.text()?).into())
    }),
    row(
        "expanduser",
        "",
        "The path with ~ replaced by the home folder",
        |call| Ok(expand_user(&call.text()?).into()),
    ),
    row(
        "expandvars",
        "",
        "The path with $NAME replaced from the environment",
        |call| Ok(expand_variables(&call.text()?).into()),
    ),
    row("realpath", "", "The path without symbolic links", realpath),
    row("relpath", "start='.'", "The path as seen from a folder", relpath),
    row("normpath", "", "The path without its . and .. parts", |call| {
        Ok(normalise(&call.text()?).into())
    }),
    row("splitext", "", "The path and its extension", |call| {
        let text = call.text()?;
        let (root, extension) = split_extension(&text);
        Ok(vec![root, extension].into())
    }),
    row("win_basename", "", "What follows the last backslash", |call| {
        let text = call.text()?;
        Ok(text[after_last_separator(&text)..].into())
    }),
    row("win_dirname", "", "What precedes the last backslash", |call| {
        let text = call.text()?;
        let folder = &text[..after_last_separator(&text)];
        let drive = split_drive(&text).0.len();
        let trimmed = folder.trim_end_matches(['\\', '/']);
        Ok(if trimmed.len() <= drive { folder } else { trimmed }.into())
    }),
    row("win_splitdrive", "", "The drive, and the path on it", |call| {
        let text = call.text()?;
        let (drive, rest) = split_drive(&text);
        Ok(vec![drive, rest].into())
    }),
    row("path_join", "*parts", "The parts as one path", path_join),
    row(
        "commonpath",
        "",
        "The longest folder that all paths are in",
        commonpath,
    ),
    row(
        "fileglob",
        "",
        "The controller's files that match a pattern",
        |call| Ok(glob(&call.text()?).into()),
    ),
];

/// Of a path on Windows.
fn after_last_separator(path: &str) -> usize {
    let drive = split_drive(path).0.len();
    path.rfind(['\\', '/']).map_or(drive, |at| at + 1)
}

fn split_drive(path: &str) -> (&str, &str) {
    if path.get(1..2) == Some(":") {
        path.split_at(2)
    } else {
        ("", path)
    }
}

fn dirname(path: &str) -> &str {
    match path.rsplit_once('/') {
        None => "",
        Some((folder, _)) => match folder.trim_end_matches('/') {
            "" => "/",
            trimmed => trimmed,
        },
    }
}

fn split_extension(path: &str) -> (&str, &str) {
    let name = path.rfind('/').map_or(0, |at| at + 1);
    // Leading dots are part of the name: `.bashrc` has no extension.
    let start = name + path[name..].len() - path[name..].trim_start_matches('.').len();
    match path[start..].rfind('.') {
        Some(at) => path.split_at(start + at),
        None => (path, ""),
    }
}

pub(in crate::template) fn normalise(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                None if absolute => {}
                _ => parts.push(".."),
            },
            other => parts.push(other),
        }
    }
    match (absolute, parts.join("/")) {
        (true, path) => format!("/{path}"),
        (false, path) if path.is_empty() => ".".to_owned(),
        (false, path) => path,
    }
}

fn absolute(path: &str) -> String {
    let folder = std::env::current_dir().unwrap_or_default();
    normalise(&folder.join(path).to_string_lossy())
}

fn realpath(call: &Call) -> Result<Value, Error> {
    let path = PathBuf::from(absolute(&call.text()?));
    // Of a path that is not there, the part that is there is resolved.
    for (depth, existing) in path.ancestors().enumerate() {
        if let Ok(real) = existing.canonicalize() {
            let missing: Vec<Component> = path.components().rev().take(depth).collect();
            let real = missing.iter().rev().fold(real, |real, part| real.join(part));
            return Ok(real.to_string_lossy().into_owned().into());
        }
    }
    Ok(path.to_string_lossy().into_owned().into())
}

fn relpath(call: &Call) -> Result<Value, Error> {
    let path = absolute(&call.text()?);
    let start = absolute(&call.string_or("start", ".")?);
    let parts = |path: &str| -> Vec<String> {
        path.split('/')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (path, start) = (parts(&path), parts(&start));
    let same = path
        .iter()
        .zip(&start)
        .take_while(|(left, right)| left == right)
        .count();
    let up = std::iter::repeat_n("..".to_owned(), start.len() - same);
    let relative: Vec<String> = up.chain(path[same..].iter().cloned()).collect();
    Ok(if relative.is_empty() {
        ".".to_owned()
    } else {
        relative.join("/")
    }
    .into())
}

pub(in crate::template) fn expand_user(path: &str) -> String {
    let Some(rest) = path.strip_prefix('~') else {
        return path.to_owned();
    };
    let (user, rest) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    match home(user) {
        Some(home) => format!("{}{rest}", home.trim_end_matches('/')),
        None => path.to_owned(),
    }
}

/// The name of a user of the controller.
pub(in crate::template) fn user_name(id: u32) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let id = id.to_string();
    let line = users.lines().find(|line| line.split(':').nth(2) == Some(&id))?;
    line.split(':').next().map(str::to_owned)
}

/// The home of a user of the controller, or of the present one for an empty name.
fn home(user: &str) -> Option<String> {
    if user.is_empty() {
        return std::env::var("HOME").ok();
    }
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(user))?;
    line.split(':').nth(5).map(str::to_owned)
}

fn expand_variables(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, length) = if let Some(inside) = after.strip_prefix('{') {
            match inside.find('}') {
                Some(end) => (&inside[..end], end + 2),
                None => ("", 0),
            }
        } else {
            let end = after
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(after.len());
            (&after[..end], end)
        };
        match std::env::var(name) {
            Ok(value) if !name.is_empty() => out.push_str(&value),
            _ => out.push_str(&rest[at..=at + length]),
        }
        rest = &after[length..];
    }
    out + rest
}

fn path_join(call: &Call) -> Result<Value, Error> {
    let mut parts = match call.data()? {
        Value::List(items) => items,
        other => vec![other],
    };
    parts.extend(call.rest()?);
    let joined = parts
        .iter()
        .fold(PathBuf::new(), |path, part| path.join(part.to_string()));
    Ok(joined.to_string_lossy().into_owned().into())
}

fn commonpath(call: &Call) -> Result<Value, Error> {
    let paths = call.list()?;
    let mut common: Option<PathBuf> = None;
    for path in &paths {
        let path = PathBuf::from(path.to_string());
        common = Some(match common {
            None => path,
            Some(common) => common
                .components()
                .zip(path.components())
                .take_while(|(left, right)| left == right)
                .map(|(part, _)| part)
                .collect(),
        });
    }
    common
        .map(|path| path.to_string_lossy().into_owned().into())
        .ok_or_else(|| call.fail("there are no paths"))
}

/// The regular files that match; wildcards stand in the last part of the pattern.
pub(in crate::template) fn glob(pattern: &str) -> Vec<String> {
    let path = Path::new(pattern);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let Some(matcher) = path
        .file_name()
        .and_then(|name| globset::Glob::new(&name.to_string_lossy()).ok())
        .map(|glob| glob.compile_matcher())
    else {
        return Vec::new();
    };
    let Ok(entries) = std::fs::read_dir(folder.unwrap_or(Path::new("."))) else {
        return Vec::new();
    };
    let mut found: Vec<String> = entries
        .flatten()
        .filter(|entry| matcher.is_match(entry.file_name()) && entry.path().is_file())
        .filter(|entry| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with('.'))
                || !entry.file_name().to_string_lossy().starts_with('.')
        })
        .map(|entry| {
            let name = PathBuf::from(entry.file_name());
            folder
                .map_or(name.clone(), |folder| folder.join(name))
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    found.sort_unstable();
    found
}

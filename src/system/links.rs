//! Path resolution: symbolic links followed part by part, the last part allowed to be missing.
//!
//! The walk is the same on the real machine and on the fake one; what is at a path is asked from the caller.
//! Specification: `path_resolution(7)`.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;

/// As many as Linux follows before it says that there are too many.
const MAX_LINKS: usize = 40;

/// What the walk found at one path.
pub enum Found {
    Nothing,
    Link(PathBuf),
    Other,
}

/// The absolute path without links that `path` (absolute) stands for.
pub fn resolve(path: &Path, mut look: impl FnMut(&Path) -> io::Result<Found>) -> io::Result<PathBuf> {
    let mut resolved = PathBuf::from("/");
    let mut waiting: VecDeque<OsString> = parts(path).collect();
    let mut links = 0;
    while let Some(part) = waiting.pop_front() {
        if part == ".." {
            resolved.pop();
            continue;
        }
        let next = resolved.join(&part);
        match look(&next)? {
            Found::Other => resolved = next,
            Found::Nothing if waiting.is_empty() => resolved = next,
            Found::Nothing => return Err(Errno::NOENT.into()),
            Found::Link(target) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(io::Error::other("too many levels of symbolic links"));
                }
                if target.is_absolute() {
                    resolved = PathBuf::from("/");
                }
                for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                    waiting.push_front(part);
                }
            }
        }
    }
    Ok(resolved)
}

fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(part) => Some(part.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "what the walk calls may fail")]
    fn look(path: &Path) -> io::Result<Found> {
        Ok(match path.to_str().unwrap() {
            "/a" | "/a/b" | "/a/b/file" => Found::Other,
            "/link" => Found::Link("a/b".into()),
            "/a/up" => Found::Link("../link/file".into()),
            "/a/dangling" => Found::Link("/a/new".into()),
            "/loop" => Found::Link("/loop".into()),
            _ => Found::Nothing,
        })
    }

    #[test]
    fn follows_links_to_the_end() {
        for (path, expected) in [
            ("/link/file", "/a/b/file"),
            ("/a/up", "/a/b/file"),
            ("/a/dangling", "/a/new"),
            ("/a/../link/./x", "/a/b/x"),
            ("/", "/"),
        ] {
            assert_eq!(resolve(Path::new(path), look).unwrap(), Path::new(expected));
        }
    }

    #[test]
    fn a_missing_folder_and_a_circle_are_errors() {
        assert_eq!(
            resolve(Path::new("/no/file"), look).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        assert!(resolve(Path::new("/loop"), look).is_err());
    }
}

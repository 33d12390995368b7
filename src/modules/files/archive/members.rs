//! What goes into an archive: the paths that were asked for, and all that is below them.

use std::path::{Path, PathBuf};

use globset::GlobMatcher;

use crate::modules::Error;
use crate::modules::files::expand;
use crate::modules::files::path;
use crate::system::{FileKind, Follow, Metadata, System};

/// One file, folder or link.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub path: PathBuf,
    /// Its name in the archive, below the common folder, as text.
    pub name: String,
    /// The same as it is.
    pub inside: PathBuf,
    pub metadata: Metadata,
    /// Where a link leads.
    pub target: Option<PathBuf>,
}

/// What was asked for.
#[derive(Debug, Clone)]
pub(super) struct Sources {
    /// Patterns resolved, with the slash at the end of those that have one.
    pub expanded: Vec<String>,
    pub excluded: Vec<String>,
    /// Of `expanded`, what is there and not excluded.
    pub there: Vec<PathBuf>,
    pub missing: Vec<String>,
    /// Whether it is more than a single file.
    pub several: bool,
    /// The folder that names are relative to, with a slash at its end.
    pub root: String,
}

impl Sources {
    pub(super) fn find(paths: &[String], excluded: &[String], system: &dyn System) -> Result<Self, Error> {
        let (expanded, patterned) = expanded(paths, system)?;
        let (excluded, _) = self::expanded(excluded, system)?;
        if expanded.is_empty() {
            return Err(Error::new("Error, no source paths were found")
                .with("path", paths.join(", "))
                .with("expanded_paths", "")
                .with("expanded_exclude_paths", excluded.join(", ")));
        }
        let (mut there, mut missing) = (Vec::new(), Vec::new());
        let mut several = patterned || expanded.len() > 1;
        for name in &expanded {
            if excluded.contains(name) {
                continue;
            }
            match system.metadata(Path::new(name), Follow::No)? {
                None => missing.push(name.clone()),
                Some(found) => {
                    several |= found.kind == FileKind::Directory;
                    there.push(PathBuf::from(name));
                }
            }
        }
        let root = root(&expanded);
        Ok(Self {
            expanded,
            excluded,
            there,
            missing,
            several,
            root,
        })
    }

    /// Everything in order; `dest` is never part of itself.
    pub(super) fn members(
        &self,
        dest: &Path,
        patterns: &[GlobMatcher],
        links: Follow,
        system: &dyn System,
    ) -> Result<Vec<Member>, Error> {
        let walk = Walk {
            root: &self.root,
            dest,
            patterns,
            links,
            system,
        };
        let mut members = Vec::new();
        for path in &self.there {
            if walk.is_folder(path)? {
                walk.below(path, &mut members)?;
            } else {
                walk.add(path, &mut members)?;
            }
        }
        Ok(members)
    }
}

/// Paths with patterns resolved, and whether there were any.
fn expanded(paths: &[String], system: &dyn System) -> Result<(Vec<String>, bool), Error> {
    let (mut all, mut patterned) = (Vec::new(), false);
    for text in paths {
        let path = path::expand(text, system)?;
        if text.contains(['*', '?', '[']) {
            patterned = true;
            let found = expand::matching(&path, system)?;
            all.extend(found.iter().map(|path| path.display().to_string()));
        } else {
            let slash = if text.ends_with('/') { "/" } else { "" };
            let name = path.display().to_string();
            all.push(format!("{}{slash}", name.trim_end_matches('/')));
        }
    }
    Ok((all, patterned))
}

/// The folder that all paths are in.
fn root(paths: &[String]) -> String {
    let folder = |path: &String| {
        let end = path.rfind('/').unwrap_or(0);
        path[..end].split('/').map(str::to_owned).collect::<Vec<_>>()
    };
    let mut common = paths.first().map(folder).unwrap_or_default();
    for path in paths {
        let other = folder(path);
        let same = common.iter().zip(&other).take_while(|(a, b)| a == b).count();
        common.truncate(same);
    }
    format!("{}/", common.join("/"))
}

struct Walk<'a> {
    root: &'a str,
    dest: &'a Path,
    patterns: &'a [GlobMatcher],
    /// Whether links are followed: zip has their contents.
    links: Follow,
    system: &'a dyn System,
}

impl Walk<'_> {
    fn is_folder(&self, path: &Path) -> Result<bool, Error> {
        let found = self.system.metadata(path, Follow::No)?;
        Ok(found.is_some_and(|found| found.kind == FileKind::Directory))
    }

    /// Folders first, then files, then what is in the folders.
    fn below(&self, folder: &Path, members: &mut Vec<Member>) -> Result<(), Error> {
        let (mut folders, mut files) = (Vec::new(), Vec::new());
        for path in self.system.read_dir(folder)? {
            let path = folder.join(path.file_name().unwrap_or_default());
            if self.is_folder(&path)? {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
        for path in folders.iter().chain(&files) {
            self.add(path, members)?;
        }
        folders.iter().try_for_each(|folder| self.below(folder, members))
    }

    fn add(&self, path: &Path, members: &mut Vec<Member>) -> Result<(), Error> {
        let shown = path.display().to_string();
        let inside = path
            .strip_prefix(self.root)
            .or_else(|_| path.strip_prefix("/"))
            .unwrap_or(path);
        let name = inside.to_string_lossy().into_owned();
        if path == self.dest || self.patterns.iter().any(|pattern| pattern.is_match(&name)) {
            return Ok(());
        }
        let Some(metadata) = self.system.metadata(path, self.links)? else {
            return Err(Error::new(format!(
                "Errors when writing archive at {}: {shown}: [Errno 2] No such file or directory: '{shown}'",
                self.dest.display()
            )));
        };
        let target = match metadata.kind {
            FileKind::Link => Some(self.system.read_link(path)?),
            FileKind::File | FileKind::Directory => None,
            // Devices, sockets and pipes have no content to be packed.
            _ => return Ok(()),
        };
        members.push(Member {
            path: path.to_path_buf(),
            name,
            inside: inside.to_path_buf(),
            metadata,
            target,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_folder() {
        for (paths, wanted) in [
            (&["/srv/d"][..], "/srv/"),
            (&["/srv/d/"], "/srv/d/"),
            (&["/srv/d", "/srv/e"], "/srv/"),
            (&["/srv/d/a", "/srv/e/f"], "/srv/"),
            (&["/srv/d/a", "/etc/f"], "/"),
            (&["/one"], "/"),
        ] {
            let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
            assert_eq!(root(&paths), wanted, "{paths:?}");
        }
    }
}

//! What is at the source: a list that travels to wherever the destination is.
//!
//! Names need not be text: see [`to_text`]. Devices, sockets and pipes are not transferred.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::options::Options;
use crate::modules::Error;
use crate::modules::files::path::{expand, from_text, to_text};
use crate::system::{DigestAlgorithm, FileKind, Follow, Metadata, System};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    File,
    Folder,
    Link,
}

/// One thing to be transferred.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Relative to the destination; empty for the destination itself.
    pub path: String,
    pub kind: Kind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Since 1970: seconds (earlier files count as of then) and nanoseconds.
    pub modified: (u64, u32),
    #[serde(default)]
    pub size: u64,
    /// What a link points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// SHA-256 of the content, where it was needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// The source, and what the destination has to know of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Listing {
    /// A file alone: it takes its destination's name, or goes into it.
    pub single: bool,
    /// The folder that paths are relative to, on the source.
    pub root: String,
    pub nodes: Vec<Node>,
    /// What cannot be transferred, said as rsync says it.
    pub skipped: Vec<String>,
}

impl Node {
    pub fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::new(self.modified.0, self.modified.1)
    }
}

/// Since 1970, as nodes have it.
pub fn since_epoch(time: SystemTime) -> (u64, u32) {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (since.as_secs(), since.subsec_nanos())
}

/// Lists a source: what a folder that is written with a slash holds, or the folder itself.
pub fn list(src: &str, options: &Options, system: &dyn System) -> Result<Listing, Error> {
    let path = expand(src, system)?;
    let found = system
        .metadata(&path, Follow::No)?
        .ok_or_else(|| Error::new(format!("the source {} does not exist", path.display())))?;
    let slash = src.ends_with('/') || src.ends_with("/.");
    // A slash looks through a link, as do its contents.
    let through = (options.copy_links || slash) && found.kind == FileKind::Link;
    let found = if through {
        system
            .metadata(&path, Follow::Yes)?
            .ok_or_else(|| Error::new(format!("{} points to nothing", path.display())))?
    } else {
        found
    };
    let name = path.file_name().map(|name| to_text(Path::new(name)));
    let mut lister = Lister {
        options,
        system,
        names: Names::of(system)?,
        listing: Listing::default(),
    };
    if found.kind == FileKind::Directory && (slash || name.is_none()) {
        lister.listing.root = to_text(&path);
        if options.recursive || options.dirs {
            lister.folder(&path, "", &found)?;
        } else {
            lister.skip(&format!("skipping directory {}", path.display()));
        }
    } else {
        let name = name.unwrap_or_default();
        lister.listing.single = found.kind != FileKind::Directory;
        lister.listing.root = to_text(path.parent().unwrap_or(Path::new("/")));
        lister.any(&path, name, &found)?;
    }
    Ok(lister.listing)
}

/// Accounts by number.
struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Names {
    fn of(system: &dyn System) -> Result<Self, Error> {
        let users = system.users()?.into_iter().map(|user| (user.uid, user.name));
        let groups = system.groups()?.into_iter().map(|group| (group.gid, group.name));
        Ok(Self {
            users: users.collect(),
            groups: groups.collect(),
        })
    }
}

struct Lister<'a> {
    options: &'a Options,
    system: &'a dyn System,
    names: Names,
    listing: Listing,
}

impl Lister<'_> {
    fn skip(&mut self, why: &str) {
        self.listing.skipped.push(why.to_owned());
    }

    /// Whatever is at a path; false where it is not transferred.
    fn any(&mut self, path: &Path, name: String, found: &Metadata) -> Result<(), Error> {
        if self
            .options
            .filter
            .excludes(&name, found.kind == FileKind::Directory)
        {
            return Ok(());
        }
        match found.kind {
            FileKind::Directory if self.options.recursive => self.folder(path, &name, found)?,
            FileKind::Directory if self.options.dirs => {
                let node = self.node(name, Kind::Folder, found);
                self.listing.nodes.push(node);
            }
            FileKind::Directory => self.skip(&format!("skipping directory {name}")),
            FileKind::File => {
                let options = self.options;
                let fits = options.max_size.is_none_or(|most| found.size <= most)
                    && options.min_size.is_none_or(|least| found.size >= least);
                if fits {
                    let mut node = self.node(name, Kind::File, found);
                    if options.checksum {
                        node.digest = Some(self.system.digest(path, DigestAlgorithm::Sha256)?);
                    }
                    self.listing.nodes.push(node);
                }
            }
            FileKind::Link if self.options.links => {
                let target = to_text(&self.system.read_link(path)?);
                let node = self.node(name, Kind::Link, found);
                self.listing.nodes.push(Node {
                    target: Some(target),
                    ..node
                });
            }
            _ => self.skip(&format!("skipping non-regular file \"{name}\"")),
        }
        Ok(())
    }

    /// A folder, then what is in it: folders last, as rsync has them.
    fn folder(&mut self, path: &Path, name: &str, found: &Metadata) -> Result<(), Error> {
        let node = self.node(name.to_owned(), Kind::Folder, found);
        self.listing.nodes.push(node);
        let mut folders = Vec::new();
        for child in self.system.read_dir(path)? {
            let below = path.join(&child);
            let text = to_text(&child);
            let name = if name.is_empty() { text } else { join(name, &child) };
            let Some(mut found) = self.system.metadata(&below, Follow::No)? else {
                // It has gone since.
                continue;
            };
            if found.kind == FileKind::Link && self.options.copy_links {
                if let Some(through) = self.system.metadata(&below, Follow::Yes)? {
                    found = through;
                } else {
                    self.skip(&format!("symlink has no referent: \"{name}\""));
                    continue;
                }
            }
            if found.kind == FileKind::Directory {
                folders.push((below, name, found));
            } else {
                self.any(&below, name, &found)?;
            }
        }
        for (path, name, found) in folders {
            self.any(&path, name, &found)?;
        }
        Ok(())
    }

    fn node(&self, path: String, kind: Kind, found: &Metadata) -> Node {
        let options = self.options;
        let named =
            |names: &HashMap<u32, String>, id| names.get(&id).filter(|_| !options.numeric_ids).cloned();
        let folder = kind == Kind::Folder;
        Node {
            path,
            kind,
            mode: if kind == Kind::Link {
                found.mode
            } else {
                options.mode(found.mode, folder)
            },
            uid: found.uid,
            gid: found.gid,
            owner: options
                .chown
                .0
                .clone()
                .or_else(|| named(&self.names.users, found.uid)),
            group: options
                .chown
                .1
                .clone()
                .or_else(|| named(&self.names.groups, found.gid)),
            modified: since_epoch(found.modified),
            size: if kind == Kind::File { found.size } else { 0 },
            target: None,
            digest: None,
        }
    }
}

/// A name below another, whether or not they are text.
fn join(folder: &str, name: &Path) -> String {
    to_text(&from_text(folder).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::fake::Fake;

    fn names(fake: &Fake, src: &str, options: &Options) -> Vec<String> {
        let listing = list(src, options, fake).unwrap();
        listing.nodes.into_iter().map(|node| node.path).collect()
    }

    #[test]
    fn folders_come_after_files_and_a_slash_leaves_the_name_out() {
        let fake = Fake::new();
        fake.file("/s/z", "").file("/s/d/x", "").link("/s/l", "z");
        let mut options = Options {
            recursive: true,
            links: true,
            ..Options::default()
        };
        assert_eq!(names(&fake, "/s/", &options), ["", "l", "z", "d", "d/x"]);
        assert_eq!(names(&fake, "/s", &options), ["s", "s/l", "s/z", "s/d", "s/d/x"]);
        assert_eq!(names(&fake, "/s/z", &options), ["z"]);
        options.filter.add(false, "/d").unwrap();
        options.links = false;
        let listing = list("/s/", &options, &fake).unwrap();
        assert_eq!(listing.nodes.len(), 2);
        assert_eq!(listing.skipped, ["skipping non-regular file \"l\""]);
        options.recursive = false;
        assert_eq!(
            list("/s", &options, &fake).unwrap().skipped,
            ["skipping directory s"]
        );
        assert!(
            list("/no", &options, &fake)
                .unwrap_err()
                .message
                .contains("does not exist")
        );
    }
}

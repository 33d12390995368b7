//! Whether two trees are the same: names, kinds, modes, owners, times, links, extended attributes, contents.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Error;
use crate::system::{DigestAlgorithm, FileKind, Follow, Metadata, System};

/// Compares all of `from` with all of `to`; the first difference is the error.
pub(super) fn same(from: &Path, to: &Path, system: &dyn System) -> Result<(), Error> {
    let mut folders = vec![PathBuf::new()];
    let mut links = HardLinks::default();
    while let Some(folder) = folders.pop() {
        let join = |root: &Path| {
            if folder.as_os_str().is_empty() {
                root.to_owned()
            } else {
                root.join(&folder)
            }
        };
        let (here, there) = (join(from), join(to));
        entry(&here, &there, &folder, &mut links, system)?;
        let names = system.read_dir(&here)?;
        if names != system.read_dir(&there)? {
            return Err(differs(&here, &there, "the names in it"));
        }
        for name in names {
            let (here, there) = (here.join(&name), there.join(&name));
            let relative = folder.join(&name);
            if metadata(&here, system)?.kind == FileKind::Directory {
                folders.push(relative);
            } else {
                entry(&here, &there, &relative, &mut links, system)?;
            }
        }
    }
    Ok(())
}

fn entry(
    here: &Path,
    there: &Path,
    relative: &Path,
    links: &mut HardLinks,
    system: &dyn System,
) -> Result<(), Error> {
    let (a, b) = (metadata(here, system)?, metadata(there, system)?);
    let aspects = [
        ("its kind", a.kind == b.kind),
        ("its mode", a.mode == b.mode || a.kind == FileKind::Link),
        ("its owner", (a.uid, a.gid) == (b.uid, b.gid)),
        ("its time", a.modified == b.modified),
        ("its size", a.size == b.size || a.kind == FileKind::Directory),
        ("its hard links", links.agree(&a, &b, relative)),
    ];
    for (aspect, agrees) in aspects {
        if !agrees {
            return Err(differs(here, there, aspect));
        }
    }
    if a.kind == FileKind::Link {
        if system.read_link(here)? != system.read_link(there)? {
            return Err(differs(here, there, "its target"));
        }
        return Ok(());
    }
    if system.xattrs(here)? != system.xattrs(there)? {
        return Err(differs(here, there, "its extended attributes"));
    }
    if a.kind == FileKind::File
        && system.digest(here, DigestAlgorithm::Sha256)? != system.digest(there, DigestAlgorithm::Sha256)?
    {
        return Err(differs(here, there, "its content"));
    }
    Ok(())
}

/// The first path of each inode that has several, on both sides.
#[derive(Default)]
struct HardLinks {
    from: BTreeMap<(u64, u64), PathBuf>,
    to: BTreeMap<(u64, u64), PathBuf>,
}

impl HardLinks {
    /// Whether both sides have met this inode first at the same path.
    fn agree(&mut self, a: &Metadata, b: &Metadata, relative: &Path) -> bool {
        if a.kind == FileKind::Directory || (a.links == 1 && b.links == 1) {
            return true;
        }
        let first = |map: &mut BTreeMap<_, PathBuf>, metadata: &Metadata| {
            map.entry((metadata.device, metadata.inode))
                .or_insert_with(|| relative.to_owned())
                .clone()
        };
        first(&mut self.from, a) == first(&mut self.to, b)
    }
}

fn metadata(path: &Path, system: &dyn System) -> Result<Metadata, Error> {
    system
        .metadata(path, Follow::No)?
        .ok_or_else(|| Error::new(format!("{} has vanished while it was copied", path.display())))
}

fn differs(here: &Path, there: &Path, aspect: &str) -> Error {
    Error::new(format!(
        "the copy is not right: {} and {} differ in {aspect}; is something still writing there?",
        here.display(),
        there.display()
    ))
}

//! What is mounted, as the kernel tells: `/proc/self/mountinfo`. Specification: proc(5).

use std::path::{Path, PathBuf};

use crate::modules::Error;
use crate::system::System;
use crate::system::foresight::Subject;

const MOUNTS: &str = "/proc/self/mountinfo";

/// One mount.
#[derive(Debug, Clone)]
struct Mount {
    /// `MAJOR:MINOR` of the file system.
    device: String,
    /// The part of the file system that is mounted.
    root: PathBuf,
    point: PathBuf,
    source: String,
}

/// All mounts; of several on one mount point the last is on top.
#[derive(Debug)]
pub struct Mounts(Vec<Mount>);

impl Mounts {
    pub fn read(system: &dyn System) -> Result<Self, Error> {
        let text = system.read(MOUNTS.as_ref())?;
        let text = String::from_utf8_lossy(&text);
        Ok(Self(text.lines().filter_map(parse).collect()))
    }

    /// Whether anything is mounted there; what earlier tasks of a check would have done is counted.
    pub fn has(&self, path: &Path, system: &dyn System) -> bool {
        match system.foreseen(Subject::Mount, &path.display().to_string()) {
            Some(foreseen) => foreseen != crate::value::Value::Null,
            None => self.at(path).is_some(),
        }
    }

    /// Where a device is mounted, by whatever name it is called.
    pub fn point_of(&self, device: &Path, system: &dyn System) -> Option<&Path> {
        let real = |path: &Path| system.canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let wanted = real(device);
        let mount = self
            .0
            .iter()
            .find(|mount| mount.source.starts_with('/') && real(mount.source.as_ref()) == wanted)?;
        Some(&mount.point)
    }

    fn at(&self, path: &Path) -> Option<&Mount> {
        self.0.iter().rev().find(|mount| mount.point == path)
    }

    /// Whether the mount at `path` is a bind mount of the folder or file `src`.
    fn is_bound(&self, src: &Path, path: &Path) -> bool {
        let Some(mount) = self.at(path) else {
            return false;
        };
        let holder = src.ancestors().find_map(|folder| self.at(folder));
        holder.is_some_and(|holder| {
            let inside = src.strip_prefix(&holder.point).unwrap_or(src);
            let root = if inside.as_os_str().is_empty() {
                holder.root.clone()
            } else {
                holder.root.join(inside)
            };
            holder.device == mount.device && root == mount.root
        })
    }

    /// Whether the mount at `path` comes from this source: spelt the same, or another name of the same device. What earlier tasks of a
    /// check would have mounted there is gone by.
    pub fn comes_from(&self, src: &str, path: &Path, system: &dyn System) -> bool {
        if let Some(foreseen) = system.foreseen(Subject::Mount, &path.display().to_string()) {
            return foreseen.as_str() == Some(src);
        }
        let Some(mount) = self.at(path) else {
            return false;
        };
        let device = |name: &str| {
            let name = match name.split_once('=') {
                Some(("UUID", uuid)) => format!("/dev/disk/by-uuid/{}", uuid.trim_matches('"')),
                Some(("LABEL", label)) => format!("/dev/disk/by-label/{}", label.trim_matches('"')),
                _ => name.to_owned(),
            };
            let path = PathBuf::from(name);
            system.canonicalize(&path).unwrap_or(path)
        };
        mount.source == src
            || (mount.source.starts_with('/') && device(&mount.source) == device(src))
            || self.is_bound(src.as_ref(), path)
    }
}

/// `ID PARENT DEVICE ROOT POINT OPTIONS [TAG...] - TYPE SOURCE OPTIONS`.
fn parse(line: &str) -> Option<Mount> {
    let (mount, source) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(2);
    Some(Mount {
        device: mount.next()?.to_owned(),
        root: unescape(mount.next()?).into(),
        point: unescape(mount.next()?).into(),
        source: unescape(source.split(' ').nth(1)?),
    })
}

/// A field as it is meant: `\040` is a space.
pub fn unescape(text: &str) -> String {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|code| std::str::from_utf8(code).ok())
            .and_then(|code| u8::from_str_radix(code, 8).ok());
        plain.push(code.unwrap_or(*first));
        rest = &tail[if code.is_some() { 3 } else { 0 }..];
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::fake::Fake;

    const TABLE: &str = "\
        26 1 254:0 / / rw master:1 - ext4 /dev/vda rw\n\
        30 26 254:16 / /srv rw - xfs /dev/vdb rw\n\
        31 26 254:0 /home/ann /mnt/my\\040home rw - ext4 /dev/vda rw\n\
        32 26 254:16 /data /data rw - xfs /dev/vdb rw\n";

    #[test]
    fn mounts_and_where_they_come_from() {
        let fake = Fake::new();
        fake.file(MOUNTS, TABLE)
            .file("/dev/vdb", "")
            .link("/dev/disk/by-uuid/7", "../../vdb");
        let mounts = Mounts::read(&fake).unwrap();
        assert!(mounts.has("/mnt/my home".as_ref(), &fake));
        assert!(!mounts.has("/mnt".as_ref(), &fake));
        assert!(mounts.is_bound("/home/ann".as_ref(), "/mnt/my home".as_ref()));
        assert!(mounts.is_bound("/srv/data".as_ref(), "/data".as_ref()));
        assert!(!mounts.is_bound("/srv/other".as_ref(), "/data".as_ref()));
        for (src, same) in [
            ("/dev/vdb", true),
            ("UUID=7", true),
            ("UUID=8", false),
            ("/dev/vda", false),
        ] {
            assert_eq!(mounts.comes_from(src, "/srv".as_ref(), &fake), same, "{src}");
        }
    }
}

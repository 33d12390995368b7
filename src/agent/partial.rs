//! What has arrived of a large content, kept until all of it has: a transfer that was interrupted goes on there.
//!
//! A file in the agent's own folder, named by the content's digest and locked while it is written. It holds only what came over the
//! network, not what the target had. It is a convenience: whatever goes wrong with it, the transfer goes on without. It is
//! removed when the content is whole, and after a week; it takes no more than a share of what is free.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock, fstatvfs};

/// Kept files begin with this.
const PREFIX: &str = "partial-";

/// Nobody will come back for what is older.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// A quarter of what is free on that file system may be taken.
const SHARE: u64 = 4;

pub struct Partial {
    path: PathBuf,
    file: Option<File>,
    /// Bytes that may still be added.
    room: u64,
}

impl Partial {
    /// Opens what there is of the content, or begins; none where nothing can be kept, or another agent keeps it.
    pub fn open(digest: &str) -> Option<Self> {
        Self::open_in(&folder()?, digest)
    }

    fn open_in(folder: &Path, digest: &str) -> Option<Self> {
        remove_old(folder);
        let path = folder.join(format!("{PREFIX}{digest}"));
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(i32::try_from(OFlags::NOFOLLOW.bits()).ok()?)
            .open(&path)
            .ok()?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
        let space = fstatvfs(&file).ok()?;
        Some(Self {
            path,
            file: Some(file),
            room: space.f_bavail.saturating_mul(space.f_frsize) / SHARE,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps a piece that came. When there is no more room, nothing more is kept.
    pub fn keep(&mut self, piece: &[u8]) {
        let Some(file) = &mut self.file else { return };
        let length = piece.len() as u64;
        if length > self.room || file.write_all(piece).is_err() {
            self.file = None;
            return;
        }
        self.room -= length;
    }

    /// The content is whole, or was never what it should have been.
    pub fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The first folder that is ours alone: as the script that starts agents has it.
fn folder() -> Option<PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&variable("HOME")?).join(".cache")));
    [
        cache.map(|cache| cache.join("regdeploy")),
        Some(format!("/var/tmp/regdeploy-{uid}").into()),
    ]
    .into_iter()
    .flatten()
    .find(|folder| is_private(folder, uid).unwrap_or(false))
}

fn is_private(folder: &Path, uid: u32) -> io::Result<bool> {
    match fs::DirBuilder::new().recursive(true).mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(folder)?;
    Ok(found.is_dir() && found.uid() == uid && found.mode() & 0o022 == 0)
}

fn remove_old(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let old = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && old().is_some_and(|age| age > KEPT) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn what_came_is_there_the_next_time_and_gone_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut partial = Partial::open_in(folder.path(), "abc").unwrap();
        partial.keep(b"one ");
        assert!(
            Partial::open_in(folder.path(), "abc").is_none(),
            "another one is at it"
        );
        drop(partial);
        let mut partial = Partial::open_in(folder.path(), "abc").unwrap();
        partial.keep(b"two");
        assert_eq!(fs::read(partial.path()).unwrap(), b"one two");
        assert_eq!(fs::metadata(partial.path()).unwrap().mode() & 0o777, 0o600);
        partial.room = 1;
        partial.keep(b"no room");
        partial.keep(b"x");
        assert_eq!(fs::read(partial.path()).unwrap(), b"one two");
        partial.remove();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn old_ones_are_removed_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("partial-old");
        fs::write(&old, "").unwrap();
        let past = SystemTime::now() - 2 * KEPT;
        File::options()
            .write(true)
            .open(&old)
            .unwrap()
            .set_modified(past)
            .unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("partial-link")).unwrap();
        assert!(Partial::open_in(folder.path(), "link").is_none());
        assert!(!old.exists());
    }
}

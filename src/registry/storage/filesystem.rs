//! The driver for a folder of a local file system.
//!
//! An object is a file. A commit writes temporary files beside the final ones, makes them durable, renames them
//! in the order of its steps and makes that durable; file systems with a journal keep renames in order. Names
//! that start with a dot are this driver's own and are never listed; nothing in the layout has one.

use std::collections::BinaryHeap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use rustix::fs::{AtFlags, CWD, statat};
use rustix::io::Errno;

use super::file::{GrowingFile, OpenFile};
use super::sync::Syncing;
use super::{Content, Growing, Key, Space, Stamp, Stat, Step, Storage, StorageError};

/// A folder as a store.
pub struct Filesystem {
    root: PathBuf,
    /// Makes names of temporary files unique in this process; its id makes them unique on this machine.
    counter: AtomicU64,
    syncing: Syncing,
}

/// A step whose content is written and has not its name yet.
struct Prepared<'a> {
    key: &'a Key,
    file: File,
    from: PathBuf,
    to: PathBuf,
    /// Not what a client has sent: it goes if it does not get its name.
    temporary: bool,
}

impl Drop for Prepared<'_> {
    fn drop(&mut self) {
        if self.temporary {
            // A file that stays behind is hidden and harmless.
            let _ = fs::remove_file(&self.from);
        }
    }
}

impl Filesystem {
    /// Opens a folder, and makes it where it is missing.
    pub fn new(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        fs::create_dir_all(&root)?;
        let root = root.canonicalize()?;
        Ok(Self {
            syncing: Syncing::new(&root)?,
            root,
            counter: AtomicU64::new(0),
        })
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    fn folder<'a>(&'a self, path: &'a Path) -> &'a Path {
        path.parent().unwrap_or(&self.root)
    }

    /// Makes a folder and its parents, and notes in which folders that left new names.
    fn make_folder(&self, folder: &Path, changed: &mut Vec<PathBuf>) -> io::Result<()> {
        let parent = self.folder(folder);
        match fs::create_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder != self.root => {
                self.make_folder(parent, changed)?;
                self.make_folder(folder, changed)
            }
            // A file in its place is found out by whoever writes into it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made.map(|()| note(changed, parent)),
        }
    }

    fn prepare<'a>(&self, step: &'a Step, changed: &mut Vec<PathBuf>) -> Result<Prepared<'a>, StorageError> {
        match step {
            Step::Write { key, content } => {
                let failed = |error| StorageError::from_io("write", key, error);
                let to = self.path(key);
                self.make_folder(self.folder(&to), changed).map_err(failed)?;
                let number = self.counter.fetch_add(1, Ordering::Relaxed);
                let from = self
                    .folder(&to)
                    .join(format!(".new-{}-{number}", std::process::id()));
                let file = OpenOptions::new().write(true).create_new(true).open(&from);
                let mut prepared = Prepared {
                    key,
                    file: file.map_err(failed)?,
                    from,
                    to,
                    temporary: true,
                };
                prepared.file.write_all(content).map_err(failed)?;
                Ok(prepared)
            }
            Step::Publish { from: key, to } => {
                let failed = |error| StorageError::from_io("publish", key, error);
                let (from, to) = (self.path(key), self.path(to));
                let file = File::open(&from).map_err(failed)?;
                // It may be large: those who write at the same time need not wait for it.
                self.syncing.one(&file).map_err(failed)?;
                self.make_folder(self.folder(&to), changed).map_err(failed)?;
                Ok(Prepared {
                    key,
                    file,
                    from,
                    to,
                    temporary: false,
                })
            }
        }
    }

    fn remove(&self, key: &Key) -> io::Result<bool> {
        let path = self.path(key);
        let removed = match fs::remove_dir_all(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => fs::remove_file(&path),
            removed => removed,
        };
        match removed {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn note(folders: &mut Vec<PathBuf>, folder: &Path) {
    if !folders.iter().any(|known| known == folder) {
        folders.push(folder.to_owned());
    }
}

impl Storage for Filesystem {
    fn read(&self, key: &Key, limit: u64) -> Result<Bytes, StorageError> {
        let operation = "read";
        let failed = |error| StorageError::from_io(operation, key, error);
        let file = File::open(self.path(key)).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        if size > limit {
            return Err(StorageError::TooLarge {
                operation,
                key: key.clone(),
                size,
                limit,
            });
        }
        let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
        file.take(limit).read_to_end(&mut content).map_err(failed)?;
        Ok(content.into())
    }

    fn open(&self, key: &Key) -> Result<Arc<dyn Content>, StorageError> {
        let failed = |error| StorageError::from_io("open", key, error);
        let file = File::open(self.path(key)).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        Ok(Arc::new(OpenFile::new(file, size)))
    }

    fn stamp(&self, key: &Key) -> Result<Stamp, StorageError> {
        match statat(CWD, self.path(key).as_path(), AtFlags::empty()) {
            Ok(stat) => Ok(Stamp::new(&stat)),
            Err(error) => Err(StorageError::from_io("look for", key, error.into())),
        }
    }

    fn stamps(
        &self,
        key: &Key,
        names: &mut dyn Iterator<Item = &str>,
    ) -> Result<Vec<Option<Stamp>>, StorageError> {
        // From the folder on, so that each takes one step and not all of them.
        let folder = match File::open(self.path(key)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(names.map(|_| None).collect());
            }
            folder => folder.map_err(|error| StorageError::from_io("look into", key, error))?,
        };
        names
            .map(|name| match statat(&folder, name, AtFlags::empty()) {
                Ok(stat) => Ok(Some(Stamp::new(&stat))),
                Err(Errno::NOENT) => Ok(None),
                Err(error) => Err(StorageError::from_io("look into", key, error.into())),
            })
            .collect()
    }

    fn commit(&self, steps: &[Step]) -> Result<(), StorageError> {
        let Some(first) = steps.first() else {
            return Ok(());
        };
        let (Step::Write { key: first, .. } | Step::Publish { from: first, .. }) = first;
        let failed = |key: &Key| {
            let key = key.clone();
            move |error| StorageError::from_io("commit", &key, error)
        };
        let writer = self.syncing.writer();
        let mut changed = Vec::new();
        let mut prepared = steps
            .iter()
            .map(|step| self.prepare(step, &mut changed))
            .collect::<Result<Vec<_>, _>>()?;
        let written = prepared.iter().filter(|step| step.temporary);
        if written.clone().next().is_some() {
            writer
                .sync(written.map(|step| &step.file), std::iter::empty())
                .map_err(failed(first))?;
        }
        for step in &mut prepared {
            fs::rename(&step.from, &step.to).map_err(failed(step.key))?;
            step.temporary = false;
            note(&mut changed, self.folder(&step.to));
        }
        writer
            .sync(std::iter::empty(), changed.iter().map(PathBuf::as_path))
            .map_err(failed(first))?;
        writer.finish();
        Ok(())
    }

    fn create(&self, key: &Key) -> Result<Box<dyn Growing>, StorageError> {
        let path = self.path(key);
        let folder = self.folder(&path);
        let mut changed = Vec::new();
        // What grows is not durable and neither need its own folder be; those above may be shared with
        // what is.
        let writer = self.syncing.writer();
        let made = self
            .make_folder(self.folder(folder), &mut changed)
            .and_then(|()| {
                if changed.is_empty() {
                    return Ok(());
                }
                writer.sync(std::iter::empty(), changed.iter().map(PathBuf::as_path))
            });
        if made.is_ok() {
            writer.finish();
        }
        made.and_then(|()| fs::create_dir_all(folder))
            .and_then(|()| OpenOptions::new().append(true).create_new(true).open(&path))
            .map(|file| GrowingFile::boxed(file, 0, key))
            .map_err(|error| StorageError::from_io("create", key, error))
    }

    fn append(&self, key: &Key) -> Result<Box<dyn Growing>, StorageError> {
        let failed = |error| StorageError::from_io("append to", key, error);
        let file = OpenOptions::new()
            .append(true)
            .open(self.path(key))
            .map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        Ok(GrowingFile::boxed(file, size, key))
    }

    fn list(&self, key: &Key, after: Option<&str>, limit: usize) -> Result<Vec<String>, StorageError> {
        let failed = |error| StorageError::from_io("list", key, error);
        let entries = match fs::read_dir(self.path(key)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        // The smallest `limit` names of a folder of any size, in memory for `limit` names.
        let mut smallest = BinaryHeap::new();
        for entry in entries {
            let Ok(name) = entry.map_err(failed)?.file_name().into_string() else {
                continue;
            };
            if name.starts_with('.') || after.is_some_and(|after| name.as_str() <= after) {
                continue;
            }
            smallest.push(name);
            if smallest.len() > limit {
                smallest.pop();
            }
        }
        Ok(smallest.into_sorted_vec())
    }

    fn delete(&self, key: &Key) -> Result<(), StorageError> {
        let failed = |error| StorageError::from_io("delete", key, error);
        if self.remove(key).map_err(failed)? {
            let path = self.path(key);
            self.syncing.folder(self.folder(&path)).map_err(failed)?;
        }
        Ok(())
    }

    fn settle(&self, key: &Key) -> Result<(), StorageError> {
        match self.syncing.folder(&self.path(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StorageError::from_io("settle", key, error))
            }
            _ => Ok(()),
        }
    }

    fn stat(&self, key: &Key) -> Result<Option<Stat>, StorageError> {
        match fs::symlink_metadata(self.path(key)) {
            Ok(found) => Ok(Some(Stat {
                size: found.len(),
                modified: u64::try_from(found.mtime()).unwrap_or(0),
            })),
            Err(error) => match StorageError::from_io("look at", key, error) {
                StorageError::NotFound { .. } => Ok(None),
                error => Err(error),
            },
        }
    }

    fn space(&self) -> Result<Option<Space>, StorageError> {
        let found = rustix::fs::statvfs(&self.root)
            .map_err(|error| StorageError::from_io("look at", &super::paths::repositories(), error.into()))?;
        Ok(Some(Space {
            total: found.f_blocks.saturating_mul(found.f_frsize),
            free: found.f_bavail.saturating_mul(found.f_frsize),
        }))
    }

    fn discard(&self, key: &Key) -> Result<(), StorageError> {
        match self.remove(key) {
            Ok(_) => Ok(()),
            Err(error) => Err(StorageError::from_io("discard", key, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::digest::{Algorithm, Digest};
    use crate::registry::storage::{conformance, paths};

    #[test]
    fn conforms() {
        let folder = tempfile::tempdir().unwrap();
        conformance::check(&Filesystem::new(folder.path()).unwrap());
    }

    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Filesystem::new(folder.path()).unwrap();
        let name = "a".parse().unwrap();
        // A folder where the file should go: the rename fails.
        let key = paths::manifests(&name);
        fs::create_dir_all(storage.path(&key).join("x")).unwrap();
        assert!(storage.write(&key, b"x").is_err());
        let left: Vec<_> = fs::read_dir(storage.path(&paths::repository(&name)))
            .unwrap()
            .collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    /// A manifest's push: its bytes, its revision, its tag.
    fn push(number: u8) -> Vec<Step> {
        let (name, tag) = ("a/b".parse().unwrap(), format!("v{number}").parse().unwrap());
        let digest = Digest::of(Algorithm::Sha256, &[number]);
        let link = |key| Step::Write {
            key,
            content: digest.to_string().into(),
        };
        vec![
            Step::Write {
                key: paths::blob(&digest),
                content: vec![number; 500].into(),
            },
            link(paths::revision_link(&name, &digest)),
            link(paths::tag_index(&name, &tag, &digest)),
            link(paths::tag_current(&name, &tag)),
        ]
    }

    #[test]
    fn one_push_alone_synchronises_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Filesystem::new(folder.path()).unwrap();
        storage.commit(&push(0)).unwrap();
        let before = storage.syncing.count();
        storage.commit(&push(0)).unwrap();
        assert_eq!(
            storage.syncing.count() - before,
            8,
            "four files and their four folders"
        );
    }

    #[test]
    fn sixteen_pushes_share_what_makes_them_durable() {
        const PUSHES: u8 = 16;
        let folder = tempfile::tempdir().unwrap();
        let storage = Filesystem::new(folder.path()).unwrap();
        // Nobody is alone, and nothing is synchronised before all have come.
        let another = storage.syncing.writer();
        storage.syncing.hold();
        std::thread::scope(|scope| {
            let pushes: Vec<_> = (0..PUSHES)
                .map(|number| {
                    let storage = &storage;
                    scope.spawn(move || storage.commit(&push(number)).unwrap())
                })
                .collect();
            storage.syncing.release_when_waiting(usize::from(PUSHES));
            for push in pushes {
                push.join().unwrap();
            }
        });
        another.finish();
        for number in 0..PUSHES {
            let digest = Digest::of(Algorithm::Sha256, &[number]);
            assert_eq!(
                storage.read(&paths::blob(&digest), 500).unwrap(),
                vec![number; 500]
            );
        }
        // One for all files, then at most one for each that renames: alone, each would take some twenty.
        let count = storage.syncing.count();
        assert!(count <= 1 + u64::from(PUSHES), "{count} synchronisations");
    }
}

//! The driver for a folder of a local file system.
//!
//! An object is a file; a write is a temporary file beside it, fsync, rename, fsync of the folder. Names
//! that start with a dot are this driver's own and are never listed; nothing in the layout has one.

use std::collections::BinaryHeap;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use rustix::buffer::spare_capacity;

use super::{Content, Growing, Key, Space, Stat, Storage, StorageError};

/// Folders of different names rarely wait for each other's creation.
const FOLDER_LOCKS: usize = 64;

/// A folder as a store.
pub struct Filesystem {
    root: PathBuf,
    /// Makes names of temporary files unique in this process; its id makes them unique on this machine.
    counter: AtomicU64,
    /// Whoever makes a folder holds its lock until the folder is durable, so that whoever finds it there
    /// may rely on that.
    folder_locks: [RwLock<()>; FOLDER_LOCKS],
}

impl Filesystem {
    /// Opens a folder, and makes it where it is missing.
    pub fn new(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        fs::create_dir_all(&root)?;
        Ok(Self {
            root: root.canonicalize()?,
            counter: AtomicU64::new(0),
            folder_locks: std::array::from_fn(|_| RwLock::new(())),
        })
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    fn temporary(&self, folder: &Path) -> PathBuf {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        folder.join(format!(".new-{}-{number}", std::process::id()))
    }

    /// Makes a folder and its parents such that they survive a crash.
    fn ensure_folder(&self, folder: &Path) -> io::Result<()> {
        if folder == self.root {
            return Ok(());
        }
        let slot = BuildHasherDefault::<DefaultHasher>::new().hash_one(folder);
        let lock = &self.folder_locks[usize::try_from(slot % FOLDER_LOCKS as u64).unwrap_or(0)];
        {
            let _shared = lock.read().unwrap_or_else(PoisonError::into_inner);
            if folder.is_dir() {
                return Ok(());
            }
        }
        let parent = folder.parent().unwrap_or(&self.root);
        self.ensure_folder(parent)?;
        let _alone = lock.write().unwrap_or_else(PoisonError::into_inner);
        match fs::create_dir(folder) {
            Ok(()) => sync_folder(parent),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        self.ensure_folder(folder)?;
        let temporary = self.temporary(folder);
        let written = write_new(&temporary, content).and_then(|()| fs::rename(&temporary, path));
        if let Err(error) = written {
            // The first error is the one to tell; a file that stays behind is hidden and harmless.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        sync_folder(folder)
    }
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// A rename or a new name is durable only once its folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
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
        Ok(Arc::new(OpenFile { file, size }))
    }

    fn exists(&self, key: &Key) -> Result<bool, StorageError> {
        match fs::symlink_metadata(self.path(key)) {
            Ok(_) => Ok(true),
            Err(error) => match StorageError::from_io("look for", key, error) {
                StorageError::NotFound { .. } => Ok(false),
                error => Err(error),
            },
        }
    }

    fn write(&self, key: &Key, content: &[u8]) -> Result<(), StorageError> {
        self.replace(&self.path(key), content)
            .map_err(|error| StorageError::from_io("write", key, error))
    }

    fn create(&self, key: &Key) -> Result<Box<dyn Growing>, StorageError> {
        let path = self.path(key);
        let folder = path.parent().unwrap_or(&self.root);
        let above = folder.parent().unwrap_or(&self.root);
        // What grows is not durable and neither need its own folder be; those above may be shared with
        // what is.
        self.ensure_folder(above)
            .and_then(|()| fs::create_dir_all(folder))
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

    fn publish(&self, from: &Key, to: &Key) -> Result<(), StorageError> {
        let (source, target) = (self.path(from), self.path(to));
        let folder = target.parent().unwrap_or(&self.root);
        let moved = File::open(&source)
            .and_then(|file| file.sync_all())
            .and_then(|()| self.ensure_folder(folder))
            .and_then(|()| fs::rename(&source, &target))
            .and_then(|()| sync_folder(folder));
        moved.map_err(|error| StorageError::from_io("publish", from, error))
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
        let path = self.path(key);
        if remove(&path).map_err(|error| StorageError::from_io("delete", key, error))? {
            path.parent()
                .map_or(Ok(()), sync_folder)
                .map_err(|error| StorageError::from_io("delete", key, error))?;
        }
        Ok(())
    }

    fn discard(&self, key: &Key) -> Result<(), StorageError> {
        remove(&self.path(key))
            .map(drop)
            .map_err(|error| StorageError::from_io("discard", key, error))
    }

    fn settle(&self, key: &Key) -> Result<(), StorageError> {
        match sync_folder(&self.path(key)) {
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
}

/// Removes a file or folder; false where there is none.
fn remove(path: &Path) -> io::Result<bool> {
    let removed = match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => fs::remove_file(path),
        removed => removed,
    };
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

struct OpenFile {
    file: File,
    size: u64,
}

impl Content for OpenFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let mut buffer = Vec::with_capacity(length);
        // Into the spare capacity: no byte is written twice.
        match rustix::io::pread(&self.file, spare_capacity(&mut buffer), offset)? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the object is shorter than it was when opened",
            )),
            _ => Ok(buffer.into()),
        }
    }
}

struct GrowingFile {
    file: File,
    size: u64,
    key: Key,
}

impl GrowingFile {
    fn boxed(file: File, size: u64, key: &Key) -> Box<dyn Growing> {
        Box::new(Self {
            file,
            size,
            key: key.clone(),
        })
    }
}

impl Growing for GrowingFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn append(&mut self, piece: &[u8]) -> Result<(), StorageError> {
        let written = self.file.write_all(piece);
        if let Err(error) = written {
            // Half a piece must not stay: the next one would land behind it.
            let _ = self.file.set_len(self.size);
            return Err(StorageError::from_io("append to", &self.key, error));
        }
        self.size += piece.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
}

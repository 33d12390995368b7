//! The driver for a folder of a local file system.
//!
//! An object is a file that is written under a temporary name and renamed. What is small is noted in the journal
//! first, which makes it durable at once; what is large is made durable by itself, and so is its name after the
//! renaming. File systems with a journal of their own keep what is done to names in order: who synchronises one has
//! those before it. Names that start with a dot are this driver's own and are never listed; nothing in the layout
//! has one.

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
use super::journal::{Change, Journal, Making, PORTION};
use super::{Content, Growing, Key, Space, Stamp, Stat, Step, Storage, StorageError};

/// A content that is longer, bytes, is written once, and not to the journal too.
const LARGE: usize = PORTION / 2;

/// A folder as a store.
pub struct Filesystem {
    root: PathBuf,
    /// Makes names of temporary files unique in this process.
    counter: AtomicU64,
    journal: Journal,
}

/// A step whose content is written and has not its name yet.
struct Prepared<'a> {
    key: &'a Key,
    file: File,
    from: PathBuf,
    to: PathBuf,
    /// What was written, if it is not what a client's upload has grown to: it goes if it does not get its name.
    temporary: Option<&'a Bytes>,
    /// Folders that have new names for its sake.
    changed: Vec<PathBuf>,
}

impl Prepared<'_> {
    /// What the journal is to hold of it; none if that would be too much.
    fn noted(&self) -> Option<&Bytes> {
        self.temporary.filter(|content| content.len() <= LARGE)
    }

    /// The room that it takes in the journal, at most.
    fn weight(&self) -> usize {
        let content = self.noted().map_or(0, Bytes::len);
        content + self.key.as_str().len() + 32
    }

    fn take_name(&mut self) -> Result<(), StorageError> {
        fs::rename(&self.from, &self.to).map_err(|error| StorageError::from_io("commit", self.key, error))?;
        self.temporary = None;
        Ok(())
    }
}

impl Drop for Prepared<'_> {
    fn drop(&mut self) {
        if self.temporary.is_some() {
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
            journal: Journal::open(&root)?,
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

    /// A new file that has no name in the layout yet.
    fn temporary(&self, folder: &Path) -> io::Result<(PathBuf, File)> {
        loop {
            let number = self.counter.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!(".new-{}-{number}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                // Of a process that was killed and had this id: in a container all have the same.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                file => return Ok((path, file?)),
            }
        }
    }

    fn prepare<'a>(&self, step: &'a Step) -> Result<Prepared<'a>, StorageError> {
        let mut changed = Vec::new();
        match step {
            Step::Write { key, content } => {
                let failed = |error| StorageError::from_io("write", key, error);
                let to = self.path(key);
                self.make_folder(self.folder(&to), &mut changed).map_err(failed)?;
                let (from, file) = self.temporary(self.folder(&to)).map_err(failed)?;
                let mut prepared = Prepared {
                    key,
                    file,
                    from,
                    to,
                    temporary: Some(content),
                    changed,
                };
                prepared.file.write_all(content).map_err(failed)?;
                Ok(prepared)
            }
            Step::Publish { from: key, to } => {
                let failed = |error| StorageError::from_io("publish", key, error);
                let (from, to) = (self.path(key), self.path(to));
                let file = File::open(&from).map_err(failed)?;
                self.make_folder(self.folder(&to), &mut changed).map_err(failed)?;
                Ok(Prepared {
                    key,
                    file,
                    from,
                    to,
                    temporary: None,
                    changed,
                })
            }
        }
    }

    /// Small ones, in the journal first.
    fn take_names(&self, steps: &mut [Prepared<'_>]) -> Result<(), StorageError> {
        let Some(first) = steps.first() else {
            return Ok(());
        };
        let changes = steps.iter().filter_map(|step| {
            Some(Change::Write {
                path: step.key.as_str().to_owned(),
                content: step.noted()?.clone(),
            })
        });
        let _making = self
            .journal
            .note(changes.collect())
            .map_err(|error| StorageError::from_io("commit", first.key, error))?;
        steps.iter_mut().try_for_each(Prepared::take_name)
    }

    /// A large one, by itself.
    fn take_name(&self, step: &mut Prepared<'_>) -> Result<(), StorageError> {
        let key = step.key;
        let failed = |error| StorageError::from_io("commit", key, error);
        self.journal.synchronize(&step.file).map_err(failed)?;
        step.take_name()?;
        let folder = self.folder(&step.to);
        for changed in std::iter::once(folder).chain(step.changed.iter().map(PathBuf::as_path)) {
            self.synchronize(changed).map_err(failed)?;
        }
        Ok(())
    }

    fn synchronize(&self, folder: &Path) -> io::Result<()> {
        self.journal.synchronize(&File::open(folder)?)
    }

    fn remove(&self, key: &Key, note: Noting) -> io::Result<()> {
        let path = self.path(key);
        let metadata = match fs::symlink_metadata(&path) {
            Err(error) if is_missing(&error) => return Ok(()),
            metadata => metadata?,
        };
        let noted = note(
            &self.journal,
            vec![Change::Remove {
                path: key.as_str().to_owned(),
            }],
        );
        let making = match noted {
            // On a full disk a journal that is not there yet cannot be made; then none brings anything back.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => None,
            making => Some(making?),
        };
        let removed = if metadata.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        match removed {
            Err(error) if !is_missing(&error) => return Err(error),
            _ if making.is_none() => self.synchronize(self.folder(&path))?,
            _ => {}
        }
        Ok(())
    }
}

/// How the journal takes a change.
type Noting = fn(&Journal, Vec<Change>) -> io::Result<Making<'_>>;

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
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
        let mut prepared = steps
            .iter()
            .map(|step| self.prepare(step))
            .collect::<Result<Vec<_>, _>>()?;
        let mut taken = 0;
        let portions = prepared.chunk_by_mut(|one, next| {
            taken += one.weight();
            let fits = one.noted().and(next.noted()).is_some() && taken + next.weight() <= PORTION;
            if !fits {
                taken = 0;
            }
            fits
        });
        for portion in portions {
            match portion {
                [large] if large.noted().is_none() => self.take_name(large)?,
                small => self.take_names(small)?,
            }
        }
        Ok(())
    }

    fn create(&self, key: &Key) -> Result<Box<dyn Growing>, StorageError> {
        let path = self.path(key);
        // Nothing is promised of it, nor of its folders.
        fs::create_dir_all(self.folder(&path))
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
        self.remove(key, Journal::note).map_err(failed)
    }

    fn discard(&self, key: &Key) -> Result<(), StorageError> {
        let failed = |error| StorageError::from_io("discard", key, error);
        self.remove(key, Journal::note_later).map_err(failed)
    }

    fn settle(&self, key: &Key) -> Result<(), StorageError> {
        self.journal
            .settle()
            .map_err(|error| StorageError::from_io("settle", key, error))
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

    #[test]
    fn what_a_killed_process_with_this_id_left_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Filesystem::new(folder.path()).unwrap();
        let key = paths::condemned();
        storage.write(&key, b"one").unwrap();
        let next = storage.counter.load(Ordering::Relaxed);
        let left = format!(".new-{}-{next}", std::process::id());
        fs::write(storage.path(&key).with_file_name(left), "half").unwrap();
        storage.write(&key, b"two").unwrap();
        assert_eq!(storage.read(&key, 9).unwrap(), "two");
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
    fn a_push_alone_takes_one_synchronisation() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Filesystem::new(folder.path()).unwrap();
        storage.commit(&push(0)).unwrap();
        let before = storage.journal.count();
        storage.commit(&push(1)).unwrap();
        assert_eq!(storage.journal.count() - before, 1);
    }

    #[test]
    fn sixteen_pushes_share_what_makes_them_durable() {
        const PUSHES: u8 = 16;
        let folder = tempfile::tempdir().unwrap();
        let storage = Filesystem::new(folder.path()).unwrap();
        storage.commit(&push(PUSHES)).unwrap();
        let before = storage.journal.count();
        // Nothing is written before all have come.
        let held = storage.journal.hold();
        std::thread::scope(|scope| {
            let pushes: Vec<_> = (0..PUSHES)
                .map(|number| {
                    let storage = &storage;
                    scope.spawn(move || storage.commit(&push(number)).unwrap())
                })
                .collect();
            held.release_after(usize::from(PUSHES));
            for push in pushes {
                push.join().unwrap();
            }
        });
        for number in 0..PUSHES {
            let digest = Digest::of(Algorithm::Sha256, &[number]);
            assert_eq!(
                storage.read(&paths::blob(&digest), 500).unwrap(),
                vec![number; 500]
            );
        }
        assert_eq!(storage.journal.count() - before, 1);
    }

    /// What is too large for the journal, between what is not: in the order of the steps, whatever their sizes.
    #[test]
    fn large_and_small_steps_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Filesystem::new(folder.path()).unwrap();
        let sizes = [
            PORTION,
            1,
            PORTION + 1,
            PORTION / 2,
            PORTION / 2,
            PORTION / 2,
            0,
            PORTION * 2,
        ];
        let key = paths::condemned();
        for count in 1..=sizes.len() {
            let steps: Vec<_> = (0_u8..)
                .zip(&sizes[..count])
                .map(|(number, size)| Step::Write {
                    key: key.clone(),
                    content: vec![number; *size].into(),
                })
                .collect();
            storage.commit(&steps).unwrap();
            let Step::Write { content, .. } = &steps[count - 1] else {
                unreachable!("all are writes");
            };
            assert_eq!(storage.read(&key, u64::MAX).unwrap(), content);
        }
    }
}

//! The lock of a data folder: held by the one process that works on it, and gone with that process.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::own_folder;

const LOCK: &str = "lock";

/// Why the lock cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("{root} is in use by {holder}")]
    Held { root: PathBuf, holder: String },
    #[error("lock {path}: {source}")]
    Failed { path: PathBuf, source: io::Error },
}

/// Held until dropped.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock is the open file's")] File);

impl Lock {
    /// Takes a folder for this process, which calls itself `holder`.
    pub fn take(root: &Path, holder: &str) -> Result<Self, LockError> {
        let folder = own_folder(root);
        let path = folder.join(LOCK);
        let failed = |source| LockError::Failed {
            path: path.clone(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(failed)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                let read = (&file).take(200).read_to_string(&mut holder);
                return Err(LockError::Held {
                    root: root.to_owned(),
                    holder: match read {
                        Ok(1..) => holder.trim().to_owned(),
                        _ => "another process".to_owned(),
                    },
                });
            }
            Err(error) => return Err(failed(error.into())),
        }
        // For the message above; the lock does not depend on it, and a full disk must not keep one from collecting.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{holder}, process {}", std::process::id()));
        Ok(Self(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_the_other_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path(), "the first").unwrap();
        let error = Lock::take(folder.path(), "the second").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{} is in use by the first, process {}",
                folder.path().display(),
                std::process::id()
            )
        );
        drop(first);
        Lock::take(folder.path(), "the second").unwrap();
    }
}

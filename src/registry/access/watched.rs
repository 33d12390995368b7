//! What files say, read again when they change.
//!
//! Whether they have changed is asked on each use, by `stat`: a microsecond, and nobody waits for a timer. When
//! the new content cannot be used, the old one stays in force and the log has the reason.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Reads all the files.
type Read<T> = Box<dyn Fn(&[PathBuf]) -> Result<T, String> + Send + Sync>;
/// Modified, changed (both with nanoseconds), size, inode. None: not there.
type Stamp = Option<(i64, i64, i64, i64, u64, u64)>;

pub struct Watched<T> {
    paths: Vec<PathBuf>,
    read: Read<T>,
    state: Mutex<(Vec<Stamp>, Arc<T>)>,
}

impl<T> Watched<T> {
    /// Reads the files for the first time.
    pub fn new(
        paths: Vec<PathBuf>,
        read: impl Fn(&[PathBuf]) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let stamps = stamps(&paths);
        let value = read(&paths)?;
        Ok(Self {
            paths,
            read: Box::new(read),
            state: Mutex::new((stamps, Arc::new(value))),
        })
    }

    pub fn current(&self) -> Arc<T> {
        let now = stamps(&self.paths);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0 != now {
            match (self.read)(&self.paths) {
                Ok(value) => {
                    tracing::info!(files = ?self.paths, "read again");
                    state.1 = Arc::new(value);
                }
                Err(reason) => tracing::error!("{reason}; what was read before stays in force"),
            }
            // Once for each change, also for a broken one.
            state.0 = now;
        }
        Arc::clone(&state.1)
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let found = std::fs::metadata(path).ok()?;
        Some((
            found.mtime(),
            found.mtime_nsec(),
            found.ctime(),
            found.ctime_nsec(),
            found.size(),
            found.ino(),
        ))
    };
    paths.iter().map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_and_a_broken_one_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("number");
        let put = |text: &str| {
            let new = folder.path().join("new");
            std::fs::write(&new, text).unwrap();
            std::fs::rename(new, &path).unwrap();
        };
        let read = |paths: &[PathBuf]| {
            let text = std::fs::read_to_string(&paths[0]).map_err(|error| error.to_string())?;
            text.parse::<u32>().map_err(|error| error.to_string())
        };
        assert!(Watched::new(vec![path.clone()], read).is_err());
        put("1");
        let watched = Watched::new(vec![path.clone()], read).unwrap();
        assert_eq!(*watched.current(), 1);
        put("2");
        assert_eq!(*watched.current(), 2);
        put("x");
        assert_eq!(*watched.current(), 2);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(*watched.current(), 2);
        put("3");
        assert_eq!(*watched.current(), 3);
    }
}

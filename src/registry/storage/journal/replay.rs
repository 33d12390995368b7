//! What a system that stopped has lost, done again.
//!
//! Other programs may have worked on the folder since: what is newer than a record is left as it is.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path};
use std::thread;

use rustix::fs::syncfs;

use super::half::{Halves, folder};
use super::record::{Change, Moment, Record};

/// Settles what processes that have gone have left in the journals of a folder. Under another system than this one
/// it is done again first; under this one all is there that they wrote, and settling it can wait.
pub fn recover(root: &Path, boot: &str) -> io::Result<()> {
    let mut left = Vec::new();
    let mut is_ours = true;
    for halves in Halves::left(&folder(root)) {
        if let Some(noted) = halves.boot()? {
            is_ours &= noted == boot;
            left.push(halves);
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    if is_ours {
        let root = File::open(root)?;
        thread::Builder::new().name("journal".to_owned()).spawn(move || {
            if let Err(error) = settle(&root, &left) {
                tracing::error!(%error, "what the last process wrote could not be made durable");
            }
        })?;
        return Ok(());
    }
    let mut noted = Vec::new();
    for halves in &left {
        noted.extend(halves.records()?);
    }
    noted.sort_by_key(|(generation, _)| *generation);
    let records: Vec<Record> = noted.into_iter().flat_map(|(_, records)| records).collect();
    let count = replay(root, &records)?;
    tracing::info!(
        changes = records.len(),
        restored = count,
        "the system was not shut down: its last changes are there again"
    );
    settle(&File::open(root)?, &left)
}

fn settle(root: &File, left: &[Halves]) -> io::Result<()> {
    syncfs(root)?;
    left.iter().try_for_each(Halves::empty)
}

/// Does again what of `records`, in their order, did not last. How many changes that were.
fn replay(root: &Path, records: &[Record]) -> io::Result<usize> {
    let mut restored = Restored {
        root,
        written: BTreeSet::new(),
        count: 0,
    };
    for record in records {
        for change in &record.changes {
            match change {
                Change::Write { path, content } => restored.write(path, content, record.moment)?,
                Change::Remove { path } => restored.remove(path, record.moment)?,
            }
        }
    }
    Ok(restored.count)
}

struct Restored<'a> {
    root: &'a Path,
    /// What is new for having been done again: no other program's work.
    written: BTreeSet<String>,
    count: usize,
}

impl Restored<'_> {
    fn write(&mut self, path: &str, content: &[u8], moment: Moment) -> io::Result<()> {
        let target = self.root.join(plain(path)?);
        match fs::read(&target) {
            Ok(found) => {
                // A file whose content did not reach the disk has none, or zeros.
                let is_lost = found.iter().all(|byte| *byte == 0);
                let is_theirs =
                    changed(&fs::metadata(&target)?) > i128::from(moment.to) && !self.written.contains(path);
                if found == content || (is_theirs && !is_lost) {
                    return Ok(());
                }
            }
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error),
        }
        let folder = target.parent().unwrap_or(self.root);
        fs::create_dir_all(folder)?;
        let temporary = folder.join(".restored");
        fs::write(&temporary, content)?;
        fs::rename(&temporary, &target)?;
        self.written.insert(path.to_owned());
        self.count += 1;
        Ok(())
    }

    fn remove(&mut self, path: &str, moment: Moment) -> io::Result<()> {
        let target = self.root.join(plain(path)?);
        let metadata = match fs::symlink_metadata(&target) {
            Ok(metadata) => metadata,
            Err(error) if is_missing(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        let below = format!("{path}/");
        let is_ours = |written: &String| written == path || written.starts_with(&below);
        // What came in the same moment may have come after it: rather once too often there than not.
        if changed(&metadata) >= i128::from(moment.from) && !self.written.iter().any(is_ours) {
            return Ok(());
        }
        if metadata.is_dir() {
            fs::remove_dir_all(&target)?;
        } else {
            fs::remove_file(&target)?;
        }
        self.written.retain(|written| !is_ours(written));
        self.count += 1;
        Ok(())
    }
}

/// A path that stays below what it is joined to.
fn plain(path: &str) -> io::Result<&Path> {
    let path = Path::new(path);
    if path.components().all(|part| matches!(part, Component::Normal(_))) {
        return Ok(path);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        format!(
            "the journal names {}, which is no path of the storage",
            path.display()
        ),
    ))
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Nanoseconds since 1970.
fn changed(metadata: &Metadata) -> i128 {
    i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec())
}

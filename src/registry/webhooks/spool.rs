//! An endpoint's queue on the disk: a folder of files, each some events, oldest name first.
//!
//! A file is a line of JSON for each event, written under another name and renamed, so that a file is whole
//! or not there. It goes when all its events have been delivered.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::WebhookError;
use crate::registry::events::Event;
use crate::registry::metrics::metrics;

/// The most that waits for one endpoint: some 100,000 events. A receiver that is away for so long has lost
/// more than these.
const MAX_BYTES: u64 = 64 << 20;
const ENDING: &str = ".events";
const NEW: &str = ".new";

pub struct Spool {
    folder: PathBuf,
    endpoint: String,
    files: Mutex<Files>,
}

#[derive(Default)]
struct Files {
    /// Oldest first.
    waiting: VecDeque<File>,
    bytes: u64,
    next: u64,
    full: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct File {
    number: u64,
    bytes: u64,
    events: usize,
}

/// The events of the oldest file.
pub struct Batch {
    file: File,
    pub events: Vec<Event>,
}

impl Spool {
    /// Opens an endpoint's queue, with what an earlier process left in it.
    pub fn open(parent: &Path, endpoint: &str) -> Result<Self, WebhookError> {
        let folder = parent.join(folder_name(endpoint));
        let mut spool = Self {
            folder,
            endpoint: endpoint.to_owned(),
            files: Mutex::default(),
        };
        let files = spool.found().map_err(|source| spool.error("open", source))?;
        spool.files = Mutex::new(files);
        spool.count(&spool.lock());
        Ok(spool)
    }

    fn found(&self) -> io::Result<Files> {
        fs::create_dir_all(&self.folder)?;
        let mut files = Files::default();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let Some(number) = name.strip_suffix(ENDING).and_then(|stem| stem.parse().ok()) else {
                // Begun and never renamed.
                if name.ends_with(NEW) {
                    fs::remove_file(entry.path())?;
                }
                continue;
            };
            let text = fs::read(entry.path())?;
            files.waiting.push_back(File {
                number,
                bytes: text.len() as u64,
                events: String::from_utf8_lossy(&text).lines().count(),
            });
        }
        files.waiting.make_contiguous().sort_by_key(|file| file.number);
        files.bytes = files.waiting.iter().map(|file| file.bytes).sum();
        files.next = files.waiting.back().map_or(0, |file| file.number + 1);
        Ok(files)
    }

    /// Adds events at the end. False where there is no room for them.
    pub fn push(&self, events: &[Arc<Event>]) -> Result<bool, WebhookError> {
        let mut text = Vec::new();
        for event in events {
            serde_json::to_writer(&mut text, event.as_ref())
                .map_err(|error| self.error("write", error.into()))?;
            text.push(b'\n');
        }
        let mut files = self.lock();
        let bytes = text.len() as u64;
        if files.bytes + bytes > MAX_BYTES {
            if !files.full {
                files.full = true;
                tracing::error!(
                    endpoint = self.endpoint,
                    bytes = files.bytes,
                    "the queue of notifications is full"
                );
            }
            return Ok(false);
        }
        let file = File {
            number: files.next,
            bytes,
            events: events.len(),
        };
        let path = self.path(file.number);
        let new = path.with_extension(&NEW[1..]);
        fs::write(&new, &text)
            .and_then(|()| fs::rename(&new, &path))
            .map_err(|source| self.error("write", source))?;
        files.next += 1;
        files.bytes += bytes;
        files.full = false;
        files.waiting.push_back(file);
        self.count(&files);
        Ok(true)
    }

    /// The oldest events, which stay until [`Spool::done`]; none where nothing waits.
    pub fn oldest(&self) -> Result<Option<Batch>, WebhookError> {
        loop {
            let Some(file) = self.lock().waiting.front().copied() else {
                return Ok(None);
            };
            let text = match fs::read(self.path(file.number)) {
                Ok(text) => text,
                // Somebody has emptied the queue by hand.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                Err(source) => return Err(self.error("read", source)),
            };
            let lines = text.split(|byte| *byte == b'\n');
            let events: Vec<Event> = lines
                .filter_map(|line| serde_json::from_slice(line).ok())
                .collect();
            let batch = Batch { file, events };
            if batch.events.is_empty() {
                self.done(&batch)?;
                continue;
            }
            return Ok(Some(batch));
        }
    }

    /// Takes a batch out of the queue.
    pub fn done(&self, batch: &Batch) -> Result<(), WebhookError> {
        let mut files = self.lock();
        match fs::remove_file(self.path(batch.file.number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(self.error("remove from", error));
            }
            _ => {}
        }
        if files.waiting.front() == Some(&batch.file) {
            files.waiting.pop_front();
            files.bytes -= batch.file.bytes;
        }
        self.count(&files);
        Ok(())
    }

    fn count(&self, files: &Files) {
        let events = files.waiting.iter().map(|file| file.events).sum();
        metrics().pending(&self.endpoint, events);
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:020}{ENDING}"))
    }

    fn lock(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, operation: &'static str, source: io::Error) -> WebhookError {
        WebhookError::Spool {
            operation,
            path: self.folder.clone(),
            endpoint: self.endpoint.clone(),
            source,
        }
    }
}

/// An endpoint's name as that of a folder: whatever is not plain is spelled in hexadecimal.
fn folder_name(endpoint: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    endpoint
        .bytes()
        .map(|b| {
            if plain(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02x}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::events::{Action, Actor, Events, RequestRecord, Target};

    fn events(names: &[&str]) -> Vec<Arc<Event>> {
        let mut events = Events::new("here".to_owned(), false);
        let mut queue = events.listen();
        names
            .iter()
            .map(|name| {
                let target = Target {
                    repository: (*name).to_owned(),
                    ..Target::default()
                };
                events.tell(Action::Push, target, RequestRecord::default(), Actor::default());
                queue.try_recv().unwrap()
            })
            .collect()
    }

    fn next(spool: &Spool) -> Option<(Batch, Vec<String>)> {
        let batch = spool.oldest().unwrap()?;
        let names = batch
            .events
            .iter()
            .map(|event| event.target.repository.clone())
            .collect();
        Some((batch, names))
    }

    #[test]
    fn order_is_kept_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), "a/b c").unwrap();
        for names in [&["1", "2"][..], &["3"], &["4"]] {
            assert!(spool.push(&events(names)).unwrap());
        }
        let (batch, names) = next(&spool).unwrap();
        assert_eq!(names, ["1", "2"]);
        spool.done(&batch).unwrap();
        fs::write(spool.path(9).with_extension("new"), "half").unwrap();
        drop(spool);
        let spool = Spool::open(folder.path(), "a/b c").unwrap();
        assert!(spool.push(&events(&["5"])).unwrap());
        for expected in ["3", "4", "5"] {
            let (batch, names) = next(&spool).unwrap();
            assert_eq!(names, [expected]);
            spool.done(&batch).unwrap();
        }
        assert!(next(&spool).is_none());
        assert_eq!(fs::read_dir(&spool.folder).unwrap().count(), 0);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), "x").unwrap();
        spool.lock().bytes = MAX_BYTES;
        assert!(!spool.push(&events(&["1"])).unwrap());
        assert!(spool.oldest().unwrap().is_none());
    }

    #[test]
    fn folders_are_safe_and_different() {
        assert_eq!(folder_name("alice-1_x"), "alice-1_x");
        assert_eq!(folder_name("../x y"), "%2e%2e%2fx%20y");
    }
}

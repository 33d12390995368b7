//! Contents that came over the wire, by SHA-256, for as long as a batch runs.
//!
//! Small ones stay in memory; a large one goes into a file that never has a name, so that nothing is left
//! behind however the agent ends. What does not have the digest that it was announced with is an error, never
//! a content.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;

use super::incoming::NOT_ANNOUNCED;
use crate::wire::frame::Key;

/// What a content may take of the target's memory: templates and units are smaller, archives are not.
const IN_MEMORY: usize = 1 << 20;

/// What all of them may take.
const ALL_IN_MEMORY: usize = 16 << 20;

/// Where unnamed files are made: on a disk rather than in memory, if there is one to write to.
const FOLDERS: [&str; 3] = ["/var/tmp", "/tmp", "/dev/shm"];

/// Whole contents and those that are still coming.
#[derive(Default)]
pub struct Contents {
    whole: HashMap<Key, Result<Blob, String>>,
    coming: HashMap<Key, Coming>,
    /// What they take of memory.
    memory: usize,
}

impl Contents {
    /// Takes the body of a data frame; a piece without bytes is the end. Gives the key of what is now whole
    /// (or could not be kept: the reader will be told). None for a body that is too short to be one.
    pub fn take(&mut self, body: &[u8]) -> Option<Taken> {
        let (key, piece) = body.split_first_chunk::<32>()?;
        self.take_piece(key, piece);
        Some(if piece.is_empty() {
            Taken::Whole(*key)
        } else {
            Taken::Part
        })
    }

    /// The next piece of a content; one without bytes is the end.
    pub fn take_piece(&mut self, key: &Key, piece: &[u8]) {
        if !piece.is_empty() {
            let coming = self.coming.entry(*key).or_default();
            let before = coming.memory.len();
            coming.push(piece, ALL_IN_MEMORY.saturating_sub(self.memory));
            self.memory = self.memory + coming.memory.len() - before;
            return;
        }
        let coming = self.coming.remove(key).unwrap_or_default();
        self.whole.insert(*key, coming.finish(key));
    }

    /// Whether a content is here, or could not be kept.
    pub fn has(&self, key: &Key) -> bool {
        self.whole.contains_key(key)
    }

    /// A reader from the start; none if the content is not here.
    pub fn open(&self, key: &Key) -> Option<io::Result<Box<dyn Read>>> {
        Some(match self.whole.get(key)? {
            Ok(Blob::Memory(bytes)) => Ok(Box::new(io::Cursor::new(bytes.clone()))),
            Ok(Blob::File(file)) => Ok(Box::new(FromStart {
                file: file.clone(),
                offset: 0,
            })),
            Err(reason) => Err(io::Error::other(reason.clone())),
        })
    }

    /// Forgets a content that was needed once.
    pub fn forget(&mut self, key: &Key) {
        if let Some(Ok(Blob::Memory(bytes))) = self.whole.remove(key) {
            self.memory -= bytes.len();
        }
    }

    /// The keys of all that is whole.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.whole.keys()
    }

    /// Forgets everything: the batch is over.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// What a data frame was.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    Part,
    Whole(Key),
}

enum Blob {
    Memory(Arc<[u8]>),
    File(Arc<File>),
}

/// A content of which pieces are missing.
struct Coming {
    hash: digest::Context,
    memory: Vec<u8>,
    file: Option<File>,
    failed: Option<String>,
}

impl Default for Coming {
    fn default() -> Self {
        Self {
            hash: digest::Context::new(&digest::SHA256),
            memory: Vec::new(),
            file: None,
            failed: None,
        }
    }
}

impl Coming {
    /// A failure is kept: the remaining pieces are still on their way and have to be read.
    fn push(&mut self, piece: &[u8], room: usize) {
        if self.failed.is_some() {
            return;
        }
        self.hash.update(piece);
        if let Err(error) = self.store(piece, room) {
            self.failed = Some(format!("cannot keep a content that was received: {error}"));
            self.memory = Vec::new();
            self.file = None;
        }
    }

    fn store(&mut self, piece: &[u8], room: usize) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            return file.write_all(piece);
        }
        if self.memory.len() + piece.len() <= IN_MEMORY && piece.len() <= room {
            self.memory.extend_from_slice(piece);
            return Ok(());
        }
        let mut file = unnamed_file()?;
        file.write_all(&std::mem::take(&mut self.memory))?;
        file.write_all(piece)?;
        self.file = Some(file);
        Ok(())
    }

    fn finish(self, key: &Key) -> Result<Blob, String> {
        if let Some(reason) = self.failed {
            return Err(reason);
        }
        if self.hash.finish().as_ref() != key {
            return Err(NOT_ANNOUNCED.to_owned());
        }
        Ok(match self.file {
            Some(file) => Blob::File(Arc::new(file)),
            None => Blob::Memory(self.memory.into()),
        })
    }
}

fn unnamed_file() -> io::Result<File> {
    let mut last = None;
    for folder in FOLDERS.map(Path::new) {
        match tempfile::tempfile_in(folder) {
            Ok(file) => return Ok(file),
            Err(error) => last = Some(error),
        }
    }
    Err(last.expect("there are folders to try"))
}

/// Reads a shared file with an offset of its own.
struct FromStart {
    file: Arc<File>,
    offset: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(bytes: &[u8], announced: &[u8]) -> Vec<Vec<u8>> {
        let digest = digest::digest(&digest::SHA256, announced);
        bytes
            .chunks(100_000)
            .chain([&[][..]])
            .map(|piece| [digest.as_ref(), piece].concat())
            .collect()
    }

    fn received(bytes: &[u8], announced: &[u8]) -> io::Result<Vec<u8>> {
        let mut contents = Contents::default();
        let mut whole = None;
        for frame in frames(bytes, announced) {
            whole = contents.take(&frame);
        }
        let Some(Taken::Whole(key)) = whole else {
            panic!("{whole:?}");
        };
        let mut seen = Vec::new();
        // Twice: a content can be read more than once.
        for _ in 0..2 {
            seen.clear();
            contents.open(&key).unwrap()?.read_to_end(&mut seen)?;
        }
        contents.clear();
        assert!(contents.open(&key).is_none());
        Ok(seen)
    }

    #[test]
    fn small_and_large_contents_come_back_as_they_were_sent() {
        for size in [0, 1, IN_MEMORY, IN_MEMORY + 1, 3 * IN_MEMORY] {
            let bytes: Vec<u8> = (0..251).cycle().take(size).collect();
            assert_eq!(received(&bytes, &bytes).unwrap(), bytes);
        }
    }

    #[test]
    fn another_content_than_announced_is_an_error() {
        let error = received(b"changed", b"announced").unwrap_err();
        assert!(error.to_string().contains("not the one that was announced"));
    }
}

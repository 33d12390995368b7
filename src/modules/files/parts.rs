//! A file of the target that is read here and there, as formats with an index at their end ask for.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::system::{Follow, System};

/// What is fetched at once.
const PIECE: usize = 64 << 10;

pub struct Parts<'a> {
    system: &'a dyn System,
    path: PathBuf,
    size: u64,
    position: u64,
    /// The piece that was fetched last, and where it begins.
    piece: (u64, Vec<u8>),
}

impl<'a> Parts<'a> {
    pub fn open(path: &Path, system: &'a dyn System) -> io::Result<Self> {
        let found = system.metadata(path, Follow::Yes).map_err(io::Error::other)?;
        Ok(Self {
            system,
            path: path.to_path_buf(),
            size: found.map_or(0, |found| found.size),
            position: 0,
            piece: (0, Vec::new()),
        })
    }
}

impl Read for Parts<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.size {
            return Ok(0);
        }
        let held = self.piece.0..self.piece.0 + self.piece.1.len() as u64;
        if !held.contains(&self.position) {
            let part = self.system.read_part(&self.path, self.position, PIECE);
            self.piece = (self.position, part.map_err(io::Error::other)?);
        }
        let offset = usize::try_from(self.position - self.piece.0).unwrap_or(usize::MAX);
        let count = self.piece.1.get(offset..).unwrap_or_default().read(buffer)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Parts<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let moved = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = moved
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "before the file's beginning"))?;
        Ok(self.position)
    }
}

//! Contents on their way from the controller: what was asked for, in which order it comes, and a reader that
//! takes a large one from the stream without keeping it.
//!
//! A reader ends only if what it gave was the content that was announced; otherwise its last word is an error.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::rc::Rc;

use aws_lc_rs::digest;
use rustix::fs::OFlags;

use super::conversation::Conversation;
use super::partial::Partial;
use crate::wire::delta::{self, Sum};
use crate::wire::frame::Key;

/// Sums that are told of one content at most: files beyond are not searched to their end.
const MOST_SUMS: usize = 256 << 10;

/// What was said of a content whose bytes are others.
pub const NOT_ANNOUNCED: &str = "the content that was received is not the one that was announced (its source \
                                 changed while it was read, or was damaged on the way); run again";

/// A content that was asked for.
pub struct Coming {
    pub key: Key,
    pub way: Way,
}

/// How a content gets to whoever needs it.
pub enum Way {
    /// It is kept until it is needed.
    Once,
    /// It is kept as long as the batch runs.
    Often,
    /// A large one is read from the stream.
    Streamed(Basis),
}

/// The question that is being answered.
pub struct Asked {
    pub id: u64,
    pub coming: VecDeque<Coming>,
    /// One content has begun and not ended.
    pub within: bool,
}

/// Chunks of a content that are here already, and where.
#[derive(Default)]
pub struct Basis {
    files: Vec<File>,
    places: Vec<Place>,
    pub sums: Vec<Sum>,
    partial: Option<Partial>,
}

/// A chunk in a file.
struct Place {
    file: usize,
    offset: u64,
    length: usize,
}

impl Basis {
    /// Looks through the file that will be replaced, and through what came of an earlier transfer.
    pub fn look(near: &Path, digest: &str, usual: u32) -> Self {
        let mut basis = Self {
            partial: Partial::open(digest),
            ..Self::default()
        };
        let kept = basis.partial.as_ref().map(|partial| partial.path().to_owned());
        for path in kept.iter().map(AsRef::as_ref).chain([near]) {
            // What cannot be read has nothing to offer.
            let _ = basis.add(path, usual);
        }
        basis
    }

    fn add(&mut self, path: &Path, usual: u32) -> io::Result<()> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
            .open(path)?;
        if !file.metadata()?.is_file() {
            return Ok(());
        }
        let number = self.files.len();
        for chunk in delta::chunks(&file, usual) {
            let chunk = chunk?;
            if self.sums.len() == MOST_SUMS {
                break;
            }
            self.sums.push(chunk.sum);
            self.places.push(Place {
                file: number,
                offset: chunk.offset,
                length: chunk.bytes.len(),
            });
        }
        self.files.push(file);
        Ok(())
    }

    fn read(&self, number: u32) -> io::Result<Vec<u8>> {
        let place = usize::try_from(number)
            .ok()
            .and_then(|number| self.places.get(number))
            .ok_or_else(|| io::Error::other("the controller named a chunk that is not here"))?;
        let mut bytes = vec![0; place.length];
        let file = self
            .files
            .get(place.file)
            .ok_or_else(|| io::Error::other(NOT_ANNOUNCED))?;
        file.read_exact_at(&mut bytes, place.offset)?;
        Ok(bytes)
    }
}

/// What comes next of a content.
pub enum Piece {
    Bytes(Vec<u8>),
    Copies(Vec<u32>),
    End,
}

/// Reads a content from the stream.
pub struct Streamed {
    conversation: Rc<RefCell<Conversation>>,
    key: Key,
    basis: Basis,
    hash: Option<digest::Context>,
    copies: VecDeque<u32>,
    piece: io::Cursor<Vec<u8>>,
}

impl Streamed {
    pub fn new(conversation: Rc<RefCell<Conversation>>, key: Key, basis: Basis) -> Self {
        Self {
            conversation,
            key,
            basis,
            hash: Some(digest::Context::new(&digest::SHA256)),
            copies: VecDeque::new(),
            piece: io::Cursor::default(),
        }
    }

    /// The next bytes; none at the end.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(number) = self.copies.pop_front() {
                return self.basis.read(number).map(Some);
            }
            match self.conversation.borrow_mut().piece(&self.key)? {
                Piece::Copies(numbers) => self.copies = numbers.into(),
                Piece::Bytes(bytes) => {
                    if let Some(partial) = &mut self.basis.partial {
                        partial.keep(&bytes);
                    }
                    return Ok(Some(bytes));
                }
                Piece::End => return Ok(None),
            }
        }
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(hash) = self.hash.take() else {
            return Ok(());
        };
        if let Some(partial) = self.basis.partial.take() {
            partial.remove();
        }
        if hash.finish().as_ref() == self.key {
            Ok(())
        } else {
            Err(io::Error::other(NOT_ANNOUNCED))
        }
    }
}

impl Read for Streamed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.piece.read(buffer)?;
            if count > 0 || buffer.is_empty() || self.hash.is_none() {
                return Ok(count);
            }
            match self.next()? {
                Some(bytes) => {
                    if let Some(hash) = &mut self.hash {
                        hash.update(&bytes);
                    }
                    self.piece = io::Cursor::new(bytes);
                }
                None => self.end()?,
            }
        }
    }
}

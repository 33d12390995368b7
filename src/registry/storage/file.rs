//! Open files: one that is read at any place, one that grows at its end.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{Advice, fadvise};
use rustix::io::{Errno, ReadWriteFlags, pread, preadv2};

use super::{Content, Growing, Key, StorageError};

/// A window of a file that is read ahead of its use is touched at these steps: no read ahead is smaller.
const TOUCHED: u64 = 64 << 10;
/// How much grows before the kernel is told to begin writing it, so that the end need not wait for all of it.
const WRITTEN_BEHIND: u64 = 16 << 20;

pub(super) struct OpenFile {
    file: File,
    size: u64,
}

impl OpenFile {
    pub fn new(file: File, size: u64) -> Self {
        Self { file, size }
    }

    fn ended() -> io::Error {
        io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the object is shorter than it was when opened",
        )
    }
}

impl Content for OpenFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let mut buffer = Vec::with_capacity(length);
        // Into the spare capacity: no byte is written twice.
        match pread(&self.file, spare_capacity(&mut buffer), offset)? {
            0 => Err(Self::ended()),
            _ => Ok(buffer.into()),
        }
    }

    fn try_read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut buffers = [IoSliceMut::new(buffer)];
        match preadv2(&self.file, &mut buffers, offset, ReadWriteFlags::NOWAIT) {
            Ok(0) => Err(Self::ended()),
            Ok(length) => Ok(Some(length)),
            // Not in memory, or a file system that cannot tell.
            Err(Errno::AGAIN | Errno::OPNOTSUPP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn file(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }

    fn prepare(&self, offset: u64, length: usize) -> io::Result<()> {
        let end = offset + length as u64;
        // Advice that is not taken costs nothing but time.
        let _ = fadvise(
            &self.file,
            offset,
            std::num::NonZeroU64::new(length as u64),
            Advice::WillNeed,
        );
        let mut touched = offset;
        while touched < end {
            if pread(&self.file, &mut [0_u8; 1], touched)? == 0 {
                return Err(Self::ended());
            }
            touched += TOUCHED;
        }
        Ok(())
    }
}

pub(super) struct GrowingFile {
    file: File,
    size: u64,
    /// Up to where the kernel was told to write.
    behind: u64,
    key: Key,
}

impl GrowingFile {
    pub fn boxed(file: File, size: u64, key: &Key) -> Box<dyn Growing> {
        Box::new(Self {
            file,
            size,
            behind: size,
            key: key.clone(),
        })
    }

    fn write(&mut self, pieces: &[Bytes]) -> io::Result<()> {
        let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut left = slices.as_mut_slice();
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            match self.file.write_vectored(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut left, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Growing for GrowingFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn append_all(&mut self, pieces: &[Bytes]) -> Result<(), StorageError> {
        if let Err(error) = self.write(pieces) {
            // Half a piece must not stay: the next one would land behind it.
            let _ = self.file.set_len(self.size);
            return Err(StorageError::from_io("append to", &self.key, error));
        }
        self.size += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        let fresh = self.size - self.behind;
        if fresh >= WRITTEN_BEHIND {
            // It begins to write what is dirty, and drops none of that.
            let _ = fadvise(
                &self.file,
                self.behind,
                std::num::NonZeroU64::new(fresh),
                Advice::DontNeed,
            );
            self.behind = self.size;
        }
        Ok(())
    }
}

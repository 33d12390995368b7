//! A file that comes from a target: written beside its place as it comes, and put there when it is whole.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::NamedTempFile;

use super::Receiver;
use crate::system::DigestAlgorithm;
use crate::system::digest::Hasher;
use crate::wire::frame::Key;

/// Hexadecimal digests of what came.
pub struct Received {
    pub sha1: String,
    pub md5: String,
}

pub struct File {
    dest: PathBuf,
    coming: Mutex<Coming>,
}

struct Coming {
    file: Option<io::Result<NamedTempFile>>,
    whole: bool,
    sha1: Hasher,
    md5: Hasher,
}

impl File {
    /// Nothing is made before something comes.
    pub fn new(dest: &Path) -> Self {
        Self {
            dest: dest.to_owned(),
            coming: Mutex::new(Coming {
                file: None,
                whole: false,
                sha1: Hasher::new(DigestAlgorithm::Sha1),
                md5: Hasher::new(DigestAlgorithm::Md5),
            }),
        }
    }

    /// Puts it into its place.
    pub fn finish(&self) -> io::Result<Received> {
        let mut coming = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match coming.file.take() {
            Some(file) if coming.whole => file?,
            Some(Err(error)) => return Err(error),
            _ => return Err(io::Error::other("the target did not send all of it")),
        };
        file.as_file().sync_all()?;
        file.persist(&self.dest).map_err(|error| error.error)?;
        let end =
            |hasher: &mut Hasher| std::mem::replace(hasher, Hasher::new(DigestAlgorithm::Sha1)).finish();
        Ok(Received {
            sha1: end(&mut coming.sha1),
            md5: end(&mut coming.md5),
        })
    }

    fn open(&self) -> io::Result<NamedTempFile> {
        let folder = self.dest.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(folder)?;
        let mode = self
            .dest
            .metadata()
            .map_or(0o666, |found| found.permissions().mode());
        tempfile::Builder::new()
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(folder)
    }
}

impl Receiver for File {
    fn receive(&self, _name: &Key, piece: &[u8]) {
        let mut guard = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        let coming = &mut *guard;
        coming.sha1.update(piece);
        coming.md5.update(piece);
        coming.whole = piece.is_empty();
        let file = coming.file.get_or_insert_with(|| self.open());
        // A failure is kept: the rest is on its way and has to be read.
        if let Ok(open) = file
            && let Err(error) = open.write_all(piece)
        {
            *file = Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let dest = folder.path().join("below/x");
        let file = File::new(&dest);
        file.receive(&[0; 32], b"one ");
        file.receive(&[0; 32], b"two");
        assert!(!dest.exists());
        file.receive(&[0; 32], b"");
        let received = file.finish().unwrap();
        assert_eq!(std::fs::read(&dest).unwrap(), b"one two");
        assert_eq!(received.md5, "aae2c33a105ad3f28f39402d67a24b20");
        assert_eq!(received.sha1, "a6151e9585c47b1d3e4c4eb25e8200a81de14b7c");
    }

    #[test]
    fn half_a_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let dest = folder.path().join("x");
        let file = File::new(&dest);
        file.receive(&[0; 32], b"one ");
        assert!(file.finish().is_err());
        drop(file);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_be_written_says_why() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let file = File::new(&folder.path().join("file/x/y"));
        file.receive(&[0; 32], b"one ");
        file.receive(&[0; 32], b"");
        assert_eq!(file.finish().err().unwrap().kind(), io::ErrorKind::NotADirectory);
    }
}

//! Files replaced, each in one step.
//!
//! The new content is complete, on disk and has its attributes before it gets its name; whatever fails on
//! the way leaves the old file as it was and no temporary file behind. Many files share the wait for the disk.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid, XattrFlags};
use rustix::io::Errno;
use tempfile::{NamedTempFile, TempPath};

use super::attributes::{list_xattrs, may_be_lost};
use super::place::Place;
use crate::system::{Attributes, Follow, NewFile, SystemError};

/// Temporary files are hidden, so that folders that are read as configuration (`*.conf`) pass them over.
const PREFIX: &str = ".regdeploy-";

/// From so many files on one wait for all that the file system has to write is shorter than one for each.
pub const TOGETHER: usize = 8;

/// So many files wait for their names at most: as many would be left behind under temporary ones by a power failure.
const MOST: usize = 256;

/// So much is written before it is waited for: what is replaced is still there and needs its room, too.
const MOST_BYTES: u64 = 64 << 20;

/// Begins the names of access control lists, which a file may get from its folder.
const ACL: &str = "system.posix_acl_";

pub fn replace(path: &Path, content: &mut dyn Read, attributes: Attributes, umask: u32) -> io::Result<()> {
    let folder = Folder::of(path)?;
    let (mut temporary, path) = folder.place(path)?;
    fill(&mut temporary, &path, content, attributes, umask)?;
    sync::file(temporary.as_file())?;
    temporary.persist(&path).map_err(|error| error.error)?;
    sync::file(&folder.directory)
}

/// Replaces all of them. The caller has counted them.
pub fn replace_all(files: &[NewFile<'_>], umask: u32) -> Result<(), SystemError> {
    let mut batch = Batch::default();
    for file in files {
        let mut content = (file.content)()?;
        let added = batch.add(file.path, &mut *content, file.attributes, umask);
        added.map_err(|error| SystemError::path("write", file.path, error))?;
        if batch.waiting.len() >= MOST || batch.bytes >= MOST_BYTES {
            std::mem::take(&mut batch).finish()?;
        }
    }
    batch.finish()
}

/// Files that are complete but for their names.
#[derive(Default)]
struct Batch<'a> {
    // Before the folders: their temporary files are removed through these.
    waiting: Vec<Waiting<'a>>,
    folders: BTreeMap<PathBuf, Folder>,
    bytes: u64,
}

struct Waiting<'a> {
    temporary: TempPath,
    /// In the folder that is held open.
    place: PathBuf,
    /// As it is called.
    path: &'a Path,
}

impl<'a> Batch<'a> {
    fn add(
        &mut self,
        path: &'a Path,
        content: &mut dyn Read,
        attributes: Attributes,
        umask: u32,
    ) -> io::Result<()> {
        let name = folder_name(path);
        if !self.folders.contains_key(name) {
            self.folders.insert(name.to_owned(), Folder::of(path)?);
        }
        let (mut temporary, place) = self.folders[name].place(path)?;
        self.bytes += fill(&mut temporary, &place, content, attributes, umask)?;
        self.waiting.push(Waiting {
            temporary: temporary.into_temp_path(),
            place,
            path,
        });
        Ok(())
    }

    fn finish(mut self) -> Result<(), SystemError> {
        self.sync()?;
        for waiting in std::mem::take(&mut self.waiting) {
            let named = waiting.temporary.persist(&waiting.place);
            named.map_err(|error| SystemError::path("write", waiting.path, error.error))?;
        }
        self.sync()
    }

    /// Waits once for each file system.
    fn sync(&self) -> Result<(), SystemError> {
        let mut seen = Vec::new();
        for (name, folder) in &self.folders {
            let failed = |error| SystemError::path("write to", name, error);
            let device = folder.directory.metadata().map_err(failed)?.dev();
            if !seen.contains(&device) {
                sync::system(&folder.directory).map_err(failed)?;
                seen.push(device);
            }
        }
        Ok(())
    }
}

/// The folder that was opened, whatever others make of the names on the way to it from then on.
struct Folder {
    directory: File,
    held: PathBuf,
}

impl Folder {
    fn of(path: &Path) -> io::Result<Self> {
        let place = Place::of(path, Follow::No)?;
        let folder = folder_name(place.path());
        let directory = File::open(folder)?;
        let held = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string());
        let held = if held.exists() { held } else { folder.to_owned() };
        Ok(Self { directory, held })
    }

    /// A temporary file, and the path that it is for.
    fn place(&self, path: &Path) -> io::Result<(NamedTempFile, PathBuf)> {
        let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let temporary = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(&self.held)
            .map_err(|error| plain(&error))?;
        Ok((temporary, self.held.join(name)))
    }
}

fn folder_name(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."))
}

/// Writes the content, and gives it all that the file is to have; tells its length.
fn fill(
    temporary: &mut NamedTempFile,
    path: &Path,
    content: &mut dyn Read,
    attributes: Attributes,
    umask: u32,
) -> io::Result<u64> {
    let replaced = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(metadata) if metadata.is_file() => Some(metadata),
        Ok(metadata) if metadata.is_symlink() => None,
        // A rename over `/dev/null` would leave the machine without one.
        Ok(_) => return Err(io::Error::other("it is a device, a pipe or a socket, not a file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let length = io::copy(content, temporary.as_file_mut())?;
    set_owner(temporary.as_file(), attributes, replaced.as_ref())?;
    if replaced.is_some() {
        keep_xattrs(path, temporary)?;
    }
    let mode = attributes
        .mode
        .or_else(|| replaced.as_ref().map(|metadata| metadata.mode() & 0o7777))
        .unwrap_or(0o666 & !umask);
    rustix::fs::fchmod(temporary.as_file(), Mode::from_raw_mode(mode))?;
    Ok(length)
}

/// The waits for the disk; a test counts them.
mod sync {
    use std::fs::File;
    use std::io;

    #[cfg(test)]
    thread_local! {
        pub static COUNT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    pub fn file(file: &File) -> io::Result<()> {
        count();
        file.sync_all()
    }

    /// All that the file system of an open file still has to write. Errors of the disk are told from Linux 5.8 on.
    pub fn system(file: &File) -> io::Result<()> {
        count();
        Ok(rustix::fs::syncfs(file)?)
    }

    fn count() {
        #[cfg(test)]
        COUNT.set(COUNT.get() + 1);
    }
}

/// The cause alone: the temporary file's name, which comes with it, would only confuse.
fn plain(error: &io::Error) -> io::Error {
    let told = error.to_string();
    let cause = told
        .split_once(" at path ")
        .map_or(told.as_str(), |(cause, _)| cause);
    io::Error::new(error.kind(), cause)
}

/// Owners that were asked for have to be set; those of the replaced file are kept where we may.
fn set_owner(file: &File, wanted: Attributes, replaced: Option<&fs::Metadata>) -> io::Result<()> {
    if let Some(old) = replaced {
        let new = file.metadata()?;
        let uid = (old.uid() != new.uid() && wanted.uid.is_none()).then_some(old.uid());
        let gid = (old.gid() != new.gid() && wanted.gid.is_none()).then_some(old.gid());
        for (uid, gid) in [(None, gid), (uid, None)] {
            match chown(file, uid, gid) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                result => result?,
            }
        }
    }
    chown(file, wanted.uid, wanted.gid)
}

fn chown(file: &File, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    if uid.is_none() && gid.is_none() {
        return Ok(());
    }
    rustix::fs::fchown(file, uid.map(Uid::from_raw), gid.map(Gid::from_raw))?;
    Ok(())
}

/// Access control lists, labels and capabilities are the administrator's, not the old content's. What the folder
/// has given the new file and the old one does not have is taken away.
fn keep_xattrs(from: &Path, to: &NamedTempFile) -> io::Result<()> {
    let kept = list_xattrs(from)?;
    for (name, value) in &kept {
        match rustix::fs::fsetxattr(to, name.as_str(), value, XattrFlags::empty()) {
            Err(error) if may_be_lost(name, error) => {}
            result => result?,
        }
    }
    for name in list_xattrs(to.path())?.into_keys() {
        if name.starts_with(ACL) && !kept.contains_key(&name) {
            rustix::fs::fremovexattr(to, name.as_str())?;
        }
    }
    Ok(())
}

/// For what is not replaced but changed in place.
pub fn set_attributes(path: &Path, attributes: Attributes, follow: bool) -> io::Result<()> {
    let flags = if follow {
        AtFlags::empty()
    } else {
        AtFlags::SYMLINK_NOFOLLOW
    };
    if attributes.uid.is_some() || attributes.gid.is_some() {
        rustix::fs::chownat(
            CWD,
            path,
            attributes.uid.map(Uid::from_raw),
            attributes.gid.map(Gid::from_raw),
            flags,
        )?;
    }
    let Some(mode) = attributes.mode.map(Mode::from_raw_mode) else {
        return Ok(());
    };
    if follow {
        return Ok(rustix::fs::chmod(path, mode)?);
    }
    // Opened first: what is no link when it is looked at may be one when it is changed.
    let unfollowed = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::open(path, unfollowed, Mode::empty()) {
        // A link has no mode of its own on Linux.
        Err(Errno::LOOP) => Ok(()),
        file => Ok(rustix::fs::fchmod(file?, mode)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::System;
    use crate::system::local::Local;

    fn text<'a>(path: &'a Path, text: &'a str) -> NewFile<'a> {
        NewFile {
            path,
            attributes: Attributes::default(),
            content: Box::new(move || Ok(Box::new(text.as_bytes()))),
        }
    }

    fn waits(work: impl FnOnce()) -> usize {
        let before = sync::COUNT.get();
        work();
        sync::COUNT.get() - before
    }

    #[test]
    fn many_files_wait_for_the_disk_together() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..1000)
            .map(|number| folder.path().join(format!("{}/{number}", number % 10)))
            .collect();
        for number in 0..10 {
            fs::create_dir(folder.path().join(number.to_string())).unwrap();
        }
        let files: Vec<NewFile<'_>> = paths.iter().map(|path| text(path, "new")).collect();
        let local = Local::default();
        // For every 256 of them: before they get their names, and after it.
        assert_eq!(waits(|| local.write_all(&files).unwrap()), 8);
        // Each for itself: the file and its folder.
        let few = &files[..TOGETHER - 1];
        assert_eq!(waits(|| local.write_all(few).unwrap()), 2 * few.len());
        for path in &paths {
            assert_eq!(fs::read(path).unwrap(), b"new");
        }
        for number in 0..10 {
            assert_eq!(
                local
                    .read_dir(&folder.path().join(number.to_string()))
                    .unwrap()
                    .len(),
                100
            );
        }
    }

    #[test]
    fn none_of_those_that_wait_has_its_name_when_one_fails() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..20)
            .map(|number| folder.path().join(number.to_string()))
            .collect();
        fs::write(&paths[3], "old").unwrap();
        let mut files: Vec<NewFile<'_>> = paths.iter().map(|path| text(path, "new")).collect();
        files[15].content = Box::new(|| Ok(Box::new(Broken)));
        let error = Local::default().write_all(&files).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot write {}", paths[15].display())),
            "{error}"
        );
        assert_eq!(
            Local::default().read_dir(folder.path()).unwrap(),
            [PathBuf::from("3")]
        );
        assert_eq!(fs::read(&paths[3]).unwrap(), b"old");
    }

    #[test]
    fn a_replaced_file_keeps_what_it_had_among_many_too() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..10)
            .map(|number| folder.path().join(number.to_string()))
            .collect();
        let local = Local::default();
        fs::write(&paths[4], "old").unwrap();
        fs::set_permissions(&paths[4], fs::Permissions::from_mode(0o640)).unwrap();
        let noted = local.set_xattr(&paths[4], "user.note", b"kept").is_ok();
        let files: Vec<NewFile<'_>> = paths.iter().map(|path| text(path, "new")).collect();
        local.write_all(&files).unwrap();
        assert_eq!(fs::metadata(&paths[4]).unwrap().mode() & 0o7777, 0o640);
        if noted {
            assert_eq!(local.xattrs(&paths[4]).unwrap()["user.note"], b"kept");
        }
        assert!(!local.xattrs(&paths[5]).unwrap().contains_key("user.note"));
    }
}

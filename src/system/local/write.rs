//! A file replaced in one step.
//!
//! The new content is complete, on disk and has its attributes before it gets its name; whatever fails on
//! the way leaves the old file as it was and no temporary file behind.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Gid, Mode, Uid, XattrFlags};

use super::attributes::{list_xattrs, may_be_lost};
use crate::system::Attributes;

/// Temporary files are hidden, so that folders that are read as configuration (`*.conf`) pass them over.
const PREFIX: &str = ".regdeploy-";

pub fn replace(path: &Path, content: &mut dyn Read, attributes: Attributes, umask: u32) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    let directory = File::open(folder)?;
    // From here on it is the folder that was opened, whatever others make of the names on the way to it.
    let held = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string());
    let folder = if held.exists() { held.as_path() } else { folder };
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let path = &folder.join(name);
    let replaced = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(metadata) if metadata.is_file() => Some(metadata),
        Ok(metadata) if metadata.is_symlink() => None,
        // A rename over `/dev/null` would leave the machine without one.
        Ok(_) => return Err(io::Error::other("it is a device, a pipe or a socket, not a file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mut temporary = tempfile::Builder::new()
        .prefix(PREFIX)
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(folder)
        .map_err(|error| plain(&error))?;
    io::copy(content, temporary.as_file_mut())?;
    let file = temporary.as_file();
    set_owner(file, attributes, replaced.as_ref())?;
    if replaced.is_some() {
        keep_xattrs(path, file)?;
    }
    let mode = attributes
        .mode
        .or_else(|| replaced.as_ref().map(|metadata| metadata.mode() & 0o7777))
        .unwrap_or(0o666 & !umask);
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
    file.sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    directory.sync_all()
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

/// Access control lists, labels and capabilities are the administrator's, not the old content's.
fn keep_xattrs(from: &Path, to: &File) -> io::Result<()> {
    for (name, value) in list_xattrs(from)? {
        match rustix::fs::fsetxattr(to, name.as_str(), &value, XattrFlags::empty()) {
            Err(error) if may_be_lost(&name, error) => {}
            result => result?,
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
    // A link has no mode of its own on Linux.
    if let Some(mode) = attributes.mode
        && (follow || !fs::symlink_metadata(path)?.is_symlink())
    {
        rustix::fs::chmod(path, Mode::from_raw_mode(mode))?;
    }
    Ok(())
}

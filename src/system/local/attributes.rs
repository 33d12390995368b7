//! Extended attributes and access, as the kernel tells them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::Errno;

/// The kernel's own limits (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`): one call always suffices.
const LIST_MAX: usize = 64 << 10;
const SIZE_MAX: usize = 64 << 10;

/// Links are not followed. A file system without extended attributes has none.
pub fn list_xattrs(path: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut names = vec![0; LIST_MAX];
    let length = match rustix::fs::llistxattr(path, names.as_mut_slice()) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.into()),
    };
    let mut found = BTreeMap::new();
    for name in names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0; SIZE_MAX];
        match rustix::fs::lgetxattr(path, name, value.as_mut_slice()) {
            Ok(length) => value.truncate(length),
            // Listed, but not ours to read, or gone since.
            Err(Errno::NODATA | Errno::PERM | Errno::ACCESS) => continue,
            Err(error) => return Err(error.into()),
        }
        found.insert(String::from_utf8_lossy(name).into_owned(), value);
    }
    Ok(found)
}

/// Only the superuser may set these: for others a replaced file gets the kernel's defaults.
pub fn may_be_lost(name: &str, error: Errno) -> bool {
    let privileged = name.starts_with("security.") || name.starts_with("trusted.");
    match error {
        Errno::OPNOTSUPP => true,
        Errno::PERM | Errno::ACCESS => privileged,
        _ => false,
    }
}

/// Whether this process may read, write, execute, judged by its effective user.
pub fn access(path: &Path) -> (bool, bool, bool) {
    let may = |access| rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS).is_ok();
    (may(Access::READ_OK), may(Access::WRITE_OK), may(Access::EXEC_OK))
}

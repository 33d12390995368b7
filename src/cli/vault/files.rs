//! Reading and writing of whole files for `vault`. A file is replaced in one step, so that nothing is lost whatever
//! happens; its owner and permissions stay.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::diagnostic::Diagnostic;

/// What stands for standard input or output.
pub const DASH: &str = "-";

/// The contents of a file, or standard input.
pub fn read(path: &Path) -> Result<Vec<u8>, Diagnostic> {
    let mut bytes = Vec::new();
    let read = if path == Path::new(DASH) {
        std::io::stdin().lock().read_to_end(&mut bytes).map(drop)
    } else {
        fs::read(path).map(|contents| bytes = contents)
    };
    read.map_err(|error| {
        Diagnostic::error(format!(
            "Unable to read source file ({}): {error}",
            path.display()
        ))
    })?;
    Ok(bytes)
}

/// Replaces a file, or prints. A file that was not there is its owner's alone.
pub fn write(path: &Path, contents: &[u8]) -> Result<(), Diagnostic> {
    let failed =
        |error: std::io::Error| Diagnostic::error(format!("cannot write {}: {error}", path.display()));
    if path == Path::new(DASH) {
        let mut out = std::io::stdout().lock();
        return out.write_all(contents).and_then(|()| out.flush()).map_err(failed);
    }
    // Behind a link the file itself is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    replace(&path, contents).map_err(failed)
}

fn replace(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // Made with mode 0600: nobody else reads along.
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(contents)?;
    if let Ok(before) = fs::metadata(path) {
        let mine = file.as_file().metadata()?;
        if (mine.uid(), mine.gid()) != (before.uid(), before.gid()) {
            std::os::unix::fs::fchown(file.as_file(), Some(before.uid()), Some(before.gid()))?;
        }
        let mode = Permissions::from_mode(before.mode() & 0o7777);
        file.as_file().set_permissions(mode)?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_and_links_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        write(&file, b"one").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        write(&link, b"two").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
        assert_eq!(read(&file).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        let error = write(&folder.path().join("none/file"), b"").unwrap_err();
        assert!(error.message.starts_with("cannot write "), "{}", error.message);
    }
}

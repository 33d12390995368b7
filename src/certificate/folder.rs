//! An authority in a folder of the controller: `ca.key` (0600) and `ca.crt`.
//!
//! Deliberately no passphrase: the folder is as private as the SSH keys beside it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Authority, Error, IssueOptions};

pub const CERTIFICATE_FILE: &str = "ca.crt";
pub const KEY_FILE: &str = "ca.key";

pub const PRIVATE: u32 = 0o600;
pub const PUBLIC: u32 = 0o644;

/// The authority in that folder; none where there is none yet.
pub fn load(folder: &Path) -> Result<Option<Authority>, Error> {
    let certificate_path = folder.join(CERTIFICATE_FILE);
    let key_path = folder.join(KEY_FILE);
    let Some(certificate) = read(&certificate_path)? else {
        return Ok(None);
    };
    let shown = |path: &Path| path.display().to_string();
    let Some(key) = read(&key_path)? else {
        return Err(Error::KeyMissing {
            key: shown(&key_path),
            certificate: shown(&certificate_path),
        });
    };
    let authority = Authority::from_pem(&certificate, &key)?;
    if !authority.certificate().has_key(&key) {
        return Err(Error::Mismatch {
            key: shown(&key_path),
            certificate: shown(&certificate_path),
        });
    }
    Ok(Some(authority))
}

/// The authority in that folder, made if there is none, and whether it was made. A key without a
/// certificate (the run that made it was cut short) is used.
pub fn load_or_create(
    folder: &Path,
    common_name: &str,
    options: IssueOptions,
) -> Result<(Authority, bool), Error> {
    if let Some(authority) = load(folder)? {
        return Ok((authority, false));
    }
    fs::create_dir_all(folder).map_err(file("create", folder))?;
    let key_path = folder.join(KEY_FILE);
    let authority = if let Some(key) = read(&key_path)? {
        Authority::with_key(common_name, options, &key)?
    } else {
        let authority = Authority::create(common_name, options)?;
        write(&key_path, authority.key_pem().reveal(), PRIVATE)?;
        authority
    };
    write(
        &folder.join(CERTIFICATE_FILE),
        authority.certificate_pem(),
        PUBLIC,
    )?;
    Ok((authority, true))
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file("read", path)(error)),
    }
}

/// Writes a file as a whole, on the disk when it returns.
pub fn write(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let put = || {
        // Made with mode 0600: the key is at no time readable by others.
        let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
        temporary.write_all(text.as_bytes())?;
        temporary
            .as_file()
            .set_permissions(fs::Permissions::from_mode(mode))?;
        temporary.as_file().sync_all()?;
        temporary.persist(path)?;
        File::open(folder)?.sync_all()
    };
    put().map_err(file("write", path))
}

fn file(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.display().to_string();
    move |source| Error::File {
        operation,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn makes_once_and_then_loads() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("pki");
        let options = IssueOptions {
            valid_days: 10,
            now: SystemTime::now(),
        };
        let (first, made) = load_or_create(&folder, "lab CA", options).unwrap();
        assert!(made);
        let (second, made) = load_or_create(&folder, "lab CA", options).unwrap();
        assert!(!made);
        assert_eq!(first.certificate_pem(), second.certificate_pem());
        let mode = fs::metadata(folder.join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, PRIVATE);

        // Cut short after the key: the key is kept.
        fs::remove_file(folder.join(CERTIFICATE_FILE)).unwrap();
        let (third, made) = load_or_create(&folder, "lab CA", options).unwrap();
        assert!(made);
        assert_eq!(third.key_pem().reveal(), first.key_pem().reveal());

        fs::remove_file(folder.join(KEY_FILE)).unwrap();
        assert!(matches!(load(&folder), Err(Error::KeyMissing { .. })));
    }
}

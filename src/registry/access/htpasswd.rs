//! The htpasswd file: users and bcrypt hashes of their passwords, a line each.
//!
//! bcrypt alone, as in distribution: the file's other kinds of hashes (DES, MD5, SHA-1) are guessed in
//! hours. Reading is pure; writing keeps what it does not concern, as well as mode and owner.

use std::fmt::Write as _;
use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A thousand users take 80 KiB: what is larger is not a file of users.
pub const MAX_FILE: u64 = 16 << 20;
/// bcrypt takes no more of a password into account.
pub const MAX_PASSWORD: usize = 72;
const MAX_NAME: usize = 255;
const BCRYPT: [&str; 4] = ["$2y$", "$2b$", "$2a$", "$2x$"];
/// What bcrypt is defined for.
pub const COSTS: std::ops::RangeInclusive<u32> = 4..=31;
/// Of a file that is made: nobody else is to have the hashes.
const NEW_MODE: u32 = 0o600;

/// Why a file of users cannot be used or written.
#[derive(Debug, thiserror::Error)]
pub enum HtpasswdError {
    #[error("read the users' file {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("write the users' file {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("the users' file {path} has {size} bytes, and at most {MAX_FILE} are read")]
    TooLarge { path: PathBuf, size: u64 },
    #[error("{path}:{line}: {fault}")]
    Line {
        path: PathBuf,
        line: usize,
        fault: Fault,
    },
    #[error(
        "a user's name has 1 to {MAX_NAME} characters, and none of them is a colon or a control character"
    )]
    Name,
    #[error(
        "bcrypt takes no more than {MAX_PASSWORD} bytes of a password into account: choose a shorter one"
    )]
    LongPassword,
    #[error("a password of a user must not be empty")]
    NoPassword,
    #[error("{path} has no user `{name}`")]
    Unknown { path: PathBuf, name: String },
    #[error("hash the password: {0}")]
    Hash(#[from] bcrypt::BcryptError),
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("a line is NAME:HASH")]
    Form,
    #[error(
        "the hash of `{0}` is not of bcrypt; make it anew with `regdeploy-registry user add` or `htpasswd -B`"
    )]
    Kind(String),
    #[error("the hash of `{0}` is damaged")]
    Damaged(String),
    #[error("`{0}` is there twice")]
    Twice(String),
}

/// A user's line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub hash: String,
}

/// All users of a file's text, or the first line that is wrong, counted from 1.
pub fn parse(text: &str) -> Result<Vec<User>, (usize, Fault)> {
    let mut users: Vec<User> = Vec::new();
    let mut names = std::collections::HashSet::new();
    for (index, line) in text.lines().enumerate() {
        let Some((name, hash)) = entry(line).map_err(|fault| (index + 1, fault))? else {
            continue;
        };
        if !names.insert(name) {
            return Err((index + 1, Fault::Twice(name.to_owned())));
        }
        if !BCRYPT.iter().any(|prefix| hash.starts_with(prefix)) {
            return Err((index + 1, Fault::Kind(name.to_owned())));
        }
        let sound = hash
            .parse::<bcrypt::HashParts>()
            .is_ok_and(|parts| COSTS.contains(&parts.get_cost()));
        if !sound {
            return Err((index + 1, Fault::Damaged(name.to_owned())));
        }
        users.push(User {
            name: name.to_owned(),
            hash: hash.to_owned(),
        });
    }
    Ok(users)
}

/// Name and hash of a line; none of an empty line or a comment.
fn entry(line: &str) -> Result<Option<(&str, &str)>, Fault> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    match line.split_once(':') {
        Some((name, hash)) if !name.is_empty() => Ok(Some((name, hash))),
        _ => Err(Fault::Form),
    }
}

pub fn read(path: &Path) -> Result<Vec<User>, HtpasswdError> {
    parse(&text(path)?).map_err(|(line, fault)| HtpasswdError::Line {
        path: path.to_owned(),
        line,
        fault,
    })
}

fn text(path: &Path) -> Result<String, HtpasswdError> {
    let failed = |source| HtpasswdError::Read {
        path: path.to_owned(),
        source,
    };
    let size = std::fs::metadata(path).map_err(failed)?.size();
    if size > MAX_FILE {
        return Err(HtpasswdError::TooLarge {
            path: path.to_owned(),
            size,
        });
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// Gives a user this password, whether the user was there or not. True where it was.
pub fn add(path: &Path, name: &str, password: &str, cost: u32) -> Result<bool, HtpasswdError> {
    let proper = !name.is_empty()
        && name.len() <= MAX_NAME
        && !name.starts_with('#')
        && name.trim() == name
        && !name.contains(|c: char| c == ':' || c.is_control());
    if !proper {
        return Err(HtpasswdError::Name);
    }
    match password.len() {
        0 => return Err(HtpasswdError::NoPassword),
        length if length > MAX_PASSWORD => return Err(HtpasswdError::LongPassword),
        _ => {}
    }
    let hash = bcrypt::hash_with_result(password, cost)?.format_for_version(bcrypt::Version::TwoY);
    edit(path, |old| {
        let mut there = false;
        let mut new: String = old
            .lines()
            .filter_map(|line| {
                if !is_of(line, name) {
                    return Some(format!("{line}\n"));
                }
                // In its place, and once.
                (!std::mem::replace(&mut there, true)).then(|| format!("{name}:{hash}\n"))
            })
            .collect();
        if !there {
            let _ = writeln!(new, "{name}:{hash}");
        }
        Ok((new, there))
    })
}

pub fn remove(path: &Path, name: &str) -> Result<(), HtpasswdError> {
    edit(path, |old| {
        let others = old.lines().filter(|line| !is_of(line, name));
        let kept = others.fold(String::new(), |kept, line| kept + line + "\n");
        if kept.lines().count() == old.lines().count() {
            return Err(HtpasswdError::Unknown {
                path: path.to_owned(),
                name: name.to_owned(),
            });
        }
        Ok((kept, ()))
    })
}

fn is_of(line: &str, name: &str) -> bool {
    matches!(entry(line), Ok(Some((found, _))) if found == name)
}

/// Replaces the file by what `change` makes of it: whole or not at all, one at a time.
fn edit<T>(
    path: &Path,
    change: impl FnOnce(&str) -> Result<(String, T), HtpasswdError>,
) -> Result<T, HtpasswdError> {
    let failed = |source| HtpasswdError::Write {
        path: path.to_owned(),
        source,
    };
    // What a link leads to is replaced, or made, and not the link.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| match std::fs::read_link(path) {
        Ok(link) => path.parent().unwrap_or(Path::new("")).join(link),
        Err(_) => path.to_owned(),
    });
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let lock = File::open(folder).map_err(failed)?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|error| failed(error.into()))?;
    let before = std::fs::metadata(&target).ok();
    let old = match &before {
        Some(_) => text(&target)?,
        None => String::new(),
    };
    let (new, result) = change(&old)?;
    let write = || {
        let mut file = tempfile::Builder::new()
            .prefix(".htpasswd-")
            .tempfile_in(folder)?;
        file.write_all(new.as_bytes())?;
        if let Some(before) = &before {
            let now = file.as_file().metadata()?;
            if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
                std::os::unix::fs::fchown(file.as_file(), Some(before.uid()), Some(before.gid()))?;
            }
        }
        let mode = before.as_ref().map_or(NEW_MODE, |before| before.mode() & 0o7777);
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(&target).map_err(|error| error.error)?;
        lock.sync_all()
    };
    write().map_err(failed)?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: u32 = *COSTS.start();
    const HASH: &str = "$2y$05$HmB11qZSOWi2kDs2WxvyFO4ZgHFBrZ8a5ZA6tfC0Vn6gMrEoCJVOK";

    #[test]
    fn lines_that_are_wrong_are_named() {
        let good = format!("# users\n\nalice:{HASH}\n  bob:{HASH}  \n");
        let users = parse(&good).unwrap();
        assert_eq!(
            users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(),
            ["alice", "bob"]
        );
        for (line, fault) in [
            ("alice", Fault::Form),
            (":x", Fault::Form),
            ("a:$apr1$x$y", Fault::Kind("a".to_owned())),
            ("a:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", Fault::Kind("a".to_owned())),
            ("a:rl.3StKT.4T8M", Fault::Kind("a".to_owned())),
            ("a:plain", Fault::Kind("a".to_owned())),
            ("a:$2y$05$short", Fault::Damaged("a".to_owned())),
            (&format!("bob:{HASH}"), Fault::Twice("bob".to_owned())),
        ] {
            assert_eq!(parse(&format!("{good}{line}\n")), Err((5, fault)), "{line}");
        }
    }

    #[test]
    fn editing_touches_one_line_and_keeps_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(!add(&link, "alice", "first", COST).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.insert_str(0, "# ours\n");
        std::fs::write(&path, text).unwrap();
        assert!(!add(&link, "bob", "second", COST).unwrap());
        assert!(add(&link, "alice", "third", COST).unwrap());

        let users = read(&path).unwrap();
        let fits = |index: usize, password| bcrypt::verify(password, &users[index].hash).unwrap();
        assert_eq!((users[0].name.as_str(), users[1].name.as_str()), ("alice", "bob"));
        assert!(fits(0, "third") && !fits(0, "first") && fits(1, "second"));
        remove(&link, "alice").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("# ours\nbob:$2y$04$") && text.lines().count() == 2,
            "{text}"
        );
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        for (name, password) in [("", "x"), ("a:b", "x"), ("#a", "x"), ("a\n", "x"), ("a", "")] {
            assert!(add(&path, name, password, COST).is_err(), "{name:?}");
        }
        assert!(matches!(
            add(&path, "a", &"x".repeat(MAX_PASSWORD + 1), COST),
            Err(HtpasswdError::LongPassword)
        ));
        assert!(!path.exists());
        assert!(matches!(remove(&path, "a"), Err(HtpasswdError::Unknown { .. })));
        assert!(matches!(read(&path), Err(HtpasswdError::Read { .. })));
    }
}

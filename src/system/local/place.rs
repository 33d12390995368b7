//! Where a change takes effect: a folder that is held open, and a name in it.
//!
//! The way to the folder is gone step by step, each step from a folder that is held already, so that nobody can bend it
//! in between; what is changed is then reached through that folder and not through its name. Links on the way are
//! followed as far as they can be trusted: below a folder that everybody may write to only those of root and of our own
//! user, much as the kernel has it in sticky folders (`protected_symlinks`, proc(5)). Deliberately not here: what is
//! only read, hard links (the kernel's `protected_hardlinks`), and where programs go that modules start, once they are in the folder in
//! which they are started.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, PROC_SUPER_MAGIC, Stat};
use rustix::io::Errno;

use crate::system::Follow;
use crate::system::links::{self, Found};

/// The right of everybody else to write.
const SHARED: u32 = 0o002;

/// A path that leads where it led when it was looked up.
pub struct Place {
    /// What the path goes through.
    _folder: Option<OwnedFd>,
    path: PathBuf,
}

impl Place {
    /// `follow` is about the last part; it may be missing.
    pub fn of(path: &Path, follow: Follow) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let mut way = Way::start()?;
        let resolved = match (follow, path.parent(), path.file_name()) {
            (Follow::No, Some(folder), Some(name)) => way.resolve(folder)?.join(name),
            _ => way.resolve(&path)?,
        };
        let Some((folder, name)) = resolved.parent().zip(resolved.file_name()) else {
            // The root of all, which nobody can replace.
            return Ok(Self {
                _folder: None,
                path: resolved,
            });
        };
        let folder = way.held.remove(folder).ok_or(Errno::NOENT)?.folder;
        let held = path_of(&folder).map(|held| held.join(name));
        Ok(Self {
            _folder: Some(folder),
            path: held.unwrap_or(resolved),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path to what is there now, whatever gets its name later; none for a link, which no other path can name.
    pub fn itself(&self) -> io::Result<Option<(OwnedFd, PathBuf)>> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let thing = rustix::fs::open(&self.path, flags, Mode::empty())?;
        if is_link(&rustix::fs::fstat(&thing)?) {
            return Ok(None);
        }
        Ok(path_of(&thing).map(|path| (thing, path)))
    }
}

/// A folder for a process to start in: nobody can put another in its place as long as it is held.
pub fn folder(path: &Path) -> io::Result<(Option<OwnedFd>, PathBuf)> {
    Ok(match Place::of(path, Follow::Yes)?.itself()? {
        Some((held, path)) => (Some(held), path),
        None => (None, canonicalize(path)?),
    })
}

/// The absolute path without links; the last part may be missing.
pub fn canonicalize(path: &Path) -> io::Result<PathBuf> {
    Way::start()?.resolve(&std::path::absolute(path)?)
}

/// A name of what is held; none without `/proc`.
fn path_of(held: &OwnedFd) -> Option<PathBuf> {
    let path = Path::new("/proc/self/fd").join(held.as_raw_fd().to_string());
    path.exists().then_some(path)
}

fn is_link(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
}

/// What was passed on the way, by its path without links.
struct Way {
    held: HashMap<PathBuf, Held>,
}

struct Held {
    folder: OwnedFd,
    /// Everybody may write to it, or to one that it is in.
    shared: bool,
}

impl Way {
    fn start() -> io::Result<Self> {
        let root = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let mut way = Self { held: HashMap::new() };
        way.hold(Path::new("/"), root, false)?;
        Ok(way)
    }

    fn hold(&mut self, path: &Path, folder: OwnedFd, inherited: bool) -> io::Result<()> {
        let shared = inherited || rustix::fs::fstat(&folder)?.st_mode & SHARED != 0;
        self.held.insert(path.to_owned(), Held { folder, shared });
        Ok(())
    }

    fn resolve(&mut self, path: &Path) -> io::Result<PathBuf> {
        links::resolve(path, |path| self.look(path))
    }

    fn look(&mut self, path: &Path) -> io::Result<Found> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(Found::Other);
        };
        let Held { folder, shared } = self.held.get(parent).ok_or(Errno::NOTDIR)?;
        let open = |flags| rustix::fs::openat(folder, name, flags | OFlags::CLOEXEC, Mode::empty());
        let itself = OFlags::PATH | OFlags::NOFOLLOW;
        // Asked for as a folder, so that one that is mounted on demand is mounted.
        let opened = match open(itself | OFlags::DIRECTORY) {
            Err(Errno::NOTDIR) => open(itself),
            opened => opened,
        };
        let mut opened = match opened {
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            opened => opened?,
        };
        let shared = *shared;
        let stat = rustix::fs::fstat(&opened)?;
        if is_link(&stat) {
            // The kernel's own, which lead where their text does not.
            if rustix::fs::fstatfs(&opened)?.f_type == PROC_SUPER_MAGIC {
                opened = open(OFlags::PATH)?;
            } else if shared && !is_trusted(stat.st_uid) {
                return Err(io::Error::other(format!(
                    "{} is a link that user {} has put below a folder that everybody may write to, and is not \
                     followed; make it a folder, or root the link's owner (`chown -h`)",
                    path.display(),
                    stat.st_uid
                )));
            } else {
                let target = rustix::fs::readlinkat(&opened, "", Vec::new())?;
                return Ok(Found::Link(OsString::from_vec(target.into_bytes()).into()));
            }
        }
        self.hold(path, opened, shared)?;
        Ok(Found::Other)
    }
}

fn is_trusted(owner: u32) -> bool {
    owner == 0 || owner == rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;
    use crate::system::local::Local;
    use crate::system::{Attributes, System};

    /// A folder in which `shared/file` may turn into a way to `private/file`.
    fn folders() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["shared", "private"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            let file = folder.path().join(name).join("file");
            fs::write(&file, name).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        folder
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_place_is_where_it_was_when_its_folder_is_exchanged() {
        let folder = folders();
        let at = |name: &str| folder.path().join(name);
        let place = Place::of(&at("shared/file"), Follow::No).unwrap();
        let (_held, itself) = place.itself().unwrap().unwrap();
        fs::rename(at("shared"), at("moved")).unwrap();
        symlink(at("private"), at("shared")).unwrap();
        fs::write(place.path(), "changed").unwrap();
        fs::set_permissions(&itself, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(fs::read_to_string(at("moved/file")).unwrap(), "changed");
        assert_eq!(fs::read_to_string(at("private/file")).unwrap(), "private");
        assert_eq!(
            (mode(&at("moved/file")), mode(&at("private/file"))),
            (0o644, 0o600)
        );
    }

    #[test]
    fn what_is_held_is_not_what_gets_its_name() {
        let folder = folders();
        let at = |name: &str| folder.path().join(name);
        let place = Place::of(&at("shared/file"), Follow::Yes).unwrap();
        let (_held, itself) = place.itself().unwrap().unwrap();
        fs::remove_file(at("shared/file")).unwrap();
        symlink(at("private/file"), at("shared/file")).unwrap();
        // It has no name any more, and is changed nevertheless.
        fs::set_permissions(&itself, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(mode(&at("private/file")), 0o600);
        assert!(place.itself().unwrap().is_none(), "it is a link by now");
    }

    #[test]
    fn links_of_our_own_are_followed() {
        let folder = folders();
        let at = |name: &str| folder.path().join(name);
        symlink("../private", at("shared/relative")).unwrap();
        symlink(at("private"), at("absolute")).unwrap();
        symlink("file", at("private/link")).unwrap();
        symlink("circle", at("circle")).unwrap();
        let real = folder.path().canonicalize().unwrap().join("private/file");
        for path in [
            "shared/relative/file",
            "absolute/file",
            "absolute/../private/./link",
            "absolute/link",
        ] {
            assert_eq!(canonicalize(&at(path)).unwrap(), real, "{path}");
            let place = Place::of(&at(path), Follow::Yes).unwrap();
            assert_eq!(fs::read_to_string(place.path()).unwrap(), "private", "{path}");
        }
        let link = Place::of(&at("absolute/link"), Follow::No).unwrap();
        assert!(fs::symlink_metadata(link.path()).unwrap().is_symlink());
        let missing = Place::of(&at("no/file"), Follow::No).err().unwrap();
        assert_eq!(missing.to_string(), "No such file or directory (os error 2)");
        assert!(Place::of(&at("circle/file"), Follow::No).is_err());
        assert_eq!(
            Place::of(Path::new("/"), Follow::No).unwrap().path(),
            Path::new("/")
        );
        // The kernel's own links lead where their text does not, and stay.
        let own = Path::new("/proc/self/root/etc");
        assert_eq!(canonicalize(own).unwrap(), own);
    }

    #[test]
    fn whose_links_are_followed() {
        let own = rustix::process::geteuid().as_raw();
        assert!(is_trusted(0) && is_trusted(own) && !is_trusted(own + 1));
    }

    #[test]
    fn below_a_file_nothing_can_be_changed() {
        let folder = folders();
        let path = folder.path().join("shared/file/below");
        let local = Local::default();
        let attributes = Attributes {
            mode: Some(0o600),
            ..Attributes::default()
        };
        for (what, changed) in [
            (
                "write",
                local.write(&path, &mut "x".as_bytes(), Attributes::default()),
            ),
            ("overwrite", local.overwrite(&path, &mut "x".as_bytes())),
            ("create_dir", local.create_dir(&path, 0o700)),
            ("remove_file", local.remove_file(&path)),
            ("rename", local.rename(&path, &path)),
            ("symlink", local.symlink(Path::new("x"), &path)),
            ("hard_link", local.hard_link(&path, &path)),
            (
                "set_attributes",
                local.set_attributes(&path, attributes, Follow::Yes),
            ),
            (
                "set_times",
                local.set_times(&path, None, Some(std::time::SystemTime::UNIX_EPOCH)),
            ),
            ("set_xattr", local.set_xattr(&path, "user.x", b"x")),
        ] {
            let said = changed.map_or_else(|error| error.to_string(), |()| "nothing".to_owned());
            assert!(said.contains("Not a directory"), "{what} says {said}");
        }
    }
}

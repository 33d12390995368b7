//! The machine on which the agent runs.
//!
//! The one place besides the command line, the connections and the registry where files are really touched
//! and processes started. Blocking throughout; `http` and `connect` must not be called from inside an
//! asynchronous runtime. What comes from the controller (`content`, `sign`) is not here: the agent wraps
//! this machine and answers those.

mod attributes;
mod connect;
mod http;
mod place;
mod process;
mod proxy;
pub mod terminal;
mod tls;
mod write;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Seek};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, OFlags, RenameFlags, Timespec, Timestamps, UTIME_OMIT, XattrFlags};

use self::place::Place;
use super::accounts::{parse_groups, parse_users};
use super::digest::digest_stream;
use super::{
    Attributes, Command, CommandOutput, Connection, DigestAlgorithm, FileKind, Follow, Group, HttpRequest,
    HttpResponse, Metadata, NewFile, Reply, Result, System, SystemError, User,
};

/// This machine, with the environment of one task.
#[derive(Debug, Clone, Default)]
pub struct Local {
    environment: BTreeMap<String, String>,
}

impl Local {
    /// `environment` is added to the process's own for commands and [`System::env`].
    pub fn new(environment: BTreeMap<String, String>) -> Self {
        Self { environment }
    }
}

/// Adds the operation and the path to an error.
fn on<T>(operation: &'static str, path: &Path, result: io::Result<T>) -> Result<T> {
    result.map_err(|source| SystemError::path(operation, path, source))
}

/// Makes a change at a path whose way there is fixed: see [`place`].
fn at<T>(path: &Path, change: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    change(Place::of(path, Follow::No)?.path())
}

/// The same for two paths.
fn between<T>(from: &Path, to: &Path, change: impl FnOnce(&Path, &Path) -> io::Result<T>) -> io::Result<T> {
    let (from, to) = (Place::of(from, Follow::No)?, Place::of(to, Follow::No)?);
    change(from.path(), to.path())
}

fn set_attributes(path: &Path, attributes: Attributes, follow: Follow) -> io::Result<()> {
    let place = Place::of(path, follow)?;
    match place.itself()? {
        Some((_held, itself)) => write::set_attributes(&itself, attributes, true),
        None => write::set_attributes(place.path(), attributes, false),
    }
}

/// How often a folder that fills again is removed again.
const REMOVALS: usize = 3;

impl System for Local {
    fn metadata(&self, path: &Path, follow: Follow) -> Result<Option<Metadata>> {
        let found = match follow {
            Follow::Yes => fs::metadata(path),
            Follow::No => fs::symlink_metadata(path),
        };
        match found {
            Ok(metadata) => Ok(Some(describe(&metadata))),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(SystemError::path("look at", path, error)),
        }
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        on("read", path, fs::read(path))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(on("read", path, fs::File::open(path))?))
    }

    fn read_part(&self, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>> {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = fs::File::open(path)?;
            if offset > 0 {
                file.seek(io::SeekFrom::Start(offset))?;
            }
            let mut bytes = Vec::new();
            file.take(length as u64).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        on("read", path, read())
    }

    fn read_dir(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let list = || -> io::Result<Vec<PathBuf>> {
            let mut names = fs::read_dir(path)?
                .map(|entry| Ok(PathBuf::from(entry?.file_name())))
                .collect::<io::Result<Vec<_>>>()?;
            names.sort_unstable();
            Ok(names)
        };
        on("list", path, list())
    }

    fn read_link(&self, path: &Path) -> Result<PathBuf> {
        on("read the link", path, fs::read_link(path))
    }

    fn canonicalize(&self, path: &Path) -> Result<PathBuf> {
        on("resolve", path, place::canonicalize(path))
    }

    fn digest(&self, path: &Path, algorithm: DigestAlgorithm) -> Result<String> {
        let mut file = on("read", path, fs::File::open(path))?;
        on("read", path, digest_stream(&mut file, algorithm))
    }

    fn xattrs(&self, path: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
        on("read the attributes of", path, attributes::list_xattrs(path))
    }

    fn access(&self, path: &Path) -> Result<(bool, bool, bool)> {
        Ok(attributes::access(path))
    }

    fn write(&self, path: &Path, content: &mut dyn Read, attributes: Attributes) -> Result<()> {
        on(
            "write",
            path,
            write::replace(path, content, attributes, self.umask()),
        )
    }

    fn write_all(&self, files: &[NewFile<'_>]) -> Result<()> {
        if files.len() < write::TOGETHER {
            for file in files {
                self.write(file.path, &mut *(file.content)()?, file.attributes)?;
            }
            return Ok(());
        }
        write::replace_all(files, self.umask())
    }

    fn overwrite(&self, path: &Path, content: &mut dyn Read) -> Result<()> {
        let mut put = || -> io::Result<()> {
            let place = Place::of(path, Follow::Yes)?;
            let mut file = fs::OpenOptions::new()
                .write(true)
                .truncate(true)
                .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
                .open(place.path())?;
            io::copy(content, &mut file)?;
            match file.sync_all() {
                // The kernel's own files (/proc, /sys) cannot be synchronised.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
                synchronised => synchronised,
            }
        };
        on("write", path, put())
    }

    fn create_dir(&self, path: &Path, mode: u32) -> Result<()> {
        on(
            "create folder",
            path,
            at(path, |path| fs::DirBuilder::new().mode(mode).create(path)),
        )?;
        // The umask has taken bits away that were asked for.
        let attributes = Attributes {
            mode: Some(mode),
            ..Attributes::default()
        };
        on(
            "set the mode of",
            path,
            set_attributes(path, attributes, Follow::No),
        )
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        on("remove", path, at(path, |path| fs::remove_file(path)))
    }

    fn remove_tree(&self, path: &Path) -> Result<()> {
        // Somebody who still writes there (a job that is about to end) may come in between.
        let remove = |path: &Path| {
            let mut removed = fs::remove_dir_all(path);
            for _ in 0..REMOVALS {
                match &removed {
                    Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                        removed = fs::remove_dir_all(path);
                    }
                    _ => break,
                }
            }
            removed
        };
        on("remove", path, at(path, remove))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        on(
            "rename to",
            to,
            between(from, to, |from, to| fs::rename(from, to)),
        )
    }

    fn exchange(&self, from: &Path, to: &Path) -> Result<()> {
        let exchange = |from: &Path, to: &Path| {
            Ok(rustix::fs::renameat_with(
                CWD,
                from,
                CWD,
                to,
                RenameFlags::EXCHANGE,
            )?)
        };
        on("exchange with", to, between(from, to, exchange))
    }

    fn symlink(&self, target: &Path, link: &Path) -> Result<()> {
        let make = |link: &Path| std::os::unix::fs::symlink(target, link);
        on("make the link", link, at(link, make))
    }

    fn hard_link(&self, target: &Path, link: &Path) -> Result<()> {
        let make = |target: &Path, link: &Path| fs::hard_link(target, link);
        on("make the hard link", link, between(target, link, make))
    }

    fn set_attributes(&self, path: &Path, attributes: Attributes, follow: Follow) -> Result<()> {
        on(
            "set the owner or mode of",
            path,
            set_attributes(path, attributes, follow),
        )
    }

    fn set_times(
        &self,
        path: &Path,
        accessed: Option<SystemTime>,
        modified: Option<SystemTime>,
    ) -> Result<()> {
        let times = Timestamps {
            last_access: timespec(accessed),
            last_modification: timespec(modified),
        };
        let set = |path: &Path| {
            Ok(rustix::fs::utimensat(
                CWD,
                path,
                &times,
                AtFlags::SYMLINK_NOFOLLOW,
            )?)
        };
        on("set the times of", path, at(path, set))
    }

    fn set_xattr(&self, path: &Path, name: &str, value: &[u8]) -> Result<()> {
        let set = |path: &Path| Ok(rustix::fs::lsetxattr(path, name, value, XattrFlags::empty())?);
        on("set an attribute of", path, at(path, set))
    }

    fn run(&self, command: &Command) -> Result<CommandOutput> {
        let mut environment = self.environment.clone();
        environment.extend(command.environment.clone());
        if !environment.contains_key("PATH")
            && let Ok(path) = std::env::var("PATH")
        {
            environment.insert("PATH".to_owned(), path);
        }
        process::run(&Command {
            environment,
            ..command.clone()
        })
    }

    fn converse(
        &self,
        command: &Command,
        echo: bool,
        answer: &mut dyn FnMut(&[u8]) -> Reply,
    ) -> Result<CommandOutput> {
        let mut environment = self.environment.clone();
        environment.extend(command.environment.clone());
        let command = Command {
            environment,
            ..command.clone()
        };
        terminal::converse(&command, echo, answer)
    }

    fn which(&self, program: &str) -> Option<PathBuf> {
        process::which(program, &process::search_path(self.env("PATH").as_deref()))
    }

    fn env(&self, name: &str) -> Option<String> {
        self.environment
            .get(name)
            .cloned()
            .or_else(|| std::env::var(name).ok())
    }

    fn uid(&self) -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn users(&self) -> Result<Vec<User>> {
        let path = Path::new("/etc/passwd");
        Ok(parse_users(&String::from_utf8_lossy(&self.read(path)?)))
    }

    fn groups(&self) -> Result<Vec<Group>> {
        let path = Path::new("/etc/group");
        Ok(parse_groups(&String::from_utf8_lossy(&self.read(path)?)))
    }

    fn hostname(&self) -> Result<String> {
        Ok(rustix::system::uname().nodename().to_string_lossy().into_owned())
    }

    fn umask(&self) -> u32 {
        // The system call cannot ask without setting, which other threads would notice.
        fs::read_to_string("/proc/self/status")
            .ok()
            .and_then(|status| {
                let digits = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
                u32::from_str_radix(digits.trim(), 8).ok()
            })
            .unwrap_or(0o022)
    }

    fn http(&self, request: &HttpRequest) -> Result<HttpResponse> {
        http::send(request, |name| self.env(name))
            .map_err(|source| SystemError::new("reach", request.url.as_str(), source))
    }

    fn connect(&self, host: &str, port: u16, timeout: Duration) -> Result<Box<dyn Connection>> {
        match connect::connect(host, port, timeout) {
            Ok(stream) => Ok(Box::new(stream)),
            Err(source) => Err(SystemError::new("connect to", format!("{host}:{port}"), source)),
        }
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }

    fn content(&self, digest: &str) -> Result<Box<dyn Read>> {
        Err(SystemError::new(
            "fetch the content",
            digest,
            io::ErrorKind::Unsupported.into(),
        ))
    }

    fn sign(&self, authority: &str, _request: &str) -> Result<String> {
        Err(SystemError::new(
            "get a certificate from",
            authority,
            io::ErrorKind::Unsupported.into(),
        ))
    }

    fn executable(&self) -> Result<PathBuf> {
        std::env::current_exe().map_err(|source| SystemError::new("find", "the agent's executable", source))
    }
}

fn describe(metadata: &fs::Metadata) -> Metadata {
    let kind = metadata.file_type();
    let kind = if kind.is_symlink() {
        FileKind::Link
    } else if kind.is_dir() {
        FileKind::Directory
    } else if kind.is_fifo() {
        FileKind::Fifo
    } else if kind.is_socket() {
        FileKind::Socket
    } else if kind.is_block_device() {
        FileKind::BlockDevice
    } else if kind.is_char_device() {
        FileKind::CharDevice
    } else {
        FileKind::File
    };
    Metadata {
        kind,
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        size: metadata.size(),
        accessed: instant(metadata.atime(), metadata.atime_nsec()),
        modified: instant(metadata.mtime(), metadata.mtime_nsec()),
        status_changed: instant(metadata.ctime(), metadata.ctime_nsec()),
        device: metadata.dev(),
        inode: metadata.ino(),
        links: metadata.nlink(),
    }
}

/// Times before 1970 exist: archives and broken clocks make them.
fn instant(seconds: i64, nanoseconds: i64) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let start = if seconds < 0 {
        SystemTime::UNIX_EPOCH - whole
    } else {
        SystemTime::UNIX_EPOCH + whole
    };
    start + Duration::from_nanos(nanoseconds.unsigned_abs())
}

fn timespec(time: Option<SystemTime>) -> Timespec {
    let Some(time) = time else {
        return Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        };
    };
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timespec {
        tv_sec: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: since.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn write(path: &Path, text: &str, attributes: Attributes) -> Result<()> {
        Local::default().write(path, &mut text.as_bytes(), attributes)
    }

    #[test]
    fn a_replaced_file_keeps_its_mode_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, "one", Attributes::default()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4751)).unwrap();
        let xattrs = Local::default().set_xattr(&path, "user.note", b"kept").is_ok();
        write(&path, "two", Attributes::default()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o4751);
        if xattrs {
            assert_eq!(Local::default().xattrs(&path).unwrap()["user.note"], b"kept");
        }
        assert_eq!(Local::default().read_dir(folder.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_no_temporary_one() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, "old", Attributes::default()).unwrap();
        let error = Local::default()
            .write(&path, &mut Broken, Attributes::default())
            .unwrap_err();
        assert!(error.to_string().contains("free some space"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(Local::default().read_dir(folder.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_folder_that_is_exchanged_while_a_file_is_written_leads_nowhere_else() {
        /// Puts a link in the folder's place as soon as content is asked for.
        struct Swap<'a>(&'a Path, &'a [u8]);
        impl Read for Swap<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let shared = self.0.join("shared");
                if !shared.is_symlink() {
                    fs::rename(&shared, self.0.join("moved"))?;
                    std::os::unix::fs::symlink(self.0.join("private"), &shared)?;
                }
                self.1.read(buffer)
            }
        }
        let folder = tempfile::tempdir().unwrap();
        for name in ["shared", "private"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let path = folder.path().join("shared/file");
        let content = &mut Swap(folder.path(), b"content");
        Local::default()
            .write(&path, content, Attributes::default())
            .unwrap();
        assert_eq!(fs::read_dir(folder.path().join("private")).unwrap().count(), 0);
        assert_eq!(fs::read(folder.path().join("moved/file")).unwrap(), b"content");
    }

    #[test]
    fn errors_name_the_path() {
        let error = write(Path::new("/no-such-folder/file"), "", Attributes::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot write /no-such-folder/file: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn a_link_is_replaced_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        write(&target, "target", Attributes::default()).unwrap();
        std::os::unix::fs::symlink("target", &link).unwrap();
        assert_eq!(
            Local::default().canonicalize(&link).unwrap(),
            target.canonicalize().unwrap()
        );
        write(&link, "new", Attributes::default()).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "target");
        assert!(fs::symlink_metadata(&link).unwrap().is_file());
    }

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let error = write(&path, "", Attributes::default()).unwrap_err();
        assert!(error.to_string().ends_with("not a file"), "{error}");
        assert!(write(folder.path(), "", Attributes::default()).is_err());
    }

    #[test]
    fn the_tasks_environment_reaches_commands() {
        let local = Local::new([("GREETING".to_owned(), "hello".to_owned())].into());
        let output = local.run(&Command::new(["sh", "-c", "echo $GREETING"])).unwrap();
        assert_eq!(output.stdout_text(), "hello\n");
        assert_eq!(local.env("GREETING").as_deref(), Some("hello"));
    }

    #[test]
    fn times_are_set_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, "", Attributes::default()).unwrap();
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        Local::default().set_times(&path, None, Some(then)).unwrap();
        let metadata = Local::default().metadata(&path, Follow::No).unwrap().unwrap();
        assert_eq!(metadata.modified, then);
        assert_ne!(metadata.accessed, then);
    }
}

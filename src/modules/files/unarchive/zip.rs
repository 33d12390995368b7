//! Zip archives. Read and unpacked here: `unzip` is needed only for what `extra_opts` asks of it.
//!
//! A name that leads out of the folder, absolute or by `..`, is an error before anything is unpacked, and so is a name below a link: what is
//! unpacked stays in the folder.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use zip::ZipArchive;

use super::Archive;
use crate::modules::Error;
use crate::modules::files::archive::crc32;
use crate::modules::files::expand::matcher;
use crate::modules::files::mode::ModeChange;
use crate::modules::files::parts::Parts;
use crate::system::{Attributes, Command, FileKind, Follow, Metadata};

pub(super) const HANDLER: &str = "ZipArchive";

/// A link's target is read into memory: longer ones are none.
const MAX_TARGET: u64 = 4096;
/// The bits of Unix's mode that say what a member is, and links among them.
const KIND: u32 = 0o170_000;
const LINK: u32 = 0o120_000;

/// A member, as the archive's index lists it.
#[derive(Debug, PartialEq)]
pub(super) struct Member {
    at: usize,
    kind: FileKind,
    /// None where the archive is of a system that has none.
    mode: Option<u32>,
    size: u64,
    modified: Option<SystemTime>,
    checksum: u32,
    pub(super) name: String,
    /// The name as it is, where it is no text.
    path: PathBuf,
}

impl Archive<'_> {
    fn zip(&self) -> Result<ZipArchive<Parts<'_>>, Error> {
        let parts = Parts::open(self.src, self.system).map_err(|error| Error::new(error.to_string()))?;
        ZipArchive::new(parts).map_err(|error| Error::new(error.to_string()))
    }

    fn members(&self) -> Result<Vec<Member>, Error> {
        let patterns = |patterns: &[String]| {
            let compiled: Result<Vec<_>, _> = patterns.iter().map(|pattern| matcher(pattern)).collect();
            compiled
        };
        let (include, exclude) = (patterns(&self.args.include)?, patterns(&self.args.exclude)?);
        let mut archive = self.zip()?;
        let mut members = Vec::new();
        for at in 0..archive.len() {
            let entry = archive
                .by_index_raw(at)
                .map_err(|error| Error::new(error.to_string()))?;
            let name = entry
                .name()
                .map_err(|error| Error::new(error.to_string()))?
                .into_owned();
            // Code page 437, in which other names are read, is that of DOS.
            let path = match std::str::from_utf8(entry.name_raw()) {
                Err(_) if entry.unix_mode().is_some() => OsStr::from_bytes(entry.name_raw()).into(),
                _ => PathBuf::from(&name),
            };
            let wanted = include.is_empty() || include.iter().any(|pattern| pattern.is_match(&name));
            if !wanted || exclude.iter().any(|pattern| pattern.is_match(&name)) {
                continue;
            }
            let kind = match entry.unix_mode() {
                _ if entry.is_dir() => FileKind::Directory,
                Some(mode) if mode & KIND == LINK => FileKind::Link,
                _ => FileKind::File,
            };
            members.push(Member {
                at,
                kind,
                mode: entry
                    .unix_mode()
                    .map(|mode| mode & 0o7777)
                    .filter(|mode| *mode != 0),
                size: entry.size(),
                modified: entry.last_modified().and_then(moment),
                checksum: entry.crc32(),
                name,
                path,
            });
        }
        Ok(members)
    }

    pub(super) fn zip_names(&self) -> Result<Vec<String>, Error> {
        Ok(self.members()?.into_iter().map(|member| member.name).collect())
    }

    pub(super) fn zip_is_unpacked(&self) -> Result<bool, Error> {
        Ok(self.amiss()?.is_empty())
    }

    /// All that is to be unpacked.
    fn amiss(&self) -> Result<Vec<Member>, Error> {
        let mut amiss = Vec::new();
        for member in self.members()? {
            if self.differs(&member, &self.place(&member.path)?)? {
                amiss.push(member);
            }
        }
        Ok(amiss)
    }

    /// Where a member goes: never out of the folder.
    fn place(&self, name: &Path) -> Result<PathBuf, Error> {
        let mut place = self.dest.to_path_buf();
        for part in name.components() {
            match part {
                Component::Normal(part) => place.push(part),
                Component::CurDir => {}
                _ => {
                    return Err(Error::new(format!(
                        "the archive's member `{}` leads out of {}; it is not unpacked",
                        name.display(),
                        self.dest.display()
                    )));
                }
            }
        }
        Ok(place)
    }

    fn differs(&self, member: &Member, path: &Path) -> Result<bool, Error> {
        let Some(now) = self.system.metadata(path, Follow::No)? else {
            return Ok(true);
        };
        if now.kind != member.kind {
            return Ok(true);
        }
        if now.kind == FileKind::File {
            if self.args.keep_newer && member.modified.is_some_and(|modified| modified < now.modified) {
                return Ok(false);
            }
            let newer = match member.modified {
                Some(modified) if self.args.keep_newer => modified > now.modified,
                Some(modified) => whole_seconds(modified) != whole_seconds(now.modified),
                None => false,
            };
            if newer || now.size != member.size || member.checksum != self.checksum(path)? {
                return Ok(true);
            }
        }
        Ok(now.kind != FileKind::Link && self.attributes_differ(member, &now))
    }

    fn checksum(&self, path: &Path) -> Result<u32, Error> {
        crc32(&mut self.system.open(path)?)
            .map_err(|error| Error::new(format!("cannot read {}: {error}", path.display())))
    }

    fn attributes_differ(&self, member: &Member, now: &Metadata) -> bool {
        let file = &self.args.file;
        let own = self.system.uid();
        let owner_differs = file.owner.is_none() && now.uid != own;
        let mode_differs = file.mode.is_none() && member.mode(self.system.umask()) != now.mode;
        owner_differs || mode_differs
    }

    /// Unpacks what is not there as it should be.
    pub(super) fn zip_unpack(&self) -> Result<(), Error> {
        let mut archive = self.zip()?;
        for member in self.amiss()? {
            let place = self.place(&member.path)?;
            self.make_folders(&member, &place)?;
            let failed =
                |error: &dyn std::fmt::Display| Error::new(format!("cannot unpack {}: {error}", member.name));
            let mut entry = archive.by_index(member.at).map_err(|error| failed(&error))?;
            match member.kind {
                FileKind::Directory => {}
                FileKind::Link => {
                    let mut target = Vec::new();
                    (&mut entry)
                        .take(MAX_TARGET)
                        .read_to_end(&mut target)
                        .map_err(|error| failed(&error))?;
                    self.clear(&place)?;
                    let target = PathBuf::from(OsString::from_vec(target));
                    self.system.symlink(&target, &place)?;
                    continue;
                }
                _ => {
                    self.clear(&place)?;
                    self.system.write(&place, &mut entry, Attributes::default())?;
                }
            }
            let mode = Attributes {
                mode: Some(member.mode(self.system.umask())),
                ..Attributes::default()
            };
            self.system.set_attributes(&place, mode, Follow::No)?;
            self.system.set_times(&place, member.modified, member.modified)?;
        }
        Ok(())
    }

    /// Something else that has a member's place.
    fn clear(&self, place: &Path) -> Result<(), Error> {
        match self.system.metadata(place, Follow::No)? {
            Some(now) if now.kind == FileKind::Directory => Err(Error::new(format!(
                "{} is a folder, and a file in the archive",
                place.display()
            ))),
            Some(now) if now.kind != FileKind::File => Ok(self.system.remove_file(place)?),
            _ => Ok(()),
        }
    }

    /// The folders that a member is in, and itself if it is one. A link among them would lead elsewhere.
    fn make_folders(&self, member: &Member, place: &Path) -> Result<(), Error> {
        let below = place.strip_prefix(self.dest).unwrap_or(place);
        let mut folder = self.dest.to_path_buf();
        let parts: Vec<_> = below.components().collect();
        let count = if member.kind == FileKind::Directory {
            parts.len()
        } else {
            parts.len().saturating_sub(1)
        };
        for part in &parts[..count] {
            folder.push(part);
            match self.system.metadata(&folder, Follow::No)? {
                None => self.system.create_dir(&folder, 0o777 & !self.system.umask())?,
                Some(now) if now.kind == FileKind::Directory => {}
                Some(_) => {
                    return Err(Error::new(format!(
                        "{} is no folder; the archive's member `{}` is not unpacked through it",
                        folder.display(),
                        member.name
                    )));
                }
            }
        }
        Ok(())
    }

    /// The command that does what `extra_opts` asks for.
    pub(super) fn unzip(&self, program: String) -> Result<Command, Error> {
        let mut argv = vec![program, "-o".to_owned()];
        argv.extend(self.args.extra_opts.iter().cloned());
        argv.push(self.src.display().to_string());
        if !self.args.include.is_empty() || self.args.keep_newer {
            // `unzip` takes its patterns where names are asked for.
            argv.extend(self.amiss()?.iter().map(|member| escaped(&member.name)));
        }
        if !self.args.exclude.is_empty() {
            argv.push("-x".to_owned());
            argv.extend(self.args.exclude.iter().cloned());
        }
        argv.extend(["-d".to_owned(), self.dest.display().to_string()]);
        Ok(self.command(argv))
    }
}

impl Member {
    fn mode(&self, umask: u32) -> u32 {
        let folder = self.kind == FileKind::Directory;
        self.mode.unwrap_or_else(|| {
            let all = ModeChange::Octal(if folder { 0o777 } else { 0o666 });
            all.apply(0, folder, umask) & !umask
        })
    }
}

/// A member's time, which is the target's local one.
fn moment(time: zip::DateTime) -> Option<SystemTime> {
    let part = |number: u8| i8::try_from(number).ok();
    let date = jiff::civil::DateTime::new(
        i16::try_from(time.year()).ok()?,
        part(time.month())?,
        part(time.day())?,
        part(time.hour())?,
        part(time.minute())?,
        part(time.second())?,
        0,
    );
    let zoned = date.and_then(|time| time.to_zoned(jiff::tz::TimeZone::system()));
    zoned.ok().map(|time| SystemTime::from(time.timestamp()))
}

fn whole_seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// A name as a pattern that matches it alone.
fn escaped(name: &str) -> String {
    name.chars()
        .flat_map(|c| "[]*?\\".contains(c).then_some('\\').into_iter().chain([c]))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::super::Unarchive;
    use super::*;
    use crate::modules::testing::{check_agrees, failure, run};
    use crate::system::fake::Fake;

    fn packed(members: &[(&str, &str, u32)]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content, mode) in members {
            let options = SimpleFileOptions::default().unix_permissions(*mode);
            if name.ends_with('/') {
                zip.add_directory(*name, options).unwrap();
            } else if mode & KIND == LINK {
                zip.add_symlink(*name, *content, options).unwrap();
            } else {
                zip.start_file(*name, options).unwrap();
                zip.write_all(content.as_bytes()).unwrap();
            }
        }
        zip.finish().unwrap().into_inner()
    }

    const ARGS: &str = r#""src":"/a.zip","dest":"/dest","remote_src":true"#;

    fn machine(members: &[(&str, &str, u32)]) -> Fake {
        let fake = Fake::new();
        fake.file("/a.zip", packed(members)).directory("/dest");
        fake
    }

    #[test]
    fn nothing_is_needed_on_the_target() {
        let fake = machine(&[
            ("d/", "", 0o750),
            ("d/a b.txt", "one\n", 0o640),
            ("new/x.sh", "two\n", 0o755),
            ("l", "d", LINK | 0o777),
        ]);
        let outcome = check_agrees::<Unarchive>(&fake, &format!("{{{ARGS}}}"));
        assert_eq!(outcome.values["handler"], HANDLER.into());
        assert_eq!(fake.text("/dest/d/a b.txt"), "one\n");
        let listing = fake.listing();
        for line in ["/dest/d 0750", "/dest/d/a b.txt 0640", "/dest/new/x.sh 0755"] {
            assert!(listing.contains(line), "{listing}");
        }
        assert!(fake.commands().is_empty());
        fake.file("/dest/d/a b.txt", "changed");
        assert!(run::<Unarchive>(&fake, &format!("{{{ARGS}}}")).changed);
        assert_eq!(fake.text("/dest/d/a b.txt"), "one\n");
    }

    #[test]
    fn what_is_taken_and_what_is_not() {
        let members = [("a.txt", "a", 0o644), ("b.log", "b", 0o644)];
        for args in [r#""include":["*.txt"]"#, r#""exclude":["*.log"]"#] {
            let fake = machine(&members);
            check_agrees::<Unarchive>(&fake, &format!("{{{ARGS},{args}}}"));
            assert!(!fake.listing().contains("b.log"), "{args}");
        }
    }

    #[test]
    fn nothing_leaves_the_folder() {
        for name in ["../evil", "/etc/evil", "d/../../evil"] {
            let fake = machine(&[(name, "x", 0o644)]);
            let refused = failure::<Unarchive>(&fake, &format!("{{{ARGS}}}"));
            assert!(refused.contains("leads out of /dest"), "{refused}");
        }
        let fake = machine(&[("l", "/etc", LINK | 0o777), ("l/evil", "x", 0o644)]);
        let outcome = run::<Unarchive>(&fake, &format!("{{{ARGS}}}"));
        assert!(
            outcome.failed && !fake.listing().contains("/etc/evil"),
            "{outcome:?}"
        );
    }

    #[test]
    fn names_as_patterns() {
        assert_eq!(escaped("a[1]*.txt"), r"a\[1\]\*.txt");
    }
}

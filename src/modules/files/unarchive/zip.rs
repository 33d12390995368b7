//! Zip archives, through Info-ZIP's `unzip` and `zipinfo`.

use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use super::Archive;
use crate::modules::Error;
use crate::modules::files::expand::matcher;
use crate::modules::files::mode::ModeChange;
use crate::modules::tool;
use crate::system::{Command, FileKind, Follow, Metadata, System, SystemError};

pub(super) const HANDLER: &str = "ZipArchive";

/// What `YYYYMMDD.hhmmss` is long.
const MOMENT: usize = 15;

/// A member, as `zipinfo -T -s` lists it.
#[derive(Debug, PartialEq)]
pub(super) struct Member {
    kind: FileKind,
    /// As the archive says it: of Unix, or of a system that has no more than whether a file can be run.
    permissions: String,
    size: u64,
    modified: Option<SystemTime>,
    pub(super) name: String,
}

impl Archive<'_> {
    fn members(&self) -> Result<Vec<Member>, Error> {
        let src = self.src.display().to_string();
        let listed = self
            .system
            .run(&self.command(["zipinfo", "-T", "-s", &src].map(str::to_owned)))?;
        if !listed.success() {
            let said = listed.stderr_text() + &listed.stdout_text();
            return Err(Error::new(said.trim()));
        }
        let patterns = |patterns: &[String]| {
            let compiled: Result<Vec<_>, _> = patterns.iter().map(|pattern| matcher(pattern)).collect();
            compiled
        };
        let (include, exclude) = (patterns(&self.args.include)?, patterns(&self.args.exclude)?);
        let text = listed.stdout_text();
        let members = text.lines().filter_map(Member::parse);
        Ok(members
            .filter(|member| {
                include.is_empty() || include.iter().any(|pattern| pattern.is_match(&member.name))
            })
            .filter(|member| !exclude.iter().any(|pattern| pattern.is_match(&member.name)))
            .collect())
    }

    pub(super) fn zip_names(&self) -> Result<Vec<String>, Error> {
        Ok(self.members()?.into_iter().map(|member| member.name).collect())
    }

    pub(super) fn zip_is_unpacked(&self) -> Result<bool, Error> {
        Ok(self.amiss()?.is_empty())
    }

    /// The names of all that is to be unpacked.
    fn amiss(&self) -> Result<Vec<String>, Error> {
        let checksums = self.checksums()?;
        let mut amiss = Vec::new();
        for member in self.members()? {
            let path = self.dest.join(&member.name);
            let checksum = checksums.iter().find(|(name, _)| *name == member.name);
            if self.differs(&member, &path, checksum.map(|(_, checksum)| *checksum))? {
                amiss.push(member.name);
            }
        }
        Ok(amiss)
    }

    fn differs(&self, member: &Member, path: &Path, checksum: Option<u32>) -> Result<bool, Error> {
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
            if newer || now.size != member.size || checksum != Some(crc32(path, self.system)?) {
                return Ok(true);
            }
        }
        Ok(now.kind != FileKind::Link && self.attributes_differ(member, &now))
    }

    fn attributes_differ(&self, member: &Member, now: &Metadata) -> bool {
        let file = &self.args.file;
        let own = self.system.uid();
        let owner_differs = file.owner.is_none() && now.uid != own;
        let mode_differs = file.mode.is_none() && member.mode(self.system.umask()) != now.mode;
        owner_differs || mode_differs
    }

    /// Each member's CRC-32, which only `unzip` tells.
    fn checksums(&self) -> Result<Vec<(String, u32)>, Error> {
        let src = self.src.display().to_string();
        let command = self.command([self.program.clone(), "-v".to_owned(), src]);
        let text = tool::text_of(self.system, &command)?;
        let pair = |line: &str| {
            // Length, method, size, ratio, date, time, CRC-32, name.
            let mut rest = line;
            let mut fields = Vec::new();
            for _ in 0..7 {
                let (field, after) = rest.trim_start().split_once(char::is_whitespace)?;
                fields.push(field);
                rest = after;
            }
            let checksum = u32::from_str_radix(fields[6], 16).ok()?;
            Some((rest.trim_start().to_owned(), checksum))
        };
        Ok(text.lines().filter_map(pair).collect())
    }

    pub(super) fn zip_extraction(&self) -> Result<Command, Error> {
        let mut argv = vec![self.program.clone(), "-o".to_owned()];
        argv.extend(self.args.extra_opts.iter().cloned());
        argv.push(self.src.display().to_string());
        if !self.args.include.is_empty() || self.args.keep_newer {
            // `unzip` takes its patterns where names are asked for.
            argv.extend(self.amiss()?.iter().map(|name| escaped(name)));
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
    /// `-rw-r--r--  3.0 unx  12 tx defN 20170511.153000 name`.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut rest = line;
        let mut fields = Vec::new();
        for _ in 0..7 {
            let (field, after) = rest.trim_start().split_once(char::is_whitespace)?;
            fields.push(field);
            rest = after;
        }
        let name = rest.trim_start().to_owned();
        let (kind, permissions) = fields[0].split_at_checked(1)?;
        let kind = match kind {
            _ if name.ends_with('/') => FileKind::Directory,
            "l" => FileKind::Link,
            "-" | "?" | "d" => FileKind::File,
            _ => return None,
        };
        if ![6, 7, 9].contains(&permissions.len()) || fields[6].len() != MOMENT {
            return None;
        }
        Some(Self {
            kind,
            permissions: permissions.to_owned(),
            size: fields[3].parse().ok()?,
            modified: moment(fields[6]),
            name,
        })
    }

    fn mode(&self, umask: u32) -> u32 {
        if let Some(letters) = Some(self.permissions.as_bytes()).filter(|letters| letters.len() == 9) {
            let set = |letter: &u8| !matches!(letter, b'-' | b'S' | b'T');
            return letters
                .iter()
                .fold(0, |mode, letter| mode << 1 | u32::from(set(letter)));
        }
        let run = self.kind == FileKind::Directory || self.permissions.starts_with("rwx");
        let all = ModeChange::Octal(if run { 0o777 } else { 0o666 });
        all.apply(0, self.kind == FileKind::Directory, umask) & !umask
    }
}

/// `YYYYMMDD.hhmmss` in the target's time zone.
fn moment(text: &str) -> Option<SystemTime> {
    let parsed = jiff::civil::DateTime::strptime("%Y%m%d.%H%M%S", text)
        .and_then(|time| time.to_zoned(jiff::tz::TimeZone::system()));
    parsed.ok().map(|time| SystemTime::from(time.timestamp()))
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

/// The CRC-32 of zip, gzip and PNG.
fn crc32(path: &Path, system: &dyn System) -> Result<u32, Error> {
    const POLYNOMIAL: u32 = 0xEDB8_8320;
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 {
            #[expect(clippy::cast_possible_truncation, reason = "it is below 256")]
            let mut value = at as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 {
                    value >> 1 ^ POLYNOMIAL
                } else {
                    value >> 1
                };
                bit += 1;
            }
            table[at] = value;
            at += 1;
        }
        table
    };
    let mut stream = system.open(path)?;
    let mut crc = u32::MAX;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = stream
            .read(&mut buffer)
            .map_err(|error| SystemError::path("read", path, error))?;
        if count == 0 {
            return Ok(!crc);
        }
        for byte in &buffer[..count] {
            crc = crc >> 8 ^ TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::fake::Fake;

    #[test]
    fn lists_are_understood() {
        for (line, mode) in [
            (
                "-rwxr-x---  3.0 unx       12 tx defN 20170511.153000 a b.txt",
                0o750,
            ),
            ("drwxr-xr-x  3.0 unx        0 bx stor 20170511.153000 dir/", 0o755),
            (
                "-rw----     2.0 fat       12 tx defN 20170511.153000 FOO.TXT",
                0o644,
            ),
            (
                "-rwxa--     2.0 ntf       12 tx defN 20170511.153000 foo.exe",
                0o755,
            ),
        ] {
            let member = Member::parse(line).unwrap();
            assert_eq!(member.mode(0o022), mode, "{member:?}");
        }
        let member = Member::parse("-rwxr-x---  3.0 unx       12 tx defN 20170511.153000 a b.txt").unwrap();
        assert_eq!((member.name.as_str(), member.size), ("a b.txt", 12));
        for line in [
            "Archive:  x.zip",
            "Zip file size: 562 bytes, number of entries: 3",
            "3 files, 36 bytes uncompressed, 36 bytes compressed:  0.0%",
        ] {
            assert_eq!(Member::parse(line), None);
        }
    }

    #[test]
    fn checksums_are_zips() {
        let fake = Fake::new();
        fake.file("/f", "123456789");
        assert_eq!(crc32(Path::new("/f"), &fake).unwrap(), 0xCBF4_3926);
        assert_eq!(escaped("a[1]*.txt"), r"a\[1\]\*.txt");
    }
}

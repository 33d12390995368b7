//! What modules that write a file's content share: the backup, the validation, the write, and the two sides
//! of a diff.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::modules::{Arg, Error, Return};
use crate::system::{Attributes, Command, Follow, System, SystemError};
use crate::wire::message::Diff;

/// Longer texts are not shown: a diff is for people.
pub const MAX_DIFF: usize = 104_448;

pub const BACKUP: Arg = Arg::bool("backup").default("no").doc("keep what was there");

pub const VALIDATE: Arg = Arg::str("validate").doc("a command that judges %s before it is used");

pub const BACKUP_FILE: Return =
    Return::new("backup_file", "str", "where the earlier file is kept").when("backup, and it was changed");

/// A file whose content is to be replaced.
#[derive(Debug, Clone, Default)]
pub struct Writing {
    pub path: PathBuf,
    pub attributes: Attributes,
    pub backup: bool,
    /// A command line with `%s` for the file to be judged.
    pub validate: Option<String>,
    /// Where it cannot be replaced in one step, its content is.
    pub unsafe_writes: bool,
}

/// Why a file cannot be replaced that can be written to: it is mounted, or its folder is not ours. What the content or the
/// room is short of would be missing in place, too, and the old content gone.
const IN_PLACE: &[ErrorKind] = &[
    ErrorKind::ResourceBusy,
    ErrorKind::PermissionDenied,
    ErrorKind::ReadOnlyFilesystem,
];

/// What went wrong.
enum Failure {
    /// The replacement itself.
    Write(SystemError),
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<SystemError> for Failure {
    fn from(error: SystemError) -> Self {
        Self::Other(error.into())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Write(error) => error.into(),
            Failure::Other(error) => error,
        }
    }
}

impl Writing {
    /// Writes and returns the backup's path, if one was made.
    pub fn write(&self, content: &mut dyn Read, system: &dyn System) -> Result<Option<PathBuf>, Error> {
        Ok(self.replace(content, system)?)
    }

    /// The same, and in place where the file cannot be replaced and that is allowed. `open` gives the content from its start.
    pub fn write_or_overwrite<'a>(
        &self,
        open: impl Fn() -> Result<Box<dyn Read + 'a>, Error>,
        system: &dyn System,
    ) -> Result<Option<PathBuf>, Error> {
        match self.replace(&mut *open()?, system) {
            Err(Failure::Write(error))
                if self.unsafe_writes
                    && IN_PLACE.contains(&error.source.kind())
                    && system.metadata(&self.path, Follow::Yes)?.is_some() =>
            {
                let backup = self.back_up(system)?;
                let written = self.overwrite(&mut *open()?, system);
                // What made it necessary is told if this fails, too.
                written.map_err(|_| Self::undone(backup.as_deref(), error, system))?;
                Ok(backup)
            }
            written => Ok(written?),
        }
    }

    fn replace(&self, content: &mut dyn Read, system: &dyn System) -> Result<Option<PathBuf>, Failure> {
        // In memory there is nothing that a program could judge.
        let Some(command) = self.validate.as_ref().filter(|_| !system.is_acting()) else {
            return self.put(content, system);
        };
        let candidate = beside(&self.path, "validate", system);
        let private = Attributes {
            mode: Some(0o600),
            ..Attributes::default()
        };
        // The file that was asked for is what people know.
        let named = |error| SystemError {
            object: self.path.display().to_string(),
            ..error
        };
        system.write(&candidate, content, private).map_err(named)?;
        let written = validate(command, &candidate, system)
            .map_err(Failure::from)
            // The very bytes that were judged.
            .and_then(|()| self.put(&mut system.open(&candidate)?, system));
        let removed = system.remove_file(&candidate);
        // The first error is the one to tell.
        let backup = written?;
        removed?;
        Ok(backup)
    }

    fn put(&self, content: &mut dyn Read, system: &dyn System) -> Result<Option<PathBuf>, Failure> {
        let backup = self.back_up(system)?;
        let written = system.write(&self.path, content, self.attributes);
        written.map_err(|error| Failure::Write(Self::undone(backup.as_deref(), error, system)))?;
        Ok(backup)
    }

    /// Where nothing was written there is nothing to go back to.
    fn undone(backup: Option<&Path>, error: SystemError, system: &dyn System) -> SystemError {
        if let Some(backup) = backup {
            // The first error is the one to tell.
            let _ = system.remove_file(backup);
        }
        error
    }

    /// Whether nothing but the content comes to it.
    pub fn is_plain(&self) -> bool {
        !self.backup && self.validate.is_none() && !self.unsafe_writes
    }

    /// The last resort for a file that cannot be replaced, such as one that is mounted: whoever reads it meanwhile may see half of it.
    fn overwrite(&self, content: &mut dyn Read, system: &dyn System) -> Result<(), Error> {
        system.overwrite(&self.path, content)?;
        Ok(system.set_attributes(&self.path, self.attributes, Follow::Yes)?)
    }

    fn back_up(&self, system: &dyn System) -> Result<Option<PathBuf>, Error> {
        if !self.backup {
            return Ok(None);
        }
        back_up(&self.path, system)
    }
}

/// Copies the file to `PATH.NUMBER.DATE@TIME~`, attributes and times included; none if there is none. The number is the process's, or
/// the next one that is free: an agent makes several copies in a second.
pub fn back_up(path: &Path, system: &dyn System) -> Result<Option<PathBuf>, Error> {
    let Some(metadata) = system.metadata(path, Follow::Yes)? else {
        return Ok(None);
    };
    let time = jiff::Timestamp::try_from(system.now())
        .map_err(|error| Error::new(format!("the clock is unusable: {error}")))?
        .to_zoned(jiff::tz::TimeZone::system());
    let time = time.strftime("%Y-%m-%d@%H:%M:%S~");
    let mut number = std::process::id();
    let backup = loop {
        let backup = PathBuf::from(format!("{}.{number}.{time}", path.display()));
        if system.metadata(&backup, Follow::No)?.is_none() {
            break backup;
        }
        number += 1;
    };
    let attributes = Attributes {
        mode: Some(metadata.mode),
        uid: Some(metadata.uid),
        gid: Some(metadata.gid),
    };
    system.write(&backup, &mut system.open(path)?, attributes)?;
    for (name, value) in system.xattrs(path)? {
        let set = system.set_xattr(&backup, &name, &value);
        // The superuser's to set: for others a copy gets what the kernel gives it.
        if !name.starts_with("security.") && !name.starts_with("trusted.") {
            set?;
        }
    }
    system.set_times(&backup, Some(metadata.accessed), Some(metadata.modified))?;
    Ok(Some(backup))
}

/// `validate` has to name the file; better to say so before anything is written.
pub fn check_validate(command: Option<&str>) -> Result<(), Error> {
    match command {
        Some(command) if !command.contains("%s") => {
            Err(Error::new(format!("validate must contain %s: {command}")))
        }
        _ => Ok(()),
    }
}

fn validate(command: &str, candidate: &Path, system: &dyn System) -> Result<(), Error> {
    let argv = shell_words::split(command)
        .map_err(|error| Error::new(format!("cannot split the validate command `{command}`: {error}")))?;
    let argv = argv
        .into_iter()
        .map(|word| word.replace("%s", &candidate.to_string_lossy()));
    let output = system.run(&Command::new(argv))?;
    if output.success() {
        return Ok(());
    }
    let (stdout, stderr) = (output.stdout_text(), output.stderr_text());
    Err(Error::new(format!(
        "failed to validate: rc:{} error:{}",
        output.code,
        stderr.trim()
    ))
    .with("exit_status", output.code)
    .with("stdout", stdout)
    .with("stderr", stderr))
}

/// A hidden name in the same folder that nothing else uses.
pub fn beside(path: &Path, purpose: &str, system: &dyn System) -> PathBuf {
    let moment = system
        .now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    path.with_file_name(format!(".regdeploy-{purpose}-{}-{moment:x}", std::process::id()))
}

/// Four spaces to a level and a newline at the end: the form in which users know it.
pub fn json_text(value: &impl serde::Serialize) -> String {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    value
        .serialize(&mut serializer)
        .expect("plain data is always JSON");
    text.push(b'\n');
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// The two sides of a change of content.
pub fn text_diff(before: (&str, &[u8]), after: (&str, &[u8])) -> Diff {
    Diff {
        before_header: before.0.to_owned(),
        after_header: after.0.to_owned(),
        before: shown(before.1, "destination"),
        after: shown(after.1, "source"),
    }
}

/// A side as it is shown: its text, or why it is not.
fn shown(bytes: &[u8], side: &str) -> String {
    if bytes.len() > MAX_DIFF {
        return format!("diff skipped: {side} file size is greater than {MAX_DIFF}\n");
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => text.to_owned(),
        _ => format!("diff skipped: {side} file appears to be binary\n"),
    }
}

/// As much of a stream as a diff has use for.
pub fn diff_part(stream: &mut dyn Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(MAX_DIFF as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::CommandOutput;
    use crate::system::fake::Fake;

    fn writing(validate: Option<&str>) -> Writing {
        Writing {
            path: "/etc/app.conf".into(),
            backup: true,
            validate: validate.map(str::to_owned),
            ..Writing::default()
        }
    }

    #[test]
    fn keeps_a_copy_of_what_was_there() {
        let fake = Fake::new();
        fake.file("/etc/app.conf", "old");
        let backup = writing(None)
            .write(&mut "new".as_bytes(), &fake)
            .unwrap()
            .unwrap();
        assert_eq!(fake.text(backup.to_str().unwrap()), "old");
        assert_eq!(fake.text("/etc/app.conf"), "new");
        assert!(backup.to_str().unwrap().ends_with('~'));
        // Within the same second.
        let second = writing(None)
            .write(&mut "newer".as_bytes(), &fake)
            .unwrap()
            .unwrap();
        assert_eq!(fake.text(second.to_str().unwrap()), "new");
        assert_eq!(fake.text(backup.to_str().unwrap()), "old");
    }

    #[test]
    fn in_place_only_where_that_helps() {
        for (kind, wanted) in [
            (ErrorKind::ResourceBusy, "new"),
            (ErrorKind::StorageFull, "old"),
            (ErrorKind::UnexpectedEof, "old"),
        ] {
            let fake = Fake::new();
            fake.file("/etc/app.conf", "old")
                .fail("write", "/etc/app.conf", kind);
            let writing = Writing {
                unsafe_writes: true,
                ..writing(None)
            };
            let open = || Ok(Box::new("new".as_bytes()) as Box<dyn Read>);
            let written = writing.write_or_overwrite(open, &fake);
            assert_eq!(fake.text("/etc/app.conf"), wanted, "{kind}");
            let backups = fake.listing().matches('~').count();
            assert_eq!(backups, usize::from(written.is_ok()), "{}", fake.listing());
        }
    }

    #[test]
    fn what_is_not_valid_is_not_written() {
        let fake = Fake::new();
        fake.file("/etc/app.conf", "old");
        fake.answer_with(|fake, command| {
            let judged = fake.text(&command.argv[1]);
            Some(CommandOutput {
                code: i32::from(judged.contains("bad")),
                stderr: b"line 1".to_vec(),
                ..CommandOutput::default()
            })
        });
        let before = fake.listing();
        let error = writing(Some("judge %s"))
            .write(&mut "bad".as_bytes(), &fake)
            .unwrap_err();
        assert_eq!(error.message, "failed to validate: rc:1 error:line 1");
        assert_eq!(fake.listing(), before);
        writing(Some("judge %s"))
            .write(&mut "good".as_bytes(), &fake)
            .unwrap();
        assert_eq!(fake.text("/etc/app.conf"), "good");
        assert_eq!(
            check_validate(Some("judge")).unwrap_err().message,
            "validate must contain %s: judge"
        );
    }

    #[test]
    fn diffs_of_what_is_no_text_are_short() {
        let diff = text_diff(("/x", b"\0"), ("/x", &vec![b'a'; MAX_DIFF + 1]));
        assert_eq!(
            diff.before,
            "diff skipped: destination file appears to be binary\n"
        );
        assert_eq!(
            diff.after,
            "diff skipped: source file size is greater than 104448\n"
        );
    }
}

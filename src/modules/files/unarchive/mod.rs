//! `unarchive`: an archive's content in a folder. After ansible.builtin.unarchive.
//!
//! GNU tar, which every target has, reads and writes tar archives, as there; where the program for their compression is missing, they
//! are decompressed here. Zip needs no program. Nothing leaves the folder, whatever the names in an archive say. An archive of the controller or of a server lies in a file of its own while it is looked at, and again while it is unpacked:
//! nothing is kept between the two, so that a run that only looks leaves nothing behind.

mod tar;
mod zip;

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::modules::files::attributes::{FileArgs, Wanted, nothing, with_file_args};
use crate::modules::files::compression::{Compression, MAGIC};
use crate::modules::files::steps::{afterwards, perform};
use crate::modules::files::{attributes, path};
use crate::modules::net::web::{Redirections, WebArgs, status_text};
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec};
use crate::system::foresight::{Effect, Foresight};
use crate::system::{Attributes, Command, CommandOutput, FileKind, Follow, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

/// How tar says that there is no room left.
const FULL: &[&str] = &["Wrote only", "No space left on device"];

/// What tar calls for compressed archives.
const PROGRAMS: &[(Compression, &str)] = &[
    (Compression::Gzip, "gzip"),
    (Compression::Bzip2, "bzip2"),
    (Compression::Xz, "xz"),
    (Compression::Zstandard, "zstd"),
];

pub struct Unarchive;

#[derive(Debug, Clone, Deserialize)]
pub struct Args {
    src: String,
    /// The SHA-256 of a content that the controller holds: the action's.
    digest: Option<String>,
    dest: String,
    list_files: bool,
    keep_newer: bool,
    exclude: Vec<String>,
    include: Vec<String>,
    extra_opts: Vec<String>,
    creates: Option<String>,
    validate_certs: bool,
    #[serde(flatten)]
    file: FileArgs,
}

/// What is to be unpacked, and set on what was.
#[derive(Debug)]
pub struct Change {
    args: Args,
    dest: PathBuf,
    unpack: bool,
    wanted: Wanted,
    outcome: Outcome,
}

impl Module for Unarchive {
    type Args = Args;
    type Change = Change;
    const SPEC: Spec = Spec {
        name: "unarchive",
        summary: "unpack an archive",
        args: with_file_args![
            Arg::path("src")
                .required()
                .doc("the archive: tar, however compressed, or zip"),
            Arg::str("digest").doc("set by the controller, not by playbooks"),
            Arg::path("dest").required().doc("the folder, which exists"),
            Arg::bool("remote_src")
                .default("no")
                .doc("src is on the target, or a URL"),
            Arg::bool("copy").doc("the opposite of remote_src"),
            Arg::path("creates").doc("nothing is done if this exists"),
            Arg::bool("list_files")
                .default("no")
                .doc("tell the names in the archive"),
            Arg::bool("keep_newer")
                .default("no")
                .doc("leave files that are newer than the archive's"),
            Arg::strings("exclude")
                .default("[]")
                .doc("names and patterns to leave out"),
            Arg::strings("include")
                .default("[]")
                .doc("names and patterns to take, and no others"),
            Arg::strings("extra_opts").default("[]").doc("for tar or unzip"),
            Arg::bool("validate_certs")
                .default("yes")
                .doc("refuse servers that cannot be verified"),
            Arg::int("io_buffer_size")
                .default("65536")
                .doc("accepted without effect"),
            Arg::bool("decrypt")
                .default("yes")
                .doc("decrypt an archive that is a vault"),
        ],
        returns: &[
            Return::new("dest", "str", "the folder"),
            Return::new("src", "str", "the archive"),
            Return::new(
                "handler",
                "str",
                "the kind of archive: `TgzArchive`, `ZipArchive`...",
            ),
            Return::new("files", "list of str", "the names in the archive").when("list_files"),
            Return::new("extract_results", "dict", "`cmd`, `rc`, `out` and `err` of tar")
                .when("tar has unpacked something"),
            Return::new("state", "str", "what `dest` is"),
            attributes::MODE,
            attributes::OWNER,
            attributes::GROUP,
            attributes::UID,
            attributes::GID,
            attributes::SIZE,
        ],
        example: "- unarchive:\n    src: app-1.2.tar.gz\n    dest: /srv/app\n    creates: /srv/app/app-1.2\n\
                  - unarchive:\n    src: https://example.com/app.zip\n    dest: /srv/app\n    remote_src: true\n",
        free_form: None,
        rules: &[
            Rule::Exclusive(&["include", "exclude"]),
            Rule::Exclusive(&["copy", "remote_src"]),
        ],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        if let Some(creates) = &args.creates
            && system
                .metadata(&path::expand(creates, system)?, Follow::Yes)?
                .is_some()
        {
            return Ok(Plan::Same(Outcome::skipped(format!(
                "skipped, since {creates} exists"
            ))));
        }
        let dest = path::expand(&args.dest, system)?;
        if !matches!(system.metadata(&dest, Follow::Yes)?, Some(found) if found.kind == FileKind::Directory) {
            return Err(Error::new(format!(
                "dest '{}' must be an existing dir",
                args.dest
            )));
        }
        let wanted = args.file.resolve(system)?;
        let absolute = system.canonicalize(&dest)?;
        let found = args.with_archive(system, |src, handler| {
            let archive = Archive::open(&args, src, handler, &absolute, system)?;
            let names = archive.names()?;
            let unpacked = archive.is_unpacked()?;
            Ok((archive.handler, names, unpacked))
        });
        let (handler, names, unpacked) = found?;
        let mut outcome = Outcome::ok()
            .with("handler", handler)
            .with("dest", args.dest.as_str())
            .with("src", args.src.as_str());
        if args.list_files {
            outcome = outcome.with("files", names.clone());
        }
        if dest.is_relative() {
            let warning = format!(
                "Relative destination path '{}' was resolved to absolute path '{}'.",
                args.dest,
                absolute.display()
            );
            outcome = outcome.with("warnings", vec![warning]);
        }
        let mut outcome = attributes::describe(outcome, &dest, system)?;
        let mut amiss = !unpacked;
        for path in members(&absolute, &names) {
            amiss |= missing(&wanted, &path, system)?.is_some();
            if system.metadata(&path, Follow::No)?.is_some() {
                amiss |= !afterwards(&args.file, &path, system)?.is_empty();
            }
        }
        outcome.changed = amiss;
        if !amiss {
            return Ok(Plan::Same(outcome));
        }
        let change = Change {
            args,
            dest: absolute,
            unpack: !unpacked,
            wanted,
            outcome: outcome.clone(),
        };
        Ok(Plan::Change {
            change,
            predicted: outcome,
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let Change {
            args,
            dest,
            unpack,
            wanted,
            mut outcome,
        } = change;
        let done = args.with_archive(system, |src, handler| {
            let archive = Archive::open(&args, src, handler, &dest, system)?;
            let output = if unpack { archive.unpack()? } else { None };
            Ok((output, archive.names()?))
        });
        let (output, names) = done?;
        if let Some((command, output)) = output {
            let results = Map::from_iter([
                ("cmd".to_owned(), Value::from(command.argv)),
                ("rc".to_owned(), output.code.into()),
                ("out".to_owned(), output.stdout_text().into()),
                ("err".to_owned(), output.stderr_text().into()),
            ]);
            outcome = outcome.with("extract_results", results);
            if output.code != 0 {
                let said = output.stderr_text();
                let full = FULL.iter().any(|words| said.contains(words));
                let message = format!(
                    "failed to unpack {} to {}: {}; what was unpacked until then is there, and the next run goes on{}",
                    args.src,
                    args.dest,
                    said.trim(),
                    if full {
                        " (free some space on that file system first)"
                    } else {
                        ""
                    }
                );
                let mut error = Error::new(message);
                error.values = outcome.values;
                return Err(error);
            }
        }
        for path in members(&dest, &names) {
            if let Some(missing) = missing(&wanted, &path, system)? {
                system.set_attributes(&path, missing, Follow::No)?;
            }
            if system.metadata(&path, Follow::No)?.is_some() {
                perform(&afterwards(&args.file, &path, system)?, system)?;
            }
        }
        attributes::describe(outcome, &dest, system)
    }

    /// What tar unpacks is on no would-be machine.
    fn foresee(_change: &Change) -> Foresight {
        Foresight::Effects(vec![Effect::Files])
    }
}

/// The files that an archive's names stand for, and the folders at its top that it may not name itself.
fn members(dest: &Path, names: &[String]) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = names.iter().map(|name| dest.join(name)).collect();
    for name in names {
        if let Some((top, _)) = name.split_once('/') {
            let path = dest.join(top);
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    paths
}

/// What of the wanted attributes a path lacks.
fn missing(wanted: &Wanted, path: &Path, system: &dyn System) -> Result<Option<Attributes>, Error> {
    let now = system.metadata(path, Follow::No)?;
    let missing = now.map(|now| wanted.missing(&now)).unwrap_or_default();
    Ok(Some(missing).filter(|missing| !nothing(*missing)))
}

impl Args {
    /// Calls `look` with the archive's path; what had to be brought there is gone afterwards.
    fn with_archive<T>(
        &self,
        system: &dyn System,
        look: impl FnOnce(&Path, &'static str) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let brought = match &self.digest {
            Some(digest) => Some(system.lend(&mut system.content(digest)?)?),
            None if self.src.contains("://") => Some(self.download(system)?),
            None => None,
        };
        let Some(path) = brought else {
            let path = path::expand(&self.src, system)?;
            let Some(found) = system.metadata(&path, Follow::Yes)? else {
                return Err(Error::new(format!("Source '{}' does not exist", self.src)));
            };
            if !system.access(&path)?.0 {
                return Err(Error::new(format!("Source '{}' not readable", self.src)));
            }
            if found.size == 0 {
                return Err(Error::new(format!(
                    "Invalid archive '{}', the file is 0 bytes",
                    self.src
                )));
            }
            return readable(&system.canonicalize(&path)?, system, look);
        };
        let result = readable(&path, system, look);
        system.take_back(&path)?;
        result
    }

    fn download(&self, system: &dyn System) -> Result<PathBuf, Error> {
        let web = WebArgs {
            validate_certs: self.validate_certs,
            ..WebArgs::of(&self.src)
        };
        let fetch = web.fetch("GET", Redirections::All, system)?;
        let url = fetch.request.url.clone();
        let problem = |why: &dyn std::fmt::Display| Error::new(format!("Failure downloading {url}, {why}"));
        let mut fetched = fetch.send(system).map_err(|error| problem(&error))?;
        if fetched.response.status != 200 {
            return Err(problem(&status_text(fetched.response.status)));
        }
        system
            .lend(&mut fetched.response.body)
            .map_err(|error| problem(&error))
    }
}

/// Calls `look` with an archive and its kind; with a copy that is not compressed where the program that tar would call is missing.
fn readable<T>(
    src: &Path,
    system: &dyn System,
    look: impl FnOnce(&Path, &'static str) -> Result<T, Error>,
) -> Result<T, Error> {
    let start = system.read_part(src, 0, MAGIC)?;
    let handler = handler(&start);
    let missing = Compression::of(&start).filter(|compression| {
        let program = PROGRAMS.iter().find(|(known, _)| known == compression);
        program.is_some_and(|(_, program)| system.which(program).is_none())
    });
    let Some(compression) = missing else {
        return look(src, handler);
    };
    let plain = compression
        .decoder(system.open(src)?)
        .map_err(|error| Error::new(format!("cannot decompress {}: {error}", src.display())))
        .and_then(|mut stream| Ok(system.lend(&mut stream)?))?;
    let result = look(&plain, handler);
    system.take_back(&plain)?;
    result
}

/// An archive, and the program that reads it.
struct Archive<'a> {
    args: &'a Args,
    src: &'a Path,
    dest: &'a Path,
    system: &'a dyn System,
    /// What Ansible calls the reader.
    handler: &'static str,
    /// The path of tar or unzip, where one is needed.
    program: Option<String>,
}

impl<'a> Archive<'a> {
    fn open(
        args: &'a Args,
        src: &'a Path,
        handler: &'static str,
        dest: &'a Path,
        system: &'a dyn System,
    ) -> Result<Self, Error> {
        let refused = |reason: &str| {
            Error::new(format!(
                "Failed to find handler for \"{}\". Make sure the required command to extract the file is installed.\n{reason}",
                args.src
            ))
        };
        let program =
            match handler {
                zip::HANDLER if args.extra_opts.is_empty() => None,
                zip::HANDLER => Some(system.which("unzip").ok_or_else(|| {
                    refused("Unable to find required 'unzip' binary in the path: `extra_opts` are for it.")
                })?),
                _ => {
                    let found = system.which("gtar").or_else(|| system.which("tar"));
                    Some(found.ok_or_else(|| {
                        refused("Unable to find required 'gtar' or 'tar' binary in the path")
                    })?)
                }
            };
        let program = program.map(|program| program.display().to_string());
        let archive = Self {
            args,
            src,
            dest,
            system,
            handler,
            program,
        };
        let reader = archive.program.as_deref().unwrap_or("regdeploy");
        match archive.names() {
            Ok(names) if names.is_empty() => Err(refused(&format!(
                "Command \"{reader}\" found no files in archive. Empty archive files are not supported."
            ))),
            Ok(_) => Ok(archive),
            Err(error) => Err(refused(&format!(
                "Command \"{reader}\" could not handle archive: {error}"
            ))),
        }
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        if self.handler == zip::HANDLER {
            self.zip_names()
        } else {
            self.tar_names()
        }
    }

    fn is_unpacked(&self) -> Result<bool, Error> {
        if self.handler == zip::HANDLER {
            self.zip_is_unpacked()
        } else {
            self.tar_is_unpacked()
        }
    }

    /// What the program was called with and said, if there is one.
    fn unpack(&self) -> Result<Option<(Command, CommandOutput)>, Error> {
        let command = match (&self.program, self.handler) {
            (None, _) => {
                self.zip_unpack()?;
                return Ok(None);
            }
            (Some(program), zip::HANDLER) => self.unzip(program.clone())?,
            (Some(_), _) => self.tar_command("--extract"),
        };
        let output = self.system.run(&command)?;
        Ok(Some((command, output)))
    }

    /// Names in messages and lists come as they are, in any language.
    fn command(&self, argv: impl IntoIterator<Item = String>) -> Command {
        let mut command = Command::new(argv);
        command.directory = Some(self.dest.to_owned());
        command.env("LC_ALL", "C.UTF-8").env("LANGUAGE", "C")
    }
}

/// What the first bytes of a file say it is; a tar says so only later.
fn handler(start: &[u8]) -> &'static str {
    const KINDS: &[(&[u8], &str)] = &[
        (b"PK\x03\x04", zip::HANDLER),
        (b"PK\x05\x06", zip::HANDLER),
        (b"\x1f\x8b", "TgzArchive"),
        (b"BZh", "TarBzipArchive"),
        (b"\xfd7zXZ\0", "TarXzArchive"),
        (b"\x28\xb5\x2f\xfd", "TarZstdArchive"),
    ];
    let known = KINDS.iter().find(|(magic, _)| start.starts_with(magic));
    known.map_or("TarArchive", |(_, handler)| handler)
}

#[cfg(test)]
mod tests;

//! `archive`: files and folders of the target in one archive there. After community.general.archive.
//!
//! Packed here, by no program of the target, and written in one step. What is there is looked at first: an archive that holds all
//! with the same attributes, sizes and times stays as it is. So `--check` tells the truth, which Ansible's does not look for.

mod existing;
mod members;
mod packing;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::Deserialize;

use self::members::{Member, Sources};
use self::packing::{Form, Packing};
use crate::modules::files::attributes::{self, FileArgs, Wanted, nothing, with_file_args};
use crate::modules::files::compression::Compression;
use crate::modules::files::expand::matcher;
use crate::modules::files::path;
use crate::modules::files::steps::{Step, afterwards, perform};
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::{FileKind, Follow, System};
use crate::wire::message::Outcome;

pub(in crate::modules::files) use self::existing::crc32;

/// Endings of archives, where all that was packed is gone and only the name is left to tell.
const ARCHIVES: &[&str] = &[".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tbz2", ".zip"];

pub struct Archive;

#[derive(Debug, Deserialize)]
pub struct Args {
    path: Vec<String>,
    dest: Option<String>,
    format: String,
    exclude_path: Vec<String>,
    exclusion_patterns: Vec<String>,
    force_archive: bool,
    remove: bool,
    #[serde(flatten)]
    file: FileArgs,
}

#[derive(Debug)]
pub struct Change {
    dest: PathBuf,
    form: Form,
    /// None where the archive is right as it is.
    pack: Option<Vec<Member>>,
    remove: Vec<PathBuf>,
    wanted: Wanted,
    /// Flags and label.
    afterwards: Vec<Step>,
    outcome: Outcome,
}

impl Module for Archive {
    type Args = Args;
    type Change = Change;
    const SPEC: Spec = Spec {
        name: "archive",
        summary: "pack files and folders of the target",
        args: with_file_args![
            Arg::strings("path")
                .required()
                .doc("files, folders and patterns of them"),
            Arg::path("dest")
                .doc("the archive; of a single file, unless given, its name with the format's ending"),
            Arg::str("format")
                .choices(&["bz2", "gz", "tar", "xz", "zip"])
                .default("gz")
                .doc("the compression; all but zip are of a tar, or of the file itself"),
            Arg::strings("exclude_path")
                .default("[]")
                .doc("of `path`, what is left out; patterns too"),
            Arg::strings("exclusion_patterns")
                .default("[]")
                .doc("names in the archive that are left out; `*` matches slashes, too"),
            Arg::bool("force_archive")
                .default("no")
                .doc("a tar even of a single file"),
            Arg::bool("remove").default("no").doc("remove what was packed"),
        ],
        returns: &[
            Return::new("dest", "str", "the archive"),
            Return::new(
                "dest_state",
                "str",
                "`absent`, `archive`, `compress`, or `incomplete` where something is missing",
            ),
            Return::new("archived", "list of str", "what is in it"),
            Return::new("missing", "list of str", "paths that are not there"),
            Return::new("arcroot", "str", "the folder that names are relative to"),
            Return::new("expanded_paths", "list of str", "`path` with patterns resolved"),
            Return::new(
                "expanded_exclude_paths",
                "list of str",
                "`exclude_path` with patterns resolved",
            ),
            Return::new("state", "str", "what `dest` is"),
            attributes::MODE,
            attributes::OWNER,
            attributes::GROUP,
            attributes::UID,
            attributes::GID,
            attributes::SIZE,
        ],
        example: "- archive:\n    path: /var/log/app\n    dest: /srv/backup/app.tgz\n\
                  - archive:\n    path: [/etc/app, /srv/app/*.conf]\n    dest: /srv/backup/app.zip\n    format: zip\n    exclusion_patterns: '*.bak'\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let sources = Sources::find(&args.path, &args.exclude_path, system)?;
        let several = sources.several || args.force_archive;
        let dest = match &args.dest {
            Some(dest) => path::expand(dest, system)?,
            None if several => {
                let message = "Error, must specify \"dest\" when archiving multiple files or trees";
                return Err(Error::new(message).with("path", args.path.join(", ")));
            }
            None => PathBuf::from(format!("{}.{}", sources.expanded[0], args.format)),
        };
        let form = form(&args.format, several);
        let patterns: Result<Vec<_>, Error> = args
            .exclusion_patterns
            .iter()
            .map(|pattern| matcher(pattern))
            .collect();
        let links = if form == Form::Zip {
            Follow::Yes
        } else {
            Follow::No
        };
        let members = sources.members(&dest, &patterns?, links, system)?;
        if args.remove && sources.there.iter().any(|path| dest.starts_with(path)) {
            return Err(Error::new(format!(
                "{} is within what `remove` would remove: put it elsewhere",
                dest.display()
            )));
        }
        let wanted = args.file.resolve(system)?;
        let now = system.metadata(&dest, Follow::Yes)?;
        if now.as_ref().is_some_and(|now| now.kind == FileKind::Directory) {
            return Err(Error::new(format!(
                "{} is a folder, not an archive",
                dest.display()
            )));
        }
        let parent = dest.parent().unwrap_or(Path::new("/"));
        if !members.is_empty() && system.metadata(parent, Follow::Yes)?.is_none() {
            return Err(Error::new(format!(
                "the folder {} of the archive does not exist: make it first, with `file: {{state: directory}}`",
                parent.display()
            )));
        }
        let is_right = now.is_some() && existing::holds(form, &dest, &members, system);
        let pack = !(members.is_empty() || is_right);
        let remove = if args.remove {
            sources.there.clone()
        } else {
            Vec::new()
        };
        let attributes = now.as_ref().map(|now| wanted.missing(now)).unwrap_or_default();
        let there = pack || now.is_some();
        let state = match form {
            _ if !there => "absent",
            _ if !members.is_empty() && !sources.missing.is_empty() => "incomplete",
            _ if members.is_empty() && is_archive(&dest) => "archive",
            Form::Single(_) => "compress",
            _ if members.is_empty() => "compress",
            _ => "archive",
        };
        let names: Vec<String> = members
            .iter()
            .map(|member| member.path.display().to_string())
            .collect();
        let afterwards = if there {
            afterwards(&args.file, &dest, system)?
        } else {
            Vec::new()
        };
        let changed = pack || !remove.is_empty() || !nothing(attributes) || !afterwards.is_empty();
        let outcome = Outcome::changed(changed)
            .with("archived", names)
            .with("dest", dest.display().to_string())
            .with("dest_state", state)
            .with("arcroot", sources.root.as_str())
            .with("missing", sources.missing)
            .with("expanded_paths", sources.expanded)
            .with("expanded_exclude_paths", sources.excluded);
        if !changed {
            return Ok(Plan::Same(if there {
                attributes::describe(outcome, &dest, system)?
            } else {
                outcome
            }));
        }
        let change = Change {
            dest,
            form,
            pack: pack.then_some(members),
            remove,
            wanted,
            afterwards,
            outcome: outcome.clone(),
        };
        Ok(Plan::Change {
            change,
            predicted: outcome,
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let dest = &change.dest;
        if let Some(members) = change.pack {
            let failed = |error: &dyn std::fmt::Display| {
                Error::new(format!(
                    "Errors when writing archive at {}: {error}",
                    dest.display()
                ))
            };
            let now = system.metadata(dest, Follow::No)?;
            let mut packing = Packing::new(change.form, members, system).map_err(|error| failed(&error))?;
            system
                .write(dest, &mut packing, change.wanted.for_write(now.as_ref()))
                .map_err(|error| failed(&error))?;
        } else if let Some(now) = system.metadata(dest, Follow::Yes)? {
            let missing = change.wanted.missing(&now);
            if !nothing(missing) {
                system.set_attributes(dest, missing, Follow::Yes)?;
            }
        }
        perform(&change.afterwards, system)?;
        for path in &change.remove {
            match system.metadata(path, Follow::No)? {
                Some(found) if found.kind == FileKind::Directory => system.remove_tree(path)?,
                Some(_) => system.remove_file(path)?,
                None => {}
            }
        }
        attributes::describe(change.outcome, dest, system)
    }
}

/// `several`: more than a single file, which is a matter for an archive.
fn form(format: &str, several: bool) -> Form {
    let compression = match format {
        "zip" => return Form::Zip,
        "tar" => return Form::Tar(None),
        "bz2" => Compression::Bzip2,
        "xz" => Compression::Xz,
        _ => Compression::Gzip,
    };
    if several {
        Form::Tar(Some(compression))
    } else {
        Form::Single(compression)
    }
}

fn is_archive(path: &Path) -> bool {
    let name = path.to_string_lossy().to_lowercase();
    ARCHIVES.iter().any(|ending| name.ends_with(ending))
}

//! `copy`: its arguments, and the case in which source and destination are both on the target.
//!
//! Without `remote_src` the controller's action reads the source and calls `place`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::modules::files::attributes::{FileArgs, with_file_args};
use crate::modules::files::mode::octal;
use crate::modules::files::path::expand;
use crate::modules::files::placing::{Entry, EntryKind, OwnMode, Placed, Placing};
use crate::modules::files::steps::Source;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec};
use crate::system::{DigestAlgorithm, FileKind, Follow, Metadata, System};
use crate::wire::message::Outcome;

pub struct Copy;

#[expect(
    clippy::struct_excessive_bools,
    reason = "playbooks know these arguments as flags"
)]
#[derive(Debug, Deserialize)]
pub struct Args {
    src: Option<String>,
    dest: String,
    directory_mode: Option<String>,
    backup: bool,
    force: bool,
    remote_src: bool,
    validate: Option<String>,
    follow: bool,
    local_follow: Option<bool>,
    checksum: Option<String>,
    #[serde(flatten)]
    file: FileArgs,
}

impl Module for Copy {
    type Args = Args;
    type Change = Placed;
    const SPEC: Spec = Spec {
        name: "copy",
        summary: "copy files and folders to the target, or on it",
        args: with_file_args![
            Arg::path("src").doc("file or folder; one that ends in a slash gives what it holds"),
            Arg::raw("content").doc("the content itself, instead of src"),
            Arg::path("dest").required().doc("file, or folder to copy into"),
            Arg::mode("directory_mode").doc("of folders that are made"),
            Arg::bool("backup").default("no").doc("keep what was there"),
            Arg::bool("force")
                .aliases(&["thirsty"])
                .default("yes")
                .doc("replace what is there"),
            Arg::bool("remote_src").default("no").doc("src is on the target"),
            Arg::str("validate").doc("a command that judges %s before it is used"),
            Arg::bool("follow")
                .default("no")
                .doc("write through links at dest"),
            Arg::bool("local_follow").doc("copy what links in src point to; yes but for remote_src"),
            Arg::str("checksum").doc("SHA-1 that the source must have"),
            Arg::bool("decrypt")
                .default("yes")
                .doc("decrypt a source that is a vault"),
        ],
        returns: &[
            Return::new("dest", "str", "the file"),
            Return::new("checksum", "str", "SHA-1 of its content"),
            Return::new("md5sum", "str", "MD5 of its content").when("it was changed"),
            Return::new("src", "str", "what was placed").when("it was changed"),
            Return::new("mode", "str", "permission bits, octal"),
            Return::new("owner", "str", "its user"),
            Return::new("group", "str", "its group"),
            Return::new("size", "int", "bytes"),
            Return::new("uid", "int", "its user's number"),
            Return::new("gid", "int", "its group's number"),
            Return::new("state", "str", "`file`, `directory`, `link` or `hard`"),
            Return::new("secontext", "str", "its SELinux label").when("there is SELinux"),
            Return::new("backup_file", "str", "where the earlier file is kept")
                .when("backup, and it was changed"),
        ],
        example: "- copy:\n    src: app.conf\n    dest: /etc/app/app.conf\n    mode: '0640'\n    validate: app --check %s\n- copy:\n    content: '{{ settings | to_nice_json }}'\n    dest: /etc/app/settings.json\n",
        free_form: None,
        rules: &[
            Rule::Exclusive(&["src", "content"]),
            Rule::OneOf(&["src", "content"]),
        ],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Placed>, Error> {
        let src = match args.src.as_deref() {
            Some(src) if args.remote_src => src,
            _ => {
                return Err(Error::new(
                    "a target copies only what it has itself: remote_src and src are needed",
                ));
            }
        };
        let path = expand(src, system)?;
        let name = path.display().to_string();
        let Some(metadata) = system.metadata(&path, Follow::Yes)? else {
            return Err(Error::new(format!("Source {name} not found")));
        };
        let mut reading = Reading {
            preserve: args.file.mode.as_deref() == Some("preserve"),
            // Links on the target stay links unless it is said otherwise, those of the controller do not.
            follow: args.local_follow.unwrap_or(false),
            system,
            entries: Vec::new(),
        };
        let mut dest = args.dest;
        if metadata.kind == FileKind::Directory {
            // A folder itself goes into dest, what it holds if it is written with a slash.
            if !src.ends_with('/')
                && let Some(folder) = path.file_name()
            {
                dest = Path::new(&dest).join(folder).display().to_string();
            }
            reading.entries.push(Entry {
                relative: PathBuf::new(),
                mode: Some(OwnMode::IfNew(octal(metadata.mode))),
                kind: EntryKind::Directory,
            });
            reading.folder(&path, Path::new(""))?;
        } else {
            reading.file(&path, PathBuf::new(), &metadata)?;
            compare_checksum(args.checksum.as_deref(), &reading.entries)?;
        }
        let mode = args.file.mode.filter(|mode| mode != "preserve");
        let placing = Placing {
            dest,
            source_name: path.file_name().map(|name| name.to_string_lossy().into_owned()),
            source_label: Some(name.clone()),
            src: Some(name),
            entries: reading.entries,
            file: FileArgs { mode, ..args.file },
            directory_mode: args.directory_mode,
            backup: args.backup,
            force: args.force,
            validate: args.validate,
            follow: args.follow,
            diff: true,
        };
        placing.plan(system)
    }

    fn apply(change: Placed, system: &dyn System) -> Result<Outcome, Error> {
        change.apply(system)
    }
}

fn compare_checksum(wanted: Option<&str>, entries: &[Entry]) -> Result<(), Error> {
    let found = match entries {
        [
            Entry {
                kind: EntryKind::File { sha1, .. },
                ..
            },
        ] => sha1.as_deref(),
        _ => None,
    };
    match (wanted, found) {
        (Some(wanted), Some(found)) if wanted != found => Err(Error::new(
            "Copied file does not match the expected checksum. Transfer failed.",
        )
        .with("checksum", found)
        .with("expected_checksum", wanted)),
        _ => Ok(()),
    }
}

/// The source, read into a list.
struct Reading<'a> {
    preserve: bool,
    follow: bool,
    system: &'a dyn System,
    entries: Vec<Entry>,
}

impl Reading<'_> {
    fn file(&mut self, path: &Path, relative: PathBuf, metadata: &Metadata) -> Result<(), Error> {
        let single = relative.as_os_str().is_empty();
        let sha1 = single
            .then(|| self.system.digest(path, DigestAlgorithm::Sha1))
            .transpose()?;
        self.entries.push(Entry {
            relative,
            mode: if self.preserve {
                Some(OwnMode::Always(octal(metadata.mode)))
            } else {
                // A file that is copied by its name gets the mode of new files, those of a folder keep their own.
                (!single).then(|| OwnMode::IfNew(octal(metadata.mode)))
            },
            kind: EntryKind::File {
                source: Source::File(path.to_owned()),
                size: metadata.size,
                sha1,
            },
        });
        Ok(())
    }

    fn folder(&mut self, path: &Path, relative: &Path) -> Result<(), Error> {
        for name in self.system.read_dir(path)? {
            let (path, relative) = (path.join(&name), relative.join(&name));
            let Some(own) = self.system.metadata(&path, Follow::No)? else {
                continue;
            };
            let followed = if self.follow && own.kind == FileKind::Link {
                self.system.metadata(&path, Follow::Yes)?
            } else {
                None
            };
            let metadata = followed.unwrap_or(own);
            match metadata.kind {
                FileKind::File => self.file(&path, relative, &metadata)?,
                FileKind::Directory => {
                    self.entries.push(Entry {
                        relative: relative.clone(),
                        mode: Some(OwnMode::IfNew(octal(metadata.mode))),
                        kind: EntryKind::Directory,
                    });
                    self.folder(&path, &relative)?;
                }
                FileKind::Link => self.entries.push(Entry {
                    relative,
                    mode: None,
                    kind: EntryKind::Link(self.system.read_link(&path)?),
                }),
                _ => {
                    return Err(Error::new(format!(
                        "{} is neither file, folder nor link",
                        path.display()
                    )));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check_agrees, failure};
    use crate::system::fake::Fake;

    #[test]
    fn copies_a_file_of_the_target() {
        let fake = Fake::new();
        fake.program("/usr/bin/tool").directory("/opt");
        let args = r#"{"src":"/usr/bin/tool","dest":"/opt","remote_src":true,"mode":"preserve"}"#;
        let outcome = check_agrees::<Copy>(&fake, args);
        assert_eq!(outcome.values["dest"], "/opt/tool".into());
        assert_eq!(outcome.values["src"], "/usr/bin/tool".into());
        assert_eq!(outcome.values["mode"], "0755".into());
    }

    #[test]
    fn copies_folders_or_what_they_hold() {
        let fake = Fake::new();
        fake.file("/srv/app/deep/file", "x")
            .link("/srv/app/link", "deep")
            .directory("/opt");
        check_agrees::<Copy>(&fake, r#"{"src":"/srv/app","dest":"/opt","remote_src":true}"#);
        assert_eq!(fake.text("/opt/app/link/file"), "x");
        check_agrees::<Copy>(
            &fake,
            r#"{"src":"/srv/app/","dest":"/new","remote_src":true,"local_follow":false}"#,
        );
        assert_eq!(fake.text("/new/deep/file"), "x");
    }

    #[test]
    fn what_is_new_of_a_folder_keeps_its_own_mode() {
        let fake = Fake::new();
        fake.program("/srv/app/bin/tool")
            .file("/new/bin/old", "")
            .program("/srv/app/bin/old");
        check_agrees::<Copy>(&fake, r#"{"src":"/srv/app/","dest":"/new","remote_src":true}"#);
        let mode = |path: &str| fake.metadata(Path::new(path), Follow::No).unwrap().unwrap().mode;
        assert_eq!((mode("/new/bin/tool"), mode("/new/bin/old")), (0o755, 0o644));
        let args =
            r#"{"src":"/srv/app/","dest":"/other","remote_src":true,"mode":"0600","directory_mode":"0700"}"#;
        check_agrees::<Copy>(&fake, args);
        assert_eq!((mode("/other/bin/tool"), mode("/other/bin")), (0o600, 0o700));
    }

    #[test]
    fn refuses_what_it_cannot_copy() {
        let fake = Fake::new();
        fake.file("/x", "");
        for (args, message) in [
            (
                r#"{"src":"/no","dest":"/y","remote_src":true}"#,
                "Source /no not found",
            ),
            (
                r#"{"src":"/x","content":"","dest":"/y"}"#,
                "parameters are mutually exclusive: src|content",
            ),
            (
                r#"{"dest":"/y"}"#,
                "one of the following is required: src, content",
            ),
            (
                r#"{"src":"/x","dest":"/y","remote_src":true,"checksum":"abc"}"#,
                "Copied file does not match the expected checksum. Transfer failed.",
            ),
        ] {
            assert_eq!(failure::<Copy>(&fake, args), message);
        }
    }
}

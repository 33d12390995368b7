//! `place`: the target's half of `copy` and `template`. Not for playbooks: the controller's actions call it
//! with contents named by their digests.

use serde::Deserialize;

use crate::modules::files::attributes::{FileArgs, with_file_args};
use crate::modules::files::content::{BACKUP, VALIDATE};
use crate::modules::files::path::from_text;
use crate::modules::files::placing::{
    DIRECTORY_MODE, Entry, EntryKind, FOLLOW, FORCE, OwnMode, Placed, Placing,
};
use crate::modules::files::steps::Source;
use crate::modules::{Arg, Error, Module, Plan, Spec};
use crate::system::System;
use crate::wire::message::Outcome;

pub struct Place;

#[expect(
    clippy::struct_excessive_bools,
    reason = "playbooks know these arguments as flags"
)]
#[derive(Debug, Deserialize)]
pub struct Args {
    dest: String,
    files: Vec<FileEntry>,
    source_name: Option<String>,
    source_label: Option<String>,
    directory_mode: Option<String>,
    backup: bool,
    force: bool,
    validate: Option<String>,
    follow: bool,
    diff: bool,
    #[serde(flatten)]
    file: FileArgs,
}

/// An element of `files`.
#[derive(Debug, Deserialize)]
struct FileEntry {
    /// Relative to `dest`; empty for a single file.
    path: String,
    #[serde(default)]
    kind: Kind,
    /// Hexadecimal SHA-256.
    #[serde(default)]
    digest: String,
    #[serde(default)]
    sha1: Option<String>,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    mode: Option<String>,
    /// What a link points to.
    #[serde(default)]
    target: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    File,
    Directory,
    Link,
}

impl From<FileEntry> for Entry {
    fn from(file: FileEntry) -> Self {
        Self {
            relative: from_text(&file.path),
            mode: file.mode.map(OwnMode::Always),
            kind: match file.kind {
                Kind::Directory => EntryKind::Directory,
                Kind::Link => EntryKind::Link(from_text(&file.target)),
                Kind::File => EntryKind::File {
                    source: Source::Held(file.digest, file.size),
                    size: file.size,
                    sha1: file.sha1,
                },
            },
        }
    }
}

impl Module for Place {
    type Args = Args;
    type Change = Placed;
    const SPEC: Spec = Spec {
        name: "place",
        summary: "put contents that the controller holds into files (internal)",
        args: with_file_args![
            Arg::path("dest").required().doc("file or folder"),
            Arg::list("files")
                .required()
                .doc("path, kind, digest, sha1, size, mode, target of each"),
            Arg::str("source_name").doc("the name of a single file in a folder"),
            Arg::str("source_label").doc("what a diff calls the new side"),
            DIRECTORY_MODE,
            BACKUP,
            FORCE,
            VALIDATE,
            FOLLOW,
            Arg::bool("diff")
                .default("no")
                .doc("contents are fetched for a diff"),
        ],
        returns: &[],
        example: "",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Placed>, Error> {
        Placing {
            dest: args.dest,
            source_name: args.source_name,
            source_label: args.source_label,
            src: None,
            entries: args.files.into_iter().map(Entry::from).collect(),
            file: args.file,
            directory_mode: args.directory_mode,
            backup: args.backup,
            force: args.force,
            validate: args.validate,
            follow: args.follow,
            diff: args.diff,
        }
        .plan(system)
    }

    fn apply(change: Placed, system: &dyn System) -> Result<Outcome, Error> {
        change.apply(system)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, check_agrees, failure, run};
    use crate::system::DigestAlgorithm;
    use crate::system::digest::digest_bytes;
    use crate::system::fake::Fake;

    /// An element of `files` for a text that the controller now holds.
    fn held(fake: &Fake, path: &str, text: &str) -> String {
        format!(
            r#"{{"path":"{path}","kind":"file","digest":"{}","sha1":"{}","size":{}}}"#,
            fake.hold(text),
            digest_bytes(text.as_bytes(), DigestAlgorithm::Sha1),
            text.len()
        )
    }

    fn single(fake: &Fake, text: &str, rest: &str) -> String {
        format!(
            r#"{{"files":[{}],"source_name":"app.conf",{rest}}}"#,
            held(fake, "", text)
        )
    }

    #[test]
    fn a_file_is_written_once() {
        let fake = Fake::new();
        fake.directory("/etc");
        let args = single(
            &fake,
            "one\n",
            r#""dest":"/etc/x","mode":"0600","diff":true,"source_label":"files/x""#,
        );
        let outcome = check_agrees::<Place>(&fake, &args);
        assert_eq!(fake.text("/etc/x"), "one\n");
        let json = serde_json::to_string(&outcome.values).unwrap();
        insta::assert_snapshot!(json, @r#"{"uid":0,"gid":0,"owner":"root","group":"root","mode":"0600","state":"file","size":4,"md5sum":"5bbf5a52328e7439ae6e719dfe712200","dest":"/etc/x","checksum":"c7059bb19433cc3cabaa6236c83d56668a843dd2","src":"files/x","diff":{"before":"","after":"one\n","after_header":"files/x"}}"#);
        assert_eq!(
            (
                outcome.diff[0].before_header.as_str(),
                outcome.diff[0].after_header.as_str()
            ),
            ("", "files/x")
        );
        let args = single(&fake, "two\n", r#""dest":"/etc/x","backup":true,"diff":true"#);
        let outcome = check_agrees::<Place>(&fake, &args);
        assert_eq!(
            (outcome.diff[0].before.as_str(), outcome.diff[0].after.as_str()),
            ("one\n", "two\n")
        );
        assert_eq!(outcome.values["mode"], "0600".into());
        assert_eq!(
            fake.text(outcome.values["backup_file"].as_str().unwrap()),
            "one\n"
        );
    }

    #[test]
    fn content_is_asked_for_only_if_it_differs() {
        let fake = Fake::new();
        fake.file("/etc/app.conf", "same");
        let args = single(&fake, "same", r#""dest":"/etc""#);
        assert!(!run::<Place>(&fake, &args).changed);
        let args = single(&fake, "diff", r#""dest":"/etc/app.conf""#);
        assert!(check::<Place>(&fake, &args).changed);
        assert!(fake.asked().is_empty());
        assert!(run::<Place>(&fake, &args).changed);
        assert_eq!(fake.asked().len(), 1);
    }

    #[test]
    fn a_folder_is_one_call() {
        let fake = Fake::new();
        fake.file("/srv/app/old", "kept").file("/srv/app/a", "same");
        let files = [
            held(&fake, "a", "same"),
            held(&fake, "deep/er/b", "new"),
            r#"{"path":"empty","kind":"directory"}"#.to_owned(),
            r#"{"path":"link","kind":"link","target":"a"}"#.to_owned(),
        ];
        let args = format!(
            r#"{{"dest":"/srv/app","files":[{}],"directory_mode":"0700"}}"#,
            files.join(",")
        );
        check_agrees::<Place>(&fake, &args);
        assert_eq!(fake.asked().len(), 1);
        insta::assert_snapshot!(fake.listing(), @r"
        / 0755 0:0 directory
        /srv 0755 0:0 directory
        /srv/app 0755 0:0 directory
        /srv/app/a 0644 0:0 file ff3390557335ba88d37755e41514beb03bc499ec
        /srv/app/deep 0700 0:0 directory
        /srv/app/deep/er 0700 0:0 directory
        /srv/app/deep/er/b 0644 0:0 file c2a6b03f190dfb2b4aa91f8af8d477a9bc3401dc
        /srv/app/empty 0700 0:0 directory
        /srv/app/link 0777 0:0 link a
        /srv/app/old 0644 0:0 file 1e61fe1e47593d783345ac78ef213cc0446fd78c
        ");
    }

    #[test]
    fn links_are_replaced_or_written_through() {
        let fake = Fake::new();
        fake.file("/srv/data", "old").link("/srv/link", "data");
        let args = single(&fake, "new", r#""dest":"/srv/link","follow":true"#);
        check_agrees::<Place>(&fake, &args);
        assert_eq!(fake.text("/srv/data"), "new");
        let args = single(&fake, "own", r#""dest":"/srv/link""#);
        check_agrees::<Place>(&fake, &args);
        assert_eq!(
            (fake.text("/srv/data"), fake.text("/srv/link")),
            ("new".into(), "own".into())
        );
    }

    #[test]
    fn a_slash_makes_the_folder_and_force_can_be_denied() {
        let fake = Fake::new();
        let args = single(&fake, "new", r#""dest":"/srv/conf/""#);
        check_agrees::<Place>(&fake, &args);
        assert_eq!(fake.text("/srv/conf/app.conf"), "new");
        let args = single(&fake, "newer", r#""dest":"/srv/conf/","force":false"#);
        assert!(!run::<Place>(&fake, &args).changed);
        assert_eq!(fake.text("/srv/conf/app.conf"), "new");
    }

    #[test]
    fn refusals_touch_nothing() {
        let fake = Fake::new();
        fake.directory("/srv/dir/app.conf");
        for (rest, message) in [
            (
                r#""dest":"/no/where/x""#,
                "Destination directory /no/where does not exist",
            ),
            (
                r#""dest":"/srv/dir""#,
                "/srv/dir/app.conf is a directory, a file cannot take its place",
            ),
            (
                r#""dest":"/srv/x","validate":"true""#,
                "validate must contain %s: true",
            ),
            (
                r#""dest":"/srv/x","group":"nobody""#,
                "chgrp failed: failed to look up group nobody",
            ),
        ] {
            assert_eq!(failure::<Place>(&fake, &single(&fake, "x", rest)), message);
        }
        let content = format!(r#"{{"files":[{}],"dest":"/srv/"}}"#, held(&fake, "", "x"));
        assert_eq!(
            failure::<Place>(&fake, &content),
            "can not use content with a dir as dest"
        );
        let outside = format!(r#"{{"files":[{}],"dest":"/srv"}}"#, held(&fake, "../x", "x"));
        assert_eq!(failure::<Place>(&fake, &outside), "../x would lead out of /srv");
    }

    #[test]
    fn a_full_disk_is_told_and_leaves_the_old_file() {
        let fake = Fake::new();
        fake.file("/etc/x", "old")
            .fail("write", "/etc/x", std::io::ErrorKind::StorageFull);
        let message = failure::<Place>(&fake, &single(&fake, "new", r#""dest":"/etc/x""#));
        assert!(
            message.starts_with("cannot write /etc/x: no storage space"),
            "{message}"
        );
    }
}

//! `stat`: all that is to be known about a file. Changes nothing.

use std::path::Path;

use serde::Deserialize;

use crate::modules::files::file::seconds;
use crate::modules::files::label;
use crate::modules::files::mode::octal;
use crate::modules::files::path::expand;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::{Command, DigestAlgorithm, FileKind, Follow, Metadata, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct Stat;

#[derive(Debug, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the arguments are what playbooks know"
)]
pub struct Args {
    path: String,
    follow: bool,
    get_checksum: bool,
    checksum_algorithm: String,
    get_mime: bool,
    get_attributes: bool,
    get_selinux_context: bool,
}

/// Flags as `lsattr` spells them, and what they are called.
const FLAGS: &[(char, &str)] = &[
    ('A', "noatime"),
    ('a', "append"),
    ('c', "compressed"),
    ('C', "nocow"),
    ('d', "nodump"),
    ('D', "dirsync"),
    ('e', "extents"),
    ('E', "encrypted"),
    ('h', "blocksize"),
    ('i', "immutable"),
    ('I', "indexed"),
    ('j', "journalled"),
    ('N', "inline"),
    ('s', "zero"),
    ('S', "synchronous"),
    ('t', "notail"),
    ('T', "blockroot"),
    ('u', "undelete"),
    ('X', "compressedraw"),
    ('Z', "compresseddirty"),
];

impl Module for Stat {
    type Args = Args;
    type Change = std::convert::Infallible;
    const SPEC: Spec = Spec {
        name: "stat",
        summary: "tell all about a file",
        args: &[
            Arg::path("path")
                .aliases(&["dest", "name"])
                .required()
                .doc("the file"),
            Arg::bool("follow")
                .default("no")
                .doc("tell about what a link points to"),
            Arg::bool("get_checksum")
                .default("yes")
                .doc("compute the digest of a regular file"),
            Arg::str("checksum_algorithm")
                .aliases(&["checksum", "checksum_algo"])
                .choices(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"])
                .default("sha1")
                .doc("which digest"),
            Arg::bool("get_mime")
                .aliases(&["mime", "mime_type", "mime-type"])
                .default("yes")
                .doc("ask `file` for its type"),
            Arg::bool("get_attributes")
                .aliases(&["attr", "attributes"])
                .default("yes")
                .doc("ask `lsattr` for its flags"),
            Arg::bool("get_selinux_context")
                .default("no")
                .doc("tell the parts of its SELinux label"),
        ],
        returns: &[Return::new(
            "stat",
            "dict",
            "`exists`, and where it does `path`, `mode`, `isdir`, `isreg`, `islnk`, `size`, `mtime`, `checksum`, `pw_name`...; \
             with get_selinux_context `selinux_context`: user, role, type and level",
        )],
        example: "- stat:\n    path: /etc/app.conf\n  register: conf\n- debug:\n    msg: it is there\n  when: conf.stat.exists\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        let path = expand(&args.path, system)?;
        let follow = if args.follow { Follow::Yes } else { Follow::No };
        let Some(metadata) = system.metadata(&path, follow)? else {
            let absent = [("exists".to_owned(), Value::Bool(false))];
            return Ok(Plan::Same(Outcome::ok().with("stat", Map::from(absent))));
        };
        let mut stat = describe(&metadata);
        let mut add = |key: &str, value: Value| {
            stat.insert(key.to_owned(), value);
        };
        add("path", path.display().to_string().into());
        let user = system.users()?.into_iter().find(|user| user.uid == metadata.uid);
        let group = system
            .groups()?
            .into_iter()
            .find(|group| group.gid == metadata.gid);
        add("pw_name", user.map_or_else(String::new, |user| user.name).into());
        add(
            "gr_name",
            group.map_or_else(String::new, |group| group.name).into(),
        );
        if metadata.kind == FileKind::Link {
            add(
                "lnk_target",
                system.read_link(&path)?.display().to_string().into(),
            );
            // A circle of links has no end to tell.
            if let Ok(end) = system.canonicalize(&path) {
                add("lnk_source", end.display().to_string().into());
            }
        }
        let (readable, writeable, executable) = system.access(&path)?;
        add("readable", readable.into());
        add("writeable", writeable.into());
        add("executable", executable.into());
        if metadata.kind == FileKind::File && readable && args.get_checksum {
            let algorithm = DigestAlgorithm::by_name(&args.checksum_algorithm)
                .ok_or_else(|| Error::new(format!("unknown digest {}", args.checksum_algorithm)))?;
            add("checksum", system.digest(&path, algorithm)?.into());
        }
        if args.get_mime {
            stat.extend(mime(&path, system));
        }
        if args.get_attributes {
            stat.extend(flags(&path, system));
        }
        if args.get_selinux_context {
            stat.insert("selinux_context".to_owned(), context(&path, system)?);
        }
        Ok(Plan::Same(Outcome::ok().with("stat", stat)))
    }

    fn apply(change: Self::Change, _system: &dyn System) -> Result<Outcome, Error> {
        match change {}
    }
}

/// What a program says of a file; nothing where it is missing, or has nothing to say.
fn asked(argv: &[&str], path: &Path, system: &dyn System) -> Option<String> {
    system.which(argv.first()?)?;
    let path = path.display().to_string();
    let output = system
        .run(&Command::new(argv.iter().copied().chain([path.as_str()])))
        .ok()?;
    output.success().then(|| output.stdout_text())
}

/// The parts of its label; without SELinux there is nothing in them.
fn context(path: &Path, system: &dyn System) -> Result<Value, Error> {
    let parts: Vec<Value> = match label::of(path, system)? {
        Some(label) => label.splitn(4, ':').map(Value::from).collect(),
        None => vec![Value::Null; 3],
    };
    Ok(parts.into())
}

/// `text/plain; charset=us-ascii`.
fn mime(path: &Path, system: &dyn System) -> Map {
    let told = asked(
        &["file", "--brief", "--mime-type", "--mime-encoding"],
        path,
        system,
    )
    .unwrap_or_default();
    let (kind, charset) = match told.split_once(';') {
        Some((kind, rest)) => (
            kind,
            rest.split_once('=').map_or("unknown", |(_, charset)| charset),
        ),
        None => ("unknown", "unknown"),
    };
    Map::from_iter([
        ("mimetype".to_owned(), kind.trim().into()),
        ("charset".to_owned(), charset.trim().into()),
    ])
}

fn flags(path: &Path, system: &dyn System) -> Map {
    let told = asked(&["lsattr", "-vd"], path, system).unwrap_or_default();
    let mut words = told.split_whitespace();
    let version = words.next();
    let letters: String = words
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| *c != '-')
        .collect();
    let names: Vec<String> = letters
        .chars()
        .filter_map(|letter| FLAGS.iter().find(|(known, _)| *known == letter))
        .map(|(_, name)| (*name).to_owned())
        .collect();
    Map::from_iter([
        ("version".to_owned(), version.map(str::to_owned).into()),
        ("attributes".to_owned(), names.into()),
        ("attr_flags".to_owned(), letters.into()),
    ])
}

/// Result key, and the bits that it tells about.
const PERMISSIONS: [(&str, u32); 11] = [
    ("isuid", 0o4000),
    ("isgid", 0o2000),
    ("rusr", 0o400),
    ("wusr", 0o200),
    ("xusr", 0o100),
    ("rgrp", 0o040),
    ("wgrp", 0o020),
    ("xgrp", 0o010),
    ("roth", 0o004),
    ("woth", 0o002),
    ("xoth", 0o001),
];

const KINDS: [(&str, FileKind); 7] = [
    ("isdir", FileKind::Directory),
    ("isreg", FileKind::File),
    ("islnk", FileKind::Link),
    ("isfifo", FileKind::Fifo),
    ("issock", FileKind::Socket),
    ("isblk", FileKind::BlockDevice),
    ("ischr", FileKind::CharDevice),
];

/// What the metadata alone tell.
pub fn describe(metadata: &Metadata) -> Map {
    let plain: [(&str, Value); 11] = [
        ("exists", true.into()),
        ("mode", octal(metadata.mode).into()),
        ("uid", metadata.uid.into()),
        ("gid", metadata.gid.into()),
        ("size", metadata.size.into()),
        ("inode", metadata.inode.into()),
        ("dev", metadata.device.into()),
        ("nlink", metadata.links.into()),
        ("atime", seconds(metadata.accessed).into()),
        ("mtime", seconds(metadata.modified).into()),
        ("ctime", seconds(metadata.status_changed).into()),
    ];
    let kinds = KINDS.map(|(key, kind)| (key, Value::Bool(metadata.kind == kind)));
    let permissions = PERMISSIONS.map(|(key, bits)| (key, Value::Bool(metadata.mode & bits != 0)));
    plain
        .into_iter()
        .chain(kinds)
        .chain(permissions)
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::run;
    use crate::system::fake::Fake;

    fn stat(fake: &Fake, args: &str) -> Map {
        run::<Stat>(fake, args).values["stat"].as_map().unwrap().clone()
    }

    #[test]
    fn tells_about_files_and_links() {
        let fake = Fake::new();
        fake.file("/srv/file", "abc").link("/srv/link", "file");
        let file = stat(&fake, r#"{"path":"/srv/file"}"#);
        for (key, value) in [
            ("exists", Value::from(true)),
            ("isreg", true.into()),
            ("isdir", false.into()),
            ("mode", "0644".into()),
            ("pw_name", "root".into()),
            ("size", 3.into()),
            ("checksum", "a9993e364706816aba3e25717850c26c9cd0d89d".into()),
            ("mtime", 1_700_000_000.0.into()),
            ("wgrp", false.into()),
        ] {
            assert_eq!(file[key], value, "{key}");
        }
        let link = stat(&fake, r#"{"path":"/srv/link"}"#);
        assert_eq!(link["islnk"], true.into());
        assert_eq!(link["lnk_target"], "file".into());
        assert_eq!(link["lnk_source"], "/srv/file".into());
        assert!(!link.contains_key("checksum"));
        fake.program("/usr/bin/file").program("/usr/bin/lsattr");
        fake.answer(
            "file --brief --mime-type --mime-encoding /srv/file",
            0,
            "text/plain; charset=us-ascii\n",
        )
        .answer(
            "lsattr -vd /srv/file",
            0,
            "1234 ----i---------e------- /srv/file\n",
        );
        let asked = stat(&fake, r#"{"path":"/srv/file"}"#);
        assert_eq!(
            ["mimetype", "charset", "version", "attr_flags"].map(|key| asked[key].to_string()),
            ["text/plain", "us-ascii", "1234", "ie"]
        );
        assert_eq!(asked["attributes"].to_string(), "['immutable', 'extents']");
        let followed = stat(
            &fake,
            r#"{"path":"/srv/link","follow":true,"checksum_algorithm":"md5"}"#,
        );
        assert_eq!(followed["checksum"], "900150983cd24fb0d6963f7d28e17f72".into());
    }

    #[test]
    fn labels_are_told_in_parts() {
        let fake = Fake::new();
        fake.file("/srv/f", "");
        let asked = r#"{"path":"/srv/f","get_selinux_context":true}"#;
        assert_eq!(
            stat(&fake, asked)["selinux_context"].to_string(),
            "[None, None, None]"
        );
        fake.file("/sys/fs/selinux/enforce", "1");
        fake.set_xattr(
            Path::new("/srv/f"),
            "security.selinux",
            b"user_u:object_r:var_t:s0:c1,c2\0",
        )
        .unwrap();
        let told = stat(&fake, asked)["selinux_context"].to_string();
        assert_eq!(told, "['user_u', 'object_r', 'var_t', 's0:c1,c2']");
        assert!(!stat(&fake, r#"{"path":"/srv/f"}"#).contains_key("selinux_context"));
    }

    #[test]
    fn nothing_there_is_an_answer() {
        let absent = stat(&Fake::new(), r#"{"path":"/no"}"#);
        assert_eq!(serde_json::to_string(&absent).unwrap(), r#"{"exists":false}"#);
    }
}

//! The arguments `mode`, `owner` and `group` that every module which makes files takes, what of them is still to be done, and how
//! results and diffs tell it.
//!
//! `mode: preserve` never gets here but for `copy` with `remote_src`: the controller puts the source's mode
//! in its place. Flags and labels are for [`afterwards`](super::steps::afterwards).

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::modules::files::content::json_text;
use crate::modules::files::label;
use crate::modules::files::mode::{ModeChange, octal};
use crate::modules::{Error, Return};
use crate::system::{Attributes, FileKind, Follow, Metadata, System};
use crate::value::{Map, Value};
use crate::wire::message::{Diff, Outcome};

/// The table of a module's own arguments with those of [`FileArgs`] added.
macro_rules! with_file_args {
    ($($own:expr),* $(,)?) => {
        &[
            $($own,)*
            $crate::modules::Arg::mode("mode").doc("permission bits, octal or symbolic"),
            $crate::modules::Arg::str("owner").doc("user that owns the file, name or number"),
            $crate::modules::Arg::str("group").doc("group that owns the file, name or number"),
            $crate::modules::Arg::str("attributes").aliases(&["attr"]).doc("flags as for chattr"),
            $crate::modules::Arg::str("seuser").doc("user of the SELinux label, or `_default`; nothing where there is no SELinux"),
            $crate::modules::Arg::str("serole").doc("role of the SELinux label, or `_default`"),
            $crate::modules::Arg::str("setype").doc("type of the SELinux label, or `_default`"),
            $crate::modules::Arg::str("selevel").doc("level of the SELinux label, or `_default`"),
            $crate::modules::Arg::bool("unsafe_writes").doc("write in place where a file cannot be replaced"),
        ]
    };
}
pub(crate) use with_file_args;

pub const UID: Return = Return::new("uid", "int", "its user's number");
pub const GID: Return = Return::new("gid", "int", "its group's number");
pub const OWNER: Return = Return::new("owner", "str", "its user");
pub const GROUP: Return = Return::new("group", "str", "its group");
pub const MODE: Return = Return::new("mode", "str", "permission bits, octal");
pub const SIZE: Return = Return::new("size", "int", "bytes");
pub const LABEL: Return = Return::new("secontext", "str", "its SELinux label").when("there is SELinux");

/// What [`with_file_args`] adds, as a module receives it (`#[serde(flatten)]`).
#[derive(Debug, Clone, Default, Deserialize)]
pub struct FileArgs {
    pub mode: Option<String>,
    pub owner: Option<String>,
    pub group: Option<String>,
    pub attributes: Option<String>,
    pub seuser: Option<String>,
    pub serole: Option<String>,
    pub setype: Option<String>,
    pub selevel: Option<String>,
    pub unsafe_writes: Option<bool>,
}

/// [`FileArgs`] with names resolved and the mode understood.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub mode: Option<ModeChange>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    umask: u32,
    pub unsafe_writes: bool,
}

impl FileArgs {
    pub fn resolve(&self, system: &dyn System) -> Result<Wanted, Error> {
        Ok(Wanted {
            mode: self.mode.as_deref().map(parse_mode).transpose()?,
            uid: self
                .owner
                .as_deref()
                .map(|name| user_id(name, system))
                .transpose()?,
            gid: self
                .group
                .as_deref()
                .map(|name| group_id(name, system))
                .transpose()?,
            umask: system.umask(),
            unsafe_writes: self.unsafe_writes.unwrap_or_else(|| {
                let value = system.env("ANSIBLE_UNSAFE_WRITES");
                value
                    .and_then(|value| Value::from(value).truth())
                    .unwrap_or(false)
            }),
        })
    }
}

pub fn parse_mode(text: &str) -> Result<ModeChange, Error> {
    ModeChange::parse(text)
        .map_err(|why| Error::new("mode must be in octal or symbolic form").with("details", why))
}

fn user_id(name: &str, system: &dyn System) -> Result<u32, Error> {
    if let Ok(uid) = name.parse() {
        return Ok(uid);
    }
    system
        .users()?
        .into_iter()
        .find(|user| user.name == name)
        .map(|user| user.uid)
        .ok_or_else(|| Error::new(format!("chown failed: failed to look up user {name}")))
}

fn group_id(name: &str, system: &dyn System) -> Result<u32, Error> {
    if let Ok(gid) = name.parse() {
        return Ok(gid);
    }
    system
        .groups()?
        .into_iter()
        .find(|group| group.name == name)
        .map(|group| group.gid)
        .ok_or_else(|| Error::new(format!("chgrp failed: failed to look up group {name}")))
}

impl Wanted {
    /// What has to be changed on what is there.
    pub fn missing(&self, now: &Metadata) -> Attributes {
        let directory = now.kind == FileKind::Directory;
        let mode = self
            .mode
            .as_ref()
            .filter(|_| now.kind != FileKind::Link)
            .map(|change| change.apply(now.mode, directory, self.umask))
            .filter(|mode| *mode != now.mode);
        Attributes {
            mode,
            uid: self.uid.filter(|uid| *uid != now.uid),
            gid: self.gid.filter(|gid| *gid != now.gid),
        }
    }

    /// For what does not exist yet.
    pub fn for_new(&self, kind: FileKind) -> Attributes {
        let directory = kind == FileKind::Directory;
        let usual = (if directory { 0o777 } else { 0o666 }) & !self.umask;
        Attributes {
            mode: Some(
                self.mode
                    .as_ref()
                    .map_or(usual, |change| change.apply(usual, directory, self.umask)),
            ),
            uid: self.uid,
            gid: self.gid,
        }
    }

    /// For content written over what is there: all that is wanted, whatever the old file has.
    pub fn for_write(&self, now: Option<&Metadata>) -> Attributes {
        match now.filter(|metadata| metadata.kind == FileKind::File) {
            None => self.for_new(FileKind::File),
            Some(metadata) => Attributes {
                mode: self
                    .mode
                    .as_ref()
                    .map(|change| change.apply(metadata.mode, false, self.umask)),
                uid: self.uid,
                gid: self.gid,
            },
        }
    }
}

/// Whether nothing is to be set.
pub fn nothing(attributes: Attributes) -> bool {
    attributes == Attributes::default()
}

/// The two sides of a change of a file's state, told as two JSON maps.
#[derive(Debug, Clone, Default)]
pub struct StateDiff {
    before: BTreeMap<&'static str, Value>,
    after: BTreeMap<&'static str, Value>,
}

impl StateDiff {
    pub fn new(path: &Path) -> Self {
        let mut diff = Self::default();
        let path = path.display().to_string();
        diff.note("path", path.clone(), path);
        diff
    }

    pub fn note(&mut self, key: &'static str, before: impl Into<Value>, after: impl Into<Value>) {
        self.before.insert(key, before.into());
        self.after.insert(key, after.into());
    }

    /// What only the one side has.
    pub fn note_before(&mut self, key: &'static str, before: Value) {
        self.before.insert(key, before);
    }

    pub fn note_attributes(&mut self, now: &Metadata, change: Attributes) {
        if let Some(uid) = change.uid {
            self.note("owner", now.uid, uid);
        }
        if let Some(gid) = change.gid {
            self.note("group", now.gid, gid);
        }
        if let Some(mode) = change.mode {
            self.note("mode", octal(now.mode), octal(mode));
        }
    }

    pub fn into_diff(self) -> Diff {
        Diff {
            before: json_text(&self.before),
            after: json_text(&self.after),
            ..Diff::default()
        }
    }
}

/// Adds what there is at `path` to a result: `mode`, `owner`, `group`, `uid`, `gid`, `size`, `state`, and `secontext` where there is
/// `SELinux`.
pub fn describe(mut outcome: Outcome, path: &Path, system: &dyn System) -> Result<Outcome, Error> {
    match system.metadata(path, Follow::No)? {
        None => {
            outcome.values.insert("state".to_owned(), "absent".into());
        }
        Some(metadata) => {
            outcome.values.extend(description(&metadata, system)?);
            if let Some(label) = label::of(path, system)? {
                outcome.values.insert("secontext".to_owned(), label.into());
            }
        }
    }
    Ok(outcome)
}

fn description(metadata: &Metadata, system: &dyn System) -> Result<Map, Error> {
    let owner = system.users()?.into_iter().find(|user| user.uid == metadata.uid);
    let group = system
        .groups()?
        .into_iter()
        .find(|group| group.gid == metadata.gid);
    let pairs: [(&str, Value); 7] = [
        ("uid", metadata.uid.into()),
        ("gid", metadata.gid.into()),
        (
            "owner",
            owner
                .map_or_else(|| metadata.uid.to_string(), |user| user.name)
                .into(),
        ),
        (
            "group",
            group
                .map_or_else(|| metadata.gid.to_string(), |group| group.name)
                .into(),
        ),
        ("mode", octal(metadata.mode).into()),
        ("state", state(metadata).into()),
        ("size", metadata.size.into()),
    ];
    Ok(pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect())
}

/// What `file` calls the state of what is there.
pub fn state(metadata: &Metadata) -> &'static str {
    match metadata.kind {
        FileKind::Link => "link",
        FileKind::Directory => "directory",
        FileKind::File if metadata.links > 1 => "hard",
        _ => "file",
    }
}

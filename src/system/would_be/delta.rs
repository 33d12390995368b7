//! What would be at a path, and its form on the way to another agent of the same host.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::system::{Attributes, FileKind, Metadata};

/// A file, folder or link that is not as the machine has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    pub what: What,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub accessed: SystemTime,
    pub modified: SystemTime,
    #[serde(with = "bits")]
    pub device: u64,
    #[serde(with = "bits")]
    pub inode: u64,
    pub links: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    File(Content),
    Directory {
        /// The machine's folder that has what is in it, besides what is in the overlay.
        #[serde(default, with = "optional_path", skip_serializing_if = "Option::is_none")]
        of: Option<PathBuf>,
        /// Whether what is missing in it really is.
        known: bool,
    },
    Link(#[serde(with = "path")] PathBuf),
    Other(FileKind),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// The bytes travel apart, by their SHA-256.
    Here {
        sha256: String,
        #[serde(skip, default = "nothing")]
        bytes: Arc<[u8]>,
    },
    /// That of this file of the machine.
    Machine(#[serde(with = "path")] PathBuf),
    /// Too large to be kept, or not known at all.
    Away { sha256: Option<String>, size: u64 },
}

fn nothing() -> Arc<[u8]> {
    Arc::from([])
}

impl Node {
    pub fn new(what: What, mode: u32, owner: (u32, u32), now: SystemTime, inode: u64) -> Self {
        Self {
            what,
            mode,
            uid: owner.0,
            gid: owner.1,
            accessed: now,
            modified: now,
            device: 0,
            inode,
            links: 1,
            xattrs: BTreeMap::new(),
        }
    }

    /// The machine's own, about to be changed.
    pub fn of(what: What, metadata: &Metadata, xattrs: BTreeMap<String, Vec<u8>>) -> Self {
        Self {
            what,
            mode: metadata.mode,
            uid: metadata.uid,
            gid: metadata.gid,
            // Earlier times have no form on the wire.
            accessed: metadata.accessed.max(SystemTime::UNIX_EPOCH),
            modified: metadata.modified.max(SystemTime::UNIX_EPOCH),
            device: metadata.device,
            inode: metadata.inode,
            links: metadata.links,
            xattrs,
        }
    }

    pub fn set(&mut self, attributes: Attributes) {
        self.uid = attributes.uid.unwrap_or(self.uid);
        self.gid = attributes.gid.unwrap_or(self.gid);
        if !matches!(self.what, What::Link(_)) {
            self.mode = attributes.mode.unwrap_or(self.mode);
        }
    }

    pub fn kind(&self) -> FileKind {
        match self.what {
            What::File(_) => FileKind::File,
            What::Directory { .. } => FileKind::Directory,
            What::Link(_) => FileKind::Link,
            What::Other(kind) => kind,
        }
    }

    /// `size` is that of a content which the machine has.
    pub fn metadata(&self, size: u64) -> Metadata {
        Metadata {
            kind: self.kind(),
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            size: match &self.what {
                What::File(Content::Here { bytes, .. }) => bytes.len() as u64,
                What::File(Content::Away { size, .. }) => *size,
                What::Link(target) => target.as_os_str().len() as u64,
                _ => size,
            },
            accessed: self.accessed,
            modified: self.modified,
            status_changed: self.modified,
            device: self.device,
            inode: self.inode,
            links: self.links,
        }
    }
}

/// Numbers that need all their bits: plain data has signed ones.
mod bits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        number.cast_signed().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        i64::deserialize(deserializer).map(i64::cast_unsigned)
    }
}

/// Paths in JSON: text, or the bytes of what is no text.
pub mod path {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    pub enum Form {
        Text(String),
        Bytes(Vec<u8>),
    }

    impl From<&Path> for Form {
        fn from(path: &Path) -> Self {
            match path.to_str() {
                Some(text) => Self::Text(text.to_owned()),
                None => Self::Bytes(path.as_os_str().as_bytes().to_vec()),
            }
        }
    }

    impl From<Form> for PathBuf {
        fn from(form: Form) -> Self {
            match form {
                Form::Text(text) => text.into(),
                Form::Bytes(bytes) => OsString::from_vec(bytes).into(),
            }
        }
    }

    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        Form::from(path).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        Form::deserialize(deserializer).map(PathBuf::from)
    }
}

mod optional_path {
    use std::path::PathBuf;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::path::Form;

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_deref().map(Form::from).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<Form>::deserialize(deserializer)?.map(PathBuf::from))
    }
}

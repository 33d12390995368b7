//! `storage`: where data is, and what may be done to it.

use std::path::PathBuf;

use super::key::{Key, Section};
use super::scalar::{flag, path, shown_path};

#[derive(Debug, Clone)]
pub struct StorageConfig {
    pub root: PathBuf,
    pub delete_enabled: bool,
    pub read_only: bool,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            root: PathBuf::from("/var/lib/registry"),
            delete_enabled: false,
            read_only: false,
        }
    }
}

const ELSEWHERE: &str = "data is kept in a folder of this machine";

pub const SECTION: Section = Section {
    keys: &[
        Key::one(
            "storage.filesystem.rootdirectory",
            "the folder that holds `docker/registry/v2`",
            |c, text| path(text).map(|value| c.storage.root = value),
            |c| shown_path(Some(&c.storage.root)),
        )
        .at_start(|new, old| new.storage.root.clone_from(&old.storage.root)),
        Key::one(
            "storage.delete.enabled",
            "whether manifests, tags and blobs may be deleted (else 405)",
            |c, text| flag(text).map(|value| c.storage.delete_enabled = value),
            |c| Some(c.storage.delete_enabled.to_string()),
        ),
        Key::one(
            "storage.maintenance.readonly.enabled",
            "refuse pushes and deletes (405)",
            |c, text| flag(text).map(|value| c.storage.read_only = value),
            |c| Some(c.storage.read_only.to_string()),
        ),
    ],
    without_effect: &[
        ("storage.cache", "there is no cache to choose"),
        (
            "storage.filesystem.maxthreads",
            "threads are bounded by themselves",
        ),
        ("storage.redirect", "a folder's blobs are served from here"),
        ("storage.tag", "tags are looked up one after the other"),
    ],
    refused: &[
        ("storage.azure", ELSEWHERE),
        ("storage.gcs", ELSEWHERE),
        ("storage.inmemory", ELSEWHERE),
        ("storage.oss", ELSEWHERE),
        ("storage.s3", ELSEWHERE),
        ("storage.s3aws", ELSEWHERE),
        ("storage.swift", ELSEWHERE),
    ],
    ..Section::EMPTY
};

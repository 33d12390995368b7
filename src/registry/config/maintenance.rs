//! `storage.maintenance`: the care of the storage that a running server takes by itself, and what is kept free.
//!
//! What lets tags go is in `retention`.

use std::time::Duration;

use super::key::{Key, Section};
use super::scalar::{duration, flag, positive, shown_duration};
use crate::registry::access::limits::{shown_size, size};

#[derive(Debug, Clone, Default)]
pub struct Maintenance {
    pub purging: Purging,
    pub collection: Collection,
    pub scrub: Scrub,
    pub min_free: MinFree,
}

/// Uploads that nobody goes on with.
#[derive(Debug, Clone)]
pub struct Purging {
    pub enabled: bool,
    pub age: Duration,
    pub interval: Duration,
    pub dry_run: bool,
}

/// What no manifest refers to.
#[derive(Debug, Clone)]
pub struct Collection {
    pub enabled: bool,
    pub interval: Duration,
    pub grace: Duration,
    pub untagged: bool,
}

#[derive(Debug, Clone)]
pub struct Scrub {
    pub enabled: bool,
    pub interval: Duration,
    /// Bytes in a second; 0 is as fast as can be.
    pub rate: u64,
}

/// Free space below which no upload is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinFree {
    Bytes(u64),
    Percent(u8),
}

impl Default for Purging {
    /// Distribution's.
    fn default() -> Self {
        Self {
            enabled: true,
            age: Duration::from_hours(168),
            interval: Duration::from_hours(24),
            dry_run: false,
        }
    }
}

impl Default for Collection {
    fn default() -> Self {
        Self {
            enabled: false,
            interval: Duration::from_hours(24),
            // A slow link takes hours between a large image's first layer and its manifest.
            grace: Duration::from_hours(24),
            untagged: false,
        }
    }
}

impl Default for Scrub {
    fn default() -> Self {
        Self {
            enabled: false,
            interval: Duration::from_hours(720),
            rate: 20 << 20,
        }
    }
}

impl Default for MinFree {
    /// Room for the manifests of pushes that are under way.
    fn default() -> Self {
        Self::Bytes(32 << 20)
    }
}

impl MinFree {
    fn parse(text: &str) -> Result<Self, String> {
        match text.strip_suffix('%') {
            Some(percent) => match percent.parse() {
                Ok(percent @ 0..100) => Ok(Self::Percent(percent)),
                _ => Err("must be a whole per cent below 100".to_owned()),
            },
            None => size(text).map(Self::Bytes),
        }
    }

    fn shown(self) -> String {
        match self {
            Self::Bytes(bytes) => shown_size(bytes),
            Self::Percent(percent) => format!("{percent}%"),
        }
    }

    /// In bytes, of a file system of this size.
    pub fn of(self, total: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => total / 100 * u64::from(percent),
        }
    }
}

pub const SECTION: Section = Section {
    keys: &[
        Key::one(
            "storage.maintenance.minfree",
            "free space, as a size or in per cent, below which uploads are refused (507) before they are read",
            |c, text| MinFree::parse(text).map(|value| c.maintenance.min_free = value),
            |c| Some(c.maintenance.min_free.shown()),
        ),
        Key::one(
            "storage.maintenance.uploadpurging.enabled",
            "remove uploads that nobody goes on with",
            |c, text| flag(text).map(|value| c.maintenance.purging.enabled = value),
            |c| Some(c.maintenance.purging.enabled.to_string()),
        ),
        Key::one(
            "storage.maintenance.uploadpurging.age",
            "how long nothing has come of such an upload",
            |c, text| positive(text).map(|value| c.maintenance.purging.age = value),
            |c| Some(shown_duration(c.maintenance.purging.age)),
        ),
        Key::one(
            "storage.maintenance.uploadpurging.interval",
            "how often to look for them",
            |c, text| positive(text).map(|value| c.maintenance.purging.interval = value),
            |c| Some(shown_duration(c.maintenance.purging.interval)),
        ),
        Key::one(
            "storage.maintenance.uploadpurging.dryrun",
            "only log what would be removed",
            |c, text| flag(text).map(|value| c.maintenance.purging.dry_run = value),
            |c| Some(c.maintenance.purging.dry_run.to_string()),
        ),
        Key::one(
            "storage.maintenance.collection.enabled",
            "collect by itself what no manifest refers to; `gc` does it when asked",
            |c, text| flag(text).map(|value| c.maintenance.collection.enabled = value),
            |c| Some(c.maintenance.collection.enabled.to_string()),
        ),
        Key::one(
            "storage.maintenance.collection.interval",
            "how often to collect",
            |c, text| positive(text).map(|value| c.maintenance.collection.interval = value),
            |c| Some(shown_duration(c.maintenance.collection.interval)),
        ),
        Key::one(
            "storage.maintenance.collection.grace",
            "how long something stays that was found unreferenced and that nobody uses",
            |c, text| duration(text).map(|value| c.maintenance.collection.grace = value),
            |c| Some(shown_duration(c.maintenance.collection.grace)),
        ),
        Key::one(
            "storage.maintenance.collection.untagged",
            "collect manifests that no tag keeps, too",
            |c, text| flag(text).map(|value| c.maintenance.collection.untagged = value),
            |c| Some(c.maintenance.collection.untagged.to_string()),
        ),
        Key::one(
            "storage.maintenance.scrub.enabled",
            "read all content again by itself, and set damaged content aside",
            |c, text| flag(text).map(|value| c.maintenance.scrub.enabled = value),
            |c| Some(c.maintenance.scrub.enabled.to_string()),
        ),
        Key::one(
            "storage.maintenance.scrub.interval",
            "how often to read it",
            |c, text| positive(text).map(|value| c.maintenance.scrub.interval = value),
            |c| Some(shown_duration(c.maintenance.scrub.interval)),
        ),
        Key::one(
            "storage.maintenance.scrub.rate",
            "the most to read in a second; 0 is as fast as can be",
            |c, text| size(text).map(|value| c.maintenance.scrub.rate = value),
            |c| Some(shown_size(c.maintenance.scrub.rate)),
        ),
    ],
    ..Section::EMPTY
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_a_size_or_a_share() {
        assert_eq!(MinFree::parse("5%").unwrap().of(1000), 50);
        assert_eq!(MinFree::parse("1KiB").unwrap().of(1000), 1024);
        assert!(MinFree::parse("100%").is_err());
    }
}

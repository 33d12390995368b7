//! `catalog`: how much of it one answer shows.

use super::key::{Key, Section};
use super::scalar::count;

#[derive(Debug, Clone)]
pub struct Catalog {
    /// The most repositories of one answer.
    pub max_entries: usize,
}

impl Default for Catalog {
    fn default() -> Self {
        Self { max_entries: 1000 }
    }
}

pub const SECTION: Section = Section {
    keys: &[Key::one(
        "catalog.maxentries",
        "the most repositories in one answer of the catalog",
        |c, text| count(text).map(|value| c.catalog.max_entries = value),
        |c| Some(c.catalog.max_entries.to_string()),
    )],
    ..Section::EMPTY
};

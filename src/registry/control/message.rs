//! What a verb asks for and what comes back, a line of JSON each.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::registry::config::Rule;
use crate::registry::content::{collect, scrub};

/// The longest line: rules of retention are the longest requests.
pub const MAX_LINE: u64 = 1 << 20;

/// What is to be done.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Request {
    /// Answered with [`collect::Collected`].
    Collect { options: collect::Options },
    /// Answered with [`collect::Explained`].
    Explain { digest: String },
    /// Answered with `purge::Purged`.
    Purge { age: Duration, dry_run: bool },
    /// Items are `retain::Fate`, then `retain::Retained`.
    Retain { rules: Vec<Rule>, apply: bool },
    /// Answered with [`scrub::Scrubbed`].
    Scrub { options: scrub::Options },
    /// Answered with `stats::Stats`.
    Stats { largest: usize },
    /// Followed by the bytes of a tar archive; answered with `exchange::Imported`.
    Import {
        repository: Option<String>,
        tag: Option<String>,
    },
    /// Without `on` only asked. Answered with [`ReadOnly`].
    ReadOnly { on: Option<bool> },
}

impl Request {
    /// Its name for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Collect { .. } => "a collection",
            Self::Explain { .. } => "an explanation",
            Self::Purge { .. } => "a purge of uploads",
            Self::Retain { .. } => "retention",
            Self::Scrub { .. } => "a scrub",
            Self::Stats { .. } => "a count",
            Self::Import { .. } => "an import",
            Self::ReadOnly { .. } => "a switch",
        }
    }

    /// The verb as the audit log names it, where it changes anything.
    pub fn deed(&self) -> Option<&'static str> {
        match self {
            Self::Collect { options } if !options.dry_run => Some("gc"),
            Self::Purge { dry_run: false, .. } => Some("purge"),
            Self::Retain { apply: true, .. } => Some("retention"),
            Self::Scrub { options } if !options.dry_run => Some("scrub"),
            Self::Import { .. } => Some("import"),
            Self::ReadOnly { on: Some(true) } => Some("readonly on"),
            Self::ReadOnly { on: Some(false) } => Some("readonly off"),
            _ => None,
        }
    }

    /// What it is counted under, where it takes care of the storage.
    pub fn work(&self) -> Option<&'static str> {
        match self {
            Self::Collect { .. } => Some("collection"),
            Self::Purge { .. } => Some("purge"),
            Self::Retain { .. } => Some("retention"),
            Self::Scrub { .. } => Some("scrub"),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadOnly {
    pub read_only: bool,
}

/// What comes back: any number of the first two, then one of the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Progress {
        phase: String,
        done: u64,
        total: Option<u64>,
    },
    Item {
        item: Value,
    },
    Done {
        result: Value,
    },
    Failed {
        message: String,
    },
}

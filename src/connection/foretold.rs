//! What the tasks of a check would have made of one host, as its agents tell it: kept here for those of them who have not seen it.
//!
//! Nothing of it is understood here. It outlives connections: an agent that is new to the host gets all of it.

use std::collections::HashMap;
use std::sync::Arc;

use super::link::Content;
use crate::wire::frame::{Key, key};
use crate::wire::message::Foreseen;

/// What the contents of one host may take of the controller's memory: an agent keeps less.
const MAX_CONTENTS: usize = 256 << 20;

#[derive(Default)]
pub struct Foretold {
    log: Vec<Foreseen>,
    contents: HashMap<Key, Arc<[u8]>>,
    coming: HashMap<Key, Vec<u8>>,
    size: usize,
}

impl Foretold {
    /// How many answers have added to it.
    pub fn answers(&self) -> usize {
        self.log.len()
    }

    /// All that was added from a point on, as one message, and its contents.
    pub fn since(&self, seen: usize) -> (Foreseen, Vec<Content>) {
        let mut all = Foreseen::default();
        for foreseen in self.log.iter().skip(seen) {
            all.changes.extend(foreseen.changes.iter().cloned());
            all.contents.extend(foreseen.contents.iter().cloned());
        }
        all.contents.sort_unstable();
        all.contents.dedup();
        let content = |digest: &String| {
            let bytes = Arc::clone(self.contents.get(&key(digest)?)?);
            let digest = digest.clone();
            Some(Content { digest, bytes })
        };
        let contents = all.contents.iter().filter_map(content).collect();
        (all, contents)
    }

    /// Contents that the controller sends need not come back.
    pub fn keep(&mut self, contents: &[Content]) {
        for content in contents {
            if let Some(key) = key(&content.digest) {
                self.contents
                    .entry(key)
                    .or_insert_with(|| Arc::clone(&content.bytes));
            }
        }
    }

    /// A piece of a content; without bytes, its end.
    pub fn take(&mut self, key: Key, piece: &[u8]) -> Result<(), String> {
        if piece.is_empty() {
            let content = self.coming.remove(&key).unwrap_or_default();
            self.contents.insert(key, content.into());
            return Ok(());
        }
        self.size += piece.len();
        if self.size > MAX_CONTENTS {
            return Err("it sent more contents than a prediction can need".to_owned());
        }
        self.coming.entry(key).or_default().extend_from_slice(piece);
        Ok(())
    }

    pub fn add(&mut self, foreseen: Foreseen) {
        self.log.push(foreseen);
    }
}

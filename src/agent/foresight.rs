//! The would-be state of a check, as this agent has it, and how agents of one host tell each other of it.
//!
//! The controller sends what this agent has not seen along with a batch, and gets what the batch adds with its answer. A child
//! agent is to this one as this one is to the controller.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use super::contents::Contents;
use crate::system::would_be::State;
use crate::wire::frame::{CHUNK, Frame, Key, key};
use crate::wire::message::Foreseen;

/// The state that the tasks of a check share.
#[derive(Default)]
pub struct Foresight {
    pub state: RefCell<State>,
}

impl Foresight {
    /// Takes over what another agent has foreseen; its contents are in one of these places.
    pub fn follow(&self, foreseen: Foreseen, contents: &[&Contents]) -> Result<(), String> {
        let content = |digest: &str| -> Option<Arc<[u8]>> {
            let mut bytes = Vec::new();
            let key = key(digest)?;
            let mut content = contents.iter().find_map(|contents| contents.open(&key))?.ok()?;
            content.read_to_end(&mut bytes).ok()?;
            Some(bytes.into())
        };
        self.state.borrow_mut().follow(foreseen.changes, content)
    }

    pub fn seen(&self) -> usize {
        self.state.borrow().len()
    }

    /// What was foreseen from a point on, and the frames of its contents but for those that the reader has.
    pub fn since(&self, seen: usize, has: &dyn Fn(&Key) -> bool) -> (Foreseen, Vec<Frame>) {
        let (changes, contents) = self.state.borrow().since(seen);
        let mut foreseen = Foreseen {
            changes,
            contents: Vec::new(),
        };
        let mut frames = Vec::new();
        let mut sent = HashSet::new();
        for (digest, bytes) in contents {
            let Some(key) = key(&digest) else { continue };
            if sent.insert(key) && !has(&key) {
                let pieces = bytes.chunks(CHUNK).chain([&[][..]]);
                frames.extend(pieces.map(|piece| Frame::data(&key, piece)));
            }
            foreseen.contents.push(digest);
        }
        (foreseen, frames)
    }
}

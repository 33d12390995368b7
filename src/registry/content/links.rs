//! Links, and what was read of them before.
//!
//! A link that was read is known as long as its stamp is what it was: distribution's own server may write to the
//! same folder, and what it does shows at once.

use super::recent::Recent;
use super::{ContentError, Registry};
use crate::registry::digest::Digest;
use crate::registry::storage::{Key, Stamp, Step, StorageError};

/// A link is one digest; longer files are not links.
const MAX_LINK: u64 = 256;
/// For the links that are remembered.
const MAX_REMEMBERED: usize = 2 << 20;
/// A key and a digest with what a table takes for them, in bytes.
const WEIGHT: usize = 500;

/// What links said when they were read.
pub(super) struct Links(Recent<Key, (Stamp, Digest)>);

impl Default for Links {
    fn default() -> Self {
        Self(Recent::new(MAX_REMEMBERED))
    }
}

impl Registry {
    /// Follows a link; none where there is no link.
    pub(super) fn link(&self, key: &Key) -> Result<Option<Digest>, ContentError> {
        let stamp = match self.storage.stamp(key) {
            Err(error) if error.is_not_found() => return Ok(None),
            stamp => stamp?,
        };
        if let Some((known, digest)) = self.links.0.get(key)
            && known == stamp
        {
            return Ok(Some(digest));
        }
        let content = match self.storage.read(key, MAX_LINK) {
            Err(error) if error.is_not_found() => return Ok(None),
            content => content?,
        };
        let text = String::from_utf8_lossy(&content);
        match text.trim().parse::<Digest>() {
            Ok(digest) => {
                // Asked before the read: what has changed since has another one.
                if stamp.has_settled() {
                    self.links.0.insert(key.clone(), (stamp, digest.clone()), WEIGHT);
                }
                Ok(Some(digest))
            }
            Err(source) => Err(ContentError::LinkDamaged {
                key: key.clone(),
                source,
            }),
        }
    }

    pub(super) fn write_link(&self, key: &Key, digest: &Digest) -> Result<(), ContentError> {
        Ok(self.storage.commit(&[link_to(key.clone(), digest)])?)
    }

    /// Follows a link that was read before and has not changed; none where that is not so.
    pub(super) fn known_link(&self, key: &Key) -> Option<Digest> {
        let (known, digest) = self.links.0.get(key)?;
        let stamp: Result<_, StorageError> = self.storage.stamp(key);
        (stamp.ok()? == known).then_some(digest)
    }
}

/// The step that writes a link.
pub(super) fn link_to(key: Key, digest: &Digest) -> Step {
    Step::Write {
        key,
        content: digest.as_str().to_owned().into(),
    }
}

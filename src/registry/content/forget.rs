//! What is remembered of content that was taken away behind the back of the handlers: the one place that caches
//! are told of it.

use std::sync::PoisonError;

use super::Registry;
use crate::registry::digest::Digest;
use crate::registry::name::{RepositoryName, Tag};

impl Registry {
    /// The data of a blob, or of a manifest, is gone.
    pub(super) fn forget_blob(&self, digest: &Digest) {
        let mut subjects = self.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        subjects.remove(digest);
    }

    /// A repository has a manifest no longer.
    pub(super) fn forget_manifest(&self, _name: &RepositoryName, digest: &Digest) {
        self.forget_blob(digest);
    }

    /// A repository has a link to a blob no longer.
    #[expect(clippy::unused_self, reason = "no link is remembered yet")]
    pub(super) fn forget_link(&self, _name: &RepositoryName, _digest: &Digest) {}

    /// A repository has a tag no longer.
    #[expect(clippy::unused_self, reason = "no tag is remembered yet")]
    pub(super) fn forget_tag(&self, _name: &RepositoryName, _tag: &Tag) {}
}

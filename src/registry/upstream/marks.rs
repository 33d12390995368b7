//! What is used is marked so: the link of a manifest or blob is written anew, now and then. `expiry` goes by these times.

use std::time::Duration;

use super::{Mirrored, now};
use crate::registry::content::Registry;
use crate::registry::content::mirrored::Kind;
use crate::registry::digest::Digest;
use crate::registry::name::RepositoryName;

/// The time of last use is written down so many times in a `ttl`.
const MARKS: u32 = 8;

/// How often a use is to be noted; never where nothing expires, or nothing may be written.
#[derive(Clone, Copy)]
pub struct Marks(Option<Duration>);

impl Mirrored {
    pub(super) fn marks(&self) -> Marks {
        let ttl = self.upstream.config.ttl;
        Marks((self.keeps.anything && !ttl.is_zero()).then_some(ttl / MARKS))
    }

    /// Whether its use need not be noted now: then nothing has to be written before it is served.
    pub(super) fn is_marked(&self, kind: Kind, digest: &Digest) -> bool {
        let Marks(Some(often)) = self.marks() else {
            return true;
        };
        let used = self.mirrors.registry.last_use(&self.name, kind, digest);
        let since = |used| now().saturating_sub(used);
        used.is_ok_and(|used| used.is_some_and(|used| since(used) < often.as_secs()))
    }
}

impl Marks {
    /// Notes a use. What is served is no less right where that fails.
    pub fn set(self, registry: &Registry, name: &RepositoryName, kind: Kind, digest: &Digest) {
        if let Some(often) = self.0
            && let Err(error) = registry.use_mirrored(name, kind, digest, often, now())
        {
            tracing::warn!(repository = %name, %digest, "marking as used failed: {error}");
        }
    }
}

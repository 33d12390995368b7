//! What a repository holds: every blob and manifest that it may serve, with its size.

use super::{ContentError, Registry};
use crate::registry::digest::{Algorithm, Digest};
use crate::registry::name::RepositoryName;
use crate::registry::storage::{Key, paths};

impl Registry {
    /// Tells digest and size of each; a manifest that was pushed as a blob too is told twice.
    pub fn each_content(
        &self,
        name: &RepositoryName,
        mut tell: impl FnMut(&Digest, u64),
    ) -> Result<(), ContentError> {
        type Link = fn(&RepositoryName, &Digest) -> Key;
        for algorithm in Algorithm::ALL {
            let folders: [(Key, Link); 2] = [
                (paths::layers_of(name, algorithm), paths::layer_link),
                (paths::revisions(name, algorithm), paths::revision_link),
            ];
            for (folder, link) in folders {
                for hex in self.storage.list(&folder, None, usize::MAX)? {
                    let Ok(digest) = Digest::from_parts(algorithm, &hex) else {
                        continue;
                    };
                    let Some(stored) = self.link(&link(name, &digest))? else {
                        continue;
                    };
                    match self.storage.open(&paths::blob(&stored)) {
                        Ok(content) => tell(&digest, content.size()),
                        Err(error) if error.is_not_found() => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        Ok(())
    }
}

//! Why something is kept: every manifest, tag and waiting link that a digest owes its place to.

use serde::{Deserialize, Serialize};

use super::condemned::{Item, Sentence};
use super::{Graph, Registry};
use crate::registry::content::repositories::Look;
use crate::registry::content::{CareError, Unwatched, Watch};
use crate::registry::digest::Digest;
use crate::registry::name::RepositoryName;
use crate::registry::storage::paths;

/// What is known of a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    pub digest: String,
    /// Of its data; none where there is none.
    pub size: Option<u64>,
    pub kept_by: Vec<Kept>,
    /// Since when its data is condemned, in seconds since 1970.
    pub condemned_since: Option<u64>,
}

/// One reason to keep something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Kept {
    /// It is a manifest of the repository.
    Manifest {
        repository: String,
        tags: Vec<String>,
        /// Manifests that list it, refer to it, or that it refers to.
        manifests: Vec<String>,
        condemned_since: Option<u64>,
    },
    /// A manifest of the repository names it.
    Named {
        repository: String,
        manifest: String,
        /// Of that manifest.
        tags: Vec<String>,
    },
    /// The repository has it, and no manifest there names it: an upload that waits for its manifest.
    Waiting {
        repository: String,
        condemned_since: Option<u64>,
    },
    /// A manifest of the repository cannot be read and may name it.
    Unreadable {
        repository: String,
        manifest: String,
        why: String,
    },
}

impl Registry {
    /// Goes through all manifests for what keeps a digest.
    pub fn explain(&self, digest: &Digest, watch: &dyn Watch) -> Result<Explained, CareError> {
        let mut explained = Explained {
            digest: digest.to_string(),
            size: self.storage.stat(&paths::blob(digest))?.map(|stat| stat.size),
            kept_by: Vec::new(),
            condemned_since: self.since(Item::blob(digest)),
        };
        let mut seen = 0;
        self.each_repository(&mut |name| {
            watch.step("repositories", seen, None)?;
            seen += 1;
            self.explain_in(name, digest, &mut explained.kept_by)
        })?;
        Ok(explained)
    }

    fn explain_in(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        kept_by: &mut Vec<Kept>,
    ) -> Result<(), CareError> {
        let repository = name.to_string();
        let has_link = self.storage.exists(&paths::layer_link(name, digest))?;
        let mut named = false;
        for manifest in self.revisions(name)? {
            if manifest == *digest {
                let graph = Graph::read(self, name, self.revisions(name)?, &Unwatched)?;
                kept_by.push(Kept::Manifest {
                    repository: repository.clone(),
                    tags: self.tags_with(name, digest)?,
                    manifests: graph.keepers(digest).into_iter().map(Digest::to_string).collect(),
                    condemned_since: self.since(Item::revision(name, digest)),
                });
            }
            match self.look(name, &manifest)? {
                Look::Sound(read) => {
                    if read.blobs.contains(digest) || read.elsewhere.contains(digest) {
                        named = true;
                        kept_by.push(Kept::Named {
                            repository: repository.clone(),
                            tags: self.tags_with(name, &manifest)?,
                            manifest: manifest.to_string(),
                        });
                    }
                }
                Look::Unreadable(why) if has_link => kept_by.push(Kept::Unreadable {
                    repository: repository.clone(),
                    manifest: manifest.to_string(),
                    why,
                }),
                Look::Unreadable(_) => {}
            }
        }
        if has_link && !named {
            kept_by.push(Kept::Waiting {
                repository,
                condemned_since: self.since(Item::layer(name, digest)),
            });
        }
        Ok(())
    }

    fn since(&self, item: Item) -> Option<u64> {
        match self.uses.condemned.sentence(item) {
            Sentence::Since(since) => Some(since),
            Sentence::Free => None,
        }
    }

    fn tags_with(&self, name: &RepositoryName, digest: &Digest) -> Result<Vec<String>, CareError> {
        let tags = self.tags_of(name, digest)?;
        Ok(tags.iter().map(ToString::to_string).collect())
    }
}

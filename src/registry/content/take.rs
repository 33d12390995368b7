//! A blob from a reader on this machine, rather than from a client piece by piece.

use std::io::Read;

use super::links::link_to;
use super::{ContentError, Registry};
use crate::registry::digest::{Algorithm, Digest, Hasher};
use crate::registry::name::{RepositoryName, UploadId};
use crate::registry::storage::{Growing, Key, Step, StorageError, paths};

/// Read at once.
const PIECE: usize = 1 << 20;

impl Registry {
    /// Makes what `content` holds a blob of the repository. Where it was announced, it must be that.
    pub fn take_blob(
        &self,
        name: &RepositoryName,
        content: &mut dyn Read,
        announced: Option<&Digest>,
    ) -> Result<(Digest, u64), ContentError> {
        let id = UploadId::random();
        let data = paths::upload_data(name, &id);
        let growing = self.shared(name, || self.storage.create(&data))?;
        let taken = receive(growing, &data, content, announced).and_then(|(digest, size)| {
            self.shared(name, || {
                self.pushing_blob(name, &digest, &digest);
                self.storage.commit(&[
                    Step::Publish {
                        from: data.clone(),
                        to: paths::blob(&digest),
                    },
                    link_to(paths::layer_link(name, &digest), &digest),
                ])
            })?;
            self.catalog.added(name);
            Ok((digest, size))
        });
        self.storage.delete(&paths::upload(name, &id))?;
        taken
    }

    /// Takes a repository away with all that is in it. Its data is the collector's.
    pub fn drop_repository(&self, name: &RepositoryName) -> Result<(), ContentError> {
        self.alone(name, || Ok(self.storage.delete(&paths::repository(name))?))
    }
}

fn receive(
    mut growing: Box<dyn Growing>,
    data: &Key,
    content: &mut dyn Read,
    announced: Option<&Digest>,
) -> Result<(Digest, u64), ContentError> {
    let mut hasher = Hasher::new(announced.map_or(Algorithm::Sha256, Digest::algorithm));
    let mut piece = vec![0; PIECE];
    loop {
        let length = content.read(&mut piece).map_err(|source| StorageError::Failed {
            operation: "receive",
            key: data.clone(),
            source,
        })?;
        if length == 0 {
            break;
        }
        growing.append(&piece[..length])?;
        hasher.update(&piece[..length]);
    }
    let computed = hasher.finish();
    match announced {
        Some(claimed) if *claimed != computed => Err(ContentError::DigestMismatch {
            claimed: claimed.clone(),
            computed,
        }),
        _ => Ok((computed, growing.size())),
    }
}

//! Uploads: a blob on its way in, over one request or many, over restarts of the server too.
//!
//! The data is in the store, so any process can go on with it. What is remembered here is only the hash
//! so far; where it is lost (a restart, another algorithm at the end) the data is read once more. One
//! request at a time writes to an upload: each holds its [`Upload`], the next one waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OwnedMutexGuard;

use super::links::link_to;
use super::{ContentError, Registry};
use crate::registry::digest::{Algorithm, Digest, Hasher};
use crate::registry::name::{RepositoryName, UploadId};
use crate::registry::storage::{Growing, Step, StorageError, paths};

/// Uploads whose running hash is kept between requests, at some 500 bytes each.
const MAX_REMEMBERED: usize = 4096;
/// How long a request waits for the one before it, whose connection may just have broken.
const TURN: Duration = Duration::from_secs(10);
/// Read at once when data has to be hashed again.
const REHASH_BUFFER: usize = 1 << 20;

/// The running hashes, by upload.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<UploadId, Arc<tokio::sync::Mutex<Progress>>>>);

impl Sessions {
    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// A hash of the first `hashed` bytes.
#[derive(Default)]
struct Progress {
    hasher: Option<Hasher>,
    hashed: u64,
}

/// Why an upload cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error("there is no such upload in this repository")]
    Unknown,
    #[error("another request is writing to this upload")]
    Busy,
    #[error(transparent)]
    Content(#[from] ContentError),
}

impl From<StorageError> for UploadError {
    fn from(error: StorageError) -> Self {
        if error.is_not_found() {
            Self::Unknown
        } else {
            Self::Content(error.into())
        }
    }
}

/// An upload that nobody else writes to while this exists.
pub struct Upload {
    name: RepositoryName,
    id: UploadId,
    progress: OwnedMutexGuard<Progress>,
    data: Box<dyn Growing>,
}

impl Upload {
    pub fn id(&self) -> &UploadId {
        &self.id
    }

    pub fn size(&self) -> u64 {
        self.data.size()
    }

    /// The algorithm that the digest will be of; without effect once data has come.
    pub fn expect(&mut self, algorithm: Algorithm) {
        if self.size() == 0 {
            self.progress.hasher = Some(Hasher::new(algorithm));
        }
    }

    /// Takes pieces in: hashed and handed to the store, durable only with [`Registry::finish_upload`].
    pub fn append(&mut self, pieces: &[Bytes]) -> Result<(), UploadError> {
        if self.size() == 0 && self.progress.hasher.is_none() {
            self.progress.hasher = Some(Hasher::new(Algorithm::Sha256));
        }
        if self.progress.hashed != self.size() {
            self.progress.hasher = None;
        }
        self.data.append_all(pieces)?;
        if let Some(hasher) = &mut self.progress.hasher {
            for piece in pieces {
                hasher.update(piece);
            }
        }
        self.progress.hashed = self.data.size();
        Ok(())
    }
}

impl Sessions {
    fn session(&self, id: &UploadId) -> Arc<tokio::sync::Mutex<Progress>> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= MAX_REMEMBERED {
            // Those in nobody's hands: their hash can be had from the data.
            sessions.retain(|_, session| Arc::strong_count(session) > 1);
        }
        Arc::clone(sessions.entry(id.clone()).or_default())
    }

    /// One's turn, if nobody has it.
    pub(super) fn turn_now(&self, id: &UploadId) -> Option<impl Drop + use<>> {
        self.session(id).try_lock_owned().ok()
    }

    pub(super) fn forget(&self, id: &UploadId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

impl Registry {
    /// Starts an upload.
    pub fn start_upload(&self, name: &RepositoryName) -> Result<UploadId, ContentError> {
        let id = UploadId::random();
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        // The collector takes away repositories in which there is nothing, and no upload either.
        self.shared(name, || {
            self.storage
                .create(&paths::upload_started(name, &id))?
                .append(now.as_bytes())?;
            self.storage.create(&paths::upload_data(name, &id))?;
            Ok(id)
        })
    }

    /// Waits for one's turn at an upload.
    pub async fn upload_turn(
        self: &Arc<Self>,
        name: &RepositoryName,
        id: &UploadId,
    ) -> Result<Upload, UploadError> {
        // No session for what does not exist: ids are the client's to invent.
        self.upload_size(name, id)?;
        let turn = tokio::time::timeout(TURN, self.uploads.session(id).lock_owned());
        let progress = turn.await.map_err(|_| UploadError::Busy)?;
        let data = self
            .storage
            .append(&paths::upload_data(name, id))
            .inspect_err(|_| {
                // It ended while this request waited.
                self.uploads.forget(id);
            })?;
        Ok(Upload {
            name: name.clone(),
            id: id.clone(),
            progress,
            data,
        })
    }

    /// How much of an upload has come.
    pub fn upload_size(&self, name: &RepositoryName, id: &UploadId) -> Result<u64, UploadError> {
        Ok(self.storage.open(&paths::upload_data(name, id))?.size())
    }

    /// Makes an upload a blob of its repository, if it is what was promised. It is durable after this.
    /// With another digest the upload is gone, as the spec has it; after a failure of the storage it is still
    /// there to be finished.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the turn at the upload ends with this"
    )]
    pub fn finish_upload(&self, upload: Upload, claimed: &Digest) -> Result<(), UploadError> {
        let computed = self.computed(&upload, claimed.algorithm())?;
        let Upload { name, id, .. } = &upload;
        if computed != *claimed {
            self.remove_upload(name, id)?;
            return Err(UploadError::Content(ContentError::DigestMismatch {
                claimed: claimed.clone(),
                computed,
            }));
        }
        self.shared(name, || {
            self.pushing_blob(name, claimed, claimed);
            // Over a blob that is there already too: should that one be damaged, this heals it.
            self.storage.commit(&[
                Step::Publish {
                    from: paths::upload_data(name, id),
                    to: paths::blob(claimed),
                },
                link_to(paths::layer_link(name, claimed), claimed),
            ])
        })?;
        self.catalog.added(name);
        if let Err(error) = self.remove_upload(name, id) {
            // The blob is where it belongs; what is left of its upload is litter.
            tracing::warn!(%error, upload = %id, "removing a finished upload failed");
        }
        Ok(())
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "the turn at the upload ends with this"
    )]
    pub fn cancel_upload(&self, upload: Upload) -> Result<(), UploadError> {
        let Upload { name, id, .. } = &upload;
        self.remove_upload(name, id)
    }

    fn remove_upload(&self, name: &RepositoryName, id: &UploadId) -> Result<(), UploadError> {
        self.uploads.forget(id);
        Ok(self.storage.discard(&paths::upload(name, id))?)
    }

    fn computed(&self, upload: &Upload, algorithm: Algorithm) -> Result<Digest, UploadError> {
        if let Some(hasher) = &upload.progress.hasher
            && upload.progress.hashed == upload.size()
            && hasher.algorithm() == algorithm
        {
            return Ok(hasher.clone().finish());
        }
        let key = paths::upload_data(&upload.name, &upload.id);
        let data = self.storage.open(&key)?;
        let mut hasher = Hasher::new(algorithm);
        let mut offset = 0;
        while offset < data.size() {
            let piece = data
                .read_at(offset, REHASH_BUFFER)
                .map_err(|source| StorageError::Failed {
                    operation: "hash",
                    key: key.clone(),
                    source,
                })?;
            hasher.update(&piece);
            offset += piece.len() as u64;
        }
        Ok(hasher.finish())
    }
}

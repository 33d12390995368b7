//! Whether there is room for an upload: asked before its body is read.
//!
//! Below `storage.maintenance.minfree` uploads are refused; manifests are taken as long as the disk takes them, so
//! that a push whose blobs are there comes to its end. Pulls, mounts and deletes need no room.

use super::{Asked, Problem};
use crate::registry::content::Registry;
use crate::registry::error::ApiError;

impl Asked<'_> {
    pub async fn room(&self) -> Result<(), ApiError> {
        let space = self.content(Registry::space).await?;
        let Some(space) = space else { return Ok(()) };
        let floor = self.config.maintenance.min_free.of(space.total);
        if space.free >= floor {
            return Ok(());
        }
        tracing::warn!(
            free = space.free,
            floor,
            "an upload is refused: the storage is almost full"
        );
        Err(Problem::StorageFull.detail(format!(
            "{} bytes are free, and uploads need {floor}; pulls and deletes go on",
            space.free
        )))
    }
}

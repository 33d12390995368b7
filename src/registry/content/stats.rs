//! How much there is: counted anew each time, for there is no index that could be asked.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};

use super::{CareError, Registry, Watch};
use crate::registry::digest::{Algorithm, Digest};
use crate::registry::name::RepositoryName;
use crate::registry::storage::paths;

/// Everything in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    pub repositories: u64,
    pub tags: u64,
    pub manifests: u64,
    pub blobs: u64,
    /// What blobs and manifests take on the disk.
    pub bytes: u64,
    /// What they would take if repositories shared nothing.
    pub logical_bytes: u64,
    pub uploads: u64,
    pub upload_bytes: u64,
    /// Of the file system.
    pub free_bytes: Option<u64>,
    pub total_bytes: Option<u64>,
    /// The largest repositories, the largest first.
    pub largest: Vec<Size>,
}

/// One repository in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Size {
    /// With all that it shares.
    pub bytes: u64,
    pub name: String,
    pub tags: u64,
    pub manifests: u64,
    pub blobs: u64,
}

impl Registry {
    /// Counts everything, and names the `largest` repositories.
    pub fn stats(&self, largest: usize, watch: &dyn Watch) -> Result<Stats, CareError> {
        let mut stats = Stats::default();
        let mut ranked = BinaryHeap::new();
        self.each_repository(&mut |name| {
            watch.step("repositories", stats.repositories, None)?;
            stats.repositories += 1;
            let size = self.size(name)?;
            stats.tags += size.tags;
            stats.manifests += size.manifests;
            stats.logical_bytes += size.bytes;
            ranked.push(Reverse(size));
            if ranked.len() > largest {
                ranked.pop();
            }
            self.each_name(&paths::uploads(name), &mut |id| {
                let Ok(id) = id.parse() else { return Ok(()) };
                stats.uploads += 1;
                let data = self.storage.stat(&paths::upload_data(name, &id))?;
                stats.upload_bytes += data.map_or(0, |data| data.size);
                Ok(())
            })
        })?;
        for algorithm in Algorithm::ALL {
            for first in 0..=u8::MAX {
                watch.step("blobs", u64::from(first), Some(256))?;
                self.each_name(&paths::blobs_from(algorithm, first), &mut |hex| {
                    let Ok(digest) = Digest::from_parts(algorithm, hex) else {
                        return Ok(());
                    };
                    if let Some(data) = self.storage.stat(&paths::blob(&digest))? {
                        stats.blobs += 1;
                        stats.bytes += data.size;
                    }
                    Ok(())
                })?;
            }
        }
        if let Some(space) = self.storage.space()? {
            stats.free_bytes = Some(space.free);
            stats.total_bytes = Some(space.total);
        }
        stats.largest = ranked
            .into_sorted_vec()
            .into_iter()
            .map(|Reverse(size)| size)
            .collect();
        Ok(stats)
    }

    fn size(&self, name: &RepositoryName) -> Result<Size, CareError> {
        let mut size = Size {
            name: name.to_string(),
            ..Size::default()
        };
        let data = |stored: &Digest| -> Result<u64, CareError> {
            let data = self.storage.stat(&paths::blob(stored))?;
            Ok(data.map_or(0, |data| data.size))
        };
        for algorithm in Algorithm::ALL {
            self.each_layer(name, algorithm, &mut |digest| {
                size.blobs += 1;
                size.bytes += data(&self.linked(name, &digest)?)?;
                Ok(())
            })?;
        }
        for digest in self.revisions(name)? {
            size.manifests += 1;
            size.bytes += data(&self.revised(name, &digest)?)?;
        }
        self.each_tag(name, &mut |_, _| {
            size.tags += 1;
            Ok(())
        })?;
        Ok(size)
    }
}

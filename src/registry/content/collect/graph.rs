//! How the manifests of one repository keep each other.
//!
//! A tag keeps what it names. A manifest that is kept keeps those that it lists, those that refer to it by
//! `subject`, and the one that it refers to. What nobody can read is kept: it may name anything.

use std::collections::HashSet;

use crate::registry::content::repositories::Look;
use crate::registry::content::{CareError, Registry, Watch};
use crate::registry::digest::Digest;
use crate::registry::name::RepositoryName;

/// All manifests of a repository, and which keeps which.
pub struct Graph {
    /// Sorted.
    manifests: Vec<Digest>,
    /// From the number of one manifest to that of another that it keeps. Sorted.
    keeps: Vec<(u32, u32)>,
    unreadable: Vec<u32>,
}

impl Graph {
    pub fn read(registry: &Registry, name: &RepositoryName, watch: &dyn Watch) -> Result<Self, CareError> {
        let mut manifests = registry.revisions(name)?;
        manifests.sort_unstable();
        let (mut keeps, mut unreadable) = (Vec::new(), Vec::new());
        for (number, digest) in (0_u32..).zip(&manifests) {
            watch.step("manifests", u64::from(number), Some(manifests.len() as u64))?;
            let manifest = match registry.look(name, digest)? {
                Look::Sound(manifest) => manifest,
                Look::Unreadable(_) => {
                    unreadable.push(number);
                    continue;
                }
            };
            keeps.extend(
                manifest
                    .manifests
                    .iter()
                    .filter_map(|listed| find(&manifests, listed))
                    .map(|listed| (number, listed)),
            );
            if let Some(subject) = manifest.subject.and_then(|subject| find(&manifests, &subject)) {
                keeps.extend([(number, subject), (subject, number)]);
            }
        }
        keeps.sort_unstable();
        Ok(Self {
            manifests,
            keeps,
            unreadable,
        })
    }

    pub fn manifests(&self) -> &[Digest] {
        &self.manifests
    }

    /// Those that none of the `tagged` keeps, sorted.
    pub fn unkept(&self, tagged: &HashSet<Digest>) -> Vec<Digest> {
        let tagged = tagged.iter().filter_map(|digest| find(&self.manifests, digest));
        let kept = self.reach(tagged.chain(self.unreadable.iter().copied()));
        let unkept = self.manifests.iter().zip(kept).filter(|(_, kept)| !kept);
        unkept.map(|(digest, _)| digest.clone()).collect()
    }

    fn reach(&self, from: impl Iterator<Item = u32>) -> Vec<bool> {
        let mut kept = vec![false; self.manifests.len()];
        let mut open: Vec<u32> = from.collect();
        while let Some(number) = open.pop() {
            if std::mem::replace(&mut kept[number as usize], true) {
                continue;
            }
            let first = self.keeps.partition_point(|(from, _)| *from < number);
            let kept_by = self.keeps[first..].iter().take_while(|(from, _)| *from == number);
            open.extend(kept_by.map(|(_, to)| *to));
        }
        kept
    }

    /// Why a manifest is kept: those that keep it directly.
    pub fn keepers(&self, digest: &Digest) -> Vec<&Digest> {
        let Some(number) = find(&self.manifests, digest) else {
            return Vec::new();
        };
        let keepers = self.keeps.iter().filter(|(_, to)| *to == number);
        keepers.map(|(from, _)| &self.manifests[*from as usize]).collect()
    }
}

fn find(sorted: &[Digest], digest: &Digest) -> Option<u32> {
    sorted
        .binary_search(digest)
        .ok()
        .and_then(|number| u32::try_from(number).ok())
}

impl Registry {
    /// What the tags of a repository name.
    pub(in crate::registry::content) fn tagged(
        &self,
        name: &RepositoryName,
    ) -> Result<HashSet<Digest>, CareError> {
        let mut tagged = HashSet::new();
        self.each_tag(name, &mut |_, digest| {
            tagged.extend(digest);
            Ok(())
        })?;
        Ok(tagged)
    }
}

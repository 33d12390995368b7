//! How the manifests of one repository keep each other.
//!
//! A tag keeps what it names. A manifest that is kept keeps those that it lists, those that refer to it by
//! `subject`, and the one that it refers to. What nobody can read is kept: it may name anything.

use std::collections::HashSet;

use super::set::{Short, short};
use crate::registry::content::repositories::Look;
use crate::registry::content::{CareError, Registry, Watch};
use crate::registry::digest::{Algorithm, Digest};
use crate::registry::manifest::Manifest;
use crate::registry::name::RepositoryName;

/// What manifests mention is remembered up to so many, at 40 bytes each. With more, they are read once more.
const MAX_MENTIONS: usize = 65_536;

/// Something that a manifest names.
#[derive(Clone, Copy)]
pub struct Mention {
    pub digest: Short,
    pub algorithm: Algorithm,
    /// A blob, and not another manifest.
    pub is_blob: bool,
}

/// All that a manifest names.
pub fn mentions(manifest: &Manifest) -> impl Iterator<Item = Mention> {
    let mention = |is_blob| {
        move |digest: &Digest| Mention {
            digest: short(digest),
            algorithm: digest.algorithm(),
            is_blob,
        }
    };
    let blobs = manifest
        .blobs
        .iter()
        .chain(&manifest.elsewhere)
        .map(mention(true));
    blobs.chain(manifest.manifests.iter().map(mention(false)))
}

/// All manifests of a repository, and which keeps which.
pub struct Graph {
    /// Sorted.
    manifests: Vec<Digest>,
    /// From the number of one manifest to that of another that it keeps. Sorted.
    keeps: Vec<(u32, u32)>,
    unreadable: Vec<u32>,
    /// With the number of the manifest; sorted by it. None where it was too much.
    mentions: Option<Vec<(u32, Mention)>>,
}

impl Graph {
    /// Reads all `manifests` of a repository.
    pub fn read(
        registry: &Registry,
        name: &RepositoryName,
        mut manifests: Vec<Digest>,
        watch: &dyn Watch,
    ) -> Result<Self, CareError> {
        manifests.sort_unstable();
        let (mut keeps, mut unreadable) = (Vec::new(), Vec::new());
        let mut mentioned = Some(Vec::new());
        for (number, digest) in (0_u32..).zip(&manifests) {
            watch.step("manifests", u64::from(number), Some(manifests.len() as u64))?;
            let manifest = match registry.look(name, digest)? {
                Look::Sound(manifest) => manifest,
                Look::Unreadable(_) => {
                    unreadable.push(number);
                    continue;
                }
            };
            if let Some(all) = &mut mentioned {
                all.extend(mentions(&manifest).map(|mention| (number, mention)));
                if all.len() > MAX_MENTIONS {
                    mentioned = None;
                }
            }
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
            mentions: mentioned,
        })
    }

    pub fn manifests(&self) -> &[Digest] {
        &self.manifests
    }

    /// What one of them names; none where it is not remembered, or could not be read.
    pub fn mentions(&self, digest: &Digest) -> Option<impl Iterator<Item = Mention>> {
        let number = find(&self.manifests, digest)?;
        if self.unreadable.binary_search(&number).is_ok() {
            return None;
        }
        let all = self.mentions.as_ref()?;
        let first = all.partition_point(|(of, _)| *of < number);
        let its = all[first..].iter().take_while(move |(of, _)| *of == number);
        Some(its.map(|(_, mention)| *mention))
    }

    /// Those that none of the `tagged` keeps, sorted.
    pub fn unkept(&self, tagged: &HashSet<Digest>) -> Vec<Digest> {
        let tagged = tagged.iter().filter_map(|digest| find(&self.manifests, digest));
        let kept = self.reach(tagged.chain(self.unreadable.iter().copied()));
        let unkept = self.manifests.iter().zip(kept).filter(|(_, kept)| !kept);
        unkept.map(|(digest, _)| digest.clone()).collect()
    }

    /// Of `due`, groups whose members keep each other; and those that the `waiting` keep, which wait with them.
    pub fn groups(&self, due: Vec<Digest>, waiting: &[Digest]) -> (Vec<Vec<Digest>>, Vec<Digest>) {
        let kept = self.reach(waiting.iter().filter_map(|digest| find(&self.manifests, digest)));
        let (due, waiting_too): (Vec<_>, Vec<_>) = due
            .into_iter()
            .filter_map(|digest| Some((find(&self.manifests, &digest)?, digest)))
            .partition(|(number, _)| !kept[*number as usize]);
        let mut goes = vec![false; self.manifests.len()];
        for (number, _) in &due {
            goes[*number as usize] = true;
        }
        let mut roots: Vec<u32> = (0..).take(self.manifests.len()).collect();
        for (from, to) in &self.keeps {
            if goes[*from as usize] && goes[*to as usize] {
                let (from, to) = (root(&mut roots, *from), root(&mut roots, *to));
                roots[from as usize] = to;
            }
        }
        let rooted = due
            .into_iter()
            .map(|(number, digest)| (root(&mut roots, number), digest));
        let mut numbered: Vec<_> = rooted.collect();
        numbered.sort_unstable();
        let groups = numbered.chunk_by(|(one, _), (other, _)| one == other);
        let members = |group: &[(u32, Digest)]| group.iter().map(|(_, digest)| digest.clone()).collect();
        let waiting_too = waiting_too.into_iter().map(|(_, digest)| digest);
        (groups.map(members).collect(), waiting_too.collect())
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

/// The first of those that are joined with this one.
fn root(roots: &mut [u32], mut number: u32) -> u32 {
    while roots[number as usize] != number {
        let next = roots[number as usize];
        roots[number as usize] = roots[next as usize];
        number = next;
    }
    number
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

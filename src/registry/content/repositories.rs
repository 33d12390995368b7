//! All that care goes over: the repositories of a tree, those without manifests too, and what lies in one.

use super::manifests::MAX_STORED_MANIFEST;
use super::{CareError, ContentError, Registry};
use crate::registry::digest::{Algorithm, Digest};
use crate::registry::manifest::Manifest;
use crate::registry::name::{RepositoryName, Tag};
use crate::registry::storage::{Key, StorageError, paths};

/// Names of a folder that are in memory at once.
const PAGE: usize = 65_536;

/// What a revision's data turned out to be.
pub enum Look {
    Sound(Box<Manifest>),
    /// Gone, damaged, or of a kind that is not known: nobody can say what it refers to.
    Unreadable(String),
}

impl Registry {
    /// Goes through all repositories, with memory for the names of the folders above each.
    pub fn each_repository(
        &self,
        visit: &mut dyn FnMut(&RepositoryName) -> Result<(), CareError>,
    ) -> Result<(), CareError> {
        self.each_below(&paths::repositories(), None, visit)
    }

    fn each_below(
        &self,
        folder: &Key,
        name: Option<&RepositoryName>,
        visit: &mut dyn FnMut(&RepositoryName) -> Result<(), CareError>,
    ) -> Result<(), CareError> {
        let children = self.storage.list(folder, None, usize::MAX)?;
        // Distribution's own folders begin with an underscore, and no segment of a name does.
        if let Some(name) = name
            && children.iter().any(|child| child.starts_with('_'))
        {
            visit(name)?;
        }
        for child in children {
            let full = name.map_or_else(|| child.clone(), |name| format!("{name}/{child}"));
            if let Ok(name) = full.parse::<RepositoryName>() {
                self.each_below(&paths::repository(&name), Some(&name), visit)?;
            }
        }
        Ok(())
    }

    /// Goes through the names right under a key, in order.
    pub(super) fn each_name(
        &self,
        folder: &Key,
        visit: &mut dyn FnMut(&str) -> Result<(), CareError>,
    ) -> Result<(), CareError> {
        let mut after = None;
        loop {
            let page = self.storage.list(folder, after.as_deref(), PAGE)?;
            for name in &page {
                visit(name)?;
            }
            if page.len() < PAGE {
                return Ok(());
            }
            after = page.last().cloned();
        }
    }

    /// The digests of all manifests of a repository.
    pub(super) fn revisions(&self, name: &RepositoryName) -> Result<Vec<Digest>, CareError> {
        Ok(self.revisions_and_remains(name)?.0)
    }

    /// The same, and those of which only the folder is there: distribution deletes a manifest's link and leaves that.
    pub(super) fn revisions_and_remains(
        &self,
        name: &RepositoryName,
    ) -> Result<(Vec<Digest>, Vec<Digest>), CareError> {
        let (mut found, mut remains) = (Vec::new(), Vec::new());
        for algorithm in Algorithm::ALL {
            let folder = paths::revisions(name, algorithm);
            let hexes = self.storage.list(&folder, None, usize::MAX)?;
            let links: Vec<String> = hexes.iter().map(|hex| format!("{hex}/link")).collect();
            let stamps = self
                .storage
                .stamps(&folder, &mut links.iter().map(String::as_str))?;
            for (hex, stamp) in hexes.iter().zip(stamps) {
                let of_kind = if stamp.is_some() { &mut found } else { &mut remains };
                of_kind.extend(Digest::from_parts(algorithm, hex));
            }
        }
        Ok((found, remains))
    }

    /// The digests of all blobs that a repository has links to.
    pub(super) fn each_layer(
        &self,
        name: &RepositoryName,
        algorithm: Algorithm,
        visit: &mut dyn FnMut(Digest) -> Result<(), CareError>,
    ) -> Result<(), CareError> {
        self.each_name(&paths::layers_of(name, algorithm), &mut |hex| {
            Digest::from_parts(algorithm, hex).map_or(Ok(()), &mut *visit)
        })
    }

    /// All tags of a repository, with what they name. A tag whose link is damaged names nothing.
    pub(super) fn each_tag(
        &self,
        name: &RepositoryName,
        visit: &mut dyn FnMut(Tag, Option<Digest>) -> Result<(), CareError>,
    ) -> Result<(), CareError> {
        self.each_name(&paths::tags(name), &mut |text| {
            let Ok(tag) = text.parse::<Tag>() else {
                return Ok(());
            };
            match self.link(&paths::tag_current(name, &tag)) {
                Ok(Some(digest)) => visit(tag, Some(digest)),
                // What a crash in the middle of a first push leaves.
                Ok(None) => Ok(()),
                Err(ContentError::LinkDamaged { .. }) => visit(tag, None),
                Err(error) => Err(error.into()),
            }
        })
    }

    /// The blob that a link stands for. Only links by another algorithm than SHA-256 may name another digest
    /// (distribution stores all by SHA-256), so that the others need not be read.
    pub(super) fn linked(&self, name: &RepositoryName, digest: &Digest) -> Result<Digest, CareError> {
        if digest.algorithm() == Algorithm::Sha256 {
            return Ok(digest.clone());
        }
        match self.link(&paths::layer_link(name, digest)) {
            Ok(stored) => Ok(stored.unwrap_or_else(|| digest.clone())),
            Err(ContentError::LinkDamaged { .. }) => Ok(digest.clone()),
            Err(error) => Err(error.into()),
        }
    }

    /// Where a manifest's bytes are: elsewhere for the same reason.
    pub(super) fn revised(&self, name: &RepositoryName, digest: &Digest) -> Result<Digest, CareError> {
        if digest.algorithm() == Algorithm::Sha256 {
            return Ok(digest.clone());
        }
        match self.link(&paths::revision_link(name, digest)) {
            Ok(stored) => Ok(stored.unwrap_or_else(|| digest.clone())),
            Err(ContentError::LinkDamaged { .. }) => Ok(digest.clone()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a manifest for what it refers to, past every cache.
    pub(super) fn look(&self, name: &RepositoryName, digest: &Digest) -> Result<Look, CareError> {
        let stored = self.revised(name, digest)?;
        let bytes = match self.storage.read(&paths::blob(&stored), MAX_STORED_MANIFEST) {
            Err(StorageError::NotFound { .. }) => return Ok(Look::Unreadable("its data is gone".to_owned())),
            Err(StorageError::TooLarge { .. }) => {
                return Ok(Look::Unreadable("it is no manifest".to_owned()));
            }
            bytes => bytes?,
        };
        if Digest::of(digest.algorithm(), &bytes) != *digest {
            return Ok(Look::Unreadable("it is damaged".to_owned()));
        }
        Ok(match Manifest::parse(&bytes) {
            Ok(manifest) => Look::Sound(Box::new(manifest)),
            Err(error) => Look::Unreadable(error.to_string()),
        })
    }
}

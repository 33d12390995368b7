//! Taking images in: one pass over a tar stream, then manifests and tags.
//!
//! Nobody knows what an image is called before the whole stream is read. Its blobs wait in a repository of
//! their own, which is gone at the end; should the end never come, they are the collector's.

use std::collections::HashMap;
use std::io::{self, Read};

use super::{ExchangeError, Image, Imported, Into, docker, oci};
use crate::registry::content::{Registry, Watch};
use crate::registry::digest::{Algorithm, Digest};
use crate::registry::manifest::Manifest;
use crate::registry::name::{Reference, RepositoryName, Tag, UploadId};

/// Lists of images, and configurations, are no larger.
pub(super) const MAX_DOCUMENT: u64 = 16 << 20;
/// Indexes of indexes of indexes: nobody goes deeper.
const MAX_DEPTH: usize = 8;

/// What was found in the stream so far.
pub(super) struct Taking<'a> {
    pub registry: &'a Registry,
    /// Where the blobs wait.
    pub waiting: RepositoryName,
    pub report: Imported,
    /// Small files at the top, by path.
    pub documents: HashMap<String, Vec<u8>>,
    /// Files of a docker archive that became blobs.
    pub files: HashMap<String, docker::Stored>,
    /// Links of a docker archive, with what they point to.
    pub links: HashMap<String, String>,
}

/// Takes in all images of a tar stream.
pub fn import(
    registry: &Registry,
    content: &mut dyn Read,
    into: &Into,
    watch: &dyn Watch,
) -> Result<Imported, ExchangeError> {
    let name = format!("regdeploy-import/{}", UploadId::random());
    let waiting: RepositoryName = name
        .parse()
        .expect("hexadecimal words joined by dashes are a name");
    let mut taking = Taking {
        registry,
        waiting: waiting.clone(),
        report: Imported::default(),
        documents: HashMap::new(),
        files: HashMap::new(),
        links: HashMap::new(),
    };
    let taken = taking.read(content, watch).and_then(|()| {
        let images = if taking.documents.contains_key(oci::INDEX) {
            oci::images(&mut taking)?
        } else {
            docker::images(&mut taking)?
        };
        taking.place(&images, into)
    });
    registry.drop_repository(&waiting)?;
    taken?;
    Ok(taking.report)
}

/// An image of the stream.
pub(super) struct Found {
    pub digest: Digest,
    /// As the archive writes it.
    pub name: Option<String>,
}

impl Taking<'_> {
    fn read(&mut self, content: &mut dyn Read, watch: &dyn Watch) -> Result<(), ExchangeError> {
        let mut archive = tar::Archive::new(&mut *content);
        for entry in archive.entries().map_err(ExchangeError::Read)? {
            let mut entry = entry.map_err(ExchangeError::Read)?;
            watch.step("blobs", self.report.blobs, None)?;
            let path = entry.path().map_err(ExchangeError::Read)?;
            let path = path.to_string_lossy().trim_start_matches("./").to_owned();
            let kind = entry.header().entry_type();
            if kind.is_symlink() || kind.is_hard_link() {
                if let Ok(Some(target)) = entry.link_name() {
                    let target = docker::resolved(&path, &target.to_string_lossy(), kind.is_symlink());
                    self.links.insert(path, target);
                }
            } else if kind.is_file() {
                self.file(path, &mut entry)?;
            }
        }
        // What stands behind the end of the archive: whoever sends it waits until it is taken.
        io::copy(content, &mut io::sink()).map_err(ExchangeError::Read)?;
        Ok(())
    }

    fn file(&mut self, path: String, content: &mut dyn Read) -> Result<(), ExchangeError> {
        if let Some(digest) = oci::blob(&path)? {
            let (digest, size) = self.take(&path, content, Some(&digest))?;
            self.files.insert(
                path,
                docker::Stored {
                    digest,
                    size,
                    media_type: docker::LAYER,
                },
            );
        } else if path == oci::LAYOUT || path == oci::INDEX || path == docker::MANIFEST {
            let document = document(&path, content)?;
            self.documents.insert(path, document);
        } else if let Some(stored) = docker::file(self, &path, content)? {
            self.files.insert(path, stored);
        }
        Ok(())
    }

    pub fn take(
        &mut self,
        path: &str,
        content: &mut dyn Read,
        announced: Option<&Digest>,
    ) -> Result<(Digest, u64), ExchangeError> {
        let taken = self.registry.take_blob(&self.waiting, content, announced);
        let (digest, size) = taken.map_err(|source| ExchangeError::Image {
            image: path.to_owned(),
            source,
        })?;
        self.report.blobs += 1;
        self.report.bytes += size;
        Ok((digest, size))
    }

    fn place(&mut self, images: &[Found], into: &Into) -> Result<(), ExchangeError> {
        if images.is_empty() {
            return Err(ExchangeError::Empty);
        }
        if into.tag.is_some() && images.iter().any(|image| image.digest != images[0].digest) {
            return Err(ExchangeError::OneTag(images.len()));
        }
        // All of them have names, or none is placed.
        let mut places = Vec::new();
        for image in images {
            places.push(into.place(image.name.as_deref(), image.digest.as_str())?);
        }
        for image in images {
            self.complete(&image.digest, MAX_DEPTH)?;
        }
        for (image, (repository, tag)) in images.iter().zip(places) {
            self.manifest(&repository, &image.digest, tag.as_ref())?;
            self.report.images.push(Image {
                repository: repository.to_string(),
                tag: tag.map(|tag| tag.to_string()),
                digest: image.digest.to_string(),
            });
        }
        Ok(())
    }

    /// Whether all that a manifest needs has come.
    fn complete(&self, digest: &Digest, depth: usize) -> Result<(), ExchangeError> {
        let manifest = Manifest::parse(&self.bytes(digest)?)?;
        let within = depth.checked_sub(1).ok_or_else(|| ExchangeError::Archive {
            path: digest.to_string(),
            reason: "an index within too many others".to_owned(),
        })?;
        for listed in &manifest.manifests {
            if self.is_manifest(listed)? {
                self.complete(listed, within)?;
            }
        }
        for blob in &manifest.blobs {
            self.size(blob)?;
        }
        Ok(())
    }

    /// Some lists name blobs: buildkit's cache does.
    fn is_manifest(&self, digest: &Digest) -> Result<bool, ExchangeError> {
        Ok(self.size(digest)? <= MAX_DOCUMENT && Manifest::parse(&self.bytes(digest)?).is_ok())
    }

    /// Puts a manifest with all that it names into its repository.
    fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        tag: Option<&Tag>,
    ) -> Result<(), ExchangeError> {
        let bytes = self.bytes(digest)?;
        let manifest = Manifest::parse(&bytes)?;
        for listed in &manifest.manifests {
            if self.is_manifest(listed)? {
                self.manifest(repository, listed, None)?;
            } else if !self.registry.mount(repository, &self.waiting, listed)? {
                return Err(ExchangeError::Missing(listed.to_string()));
            }
        }
        for (blob, needed) in manifest
            .blobs
            .iter()
            .map(|blob| (blob, true))
            .chain(manifest.elsewhere.iter().map(|blob| (blob, false)))
        {
            if !self.registry.mount(repository, &self.waiting, blob)? && needed {
                return Err(ExchangeError::Missing(blob.to_string()));
            }
        }
        let reference = Reference::Digest(digest.clone());
        let tags: Vec<Tag> = tag.cloned().into_iter().collect();
        let put = self
            .registry
            .put_manifest(repository, &reference, &tags, &bytes, None);
        put.map(drop).map_err(|source| ExchangeError::Image {
            image: format!("{repository}@{digest}"),
            source,
        })
    }

    fn size(&self, digest: &Digest) -> Result<u64, ExchangeError> {
        let content = self.registry.blob(&self.waiting, digest);
        let content = content.map_err(|_| ExchangeError::Missing(digest.to_string()))?;
        Ok(content.size())
    }

    fn bytes(&self, digest: &Digest) -> Result<Vec<u8>, ExchangeError> {
        let content = self
            .registry
            .blob(&self.waiting, digest)
            .map_err(|_| ExchangeError::Missing(digest.to_string()))?;
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < content.size() {
            if content.size() > MAX_DOCUMENT {
                return Err(ExchangeError::Archive {
                    path: digest.to_string(),
                    reason: "no manifest: it is too large".to_owned(),
                });
            }
            let piece = content.read_at(bytes.len() as u64, 1 << 20);
            bytes.extend_from_slice(&piece.map_err(ExchangeError::Read)?);
        }
        Ok(bytes)
    }

    /// Puts a document that was made here among the blobs.
    pub fn made(&mut self, document: &[u8]) -> Result<Digest, ExchangeError> {
        let digest = Digest::of(Algorithm::Sha256, document);
        let mut content = document;
        let (digest, _) = self.take("a manifest", &mut content, Some(&digest))?;
        Ok(digest)
    }
}

pub(super) fn document(path: &str, content: &mut dyn Read) -> Result<Vec<u8>, ExchangeError> {
    let mut document = Vec::new();
    content
        .take(MAX_DOCUMENT + 1)
        .read_to_end(&mut document)
        .map_err(ExchangeError::Read)?;
    if document.len() as u64 > MAX_DOCUMENT {
        return Err(ExchangeError::Archive {
            path: path.to_owned(),
            reason: "too large".to_owned(),
        });
    }
    Ok(document)
}

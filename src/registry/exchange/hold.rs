//! An image that is held: all of its content is open, and stays readable whatever is deleted or collected meanwhile.
//!
//! What collects is another process as a rule, which nobody asks to wait. So where something goes while it is being
//! opened, one begins anew with what the name stands for by then.

use std::collections::HashMap;
use std::sync::Arc;

use super::ExchangeError;
use super::export::shown;
use crate::registry::content::{ContentError, Registry, StoredManifest};
use crate::registry::digest::Digest;
use crate::registry::name::{Reference, RepositoryName};
use crate::registry::storage::Content;

/// How often one begins: each time a tag would have to move, and what it named be collected, in the milliseconds
/// that opening takes.
const ATTEMPTS: u32 = 10;

/// An image's content.
#[derive(Default)]
pub struct Held {
    pub manifests: HashMap<Digest, Arc<StoredManifest>>,
    pub blobs: HashMap<Digest, Arc<dyn Content>>,
}

/// What is to be held.
pub struct Holding<'a> {
    pub registry: &'a Registry,
    pub name: &'a RepositoryName,
    pub reference: &'a Reference,
}

impl Holding<'_> {
    /// Opens all of the image, or of that manifest which `choose` picks instead of an index.
    pub fn hold(
        &self,
        choose: impl Fn(&StoredManifest) -> Result<Option<Digest>, ExchangeError>,
    ) -> Result<(Held, Arc<StoredManifest>), ExchangeError> {
        let mut attempts = 1;
        loop {
            match self.open(&choose) {
                Err(ExchangeError::Image {
                    source: ContentError::ManifestUnknown | ContentError::BlobUnknown,
                    ..
                }) if attempts < ATTEMPTS => attempts += 1,
                opened => return opened,
            }
        }
    }

    fn open(
        &self,
        choose: impl Fn(&StoredManifest) -> Result<Option<Digest>, ExchangeError>,
    ) -> Result<(Held, Arc<StoredManifest>), ExchangeError> {
        let mut image = self.manifest(self.reference)?;
        if let Some(chosen) = choose(&image)? {
            image = self.manifest(&Reference::Digest(chosen))?;
        }
        let mut held = Held::default();
        self.below(&image, &mut held)?;
        Ok((held, image))
    }

    fn below(&self, manifest: &StoredManifest, held: &mut Held) -> Result<(), ExchangeError> {
        let registry = self.registry;
        for listed in &manifest.manifest.manifests {
            if held.manifests.contains_key(listed) {
                continue;
            }
            if registry.has_manifest(self.name, listed)? {
                let found = self.manifest(&Reference::Digest(listed.clone()))?;
                held.manifests.insert(listed.clone(), Arc::clone(&found));
                self.below(&found, held)?;
            } else {
                self.blob(listed, held)?;
            }
        }
        for digest in &manifest.manifest.blobs {
            self.blob(digest, held)?;
        }
        for digest in &manifest.manifest.elsewhere {
            if registry.has_blob(self.name, digest)? {
                self.blob(digest, held)?;
            }
        }
        Ok(())
    }

    fn manifest(&self, reference: &Reference) -> Result<Arc<StoredManifest>, ExchangeError> {
        let found = self.registry.manifest(self.name, reference);
        found.map_err(|source| ExchangeError::Image {
            image: shown(self.name, reference),
            source,
        })
    }

    fn blob(&self, digest: &Digest, held: &mut Held) -> Result<(), ExchangeError> {
        if held.blobs.contains_key(digest) {
            return Ok(());
        }
        let opened = self.registry.blob(self.name, digest);
        let opened = opened.map_err(|source| ExchangeError::Image {
            image: format!("{}@{digest}", self.name),
            source,
        })?;
        held.blobs.insert(digest.clone(), opened);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};
    use std::time::Duration;

    use super::super::{Format, Platform, Sink, export};
    use super::*;
    use crate::registry::content::Unwatched;
    use crate::registry::content::collect::Options;
    use crate::registry::digest::Algorithm;
    use crate::registry::storage::Filesystem;

    /// Takes everything away as soon as the first byte is written.
    struct Worst<'a> {
        registry: &'a Registry,
        folder: &'a tempfile::TempDir,
        files: Vec<(String, Vec<u8>)>,
    }

    impl Sink for Worst<'_> {
        fn put(&mut self, path: &str, _: u64, content: &mut dyn Read) -> io::Result<()> {
            // Nothing of an image is in this one.
            if path == "oci-layout" {
                return Ok(());
            }
            self.registry.drop_repository(&"a".parse().unwrap()).unwrap();
            let options = Options {
                grace: Duration::ZERO,
                untagged: true,
                dry_run: false,
            };
            self.registry
                .collect(options, self.folder.path(), &Unwatched)
                .unwrap();
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            self.files.push((path.to_owned(), bytes));
            Ok(())
        }

        fn finish(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_image_that_is_deleted_and_collected_meanwhile_comes_out_whole() {
        for format in [Format::Oci, Format::Docker] {
            let folder = tempfile::tempdir().unwrap();
            let registry = Registry::new(Arc::new(Filesystem::new(folder.path()).unwrap()));
            let (name, tag) = ("a".parse().unwrap(), Reference::Tag("v1".parse().unwrap()));
            let blob = |text: &str| registry.take_blob(&name, &mut text.as_bytes(), None).unwrap().0;
            let (config, layers) = (blob("{}"), [blob("one"), blob("two")]);
            let text = format!(
                r#"{{"schemaVersion":2,"config":{{"digest":"{config}"}},"layers":[{{"digest":"{}"}},{{"digest":"{}"}}]}}"#,
                layers[0], layers[1]
            );
            registry
                .put_manifest(&name, &tag, &[], text.as_bytes(), None)
                .unwrap();
            let mut sink = Worst {
                registry: &registry,
                folder: &folder,
                files: Vec::new(),
            };
            let images = [(name.clone(), tag)];
            let platform = Platform::here();
            export(&registry, &images, format, &platform, &mut sink, &Unwatched).unwrap();
            for content in ["{}", "one", "two"] {
                let digest = Digest::of(Algorithm::Sha256, content.as_bytes());
                let found = sink.files.iter().find(|(path, _)| path.contains(digest.hex()));
                assert_eq!(found.unwrap().1, content.as_bytes());
                let hex = digest.hex();
                let data = format!("docker/registry/v2/blobs/sha256/{}/{hex}", &hex[..2]);
                assert!(!folder.path().join(data).exists(), "the collector had its turn");
            }
        }
    }
}

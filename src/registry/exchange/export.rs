//! Giving images out: all of an image is open before any of it is written ([`hold`](super::hold)), and
//! everything is held against its digest on the way.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hold::{Held, Holding};
use super::sink::Sink;
use super::{ExchangeError, Image, docker, oci};
use crate::registry::content::{ContentError, Registry, StoredManifest, Watch};
use crate::registry::digest::{Digest, Hasher};
use crate::registry::name::{Reference, RepositoryName};
use crate::registry::storage::Content;

/// Read at once.
const PIECE: usize = 1 << 20;
/// A configuration is no larger.
const MAX_CONFIG: usize = 16 << 20;

/// What an archive looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Oci,
    Docker,
}

/// The platform of the one image that a docker archive can hold of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    pub variant: Option<String>,
}

impl Platform {
    /// This machine's, in the words of image-spec.
    pub fn here() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: None,
        }
    }

    fn is(&self, platform: &Value) -> bool {
        let text = |key: &str| platform.get(key).and_then(Value::as_str);
        text("os") == Some(&self.os)
            && text("architecture") == Some(&self.architecture)
            && self
                .variant
                .as_deref()
                .is_none_or(|variant| text("variant") == Some(variant))
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split('/').map(str::to_owned);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(os), Some(architecture), variant, None) if !os.is_empty() && !architecture.is_empty() => {
                Ok(Self {
                    os,
                    architecture,
                    variant,
                })
            }
            _ => Err("a platform is written linux/amd64 or linux/arm/v7".to_owned()),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant
            .iter()
            .try_for_each(|variant| write!(f, "/{variant}"))
    }
}

/// What was given out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    pub images: Vec<Image>,
    pub blobs: u64,
    pub bytes: u64,
}

/// Writes images to a sink.
pub fn export(
    registry: &Registry,
    images: &[(RepositoryName, Reference)],
    format: Format,
    platform: &Platform,
    sink: &mut dyn Sink,
    watch: &dyn Watch,
) -> Result<Exported, ExchangeError> {
    let mut giving = Giving {
        registry,
        held: Held::default(),
        sink,
        watch,
        written: HashSet::new(),
        report: Exported::default(),
    };
    match format {
        Format::Oci => giving.oci(images)?,
        Format::Docker => giving.docker(images, platform)?,
    }
    giving.sink.finish().map_err(|source| ExchangeError::Write {
        path: "the archive's end".to_owned(),
        source,
    })?;
    Ok(giving.report)
}

struct Giving<'a> {
    registry: &'a Registry,
    /// The image that is being given out.
    held: Held,
    sink: &'a mut dyn Sink,
    watch: &'a dyn Watch,
    written: HashSet<String>,
    report: Exported,
}

impl Giving<'_> {
    /// Holds an image, and nothing of the last one any more.
    fn hold(
        &mut self,
        name: &RepositoryName,
        reference: &Reference,
        platform: Option<&Platform>,
    ) -> Result<Arc<StoredManifest>, ExchangeError> {
        self.held = Held::default();
        let holding = Holding {
            registry: self.registry,
            name,
            reference,
        };
        let (held, image) = holding.hold(|found| match platform {
            Some(platform) => Self::for_platform(name, reference, found, platform),
            None => Ok(None),
        })?;
        self.held = held;
        Ok(image)
    }

    fn oci(&mut self, images: &[(RepositoryName, Reference)]) -> Result<(), ExchangeError> {
        self.put(oci::LAYOUT, &oci::layout())?;
        let mut listed = Vec::new();
        for (name, reference) in images {
            let found = self.hold(name, reference, None)?;
            self.oci_manifest(name, &found)?;
            // Alone, an image goes by its tag; among others by its whole name.
            let called = match reference {
                Reference::Tag(tag) if images.len() == 1 => Some(tag.to_string()),
                Reference::Tag(tag) => Some(format!("{name}:{tag}")),
                Reference::Digest(_) => None,
            };
            self.given(name, reference, &found.digest);
            listed.push((found, called));
        }
        let index = oci::index(listed.iter().map(|(found, called)| {
            let media_type = found.manifest.media_type.as_str();
            (media_type, &found.digest, found.bytes.len(), called.as_deref())
        }));
        self.put(oci::INDEX, &index)
    }

    fn oci_manifest(&mut self, name: &RepositoryName, found: &StoredManifest) -> Result<(), ExchangeError> {
        for listed in &found.manifest.manifests {
            // Some lists name blobs: buildkit's cache does.
            match self.held.manifests.get(listed).cloned() {
                Some(listed) => self.oci_manifest(name, &listed)?,
                None => self.blob(name, listed)?,
            }
        }
        for digest in &found.manifest.blobs {
            self.blob(name, digest)?;
        }
        for digest in &found.manifest.elsewhere {
            if self.held.blobs.contains_key(digest) {
                self.blob(name, digest)?;
            }
        }
        self.put(&place(&found.digest), &found.bytes)
    }

    fn blob(&mut self, name: &RepositoryName, digest: &Digest) -> Result<(), ExchangeError> {
        self.watch.step("blobs", self.report.blobs, None)?;
        let path = place(digest);
        if self.written.contains(&path) {
            return Ok(());
        }
        let mut reading = self.open(name, digest)?;
        let size = reading.content.size();
        self.write(path, size, &mut reading)
    }

    fn open(&self, name: &RepositoryName, digest: &Digest) -> Result<Reading, ExchangeError> {
        let content = self.held.blobs.get(digest);
        let content = content.ok_or_else(|| ExchangeError::Image {
            image: format!("{name}@{digest}"),
            source: ContentError::BlobUnknown,
        })?;
        Ok(Reading {
            content: Arc::clone(content),
            offset: 0,
            hasher: Some(Hasher::new(digest.algorithm())),
            digest: digest.clone(),
        })
    }

    fn put(&mut self, path: &str, bytes: &[u8]) -> Result<(), ExchangeError> {
        if self.written.contains(path) {
            return Ok(());
        }
        let mut content = bytes;
        self.write(path.to_owned(), bytes.len() as u64, &mut content)
    }

    fn write(&mut self, path: String, size: u64, content: &mut dyn Read) -> Result<(), ExchangeError> {
        self.sink
            .put(&path, size, content)
            .map_err(|source| ExchangeError::Write {
                path: path.clone(),
                source,
            })?;
        self.written.insert(path);
        self.report.blobs += 1;
        self.report.bytes += size;
        Ok(())
    }

    fn given(&mut self, name: &RepositoryName, reference: &Reference, digest: &Digest) {
        self.report.images.push(Image {
            repository: name.to_string(),
            tag: match reference {
                Reference::Tag(tag) => Some(tag.to_string()),
                Reference::Digest(_) => None,
            },
            digest: digest.to_string(),
        });
    }

    fn docker(
        &mut self,
        images: &[(RepositoryName, Reference)],
        platform: &Platform,
    ) -> Result<(), ExchangeError> {
        let mut entries: Vec<docker::Entry> = Vec::new();
        for (name, reference) in images {
            let image = self.hold(name, reference, Some(platform))?;
            let entry = self.docker_image(name, reference, &image)?;
            self.given(name, reference, &image.digest);
            entries.push(entry);
        }
        let list = serde_json::to_vec(&entries).unwrap_or_default();
        self.put(docker::MANIFEST, &list)
    }

    /// Of an index the image of the platform; none where it is an image itself.
    fn for_platform(
        name: &RepositoryName,
        reference: &Reference,
        found: &StoredManifest,
        platform: &Platform,
    ) -> Result<Option<Digest>, ExchangeError> {
        if found.manifest.manifests.is_empty() {
            return Ok(None);
        }
        let document: Value = serde_json::from_slice(&found.bytes).unwrap_or_default();
        let listed = document["manifests"].as_array().map_or(&[][..], Vec::as_slice);
        let fitting = listed.iter().find(|entry| platform.is(&entry["platform"]));
        let Some(digest) = fitting.and_then(|entry| entry["digest"].as_str()?.parse().ok()) else {
            let offered: Vec<String> = listed
                .iter()
                .map(|entry| {
                    let text = |key: &str| entry["platform"][key].as_str().unwrap_or("unknown").to_owned();
                    format!("{}/{}", text("os"), text("architecture"))
                })
                .collect();
            return Err(ExchangeError::Platform {
                image: shown(name, reference),
                platform: platform.to_string(),
                offered: offered.join(", "),
            });
        };
        Ok(Some(digest))
    }

    fn docker_image(
        &mut self,
        name: &RepositoryName,
        reference: &Reference,
        image: &StoredManifest,
    ) -> Result<docker::Entry, ExchangeError> {
        let document: Value = serde_json::from_slice(&image.bytes).unwrap_or_default();
        let named = |descriptor: &Value| -> Result<Digest, ExchangeError> {
            let text = descriptor["digest"].as_str().unwrap_or_default();
            text.parse().map_err(|source| ExchangeError::Digest {
                digest: text.to_owned(),
                source,
            })
        };
        let config = named(&document["config"])?;
        let mut bytes = Vec::new();
        self.open(name, &config)?
            .take(MAX_CONFIG as u64)
            .read_to_end(&mut bytes)
            .map_err(ExchangeError::Read)?;
        let config_path = format!("{}.json", config.hex());
        self.put(&config_path, &bytes)?;
        let mut layers = Vec::new();
        for layer in document["layers"].as_array().map_or(&[][..], Vec::as_slice) {
            self.watch.step("layers", self.report.blobs, None)?;
            let digest = named(layer)?;
            let path = format!("{}/layer.tar", digest.hex());
            if !self.written.contains(&path) {
                let media_type = layer["mediaType"].as_str().unwrap_or_default();
                // Once for the size, which stands before the content.
                let unpacked = |giving: &Self| {
                    let reading = giving.open(name, &digest)?;
                    unpacked(reading, media_type, || shown(name, reference))
                };
                let size = io::copy(&mut unpacked(self)?, &mut io::sink()).map_err(ExchangeError::Read)?;
                let mut content = unpacked(self)?;
                self.write(path.clone(), size, &mut content)?;
            }
            layers.push(path);
        }
        Ok(docker::Entry {
            config: config_path,
            repo_tags: match reference {
                Reference::Tag(tag) => Some(vec![format!("{name}:{tag}")]),
                Reference::Digest(_) => None,
            },
            layers,
        })
    }
}

/// A layer as docker's form has it.
fn unpacked(
    mut reading: Reading,
    media_type: &str,
    image: impl FnOnce() -> String,
) -> Result<Box<dyn Read>, ExchangeError> {
    let mut start = [0; 4];
    let length = reading.peek(&mut start).map_err(ExchangeError::Read)?;
    Ok(match &start[..length] {
        [0x1f, 0x8b, ..] => Box::new(Drained(MultiGzDecoder::new(io::BufReader::with_capacity(
            PIECE, reading,
        )))),
        [0x28, 0xb5, 0x2f, 0xfd] => {
            let decoder = zstd::stream::read::Decoder::new(reading).map_err(ExchangeError::Read)?;
            Box::new(decoder)
        }
        _ if media_type.ends_with("+gzip") || media_type.ends_with("+zstd") => {
            return Err(ExchangeError::Compression {
                image: image(),
                digest: reading.digest,
                media_type: media_type.to_owned(),
            });
        }
        _ => Box::new(reading),
    })
}

/// Reads what a decoder leaves behind the end of its data, so that all of a blob is held against its digest.
struct Drained<R: io::BufRead>(MultiGzDecoder<R>);

impl<R: io::BufRead> Read for Drained<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.0.read(into)?;
        if length == 0 && !into.is_empty() {
            io::copy(self.0.get_mut(), &mut io::sink())?;
        }
        Ok(length)
    }
}

/// A blob being read; at its end its digest must be what it was asked for by.
struct Reading {
    content: Arc<dyn Content>,
    offset: u64,
    hasher: Option<Hasher>,
    digest: Digest,
}

impl Reading {
    fn peek(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.content.size() == 0 {
            return Ok(0);
        }
        let piece = self.content.read_at(0, into.len())?;
        into[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

impl Read for Reading {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.offset >= self.content.size() {
            return match self.hasher.take().map(Hasher::finish) {
                Some(computed) if computed != self.digest => {
                    Err(io::Error::other(ExchangeError::Damaged(self.digest.clone())))
                }
                _ => Ok(0),
            };
        }
        let piece = self.content.read_at(self.offset, into.len().min(PIECE))?;
        into[..piece.len()].copy_from_slice(&piece);
        self.offset += piece.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&piece);
        }
        Ok(piece.len())
    }
}

fn place(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

pub(super) fn shown(name: &RepositoryName, reference: &Reference) -> String {
    match reference {
        Reference::Tag(tag) => format!("{name}:{tag}"),
        Reference::Digest(digest) => format!("{name}@{digest}"),
    }
}

/// A name as people write it: `app:v1`, `app@sha256:...`; without either, the tag `latest`.
pub fn image(text: &str) -> Result<(RepositoryName, Reference), ExchangeError> {
    let wrong = |source| ExchangeError::Name {
        name: text.to_owned(),
        source,
    };
    let (name, reference) = match text.split_once('@') {
        Some(parts) => parts,
        None => text.rsplit_once(':').unwrap_or((text, "latest")),
    };
    Ok((name.parse().map_err(wrong)?, reference.parse().map_err(wrong)?))
}

//! Images in files: into the registry and out of it, without a client.
//!
//! | form | written by |
//! |---|---|
//! | OCI layout, a folder or a tar archive of it | `skopeo copy ... oci:` and `oci-archive:`, `buildah push`, `docker save` from 25 on |
//! | docker archive | `docker save` before 25, `podman save`, `skopeo copy ... docker-archive:` |
//!
//! What comes in comes as one tar stream, read once from end to end: so it may come over a socket, and in any
//! order of its files. Everything is checked against its digest in both directions.

mod docker;
mod export;
mod hold;
mod import;
mod oci;
mod sink;

use std::io;

use serde::{Deserialize, Serialize};

use super::content::{CareError, ContentError};
use super::digest::{Digest, DigestError};
use super::manifest::ManifestError;
use super::name::{NameError, RepositoryName, Tag};
use super::storage::StorageError;

pub use export::{Exported, Format, Platform, export, image};
pub use import::import;
pub use sink::{Folder, Sink, Tar, tar_of_folder};

/// Why images were not taken in or given out.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    #[error("read the archive: {0}")]
    Read(io::Error),
    #[error("write {path}: {source}")]
    Write { path: String, source: io::Error },
    #[error("the archive's {path} is {reason}")]
    Archive { path: String, reason: String },
    #[error(
        "the archive is neither an OCI layout nor a docker archive: it has no index.json and no manifest.json"
    )]
    Unknown,
    #[error("the archive has no images")]
    Empty,
    #[error("the archive lacks {0}, which one of its images needs")]
    Missing(String),
    #[error("the archive does not say what the image {0} is called; name a repository")]
    Nameless(String),
    #[error("the archive has {0} images, and one tag cannot name them all")]
    OneTag(usize),
    #[error("{name}: {source}")]
    Name { name: String, source: NameError },
    #[error("{image}: {source}")]
    Image { image: String, source: ContentError },
    #[error("{image} is for several platforms, and none of them is {platform}: {offered}")]
    Platform {
        image: String,
        platform: String,
        offered: String,
    },
    #[error("{0} is damaged in the storage")]
    Damaged(Digest),
    #[error("{image}: the layer {digest} is compressed in a way that is not known: {media_type}")]
    Compression {
        image: String,
        digest: Digest,
        media_type: String,
    },
    #[error("{digest}: {source}")]
    Digest { digest: String, source: DigestError },
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Care(#[from] CareError),
}

impl From<ContentError> for ExchangeError {
    fn from(error: ContentError) -> Self {
        Self::Care(error.into())
    }
}

impl From<StorageError> for ExchangeError {
    fn from(error: StorageError) -> Self {
        Self::Care(error.into())
    }
}

/// What images are to be called, where it is not what the archive says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Into {
    pub repository: Option<RepositoryName>,
    pub tag: Option<Tag>,
}

impl Into {
    pub fn parse(repository: Option<&str>, tag: Option<&str>) -> Result<Self, ExchangeError> {
        fn parsed<T: std::str::FromStr<Err = NameError>>(
            text: Option<&str>,
        ) -> Result<Option<T>, ExchangeError> {
            let name = |text: &str| {
                text.parse().map_err(|source| ExchangeError::Name {
                    name: text.to_owned(),
                    source,
                })
            };
            text.map(name).transpose()
        }
        Ok(Self {
            repository: parsed(repository)?,
            tag: parsed(tag)?,
        })
    }

    /// Where an image goes that the archive calls `named`.
    fn place(
        &self,
        named: Option<&str>,
        image: &str,
    ) -> Result<(RepositoryName, Option<Tag>), ExchangeError> {
        let (repository, tag) = named.map_or((None, None), split);
        let repository = self.repository.clone().or(repository);
        let repository = repository.ok_or_else(|| ExchangeError::Nameless(image.to_owned()))?;
        Ok((repository, self.tag.clone().or(tag)))
    }
}

/// What was taken in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    pub images: Vec<Image>,
    pub blobs: u64,
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    pub repository: String,
    pub tag: Option<String>,
    pub digest: String,
}

/// Repository and tag of a name as archives write them: `v1`, `app:v1`, `registry.example:5000/team/app:v1`.
fn split(named: &str) -> (Option<RepositoryName>, Option<Tag>) {
    // A digest at the end says nothing that the archive does not know.
    let named = named.split('@').next().unwrap_or("");
    let (path, tag) = match named.rsplit_once(':') {
        // The colon of a port has slashes behind it.
        Some((path, tag)) if !tag.contains('/') => (path, tag.parse().ok()),
        _ if named.contains('/') => (named, None),
        _ => return (None, named.parse().ok()),
    };
    let host = |first: &str| first.contains(['.', ':']) || first == "localhost";
    let repository = match path.split_once('/') {
        Some((first, rest)) if host(first) => rest,
        _ => path,
    };
    (repository.parse().ok(), tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_archives_write_them() {
        for (named, repository, tag) in [
            ("latest", None, Some("latest")),
            ("app:v1", Some("app"), Some("v1")),
            ("docker.io/library/app:v1", Some("library/app"), Some("v1")),
            ("registry.example:5000/team/app", Some("team/app"), None),
            ("localhost/app:v1", Some("app"), Some("v1")),
            ("team/app@sha256:00", Some("team/app"), None),
            ("UPPER/case:v1", None, Some("v1")),
        ] {
            let (found, found_tag) = split(named);
            assert_eq!(found.as_ref().map(RepositoryName::as_str), repository, "{named}");
            assert_eq!(found_tag.as_ref().map(Tag::as_str), tag, "{named}");
        }
    }
}

//! The only place that spells a storage path. The layout is distribution's, so that its data directories
//! are served as they are:
//!
//! ```text
//! docker/registry/v2/
//! ├── blobs/<algorithm>/<first two hex digits>/<hex>/data
//! └── repositories/<name>/
//!     ├── _layers/<algorithm>/<hex>/link                     the repository may serve this blob
//!     ├── _manifests/
//!     │   ├── revisions/<algorithm>/<hex>/link               ... and this manifest
//!     │   └── tags/<tag>/
//!     │       ├── current/link                               what the tag names now
//!     │       └── index/<algorithm>/<hex>/link               what it ever named
//!     └── _uploads/<id>/{data,startedat}                     an upload that is under way
//! ```
//!
//! Beside it, and no part of what is handed back to distribution, lies what the care of the storage keeps:
//!
//! ```text
//! regdeploy/
//! ├── condemned, pardoned                                    what the collector is about to remove, and is not
//! ├── scrub, schedule                                        how far a scrub has come; when what ran last
//! ├── lock, control.sock                                     the process that works on this folder
//! ├── journal-0a, journal-0b                                 what may be done again after a power cut
//! └── quarantine/docker/registry/v2/...                      damaged files, where they were
//! ```
//!
//! A `link` holds a digest and nothing else. Repository names nest, so `repositories/a/b/_layers` may
//! lie beside `repositories/a/_layers`; a segment of a name never starts with an underscore.

use std::fmt;

use crate::registry::digest::{Algorithm, Digest};
use crate::registry::name::{RepositoryName, Tag, UploadId};

const ROOT: &str = "docker/registry/v2";
/// The folder of what is not distribution's.
pub const OWN: &str = "regdeploy";

/// A relative path that is safe by construction: only this module makes them, out of validated parts.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(String);

impl Key {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What has this name right under this key, as [`super::Storage::list`] told it.
    pub fn below(&self, name: &str) -> Option<Self> {
        let is_plain = !name.is_empty() && !name.starts_with('.') && !name.contains('/');
        is_plain.then(|| Self(format!("{}/{name}", self.0)))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `<algorithm>/<hex>`, as links lie in it.
fn spread(digest: &Digest) -> String {
    format!("{}/{}", digest.algorithm().name(), digest.hex())
}

pub fn blob(digest: &Digest) -> Key {
    let (algorithm, hex) = (digest.algorithm().name(), digest.hex());
    Key(format!("{ROOT}/blobs/{algorithm}/{}/{hex}/data", &hex[..2]))
}

/// What is written now and then to see that writing works; beside the layout, as all that is ours.
pub fn probe() -> Key {
    Key("regdeploy/health".to_owned())
}

/// The folder of one blob: its data, and nothing else.
pub fn blob_folder(digest: &Digest) -> Key {
    let (algorithm, hex) = (digest.algorithm().name(), digest.hex());
    Key(format!("{ROOT}/blobs/{algorithm}/{}/{hex}", &hex[..2]))
}

/// The folder of all blobs of one algorithm: its names are the first two digits of theirs.
pub fn blobs(algorithm: Algorithm) -> Key {
    Key(format!("{ROOT}/blobs/{}", algorithm.name()))
}

/// The folder of the blobs whose digests begin with this byte.
pub fn blobs_from(algorithm: Algorithm, first: u8) -> Key {
    Key(format!("{ROOT}/blobs/{}/{first:02x}", algorithm.name()))
}

/// The folder of all repositories.
pub fn repositories() -> Key {
    Key(format!("{ROOT}/repositories"))
}

/// A repository's folder; other repositories may lie under it.
pub fn repository(name: &RepositoryName) -> Key {
    Key(format!("{ROOT}/repositories/{name}"))
}

pub fn layers(name: &RepositoryName) -> Key {
    Key(format!("{ROOT}/repositories/{name}/_layers"))
}

/// The folder of all links to blobs of one algorithm: its names are digests' hex halves.
pub fn layers_of(name: &RepositoryName, algorithm: Algorithm) -> Key {
    Key(format!("{}/{}", layers(name), algorithm.name()))
}

/// The folder of one blob's link; deleting it takes the blob out of the repository.
pub fn layer(name: &RepositoryName, digest: &Digest) -> Key {
    Key(format!("{ROOT}/repositories/{name}/_layers/{}", spread(digest)))
}

pub fn layer_link(name: &RepositoryName, digest: &Digest) -> Key {
    Key(format!("{}/link", layer(name, digest)))
}

pub fn manifests(name: &RepositoryName) -> Key {
    Key(format!("{ROOT}/repositories/{name}/_manifests"))
}

/// The folder of all revisions of one algorithm: its names are digests' hex halves.
pub fn revisions(name: &RepositoryName, algorithm: Algorithm) -> Key {
    Key(format!("{}/revisions/{}", manifests(name), algorithm.name()))
}

pub fn revision(name: &RepositoryName, digest: &Digest) -> Key {
    Key(format!("{}/revisions/{}", manifests(name), spread(digest)))
}

pub fn revision_link(name: &RepositoryName, digest: &Digest) -> Key {
    Key(format!("{}/link", revision(name, digest)))
}

/// The folder of all tags: its names are the tags.
pub fn tags(name: &RepositoryName) -> Key {
    Key(format!("{}/tags", manifests(name)))
}

pub fn tag(name: &RepositoryName, tag: &Tag) -> Key {
    Key(format!("{}/{tag}", tags(name)))
}

pub fn tag_current(name: &RepositoryName, tag: &Tag) -> Key {
    Key(format!("{}/{tag}/current/link", tags(name)))
}

pub fn tag_index(name: &RepositoryName, tag: &Tag, digest: &Digest) -> Key {
    Key(format!("{}/{tag}/index/{}/link", tags(name), spread(digest)))
}

/// The folder of all uploads: its names are their ids.
pub fn uploads(name: &RepositoryName) -> Key {
    Key(format!("{ROOT}/repositories/{name}/_uploads"))
}

pub fn upload(name: &RepositoryName, id: &UploadId) -> Key {
    Key(format!("{ROOT}/repositories/{name}/_uploads/{id}"))
}

pub fn upload_data(name: &RepositoryName, id: &UploadId) -> Key {
    Key(format!("{}/data", upload(name, id)))
}

pub fn upload_started(name: &RepositoryName, id: &UploadId) -> Key {
    Key(format!("{}/startedat", upload(name, id)))
}

/// The collector's list.
pub fn condemned() -> Key {
    Key(format!("{OWN}/condemned"))
}

/// What is no longer on the collector's list, until it is written anew.
pub fn pardoned() -> Key {
    Key(format!("{OWN}/pardoned"))
}

/// How far a scrub has come.
pub fn scrub() -> Key {
    Key(format!("{OWN}/scrub"))
}

/// Where a damaged object is moved to.
pub fn quarantined(key: &Key) -> Key {
    Key(format!("{OWN}/quarantine/{key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree() {
        let name: RepositoryName = "a/b".parse().unwrap();
        let v1: Tag = "v1".parse().unwrap();
        let id: UploadId = "6b3c9a93-af5d-473f-a4ff-9710022185cd".parse().unwrap();
        let digest = Digest::of(Algorithm::Sha256, b"abc");
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for (key, expected) in [
            (blob(&digest), "blobs/sha256/ba/HEX/data"),
            (
                layer_link(&name, &digest),
                "repositories/a/b/_layers/sha256/HEX/link",
            ),
            (
                revision_link(&name, &digest),
                "repositories/a/b/_manifests/revisions/sha256/HEX/link",
            ),
            (
                tag_current(&name, &v1),
                "repositories/a/b/_manifests/tags/v1/current/link",
            ),
            (
                tag_index(&name, &v1, &digest),
                "repositories/a/b/_manifests/tags/v1/index/sha256/HEX/link",
            ),
            (
                upload_data(&name, &id),
                "repositories/a/b/_uploads/6b3c9a93-af5d-473f-a4ff-9710022185cd/data",
            ),
            (
                upload_started(&name, &id),
                "repositories/a/b/_uploads/6b3c9a93-af5d-473f-a4ff-9710022185cd/startedat",
            ),
        ] {
            assert_eq!(
                key.as_str(),
                format!("docker/registry/v2/{}", expected.replace("HEX", hex))
            );
        }
    }
}

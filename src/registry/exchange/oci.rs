//! The OCI image layout: `oci-layout`, `index.json`, `blobs/<algorithm>/<hex>`.
//!
//! Follows image-spec 1.1, "Image Layout". What an image is called is in annotations of the index.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ExchangeError;
use super::import::{Found, Taking};
use crate::registry::digest::{Algorithm, Digest};

pub const LAYOUT: &str = "oci-layout";
pub const INDEX: &str = "index.json";
/// The version of the layout that image-spec knows.
const VERSION: &str = "1.0.0";

/// What the image is called: a tag, or a whole name.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The whole name, as containerd and docker write it.
const FULL_NAME: &str = "io.containerd.image.name";

#[derive(Deserialize)]
struct Layout {
    #[serde(rename = "imageLayoutVersion")]
    version: String,
}

#[derive(Deserialize, Serialize)]
struct Index {
    manifests: Vec<Entry>,
}

#[derive(Deserialize, Serialize)]
struct Entry {
    digest: String,
    #[serde(default)]
    annotations: serde_json::Map<String, Value>,
}

/// The digest of a file that is a blob of a layout.
pub fn blob(path: &str) -> Result<Option<Digest>, ExchangeError> {
    let Some((algorithm, hex)) = path.strip_prefix("blobs/").and_then(|rest| rest.split_once('/')) else {
        return Ok(None);
    };
    let Some(algorithm) = Algorithm::ALL.into_iter().find(|known| known.name() == algorithm) else {
        return Ok(None);
    };
    let digest = Digest::from_parts(algorithm, hex);
    digest.map(Some).map_err(|source| ExchangeError::Digest {
        digest: path.to_owned(),
        source,
    })
}

/// What the index of a layout names.
pub(super) fn images(taking: &mut Taking<'_>) -> Result<Vec<Found>, ExchangeError> {
    let wrong = |path: &str, reason: String| ExchangeError::Archive {
        path: path.to_owned(),
        reason,
    };
    let layout = taking.documents.get(LAYOUT);
    let layout = layout.ok_or_else(|| wrong(LAYOUT, "missing".to_owned()))?;
    let layout: Layout =
        serde_json::from_slice(layout).map_err(|error| wrong(LAYOUT, format!("not understood: {error}")))?;
    if layout.version != VERSION {
        return Err(wrong(
            LAYOUT,
            format!("of version {}, and {VERSION} is known", layout.version),
        ));
    }
    let index = taking.documents.get(INDEX).map_or(&[][..], Vec::as_slice);
    let index: Index =
        serde_json::from_slice(index).map_err(|error| wrong(INDEX, format!("not understood: {error}")))?;
    let mut found = Vec::new();
    for entry in index.manifests {
        let digest = entry.digest.parse().map_err(|source| ExchangeError::Digest {
            digest: entry.digest.clone(),
            source,
        })?;
        let annotation = |key: &str| entry.annotations.get(key).and_then(Value::as_str);
        let name = annotation(FULL_NAME).or_else(|| annotation(REF_NAME));
        found.push(Found {
            digest,
            name: name.map(str::to_owned),
        });
    }
    Ok(found)
}

/// The file `oci-layout`.
pub fn layout() -> Vec<u8> {
    json!({ "imageLayoutVersion": VERSION }).to_string().into_bytes()
}

/// The file `index.json`: of each image media type, digest, size and name.
pub fn index<'a>(images: impl Iterator<Item = (&'a str, &'a Digest, usize, Option<&'a str>)>) -> Vec<u8> {
    let manifests: Vec<Value> = images
        .map(|(media_type, digest, size, name)| {
            let mut entry = json!({"mediaType": media_type, "digest": digest.as_str(), "size": size});
            if let Some(name) = name {
                entry["annotations"] = json!({ REF_NAME: name });
            }
            entry
        })
        .collect();
    json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests})
        .to_string()
        .into_bytes()
}

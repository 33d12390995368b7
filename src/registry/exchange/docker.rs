//! The docker archive, as `docker save` wrote it before version 25: `manifest.json`, a configuration and a tar of
//! each layer.
//!
//! Its layers are not compressed. Coming in they are, so that they are pulled as every pushed layer is; going
//! out they are unpacked again.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use flate2::Compression;
use flate2::read::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ExchangeError;
use super::import::{Found, Taking};
use crate::registry::digest::Digest;
use crate::registry::manifest::MediaType;

pub const MANIFEST: &str = "manifest.json";
pub const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Links to links to links are no archive's.
const MAX_LINKS: usize = 4;

/// One image of `manifest.json`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry {
    pub config: String,
    /// Null where the image has no name.
    pub repo_tags: Option<Vec<String>>,
    pub layers: Vec<String>,
}

/// A file of the archive that became a blob.
pub struct Stored {
    pub digest: Digest,
    pub size: u64,
    /// As a layer.
    pub media_type: &'static str,
}

/// Takes a file in, if an image may need it: a configuration or a layer.
pub(super) fn file(
    taking: &mut Taking<'_>,
    path: &str,
    content: &mut dyn Read,
) -> Result<Option<Stored>, ExchangeError> {
    let is = |extension: &str| path.to_ascii_lowercase().ends_with(extension);
    if is(".json") && !path.contains('/') {
        let document = super::import::document(path, content)?;
        let (digest, size) = taking.take(path, &mut document.as_slice(), None)?;
        return Ok(Some(Stored {
            digest,
            size,
            media_type: LAYER,
        }));
    }
    if !is(".tar") {
        return Ok(None);
    }
    let mut start = Vec::new();
    content
        .take(4)
        .read_to_end(&mut start)
        .map_err(ExchangeError::Read)?;
    let compressed = start.starts_with(&GZIP);
    if start == ZSTD {
        return Err(ExchangeError::Archive {
            path: path.to_owned(),
            reason: "compressed with zstd, which docker's form does not know".to_owned(),
        });
    }
    let mut whole = Cursor::new(start).chain(content);
    let (digest, size) = if compressed {
        taking.take(path, &mut whole, None)?
    } else {
        taking.take(path, &mut GzEncoder::new(whole, Compression::default()), None)?
    };
    Ok(Some(Stored {
        digest,
        size,
        media_type: LAYER,
    }))
}

/// Where a link of the archive points to.
pub(super) fn resolved(path: &str, target: &str, symbolic: bool) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    if !symbolic {
        // A hard link names another file of the archive from its top.
        parts.clear();
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn stored<'a>(
    files: &'a HashMap<String, Stored>,
    links: &HashMap<String, String>,
    path: &str,
) -> Result<&'a Stored, ExchangeError> {
    let mut path = path.trim_start_matches("./");
    for _ in 0..MAX_LINKS {
        if let Some(stored) = files.get(path) {
            return Ok(stored);
        }
        match links.get(path) {
            Some(target) => path = target,
            None => break,
        }
    }
    Err(ExchangeError::Missing(path.to_owned()))
}

/// Makes a manifest of each image of `manifest.json`.
pub(super) fn images(taking: &mut Taking<'_>) -> Result<Vec<Found>, ExchangeError> {
    let list = taking.documents.get(MANIFEST).ok_or(ExchangeError::Unknown)?;
    let entries: Vec<Entry> = serde_json::from_slice(list).map_err(|error| ExchangeError::Archive {
        path: MANIFEST.to_owned(),
        reason: format!("not understood: {error}"),
    })?;
    let mut found = Vec::new();
    for entry in entries {
        let described = |path: &str, media_type: Option<&str>| {
            let stored = stored(&taking.files, &taking.links, path)?;
            let media_type = media_type.unwrap_or(stored.media_type);
            Ok::<_, ExchangeError>(
                json!({"mediaType": media_type, "size": stored.size, "digest": stored.digest.as_str()}),
            )
        };
        let config = described(&entry.config, Some(CONFIG))?;
        let layers: Vec<_> = entry
            .layers
            .iter()
            .map(|layer| described(layer, None))
            .collect::<Result<_, _>>()?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::DockerManifest.as_str(),
            "config": config,
            "layers": layers,
        });
        let digest = taking.made(manifest.to_string().as_bytes())?;
        let names = entry.repo_tags.unwrap_or_default();
        let named = names.into_iter().map(Some);
        let mut images: Vec<Found> = named
            .map(|name| Found {
                digest: digest.clone(),
                name,
            })
            .collect();
        if images.is_empty() {
            images.push(Found { digest, name: None });
        }
        found.extend(images);
    }
    Ok(found)
}

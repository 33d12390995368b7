//! Which image an archive of `docker save` holds: its `manifest.json`, found without reading the rest.

use std::path::Path;

use serde_json::Value as Json;

use crate::modules::Error;
use crate::system::System;

const BLOCK: u64 = 512;
/// A manifest names a handful of layers; a larger one is none.
const LARGEST: u64 = 4 << 20;

/// Whether the archive holds this image (`sha256:...`) by this name. One that cannot be read does not.
pub fn holds(path: &Path, id: &str, name: &str, system: &dyn System) -> Result<bool, Error> {
    let Some(manifest) = manifest(path, system)? else {
        return Ok(false);
    };
    let id = id.trim_start_matches("sha256:");
    let list = manifest.as_array().into_iter().flatten();
    Ok(list.into_iter().any(|image| {
        let config = image["Config"].as_str().unwrap_or_default();
        let tags = image["RepoTags"].as_array();
        config.trim_end_matches(".json").ends_with(id)
            && tags.is_some_and(|tags| tags.iter().any(|tag| tag == name))
    }))
}

fn manifest(path: &Path, system: &dyn System) -> Result<Option<Json>, Error> {
    let mut at = 0;
    loop {
        let header = system.read_part(path, at, 512)?;
        if header.len() < 512 || header[0] == 0 {
            return Ok(None);
        }
        let text = |from: usize, to: usize| {
            let field = header[from..to]
                .split(|byte| *byte == 0)
                .next()
                .unwrap_or_default();
            String::from_utf8_lossy(field).trim().to_owned()
        };
        let Ok(size) = u64::from_str_radix(&text(124, 136), 8) else {
            return Ok(None);
        };
        if text(0, 100) == "manifest.json" && size <= LARGEST {
            let length = usize::try_from(size).unwrap_or_default();
            let content = system.read_part(path, at + BLOCK, length)?;
            return Ok(serde_json::from_slice(&content).ok());
        }
        at += BLOCK + size.next_multiple_of(BLOCK);
    }
}

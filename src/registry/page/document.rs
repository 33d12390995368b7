//! Manifests and configurations as far as they are shown: whatever of them is missing or odd stays empty.
//!
//! What is served was checked when it was pushed; this is only read for people.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::registry::content::Registry;
use crate::registry::digest::Digest;
use crate::registry::name::RepositoryName;

/// Longer configurations are not shown: none that a builder writes is.
const MAX_CONFIG: u64 = 1 << 20;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Document {
    pub config: Option<Descriptor>,
    pub layers: Vec<Descriptor>,
    pub manifests: Vec<Descriptor>,
    pub subject: Option<Descriptor>,
    pub artifact_type: Option<String>,
    pub annotations: Option<Map<String, Value>>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Descriptor {
    pub media_type: String,
    pub digest: String,
    pub size: u64,
    pub platform: Option<Platform>,
    pub annotations: Option<Map<String, Value>>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    pub variant: Option<String>,
    #[serde(rename = "os.version")]
    pub version: Option<String>,
}

/// An image's configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Image {
    pub created: Option<String>,
    pub author: Option<String>,
    pub os: String,
    pub architecture: String,
    pub variant: Option<String>,
    pub config: Option<Runtime>,
    pub history: Vec<Step>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Runtime {
    pub user: Option<String>,
    pub working_dir: Option<String>,
    pub entrypoint: Option<Vec<String>>,
    pub cmd: Option<Vec<String>>,
    pub env: Option<Vec<String>>,
    pub exposed_ports: Option<Map<String, Value>>,
    pub volumes: Option<Map<String, Value>>,
    pub labels: Option<Map<String, Value>>,
    pub stop_signal: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Step {
    pub created_by: Option<String>,
    pub comment: Option<String>,
    pub empty_layer: bool,
}

impl Document {
    pub fn read(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// What a pull of this manifest transfers.
    pub fn size(&self) -> u64 {
        let parts = self.config.iter().chain(&self.layers);
        parts.fold(0, |sum, part| sum.saturating_add(part.size))
    }
}

impl Platform {
    pub fn shown(&self) -> String {
        let mut words = vec![self.os.as_str(), self.architecture.as_str()];
        words.extend(self.variant.as_deref());
        words.retain(|word| !word.is_empty());
        let mut shown = words.join("/");
        if let Some(version) = &self.version {
            shown = format!("{shown} ({version})");
        }
        shown
    }
}

/// The JSON that a descriptor names, if it is here and of a size that is worth reading.
pub fn named<T: DeserializeOwned>(
    registry: &Registry,
    name: &RepositoryName,
    descriptor: &Descriptor,
) -> Option<T> {
    let digest: Digest = descriptor.digest.parse().ok()?;
    let content = registry.blob(name, &digest).ok()?;
    let size = content.size();
    if size > MAX_CONFIG {
        return None;
    }
    let size = usize::try_from(size).ok()?;
    let mut bytes = Vec::with_capacity(size);
    while bytes.len() < size {
        let piece = content
            .read_at(bytes.len() as u64, size - bytes.len())
            .ok()
            .filter(|piece| !piece.is_empty())?;
        bytes.extend_from_slice(&piece);
    }
    serde_json::from_slice(&bytes).ok()
}

/// Members as texts, in their order.
pub fn texts(map: Option<&Map<String, Value>>) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    map.into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

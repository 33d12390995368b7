//! What a probe pushes: an OCI artifact of two blobs and a manifest, a few hundred bytes in all.
//!
//! The same prober always pushes the same bytes, so that nothing piles up in a registry that deletes nothing,
//! and what a probe that was cut off left behind goes with the next. Different probers share no blob and no
//! tag: one that cleans up takes nothing from another that is still at work.
//!
//! Specification: OCI image specification 1.1, "Guidelines for Artifact Usage".

use serde_json::json;

use crate::system::DigestAlgorithm;
use crate::system::digest::digest_bytes;

pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const ARTIFACT_TYPE: &str = "application/vnd.regdeploy.probe.v1";
const CONFIG_TYPE: &str = "application/vnd.regdeploy.probe.config.v1+json";
const LAYER_TYPE: &str = "text/plain";

/// Hexadecimal digits that tell probers apart.
const MARK_LENGTH: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// What messages call it.
    pub name: &'static str,
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
    /// `sha256:...`
    pub digest: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    pub tag: String,
    pub blobs: [Piece; 2],
    pub manifest: Piece,
}

impl Piece {
    fn new(name: &'static str, media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self {
            name,
            media_type,
            digest: digest(&bytes),
            bytes,
        }
    }

    fn descriptor(&self) -> serde_json::Value {
        json!({"mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len()})
    }
}

impl Artifact {
    /// That of the prober on this host which asks for this registry.
    pub fn new(host: &str, registry: &str) -> Self {
        let prober = format!("{host}\n{registry}");
        let mut mark = digest_bytes(prober.as_bytes(), DigestAlgorithm::Sha256);
        mark.truncate(MARK_LENGTH);
        let config = json!({"probe": mark}).to_string();
        let layer = format!("probe {mark}\n");
        let config = Piece::new("config", CONFIG_TYPE, config.into_bytes());
        let layer = Piece::new("layer", LAYER_TYPE, layer.into_bytes());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": ARTIFACT_TYPE,
            "config": config.descriptor(),
            "layers": [layer.descriptor()],
        });
        Self {
            tag: format!("probe-{mark}"),
            manifest: Piece::new("manifest", MANIFEST_TYPE, manifest.to_string().into_bytes()),
            blobs: [config, layer],
        }
    }
}

pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", digest_bytes(bytes, DigestAlgorithm::Sha256))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_prober_pushes_the_same_again_and_two_share_nothing() {
        let one = Artifact::new("one", "http://r");
        assert_eq!(one, Artifact::new("one", "http://r"));
        for other in [Artifact::new("two", "http://r"), Artifact::new("one", "http://s")] {
            assert_ne!(one.tag, other.tag);
            assert_ne!(one.manifest.digest, other.manifest.digest);
            assert!(
                one.blobs
                    .iter()
                    .zip(&other.blobs)
                    .all(|(a, b)| a.digest != b.digest)
            );
        }
        let manifest: serde_json::Value = serde_json::from_slice(&one.manifest.bytes).unwrap();
        assert_eq!(manifest["layers"][0]["digest"], one.blobs[1].digest.as_str());
        assert_eq!(manifest["config"]["size"], one.blobs[0].bytes.len());
    }
}

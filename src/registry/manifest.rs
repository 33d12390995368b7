//! Manifests: the four media types that are taken, what they refer to, and content negotiation.
//!
//! The media type is not stored beside a manifest (distribution's layout has no place for it): it follows
//! from the document. The exact bytes are the caller's; nothing here writes JSON.
//! Follows image-spec 1.1 and docker's "Image Manifest Version 2, Schema 2".

use serde::Deserialize;
use serde_json::{Map, Value};

use super::digest::Digest;

/// The manifest types of this registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaType {
    OciManifest,
    OciIndex,
    DockerManifest,
    DockerList,
}

impl MediaType {
    pub const ALL: [Self; 4] = [
        Self::OciManifest,
        Self::OciIndex,
        Self::DockerManifest,
        Self::DockerList,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::OciManifest => "application/vnd.oci.image.manifest.v1+json",
            Self::OciIndex => "application/vnd.oci.image.index.v1+json",
            Self::DockerManifest => "application/vnd.docker.distribution.manifest.v2+json",
            Self::DockerList => "application/vnd.docker.distribution.manifest.list.v2+json",
        }
    }

    /// A `Content-Type`, with its parameters ignored.
    pub fn parse(text: &str) -> Option<Self> {
        let bare = text.split(';').next().unwrap_or("").trim();
        Self::ALL
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(bare))
    }

    pub fn is_list(self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerList)
    }
}

/// Whether a client that sent these `Accept` values takes this type. No header at all takes anything.
pub fn acceptable<'a>(accept: impl Iterator<Item = &'a str>, media_type: MediaType) -> bool {
    let mut explicit = false;
    // The most specific range that matches decides.
    let mut best = (0, false);
    for range in accept.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let range = parts.next().unwrap_or("");
        if range.is_empty() {
            continue;
        }
        explicit = true;
        let closeness = match range {
            "*/*" => 1,
            "application/*" => 2,
            _ if range.eq_ignore_ascii_case(media_type.as_str()) => 3,
            _ => continue,
        };
        let refused = parts.any(|parameter| matches!(parameter, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        best = best.max((closeness, !refused));
    }
    !explicit || best.1
}

/// A pointer from one manifest to content.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    /// Where a layer that may not be redistributed is to be had.
    #[serde(default)]
    urls: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u64>,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    artifact_type: Option<String>,
    annotations: Option<Map<String, Value>>,
}

/// What the registry needs to know of a manifest.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub media_type: MediaType,
    /// Config and layers that must be in the repository.
    pub blobs: Vec<Digest>,
    /// Layers that need not be there: clients fetch them from their vendor. Some push them all the same.
    pub elsewhere: Vec<Digest>,
    /// What an index lists: manifests, or blobs (buildkit keeps its cache so).
    pub manifests: Vec<Digest>,
    pub subject: Option<Digest>,
    /// What a referrers listing shows: the manifest's own, else its config's media type.
    pub artifact_type: Option<String>,
    pub annotations: Option<Map<String, Value>>,
}

/// Why a document is no manifest of ours.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("the manifest is not the JSON of one: {0}")]
    Json(#[from] serde_json::Error),
    #[error("schemaVersion must be 2; the older form is no longer taken")]
    SchemaVersion,
    #[error("the media type {0:?} is none of {known}", known = MediaType::ALL.map(MediaType::as_str).join(", "))]
    MediaType(String),
    #[error("the Content-Type says {sent} and the manifest says {own}")]
    Mismatch { sent: String, own: &'static str },
    #[error("the manifest has no {0}")]
    Missing(&'static str),
    #[error("the annotation {0:?} is no text")]
    Annotation(String),
    #[error("the manifest mixes `manifests` with `config` or `layers`, so that its type is ambiguous")]
    Ambiguous,
    #[error("the digest {digest:?}: {source}")]
    Digest {
        digest: String,
        source: super::digest::DigestError,
    },
}

impl Manifest {
    /// Reads a manifest as it is stored. An annotation that is no text is left out: one of them would make
    /// a whole listing unreadable to clients.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let mut manifest = Self::read(bytes)?;
        if let Some(annotations) = &mut manifest.annotations {
            annotations.retain(|_, value| value.is_string());
        }
        Ok(manifest)
    }

    fn read(bytes: &[u8]) -> Result<Self, ManifestError> {
        let document: Document = serde_json::from_slice(bytes)?;
        if document.schema_version != Some(2) {
            return Err(ManifestError::SchemaVersion);
        }
        let media_type = match document.media_type.as_deref() {
            Some(text) if !text.is_empty() => {
                MediaType::parse(text).ok_or_else(|| ManifestError::MediaType(text.to_owned()))?
            }
            // OCI lets the field out; docker never does.
            _ if document.manifests.is_some() => MediaType::OciIndex,
            _ => MediaType::OciManifest,
        };
        // CVE-2021-41190: one document must not be an image to one reader and an index to another.
        let mixed = if media_type.is_list() {
            document.config.is_some() || document.layers.is_some()
        } else {
            document.manifests.is_some()
        };
        if mixed {
            return Err(ManifestError::Ambiguous);
        }
        let mut manifest = Self {
            media_type,
            blobs: Vec::new(),
            elsewhere: Vec::new(),
            manifests: Vec::new(),
            subject: document.subject.map(|subject| digest(&subject)).transpose()?,
            artifact_type: document.artifact_type.filter(|text| !text.is_empty()),
            annotations: document.annotations,
        };
        if media_type.is_list() {
            let listed = document.manifests.unwrap_or_default();
            manifest.manifests = listed.iter().map(digest).collect::<Result<_, _>>()?;
        } else {
            let config = document.config.ok_or(ManifestError::Missing("config"))?;
            manifest.blobs.push(digest(&config)?);
            // Go writes an empty list as null, and distribution takes a manifest without one.
            for layer in &document.layers.unwrap_or_default() {
                let named = digest(layer)?;
                if is_elsewhere(layer) {
                    manifest.elsewhere.push(named);
                } else {
                    manifest.blobs.push(named);
                }
            }
            let of_config = Some(config.media_type).filter(|text| !text.is_empty());
            manifest.artifact_type = manifest.artifact_type.or(of_config);
        }
        Ok(manifest)
    }

    /// Reads a pushed manifest and holds it against the type that its sender claims.
    pub fn parse_pushed(bytes: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        let manifest = Self::read(bytes)?;
        let annotations = manifest.annotations.iter().flatten();
        if let Some((name, _)) = annotations.into_iter().find(|(_, value)| !value.is_string()) {
            return Err(ManifestError::Annotation(name.clone()));
        }
        match content_type {
            Some(sent) if MediaType::parse(sent) != Some(manifest.media_type) => {
                Err(ManifestError::Mismatch {
                    sent: sent.to_owned(),
                    own: manifest.media_type.as_str(),
                })
            }
            _ => Ok(manifest),
        }
    }
}

fn digest(descriptor: &Descriptor) -> Result<Digest, ManifestError> {
    descriptor.digest.parse().map_err(|source| ManifestError::Digest {
        digest: descriptor.digest.clone(),
        source,
    })
}

/// Layers that a client fetches from their vendor are not pushed.
fn is_elsewhere(layer: &Descriptor) -> bool {
    !layer.urls.is_empty()
        || layer.media_type.contains("nondistributable")
        || layer.media_type.contains(".foreign.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn parse(text: &str) -> Result<Manifest, ManifestError> {
        Manifest::parse(text.replace('A', A).replace('B', B).as_bytes())
    }

    #[test]
    fn an_image_names_its_config_and_layers() {
        let manifest = parse(
            r#"{"schemaVersion":2,"config":{"mediaType":"x/y","digest":"A"},
                "layers":[{"digest":"B"},{"digest":"B","urls":["https://vendor/"]}]}"#,
        )
        .unwrap();
        assert_eq!(manifest.media_type, MediaType::OciManifest);
        assert_eq!((manifest.blobs.len(), manifest.elsewhere.len()), (2, 1));
        assert_eq!(manifest.artifact_type.as_deref(), Some("x/y"));
    }

    #[test]
    fn an_empty_list_may_be_null_or_missing() {
        for list in ["", r#","layers":null"#, r#","layers":[]"#] {
            let text = format!(r#"{{"schemaVersion":2,"config":{{"digest":"A"}}{list}}}"#);
            let manifest = parse(&text).unwrap();
            assert_eq!((manifest.blobs.len(), manifest.artifact_type), (1, None));
        }
        let index = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","manifests":null}}"#,
            MediaType::OciIndex.as_str()
        );
        assert!(parse(&index).unwrap().manifests.is_empty());
    }

    #[test]
    fn annotations_are_texts() {
        let index = br#"{"schemaVersion":2,"manifests":[],"annotations":{"a":"text","b":1}}"#;
        let error = Manifest::parse_pushed(index, None).unwrap_err().to_string();
        assert_eq!(error, r#"the annotation "b" is no text"#);
        let kept = Manifest::parse(index).unwrap().annotations.unwrap();
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn an_index_names_its_manifests_and_subject() {
        let manifest =
            parse(r#"{"schemaVersion":2,"manifests":[{"digest":"A"}],"subject":{"digest":"B"}}"#).unwrap();
        assert_eq!(manifest.media_type, MediaType::OciIndex);
        assert_eq!(manifest.manifests.len(), 1);
        assert_eq!(manifest.subject.unwrap().as_str(), B);
        assert_eq!(manifest.artifact_type, None);
    }

    #[test]
    fn what_is_no_manifest_is_refused_with_the_reason() {
        for (text, reason) in [
            ("[]", "the manifest is not the JSON of one"),
            (r#"{"schemaVersion":1}"#, "schemaVersion must be 2"),
            (r#"{"schemaVersion":2}"#, "the manifest has no config"),
            (
                r#"{"schemaVersion":2,"mediaType":"text/plain"}"#,
                "the media type \"text/plain\" is none of",
            ),
            (
                r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#,
                "the manifest mixes",
            ),
            (
                r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#,
                "the manifest is not the JSON of one",
            ),
            (
                r#"{"schemaVersion":2,"manifests":[{"digest":"x"}]}"#,
                "the digest \"x\": a digest is written",
            ),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(reason), "{text}: {error}");
        }
    }

    #[test]
    fn the_content_type_must_agree() {
        let index = br#"{"schemaVersion":2,"manifests":[]}"#;
        assert!(Manifest::parse_pushed(index, None).is_ok());
        assert!(
            Manifest::parse_pushed(
                index,
                Some("application/vnd.oci.image.index.v1+json; charset=utf-8")
            )
            .is_ok()
        );
        assert!(Manifest::parse_pushed(index, Some("application/json")).is_err());
    }

    #[test]
    fn item_7_accept() {
        let oci = MediaType::OciManifest.as_str();
        for (accept, expected) in [
            (vec![], true),
            (vec!["*/*"], true),
            (vec!["text/html, application/*;q=0.1"], true),
            (vec!["application/json", oci], true),
            (vec!["application/json"], false),
            (vec!["application/vnd.oci.image.manifest.v1+json;q=0"], false),
            (
                vec!["*/*", "application/vnd.oci.image.manifest.v1+json; q=0"],
                false,
            ),
            (vec!["*/*;q=0", oci], true),
            (vec!["", " , "], true),
        ] {
            assert_eq!(
                acceptable(accept.iter().copied(), MediaType::OciManifest),
                expected,
                "{accept:?}"
            );
        }
    }
}

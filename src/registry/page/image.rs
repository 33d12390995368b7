//! One image, index or artifact: everything that its manifest, its configuration and its referrers say.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::document::{Descriptor, Document, Image, Runtime, named, texts};
use super::{Site, listing, shown, templates};
use crate::registry::content::{ContentError, Registry, StoredManifest};
use crate::registry::name::{Reference, RepositoryName};

/// Referrers and entries of an index that are shown; more are a listing for machines.
const MAX_ROWS: usize = 200;
/// A longer manifest is not shown as it is.
const MAX_RAW: usize = 256 << 10;

#[derive(Serialize)]
struct Part {
    kind: String,
    digest: String,
    size: String,
    /// The share of the whole, in percent.
    share: u64,
    command: String,
    title: String,
}

#[derive(Serialize)]
struct Entry {
    platform: String,
    kind: String,
    digest: String,
    size: String,
}

#[derive(Serialize)]
struct Refers {
    kind: String,
    artifact_type: String,
    digest: String,
    size: String,
    annotations: Vec<(String, String)>,
}

/// A fact about an image and its value, which may be a list.
#[derive(Serialize)]
struct Fact {
    name: &'static str,
    values: Vec<String>,
}

/// The page of what `reference` names.
pub fn image(
    registry: &Registry,
    site: &Site,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<String, ContentError> {
    let stored = registry.manifest(name, reference)?;
    let host = &site.host;
    let document = Document::read(&stored.bytes);
    let image: Option<Image> = document
        .config
        .as_ref()
        .and_then(|config| named(registry, name, config));
    let image = image.unwrap_or_default();
    let created = image.created.as_deref().and_then(shown::time);
    let platform = super::document::Platform {
        os: image.os.clone(),
        architecture: image.architecture.clone(),
        variant: image.variant.clone(),
        version: None,
    };
    let pulls = match reference {
        Reference::Tag(tag) => vec![
            format!("{host}/{name}:{tag}"),
            format!("{host}/{name}@{}", stored.digest),
        ],
        Reference::Digest(_) => vec![format!("{host}/{name}@{}", stored.digest)],
    };
    let entries = entries(registry, name, &document);
    let raw = raw(&stored);
    Ok(templates::render(
        "image.html",
        &json!({
            "base": site.base,
            "name": name.as_str(),
            "reference": reference.to_string(),
            "by_tag": matches!(reference, Reference::Tag(_)),
            "digest": stored.digest.as_str(),
            "media_type": stored.manifest.media_type.as_str(),
            "is_index": stored.manifest.media_type.is_list(),
            "artifact_type": document.artifact_type,
            "subject": document.subject.as_ref().map(|subject| subject.digest.clone()),
            "size": (!stored.manifest.media_type.is_list()).then(|| shown::size(document.size())),
            "platform": platform.shown(),
            "age": created.map(|created| shown::age(created, Timestamp::now())),
            "moment": created.map(shown::moment),
            "author": image.author,
            "pulls": pulls,
            "parts": parts(&document, &image),
            "entries": entries,
            "facts": image.config.as_ref().map(facts),
            "labels": image.config.as_ref().map(|config| texts(config.labels.as_ref())),
            "annotations": texts(document.annotations.as_ref()),
            "referrers": referrers(registry, name, &stored)?,
            "raw": raw,
        }),
    ))
}

/// Layers with the steps that made them, steps without a layer between them.
fn parts(document: &Document, image: &Image) -> Vec<Part> {
    let whole = document.size().max(1);
    let part = |layer: Option<&Descriptor>, command: String| {
        let size = layer.map_or(0, |layer| layer.size);
        Part {
            kind: layer.map(|layer| kind(&layer.media_type)).unwrap_or_default(),
            digest: layer.map(|layer| layer.digest.clone()).unwrap_or_default(),
            size: layer.map(|_| shown::size(size)).unwrap_or_default(),
            share: size.saturating_mul(100) / whole,
            command,
            title: layer
                .and_then(|layer| {
                    title(
                        layer
                            .annotations
                            .as_ref()?
                            .get("org.opencontainers.image.title")?,
                    )
                })
                .unwrap_or_default(),
        }
    };
    let mut layers = document.layers.iter();
    let mut parts = Vec::new();
    // A history that does not fit its layers tells nothing about them.
    let steps = image.history.iter().filter(|step| !step.empty_layer).count();
    if steps == document.layers.len() {
        for step in &image.history {
            let command = step.created_by.as_deref().map(shown::command).unwrap_or_default();
            let told = if command.is_empty() {
                step.comment.clone().unwrap_or_default()
            } else {
                command
            };
            let layer = if step.empty_layer { None } else { layers.next() };
            parts.push(part(layer, told));
        }
    }
    parts.extend(layers.map(|layer| part(Some(layer), String::new())));
    parts
}

fn title(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn entries(registry: &Registry, name: &RepositoryName, document: &Document) -> Vec<Entry> {
    let listed = document.manifests.iter().take(MAX_ROWS);
    listed
        .map(|descriptor| {
            let stored = descriptor
                .digest
                .parse()
                .ok()
                .and_then(|digest| registry.manifest(name, &Reference::Digest(digest)).ok());
            let platform = listing::platform(descriptor);
            Entry {
                kind: if platform.is_none() && descriptor.platform.is_some() {
                    "attestation".to_owned()
                } else {
                    kind(&descriptor.media_type)
                },
                platform: platform.unwrap_or_default(),
                digest: descriptor.digest.clone(),
                // The manifest alone is not what is pulled.
                size: stored.map_or_else(
                    || "not here".to_owned(),
                    |stored| shown::size(Document::read(&stored.bytes).size()),
                ),
            }
        })
        .collect()
}

fn referrers(
    registry: &Registry,
    name: &RepositoryName,
    stored: &StoredManifest,
) -> Result<Vec<Refers>, ContentError> {
    let found = registry.referrers(name, &stored.digest)?;
    Ok(found
        .iter()
        .take(MAX_ROWS)
        .map(|referrer| {
            let artifact_type = referrer.artifact_type.clone().unwrap_or_default();
            Refers {
                kind: artifact(&artifact_type).to_owned(),
                artifact_type,
                digest: referrer.digest.to_string(),
                size: shown::size(referrer.size),
                annotations: texts(referrer.annotations.as_ref()),
            }
        })
        .collect())
}

/// What an artifact is to people, by words in its type.
fn artifact(artifact_type: &str) -> &'static str {
    const KINDS: [(&str, &str); 10] = [
        ("cosign.simplesigning", "Signature (cosign)"),
        ("cosign", "Signature (cosign)"),
        ("sigstore.bundle", "Signature (sigstore)"),
        ("notary.signature", "Signature (notation)"),
        ("notary", "Signature (notation)"),
        ("spdx", "SBOM (SPDX)"),
        ("cyclonedx", "SBOM (CycloneDX)"),
        ("syft", "SBOM (syft)"),
        ("in-toto", "Attestation (in-toto)"),
        ("sarif", "Scan result (SARIF)"),
    ];
    KINDS
        .iter()
        .find(|(word, _)| artifact_type.contains(word))
        .map_or("Artifact", |(_, kind)| kind)
}

/// The telling part of a media type.
fn kind(media_type: &str) -> String {
    const KINDS: [(&str, &str); 7] = [
        ("manifest.list", "index"),
        ("image.index", "index"),
        ("manifest", "image"),
        ("+zstd", "layer, zstd"),
        ("gzip", "layer, gzip"),
        ("layer", "layer"),
        ("diff.tar", "layer"),
    ];
    KINDS
        .iter()
        .find(|(word, _)| media_type.contains(word))
        .map_or_else(|| media_type.to_owned(), |(_, kind)| (*kind).to_owned())
}

fn facts(config: &Runtime) -> Vec<Fact> {
    let one = |value: &Option<String>| value.iter().filter(|v| !v.is_empty()).cloned().collect();
    let words = |value: &Option<Vec<String>>| match value {
        Some(words) if !words.is_empty() => vec![shell_words::join(words)],
        _ => Vec::new(),
    };
    let keys = |value: &Option<serde_json::Map<String, Value>>| {
        value.iter().flat_map(|map| map.keys().cloned()).collect()
    };
    let all = [
        ("Entrypoint", words(&config.entrypoint)),
        ("Command", words(&config.cmd)),
        ("Working directory", one(&config.working_dir)),
        ("User", one(&config.user)),
        ("Ports", keys(&config.exposed_ports)),
        ("Volumes", keys(&config.volumes)),
        ("Stop signal", one(&config.stop_signal)),
        ("Environment", config.env.clone().unwrap_or_default()),
    ];
    all.into_iter()
        .filter(|(_, values): &(_, Vec<String>)| !values.is_empty())
        .map(|(name, values)| Fact { name, values })
        .collect()
}

/// The manifest itself, with its lines indented.
fn raw(stored: &StoredManifest) -> Option<String> {
    if stored.bytes.len() > MAX_RAW {
        return None;
    }
    let value: Value = serde_json::from_slice(&stored.bytes).ok()?;
    serde_json::to_string_pretty(&value).ok()
}

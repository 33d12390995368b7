//! What happened to content, told to whoever listens: webhooks today, anything tomorrow.
//!
//! An event has the form that distribution gives it in notifications, so that what is told here can be sent
//! as it is. Telling never waits: a listener has a bounded queue, and what finds it full is counted and
//! dropped. Nobody listening costs nothing: then no event is made.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;

use super::digest::Digest;
use super::metrics::metrics;
use super::name::{Reference, RepositoryName, UploadId};

/// What a listener may be behind: at some 600 bytes each, 2.5 MiB.
const QUEUE: usize = 4096;
/// What blobs are called, whatever the manifests that name them say of their types.
const BLOB: &str = "application/octet-stream";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Push,
    Pull,
    Mount,
    Delete,
}

impl Action {
    pub const ALL: [Self; 4] = [Self::Push, Self::Pull, Self::Mount, Self::Delete];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Pull => "pull",
            Self::Mount => "mount",
            Self::Delete => "delete",
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The same however often the event is sent.
    pub id: String,
    /// RFC 3339.
    pub timestamp: String,
    pub action: Action,
    pub target: Target,
    pub request: RequestRecord,
    pub actor: Actor,
    pub source: Source,
}

/// What it happened to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Target {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub size: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// The size once more: its first name.
    #[serde(skip_serializing_if = "is_zero")]
    pub length: u64,
    pub repository: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from_repository: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tag: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The request that did it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestRecord {
    pub id: String,
    pub addr: String,
    pub host: String,
    pub method: String,
    pub useragent: String,
}

/// Who did it; nobody in particular where all may.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Actor {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// The process that saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub addr: String,
    #[serde(rename = "instanceID")]
    pub instance: String,
}

impl Target {
    /// A manifest, as it was asked for.
    pub fn manifest(
        name: &RepositoryName,
        reference: &Reference,
        digest: &Digest,
        media_type: &str,
        bytes: &[u8],
        with_references: bool,
    ) -> Self {
        Self {
            media_type: media_type.to_owned(),
            url: format!("/v2/{name}/manifests/{digest}"),
            tag: match reference {
                Reference::Tag(tag) => tag.to_string(),
                Reference::Digest(_) => String::new(),
            },
            references: if with_references {
                references(bytes)
            } else {
                Vec::new()
            },
            ..Self::content(name, digest, bytes.len() as u64)
        }
    }

    pub fn blob(name: &RepositoryName, digest: &Digest, size: u64) -> Self {
        Self {
            media_type: BLOB.to_owned(),
            url: format!("/v2/{name}/blobs/{digest}"),
            ..Self::content(name, digest, size)
        }
    }

    /// What is there no longer.
    pub fn gone(name: &RepositoryName, reference: &Reference) -> Self {
        let mut target = Self {
            repository: name.to_string(),
            ..Self::default()
        };
        match reference {
            Reference::Tag(tag) => target.tag = tag.to_string(),
            Reference::Digest(digest) => target.digest = digest.to_string(),
        }
        target
    }

    fn content(name: &RepositoryName, digest: &Digest, size: u64) -> Self {
        Self {
            size,
            length: size,
            digest: digest.to_string(),
            repository: name.to_string(),
            ..Self::default()
        }
    }
}

/// The descriptors that a manifest holds, as it writes them: config, then layers, or an index's manifests.
fn references(manifest: &[u8]) -> Vec<Value> {
    let Ok(Value::Object(mut members)) = serde_json::from_slice(manifest) else {
        return Vec::new();
    };
    let mut found: Vec<Value> = members.remove("config").into_iter().collect();
    for list in ["layers", "manifests"] {
        if let Some(Value::Array(descriptors)) = members.remove(list) {
            found.extend(descriptors);
        }
    }
    found
}

/// The way from what happens to who listens.
pub struct Events {
    listeners: Vec<mpsc::Sender<Arc<Event>>>,
    source: Source,
    /// Whether targets carry what manifests refer to.
    pub references: bool,
}

impl Events {
    /// `address` is what this server calls itself, `HOST:PORT`.
    pub fn new(address: String, references: bool) -> Self {
        Self {
            listeners: Vec::new(),
            source: Source {
                addr: address,
                instance: uuid(),
            },
            references,
        }
    }

    /// A queue of all that happens from now on.
    pub fn listen(&mut self) -> mpsc::Receiver<Arc<Event>> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        self.listeners.push(sender);
        receiver
    }

    /// Whether it is worth the while to make an event.
    pub fn wanted(&self) -> bool {
        !self.listeners.is_empty()
    }

    pub fn tell(&self, action: Action, target: Target, request: RequestRecord, actor: Actor) {
        metrics().happened(action.as_str());
        let event = Arc::new(Event {
            id: uuid(),
            timestamp: Timestamp::now().to_string(),
            action,
            target,
            request,
            actor,
            source: self.source.clone(),
        });
        for listener in &self.listeners {
            if listener.try_send(Arc::clone(&event)).is_err() {
                metrics().dropped_event();
            }
        }
    }
}

/// A random UUID; uploads' ids are such.
fn uuid() -> String {
    UploadId::random().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> RepositoryName {
        "a/b".parse().unwrap()
    }

    #[test]
    fn a_slow_listener_loses_events_and_holds_nobody_up() {
        let mut events = Events::new("here:5000".to_owned(), false);
        assert!(!events.wanted());
        let mut queue = events.listen();
        let target = Target::gone(&name(), &"v1".parse().unwrap());
        for _ in 0..QUEUE + 10 {
            events.tell(
                Action::Delete,
                target.clone(),
                RequestRecord::default(),
                Actor::default(),
            );
        }
        let mut heard = 0;
        while queue.try_recv().is_ok() {
            heard += 1;
        }
        assert_eq!(heard, QUEUE);
    }

    #[test]
    fn the_form_is_distribution_s() {
        let manifest = br#"{"config":{"digest":"c"},"layers":[{"digest":"l","size":1}]}"#;
        let digest = Digest::of(super::super::digest::Algorithm::Sha256, manifest);
        let target = Target::manifest(&name(), &"v1".parse().unwrap(), &digest, "m/t", manifest, true);
        assert_eq!(
            serde_json::to_value(target).unwrap(),
            serde_json::json!({"mediaType": "m/t", "size": manifest.len(), "digest": digest.as_str(),
                "length": manifest.len(), "repository": "a/b", "url": format!("/v2/a/b/manifests/{digest}"), "tag": "v1",
                "references": [{"digest": "c"}, {"digest": "l", "size": 1}]})
        );
    }
}

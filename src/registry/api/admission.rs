//! How much a client may ask for and a repository may hold, as requests run into it.
//!
//! Called by `access` before a request goes to its handler, and by the handlers that take content in, right before
//! it becomes the repository's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::Body as _;
use hyper::header;

use super::Asked;
use crate::registry::access::limits::{Client, Limit, Traffic};
use crate::registry::access::quota::{Added, QuotaError, Room};
use crate::registry::content::{ContentError, Registry};
use crate::registry::digest::{Algorithm, Digest};
use crate::registry::error::{ApiError, Problem};
use crate::registry::name::{Reference, RepositoryName, Tag};
use crate::registry::route::{Endpoint, Start};

impl Asked<'_> {
    fn limit(&self) -> (Limit, Client<'_>) {
        let client = match self.identity.name() {
            Some(name) => Client::Named(name),
            None => Client::Address(self.connection.peer.ip()),
        };
        let anonymous = matches!(client, Client::Address(_));
        (self.config.access.limits.of(anonymous), client)
    }

    /// Counts the request, unless its client has had enough.
    pub fn admit_request(&self) -> Result<(), ApiError> {
        let (limit, client) = self.limit();
        let admitted = self.service.access.buckets.admit(limit, client, Instant::now());
        admitted.map_err(|wait| too_many("this client has asked for more than `access.limits` allow", wait))
    }

    /// Counts what has come, and what is being sent.
    pub fn count_traffic(&self, sent: u64) {
        let (limit, client) = self.limit();
        let traffic = Traffic {
            sent,
            received: self.request.body().received(),
        };
        self.service
            .access
            .buckets
            .count(limit, client, traffic, Instant::now());
    }

    /// Refuses early what will have no room: by the length that the client announces.
    pub async fn announced(&self, endpoint: &Endpoint) -> Result<(), ApiError> {
        let (name, digest) = match endpoint {
            Endpoint::StartUpload(name, Start::Monolithic(digest))
            | Endpoint::FinishUpload(name, _, digest) => (name, Some(digest)),
            Endpoint::StartUpload(name, Start::Session(_)) | Endpoint::AppendUpload(name, _) => (name, None),
            _ => return Ok(()),
        };
        let size = self.request.body().size_hint().lower();
        let name = name.clone();
        let digest = digest.map(ToString::to_string);
        self.quota(move |admit, _| {
            // Asked for, and not counted yet.
            let size = size.max(1);
            let announced = Added {
                content: digest.as_deref().map(|digest| (digest, size)),
                announced: if digest.is_some() { 0 } else { size },
                only_asked: true,
                ..Added::default()
            };
            admit(&name, &announced)
        })
        .await
        .map(drop)
    }

    /// Counts a blob that is about to become one of the repository's.
    pub async fn admit_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        size: u64,
    ) -> Result<Room, ApiError> {
        let (name, digest) = (name.clone(), digest.clone());
        self.quota(move |admit, _| {
            let added = Added {
                content: Some((digest.as_str(), size)),
                ..Added::default()
            };
            admit(&name, &added)
        })
        .await
    }

    /// Counts a blob of `from` that is about to be mounted.
    pub async fn admit_mount(
        &self,
        name: &RepositoryName,
        from: &RepositoryName,
        digest: &Digest,
    ) -> Result<Room, ApiError> {
        let (name, from, digest) = (name.clone(), from.clone(), digest.clone());
        self.quota(move |admit, registry| {
            let size = match registry.blob(&from, &digest) {
                Ok(blob) => blob.size(),
                // Then there will be no mount.
                Err(ContentError::BlobUnknown) => return Ok(Room::default()),
                Err(error) => return Err(error.into()),
            };
            let added = Added {
                content: Some((digest.as_str(), size)),
                ..Added::default()
            };
            admit(&name, &added)
        })
        .await
    }

    /// Counts a manifest and its tags.
    pub async fn admit_manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        tags: &[Tag],
        bytes: &Bytes,
    ) -> Result<Room, ApiError> {
        let (name, reference, tags, bytes) = (name.clone(), reference.clone(), tags.to_vec(), bytes.clone());
        self.quota(move |admit, _| {
            let (digest, own) = match &reference {
                Reference::Digest(digest) => (digest.clone(), None),
                Reference::Tag(tag) => (Digest::of(Algorithm::Sha256, &bytes), Some(tag)),
            };
            let added = Added {
                content: Some((digest.as_str(), bytes.len() as u64)),
                tags: own.into_iter().chain(&tags).map(Tag::as_str).collect(),
                ..Added::default()
            };
            admit(&name, &added)
        })
        .await
    }

    /// Runs `work` with what admits to quotas, where there are any.
    async fn quota(
        &self,
        work: impl FnOnce(
            &dyn Fn(&RepositoryName, &Added<'_>) -> Result<Room, QuotaError>,
            &Registry,
        ) -> Result<Room, QuotaError>
        + Send
        + 'static,
    ) -> Result<Room, ApiError> {
        if self.config.access.quotas.is_empty() {
            return Ok(Room::default());
        }
        let (service, config) = (Arc::clone(self.service), Arc::clone(self.config));
        self.content(move |registry| {
            let admit = |name: &RepositoryName, added: &Added<'_>| {
                service
                    .access
                    .quotas
                    .admit(registry, &config.access.quotas, name, added)
            };
            work(&admit, registry)
        })
        .await
    }
}

pub fn too_many(reason: &str, wait: Duration) -> ApiError {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Problem::TooManyRequests
        .detail(reason)
        .header(header::RETRY_AFTER, &seconds.max(1).to_string())
}

impl From<QuotaError> for ApiError {
    fn from(error: QuotaError) -> Self {
        match error {
            QuotaError::Exceeded(exceeded) => Problem::QuotaExceeded.because(exceeded.to_string()),
            QuotaError::Content(error) => error.into(),
        }
    }
}

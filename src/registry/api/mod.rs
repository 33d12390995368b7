//! The protocol's half of every request: one file for each group of resources.
//!
//! A request passes through `route` (what is asked), `access` (whether it may) and then one handler. No
//! file is opened here: storage work runs in [`blocking`], on `content`.

mod access;
mod admission;
mod base;
mod blobs;
mod body;
mod handover;
mod listing;
mod location;
mod manifests;
mod mirrored;
mod operation;
mod page;
mod prefix;
mod proxies;
mod receive;
mod referrers;
mod respond;
mod room;
mod token;
mod uploads;
mod warning;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Method, Request, Response};

pub use body::Body;
pub use handover::Handover;
pub use respond::error_response;

use super::access::Access;
use super::access::identity::Identity;
use super::access::rules::Because;
use super::access_log::Record;
use super::config::{Config, Live};
use super::content::{ContentError, Registry, UploadError};
use super::error::{ApiError, Problem};
use super::events::Events;
use super::health::Health;
use super::metrics;
use super::name::RepositoryName;
use super::route::{self, Endpoint};
use super::storage::StorageError;
use super::upstream::Mirrors;

/// Everything that a handler needs.
pub struct Service {
    pub registry: Arc<Registry>,
    pub mirrors: Arc<Mirrors>,
    pub live: Live,
    pub access: Access,
    pub events: Events,
    pub health: Arc<Health>,
}

/// How the request came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Loopback without a port where it came through a socket of this machine.
    pub peer: std::net::SocketAddr,
    pub secure: bool,
    /// The common name of the client's certificate, which TLS has verified.
    pub certificate: Option<Arc<str>>,
}

type Answer = Result<Response<Body>, ApiError>;

impl Service {
    /// Answers one request, whatever it is.
    pub async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        connection: Connection,
        record: &mut Record,
    ) -> Response<Body> {
        let head = request.method() == Method::HEAD;
        let config = self.config();
        let mut asked = Asked {
            service: &self,
            config: &config,
            request,
            connection,
            identity: Identity::default(),
            because: None,
            deed: access::Deed::default(),
            record,
            told: None,
        };
        let mut response = match asked.answer().await {
            Ok(response) => {
                asked.settle(response.status(), None, response.body().remaining());
                response
            }
            Err(error) => {
                asked.settle(error.problem.status(), Some(&error), 0);
                asked.discard_body().await;
                asked.refused(&error)
            }
        };
        prefix::add_to_link(&mut response, &config.http.prefix);
        let mut response = respond::finish(response, head, &config.http.headers);
        if let Some(text) = &config.http.warning {
            warning::add(&mut response, text);
        }
        response
    }

    /// The configuration in force now.
    pub fn config(&self) -> Arc<Config> {
        self.live.now()
    }
}

/// A request in the hands of its handler.
struct Asked<'a> {
    service: &'a Arc<Service>,
    /// The one that was in force when the request came.
    config: &'a Config,
    request: Request<Incoming>,
    connection: Connection,
    /// Who asks, once `access` has let the request pass.
    identity: Identity,
    /// What let it pass.
    because: Option<Because>,
    deed: access::Deed,
    record: &'a mut Record,
    /// The repository, where somebody listens to what happens to it.
    told: Option<RepositoryName>,
}

impl Asked<'_> {
    async fn answer(&mut self) -> Answer {
        let uri = self.request.uri();
        let path = prefix::without(uri.path(), &self.config.http.prefix).ok_or(Problem::NoSuchEndpoint)?;
        let endpoint = route::route(self.request.method(), path, uri.query())?;
        let endpoint = self.named_here(endpoint)?;
        self.record.handler = metrics::handler(&endpoint);
        self.deed = access::Deed::of(&endpoint);
        let endpoint = access::check(self, endpoint).await?;
        self.refuse_push_to_mirror(&endpoint)?;
        if self.service.events.wanted() {
            self.told = endpoint.repository().cloned();
        }
        let asked = self;
        match endpoint {
            Endpoint::Root => Ok(base::root()),
            Endpoint::Base => Ok(base::version()),
            Endpoint::Token => token::get(asked).await,
            Endpoint::PostToken => token::post(asked).await,
            Endpoint::TokenKeys => token::keys(asked),
            Endpoint::Catalog(page) => listing::catalog(asked, page).await,
            Endpoint::Tags(name, page) => listing::tags(asked, name, page).await,
            Endpoint::GetManifest(name, reference) => manifests::get(asked, name, reference).await,
            Endpoint::PutManifest(name, reference, tags) => {
                manifests::put(asked, name, reference, tags).await
            }
            Endpoint::DeleteManifest(name, reference) => manifests::delete(asked, name, reference).await,
            Endpoint::GetBlob(name, digest) => blobs::get(asked, name, digest).await,
            Endpoint::DeleteBlob(name, digest) => blobs::delete(asked, name, digest).await,
            Endpoint::StartUpload(name, start) => uploads::start(asked, name, start).await,
            Endpoint::UploadStatus(name, id) => uploads::status(asked, name, id).await,
            Endpoint::AppendUpload(name, id) => uploads::append(asked, name, id).await,
            Endpoint::FinishUpload(name, id, digest) => uploads::finish(asked, name, id, digest).await,
            Endpoint::CancelUpload(name, id) => uploads::cancel(asked, name, id).await,
            Endpoint::Referrers(name, digest, filter) => referrers::list(asked, name, digest, filter).await,
            Endpoint::Probe(probe) => Ok(operation::probe(asked, probe)),
            Endpoint::Metrics => operation::metrics(asked).await,
            Endpoint::Page(wanted) => page::get(asked, wanted).await,
        }
    }

    /// A header's text, where there is one and it is text.
    fn header(&self, name: hyper::header::HeaderName) -> Option<&str> {
        self.request.headers().get(name)?.to_str().ok()
    }

    /// Runs storage work on a blocking thread.
    async fn content<T, E>(
        &self,
        work: impl FnOnce(&Registry) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ApiError>
    where
        T: Send + 'static,
        E: Into<ApiError> + Send + 'static,
    {
        let _span = self.record.span.as_ref().map(|span| span.parent().storage());
        let registry = Arc::clone(&self.service.registry);
        blocking(move || work(&registry)).await
    }
}

/// Runs `work` on a blocking thread, to its end even if the client goes away.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, ApiError>
where
    T: Send + 'static,
    E: Into<ApiError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Into::into),
        Err(error) => {
            tracing::error!(%error, "a storage operation panicked");
            Err(Problem::Internal.into())
        }
    }
}

impl From<ContentError> for ApiError {
    fn from(error: ContentError) -> Self {
        let problem = match &error {
            ContentError::BlobUnknown => return Problem::BlobUnknown.into(),
            ContentError::ManifestUnknown => return Problem::ManifestUnknown.into(),
            ContentError::RepositoryUnknown => return Problem::NameUnknown.into(),
            ContentError::ManifestInvalid(_) => Problem::ManifestInvalid,
            ContentError::ReferencesMissing(_) => Problem::ManifestBlobUnknown,
            ContentError::DigestMismatch { .. } => Problem::DigestInvalid,
            ContentError::Storage(StorageError::Full { .. }) => {
                tracing::error!(%error, "storage full");
                return Problem::StorageFull.into();
            }
            ContentError::LinkDamaged { .. }
            | ContentError::ManifestDamaged(_)
            | ContentError::Storage(_) => {
                // Its text holds paths of this machine: for the log, not for the client.
                tracing::error!(%error, "storage failed");
                return Problem::Internal.into();
            }
        };
        problem.detail(error.to_string())
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Unknown => Problem::UploadUnknown.into(),
            UploadError::Busy => Problem::UploadBusy.into(),
            UploadError::Content(error) => error.into(),
        }
    }
}

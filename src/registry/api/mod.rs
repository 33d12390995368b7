//! The protocol's half of every request: one file for each group of resources.
//!
//! A request passes through `route` (what is asked), `access` (whether it may) and then one handler. No
//! file is opened here: storage work runs in [`blocking`], on `content`.

mod access;
mod base;
mod blobs;
mod body;
mod listing;
mod location;
mod manifests;
mod mirrored;
mod receive;
mod referrers;
mod respond;
mod uploads;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Method, Request, Response};

pub use body::Body;
pub use respond::error_response;

use super::config::{Config, Live};
use super::content::{ContentError, Registry, UploadError};
use super::error::{ApiError, Problem};
use super::route::{self, Endpoint};
use super::storage::StorageError;
use super::upstream::Mirrors;

/// Everything that a handler needs.
pub struct Service {
    pub registry: Arc<Registry>,
    pub mirrors: Arc<Mirrors>,
    pub live: Live,
}

/// How the request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    pub peer: std::net::SocketAddr,
    pub secure: bool,
}

type Answer = Result<Response<Body>, ApiError>;

impl Service {
    /// Answers one request, whatever it is.
    pub async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        connection: Connection,
    ) -> Response<Body> {
        let head = request.method() == Method::HEAD;
        let config = self.config();
        let mut asked = Asked {
            service: &self,
            config: &config,
            request,
            connection,
        };
        let response = match asked.answer().await {
            Ok(response) => response,
            Err(error) => {
                asked.discard_body().await;
                error_response(&error)
            }
        };
        respond::finish(response, head, &config.http.headers)
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
}

impl Asked<'_> {
    async fn answer(&mut self) -> Answer {
        let uri = self.request.uri();
        let endpoint = route::route(self.request.method(), uri.path(), uri.query())?;
        let endpoint = self.settle(endpoint)?;
        access::check(self.config, &endpoint)?;
        let asked = self;
        match endpoint {
            Endpoint::Root => Ok(base::root()),
            Endpoint::Base => Ok(base::version()),
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

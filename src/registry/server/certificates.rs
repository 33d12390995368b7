//! The certificate while the server runs: changed files are put in force, and what an ACME server gives is
//! asked for in time. Where that server comes by plain HTTP it is answered here, for as long as it takes.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::ServeError;
use super::background::Life;
use super::listen::{Accepted, Listener};
use crate::registry::config::tls::{Acme, Challenge, Origin};
use crate::registry::tls::{Keeper, Offer, acme};

/// How often files are looked at: a few calls of `stat`.
const LOOK: Duration = Duration::from_secs(1);
/// After a failure ACME servers are asked again, less and less often: they count.
const RETRY_FIRST: Duration = Duration::from_mins(1);
const RETRY_LAST: Duration = Duration::from_hours(1);

/// Keeps what is offered current.
pub async fn keep(mut life: Life, keeper: Keeper) {
    let keeper = Arc::new(Mutex::new(keeper));
    loop {
        if !life.pause(LOOK).await {
            return;
        }
        let (keeper, config) = (Arc::clone(&keeper), life.config());
        let looked = tokio::task::spawn_blocking(move || {
            let mut keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner);
            keeper.look(&config, SystemTime::now());
        });
        if let Err(error) = looked.await {
            tracing::error!(%error, "looking at the certificate failed");
        }
    }
}

/// Gets certificates when they are due, where the configuration names an ACME server.
pub async fn renew(mut life: Life, offer: Arc<Offer>) {
    let mut retry = RETRY_FIRST;
    loop {
        let config = life.config();
        let mut wait = RETRY_LAST;
        if let Some(Origin::Acme(settings)) = config.http.tls.origin() {
            let folder = acme::folder(&config);
            if acme::due(&folder, &settings.hosts, SystemTime::now()) {
                let obtained = tokio::select! {
                    obtained = obtain(settings, &folder, &offer) => obtained,
                    () = life.draining() => return,
                };
                match obtained {
                    Ok(()) => retry = RETRY_FIRST,
                    Err(error) => {
                        tracing::error!(%error, "no certificate came; asking again in {} s", retry.as_secs());
                        wait = retry;
                        retry = (retry * 2).min(RETRY_LAST);
                    }
                }
            }
        }
        if !life.pause(wait).await {
            return;
        }
    }
}

/// Why no certificate came.
#[derive(Debug, thiserror::Error)]
enum ObtainError {
    #[error(transparent)]
    Acme(#[from] acme::AcmeError),
    #[error("answer HTTP-01 at `http.tls.letsencrypt.httpaddr`: {0}")]
    Listen(#[from] ServeError),
}

/// Gets one certificate, and answers the ACME server in the meantime where it comes by plain HTTP.
async fn obtain(settings: &Acme, folder: &Path, offer: &Arc<Offer>) -> Result<(), ObtainError> {
    let obtaining = acme::obtain(settings, folder, offer);
    if settings.challenge == Challenge::TlsAlpn01 {
        return Ok(obtaining.await?);
    }
    let listener = Listener::bind(&settings.http_address).await?;
    tokio::select! {
        obtained = obtaining => Ok(obtained?),
        never = answer_all(&listener, offer) => match never {},
    }
}

/// Connections at once: an ACME server looks from a few places, and everybody else finds nothing.
const MAX_CONNECTIONS: usize = 32;
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers for as long as somebody waits for it.
async fn answer_all(listener: &Listener, offer: &Arc<Offer>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok(Accepted::Tcp(stream, _)) => connections.spawn(answer(stream, Arc::clone(offer))),
            Ok(Accepted::Unix(stream)) => connections.spawn(answer(stream, Arc::clone(offer))),
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(super::ACCEPT_PAUSE).await;
                continue;
            }
        };
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, offer: Arc<Offer>) {
    let answer = service_fn(|request: Request<Incoming>| {
        let (status, text) = match offer.proof(request.uri().path()) {
            Some(proof) => (StatusCode::OK, proof),
            None => (StatusCode::NOT_FOUND, "there is nothing here\n".to_owned()),
        };
        async move {
            let mut response = Response::new(Full::new(Bytes::from(text)));
            *response.status_mut() = status;
            Ok::<_, Infallible>(response)
        }
    });
    let ended = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = ended {
        tracing::debug!(%error, "connection broke");
    }
}

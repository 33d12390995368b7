//! The second port, `http.debug.addr`: what those who run the server want to know of it. Plain HTTP/1.1, no
//! access control: it is not for everybody.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::background::Life;
use super::listen::{Accepted, Listener};
use crate::registry::api::Service;
use crate::registry::config::Config;
use crate::registry::health::Probe;
use crate::registry::metrics::{self, Form};

/// An answer in the making.
pub type Answering = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>;

/// One thing to ask for.
struct Page {
    /// None where the configuration does not offer it.
    path: fn(&Config) -> Option<&str>,
    answer: fn(Arc<Service>) -> Answering,
}

const PAGES: &[Page] = &[
    Page {
        path: |_| Some("/debug/health"),
        answer: |service| Box::pin(async move { look(&service, Probe::Debug) }),
    },
    Page {
        path: |_| Some("/healthz"),
        answer: |service| Box::pin(async move { look(&service, Probe::Alive) }),
    },
    Page {
        path: |_| Some("/readyz"),
        answer: |service| Box::pin(async move { look(&service, Probe::Ready) }),
    },
    Page {
        path: |config| {
            let debug = &config.http.debug;
            debug.prometheus.then_some(debug.metrics_path.as_str())
        },
        answer: |service| Box::pin(scrape(service)),
    },
];

/// Scrapers and probes are few.
const MAX_CONNECTIONS: usize = 64;
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers until the server has drained: until then somebody may want to know how it goes.
pub async fn serve(mut life: Life, listener: Listener, service: Arc<Service>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => accepted,
            Some(_) = connections.join_next() => continue,
            () = life.drained() => return,
        };
        match accepted {
            Ok(Accepted::Tcp(stream, _)) => connections.spawn(answer(stream, Arc::clone(&service))),
            Ok(Accepted::Unix(stream)) => connections.spawn(answer(stream, Arc::clone(&service))),
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(super::ACCEPT_PAUSE).await;
                continue;
            }
        };
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, service: Arc<Service>) {
    let answer = service_fn(|request: Request<Incoming>| {
        let service = Arc::clone(&service);
        async move {
            let config = service.config();
            let wanted = |page: &&Page| (page.path)(&config) == Some(request.uri().path());
            Ok::<_, Infallible>(match PAGES.iter().find(wanted) {
                Some(page) => (page.answer)(service).await,
                None => respond(
                    StatusCode::NOT_FOUND,
                    "text/plain",
                    "there is nothing here\n".into(),
                ),
            })
        }
    });
    let ended = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = ended {
        tracing::debug!(%error, "connection broke");
    }
}

pub fn respond(status: StatusCode, media_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let media_type = HeaderValue::from_static(media_type);
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}

fn look(service: &Service, probe: Probe) -> Response<Full<Bytes>> {
    let (well, body) = service.health.answer(probe);
    let status = if well {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    respond(status, "application/json", body.to_string().into())
}

async fn scrape(service: Arc<Service>) -> Response<Full<Bytes>> {
    // Asks the storage for what room is left.
    let text = tokio::task::spawn_blocking(move || {
        metrics::text(metrics::metrics(), Form::Prometheus, &service.gauges())
    });
    match text.await {
        Ok(text) => respond(StatusCode::OK, Form::Prometheus.media_type(), text.into()),
        Err(error) => {
            tracing::error!(%error, "writing metrics panicked");
            respond(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", Bytes::new())
        }
    }
}

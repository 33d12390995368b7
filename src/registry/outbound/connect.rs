//! From a URL to a connection: name, address, proxy, TLS.

use std::error::Error;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::{Options, Proxies};

type Cause = Box<dyn Error + Send + Sync>;
type Pending<T> = Pin<Box<dyn Future<Output = Result<T, Cause>> + Send>>;

/// Makes connections for hyper's client.
#[derive(Clone)]
pub struct Connector {
    reach: Reach,
    proxies: Arc<Proxies>,
    limit: Duration,
}

impl Connector {
    pub fn new(proxies: Proxies, options: &Options) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self {
            reach: Reach {
                tcp,
                trust: Arc::new(Trust {
                    authorities: options.authorities.clone(),
                    config: OnceCell::new(),
                }),
            },
            proxies: Arc::new(proxies),
            limit: options.connect,
        }
    }

    /// What a proxy wants to see in every plain request; one over TLS shows it once, when the tunnel is dug.
    pub fn proxy_authorization(&self, url: &Uri) -> Option<HeaderValue> {
        if url.scheme_str() != Some("http") {
            return None;
        }
        self.proxies.intercept(url)?.basic_auth().cloned()
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Link>;
    type Error = Cause;
    type Future = Pending<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let (mut reach, limit) = (self.reach.clone(), self.limit);
        let proxy = self.proxies.intercept(&url);
        Box::pin(async move {
            let connecting = async {
                match proxy {
                    None => reach.call(url).await,
                    Some(proxy) => reach.through(&proxy, url).await,
                }
            };
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(format!("no connection within {} s", limit.as_secs_f32()).into()),
            }
        })
    }
}

/// Reaches a URL's own host.
#[derive(Clone)]
struct Reach {
    tcp: HttpConnector<Resolver>,
    trust: Arc<Trust>,
}

impl Reach {
    async fn through(mut self, proxy: &Intercept, url: Uri) -> Result<TokioIo<Link>, Cause> {
        let shown = proxy.uri().host().unwrap_or("").to_owned();
        if !matches!(proxy.uri().scheme_str(), Some("http" | "https")) {
            return Err(format!("the proxy {shown} is neither an http nor an https one").into());
        }
        let failed = |source: Cause| format!("the proxy {shown}: {source}");
        if url.scheme_str() == Some("http") {
            let mut link = self.call(proxy.uri().clone()).await.map_err(failed)?;
            link.inner_mut().proxied = true;
            return Ok(link);
        }
        let trust = Arc::clone(&self.trust);
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self);
        if let Some(secret) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(secret.clone());
        }
        let host = url.host().unwrap_or("").to_owned();
        let link = tunnel.call(url).await.map_err(|error| failed(error.into()))?;
        trust.secure(link.into_inner(), &host).await
    }
}

impl Service<Uri> for Reach {
    type Response = TokioIo<Link>;
    type Error = Cause;
    type Future = Pending<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let (mut tcp, trust) = (self.tcp.clone(), Arc::clone(&self.trust));
        Box::pin(async move {
            let (secure, host) = (
                url.scheme_str() == Some("https"),
                url.host().unwrap_or("").to_owned(),
            );
            let link = Link {
                stream: Box::new(tcp.call(url).await?.into_inner()),
                proxied: false,
            };
            if secure {
                trust.secure(link, &host).await
            } else {
                Ok(TokioIo::new(link))
            }
        })
    }
}

/// Whom to believe: read when TLS is first spoken, for there may never be any.
struct Trust {
    authorities: Vec<PathBuf>,
    config: OnceCell<Arc<ClientConfig>>,
}

impl Trust {
    async fn secure(&self, link: Link, host: &str) -> Result<TokioIo<Link>, Cause> {
        let authorities = &self.authorities;
        let config = self.config.get_or_try_init(|| async {
            let authorities = authorities.clone();
            tokio::task::spawn_blocking(move || client_config(&authorities)).await?
        });
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
        let connector = TlsConnector::from(Arc::clone(config.await?));
        let stream = connector
            .connect(name, link)
            .await
            .map_err(|error| format!("TLS: {error}"))?;
        Ok(TokioIo::new(Link {
            stream: Box::new(stream),
            proxied: false,
        }))
    }
}

fn client_config(authorities: &[PathBuf]) -> Result<Arc<ClientConfig>, Cause> {
    let mut roots = RootCertStore::empty();
    // One that cannot be read among the system's is its administrator's business.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for file in authorities {
        add(&mut roots, file).map_err(|error| format!("the authority {}: {error}", file.display()))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn add(roots: &mut RootCertStore, file: &Path) -> Result<(), Cause> {
    for certificate in CertificateDer::pem_file_iter(file)? {
        roots.add(certificate?)?;
    }
    Ok(())
}

/// Asks `resolve`: the C library cannot be, in a static executable.
#[derive(Clone)]
struct Resolver;

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            let found = crate::resolve::resolve(name.as_str()).await?;
            // The port is the URL's, and set by who asks.
            let addresses: Vec<SocketAddr> = found.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect();
            Ok(addresses.into_iter())
        })
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection, plain or within TLS.
pub struct Link {
    stream: Box<dyn Stream>,
    /// Requests name their whole URL.
    proxied: bool,
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.proxied)
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

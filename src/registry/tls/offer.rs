//! What connections are offered at the moment, and the handshake.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// What an ACME server offers when it looks whether a name is ours (RFC 8737).
pub const CHALLENGE: &[u8] = b"acme-tls/1";
/// Where an ACME server that comes by HTTP looks (RFC 8555, 8.3).
pub const PROOFS: &str = "/.well-known/acme-challenge/";

/// A connection that has begun keeps what it began with; the next one gets what is new.
#[derive(Default)]
pub struct Offer {
    /// None until there is a certificate.
    current: RwLock<Option<Arc<ServerConfig>>>,
    /// Answers to an ACME server that comes by TLS, by host name.
    challenges: RwLock<HashMap<String, Arc<ServerConfig>>>,
    /// Answers to one that comes by HTTP, by path.
    proofs: RwLock<HashMap<String, String>>,
}

impl Offer {
    pub fn set(&self, config: Arc<ServerConfig>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(config);
    }

    pub fn set_challenges(&self, challenges: HashMap<String, Arc<ServerConfig>>) {
        *self.challenges.write().unwrap_or_else(PoisonError::into_inner) = challenges;
    }

    pub fn set_proofs(&self, proofs: HashMap<String, String>) {
        *self.proofs.write().unwrap_or_else(PoisonError::into_inner) = proofs;
    }

    /// What is to be answered at a path, if that is a proof (RFC 8555, 8.3).
    pub fn proof(&self, path: &str) -> Option<String> {
        let proofs = self.proofs.read().unwrap_or_else(PoisonError::into_inner);
        proofs.get(path).cloned()
    }

    /// Begins TLS. None where an ACME server had its answer and wants nothing else.
    pub async fn accept<S>(&self, stream: S) -> io::Result<Option<TlsStream<S>>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
        let hello = start.client_hello();
        let challenged = hello
            .alpn()
            .is_some_and(|mut protocols| protocols.any(|protocol| protocol == CHALLENGE));
        if !challenged {
            let current = self
                .current
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            let current = current.ok_or_else(|| io::Error::other("there is no certificate yet"))?;
            return start.into_stream(current).await.map(Some);
        }
        let answer = {
            let challenges = self.challenges.read().unwrap_or_else(PoisonError::into_inner);
            let name = hello.server_name().unwrap_or_default();
            challenges.get(name).cloned()
        };
        let answer =
            answer.ok_or_else(|| io::Error::other("no ACME challenge is under way for this name"))?;
        start.into_stream(answer).await?.shutdown().await?;
        Ok(None)
    }
}

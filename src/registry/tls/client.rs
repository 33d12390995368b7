//! Certificates of clients: which are accepted, and whom they name.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{TlsError, material};
use crate::registry::config::{ClientAuth, Tls};

/// What verifies clients by the configured authorities; nobody is asked where there are none.
pub fn verifier(
    settings: &Tls,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let Some(first) = settings.client_authorities.first() else {
        return Ok(Arc::new(NoClientAuth));
    };
    let refused = |path: &std::path::Path, reason: String| TlsError::ClientAuthority {
        path: path.to_owned(),
        reason,
    };
    let mut roots = RootCertStore::empty();
    for path in &settings.client_authorities {
        for certificate in material::certificates("authority for clients", path)? {
            roots
                .add(certificate)
                .map_err(|error| refused(path, error.to_string()))?;
        }
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = match settings.client_auth {
        Some(ClientAuth::IfGiven) => builder.allow_unauthenticated(),
        Some(ClientAuth::Required) | None => builder,
    };
    let verifier = builder.build();
    let verifier: Arc<dyn ClientCertVerifier> =
        verifier.map_err(|error| refused(first, error.to_string()))?;
    Ok(verifier)
}

/// The common name of a client's certificate, which the handshake has verified.
pub fn common_name(chain: Option<&[CertificateDer<'_>]>) -> Option<Arc<str>> {
    let (_, certificate) = X509Certificate::from_der(chain?.first()?).ok()?;
    let name = certificate
        .subject()
        .iter_common_name()
        .find_map(|name| name.as_str().ok());
    name.map(Arc::from)
}

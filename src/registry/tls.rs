//! TLS: certificate and key from PEM files into a rustls configuration.
//!
//! Nothing here generates or renews certificates. The provider is named explicitly: more than one is linked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};

use super::config::TlsVersion;

/// HTTP/2 where the client has it.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("read the {what} {path}: {source}")]
    Read {
        what: &'static str,
        path: PathBuf,
        source: pem::Error,
    },
    #[error("the certificate file {0} holds no PEM certificate")]
    Empty(PathBuf),
    #[error("the certificate {certificate} and the key {key} do not work together: {source}")]
    Pair {
        certificate: PathBuf,
        key: PathBuf,
        source: rustls::Error,
    },
}

/// Reads both files. The certificate's issuers follow it in its file.
pub fn load(certificate: &Path, key: &Path, minimum: TlsVersion) -> Result<Arc<ServerConfig>, TlsError> {
    let unreadable = |what, path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Read { what, path, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable("certificate", certificate))?;
    if chain.is_empty() {
        return Err(TlsError::Empty(certificate.to_owned()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(unreadable("key", key))?;
    let versions: &[&rustls::SupportedProtocolVersion] = match minimum {
        TlsVersion::V12 => &[&TLS12, &TLS13],
        TlsVersion::V13 => &[&TLS13],
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|source| TlsError::Pair {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            source,
        })?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_loads_and_a_mismatch_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let one = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = write("cert.pem", &one.cert.pem());
        let key = write("key.pem", &one.signing_key.serialize_pem());
        let wrong = write("other.pem", &other.signing_key.serialize_pem());
        let empty = write("empty.pem", "");
        assert!(load(&certificate, &key, TlsVersion::V12).is_ok());
        let message = |certificate: &Path, key: &Path| {
            let error = load(certificate, key, TlsVersion::V13).unwrap_err().to_string();
            error.replace(&folder.path().display().to_string(), "DIR")
        };
        assert!(message(&certificate, &wrong).contains("do not work together"));
        assert_eq!(
            message(&empty, &key),
            "the certificate file DIR/empty.pem holds no PEM certificate"
        );
        assert!(message(&certificate, &empty).starts_with("read the key DIR/empty.pem"));
        assert!(message(Path::new("/nowhere.pem"), &key).starts_with("read the certificate /nowhere.pem"));
    }
}

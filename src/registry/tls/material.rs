//! Certificate, key and settings into what rustls serves with.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};

use super::{TlsError, client};
use crate::registry::config::{Tls, TlsVersion};

/// Distribution's names of TLS 1.3's suites have no number; rustls's have.
const NAMES_OF_13: [(&str, &str); 2] = [("TLS13_AES_", "TLS_AES_"), ("TLS13_CHACHA20_", "TLS_CHACHA20_")];

/// Reads a certificate, its issuers behind it, and its key.
pub fn load(
    certificate: &Path,
    key: &Path,
    settings: &Tls,
    http2: bool,
) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates("certificate", certificate)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::Read {
        what: "key",
        path: key.to_owned(),
        source,
    })?;
    let mut provider = aws_lc_rs::default_provider();
    if !settings.suites.is_empty() {
        provider
            .cipher_suites
            .retain(|suite| settings.suites.contains(&&*name(suite)));
    }
    let provider = Arc::new(provider);
    let versions: &[&rustls::SupportedProtocolVersion] = match settings.minimum {
        TlsVersion::V12 => &[&TLS12, &TLS13],
        TlsVersion::V13 => &[&TLS13],
    };
    let verifier = client::verifier(settings, &provider)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(TlsError::Settings)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, private)
        .map_err(|source| TlsError::Pair {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            source,
        })?;
    // HTTP/2 where the client has it.
    let protocols: &[&[u8]] = if http2 {
        &[b"h2", b"http/1.1"]
    } else {
        &[b"http/1.1"]
    };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

/// Every certificate of a PEM file, of which there must be one.
pub fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| TlsError::Read {
            what,
            path: path.to_owned(),
            source,
        })?;
    if all.is_empty() {
        return Err(TlsError::Empty {
            what,
            path: path.to_owned(),
        });
    }
    Ok(all)
}

/// A suite in distribution's words.
fn name(suite: &rustls::SupportedCipherSuite) -> String {
    let name = format!("{:?}", suite.suite());
    NAMES_OF_13
        .iter()
        .fold(name, |name, (theirs, ours)| name.replace(theirs, ours))
}

/// The provider that everything here uses.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::config::tls::SUITES;

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
        let settings = Tls::default();
        let offered = |http2| {
            let config = load(&certificate, &key, &settings, http2).unwrap();
            config.alpn_protocols.clone()
        };
        assert_eq!(offered(true), [b"h2".to_vec(), b"http/1.1".to_vec()]);
        assert_eq!(offered(false), [b"http/1.1".to_vec()]);
        let message = |certificate: &Path, key: &Path, settings: &Tls| {
            let error = load(certificate, key, settings, true).unwrap_err().to_string();
            error.replace(&folder.path().display().to_string(), "DIR")
        };
        assert!(message(&certificate, &wrong, &settings).contains("do not work together"));
        assert_eq!(
            message(&empty, &key, &settings),
            "the certificate file DIR/empty.pem holds no PEM certificate"
        );
        assert!(message(&certificate, &empty, &settings).starts_with("read the key DIR/empty.pem"));
        assert!(
            message(Path::new("/nowhere.pem"), &key, &settings).starts_with("read the certificate /nowhere")
        );
        let clients = Tls {
            client_authorities: vec![empty],
            ..Tls::default()
        };
        assert_eq!(
            message(&certificate, &key, &clients),
            "the authority for clients file DIR/empty.pem holds no PEM certificate"
        );
    }

    #[test]
    fn the_suites_are_those_of_the_configuration() {
        let mut names: Vec<String> = provider().cipher_suites.iter().map(name).collect();
        names.sort();
        assert_eq!(names, SUITES);
    }
}

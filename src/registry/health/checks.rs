//! The checks: a small write, free space, the certificate's end, and what the configuration adds.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Request;
use hyper::header::{HeaderName, HeaderValue};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::net::TcpStream;

use super::{Health, Outcome};
use crate::registry::config::Config;
use crate::registry::config::tls::Origin;
use crate::registry::outbound::{Options, Outbound};
use crate::registry::storage::{Storage, StorageError, paths};
use crate::registry::tls;

/// How often free space and the certificate are looked at.
const OWN_INTERVAL: Duration = Duration::from_secs(30);
/// Less than this is a full disk: a push of one large layer more.
const LITTLE_SPACE: u64 = 1 << 30;
/// A certificate that ends within this time is warned of.
const SOON: i64 = 14 * 86_400;
/// What of a checked server's answer is read, for its connection's sake.
const ANSWER: usize = 64 << 10;

/// One thing that is looked at again and again.
pub struct Check {
    name: String,
    interval: Duration,
    /// Failures in a row that it takes to be unwell.
    threshold: u32,
    failures: u32,
    subject: Subject,
}

enum Subject {
    Storage(Arc<dyn Storage>),
    Space(Arc<dyn Storage>),
    Certificate {
        path: PathBuf,
        /// It may still be on its way from an ACME server.
        comes: bool,
    },
    File(PathBuf),
    Http {
        client: Box<Outbound>,
        uri: String,
        headers: Vec<(HeaderName, HeaderValue)>,
        status: u16,
    },
    Tcp {
        address: String,
        timeout: Duration,
    },
}

/// All checks of a configuration.
pub fn all(config: &Config, storage: &Arc<dyn Storage>) -> Vec<Check> {
    let health = &config.health;
    let check = |name: String, interval, threshold, subject| Check {
        name,
        interval,
        threshold,
        failures: 0,
        subject,
    };
    let mut checks = vec![check(
        "space".to_owned(),
        OWN_INTERVAL,
        1,
        Subject::Space(Arc::clone(storage)),
    )];
    if let Some(path) = tls::certificate_file(config) {
        let comes = matches!(config.http.tls.origin(), Some(Origin::Acme(_)));
        let subject = Subject::Certificate { path, comes };
        checks.push(check("certificate".to_owned(), OWN_INTERVAL, 1, subject));
    }
    if health.storage.enabled && !config.storage.read_only {
        let subject = Subject::Storage(Arc::clone(storage));
        let (interval, threshold) = (health.storage.interval, health.storage.threshold);
        checks.push(check("storagedriver".to_owned(), interval, threshold, subject));
    }
    for file in &health.files {
        let name = format!("file {}", file.file.display());
        checks.push(check(name, file.interval, 1, Subject::File(file.file.clone())));
    }
    for http in &health.http {
        let subject = Subject::Http {
            client: Box::new(client(http.timeout)),
            uri: http.uri.clone(),
            headers: http.headers.clone(),
            status: http.status,
        };
        let name = format!("http {}", shown(&http.uri));
        checks.push(check(name, http.interval, http.threshold, subject));
    }
    for tcp in &health.tcp {
        let subject = Subject::Tcp {
            address: tcp.address.clone(),
            timeout: tcp.timeout,
        };
        checks.push(check(
            format!("tcp {}", tcp.address),
            tcp.interval,
            tcp.threshold,
            subject,
        ));
    }
    checks
}

fn client(timeout: Duration) -> Outbound {
    Outbound::new(Options {
        connect: timeout,
        response: timeout,
        stall: timeout,
        redirects: 0,
        ..Options::default()
    })
}

/// Without what may be secret in a URL.
fn shown(uri: &str) -> String {
    uri.parse().map_or_else(
        |_| String::new(),
        |uri| crate::registry::outbound::Target::of(&uri).to_string(),
    )
}

impl Check {
    /// Looks and notes, for ever.
    pub async fn run(mut self, health: Arc<Health>) {
        loop {
            let outcome = match self.subject.look().await {
                other @ (Outcome::Well | Outcome::Warning(_)) => {
                    self.failures = 0;
                    Some(other)
                }
                failing @ (Outcome::Unready(_) | Outcome::Failing(_)) => {
                    self.failures = self.failures.saturating_add(1);
                    if self.failures >= self.threshold {
                        Some(failing)
                    } else {
                        tracing::warn!(check = self.name, outcome = ?failing, "a check has failed once more");
                        None
                    }
                }
            };
            if let Some(outcome) = outcome {
                health.note(&self.name, outcome);
            }
            tokio::time::sleep(self.interval).await;
        }
    }
}

impl Subject {
    async fn look(&self) -> Outcome {
        match self {
            Self::Storage(storage) => {
                let storage = Arc::clone(storage);
                blocking(move || write(storage.as_ref())).await
            }
            Self::Space(storage) => {
                let storage = Arc::clone(storage);
                blocking(move || space(storage.as_ref())).await
            }
            Self::Certificate { path, comes } => {
                let (path, comes) = (path.clone(), *comes);
                blocking(move || certificate(&path, comes)).await
            }
            Self::File(path) => {
                let path = path.clone();
                blocking(move || match path.try_exists() {
                    Ok(false) => Outcome::Well,
                    Ok(true) => Outcome::Failing("the file is there".to_owned()),
                    Err(error) => Outcome::Failing(format!("look for the file: {error}")),
                })
                .await
            }
            Self::Http {
                client,
                uri,
                headers,
                status,
            } => ask(client, uri, headers, *status).await,
            Self::Tcp { address, timeout } => match tokio::time::timeout(*timeout, reach(address)).await {
                Ok(Ok(())) => Outcome::Well,
                Ok(Err(error)) => Outcome::Failing(error.to_string()),
                Err(_) => Outcome::Failing("no connection in time".to_owned()),
            },
        }
    }
}

async fn blocking(look: impl FnOnce() -> Outcome + Send + 'static) -> Outcome {
    let looked = tokio::task::spawn_blocking(look).await;
    looked.unwrap_or_else(|error| Outcome::Failing(format!("the check panicked: {error}")))
}

fn write(storage: &dyn Storage) -> Outcome {
    match storage.write(&paths::probe(), b"ok\n") {
        Ok(()) => Outcome::Well,
        Err(StorageError::Full { .. }) => Outcome::Warning("the storage is full".to_owned()),
        // Its text holds paths of this machine: for the log, not for whoever asks.
        Err(error) => {
            tracing::error!(%error, "the storage takes no write");
            let reason = "the storage takes no write".to_owned();
            match error {
                // What is only not allowed leaves everything to be read.
                StorageError::Failed { source, .. }
                    if matches!(
                        source.kind(),
                        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
                    ) =>
                {
                    Outcome::Unready(reason)
                }
                _ => Outcome::Failing(reason),
            }
        }
    }
}

fn space(storage: &dyn Storage) -> Outcome {
    match storage.space() {
        Ok(Some(space)) if space.free < LITTLE_SPACE => {
            Outcome::Warning(format!("{} bytes are free", space.free))
        }
        Ok(_) => Outcome::Well,
        Err(error) => {
            tracing::error!(%error, "the storage does not tell its free space");
            Outcome::Unready("the storage does not answer".to_owned())
        }
    }
}

/// Connections go on with what there is, so that nothing here closes the API.
fn certificate(path: &Path, comes: bool) -> Outcome {
    if comes && !path.exists() {
        return Outcome::Warning("there is no certificate yet: it comes from the ACME server".to_owned());
    }
    let Ok(certificate) = CertificateDer::from_pem_file(path) else {
        return Outcome::Unready("the certificate cannot be read".to_owned());
    };
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(&certificate) else {
        return Outcome::Unready("the certificate is none".to_owned());
    };
    let end = parsed.validity().not_after.timestamp();
    let left = end - jiff::Timestamp::now().as_second();
    let shown = jiff::Timestamp::from_second(end).map_or_else(|_| String::new(), |end| end.to_string());
    match left {
        ..=0 => Outcome::Unready(format!("the certificate has expired: {shown}")),
        1..SOON => Outcome::Warning(format!("the certificate expires soon: {shown}")),
        _ => Outcome::Well,
    }
}

/// Connects to `HOST:PORT`, at any of the host's addresses.
async fn reach(address: &str) -> io::Result<()> {
    let (host, port) = address
        .rsplit_once(':')
        .ok_or_else(|| io::Error::other("the address has no port"))?;
    let port: u16 = port.parse().map_err(io::Error::other)?;
    let host = host.trim_matches(['[', ']']);
    let mut last = io::Error::other("the host has no address");
    for ip in crate::resolve::resolve(host).await? {
        match TcpStream::connect((ip, port)).await {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn ask(client: &Outbound, uri: &str, headers: &[(HeaderName, HeaderValue)], expected: u16) -> Outcome {
    let mut request = match Request::head(uri).body(Bytes::new()) {
        Ok(request) => request,
        Err(error) => return Outcome::Failing(error.to_string()),
    };
    for (name, value) in headers {
        request.headers_mut().append(name, value.clone());
    }
    match client.send(request).await {
        Err(error) => Outcome::Failing(error.to_string()),
        Ok(answer) => {
            let status = answer.status();
            let _ = answer.into_body().whole(ANSWER).await;
            if status.as_u16() == expected {
                Outcome::Well
            } else {
                Outcome::Failing(format!("answered {status}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(until: (i32, u8, u8)) -> Outcome {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.pem");
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2000, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        let made = parameters.self_signed(&key).unwrap();
        std::fs::write(&path, made.pem()).unwrap();
        certificate(&path, false)
    }

    #[test]
    fn certificates_by_their_end() {
        assert_eq!(made((2100, 1, 1)), Outcome::Well);
        assert_eq!(
            made((2001, 2, 3)),
            Outcome::Unready("the certificate has expired: 2001-02-03T00:00:00Z".to_owned())
        );
        let nowhere = Path::new("/nonexistent");
        assert_eq!(
            certificate(nowhere, false),
            Outcome::Unready("the certificate cannot be read".to_owned())
        );
        assert!(matches!(certificate(nowhere, true), Outcome::Warning(_)));
    }

    #[test]
    fn the_certificate_in_force_is_looked_at_whoever_made_it() {
        let folder = tempfile::tempdir().unwrap();
        let storage: Arc<dyn Storage> =
            Arc::new(crate::registry::storage::Filesystem::new(folder.path()).unwrap());
        let looked_at = |config: &Config| {
            all(config, &storage)
                .into_iter()
                .find_map(|check| match check.subject {
                    Subject::Certificate { path, comes } => Some((path, comes)),
                    _ => None,
                })
        };
        let mut config = Config::default();
        config.storage.root = PathBuf::from("/data");
        assert_eq!(looked_at(&config), None);
        config.http.tls.own.enabled = true;
        let own = PathBuf::from("/data/regdeploy/tls/server.crt");
        assert_eq!(looked_at(&config), Some((own, false)));
        config.http.tls.own.enabled = false;
        config.http.tls.acme.hosts = vec!["registry.example".to_owned()];
        let acme = PathBuf::from("/data/regdeploy/acme/certificate.pem");
        assert_eq!(looked_at(&config), Some((acme, true)));
        config.http.tls.certificate = Some("/c.pem".into());
        config.http.tls.key = Some("/k.pem".into());
        assert_eq!(looked_at(&config), Some(("/c.pem".into(), false)));
    }
}

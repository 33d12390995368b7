//! Certificates from an ACME server (RFC 8555), proved by TLS-ALPN-01 (RFC 8737) on the server's own port, or by
//! HTTP-01 on another, where somebody has to answer from what the [`Offer`] has.
//!
//! Account, certificate and key are files in one folder, so that a restart asks for nothing. When to ask
//! again is [`due`]; to ask again and again is the caller's.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Request as HttpRequest, Response};
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, BodyWrapper, BytesResponse, ChallengeType, HttpClient,
    Identifier, KeyAuthorization, NewAccount, NewOrder, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateSigningRequestDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use serde::{Deserialize, Serialize};

use super::offer::{CHALLENGE, Offer, PROOFS};
use super::{material, own};
use crate::certificate::{self, Certificate, Name, Request, folder as files};
use crate::registry::config::Config;
use crate::registry::config::tls::{Acme, Challenge};
use crate::registry::outbound::{Options, Outbound};

pub const CERTIFICATE_FILE: &str = "certificate.pem";
pub const KEY_FILE: &str = "key.pem";
const ACCOUNT_FILE: &str = "account.json";

/// Below the root directory, unless the configuration names another.
const FOLDER: &str = "regdeploy/acme";
/// A chain of four is 8 KiB.
const MAX_ANSWER: usize = 1 << 20;

/// What kept a certificate from coming.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    #[error("{operation}: {source}")]
    Server {
        operation: &'static str,
        source: instant_acme::Error,
    },
    #[error("the ACME server does not offer {challenge} for {host}")]
    NoChallenge { challenge: &'static str, host: String },
    #[error("the ACME server did not find {0} here")]
    Refused(String),
    #[error("answer the challenge for {host}: {reason}")]
    Answer { host: String, reason: String },
    #[error(transparent)]
    Certificate(#[from] certificate::Error),
}

fn server(operation: &'static str) -> impl FnOnce(instant_acme::Error) -> AcmeError {
    move |source| AcmeError::Server { operation, source }
}

/// Where account and certificate are kept.
pub fn folder(config: &Config) -> PathBuf {
    let given = config.http.tls.acme.folder.clone();
    given.unwrap_or_else(|| config.storage.root.join(FOLDER))
}

/// Whether it is time for a certificate: there is none that works, it lacks a name, or its last third has begun.
pub fn due(folder: &Path, hosts: &[String], now: SystemTime) -> bool {
    let key = std::fs::read_to_string(folder.join(KEY_FILE)).unwrap_or_default();
    let there = std::fs::read_to_string(folder.join(CERTIFICATE_FILE))
        .ok()
        .and_then(|text| Certificate::from_pem(&text).ok());
    let Some(there) = there else { return true };
    let wanted: BTreeSet<Name> = hosts.iter().filter_map(|host| host.parse().ok()).collect();
    !there.names.is_superset(&wanted) || own::renewal(&there) <= now || !there.has_key(&key)
}

/// Gets a certificate and writes it; the keeper finds it there.
pub async fn obtain(settings: &Acme, folder: &Path, offer: &Offer) -> Result<(), AcmeError> {
    std::fs::create_dir_all(folder).map_err(|source| certificate::Error::File {
        operation: "create",
        path: folder.display().to_string(),
        source,
    })?;
    let account = account(settings, folder).await?;
    let identifiers: Vec<Identifier> = settings.hosts.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account
        .new_order(&NewOrder::new(&identifiers))
        .await
        .map_err(server("order a certificate"))?;
    let proved = prove(&mut order, settings.challenge, offer).await;
    offer.set_challenges(HashMap::new());
    offer.set_proofs(HashMap::new());
    proved?;
    let names = Name::parse_all(settings.hosts.iter().map(String::as_str))?;
    let request = Request::new(None, &names)?;
    let der = CertificateSigningRequestDer::from_pem_slice(request.pem.as_bytes()).map_err(|_| {
        certificate::Error::Malformed {
            what: "certificate request",
        }
    })?;
    order
        .finalize_csr(&der)
        .await
        .map_err(server("ask for the certificate"))?;
    let chain = order
        .poll_certificate(&RetryPolicy::default())
        .await
        .map_err(server("wait for the certificate"))?;
    files::write(&folder.join(KEY_FILE), request.key.reveal(), files::PRIVATE)?;
    files::write(&folder.join(CERTIFICATE_FILE), &chain, files::PUBLIC)?;
    tracing::info!(
        "the ACME server gave a certificate for {}",
        settings.hosts.join(", ")
    );
    Ok(())
}

/// Answers the challenges of an order, and waits until the ACME server has looked.
async fn prove(
    order: &mut instant_acme::Order,
    challenge: Challenge,
    offer: &Offer,
) -> Result<(), AcmeError> {
    let (mut answers, mut proofs, mut asked) = (HashMap::new(), HashMap::new(), None);
    let (kind, called) = match challenge {
        Challenge::TlsAlpn01 => (ChallengeType::TlsAlpn01, "TLS-ALPN-01"),
        Challenge::Http01 => (ChallengeType::Http01, "HTTP-01"),
    };
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(server("read what is to be proved"))?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let host = authorization.identifier().to_string();
        asked.get_or_insert_with(|| host.clone());
        let mut wanted = authorization
            .challenge(kind.clone())
            .ok_or_else(|| AcmeError::NoChallenge {
                challenge: called,
                host: host.clone(),
            })?;
        let proof = wanted.key_authorization();
        match challenge {
            Challenge::TlsAlpn01 => {
                let answer = answer(&host, &proof).map_err(|reason| AcmeError::Answer {
                    host: host.clone(),
                    reason,
                })?;
                answers.insert(host, answer);
                offer.set_challenges(answers.clone());
            }
            Challenge::Http01 => {
                proofs.insert(format!("{PROOFS}{}", wanted.token), proof.as_str().to_owned());
                offer.set_proofs(proofs.clone());
            }
        }
        wanted
            .set_ready()
            .await
            .map_err(server("have a challenge looked at"))?;
    }
    let status = order
        .poll_ready(&RetryPolicy::default())
        .await
        .map_err(server("wait for the challenges"))?;
    if status == OrderStatus::Ready {
        return Ok(());
    }
    Err(AcmeError::Refused(asked.unwrap_or_default()))
}

/// What the ACME server wants to see: a certificate for the name with the proof in an extension.
fn answer(host: &str, proof: &KeyAuthorization) -> Result<Arc<ServerConfig>, String> {
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let mut params = CertificateParams::new([host.to_owned()]).map_err(|error| error.to_string())?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(proof.digest().as_ref())];
    let certificate = params.self_signed(&key).map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(str::to_owned)?;
    let key = aws_lc_rs::sign::any_supported_type(&key).map_err(|error| error.to_string())?;
    // A check of the pair would fail: nobody but an ACME server understands that extension.
    let pair = CertifiedKey::new(vec![certificate.der().clone()], key);
    let mut config = ServerConfig::builder_with_provider(material::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    config.alpn_protocols = vec![CHALLENGE.to_vec()];
    Ok(Arc::new(config))
}

/// An account, and at which server it is one.
#[derive(Serialize, Deserialize)]
struct Kept {
    directory: String,
    credentials: AccountCredentials,
}

async fn account(settings: &Acme, folder: &Path) -> Result<Account, AcmeError> {
    let file = folder.join(ACCOUNT_FILE);
    let builder = || Account::builder_with_http(Box::new(Client::new(settings)));
    let kept: Option<Kept> = std::fs::read(&file)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if let Some(kept) = kept.filter(|kept| kept.directory == settings.directory) {
        let account = builder().from_credentials(kept.credentials).await;
        return account.map_err(server("reach the ACME server"));
    }
    let contact = settings.email.as_ref().map(|email| format!("mailto:{email}"));
    let contact: Vec<&str> = contact.as_deref().into_iter().collect();
    let new = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let (account, credentials) = builder()
        .create(&new, settings.directory.clone(), None)
        .await
        .map_err(server("make an account at the ACME server"))?;
    let kept = Kept {
        directory: settings.directory.clone(),
        credentials,
    };
    let text = serde_json::to_string(&kept).expect("an account is plain data");
    files::write(&file, &text, files::PRIVATE)?;
    Ok(account)
}

/// The registry's own HTTP client, as the ACME library calls it.
struct Client(Outbound);

impl Client {
    fn new(settings: &Acme) -> Self {
        Self(Outbound::new(Options {
            authorities: settings.directory_authority.iter().cloned().collect(),
            ..Options::default()
        }))
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>>;

impl HttpClient for Client {
    fn request(&self, request: HttpRequest<BodyWrapper<Bytes>>) -> Answering {
        let client = self.0.clone();
        Box::pin(async move {
            let other = |error| instant_acme::Error::Other(Box::new(error));
            let (head, body) = request.into_parts();
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(never) => match never {},
            };
            let answer = client
                .send(HttpRequest::from_parts(head, body))
                .await
                .map_err(other)?;
            let (head, body) = answer.into_parts();
            let body = body.whole(MAX_ANSWER).await.map_err(other)?;
            Ok(BytesResponse::from(Response::from_parts(head, Full::new(body))))
        })
    }
}

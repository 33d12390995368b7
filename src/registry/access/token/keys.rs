//! Public keys of a token server, from a JWKS or from PEM certificates.
//!
//! Certificates are trusted in two ways, as in distribution: their keys verify tokens that name them by id
//! (libtrust's fingerprint, or RFC 7638's thumbprint), and they are the roots of chains that a token brings.

use std::path::Path;

use jsonwebtoken::jwk::{Jwk, JwkSet, ThumbprintHash};
use jsonwebtoken::{AlgorithmFamily, DecodingKey};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::signing::fingerprint;

/// A bundle of keys takes some KiB.
const MAX_FILE: u64 = 4 << 20;

/// What tokens of one server may be signed with.
#[derive(Default)]
pub struct Keys {
    named: Vec<(String, DecodingKey)>,
    roots: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
}

impl Keys {
    pub fn one(id: &str, key: DecodingKey) -> Self {
        Self {
            named: vec![(id.to_owned(), key)],
            ..Self::default()
        }
    }

    /// Reads certificates and keys from files; the error is for people.
    pub fn read(bundle: Option<&Path>, jwks: Option<&Path>) -> Result<Self, String> {
        let mut keys = Self::default();
        if let Some(path) = bundle {
            keys.add_certificates(&contents(path)?)
                .map_err(|reason| format!("the certificates in {}: {reason}", path.display()))?;
        }
        if let Some(path) = jwks {
            keys.add_set(&contents(path)?)
                .map_err(|reason| format!("the keys in {}: {reason}", path.display()))?;
        }
        Ok(keys)
    }

    fn add_certificates(&mut self, pem: &[u8]) -> Result<(), String> {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| error.to_string())?;
            let anchor = webpki::anchor_from_trusted_cert(&certificate).map_err(|error| error.to_string())?;
            self.anchors.push(anchor.to_owned());
            let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|error| error.to_string())?;
            if let Some(key) = key_of(&parsed) {
                let ids = [
                    Some(fingerprint(parsed.public_key().raw)),
                    Jwk::from_decoding_key(&key, None)
                        .and_then(|jwk| jwk.thumbprint(ThumbprintHash::SHA256))
                        .ok(),
                ];
                self.named
                    .extend(ids.into_iter().flatten().map(|id| (id, key.clone())));
            }
            self.roots.push(certificate);
        }
        if self.roots.is_empty() {
            return Err("there is no PEM certificate".to_owned());
        }
        Ok(())
    }

    /// Adds the keys of a JWKS.
    pub fn add_set(&mut self, json: &[u8]) -> Result<(), String> {
        let set: JwkSet = serde_json::from_slice(json).map_err(|error| format!("no JWKS: {error}"))?;
        let before = self.named.len();
        for jwk in &set.keys {
            // Kinds that are not known, and secrets that are no public keys, verify nothing.
            if let Ok(key) = DecodingKey::from_jwk(jwk)
                && key.family() != AlgorithmFamily::Hmac
            {
                let id = jwk.common.key_id.clone();
                let id = id.or_else(|| jwk.thumbprint(ThumbprintHash::SHA256).ok());
                self.named.push((id.unwrap_or_default(), key));
            }
        }
        if self.named.len() == before {
            return Err("there is no public key of a kind that is known".to_owned());
        }
        Ok(())
    }

    /// The keys of this name; all where a token names none.
    pub fn named<'a>(&'a self, id: Option<&'a str>) -> impl Iterator<Item = &'a DecodingKey> {
        let matching = self
            .named
            .iter()
            .filter(move |(name, _)| id.is_none_or(|id| id == name));
        matching.map(|(_, key)| key)
    }

    /// The key of the first certificate of a chain, if the chain leads to one of the roots.
    pub fn of_chain(&self, chain: &[Vec<u8>], now: u64) -> Result<DecodingKey, String> {
        let (leaf, rest) = chain.split_first().ok_or("the chain is empty")?;
        let (_, parsed) = X509Certificate::from_der(leaf).map_err(|error| error.to_string())?;
        let key = key_of(&parsed).ok_or("the certificate's key is of a kind that is not known")?;
        if self.roots.iter().any(|root| root.as_ref() == leaf.as_slice()) {
            // A root that signs tokens itself: no chain is to be built, but it has its time.
            let seconds = i64::try_from(now).unwrap_or(i64::MAX);
            let time =
                x509_parser::time::ASN1Time::from_timestamp(seconds).map_err(|error| error.to_string())?;
            return if parsed.validity().is_valid_at(time) {
                Ok(key)
            } else {
                Err("the certificate is not valid now".to_owned())
            };
        }
        let leaf = CertificateDer::from(leaf.as_slice());
        let rest: Vec<CertificateDer> = rest
            .iter()
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        let verified = EndEntityCert::try_from(&leaf).and_then(|leaf| {
            leaf.verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &self.anchors,
                &rest,
                UnixTime::since_unix_epoch(std::time::Duration::from_secs(now)),
                AnyUsage,
                None,
                None,
            )
            .map(|_| ())
        });
        verified.map_err(|error| error.to_string())?;
        Ok(key)
    }
}

/// Token servers' certificates are made for TLS, for signing, or for nothing in particular.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

fn contents(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("read {}: {error}", path.display());
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_FILE {
        return Err(format!(
            "{} has {size} bytes, and at most {MAX_FILE} are read",
            path.display()
        ));
    }
    std::fs::read(path).map_err(failed)
}

fn key_of(certificate: &X509Certificate) -> Option<DecodingKey> {
    const ED25519: &str = "1.3.101.112";
    let public = certificate.public_key();
    let bits = public.subject_public_key.data.as_ref();
    match public.parsed().ok()? {
        PublicKey::RSA(_) => Some(DecodingKey::from_rsa_der(bits)),
        PublicKey::EC(_) => Some(DecodingKey::from_ec_der(bits)),
        _ if public.algorithm.algorithm.to_id_string() == ED25519 => Some(DecodingKey::from_ed_der(bits)),
        _ => None,
    }
}

//! The server's side of issuing: a new key, and the request that goes to the authority.

use std::collections::BTreeSet;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};

use super::{Error, Name};
use crate::value::Secret;

/// A private key and a certificate signing request for it, both PEM.
#[derive(Debug)]
pub struct Request {
    pub key: Secret,
    pub pem: String,
}

impl Request {
    /// A new ECDSA P-256 key, and a request for these names.
    pub fn new(common_name: Option<&str>, names: &BTreeSet<Name>) -> Result<Self, Error> {
        if names.is_empty() {
            return Err(Error::NoNames);
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(Error::rcgen("generate a key"))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.subject_alt_names = names.iter().map(san).collect::<Result<_, _>>()?;
        let request = params
            .serialize_request(&key)
            .and_then(|request| request.pem())
            .map_err(Error::rcgen("write a certificate request"))?;
        Ok(Self {
            key: Secret::new(key.serialize_pem()),
            pem: request,
        })
    }
}

fn san(name: &Name) -> Result<SanType, Error> {
    Ok(match name {
        Name::Dns(name) => SanType::DnsName(
            name.as_str()
                .try_into()
                .map_err(Error::rcgen("write a host name"))?,
        ),
        Name::Ip(address) => SanType::IpAddress(*address),
    })
}

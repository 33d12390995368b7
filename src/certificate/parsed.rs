//! What a certificate says.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::PublicKeyData;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Error, Name};

/// A certificate, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub subject: String,
    pub issuer: String,
    /// The subject's common name.
    pub common_name: Option<String>,
    /// Host names and addresses; names of other kinds are left out.
    pub names: BTreeSet<Name>,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
    /// Lower-case hexadecimal with colons.
    pub serial: String,
    pub is_authority: bool,
    /// DER of the subject's public key with its algorithm.
    public_key: Vec<u8>,
    der: Vec<u8>,
}

impl Certificate {
    /// The first certificate of a PEM text.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        let malformed = || Error::Malformed { what: "certificate" };
        let (_, pem) = parse_x509_pem(text.as_bytes()).map_err(|_| malformed())?;
        if pem.label != "CERTIFICATE" {
            return Err(malformed());
        }
        Self::from_der(&pem.contents)
    }

    fn from_der(der: &[u8]) -> Result<Self, Error> {
        let malformed = || Error::Malformed { what: "certificate" };
        let (_, parsed) = X509Certificate::from_der(der).map_err(|_| malformed())?;
        let names = parsed
            .subject_alternative_name()
            .map_err(|_| malformed())?
            .map(|extension| extension.value.general_names.iter().filter_map(name).collect())
            .unwrap_or_default();
        let common_name = parsed
            .subject()
            .iter_common_name()
            .find_map(|name| name.as_str().ok());
        Ok(Self {
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            common_name: common_name.map(str::to_owned),
            names,
            not_before: time(parsed.validity().not_before.timestamp()),
            not_after: time(parsed.validity().not_after.timestamp()),
            serial: parsed.raw_serial_as_string(),
            is_authority: parsed.is_ca(),
            public_key: parsed.public_key().raw.to_vec(),
            der: der.to_vec(),
        })
    }

    /// Whether that authority's key made this certificate's signature.
    pub fn is_issued_by(&self, authority: &Self) -> bool {
        let Ok((_, this)) = X509Certificate::from_der(&self.der) else {
            return false;
        };
        let Ok((_, authority)) = X509Certificate::from_der(&authority.der) else {
            return false;
        };
        this.issuer().as_raw() == authority.subject().as_raw()
            && this.verify_signature(Some(authority.public_key())).is_ok()
    }

    /// Whether that private key (PEM) belongs to this certificate.
    pub fn has_key(&self, key: &str) -> bool {
        rcgen::KeyPair::from_pem(key).is_ok_and(|key| key.subject_public_key_info() == self.public_key)
    }
}

fn name(name: &GeneralName<'_>) -> Option<Name> {
    match name {
        GeneralName::DNSName(name) => Some(Name::Dns(name.to_ascii_lowercase())),
        GeneralName::IPAddress(bytes) => {
            let address = <[u8; 4]>::try_from(*bytes)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(Name::Ip)
        }
        _ => None,
    }
}

/// Times before 1970 are no different from 1970 to anyone who asks whether a certificate is valid.
fn time(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

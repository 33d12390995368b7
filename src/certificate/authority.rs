//! An authority: its key, its own certificate, and what it signs.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
    SerialNumber,
};
use x509_parser::time::ASN1Time;

use super::{Certificate, Error};
use crate::value::Secret;

/// Clocks of targets that are this far behind still accept a new certificate.
const CLOCK_SKEW: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// RFC 5280 allows 20 octets; 16 are unguessable and leave the sign bit alone.
const SERIAL_BYTES: usize = 16;

/// Signs server certificates. Its key leaves it only through [`Authority::key_pem`].
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    parsed: Certificate,
}

/// What the authority, not the request, decides on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssueOptions {
    pub valid_days: u32,
    pub now: SystemTime,
}

impl Authority {
    /// A new authority with a new key.
    pub fn create(common_name: &str, options: IssueOptions) -> Result<Self, Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(Error::rcgen("generate a key"))?;
        Self::certify(common_name, options, &key)
    }

    /// An authority around a key that is already there (PEM).
    pub fn with_key(common_name: &str, options: IssueOptions, key: &str) -> Result<Self, Error> {
        Self::certify(common_name, options, &key_pair(key)?)
    }

    fn certify(common_name: &str, options: IssueOptions, key: &KeyPair) -> Result<Self, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        // It signs servers' certificates directly: no authority may stand below it.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, options)?;
        let certificate = params
            .self_signed(key)
            .map_err(Error::rcgen("sign the authority's certificate"))?
            .pem();
        Self::from_pem(&certificate, &key.serialize_pem())
    }

    /// An authority from what [`Self::certificate_pem`] and [`Self::key_pem`] gave.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, Error> {
        let parsed = Certificate::from_pem(certificate)?;
        let issuer = Issuer::from_ca_cert_pem(certificate, key_pair(key)?)
            .map_err(Error::rcgen("read the authority's certificate"))?;
        Ok(Self {
            issuer,
            certificate: certificate.to_owned(),
            parsed,
        })
    }

    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    pub fn certificate(&self) -> &Certificate {
        &self.parsed
    }

    pub fn key_pem(&self) -> Secret {
        Secret::new(self.issuer.key().serialize_pem())
    }

    /// A server certificate for a request (PEM): its names and common name are taken over, whatever else it
    /// asks for is not. The result is the chain, leaf first.
    pub fn issue(&self, request: &str, options: IssueOptions) -> Result<String, Error> {
        let asked = CertificateSigningRequestParams::from_pem(request)
            .map_err(Error::rcgen("accept the certificate request"))?;
        let mut params = CertificateParams::default();
        params.subject_alt_names = asked
            .params
            .subject_alt_names
            .into_iter()
            .filter(|name| matches!(name, SanType::DnsName(_) | SanType::IpAddress(_)))
            .collect();
        if params.subject_alt_names.is_empty() {
            return Err(Error::NoNames);
        }
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = asked.params.distinguished_name.get(&DnType::CommonName) {
            params.distinguished_name.push(DnType::CommonName, name.clone());
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, options)?;
        let request = CertificateSigningRequestParams {
            params,
            public_key: asked.public_key,
        };
        let leaf = request
            .signed_by(&self.issuer)
            .map_err(Error::rcgen("sign the certificate"))?;
        Ok(format!("{}{}", leaf.pem(), self.certificate))
    }
}

fn key_pair(pem: &str) -> Result<KeyPair, Error> {
    KeyPair::from_pem(pem).map_err(|_| Error::Malformed { what: "private key" })
}

fn set_validity(params: &mut CertificateParams, options: IssueOptions) -> Result<(), Error> {
    let refused = || Error::Validity {
        days: options.valid_days,
    };
    let moment = |time: SystemTime| {
        let seconds = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_err(|_| refused())?;
        let seconds = i64::try_from(seconds.as_secs()).map_err(|_| refused())?;
        let time = ASN1Time::from_timestamp(seconds).map_err(|_| refused())?;
        Ok(time.to_datetime())
    };
    params.not_before = moment(options.now - CLOCK_SKEW)?;
    params.not_after = moment(options.now + DAY * options.valid_days)?;
    let mut serial = [0; SERIAL_BYTES];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| Error::Rcgen {
        operation: "draw a serial number",
        source: rcgen::Error::RingUnspecified,
    })?;
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::{Name, Request};

    fn options(valid_days: u32) -> IssueOptions {
        IssueOptions {
            valid_days,
            now: SystemTime::UNIX_EPOCH + DAY * 20_000,
        }
    }

    #[test]
    fn issues_what_was_asked_for_and_no_more() {
        let authority = Authority::create("lab CA", options(3650)).unwrap();
        let names = Name::parse_all(["a.lab", "10.0.0.1", "::1"]).unwrap();
        let request = Request::new(Some("a.lab"), &names).unwrap();
        let chain = authority.issue(&request.pem, options(90)).unwrap();
        let leaf = Certificate::from_pem(&chain).unwrap();
        assert_eq!(leaf.names, names);
        assert_eq!(leaf.common_name.as_deref(), Some("a.lab"));
        assert_eq!(leaf.not_after, options(0).now + DAY * 90);
        assert_eq!(leaf.not_before, options(0).now - CLOCK_SKEW);
        assert!(!leaf.is_authority);
        assert!(leaf.is_issued_by(authority.certificate()));
        assert!(leaf.has_key(request.key.reveal()));
        assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 2);
        assert!(authority.certificate().is_authority);
        let stranger = Authority::create("lab CA", options(3650)).unwrap();
        assert!(!leaf.is_issued_by(stranger.certificate()));
        assert!(!leaf.has_key(stranger.key_pem().reveal()));
    }

    #[test]
    fn survives_being_written_and_read() {
        let first = Authority::create("lab CA", options(3650)).unwrap();
        let second = Authority::from_pem(first.certificate_pem(), first.key_pem().reveal()).unwrap();
        let request = Request::new(None, &Name::parse_all(["a.lab"]).unwrap()).unwrap();
        let leaf = Certificate::from_pem(&second.issue(&request.pem, options(1)).unwrap()).unwrap();
        assert!(leaf.is_issued_by(first.certificate()));
    }

    #[test]
    fn refuses_a_request_that_was_tampered_with() {
        let authority = Authority::create("lab CA", options(3650)).unwrap();
        assert!(authority.issue("not a request", options(1)).is_err());
        assert!(matches!(
            Authority::create("lab CA", options(u32::MAX)),
            Err(Error::Validity { .. })
        ));
    }
}

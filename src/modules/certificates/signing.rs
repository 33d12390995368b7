//! Requests and certificates put together, signed, and read. Follows RFC 2986 and RFC 5280.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::der::{BIT_STRING, INTEGER, OBJECT, SEQUENCE, element, elements, put};
use super::key::Key;
use super::words::{self, Extension};

const SET: u8 = 0x31;
const UTC_TIME: u8 = 0x17;
const GENERAL_TIME: u8 = 0x18;
/// `extensionRequest`, of PKCS #9.
const EXTENSIONS: &str = "1.2.840.113549.1.9.14";
/// RFC 5280 allows 20; the first bit is left alone.
const SERIAL_BYTES: usize = 20;

/// What a request or a certificate says of whom it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// DER.
    pub subject: Vec<u8>,
    /// DER, with its algorithm.
    pub public: Vec<u8>,
    pub extensions: Vec<Extension>,
}

impl About {
    /// Whether it says the same.
    pub fn says(&self, other: &Self) -> bool {
        let sorted = |about: &Self| {
            let mut all: Vec<Extension> = about.extensions.iter().cloned().map(Extension::sorted).collect();
            all.sort();
            all
        };
        words::parts(&self.subject) == words::parts(&other.subject)
            && self.public == other.public
            && sorted(self) == sorted(other)
    }

    pub fn extension(&self, oid: &str) -> Option<&Extension> {
        self.extensions.iter().find(|extension| extension.is(oid))
    }

    /// In words, for a diff.
    pub fn listing(&self) -> String {
        let subject = words::parts(&self.subject).into_iter();
        let lines = subject.map(|(part, text)| format!("{part}: {text}\n"));
        let extensions = self.extensions.iter().map(|extension| {
            let critical = if extension.critical { " (critical)" } else { "" };
            format!(
                "{}{critical}: {}\n",
                words::dotted(&extension.oid),
                STANDARD.encode(&extension.value)
            )
        });
        lines.chain(extensions).collect()
    }
}

/// A request that goes with a key.
pub fn request(about: &About, key: &Key, digest: &str) -> Result<String, String> {
    let all: Vec<u8> = about.extensions.iter().flat_map(Extension::der).collect();
    let asked = if all.is_empty() {
        Vec::new()
    } else {
        let list = put(SET, &put(SEQUENCE, &all));
        put(
            SEQUENCE,
            &[
                put(OBJECT, &words::identifier(EXTENSIONS).unwrap_or_default()),
                list,
            ]
            .concat(),
        )
    };
    let parts = [
        put(INTEGER, &[0]),
        about.subject.clone(),
        about.public.clone(),
        put(0xa0, &asked),
    ];
    let signed = signed(&put(SEQUENCE, &parts.concat()), key, digest)?;
    Ok(pem("CERTIFICATE REQUEST", &signed))
}

/// What a request (PEM) says; none if it is none, or its signature is not that of its key.
pub fn read_request(text: &str) -> Option<About> {
    let (_, pem) = parse_x509_pem(text.as_bytes()).ok()?;
    let (_, parsed) = X509CertificationRequest::from_der(&pem.contents).ok()?;
    parsed.verify_signature().ok()?;
    let (_, content, _) = element(&pem.contents)?;
    let (_, info, _) = element(content)?;
    let attributes = elements(info)?
        .into_iter()
        .find(|(tag, _)| *tag == 0xa0)
        .map_or(&[][..], |(_, content)| content);
    let wanted = words::identifier(EXTENSIONS)?;
    let mut extensions = Vec::new();
    for (_, attribute) in elements(attributes)? {
        let parts = elements(attribute)?;
        if parts.first()?.1 == wanted {
            extensions = Extension::read(element(parts.get(1)?.1)?.1)?;
        }
    }
    Some(About {
        subject: parsed.certification_request_info.subject.as_raw().to_vec(),
        public: parsed.certification_request_info.subject_pki.raw.to_vec(),
        extensions,
    })
}

/// A certificate that is there.
pub struct Certificate {
    pub about: About,
    pub issuer: Vec<u8>,
    /// Seconds since 1970.
    pub not_before: i64,
    pub not_after: i64,
    der: Vec<u8>,
}

impl Certificate {
    /// The first one of a text.
    pub fn from_pem(text: &str) -> Option<Self> {
        let (_, pem) = parse_x509_pem(text.as_bytes()).ok()?;
        let (_, parsed) = X509Certificate::from_der(&pem.contents).ok()?;
        let extension = |extension: &x509_parser::extensions::X509Extension<'_>| Extension {
            oid: extension.oid.as_bytes().to_vec(),
            critical: extension.critical,
            value: extension.value.to_vec(),
        };
        Some(Self {
            about: About {
                subject: parsed.subject().as_raw().to_vec(),
                public: parsed.public_key().raw.to_vec(),
                extensions: parsed.extensions().iter().map(extension).collect(),
            },
            issuer: parsed.issuer().as_raw().to_vec(),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            der: pem.contents.clone(),
        })
    }

    /// Whether the key to this public one has signed it.
    pub fn is_signed_by(&self, public: &[u8]) -> bool {
        let parsed = X509Certificate::from_der(&self.der);
        let key = SubjectPublicKeyInfo::from_der(public);
        parsed
            .and_then(|(_, parsed)| key.map(|(_, key)| (parsed, key)))
            .is_ok_and(|(parsed, key)| parsed.verify_signature(Some(&key)).is_ok())
    }
}

/// Whose certificate by whom, and when it is good.
pub struct Issue<'a> {
    pub about: &'a About,
    /// DER.
    pub issuer: &'a [u8],
    pub key: &'a Key,
    pub digest: &'a str,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

impl Issue<'_> {
    /// A new certificate, PEM.
    pub fn certificate(&self) -> Result<String, String> {
        let mut serial = [0_u8; SERIAL_BYTES];
        aws_lc_rs::rand::fill(&mut serial).map_err(|_| "the machine gives no random numbers".to_owned())?;
        // Positive, and as long as it is.
        serial[0] = serial[0] & 0x7f | 0x40;
        let extensions: Vec<u8> = self.about.extensions.iter().flat_map(Extension::der).collect();
        let extensions = if extensions.is_empty() {
            Vec::new()
        } else {
            put(0xa3, &put(SEQUENCE, &extensions))
        };
        let validity = [time(self.not_before), time(self.not_after)].concat();
        let parts = [
            put(0xa0, &put(INTEGER, &[2])),
            put(INTEGER, &serial),
            self.key.signature(self.digest)?,
            self.issuer.to_vec(),
            put(SEQUENCE, &validity),
            self.about.subject.clone(),
            self.about.public.clone(),
            extensions,
        ];
        let signed = signed(&put(SEQUENCE, &parts.concat()), self.key, self.digest)?;
        Ok(pem("CERTIFICATE", &signed))
    }
}

/// Until 2049 with two digits for the year.
fn time(at: Timestamp) -> Vec<u8> {
    let text = at.strftime("%Y%m%d%H%M%SZ").to_string();
    if ("1950".."2050").contains(&&text[..4]) {
        put(UTC_TIME, &text.as_bytes()[2..])
    } else {
        put(GENERAL_TIME, text.as_bytes())
    }
}

fn signed(body: &[u8], key: &Key, digest: &str) -> Result<Vec<u8>, String> {
    let signature = [&[0], key.sign(digest, body)?.as_slice()].concat();
    let parts = [body.to_vec(), key.signature(digest)?, put(BIT_STRING, &signature)];
    Ok(put(SEQUENCE, &parts.concat()))
}

/// In lines of 64 characters.
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

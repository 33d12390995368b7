//! `http.tls`: certificates, and what clients must speak.

use std::path::PathBuf;

use super::key::{Key, Section, Words, name_of, one_of};
use super::scalar::{path, shown_path};
use super::{Config, Places};
use crate::diagnostic::Diagnostic;

#[derive(Debug, Clone)]
pub struct Tls {
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub minimum: TlsVersion,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    V12,
    V13,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            minimum: TlsVersion::V12,
        }
    }
}

const VERSIONS: &Words<TlsVersion> = &[("tls1.2", TlsVersion::V12), ("tls1.3", TlsVersion::V13)];

pub const SECTION: Section = Section {
    keys: &[
        Key::one(
            "http.tls.certificate",
            "PEM file: the certificate, then its issuers. With it the port speaks TLS",
            |c, text| path(text).map(|value| c.http.tls.certificate = Some(value)),
            |c| shown_path(c.http.tls.certificate.as_ref()),
        ),
        Key::one(
            "http.tls.key",
            "PEM file: its private key",
            |c, text| path(text).map(|value| c.http.tls.key = Some(value)),
            |c| shown_path(c.http.tls.key.as_ref()),
        ),
        Key::one(
            "http.tls.minimumtls",
            "`tls1.2` or `tls1.3`",
            |c, text| one_of(VERSIONS, text).map(|value| c.http.tls.minimum = value),
            |c| name_of(VERSIONS, c.http.tls.minimum),
        ),
    ],
    refused: &[
        ("http.tls.clientcas", "clients are not asked for certificates"),
        ("http.tls.clientauth", "clients are not asked for certificates"),
        ("http.tls.ciphersuites", "the suites are those of `minimumtls`"),
        ("http.tls.letsencrypt", "certificates are not fetched"),
    ],
    check,
    ..Section::EMPTY
};

fn check(config: &Config, places: &Places<'_>) -> Vec<Diagnostic> {
    let tls = &config.http.tls;
    let (there, missing) = match (&tls.certificate, &tls.key) {
        (None, Some(_)) => ("key", "certificate"),
        (Some(_), None) => ("certificate", "key"),
        _ => return Vec::new(),
    };
    let message = format!("`http.tls.{there}` needs `http.tls.{missing}` beside it");
    vec![places.error(&format!("http.tls.{there}"), message)]
}

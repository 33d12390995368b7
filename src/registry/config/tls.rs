//! `http.tls`: certificates, where they come from, and what clients must speak.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::key::{Key, Section, Words, name_of, one_of};
use super::scalar::{address, base_url, flag, path, shown_address, shown_path};
use super::{Address, Config, Places};
use crate::certificate::Name;
use crate::diagnostic::Diagnostic;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub minimum: TlsVersion,
    /// Names as in [`SUITES`]; all of them where it is empty.
    pub suites: Vec<&'static str>,
    pub client_authorities: Vec<PathBuf>,
    /// None without authorities that could verify them.
    pub client_auth: Option<ClientAuth>,
    pub own: OwnAuthority,
    pub acme: Acme,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    V12,
    V13,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// No connection without a certificate.
    Required,
    /// Those who have none are nobody in particular.
    IfGiven,
}

/// An authority and a certificate that the server makes itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnAuthority {
    pub enabled: bool,
    /// Beside those that go without saying.
    pub names: BTreeSet<Name>,
}

/// Certificates from an ACME server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// Distribution calls it a file; it is a folder there, too.
    pub folder: Option<PathBuf>,
    pub email: Option<String>,
    pub hosts: Vec<String>,
    pub directory: String,
    /// PEM file of an authority that the ACME server's own certificate is from.
    pub directory_authority: Option<PathBuf>,
    pub challenge: Challenge,
    /// Where HTTP-01 is answered.
    pub http_address: Address,
}

/// How an ACME server finds out that a name is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// By TLS, on the registry's own port.
    TlsAlpn01,
    /// By plain HTTP, on a port of its own.
    Http01,
}

/// Where the server's certificate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'a> {
    Files {
        certificate: &'a PathBuf,
        key: &'a PathBuf,
    },
    Own(&'a OwnAuthority),
    Acme(&'a Acme),
}

impl Tls {
    /// None where TLS is not asked for. Files go before ACME, as in distribution.
    pub fn origin(&self) -> Option<Origin<'_>> {
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some(Origin::Files { certificate, key }),
            _ if self.own.enabled => Some(Origin::Own(&self.own)),
            _ if self.acme.is_asked_for() => Some(Origin::Acme(&self.acme)),
            _ => None,
        }
    }
}

impl Acme {
    fn is_asked_for(&self) -> bool {
        self.folder.is_some() || !self.hosts.is_empty()
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            minimum: TlsVersion::V12,
            suites: Vec::new(),
            client_authorities: Vec::new(),
            client_auth: None,
            own: OwnAuthority::default(),
            acme: Acme::default(),
        }
    }
}

impl Default for Acme {
    fn default() -> Self {
        Self {
            folder: None,
            email: None,
            hosts: Vec::new(),
            directory: "https://acme-v02.api.letsencrypt.org/directory".to_owned(),
            directory_authority: None,
            challenge: Challenge::TlsAlpn01,
            http_address: Address::Any(80),
        }
    }
}

/// What distribution can be told, and this server never speaks, is raised to what it does.
const VERSIONS: &Words<TlsVersion> = &[
    ("tls1.2", TlsVersion::V12),
    ("tls1.3", TlsVersion::V13),
    ("tls1.0", TlsVersion::V12),
    ("tls1.1", TlsVersion::V12),
];

const CLIENT_AUTH: &Words<ClientAuth> = &[
    ("require-and-verify-client-cert", ClientAuth::Required),
    ("verify-client-cert-if-given", ClientAuth::IfGiven),
];

const CHALLENGES: &Words<Challenge> = &[
    ("tls-alpn-01", Challenge::TlsAlpn01),
    ("http-01", Challenge::Http01),
];

/// The suites that there are, in the words of distribution.
pub const SUITES: &[&str] = &[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// Parts of the names of distribution's other suites: too weak to be offered, so that a list without them
/// says the same.
const WEAK: [&str; 4] = ["_RC4_", "_3DES_", "_CBC_", "TLS_RSA_WITH_"];

pub const SECTION: Section = Section {
    keys: &[
        Key::one(
            "http.tls.certificate",
            "PEM file: the certificate, then its issuers. With it the port speaks TLS; a new one is taken when the file changes",
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
            "`tls1.2` or `tls1.3`; distribution's older ones are taken as `tls1.2`",
            |c, text| one_of(VERSIONS, text).map(|value| c.http.tls.minimum = value),
            |c| name_of(VERSIONS, c.http.tls.minimum),
        ),
        Key::many(
            "http.tls.ciphersuites",
            "suites that are offered, in distribution's words; its weak ones (RC4, 3DES, CBC, RSA key exchange) are left out",
            |c, values| {
                let mut suites = Vec::new();
                for value in values {
                    match SUITES.iter().find(|suite| *suite == value) {
                        Some(suite) => suites.push(*suite),
                        None if WEAK.iter().any(|weak| value.contains(weak)) => {}
                        None => {
                            return Err(format!(
                                "has an unknown suite {value}: there are {}",
                                SUITES.join(", ")
                            ));
                        }
                    }
                }
                if suites.is_empty() && !values.is_empty() {
                    return Err("leaves no suite that is strong enough".to_owned());
                }
                c.http.tls.suites = suites;
                Ok(())
            },
            |c| {
                c.http
                    .tls
                    .suites
                    .iter()
                    .map(|suite| (*suite).to_owned())
                    .collect()
            },
        ),
        Key::many(
            "http.tls.clientcas",
            "PEM files of authorities: clients need a certificate of one of them, whose common name is who they are",
            |c, values| {
                let files: Result<_, _> = values.iter().map(|value| path(value)).collect();
                c.http.tls.client_authorities = files?;
                Ok(())
            },
            |c| {
                c.http
                    .tls
                    .client_authorities
                    .iter()
                    .filter_map(|file| shown_path(Some(file)))
                    .collect()
            },
        ),
        Key::one(
            "http.tls.clientauth",
            "`require-and-verify-client-cert` (which `clientcas` alone means too) or `verify-client-cert-if-given`",
            |c, text| one_of(CLIENT_AUTH, text).map(|value| c.http.tls.client_auth = Some(value)),
            |c| {
                c.http
                    .tls
                    .client_auth
                    .and_then(|value| name_of(CLIENT_AUTH, value))
            },
        ),
        Key::one(
            "http.tls.selfsigned.enabled",
            "make an authority and a certificate in `regdeploy/tls` under the root directory; `ca.crt` there is what clients trust",
            |c, text| flag(text).map(|value| c.http.tls.own.enabled = value),
            |c| Some(c.http.tls.own.enabled.to_string()),
        ),
        Key::many(
            "http.tls.selfsigned.names",
            "host names and addresses of that certificate, beside this machine's name, that in `http.host`, and localhost",
            |c, values| {
                let names = Name::parse_all(values.iter().map(String::as_str));
                c.http.tls.own.names = names.map_err(|error| format!("is refused: {error}"))?;
                Ok(())
            },
            |c| c.http.tls.own.names.iter().map(ToString::to_string).collect(),
        ),
        Key::many(
            "http.tls.letsencrypt.hosts",
            "host names to get one certificate for; the ACME server looks for them as `challenge` says",
            |c, values| {
                c.http.tls.acme.hosts = values.to_vec();
                Ok(())
            },
            |c| c.http.tls.acme.hosts.clone(),
        ),
        Key::one(
            "http.tls.letsencrypt.email",
            "whom the ACME server may write to",
            |c, text| {
                c.http.tls.acme.email = (!text.is_empty()).then(|| text.to_owned());
                Ok(())
            },
            |c| c.http.tls.acme.email.clone(),
        ),
        Key::one(
            "http.tls.letsencrypt.cachefile",
            "the folder that keeps account and certificate; without it `regdeploy/acme` under the root directory",
            |c, text| path(text).map(|value| c.http.tls.acme.folder = Some(value)),
            |c| shown_path(c.http.tls.acme.folder.as_ref()),
        ),
        Key::one(
            "http.tls.letsencrypt.directoryurl",
            "the ACME server",
            |c, text| {
                let url = base_url(text)?.unwrap_or_else(|| Acme::default().directory);
                c.http.tls.acme.directory = url;
                Ok(())
            },
            |c| Some(c.http.tls.acme.directory.clone()),
        ),
        Key::one(
            "http.tls.letsencrypt.directoryca",
            "PEM file of an authority to trust the ACME server by, beside the system's",
            |c, text| path(text).map(|value| c.http.tls.acme.directory_authority = Some(value)),
            |c| shown_path(c.http.tls.acme.directory_authority.as_ref()),
        ),
        Key::one(
            "http.tls.letsencrypt.challenge",
            "`tls-alpn-01`: the ACME server comes to this port, as port 443 of every host; or `http-01`: to `httpaddr`, as port 80",
            |c, text| one_of(CHALLENGES, text).map(|value| c.http.tls.acme.challenge = value),
            |c| name_of(CHALLENGES, c.http.tls.acme.challenge),
        ),
        Key::one(
            "http.tls.letsencrypt.httpaddr",
            "where `http-01` is answered, while a certificate is asked for",
            |c, text| address(text).map(|value| c.http.tls.acme.http_address = value),
            |c| Some(shown_address(&c.http.tls.acme.http_address)),
        ),
    ],
    check,
    ..Section::EMPTY
};

fn check(config: &Config, places: &Places<'_>) -> Vec<Diagnostic> {
    let tls = &config.http.tls;
    let files = (tls.certificate.is_some(), tls.key.is_some());
    let acme = tls.acme.is_asked_for() || tls.acme.email.is_some();
    // What is wrong, at which key, in which words.
    let rules = [
        (
            files == (false, true),
            "http.tls.key",
            "`http.tls.key` needs `http.tls.certificate` beside it",
        ),
        (
            files == (true, false),
            "http.tls.certificate",
            "`http.tls.certificate` needs `http.tls.key` beside it",
        ),
        (
            tls.own.enabled && files.0,
            "http.tls.selfsigned",
            "`http.tls.selfsigned` and `http.tls.certificate` exclude one another",
        ),
        (
            tls.own.enabled && acme,
            "http.tls.selfsigned",
            "`http.tls.selfsigned` and `http.tls.letsencrypt` exclude one another",
        ),
        (
            acme && tls.acme.hosts.is_empty() && !files.0,
            "http.tls.letsencrypt",
            "`http.tls.letsencrypt` needs `hosts`: certificates are not fetched for names that clients make up",
        ),
        (
            tls.client_auth.is_some() && tls.client_authorities.is_empty(),
            "http.tls.clientauth",
            "`http.tls.clientauth` needs `http.tls.clientcas` to verify certificates with",
        ),
        (
            !tls.client_authorities.is_empty() && tls.origin().is_none(),
            "http.tls.clientcas",
            "`http.tls.clientcas` needs a certificate of the server: plain connections carry none of the client",
        ),
    ];
    rules
        .into_iter()
        .filter(|(wrong, ..)| *wrong)
        .map(|(_, path, message)| places.error(path, message))
        .collect()
}

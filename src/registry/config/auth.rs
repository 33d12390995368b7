//! `auth`: how clients log in. `htpasswd` and `token` are distribution's; `tokenserver` is the built-in one.

use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;
use jsonwebtoken::Algorithm;

use super::key::{Key, Section, name_of, one_of};
use super::scalar::{base_url, flag, path, positive, shown_duration, shown_path};
use super::{Config, Places};
use crate::diagnostic::Diagnostic;
use crate::registry::access::token::issue::{Names, SHORTEST};
use crate::registry::access::token::trust::Terms;

/// All ways to log in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthConfig {
    pub htpasswd: Htpasswd,
    pub server: TokenServer,
    pub token: ExternalToken,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Htpasswd {
    pub realm: String,
    pub path: Option<PathBuf>,
}

/// The built-in token server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenServer {
    pub enabled: bool,
    /// The URL that clients are sent to, where it is not this server's own.
    pub realm: Option<String>,
    pub issuer: String,
    pub service: String,
    pub lasting: Duration,
    pub refresh_lasting: Duration,
    /// Of a key that replicas share; without it one is made.
    pub key: Option<PathBuf>,
}

/// A token server elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalToken {
    pub realm: Option<String>,
    pub service: String,
    pub issuer: String,
    pub root_cert_bundle: Option<PathBuf>,
    pub jwks: Option<PathBuf>,
    pub jwks_url: Option<Uri>,
    /// PEM file of an authority that the URL's host is trusted by.
    pub jwks_authority: Option<PathBuf>,
    /// The realm is a path on the host that the client has asked.
    pub auto_redirect: bool,
    pub auto_redirect_path: String,
    pub algorithms: Vec<Algorithm>,
}

impl Default for Htpasswd {
    fn default() -> Self {
        Self {
            realm: "regdeploy-registry".to_owned(),
            path: None,
        }
    }
}

impl Default for TokenServer {
    fn default() -> Self {
        Self {
            enabled: false,
            realm: None,
            issuer: "regdeploy-registry".to_owned(),
            service: "regdeploy-registry".to_owned(),
            lasting: Duration::from_mins(5),
            refresh_lasting: Duration::from_hours(30 * 24),
            key: None,
        }
    }
}

impl Default for ExternalToken {
    fn default() -> Self {
        Self {
            realm: None,
            service: String::new(),
            issuer: String::new(),
            root_cert_bundle: None,
            jwks: None,
            jwks_url: None,
            jwks_authority: None,
            auto_redirect: false,
            auto_redirect_path: "/auth/token".to_owned(),
            algorithms: ALGORITHMS.iter().map(|(_, algorithm)| *algorithm).collect(),
        }
    }
}

impl AuthConfig {
    /// Whether there is any way to log in.
    pub fn is_set(&self) -> bool {
        self.htpasswd.path.is_some() || self.token.is_set()
    }
}

impl ExternalToken {
    pub fn is_set(&self) -> bool {
        self.realm.is_some() || self.auto_redirect
    }

    pub fn terms(&self) -> Terms {
        Terms {
            issuer: self.issuer.clone(),
            service: self.service.clone(),
            algorithms: self.algorithms.clone(),
        }
    }
}

impl TokenServer {
    pub fn terms(&self) -> Terms {
        Terms {
            issuer: self.issuer.clone(),
            service: self.service.clone(),
            algorithms: vec![Algorithm::ES256],
        }
    }

    pub fn names(&self) -> Names<'_> {
        Names {
            issuer: &self.issuer,
            service: &self.service,
        }
    }
}

/// Signatures by keys with a public half. With the others whoever can verify could also sign.
const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("EdDSA", Algorithm::EdDSA),
];

pub const SECTION: Section = Section {
    keys: &[
        Key::one(
            "auth.htpasswd.path",
            "file of users with bcrypt hashes; with it clients have to log in. Read again when it changes",
            |c, text| path(text).map(|value| c.auth.htpasswd.path = Some(value)),
            |c| shown_path(c.auth.htpasswd.path.as_ref()),
        ),
        Key::one(
            "auth.htpasswd.realm",
            "what clients show when they ask for a password; `regdeploy-registry` without it",
            |c, text| some_text(text).map(|value| c.auth.htpasswd.realm = value),
            |c| {
                c.auth
                    .htpasswd
                    .path
                    .is_some()
                    .then(|| c.auth.htpasswd.realm.clone())
            },
        ),
        Key::one(
            "auth.tokenserver.enabled",
            "log in once and go on with tokens, at `/v2/token`; needs `auth.htpasswd`",
            |c, text| flag(text).map(|value| c.auth.server.enabled = value),
            |c| Some(c.auth.server.enabled.to_string()),
        ),
        Key::one(
            "auth.tokenserver.realm",
            "URL of the token server as clients reach it, where it is not `/v2/token` on the host that they ask",
            |c, text| base_url(text).map(|value| c.auth.server.realm = value),
            |c| c.auth.server.realm.clone(),
        ),
        Key::one(
            "auth.tokenserver.issuer",
            "who issues its tokens",
            |c, text| some_text(text).map(|value| c.auth.server.issuer = value),
            |c| Some(c.auth.server.issuer.clone()),
        ),
        Key::one(
            "auth.tokenserver.service",
            "for whom: a name of this registry, told apart from others with the same key",
            |c, text| some_text(text).map(|value| c.auth.server.service = value),
            |c| Some(c.auth.server.service.clone()),
        ),
        Key::one(
            "auth.tokenserver.expiration",
            "how long a token lasts, at least `60s`",
            |c, text| lasting(text).map(|value| c.auth.server.lasting = value),
            |c| Some(shown_duration(c.auth.server.lasting)),
        ),
        Key::one(
            "auth.tokenserver.refreshexpiration",
            "how long a refresh token lasts, unless the password is changed",
            |c, text| lasting(text).map(|value| c.auth.server.refresh_lasting = value),
            |c| Some(shown_duration(c.auth.server.refresh_lasting)),
        ),
        Key::one(
            "auth.tokenserver.key",
            "PEM file of an ECDSA key on P-256 that replicas share; without it one is made at the first start",
            |c, text| path(text).map(|value| c.auth.server.key = Some(value)),
            |c| shown_path(c.auth.server.key.as_ref()),
        ),
        Key::one(
            "auth.token.realm",
            "URL of a token server elsewhere",
            |c, text| base_url(text).map(|value| c.auth.token.realm = value),
            |c| c.auth.token.realm.clone(),
        ),
        Key::one(
            "auth.token.service",
            "what it calls this registry: the audience of its tokens",
            |c, text| some_text(text).map(|value| c.auth.token.service = value),
            |c| shown_text(&c.auth.token.service),
        ),
        Key::one(
            "auth.token.issuer",
            "what it calls itself in its tokens",
            |c, text| some_text(text).map(|value| c.auth.token.issuer = value),
            |c| shown_text(&c.auth.token.issuer),
        ),
        Key::one(
            "auth.token.rootcertbundle",
            "PEM file of certificates whose keys, or chains below which, sign its tokens. Read again when it changes",
            |c, text| path(text).map(|value| c.auth.token.root_cert_bundle = Some(value)),
            |c| shown_path(c.auth.token.root_cert_bundle.as_ref()),
        ),
        Key::one(
            "auth.token.jwks",
            "JSON file of keys that sign its tokens. Read again when it changes",
            |c, text| path(text).map(|value| c.auth.token.jwks = Some(value)),
            |c| shown_path(c.auth.token.jwks.as_ref()),
        ),
        Key::one(
            "auth.token.jwksurl",
            "URL of such keys, fetched when they are needed, and again for a token whose key is not among them",
            |c, text| {
                base_url(text)?;
                c.auth.token.jwks_url = Some(text.parse().map_err(|_| "must be a URL".to_owned())?);
                Ok(())
            },
            |c| c.auth.token.jwks_url.as_ref().map(ToString::to_string),
        ),
        Key::one(
            "auth.token.jwksca",
            "PEM file of an authority to trust that URL's host by, beside the system's",
            |c, text| path(text).map(|value| c.auth.token.jwks_authority = Some(value)),
            |c| shown_path(c.auth.token.jwks_authority.as_ref()),
        ),
        Key::one(
            "auth.token.autoredirect",
            "the token server is on the host that the client asks",
            |c, text| flag(text).map(|value| c.auth.token.auto_redirect = value),
            |c| Some(c.auth.token.auto_redirect.to_string()),
        ),
        Key::one(
            "auth.token.autoredirectpath",
            "its path there",
            |c, text| {
                if text.starts_with('/') {
                    text.clone_into(&mut c.auth.token.auto_redirect_path);
                    Ok(())
                } else {
                    Err("must be a path that begins with `/`".to_owned())
                }
            },
            |c| Some(c.auth.token.auto_redirect_path.clone()),
        ),
        Key::many(
            "auth.token.signingalgorithms",
            "signatures that are taken",
            |c, values| {
                let found: Result<Vec<_>, _> = values.iter().map(|text| one_of(&ALGORITHMS, text)).collect();
                c.auth.token.algorithms = found?;
                Ok(())
            },
            |c| {
                let all = c.auth.token.algorithms.iter();
                all.filter_map(|algorithm| name_of(&ALGORITHMS, *algorithm))
                    .collect()
            },
        ),
    ],
    refused: &[("auth.silly", "it lets everybody in who sends anything")],
    check,
    ..Section::EMPTY
};

fn check(config: &Config, places: &Places<'_>) -> Vec<Diagnostic> {
    let auth = &config.auth;
    let mut errors = Vec::new();
    let mut wrong = |path: &str, message: &str| errors.push(places.error(path, message));
    if auth.htpasswd.path.is_some() && auth.token.is_set() {
        wrong(
            "auth.token",
            "`auth.htpasswd` and `auth.token` exclude each other: tokens of another server name its own users",
        );
    }
    if auth.server.enabled && auth.htpasswd.path.is_none() {
        wrong(
            "auth.tokenserver",
            "`auth.tokenserver` needs `auth.htpasswd.path` beside it: the users that it issues tokens to",
        );
    }
    // Who chooses a way to log in shall not find everybody let in.
    for (way, set, missing) in [
        (
            "auth.htpasswd",
            auth.htpasswd.path.is_some(),
            "auth.htpasswd.path",
        ),
        (
            "auth.tokenserver",
            auth.server.enabled || !places.is_empty("auth.tokenserver"),
            "auth.tokenserver.enabled",
        ),
        (
            "auth.token",
            auth.token.is_set() || !places.is_empty("auth.token"),
            "auth.token.realm",
        ),
    ] {
        if !set && places.mention(way) {
            wrong(way, &format!("`{way}` needs `{missing}`"));
        }
    }
    let token = &auth.token;
    if token.is_set() {
        for (value, key) in [(&token.service, "service"), (&token.issuer, "issuer")] {
            if value.is_empty() {
                wrong("auth.token", &format!("`auth.token` needs `auth.token.{key}`"));
            }
        }
        if token.root_cert_bundle.is_none() && token.jwks.is_none() && token.jwks_url.is_none() {
            wrong(
                "auth.token",
                "`auth.token` needs keys to verify tokens with: `rootcertbundle`, `jwks` or `jwksurl`",
            );
        }
    } else if token.root_cert_bundle.is_some()
        || token.jwks.is_some()
        || token.jwks_url.is_some()
        || !token.service.is_empty()
        || !token.issuer.is_empty()
    {
        wrong(
            "auth.token",
            "`auth.token` needs `auth.token.realm`, or `auth.token.autoredirect`",
        );
    }
    errors
}

fn some_text(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        Err("must be a text".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

fn shown_text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn lasting(text: &str) -> Result<Duration, String> {
    let lasting = positive(text)?;
    if lasting < SHORTEST {
        return Err(format!(
            "must be at least {}: clients do not expect shorter ones",
            shown_duration(SHORTEST)
        ));
    }
    Ok(lasting)
}

//! Making tokens: access tokens for some minutes, refresh tokens for weeks.
//!
//! Neither is kept anywhere, so any replica with the same key goes on with either. A refresh token carries a
//! fingerprint of the password's hash, and so ends with the password or the user that it was issued to.

use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};

use super::now;
use super::signing::SigningKey;
use crate::registry::access::scope::Grants;

/// docker's protocol: clients take it that a token lasts at least this long.
pub const SHORTEST: Duration = Duration::from_mins(1);
const REFRESH_TYPE: &str = "refresh+jwt";

/// Who issues, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    pub issuer: &'a str,
    pub service: &'a str,
}

#[derive(Serialize)]
struct AccessClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: u64,
    nbf: u64,
    iat: u64,
    jti: String,
    access: &'a Grants,
}

#[derive(Serialize, Deserialize)]
struct RefreshClaims {
    iss: String,
    sub: String,
    /// Of its own, so that it is no access token anywhere.
    aud: String,
    exp: u64,
    iat: u64,
    jti: String,
    /// The password's.
    fingerprint: String,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error("sign a token: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// An access token that begins to be valid at `from`, seconds since the epoch.
pub fn access(
    key: &SigningKey,
    names: Names<'_>,
    user: Option<&str>,
    grants: &Grants,
    from: u64,
    lasting: Duration,
) -> Result<String, IssueError> {
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(key.id.clone());
    let claims = AccessClaims {
        iss: names.issuer,
        sub: user.unwrap_or(""),
        aud: names.service,
        exp: from + lasting.as_secs(),
        nbf: from,
        iat: from,
        jti: random_id(),
        access: grants,
    };
    Ok(jsonwebtoken::encode(&header, &claims, &key.encoding)?)
}

pub fn refresh(
    key: &SigningKey,
    names: Names<'_>,
    user: &str,
    fingerprint: String,
    lasting: Duration,
) -> Result<String, IssueError> {
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(key.id.clone());
    header.typ = Some(REFRESH_TYPE.to_owned());
    let claims = RefreshClaims {
        iss: names.issuer.to_owned(),
        sub: user.to_owned(),
        aud: refresh_audience(names.service),
        exp: now() + lasting.as_secs(),
        iat: now(),
        jti: random_id(),
        fingerprint,
    };
    Ok(jsonwebtoken::encode(&header, &claims, &key.encoding)?)
}

/// User and password's fingerprint of a refresh token of ours; none of anything else.
pub fn read_refresh(key: &SigningKey, names: Names<'_>, token: &str) -> Option<(String, String)> {
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[names.issuer]);
    validation.set_audience(&[refresh_audience(names.service)]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let read = jsonwebtoken::decode::<RefreshClaims>(token, &key.decoding, &validation).ok()?;
    (read.header.typ.as_deref() == Some(REFRESH_TYPE)).then_some((read.claims.sub, read.claims.fingerprint))
}

fn refresh_audience(service: &str) -> String {
    format!("{service} refresh")
}

fn random_id() -> String {
    let mut bytes = [0; 15];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system has random numbers");
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

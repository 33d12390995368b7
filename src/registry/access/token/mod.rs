//! Tokens of docker's protocol: JSON web tokens that say who somebody is and what they may do.
//!
//! `signing` is the key of the built-in token server and `issue` makes tokens with it; `keys` reads the keys
//! of another token server, `remote` fetches them, and `trust` verifies tokens of either. Signatures are jsonwebtoken's. What a
//! user may do is not known here: scopes come in already reduced.

pub mod issue;
pub mod keys;
pub mod remote;
pub mod signing;
pub mod trust;

use serde::{Deserialize, Serialize};

use super::scope::Grants;

/// What an access token says: distribution's "Token Authentication Implementation".
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claims {
    /// Who is asking; empty for nobody in particular.
    #[serde(default)]
    sub: String,
    #[serde(default)]
    exp: u64,
    #[serde(default)]
    access: Option<Grants>,
}

/// Seconds since the epoch.
pub fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

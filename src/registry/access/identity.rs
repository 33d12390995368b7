//! Who asks: what a request has proved of itself, and nothing of what that allows.

use std::fmt;
use std::sync::Arc;

use super::scope::Grants;

/// Who asks.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// The name of a user who has logged in, or that a token was issued to.
    pub user: Option<Arc<str>>,
    /// The common name of the client's certificate, which the server has verified.
    pub certificate: Option<Arc<str>>,
    /// What a bearer token allows; nobody gets beyond it.
    pub token: Option<Arc<Grants>>,
}

/// The two names that rules speak of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Subject<'a> {
    pub user: Option<&'a str>,
    pub certificate: Option<&'a str>,
}

impl Identity {
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            user: self.user.as_deref(),
            certificate: self.certificate.as_deref(),
        }
    }

    /// The name that logs and events show.
    pub fn name(&self) -> Option<&str> {
        self.user.as_deref().or(self.certificate.as_deref())
    }

    /// How the name was proved.
    pub fn proof(&self) -> &'static str {
        match self {
            Self { token: Some(_), .. } => "token",
            Self { user: Some(_), .. } => "password",
            Self {
                certificate: Some(_), ..
            } => "certificate",
            _ => "none",
        }
    }
}

impl<'a> Subject<'a> {
    pub fn user(name: &'a str) -> Self {
        Self {
            user: Some(name),
            certificate: None,
        }
    }

    pub fn is_anonymous(&self) -> bool {
        self.user.is_none() && self.certificate.is_none()
    }
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.user, self.certificate) {
            (Some(user), _) => write!(f, "the user `{user}`"),
            (None, Some(name)) => write!(f, "the client with the certificate of `{name}`"),
            (None, None) => f.write_str("anybody who has not logged in"),
        }
    }
}

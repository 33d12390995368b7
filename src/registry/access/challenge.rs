//! `WWW-Authenticate`: how a client may prove who it is.

use std::fmt::{self, Write as _};

use super::scope::Scope;

/// What a 401 asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge<'a> {
    Basic {
        realm: &'a str,
    },
    Bearer {
        /// URL of the token server.
        realm: &'a str,
        service: &'a str,
        scopes: &'a [Scope],
        error: Option<BearerError>,
    },
}

/// RFC 6750's words for a token that was given and does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BearerError {
    InvalidToken,
    InsufficientScope,
}

impl fmt::Display for Challenge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { realm } => write!(f, "Basic realm={}, charset=\"UTF-8\"", Quoted(realm)),
            Self::Bearer {
                realm,
                service,
                scopes,
                error,
            } => {
                write!(f, "Bearer realm={},service={}", Quoted(realm), Quoted(service))?;
                if !scopes.is_empty() {
                    let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
                    write!(f, ",scope={}", Quoted(&scopes.join(" ")))?;
                }
                match error {
                    Some(BearerError::InvalidToken) => f.write_str(",error=\"invalid_token\""),
                    Some(BearerError::InsufficientScope) => f.write_str(",error=\"insufficient_scope\""),
                    None => Ok(()),
                }
            }
        }
    }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            if matches!(character, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(character)?;
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::access::rules::Permission;

    #[test]
    fn item_24_challenges() {
        let scopes = [
            Scope::needed(Permission::Push, Some("some/name")),
            Scope::needed(Permission::Pull, Some("other")),
        ];
        let bearer = |scopes, error| {
            Challenge::Bearer {
                realm: "https://a.example/v2/token",
                service: "here",
                scopes,
                error,
            }
            .to_string()
        };
        let start = "Bearer realm=\"https://a.example/v2/token\",service=\"here\"";
        assert_eq!(bearer(&[], None), start);
        assert_eq!(
            bearer(&scopes[..1], None),
            format!("{start},scope=\"repository:some/name:pull,push\"")
        );
        assert_eq!(
            bearer(&scopes, Some(BearerError::InsufficientScope)),
            format!(
                "{start},scope=\"repository:some/name:pull,push repository:other:pull\",error=\"insufficient_scope\""
            )
        );
        assert_eq!(
            bearer(
                &[Scope::needed(Permission::Catalog, None)],
                Some(BearerError::InvalidToken)
            ),
            format!("{start},scope=\"registry:catalog:*\",error=\"invalid_token\"")
        );
        assert_eq!(
            Challenge::Basic {
                realm: "the \"registry\""
            }
            .to_string(),
            r#"Basic realm="the \"registry\"", charset="UTF-8""#
        );
    }
}

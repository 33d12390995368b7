//! `WWW-Authenticate`: what a registry wants to see before it answers.
//!
//! Only the two schemes that registries have: Basic, and Bearer with the token protocol of docker.
//! Specification: RFC 9110, section 11.6.1, as far as registries use it; one challenge to a header.

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    Basic,
    Bearer {
        realm: String,
        /// `service` and `scope`, to be handed on to the realm.
        parameters: Vec<(String, String)>,
    },
}

impl Challenge {
    /// None for a scheme that is not known.
    pub fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (realm, parameters): (Vec<_>, Vec<_>) = parameters(rest)
            .into_iter()
            .filter(|(name, _)| ["realm", "service", "scope"].contains(&name.as_str()))
            .partition(|(name, _)| name == "realm");
        let (_, realm) = realm.into_iter().next()?;
        Some(Self::Bearer { realm, parameters })
    }
}

/// `name=value` and `name="value, with anything in it"`, between commas.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let (value, next) = if let Some(quoted) = after.trim_start().strip_prefix('"') {
            unquoted(quoted)
        } else {
            let (value, next) = after.split_at(after.find(',').unwrap_or(after.len()));
            (value.trim().to_owned(), next)
        };
        let name = name.trim_matches(|c: char| c == ',' || c.is_whitespace());
        found.push((name.to_ascii_lowercase(), value));
        rest = next;
    }
    found
}

/// The text up to the closing quote, and what follows it.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_registries_send() {
        assert_eq!(Challenge::parse("Basic realm=\"r\""), Some(Challenge::Basic));
        assert_eq!(Challenge::parse("basic"), Some(Challenge::Basic));
        for header in ["", "Negotiate", "Bearer", "Bearer service=\"x\""] {
            assert_eq!(Challenge::parse(header), None, "{header}");
        }
        let Some(Challenge::Bearer { realm, parameters }) = Challenge::parse(
            r#"Bearer realm="https://r/token", service=r ,scope="repository:a/b:pull,push",error="a \"b\"""#,
        ) else {
            panic!("it is a challenge");
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(realm, "https://r/token");
        assert_eq!(
            parameters,
            [pair("service", "r"), pair("scope", "repository:a/b:pull,push")]
        );
        assert_eq!(super::parameters("a=\"x"), [pair("a", "x")]);
    }
}

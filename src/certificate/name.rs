//! What a server is reached by: a host name or an address.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::Error;

/// The longest host name that DNS allows.
const NAME_LIMIT: usize = 253;
/// The longest part between two dots.
const LABEL_LIMIT: usize = 63;

/// A subject alternative name, in the one spelling by which two are compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// Lower case, no dot at the end; the first part may be `*`.
    Dns(String),
    Ip(IpAddr),
}

impl Name {
    /// A list as playbooks write it: empty entries dropped, each name once.
    pub fn parse_all<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<BTreeSet<Self>, Error> {
        texts
            .into_iter()
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::parse)
            .collect()
    }
}

impl FromStr for Name {
    type Err = Error;

    /// `DNS:name`, `IP:address`, or either without its prefix.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = || Error::Name(text.to_owned());
        let address = |text: &str| text.trim_matches(['[', ']']).parse().map(Self::Ip).ok();
        match text.split_once(':') {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case("ip") => address(rest).ok_or_else(refused),
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case("dns") => dns(rest).ok_or_else(refused),
            _ => address(text).or_else(|| dns(text)).ok_or_else(refused),
        }
    }
}

fn dns(text: &str) -> Option<Name> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let host = name.strip_prefix("*.").unwrap_or(&name);
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= LABEL_LIMIT
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    (name.len() <= NAME_LIMIT && host.split('.').all(label)).then_some(Name::Dns(name))
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "DNS:{name}"),
            Self::Ip(address) => write!(f, "IP:{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> String {
        text.parse::<Name>()
            .map_or_else(|error| error.to_string(), |name| name.to_string())
    }

    #[test]
    fn takes_the_spellings_that_playbooks_use() {
        assert_eq!(parse("Registry.Example.com."), "DNS:registry.example.com");
        assert_eq!(parse("dns:*.lab"), "DNS:*.lab");
        assert_eq!(parse("10.0.0.1"), "IP:10.0.0.1");
        assert_eq!(parse("IP:fd00::1"), "IP:fd00::1");
        assert_eq!(parse("[::1]"), "IP:::1");
        assert!(parse("IP:host").starts_with("`IP:host` is neither"));
        assert!(parse("a b").starts_with("`a b` is neither"));
        assert!(parse("a..b").starts_with("`a..b` is neither"));
    }

    #[test]
    fn drops_doubles() {
        let names = Name::parse_all(["a.lab", "DNS:A.lab", "", "::1", "0:0::1"]).unwrap();
        assert_eq!(names.len(), 2);
    }
}

//! Names that clients choose: repositories, tags, references, upload ids.
//!
//! The grammar is distribution-spec's. A value of these types is safe as a part of a storage path: no
//! empty segment, no `.` or `..`, no leading underscore in a repository's segment (those are the layout's).

use std::fmt;
use std::str::FromStr;

use super::digest::{Digest, DigestError};
use super::random::random;

/// Docker's limit for host, slash and name together; longer names could not be pulled by anyone.
const MAX_REPOSITORY_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a repository name has at most {MAX_REPOSITORY_NAME} characters")]
    TooLong,
    #[error(
        "a repository name is lower-case words of letters and digits joined by '.', '_', '__' or dashes, with '/' between segments"
    )]
    Repository,
    #[error(
        "a tag is up to {MAX_TAG} letters, digits, '_', '.' and '-', and starts with none of the last two"
    )]
    Tag,
    #[error(transparent)]
    Digest(#[from] DigestError),
    #[error("an upload id is a UUID in lower case")]
    Upload,
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

text_type! {
    /// A repository's name, of any depth.
    RepositoryName
}

impl FromStr for RepositoryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > MAX_REPOSITORY_NAME {
            return Err(NameError::TooLong);
        }
        if text.split('/').all(is_segment) {
            Ok(Self(text.into()))
        } else {
            Err(NameError::Repository)
        }
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_segment(segment: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = segment.as_bytes();
    let ends_are_words = bytes.first().copied().is_some_and(word) && bytes.last().copied().is_some_and(word);
    ends_are_words
        && segment
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-'))
}

text_type! {
    /// A tag.
    Tag
}

impl FromStr for Tag {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let fine = (1..=MAX_TAG).contains(&text.len())
            && text.bytes().next().is_some_and(word)
            && text.bytes().all(|b| word(b) || b == b'.' || b == b'-');
        if fine {
            Ok(Self(text.into()))
        } else {
            Err(NameError::Tag)
        }
    }
}

impl Tag {
    /// Where clients of registries without referrers keep an index of what refers to a digest:
    /// `<algorithm>-<hex>`. The spec cuts longer digests off, so that a tag can hold them.
    pub fn of_referrers(subject: &Digest) -> Self {
        let hex = subject.hex().get(..64).unwrap_or(subject.hex());
        Self(format!("{}-{hex}", subject.algorithm().name()).into())
    }
}

/// What a manifest is asked for by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    Tag(Tag),
    Digest(Digest),
}

impl FromStr for Reference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        // No tag holds a colon, so a colon means that a digest was meant.
        if text.contains(':') {
            Ok(Self::Digest(text.parse()?))
        } else {
            Ok(Self::Tag(text.parse()?))
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

text_type! {
    /// An upload's id: a UUID, as distribution makes them.
    UploadId
}

impl UploadId {
    /// A new random id (UUID version 4).
    pub fn random() -> Self {
        let mut bytes: [u8; 16] = random();
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let hex = format!("{:032x}", u128::from_be_bytes(bytes));
        Self(
            [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]]
                .join("-")
                .into(),
        )
    }
}

impl FromStr for UploadId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let fine = text.len() == 36
            && text.bytes().enumerate().all(|(at, b)| match at {
                8 | 13 | 18 | 23 => b == b'-',
                _ => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
            });
        if fine {
            Ok(Self(text.into()))
        } else {
            Err(NameError::Upload)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_2_repository_names() {
        for good in [
            "a",
            "0",
            "a/b/c/d/e/f",
            "a.b",
            "a_b",
            "a__b",
            "a-b",
            "a---b",
            "library/hello-world",
        ] {
            assert!(good.parse::<RepositoryName>().is_ok(), "{good}");
        }
        let long = "a".repeat(256);
        for bad in [
            "", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "a._b", "-a", "a-", "_a", "..", "a/../b", ".",
            "a b", "é", "a\0", &long,
        ] {
            assert!(bad.parse::<RepositoryName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn item_2_tags() {
        let longest = "t".repeat(128);
        for good in ["latest", "1.0", "_x", "A-b.c", &longest] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        let long = "t".repeat(129);
        for bad in ["", ".", "..", "-x", ".x", "a/b", "a:b", "a b", "ü", &long] {
            assert!(bad.parse::<Tag>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn upload_ids_are_uuids() {
        let id = UploadId::random();
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert_ne!(id, UploadId::random());
        assert!(
            "../../../../../../../../../etc/passw"
                .parse::<UploadId>()
                .is_err()
        );
    }

    #[test]
    fn a_colon_means_a_digest() {
        assert!(matches!("v1".parse(), Ok(Reference::Tag(_))));
        assert_eq!(
            "sha256:12".parse::<Reference>().unwrap_err().to_string(),
            "a sha256 digest has 64 lower-case hexadecimal digits"
        );
    }
}

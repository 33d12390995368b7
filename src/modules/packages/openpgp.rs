//! Public keys as package managers get them: which keys are in a file, without a gpg on the target.
//!
//! Specification: RFC 4880 (armour, packets, fingerprints of version 4). Keys of other versions are passed over; nothing is verified.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::system::DigestAlgorithm;
use crate::system::digest::digest_bytes;

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";
/// Tags of packets: a public key, and one that belongs to the key before it.
const PUBLIC_KEY: u8 = 6;
const PUBLIC_SUBKEY: u8 = 14;

/// A key: upper-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub fingerprint: String,
    pub is_subkey: bool,
}

impl Key {
    /// The last sixteen digits.
    pub fn id(&self) -> &str {
        &self.fingerprint[self.fingerprint.len() - 16..]
    }
}

/// Whether a text holds an armoured key.
pub fn is_armoured(bytes: &[u8]) -> bool {
    bytes
        .windows(BEGIN.len())
        .any(|window| window == BEGIN.as_bytes())
}

/// The keys in a file, in order: of all its armoured blocks, or of what it is itself.
pub fn keys(bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    if is_armoured(bytes) {
        let text = String::from_utf8_lossy(bytes);
        for block in text.split(BEGIN).skip(1) {
            let block = block.split(END).next().unwrap_or(block);
            read_packets(&unarmoured(block), &mut keys);
        }
    } else {
        read_packets(bytes, &mut keys);
    }
    keys
}

/// The bytes of a block; its headers end with an empty line, its checksum begins with `=`.
fn unarmoured(block: &str) -> Vec<u8> {
    let lines = block.lines().map(str::trim).skip(1);
    let body: String = lines
        .skip_while(|line| line.contains(": "))
        .take_while(|line| !line.starts_with('='))
        .collect();
    STANDARD.decode(body).unwrap_or_default()
}

fn read_packets(mut bytes: &[u8], keys: &mut Vec<Key>) {
    while let Some((tag, body, rest)) = packet(bytes) {
        // Version 4: the digest of the packet as it would be with an old header of two length bytes.
        if matches!(tag, PUBLIC_KEY | PUBLIC_SUBKEY)
            && body.first() == Some(&4)
            && let Ok(length) = u16::try_from(body.len())
        {
            let whole = [&[0x99], &length.to_be_bytes()[..], body].concat();
            keys.push(Key {
                fingerprint: digest_bytes(&whole, DigestAlgorithm::Sha1).to_uppercase(),
                is_subkey: tag == PUBLIC_SUBKEY,
            });
        }
        bytes = rest;
    }
}

/// Tag and body of the first packet, and what follows; none at the end or where it is no packet.
fn packet(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte))
    };
    let (tag, length, rest) = match first {
        // New: the length's own bytes say how many they are.
        0xc0.. => {
            let (length, rest) = match *rest.first()? {
                short @ 0..=191 => (usize::from(short), &rest[1..]),
                high @ 192..=223 => {
                    let low = *rest.get(1)?;
                    (
                        ((usize::from(high) - 192) << 8) + usize::from(low) + 192,
                        &rest[2..],
                    )
                }
                255 => (number(rest.get(1..5)?), &rest[5..]),
                // In pieces: keys never are.
                _ => return None,
            };
            (first & 0x3f, length, rest)
        }
        // Old: the first byte says it.
        0x80.. => {
            let size = match first & 3 {
                0 => 1,
                1 => 2,
                2 => 4,
                _ => return None,
            };
            (first >> 2 & 0xf, number(rest.get(..size)?), &rest[size..])
        }
        _ => return None,
    };
    (length <= rest.len()).then(|| (tag, &rest[..length], &rest[length..]))
}

#[cfg(test)]
pub(super) const SAMPLE: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEawGbvBYJKwYBBAHaRw8BAQdAAJMTD4BmKAK9DHiDtFgTPgKNQWkVbs/lZCTO\nRIPbzuq0FFRlc3QgPHRAZXhhbXBsZS5vcmc+iJAEExYIADgWIQRxSjNE9M451q1s\nyBFDbazom5Z6/QUCawGbvAIbAwULCQgHAgYVCgkICwIEFgIDAQIeAQIXgAAKCRBD\nbazom5Z6/UvpAQDWVRmaWEz3uYhjzVXA4A5hB7asASisvYAxGILQeYquVwEA/a32\ne56uRsHOnei2yFYnlpjEvF6Y/HihScvQgNnYrwW4OARrAZu8EgorBgEEAZdVAQUB\nAQdA+BUkXHCNLBANrbIOjpVDQHqqlNgwh1pLyabOg20KDkkDAQgHiHgEGBYIACAW\nIQRxSjNE9M451q1syBFDbazom5Z6/QUCawGbvAIbDAAKCRBDbazom5Z6/RWWAP9f\n13l0Wzoax+Nso/ji9U6CU/O7we2SqvFfjOL59SQHywEAmeDUHkwzL5P3HF76GVWN\nf14nLCTO+dKXA2bRRb/5uQs=\n=XmHz\n-----END PGP PUBLIC KEY BLOCK-----\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_gpgs() {
        let found = keys(SAMPLE.as_bytes());
        assert_eq!(found[0].fingerprint, "714A3344F4CE39D6AD6CC811436DACE89B967AFD");
        assert_eq!(found[0].id(), "436DACE89B967AFD");
        assert_eq!(found[1].fingerprint, "B5E98C3FE7F9CE0D4D3C10A5C8FCD3AA905648DA");
        assert!(!found[0].is_subkey && found[1].is_subkey && found.len() == 2);
        let block = SAMPLE.split(BEGIN).nth(1).unwrap().split(END).next().unwrap();
        assert_eq!(keys(&unarmoured(block)), found, "without armour, too");
    }

    #[test]
    fn what_is_no_key_has_none() {
        for text in [
            "",
            "<html>",
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA",
            "\u{99}\u{99}",
        ] {
            assert!(keys(text.as_bytes()).is_empty(), "{text}");
        }
        assert!(
            keys(&[0xc6, 0xff, 0xff, 0xff, 0xff, 0xff, 4]).is_empty(),
            "a length that is not believed"
        );
    }
}

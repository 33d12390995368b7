//! General names, as people write them, and the extensions that are made of them, in DER. Follows RFC 5280; the forms are those of
//! `community.crypto`. Deliberately no IDNA: a name that is no ASCII is refused.

use std::net::IpAddr;

use super::der::{OBJECT, SEQUENCE, put};
use super::words::{self, Extension, UTF8, identifier};

pub const NAME_CONSTRAINTS: &str = "2.5.29.30";
const REVOCATION_LISTS: &str = "2.5.29.31";

/// Bits of `reasons`.
pub const REASONS: &[&str] = &[
    "key_compromise",
    "ca_compromise",
    "affiliation_changed",
    "superseded",
    "cessation_of_operation",
    "certificate_hold",
    "privilege_withdrawn",
    "aa_compromise",
];

/// One after the other; `what` is named where one is not understood.
pub fn names(names: &[String], what: &str) -> Result<Vec<u8>, String> {
    let all: Result<Vec<_>, _> = names.iter().map(|name| one(name, what)).collect();
    Ok(all?.concat())
}

fn one(name: &str, what: &str) -> Result<Vec<u8>, String> {
    let refused = || {
        format!(
            "Cannot parse {what} \"{name}\": DNS:, IP:, URI:, email:, RID:, dirName: and otherName: are known here"
        )
    };
    let (kind, text) = name.split_once(':').ok_or_else(refused)?;
    let plain = |tag| {
        if text.is_ascii() {
            Ok(put(tag, text.as_bytes()))
        } else {
            Err(format!(
                "Cannot parse {what} \"{name}\": write it in ASCII (xn--...)"
            ))
        }
    };
    match kind.to_ascii_lowercase().as_str() {
        "email" => plain(0x81),
        "dns" => plain(0x82),
        "uri" => plain(0x86),
        "ip" => Ok(put(0x87, &address(text).ok_or_else(refused)?)),
        "rid" => Ok(put(0x88, &identifier(text).ok_or_else(refused)?)),
        "dirname" => Ok(put(
            0xa4,
            &directory(text).map_err(|why| format!("{}: {why}", refused()))?,
        )),
        "othername" => {
            let (oid, value) = text.split_once(';').ok_or_else(refused)?;
            let oid = put(OBJECT, &identifier(oid).ok_or_else(refused)?);
            let value = match value.split_once(':') {
                Some(("UTF8" | "UTF8String", text)) => put(UTF8, text.as_bytes()),
                _ => hexadecimal(value).ok_or_else(refused)?,
            };
            Ok(put(0xa0, &[oid, put(0xa0, &value)].concat()))
        }
        _ => Err(refused()),
    }
}

/// An address, or a network with its mask.
fn address(text: &str) -> Option<Vec<u8>> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<usize>().ok()?)),
        None => (text, None),
    };
    let mut bytes = match address.parse().ok()? {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let Some(prefix) = prefix else {
        return Some(bytes);
    };
    let bits = bytes.len() * 8;
    let is_set = |bit: usize| bit < prefix;
    let mask: Vec<u8> = (0..bits)
        .step_by(8)
        .map(|start| (0..8).fold(0, |byte, bit| byte << 1 | u8::from(is_set(start + bit))))
        .collect();
    // What is not of the network is a mistake.
    if prefix > bits || bytes.iter().zip(&mask).any(|(byte, mask)| byte & !mask != 0) {
        return None;
    }
    bytes.extend(mask);
    Some(bytes)
}

/// `CN=a,O=b` or `/CN=a/O=b`: the last part comes first in the name. A backslash keeps what follows from ending a part.
fn directory(text: &str) -> Result<Vec<u8>, String> {
    let text = text.trim_start();
    let (separator, text) = match text.strip_prefix('/') {
        Some(rest) => ('/', rest),
        None => (',', text),
    };
    let mut parts = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let last = parts.last_mut().expect("there is always one");
        match letter {
            '\\' => last.extend(letters.next()),
            letter if letter == separator => parts.push(String::new()),
            letter => last.push(letter),
        }
    }
    let parts: Result<Vec<_>, _> = parts.iter().rev().map(|part| attribute(part)).collect();
    words::name(&parts?)
}

fn attribute(part: &str) -> Result<(String, String), String> {
    let (name, text) = part
        .split_once('=')
        .ok_or_else(|| format!("`{part}` is no NAME=TEXT"))?;
    Ok((name.trim().to_owned(), text.trim_start().to_owned()))
}

/// Pairs of digits, with or without colons between them.
pub fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.replace(':', "");
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
        .collect()
}

/// What an authority's certificates may be for, and what not.
pub fn constraints(permitted: &[String], excluded: &[String], critical: bool) -> Result<Extension, String> {
    let mut value = Vec::new();
    for (tag, list, what) in [
        (0xa0, permitted, "name constraints permitted"),
        (0xa1, excluded, "name constraints excluded"),
    ] {
        let trees: Result<Vec<_>, _> = list
            .iter()
            .map(|name| one(name, what).map(|name| put(SEQUENCE, &name)))
            .collect();
        let trees = trees?.concat();
        if !trees.is_empty() {
            value.extend(put(tag, &trees));
        }
    }
    Ok(Extension::new(NAME_CONSTRAINTS, critical, put(SEQUENCE, &value)))
}

/// Which certificate has signed: by its key's identifier, or its issuer and number.
pub fn authority(
    key: Option<&[u8]>,
    issuer: Option<&[String]>,
    serial: Option<&[u8]>,
) -> Result<Extension, String> {
    let issuer = issuer
        .map(|issuer| names(issuer, "authority cert issuer"))
        .transpose()?;
    let parts = [
        key.map(|key| put(0x80, key)),
        issuer.map(|issuer| put(0xa1, &issuer)),
        serial.map(|serial| put(0x82, serial)),
    ];
    let value: Vec<u8> = parts.into_iter().flatten().flatten().collect();
    Ok(Extension::new(words::AUTHORITY_KEY, false, put(SEQUENCE, &value)))
}

/// A whole number in decimal, as the content of an element.
pub fn number(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let mut bytes = vec![0_u8];
    for digit in text.bytes() {
        let mut carry = u16::from(digit - b'0');
        for byte in bytes.iter_mut().rev() {
            carry += u16::from(*byte) * 10;
            *byte = u8::try_from(carry & 0xff).unwrap_or_default();
            carry >>= 8;
        }
        if carry > 0 {
            bytes.insert(0, u8::try_from(carry).unwrap_or_default());
        }
    }
    // It is positive.
    if bytes[0] & 0x80 != 0 {
        bytes.insert(0, 0);
    }
    Some(bytes)
}

/// Where a list of revoked certificates is to be had.
#[derive(Debug, serde::Deserialize)]
pub struct Point {
    full_name: Option<Vec<String>>,
    relative_name: Option<Vec<String>>,
    crl_issuer: Option<Vec<String>>,
    reasons: Option<Vec<String>>,
}

pub fn points(points: &[Point]) -> Result<Extension, String> {
    let mut all = Vec::new();
    for (index, point) in points.iter().enumerate() {
        let der = point
            .der()
            .map_err(|why| format!("Error while parsing CRL distribution point #{index}: {why}"))?;
        all.extend(put(SEQUENCE, &der));
    }
    Ok(Extension::new(REVOCATION_LISTS, false, put(SEQUENCE, &all)))
}

impl Point {
    fn der(&self) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        if let Some(full) = &self.full_name {
            out.extend(put(0xa0, &put(0xa0, &names(full, "full name")?)));
        }
        if let Some(relative) = &self.relative_name {
            let parts: Result<Vec<_>, _> = relative.iter().map(|part| attribute(part)).collect();
            out.extend(put(0xa0, &put(0xa1, &words::attributes(&parts?)?.concat())));
        }
        if let Some(reasons) = &self.reasons {
            let mut bits = [0_u8; 2];
            for reason in reasons {
                // The first bit has no meaning.
                let bit = 1 + REASONS
                    .iter()
                    .position(|known| known == reason)
                    .unwrap_or_default();
                bits[bit / 8] |= 0x80 >> (bit % 8);
            }
            out.extend(put(0x81, &words::bits(bits)));
        }
        if let Some(issuer) = &self.crl_issuer {
            out.extend(put(0xa2, &names(issuer, "CRL issuer")?));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn names_of_all_kinds() {
        let written = |name: &str| one(name, "x").map_err(|error| assert!(error.contains(name), "{error}"));
        assert_eq!(written("DNS:a"), Ok(vec![0x82, 1, b'a']));
        assert_eq!(
            written("IP:10.1.0.0/16"),
            Ok(vec![0x87, 8, 10, 1, 0, 0, 255, 255, 0, 0])
        );
        assert_eq!(written("IP:10.0.0.0/9").unwrap()[6..], [255, 128, 0, 0]);
        assert_eq!(
            written("otherName:1.2.3;0C:01:41"),
            written("otherName:1.2.3;UTF8:A")
        );
        let directory = written("dirName:CN=a\\,b, O = c").unwrap();
        assert_eq!(directory, written("dirName:/CN=a,b/O=c").unwrap());
        let parts = words::parts(&directory[2..]);
        assert_eq!(parts[1], ("commonName".to_owned(), "a,b".to_owned()));
        for broken in [
            "a",
            "DNS:\u{e4}",
            "IP:10.1.0.0/8",
            "IP:::/129",
            "IP:x",
            "RID:x",
            "otherName:1.2.3",
            "otherName:1.2.3;xyz",
            "dirName:a",
            "http:x",
        ] {
            assert!(written(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn numbers_of_any_length() {
        assert_eq!(number("0"), Some(vec![0]));
        assert_eq!(number("127"), Some(vec![127]));
        assert_eq!(number("128"), Some(vec![0, 128]));
        assert_eq!(
            number("18446744073709551616"),
            Some(vec![1, 0, 0, 0, 0, 0, 0, 0, 0])
        );
        for broken in ["", "-1", "1.5", "0x10"] {
            assert_eq!(number(broken), None);
        }
    }

    #[test]
    fn the_order_of_what_is_constrained_means_nothing() {
        let made =
            |permitted: &[&str]| constraints(&list(permitted), &list(&["IP:10.0.0.0/8"]), true).unwrap();
        let (one, other) = (made(&["DNS:a", "DNS:b"]), made(&["DNS:b", "DNS:a"]));
        assert_ne!(one, other);
        assert_eq!(one.sorted(), other.sorted());
    }
}

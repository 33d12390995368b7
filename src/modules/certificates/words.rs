//! What requests and certificates say, by the names that people and OpenSSL have for it, in DER. Follows RFC 5280.

use super::der::{BIT_STRING, INTEGER, OBJECT, OCTET_STRING, SEQUENCE, element, elements, put};
use super::general;

const BOOLEAN: u8 = 0x01;
pub const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const IA5: u8 = 0x16;
const SET: u8 = 0x31;

/// Short and long names of a subject's parts, their identifiers, and the tags of their texts.
const PARTS: &[(&str, &str, &str, u8)] = &[
    ("C", "countryName", "2.5.4.6", PRINTABLE),
    ("ST", "stateOrProvinceName", "2.5.4.8", UTF8),
    ("L", "localityName", "2.5.4.7", UTF8),
    ("O", "organizationName", "2.5.4.10", UTF8),
    ("OU", "organizationalUnitName", "2.5.4.11", UTF8),
    ("CN", "commonName", "2.5.4.3", UTF8),
    ("E", "emailAddress", "1.2.840.113549.1.9.1", IA5),
    ("SN", "surname", "2.5.4.4", UTF8),
    ("GN", "givenName", "2.5.4.42", UTF8),
    ("serialNumber", "serialNumber", "2.5.4.5", PRINTABLE),
    ("title", "title", "2.5.4.12", UTF8),
    ("street", "streetAddress", "2.5.4.9", UTF8),
    ("postalCode", "postalCode", "2.5.4.17", UTF8),
    ("UID", "userId", "0.9.2342.19200300.100.1.1", UTF8),
    ("DC", "domainComponent", "0.9.2342.19200300.100.1.25", IA5),
];

/// Bits of `keyUsage`.
const USAGES: &[(&str, &str, u8)] = &[
    ("digitalSignature", "Digital Signature", 0),
    ("nonRepudiation", "Non Repudiation", 1),
    ("contentCommitment", "Content Commitment", 1),
    ("keyEncipherment", "Key Encipherment", 2),
    ("dataEncipherment", "Data Encipherment", 3),
    ("keyAgreement", "Key Agreement", 4),
    ("keyCertSign", "Certificate Sign", 5),
    ("cRLSign", "CRL Sign", 6),
    ("encipherOnly", "Encipher Only", 7),
    ("decipherOnly", "Decipher Only", 8),
];

const PURPOSES: &[(&str, &str, &str)] = &[
    ("serverAuth", "TLS Web Server Authentication", "1.3.6.1.5.5.7.3.1"),
    ("clientAuth", "TLS Web Client Authentication", "1.3.6.1.5.5.7.3.2"),
    ("codeSigning", "Code Signing", "1.3.6.1.5.5.7.3.3"),
    ("emailProtection", "E-mail Protection", "1.3.6.1.5.5.7.3.4"),
    ("timeStamping", "Time Stamping", "1.3.6.1.5.5.7.3.8"),
    ("OCSPSigning", "OCSP Signing", "1.3.6.1.5.5.7.3.9"),
    ("anyExtendedKeyUsage", "Any Extended Key Usage", "2.5.29.37.0"),
];

pub const SUBJECT_KEY: &str = "2.5.29.14";
pub const ALTERNATIVE_NAMES: &str = "2.5.29.17";
pub const AUTHORITY_KEY: &str = "2.5.29.35";
const KEY_USAGE: &str = "2.5.29.15";
const CONSTRAINTS: &str = "2.5.29.19";
const PURPOSE: &str = "2.5.29.37";
const MUST_STAPLE: &str = "1.3.6.1.5.5.7.1.24";

/// An extension; its value is DER.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extension {
    pub oid: Vec<u8>,
    pub critical: bool,
    pub value: Vec<u8>,
}

impl Extension {
    pub fn new(oid: &str, critical: bool, value: Vec<u8>) -> Self {
        Self {
            oid: identifier(oid).unwrap_or_default(),
            critical,
            value,
        }
    }

    pub fn is(&self, oid: &str) -> bool {
        identifier(oid).is_some_and(|oid| self.oid == oid)
    }

    pub fn der(&self) -> Vec<u8> {
        let critical = if self.critical {
            put(BOOLEAN, &[0xff])
        } else {
            Vec::new()
        };
        let parts = [put(OBJECT, &self.oid), critical, put(OCTET_STRING, &self.value)];
        put(SEQUENCE, &parts.concat())
    }

    /// Those of a sequence's content.
    pub fn read(list: &[u8]) -> Option<Vec<Self>> {
        let one = |(_, content): (u8, &[u8])| {
            let parts = elements(content)?;
            Some(Self {
                oid: parts.first()?.1.to_vec(),
                critical: parts.len() > 2 && parts[1].1 != [0],
                value: parts.last()?.1.to_vec(),
            })
        };
        elements(list)?.into_iter().map(one).collect()
    }

    /// The same whatever the order of what is a set by its meaning.
    pub fn sorted(mut self) -> Self {
        let is_set = self.is(ALTERNATIVE_NAMES) || self.is(PURPOSE);
        let has_sets = self.is(general::NAME_CONSTRAINTS);
        if let Some((_, content, _)) = element(&self.value).filter(|_| is_set || has_sets)
            && let Some(parts) = elements(content)
        {
            let parts = parts.into_iter().map(|(tag, content)| {
                if has_sets {
                    put(tag, &in_order(content).unwrap_or_default())
                } else {
                    put(tag, content)
                }
            });
            let content: Vec<u8> = parts.flatten().collect();
            let content = if is_set { in_order(&content) } else { Some(content) };
            self.value = put(SEQUENCE, &content.unwrap_or_default());
        }
        self
    }
}

/// The elements of a sequence's content, sorted.
fn in_order(content: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<Vec<u8>> = elements(content)?
        .into_iter()
        .map(|(tag, content)| put(tag, content))
        .collect();
    parts.sort();
    Some(parts.concat())
}

/// An object identifier's content.
pub fn identifier(text: &str) -> Option<Vec<u8>> {
    let numbers: Vec<u64> = text
        .split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let [first, second, rest @ ..] = numbers.as_slice() else {
        return None;
    };
    let mut out = Vec::new();
    for number in std::iter::once(first * 40 + second).chain(rest.iter().copied()) {
        let mut bytes = vec![u8::try_from(number & 0x7f).ok()?];
        let mut left = number >> 7;
        while left > 0 {
            bytes.push(u8::try_from(left & 0x7f).ok()? | 0x80);
            left >>= 7;
        }
        out.extend(bytes.iter().rev());
    }
    Some(out)
}

/// The same, read.
pub fn dotted(identifier: &[u8]) -> String {
    let mut numbers: Vec<u64> = Vec::new();
    let mut number = 0_u64;
    for byte in identifier {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.extend([first, number - first * 40]);
            } else {
                numbers.push(number);
            }
            number = 0;
        }
    }
    let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
    numbers.join(".")
}

/// A name from its parts.
pub fn name(parts: &[(String, String)]) -> Result<Vec<u8>, String> {
    let sets = attributes(parts)?.into_iter();
    let sets: Vec<u8> = sets.flat_map(|attribute| put(SET, &attribute)).collect();
    Ok(put(SEQUENCE, &sets))
}

/// The parts of a name, each by itself.
pub fn attributes(parts: &[(String, String)]) -> Result<Vec<Vec<u8>>, String> {
    let mut out = Vec::new();
    for (part, text) in parts {
        let row = PARTS
            .iter()
            .find(|(short, long, oid, _)| [short, long, oid].contains(&&part.as_str()));
        let (oid, tag) = row.map_or((part.as_str(), UTF8), |(_, _, oid, tag)| (oid, *tag));
        let oid = identifier(oid)
            .ok_or_else(|| format!("subject: `{part}` is no part of a name that is known here"))?;
        if tag == PRINTABLE && oid == [0x55, 4, 6] && text.len() != 2 {
            return Err(format!("subject: a country has two letters, not `{text}`"));
        }
        let attribute = [put(OBJECT, &oid), put(tag, text.as_bytes())].concat();
        out.push(put(SEQUENCE, &attribute));
    }
    Ok(out)
}

/// A name's parts, by their long names, from its DER.
pub fn parts(name: &[u8]) -> Vec<(String, String)> {
    let content = element(name).map(|(_, content, _)| content).unwrap_or_default();
    let sets = elements(content).unwrap_or_default();
    let one = |(_, set): (u8, &[u8])| {
        let attribute = elements(element(set)?.1)?;
        let oid = attribute.first()?.1;
        let known = PARTS
            .iter()
            .find(|(_, _, known, _)| identifier(known).is_some_and(|known| known == oid));
        let name = known.map_or_else(|| dotted(oid), |(_, long, _, _)| (*long).to_owned());
        Some((name, String::from_utf8_lossy(attribute.get(1)?.1).into_owned()))
    };
    sets.into_iter().filter_map(one).collect()
}

pub fn alternative_names(names: &[String]) -> Result<Vec<u8>, String> {
    Ok(put(SEQUENCE, &general::names(names, "Subject Alternative Name")?))
}

pub fn key_usage(names: &[String], critical: bool) -> Result<Extension, String> {
    let mut bits = [0_u8; 2];
    for name in names {
        let row = USAGES
            .iter()
            .find(|(short, long, _)| short == name || long == name);
        let (_, _, bit) = row.ok_or_else(|| format!("key_usage: `{name}` is not known"))?;
        bits[usize::from(bit / 8)] |= 0x80 >> (bit % 8);
    }
    Ok(Extension::new(
        KEY_USAGE,
        critical,
        put(BIT_STRING, &self::bits(bits)),
    ))
}

/// The content of a string of bits without those at its end that are not set.
pub fn bits(bits: [u8; 2]) -> Vec<u8> {
    let used = if bits[1] == 0 { &bits[..1] } else { &bits[..] };
    let unused = used.last().map_or(0, |last| last.trailing_zeros().min(7));
    [&[u8::try_from(unused).unwrap_or_default()], used].concat()
}

pub fn purposes(names: &[String], critical: bool) -> Result<Extension, String> {
    let mut out = Vec::new();
    for name in names {
        let row = PURPOSES
            .iter()
            .find(|(short, long, _)| short == name || long == name);
        let oid = row.map_or(name.as_str(), |(_, _, oid)| oid);
        let oid = identifier(oid).ok_or_else(|| format!("extended_key_usage: `{name}` is not known"))?;
        out.extend(put(OBJECT, &oid));
    }
    Ok(Extension::new(PURPOSE, critical, put(SEQUENCE, &out)))
}

/// `CA:TRUE`, `pathlen:0`.
pub fn constraints(words: &[String], critical: bool) -> Result<Extension, String> {
    let mut authority = Vec::new();
    let mut length = Vec::new();
    for word in words {
        match word.split_once(':') {
            Some(("CA", "TRUE")) => authority = put(BOOLEAN, &[0xff]),
            Some(("CA", "FALSE")) => {}
            Some(("pathlen", number)) => {
                let number: u8 = number
                    .parse()
                    .ok()
                    .filter(|number| *number < 0x80)
                    .ok_or_else(|| format!("basic_constraints: `{word}` is no length of a path"))?;
                length = put(INTEGER, &[number]);
            }
            _ => {
                return Err(format!(
                    "basic_constraints: `{word}` is neither CA:TRUE, CA:FALSE nor pathlen:NUMBER"
                ));
            }
        }
    }
    Ok(Extension::new(
        CONSTRAINTS,
        critical,
        put(SEQUENCE, &[authority, length].concat()),
    ))
}

pub fn must_staple(critical: bool) -> Extension {
    Extension::new(MUST_STAPLE, critical, put(SEQUENCE, &put(INTEGER, &[5])))
}

/// By the first of the methods of RFC 5280: SHA-1 of the key's bits.
pub fn key_identifier(public: &[u8]) -> Vec<u8> {
    let bits = element(public)
        .and_then(|(_, content, _)| elements(content)?.get(1).map(|(_, bits)| *bits))
        .and_then(|bits| bits.get(1..))
        .unwrap_or_default();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, bits);
    digest.as_ref().to_vec()
}

pub fn subject_key(identifier: &[u8]) -> Extension {
    Extension::new(SUBJECT_KEY, false, put(OCTET_STRING, identifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_written_in_base_128() {
        assert_eq!(identifier("2.5.4.3").unwrap(), [0x55, 4, 3]);
        assert_eq!(
            identifier("1.2.840.113549.1.9.1").unwrap(),
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1]
        );
        for text in ["2.5.4.3", "1.2.840.113549.1.9.1", "0.9.2342.19200300.100.1.1"] {
            assert_eq!(dotted(&identifier(text).unwrap()), text);
        }
        assert!(identifier("serverAuth").is_none() && identifier("1").is_none());
    }

    #[test]
    fn names_are_read_as_they_were_written() {
        let told = [("C", "DE"), ("organizationName", "Ä"), ("CN", "a.lab")];
        let told: Vec<(String, String)> = told.map(|(part, text)| (part.to_owned(), text.to_owned())).into();
        let read = parts(&name(&told).unwrap());
        let names: Vec<&str> = read.iter().map(|(part, _)| part.as_str()).collect();
        assert_eq!(names, ["countryName", "organizationName", "commonName"]);
        assert_eq!(read[1].1, "Ä");
        assert!(name(&[("C".to_owned(), "Deutschland".to_owned())]).is_err());
        assert!(name(&[("nonsense".to_owned(), "x".to_owned())]).is_err());
    }

    #[test]
    fn extensions_survive_and_sets_have_no_order() {
        let usage = key_usage(&["digitalSignature".into(), "Key Encipherment".into()], true).unwrap();
        assert_eq!(usage.value, [BIT_STRING, 2, 5, 0xa0]);
        assert_eq!(Extension::read(&usage.der()).unwrap(), [usage]);
        let names = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            Extension::new(ALTERNATIVE_NAMES, false, alternative_names(&names).unwrap())
        };
        let (one, other) = (names(&["DNS:a", "IP:::1"]), names(&["IP:::1", "DNS:a"]));
        assert_ne!(one, other);
        assert_eq!(one.sorted(), other.sorted());
        assert!(alternative_names(&["a.lab".into()]).is_err());
        assert!(constraints(&["CA:MAYBE".into()], false).is_err());
    }
}

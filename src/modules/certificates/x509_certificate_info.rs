//! `x509_certificate_info`: what a certificate says. After `community.crypto.x509_certificate_info`.
//!
//! Numbers that do not fit into 64 bits (serials, moduli) are told as decimal texts. Deliberately no `name_encoding`: names are
//! told as the certificate spells them.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use super::key::CURVES;
use super::openssl_privatekey::fingerprints;
use crate::modules::files::path::expand;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec};
use crate::system::{Follow, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct X509CertificateInfo;

#[derive(Debug, Deserialize)]
pub struct Args {
    path: Option<String>,
    content: Option<String>,
    valid_at: Option<Map>,
}

/// Object identifiers by the names that OpenSSL gives them.
const NAMES: &[(&str, &str)] = &[
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("2.5.4.3", "commonName"),
    ("2.5.4.4", "surname"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "countryName"),
    ("2.5.4.7", "localityName"),
    ("2.5.4.8", "stateOrProvinceName"),
    ("2.5.4.9", "streetAddress"),
    ("2.5.4.10", "organizationName"),
    ("2.5.4.11", "organizationalUnitName"),
    ("2.5.4.12", "title"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.42", "givenName"),
    ("0.9.2342.19200300.100.1.1", "userId"),
    ("0.9.2342.19200300.100.1.25", "domainComponent"),
    ("1.2.840.113549.1.1.5", "sha1WithRSAEncryption"),
    ("1.2.840.113549.1.1.10", "rsassaPss"),
    ("1.2.840.113549.1.1.11", "sha256WithRSAEncryption"),
    ("1.2.840.113549.1.1.12", "sha384WithRSAEncryption"),
    ("1.2.840.113549.1.1.13", "sha512WithRSAEncryption"),
    ("1.2.840.10045.4.3.2", "ecdsa-with-SHA256"),
    ("1.2.840.10045.4.3.3", "ecdsa-with-SHA384"),
    ("1.2.840.10045.4.3.4", "ecdsa-with-SHA512"),
    ("1.3.101.112", "ED25519"),
    ("1.3.6.1.5.5.7.3.1", "TLS Web Server Authentication"),
    ("1.3.6.1.5.5.7.3.2", "TLS Web Client Authentication"),
    ("1.3.6.1.5.5.7.3.3", "Code Signing"),
    ("1.3.6.1.5.5.7.3.4", "E-mail Protection"),
    ("1.3.6.1.5.5.7.3.8", "Time Stamping"),
    ("1.3.6.1.5.5.7.3.9", "OCSP Signing"),
    ("2.5.29.37.0", "Any Extended Key Usage"),
];
const OCSP: &str = "1.3.6.1.5.5.7.48.1";
const ISSUERS: &str = "1.3.6.1.5.5.7.48.2";
const MUST_STAPLE: &str = "1.3.6.1.5.5.7.1.24";

impl Module for X509CertificateInfo {
    type Args = Args;
    type Change = std::convert::Infallible;
    const SPEC: Spec = Spec {
        name: "x509_certificate_info",
        summary: "tell what a certificate says",
        args: &[
            Arg::path("path").doc("the certificate's file, PEM or DER"),
            Arg::str("content").doc("the certificate itself, as PEM"),
            Arg::dict("valid_at")
                .doc("names and times (+1w2d, -3h, 20300101000000Z) for which to tell whether it is valid"),
        ],
        returns: &[
            Return::new(
                "subject",
                "dict",
                "the subject; `subject_ordered` has all parts in their order",
            ),
            Return::new(
                "issuer",
                "dict",
                "the issuer; `issuer_ordered` has all parts in their order",
            ),
            Return::new(
                "subject_alt_name",
                "list of str",
                "`DNS:name`, `IP:address`..., or none",
            ),
            Return::new("not_before", "str", "YYYYMMDDhhmmssZ"),
            Return::new("not_after", "str", "YYYYMMDDhhmmssZ"),
            Return::new("expired", "bool", "whether it has ended"),
            Return::new(
                "valid_at",
                "dict",
                "for each name of `valid_at`, whether it is valid then",
            ),
            Return::new(
                "serial_number",
                "int",
                "the serial; a decimal text if it has more than 64 bits",
            ),
            Return::new("version", "int", "3, as a rule"),
            Return::new("signature_algorithm", "str", "how it is signed"),
            Return::new(
                "basic_constraints",
                "list of str",
                "`CA:TRUE`, `pathlen:0`; or none",
            ),
            Return::new(
                "key_usage",
                "list of str",
                "what the key may be used for, or none",
            ),
            Return::new(
                "extended_key_usage",
                "list of str",
                "what it may be used for, or none",
            ),
            Return::new("public_key", "str", "the public key as PEM"),
            Return::new("public_key_type", "str", "RSA, ECC, Ed25519..."),
            Return::new("public_key_data", "dict", "its numbers"),
            Return::new("fingerprints", "dict", "of the certificate, by digest"),
            Return::new("public_key_fingerprints", "dict", "of the public key, by digest"),
            Return::new("subject_key_identifier", "str", "hexadecimal, or none"),
            Return::new("authority_key_identifier", "str", "hexadecimal, or none"),
            Return::new("ocsp_uri", "str", "where to ask whether it is revoked, or none"),
            Return::new("issuer_uri", "str", "where its issuer's certificate is, or none"),
            Return::new(
                "ocsp_must_staple",
                "bool",
                "whether a server has to bring that answer along, or none",
            ),
            Return::new(
                "extensions_by_oid",
                "dict",
                "`critical` and the base64 `value` of each",
            ),
        ],
        example: "\
- community.crypto.x509_certificate_info:
    path: /etc/ssl/web.crt
    valid_at: {soon: +2w}
  register: certificate

- assert:
    that: certificate.valid_at.soon
",
        free_form: None,
        rules: &[
            Rule::OneOf(&["path", "content"]),
            Rule::Exclusive(&["path", "content"]),
        ],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        let (what, bytes) = match (&args.path, args.content) {
            (Some(path), _) => {
                let path = expand(path, system)?;
                if system.metadata(&path, Follow::Yes)?.is_none() {
                    return Err(Error::new(format!(
                        "certificate file does not exist: {}",
                        path.display()
                    )));
                }
                (path.display().to_string(), system.read(&path)?)
            }
            (None, content) => ("content".to_owned(), content.unwrap_or_default().into_bytes()),
        };
        let refuse = || {
            Error::new(format!(
                "{what}: unable to load certificate: neither PEM nor DER of one"
            ))
        };
        let der = if bytes.windows(11).any(|part| part == b"-----BEGIN ") {
            parse_x509_pem(&bytes).map_err(|_| refuse())?.1.contents
        } else {
            bytes
        };
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| refuse())?;
        let now = Timestamp::try_from(system.now()).map_err(|error| Error::new(error.to_string()))?;
        let mut outcome = Outcome::ok();
        outcome.values = tell(&certificate, &der, now);
        let validity = certificate.validity();
        let mut valid_at = Map::new();
        for (name, time) in args.valid_at.iter().flatten() {
            let at = time_at(&time.to_string(), now)
                .ok_or_else(|| {
                    Error::new(format!(
                        "valid_at: `{time}` of {name} is neither relative (+1w2d3h4m5s) nor absolute (YYYYMMDDhhmmssZ)"
                    ))
                })?
                .as_second();
            let valid = validity.not_before.timestamp() <= at && at <= validity.not_after.timestamp();
            valid_at.insert(name.clone(), valid.into());
        }
        Ok(Plan::Same(outcome.with("valid_at", Value::Map(valid_at))))
    }

    fn apply(change: Self::Change, _: &dyn System) -> Result<Outcome, Error> {
        match change {}
    }
}

fn tell(certificate: &X509Certificate<'_>, der: &[u8], now: Timestamp) -> Map {
    let validity = certificate.validity();
    let time = |seconds: i64| {
        Timestamp::from_second(seconds).map_or_else(
            |_| String::new(),
            |time| time.strftime("%Y%m%d%H%M%SZ").to_string(),
        )
    };
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| {
        map.insert(key.to_owned(), value);
    };
    for (key, name) in [
        ("subject", certificate.subject()),
        ("issuer", certificate.issuer()),
    ] {
        let parts = parts(name);
        let ordered: Vec<Value> = parts
            .iter()
            .map(|(name, value)| Value::from(vec![name.clone(), value.clone()]))
            .collect();
        put(&format!("{key}_ordered"), ordered.into());
        put(
            key,
            Value::Map(
                parts
                    .into_iter()
                    .map(|(name, value)| (name, value.into()))
                    .collect(),
            ),
        );
    }
    put("not_before", time(validity.not_before.timestamp()).into());
    put("not_after", time(validity.not_after.timestamp()).into());
    put(
        "expired",
        (validity.not_after.timestamp() < now.as_second()).into(),
    );
    put("serial_number", number(certificate.raw_serial()));
    put("version", i64::from(certificate.version().0 + 1).into());
    let algorithm = certificate.signature_algorithm.algorithm.to_id_string();
    put("signature_algorithm", named(&algorithm).into());
    put("fingerprints", fingerprints(der));
    public_key(certificate, &mut put);
    extensions(certificate, &mut put);
    map
}

fn named(id: &str) -> String {
    let known = NAMES.iter().find(|(known, _)| *known == id);
    known.map_or_else(|| id.to_owned(), |(_, name)| (*name).to_owned())
}

fn parts(name: &X509Name<'_>) -> Vec<(String, String)> {
    name.iter_attributes()
        .map(|part| {
            let value = part.as_str().map_or_else(
                |_| String::from_utf8_lossy(part.as_slice()).into_owned(),
                str::to_owned,
            );
            (named(&part.attr_type().to_id_string()), value)
        })
        .collect()
}

fn public_key(certificate: &X509Certificate<'_>, put: &mut dyn FnMut(&str, Value)) {
    let info = certificate.public_key();
    let text = STANDARD.encode(info.raw);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    put(
        "public_key",
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            lines.join("\n")
        )
        .into(),
    );
    put("public_key_fingerprints", fingerprints(info.raw));
    let id = info.algorithm.algorithm.to_id_string();
    let bits = &info.subject_public_key.data;
    let mut data = Map::new();
    let mut datum = |key: &str, value: Value| {
        data.insert(key.to_owned(), value);
    };
    let kind = match id.as_str() {
        "1.2.840.113549.1.1.1" => {
            if let Ok(x509_parser::public_key::PublicKey::RSA(key)) = info.parsed() {
                datum("modulus", number(key.modulus));
                datum("exponent", number(key.exponent));
                datum("size", i64::try_from(key.key_size()).unwrap_or_default().into());
            }
            "RSA".to_owned()
        }
        "1.2.840.10045.2.1" => {
            let curve = info
                .algorithm
                .parameters
                .as_ref()
                .map(x509_parser::asn1_rs::Any::as_bytes);
            if let Some((name, _, size, _)) = CURVES.iter().find(|(_, id, _, _)| Some(*id) == curve) {
                datum("curve", (*name).into());
                datum("exponent_size", i64::try_from(*size).unwrap_or_default().into());
            }
            // An uncompressed point: 4, x, y.
            if let Some((4, point)) = bits.split_first().map(|(first, rest)| (*first, rest)) {
                let (x, y) = point.split_at(point.len() / 2);
                datum("x", number(x));
                datum("y", number(y));
            }
            "ECC".to_owned()
        }
        "1.3.101.112" => "Ed25519".to_owned(),
        "1.3.101.113" => "Ed448".to_owned(),
        "1.3.101.110" => "X25519".to_owned(),
        "1.3.101.111" => "X448".to_owned(),
        "1.2.840.10040.4.1" => "DSA".to_owned(),
        other => format!("unknown ({other})"),
    };
    put("public_key_type", kind.into());
    put("public_key_data", Value::Map(data));
}

fn extensions(certificate: &X509Certificate<'_>, put: &mut dyn FnMut(&str, Value)) {
    for key in [
        "authority_cert_issuer",
        "authority_cert_serial_number",
        "authority_key_identifier",
        "basic_constraints",
        "extended_key_usage",
        "issuer_uri",
        "key_usage",
        "ocsp_must_staple",
        "ocsp_uri",
        "subject_alt_name",
        "subject_key_identifier",
    ] {
        put(key, Value::Null);
    }
    for key in [
        "basic_constraints",
        "extended_key_usage",
        "key_usage",
        "ocsp_must_staple",
        "subject_alt_name",
    ] {
        put(&format!("{key}_critical"), false.into());
    }
    let mut by_id = Map::new();
    for extension in certificate.extensions() {
        let id = extension.oid.to_id_string();
        let entry = Map::from([
            ("critical".to_owned(), extension.critical.into()),
            ("value".to_owned(), STANDARD.encode(extension.value).into()),
        ]);
        if id == MUST_STAPLE {
            put("ocsp_must_staple", true.into());
            put("ocsp_must_staple_critical", extension.critical.into());
        }
        by_id.insert(id, Value::Map(entry));
        one(extension, put);
    }
    put("extensions_by_oid", Value::Map(by_id));
}

fn one(extension: &X509Extension<'_>, put: &mut dyn FnMut(&str, Value)) {
    let hexadecimal = |bytes: &[u8]| {
        let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Value::from(pairs.join(":"))
    };
    let mut list = |key: &str, items: Vec<String>| {
        put(key, items.into());
        put(&format!("{key}_critical"), extension.critical.into());
    };
    match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => {
            list(
                "subject_alt_name",
                names.general_names.iter().map(general_name).collect(),
            );
        }
        ParsedExtension::BasicConstraints(constraints) => {
            let mut items = vec![if constraints.ca { "CA:TRUE" } else { "CA:FALSE" }.to_owned()];
            items.extend(
                constraints
                    .path_len_constraint
                    .map(|length| format!("pathlen:{length}")),
            );
            list("basic_constraints", items);
        }
        ParsedExtension::KeyUsage(usage) => {
            let all = [
                (usage.crl_sign(), "CRL Sign"),
                (usage.key_cert_sign(), "Certificate Sign"),
                (usage.data_encipherment(), "Data Encipherment"),
                (usage.decipher_only(), "Decipher Only"),
                (usage.digital_signature(), "Digital Signature"),
                (usage.encipher_only(), "Encipher Only"),
                (usage.key_agreement(), "Key Agreement"),
                (usage.key_encipherment(), "Key Encipherment"),
                (usage.non_repudiation(), "Non Repudiation"),
            ];
            let set = all
                .iter()
                .filter(|(set, _)| *set)
                .map(|(_, name)| (*name).to_owned());
            list("key_usage", set.collect());
        }
        ParsedExtension::ExtendedKeyUsage(usage) => {
            let all = [
                (usage.any, "2.5.29.37.0"),
                (usage.server_auth, "1.3.6.1.5.5.7.3.1"),
                (usage.client_auth, "1.3.6.1.5.5.7.3.2"),
                (usage.code_signing, "1.3.6.1.5.5.7.3.3"),
                (usage.email_protection, "1.3.6.1.5.5.7.3.4"),
                (usage.time_stamping, "1.3.6.1.5.5.7.3.8"),
                (usage.ocsp_signing, "1.3.6.1.5.5.7.3.9"),
            ];
            let mut set: Vec<String> = all
                .iter()
                .filter(|(set, _)| *set)
                .map(|(_, id)| named(id))
                .collect();
            set.extend(usage.other.iter().map(|id| named(&id.to_id_string())));
            set.sort_unstable();
            list("extended_key_usage", set);
        }
        ParsedExtension::SubjectKeyIdentifier(id) => put("subject_key_identifier", hexadecimal(id.0)),
        ParsedExtension::AuthorityKeyIdentifier(authority) => {
            if let Some(id) = &authority.key_identifier {
                put("authority_key_identifier", hexadecimal(id.0));
            }
            if let Some(names) = &authority.authority_cert_issuer {
                let names: Vec<String> = names.iter().map(general_name).collect();
                put("authority_cert_issuer", names.into());
            }
            if let Some(serial) = authority.authority_cert_serial {
                put("authority_cert_serial_number", number(serial));
            }
        }
        ParsedExtension::AuthorityInfoAccess(access) => {
            for place in &access.accessdescs {
                let GeneralName::URI(uri) = &place.access_location else {
                    continue;
                };
                match place.access_method.to_id_string().as_str() {
                    OCSP => put("ocsp_uri", (*uri).into()),
                    ISSUERS => put("issuer_uri", (*uri).into()),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn general_name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => format!("DNS:{name}"),
        GeneralName::RFC822Name(name) => format!("email:{name}"),
        GeneralName::URI(uri) => format!("URI:{uri}"),
        GeneralName::IPAddress(bytes) => {
            let address = <[u8; 4]>::try_from(*bytes)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.map_or_else(|_| format!("IP:{bytes:?}"), |address| format!("IP:{address}"))
        }
        GeneralName::DirectoryName(name) => format!("dirName:{name}"),
        GeneralName::RegisteredID(id) => format!("RID:{}", id.to_id_string()),
        other => format!("otherName:{other}"),
    }
}

/// A big-endian number; in decimal if it is large.
fn number(bytes: &[u8]) -> Value {
    // Nine digits at a time, the least first.
    let mut digits: Vec<u64> = vec![0];
    for byte in bytes {
        let mut carry = u64::from(*byte);
        for digit in &mut digits {
            let value = *digit * 256 + carry;
            *digit = value % 1_000_000_000;
            carry = value / 1_000_000_000;
        }
        if carry > 0 {
            digits.push(carry);
        }
    }
    let mut text = digits.last().map(u64::to_string).unwrap_or_default();
    text.extend(digits.iter().rev().skip(1).map(|digit| format!("{digit:09}")));
    text.parse::<i64>().map_or_else(|_| Value::from(text), Value::Int)
}

/// `+1w2d3h4m5s` from now, or a time as ASN.1 has it.
pub(super) fn time_at(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Some(rest) = text.strip_prefix(['+', '-']) {
        let mut seconds = 0_i64;
        let mut rest = rest;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            let amount: i64 = rest[..end].parse().ok()?;
            let unit = match &rest[end..=end] {
                "w" => 604_800,
                "d" => 86_400,
                "h" => 3600,
                "m" => 60,
                "s" => 1,
                _ => return None,
            };
            seconds += amount.checked_mul(unit)?;
            rest = &rest[end + 1..];
        }
        let sign = if text.starts_with('-') { -1 } else { 1 };
        return now
            .checked_add(jiff::SignedDuration::from_secs(sign * seconds))
            .ok();
    }
    let civil = jiff::civil::DateTime::strptime("%Y%m%d%H%M%SZ", text)
        .or_else(|_| jiff::civil::DateTime::strptime("%Y%m%d%H%MZ", text))
        .ok()?;
    civil
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()
        .map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::{Authority, IssueOptions, Name, Request};
    use crate::modules::testing::{failure, run};
    use crate::system::fake::Fake;

    #[test]
    fn tells_what_the_authority_said() {
        let fake = Fake::new();
        let options = IssueOptions {
            valid_days: 90,
            now: fake.now(),
        };
        let authority = Authority::create("lab", options).unwrap();
        let names = Name::parse_all(["a.lab", "IP:10.0.0.1"]).unwrap();
        let request = Request::new(Some("a.lab"), &names).unwrap();
        let chain = authority.issue(&request.pem, options).unwrap();
        fake.file("/c.pem", chain);
        let told = run::<X509CertificateInfo>(
            &fake,
            r#"{"path":"/c.pem","valid_at":{"now":"+0s","later":"+13w","long_ago":"19990101000000Z"}}"#,
        );
        assert!(!told.failed && !told.changed, "{told:?}");
        let at = |key: &str| serde_json::to_string(&told.values[key]).unwrap();
        assert_eq!(at("valid_at"), r#"{"now":true,"later":false,"long_ago":false}"#);
        assert_eq!(at("subject"), r#"{"commonName":"a.lab"}"#);
        assert_eq!(at("subject_alt_name"), r#"["DNS:a.lab","IP:10.0.0.1"]"#);
        assert_eq!(
            (at("expired"), at("version"), at("public_key_type")),
            ("false".into(), "3".into(), r#""ECC""#.into())
        );
        assert!(told.values["public_key_data"].get("x").is_some(), "{told:?}");
        assert!(failure::<X509CertificateInfo>(&fake, r#"{"path":"/none"}"#).contains("does not exist"));
        assert!(failure::<X509CertificateInfo>(&fake, r#"{"content":"rubbish"}"#).contains("unable to load"));
        let wrong = r#"{"path":"/c.pem","valid_at":{"a":"soon"}}"#;
        assert!(failure::<X509CertificateInfo>(&fake, wrong).contains("`soon` of a"));
    }

    #[test]
    fn numbers_of_any_size() {
        assert_eq!(number(&[1, 0]), Value::Int(256));
        assert_eq!(number(&[0; 3]), Value::Int(0));
        let large = [0x2c, 0xa6, 0x32, 0x44, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
        assert_eq!(number(&large).to_string(), "210849906970224060395263");
    }
}

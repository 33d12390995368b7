//! Private keys: made, read from PEM, written as PEM.
//!
//! Deliberately no DSA, Ed448 or X448: the cryptography that is here does not have them. No passphrases.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::Pkcs8V1Der;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256K1_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
    ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaKeyPair,
};
use aws_lc_rs::{agreement, rsa};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::der::{BIT_STRING, INTEGER, NULL, OBJECT, OCTET_STRING, SEQUENCE, element, elements, put};
use super::signing::pem;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
const ECDSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const X25519: &[u8] = &[0x2b, 0x65, 0x6e];

/// Name, object identifier, bits, and what makes keys of it, if something does.
type Curve = (
    &'static str,
    &'static [u8],
    usize,
    Option<&'static EcdsaSigningAlgorithm>,
);

pub const CURVES: &[Curve] = &[
    (
        "secp256r1",
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        256,
        Some(&ECDSA_P256_SHA256_ASN1_SIGNING),
    ),
    (
        "secp384r1",
        &[0x2b, 0x81, 0x04, 0x00, 0x22],
        384,
        Some(&ECDSA_P384_SHA384_ASN1_SIGNING),
    ),
    (
        "secp521r1",
        &[0x2b, 0x81, 0x04, 0x00, 0x23],
        521,
        Some(&ECDSA_P521_SHA512_ASN1_SIGNING),
    ),
    (
        "secp256k1",
        &[0x2b, 0x81, 0x04, 0x00, 0x0a],
        256,
        Some(&ECDSA_P256K1_SHA256_ASN1_SIGNING),
    ),
    ("secp224r1", &[0x2b, 0x81, 0x04, 0x00, 0x21], 224, None),
    (
        "secp192r1",
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x01],
        192,
        None,
    ),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Rsa {
        bits: usize,
    },
    /// By its row in [`CURVES`].
    Ecc {
        curve: usize,
    },
    Ed25519,
    X25519,
}

/// How the file says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// What came before PKCS #8: PKCS #1, or SEC 1.
    Traditional,
    Pkcs8,
}

/// A key, without its clothes.
#[derive(PartialEq, Eq)]
pub struct Key {
    pub kind: Kind,
    pub format: Format,
    /// PKCS #1, SEC 1, or the bare seed.
    inner: Vec<u8>,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RSA",
            Self::Ecc { .. } => "ECC",
            Self::Ed25519 => "Ed25519",
            Self::X25519 => "X25519",
        }
    }

    pub fn bits(self) -> usize {
        match self {
            Self::Rsa { bits } => bits,
            Self::Ecc { curve } => CURVES[curve].2,
            Self::Ed25519 | Self::X25519 => 256,
        }
    }

    pub fn curve(self) -> Option<&'static str> {
        match self {
            Self::Ecc { curve } => Some(CURVES[curve].0),
            _ => None,
        }
    }

    /// What this kind is usually written as.
    pub fn usual_format(self) -> Format {
        match self {
            Self::Rsa { .. } | Self::Ecc { .. } => Format::Traditional,
            Self::Ed25519 | Self::X25519 => Format::Pkcs8,
        }
    }
}

impl Key {
    /// A new one.
    pub fn generate(kind: Kind, format: Format) -> Result<Self, String> {
        let failed = |_| format!("cannot make a key of type {}", kind.name());
        let pkcs8 = match kind {
            Kind::Rsa { bits } => {
                let size = match bits {
                    2048 => rsa::KeySize::Rsa2048,
                    3072 => rsa::KeySize::Rsa3072,
                    4096 => rsa::KeySize::Rsa4096,
                    8192 => rsa::KeySize::Rsa8192,
                    _ => {
                        return Err(format!(
                            "size {bits}: RSA keys are made with 2048, 3072, 4096 or 8192 bits"
                        ));
                    }
                };
                let key = rsa::KeyPair::generate(size).map_err(failed)?;
                AsDer::<Pkcs8V1Der>::as_der(&key)
                    .map_err(failed)?
                    .as_ref()
                    .to_vec()
            }
            Kind::Ecc { curve } => {
                let (name, _, _, algorithm) = CURVES[curve];
                let algorithm =
                    algorithm.ok_or_else(|| format!("keys on curve {name} are read, not made"))?;
                let key = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).map_err(failed)?;
                key.as_ref().to_vec()
            }
            Kind::Ed25519 => {
                let key = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).map_err(failed)?;
                key.as_ref().to_vec()
            }
            Kind::X25519 => {
                let mut seed = [0_u8; 32];
                aws_lc_rs::rand::fill(&mut seed).map_err(failed)?;
                return Ok(Self {
                    kind,
                    format: Format::Pkcs8,
                    inner: seed.to_vec(),
                });
            }
        };
        let mut key = Self::from_pkcs8(&pkcs8).ok_or_else(|| "the new key cannot be read".to_owned())?;
        key.format = format;
        Ok(key)
    }

    /// None if it is encrypted, of a kind that is not known here, or no key.
    pub fn from_pem(text: &str) -> Option<Self> {
        let start = text.find("-----BEGIN ")?;
        let (label, rest) = text[start + 11..].split_once("-----")?;
        let body = rest.split_once("-----END ")?.0;
        let der = STANDARD
            .decode(body.split_ascii_whitespace().collect::<String>())
            .ok()?;
        match label {
            "RSA PRIVATE KEY" => Some(Self {
                kind: Kind::Rsa {
                    bits: modulus_bits(&der)?,
                },
                format: Format::Traditional,
                inner: der,
            }),
            "EC PRIVATE KEY" => {
                let (_, content, _) = element(&der)?;
                let parameters = elements(content)?.into_iter().find(|(tag, _)| *tag == 0xa0)?.1;
                Some(Self {
                    kind: Kind::Ecc {
                        curve: curve(element(parameters)?.1)?,
                    },
                    format: Format::Traditional,
                    inner: der,
                })
            }
            "PRIVATE KEY" => Self::from_pkcs8(&der),
            _ => None,
        }
    }

    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let (_, content, _) = element(der)?;
        let parts = elements(content)?;
        let algorithm = elements(parts.get(1)?.1)?;
        let inner = parts.get(2)?.1;
        let (kind, inner) = match algorithm.first()?.1 {
            RSA => (
                Kind::Rsa {
                    bits: modulus_bits(inner)?,
                },
                inner.to_vec(),
            ),
            EC => {
                let kind = Kind::Ecc {
                    curve: curve(algorithm.get(1)?.1)?,
                };
                (kind, inner.to_vec())
            }
            ED25519 => (Kind::Ed25519, element(inner)?.1.to_vec()),
            X25519 => (Kind::X25519, element(inner)?.1.to_vec()),
            _ => return None,
        };
        Some(Self {
            kind,
            format: Format::Pkcs8,
            inner,
        })
    }

    pub fn to_pem(&self) -> String {
        let (label, der) = match (self.format, self.kind) {
            (Format::Traditional, Kind::Rsa { .. }) => ("RSA PRIVATE KEY", self.inner.clone()),
            (Format::Traditional, Kind::Ecc { .. }) => ("EC PRIVATE KEY", self.sec1()),
            _ => ("PRIVATE KEY", self.pkcs8()),
        };
        pem(label, &der)
    }

    fn algorithm(&self) -> Vec<u8> {
        let parts = match self.kind {
            Kind::Rsa { .. } => [put(OBJECT, RSA), put(NULL, &[])].concat(),
            Kind::Ecc { curve } => [put(OBJECT, EC), put(OBJECT, CURVES[curve].1)].concat(),
            Kind::Ed25519 => put(OBJECT, ED25519),
            Kind::X25519 => put(OBJECT, X25519),
        };
        put(SEQUENCE, &parts)
    }

    fn pkcs8(&self) -> Vec<u8> {
        let inner = match self.kind {
            Kind::Ed25519 | Kind::X25519 => put(OCTET_STRING, &self.inner),
            _ => self.inner.clone(),
        };
        let parts = [put(INTEGER, &[0]), self.algorithm(), put(OCTET_STRING, &inner)];
        put(SEQUENCE, &parts.concat())
    }

    /// SEC 1 names the curve inside, PKCS #8 outside.
    fn sec1(&self) -> Vec<u8> {
        let Kind::Ecc { curve } = self.kind else {
            return self.inner.clone();
        };
        let parts = element(&self.inner).and_then(|(_, content, _)| elements(content));
        let parts = parts.unwrap_or_default();
        let mut out = Vec::new();
        for (tag, content) in parts.iter().filter(|(tag, _)| *tag != 0xa0 && *tag != 0xa1) {
            out.extend(put(*tag, content));
        }
        out.extend(put(0xa0, &put(OBJECT, CURVES[curve].1)));
        for (tag, content) in parts.iter().filter(|(tag, _)| *tag == 0xa1) {
            out.extend(put(*tag, content));
        }
        put(SEQUENCE, &out)
    }

    /// The algorithm of its signatures, as certificates name it. The digest is that of RSA; others have the one that goes with them.
    pub fn signature(&self, digest: &str) -> Result<Vec<u8>, String> {
        let oid = match self.kind {
            Kind::Rsa { .. } => {
                let last = match digest {
                    "sha256" => 0x0b,
                    "sha384" => 0x0c,
                    "sha512" => 0x0d,
                    other => {
                        return Err(format!(
                            "digest {other}: sha256, sha384 and sha512 are known here"
                        ));
                    }
                };
                return Ok(put(
                    SEQUENCE,
                    &[put(OBJECT, &[&RSA[..8], &[last]].concat()), put(NULL, &[])].concat(),
                ));
            }
            Kind::Ecc { curve } => match CURVES[curve].0 {
                "secp384r1" => ECDSA_SHA384,
                "secp521r1" => ECDSA_SHA512,
                _ => ECDSA_SHA256,
            },
            Kind::Ed25519 => ED25519,
            Kind::X25519 => return Err("a key of type X25519 cannot sign".to_owned()),
        };
        Ok(put(SEQUENCE, &put(OBJECT, oid)))
    }

    pub fn sign(&self, digest: &str, message: &[u8]) -> Result<Vec<u8>, String> {
        let failed = || format!("cannot sign with this key of type {}", self.kind.name());
        let random = SystemRandom::new();
        match self.kind {
            Kind::Rsa { .. } => {
                let encoding = match digest {
                    "sha384" => &RSA_PKCS1_SHA384,
                    "sha512" => &RSA_PKCS1_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let key = RsaKeyPair::from_pkcs8(&self.pkcs8()).map_err(|_| failed())?;
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(encoding, &random, message, &mut signature)
                    .map_err(|_| failed())?;
                Ok(signature)
            }
            Kind::Ecc { curve } => {
                let algorithm = CURVES[curve].3.ok_or_else(failed)?;
                let key = EcdsaKeyPair::from_pkcs8(algorithm, &self.pkcs8()).map_err(|_| failed())?;
                let signature = key.sign(&random, message).map_err(|_| failed())?;
                Ok(signature.as_ref().to_vec())
            }
            Kind::Ed25519 => {
                let key = Ed25519KeyPair::from_seed_unchecked(&self.inner).map_err(|_| failed())?;
                Ok(key.sign(message).as_ref().to_vec())
            }
            Kind::X25519 => Err(failed()),
        }
    }

    /// The public key as certificates hold it (`SubjectPublicKeyInfo`), if it can be told.
    pub fn public(&self) -> Option<Vec<u8>> {
        let bits = match self.kind {
            Kind::Rsa { .. } => {
                let (_, content, _) = element(&self.inner)?;
                let parts = elements(content)?;
                let numbers = [put(INTEGER, parts.get(1)?.1), put(INTEGER, parts.get(2)?.1)];
                put(SEQUENCE, &numbers.concat())
            }
            Kind::Ecc { .. } => {
                let (_, content, _) = element(&self.inner)?;
                let public = elements(content)?.into_iter().find(|(tag, _)| *tag == 0xa1)?.1;
                // The first byte of a bit string says how many bits are not used.
                element(public)?.1.get(1..)?.to_vec()
            }
            Kind::Ed25519 => {
                let key = Ed25519KeyPair::from_seed_unchecked(&self.inner).ok()?;
                key.public_key().as_ref().to_vec()
            }
            Kind::X25519 => {
                let key = agreement::PrivateKey::from_private_key(&agreement::X25519, &self.inner).ok()?;
                key.compute_public_key().ok()?.as_ref().to_vec()
            }
        };
        let bits = put(BIT_STRING, &[&[0], bits.as_slice()].concat());
        Some(put(SEQUENCE, &[self.algorithm(), bits].concat()))
    }
}

fn curve(object: &[u8]) -> Option<usize> {
    CURVES.iter().position(|(_, id, _, _)| *id == object)
}

fn modulus_bits(pkcs1: &[u8]) -> Option<usize> {
    let (_, content, _) = element(pkcs1)?;
    let modulus = elements(content)?.get(1)?.1;
    let start = modulus.iter().position(|byte| *byte != 0)?;
    Some((modulus.len() - start) * 8 - modulus[start].leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_its_file() {
        let curves = (0..4).map(|curve| Kind::Ecc { curve });
        for kind in curves.chain([Kind::Rsa { bits: 2048 }, Kind::Ed25519, Kind::X25519]) {
            for format in [kind.usual_format(), Format::Pkcs8] {
                let key = Key::generate(kind, format).unwrap();
                let read = Key::from_pem(&key.to_pem()).unwrap();
                assert_eq!((read.kind, read.format), (kind, format));
                assert_eq!(read.public(), key.public());
                assert_eq!(read.to_pem(), key.to_pem());
                assert!(key.public().is_some(), "{kind:?}");
            }
        }
        assert!(Key::generate(Kind::Rsa { bits: 1000 }, Format::Pkcs8).is_err());
        assert!(Key::from_pem("rubbish").is_none());
        assert!(
            Key::from_pem("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----")
                .is_none()
        );
    }
}

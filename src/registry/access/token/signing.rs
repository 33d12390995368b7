//! The key that the built-in token server signs with: ECDSA on P-256, made on first start, or given.
//!
//! Its id is libtrust's fingerprint of the public key, which is how distribution up to version 2.8 finds a key among the
//! certificates of its `rootcertbundle`. For the same reason a certificate lies beside a key that was made here.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

const KEY_FILE: &str = "key.pem";
const CERTIFICATE_FILE: &str = "certificate.pem";
/// Of 256 bits of the fingerprint.
const FINGERPRINT: usize = 30;

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    #[error("{operation} the token server's key {path}: {source}")]
    File {
        operation: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(
        "the token server's key {0} is not an ECDSA key on P-256 in PEM; `openssl ecparam -name prime256v1 -genkey -noout` makes one"
    )]
    Kind(PathBuf),
    #[error("make a key for the token server: {0}")]
    Make(#[from] rcgen::Error),
}

/// A key and its public half in the forms that others take it.
pub struct SigningKey {
    pub id: String,
    pub encoding: EncodingKey,
    pub decoding: DecodingKey,
    /// What is published.
    pub jwk: Jwk,
}

impl SigningKey {
    /// Reads a key that was given.
    pub fn read(path: &Path) -> Result<Self, SigningError> {
        let failed = |source| SigningError::File {
            operation: "read",
            path: path.to_owned(),
            source,
        };
        let text = std::fs::read(path).map_err(failed)?;
        let pair = match PrivateKeyDer::from_pem_slice(&text) {
            Ok(key) => {
                EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_der()).ok()
            }
            Err(_) => None,
        };
        pair.and_then(|pair| Self::of(&pair))
            .ok_or_else(|| SigningError::Kind(path.to_owned()))
    }

    /// Reads the key of this folder, and makes it if there is none.
    pub fn read_or_make(folder: &Path) -> Result<Self, SigningError> {
        let path = folder.join(KEY_FILE);
        if !path.exists() {
            make(folder)?;
        }
        Self::read(&path)
    }

    fn of(pair: &EcdsaKeyPair) -> Option<Self> {
        let pkcs8 = pair.to_pkcs8v1().ok()?;
        let public: PublicKeyX509Der = pair.public_key().as_der().ok()?;
        let id = fingerprint(public.as_ref());
        let encoding = EncodingKey::from_ec_der(pkcs8.as_ref());
        let mut jwk = Jwk::from_encoding_key(&encoding, Algorithm::ES256).ok()?;
        jwk.common.key_id = Some(id.clone());
        jwk.common.public_key_use = Some(jsonwebtoken::jwk::PublicKeyUse::Signature);
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self {
            id,
            encoding,
            decoding,
            jwk,
        })
    }
}

/// Writes a new key, and its certificate, unless another process has been quicker.
fn make(folder: &Path) -> Result<(), SigningError> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut parameters = rcgen::CertificateParams::default();
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, "regdeploy-registry token server");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = parameters.self_signed(&pair)?;
    let failed = |source| SigningError::File {
        operation: "write",
        path: folder.join(KEY_FILE),
        source,
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    std::fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(failed)?;
    if put(folder, KEY_FILE, &pair.serialize_pem(), 0o600).map_err(failed)? {
        put(folder, CERTIFICATE_FILE, &certificate.pem(), 0o644).map_err(failed)?;
        tracing::info!("made the token server's key in {}", folder.display());
    }
    Ok(())
}

/// False where the name is taken.
fn put(folder: &Path, name: &str, text: &str, mode: u32) -> io::Result<bool> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(folder.join(name)) {
        Ok(_) => {}
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(error.error),
    }
    std::fs::File::open(folder)?.sync_all()?;
    Ok(true)
}

/// libtrust's id of a public key (as `SubjectPublicKeyInfo`): twelve groups of base 32.
pub fn fingerprint(public: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = digest(&SHA256, public);
    let (mut id, mut bits, mut held, mut letters) = (String::new(), 0_u32, 0_u32, 0);
    for byte in &digest.as_ref()[..FINGERPRINT] {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            if letters > 0 && letters % 4 == 0 {
                id.push(':');
            }
            id.push(char::from(ALPHABET[(held >> bits & 31) as usize]));
            letters += 1;
        }
        held &= (1 << bits) - 1;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_24_a_key_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("token");
        let first = SigningKey::read_or_make(&folder).unwrap();
        let again = SigningKey::read_or_make(&folder).unwrap();
        assert_eq!((first.id.as_str(), &first.jwk), (again.id.as_str(), &again.jwk));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.join(KEY_FILE)), 0o600);
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
        // Twelve groups of four.
        assert!(first.id.split(':').count() == 12 && first.id.split(':').all(|group| group.len() == 4));
        let shown = serde_json::to_value(&first.jwk).unwrap();
        assert_eq!(
            (shown["kty"].as_str(), shown["crv"].as_str()),
            (Some("EC"), Some("P-256"))
        );
        assert!(shown.get("d").is_none(), "{shown}");
    }

    #[test]
    fn keys_of_openssl_s_forms_are_read_and_others_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.pem");
        for (command, fine) in [
            ("ecparam -name prime256v1 -genkey -noout", true),
            ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256", true),
            ("ecparam -name secp384r1 -genkey -noout", false),
            ("genpkey -algorithm ED25519", false),
        ] {
            let made = std::process::Command::new("openssl")
                .args(command.split(' '))
                .arg("-out")
                .arg(&path)
                .output()
                .expect("openssl is installed");
            assert!(made.status.success());
            assert_eq!(SigningKey::read(&path).is_ok(), fine, "{command}");
        }
        std::fs::write(&path, "nonsense").unwrap();
        assert!(matches!(SigningKey::read(&path), Err(SigningError::Kind(_))));
    }

    #[test]
    fn a_fingerprint_is_base_32_of_a_digest() {
        // printf abc | openssl dgst -sha256 -binary | head -c 30 | base32 -w 4 | paste -sd:
        assert_eq!(
            fingerprint(b"abc"),
            "XJ4B:NP4P:AHH6:UQKB:IDPF:3LRC:EOYA:GYND:SYLX:VHFU:CD7W:D4QA"
        );
    }
}

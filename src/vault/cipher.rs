//! The cryptography of a vault: PBKDF2-HMAC-SHA256 makes keys from a password, AES-256 in counter mode encrypts,
//! HMAC-SHA256 tells a wrong password and a changed text apart from the right ones.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{hmac, pbkdf2};

use super::format::{Envelope, HMAC_LENGTH};
use crate::value::Secret;

/// As in every vault that exists: a constant of the format.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(10_000).unwrap();
const KEY: usize = 32;
/// AES's block: the counter's length, and what the padding fills up to.
const BLOCK: usize = 16;
/// Bytes of a fresh salt.
pub const SALT_LENGTH: usize = 32;

/// Keys for one password and salt.
struct Keys {
    cipher: [u8; KEY],
    hmac: hmac::Key,
    counter: [u8; BLOCK],
}

impl Keys {
    /// Slow by intent: some ten milliseconds.
    fn derive(password: &Secret, salt: &[u8]) -> Self {
        let mut derived = [0; KEY + HMAC_LENGTH + BLOCK];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            ITERATIONS,
            salt,
            password.reveal().as_bytes(),
            &mut derived,
        );
        let (cipher, rest) = derived.split_at(KEY);
        let (authentic, start) = rest.split_at(HMAC_LENGTH);
        let mut keys = Self {
            cipher: [0; KEY],
            hmac: hmac::Key::new(hmac::HMAC_SHA256, authentic),
            counter: [0; BLOCK],
        };
        keys.cipher.copy_from_slice(cipher);
        keys.counter.copy_from_slice(start);
        keys
    }
}

/// What is in the envelope; none with the wrong password, or where it was changed.
pub fn open(envelope: &Envelope, password: &Secret) -> Option<Vec<u8>> {
    let keys = Keys::derive(password, &envelope.salt);
    hmac::verify(&keys.hmac, &envelope.ciphertext, &envelope.hmac).ok()?;
    let mut text = envelope.ciphertext.clone();
    let key = DecryptingKey::ctr(UnboundCipherKey::new(&AES_256, &keys.cipher).ok()?).ok()?;
    let context = DecryptionContext::Iv128(FixedLength::from(keys.counter));
    key.decrypt(&mut text, context).ok()?;
    let padding = usize::from(*text.last()?);
    text.truncate(text.len().checked_sub(padding)?);
    Some(text)
}

/// Encrypts `text`; `salt` must be as good as never used before.
pub fn seal(
    text: &[u8],
    password: &Secret,
    salt: Vec<u8>,
    id: Option<String>,
) -> Result<Envelope, Unspecified> {
    let keys = Keys::derive(password, &salt);
    let padding = BLOCK - text.len() % BLOCK;
    let mut ciphertext = text.to_vec();
    ciphertext.resize(text.len() + padding, u8::try_from(padding).unwrap_or_default());
    let key = EncryptingKey::ctr(UnboundCipherKey::new(&AES_256, &keys.cipher)?)?;
    key.less_safe_encrypt(
        &mut ciphertext,
        EncryptionContext::Iv128(FixedLength::from(keys.counter)),
    )?;
    let mut tag = [0; HMAC_LENGTH];
    tag.copy_from_slice(hmac::sign(&keys.hmac, &ciphertext).as_ref());
    Ok(Envelope {
        id,
        salt,
        hmac: tag,
        ciphertext,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password() -> Secret {
        Secret::new("correct horse")
    }

    #[test]
    fn what_is_sealed_is_opened() {
        for length in [0, 1, 15, 16, 17, 1000] {
            let text: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let envelope = seal(&text, &password(), vec![9; SALT_LENGTH], None).unwrap();
            assert_eq!(envelope.ciphertext.len() % BLOCK, 0);
            assert_eq!(open(&envelope, &password()).unwrap(), text);
        }
    }

    #[test]
    fn a_wrong_password_and_a_changed_text_open_nothing() {
        let envelope = seal(b"text", &password(), vec![9; SALT_LENGTH], None).unwrap();
        assert_eq!(open(&envelope, &Secret::new("wrong")), None);
        let mut changed = envelope.clone();
        changed.ciphertext[0] ^= 1;
        assert_eq!(open(&changed, &password()), None);
        let mut changed = envelope;
        changed.hmac[0] ^= 1;
        assert_eq!(open(&changed, &password()), None);
    }
}

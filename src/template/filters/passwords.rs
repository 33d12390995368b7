//! Hashes of passwords as crypt(3) keeps them: `password_hash`.
//!
//! SHA-crypt by Ulrich Drepper's specification, bcrypt. There is no MD5-crypt: it protects nothing any more.

use base64::Engine;
use base64::alphabet::BCRYPT;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use minijinja::Error;

use crate::crypt::{self, SALT};
use crate::template::call::{Call, Definition, row};
use crate::template::random::secret_index;
use crate::value::Value;

pub(super) const FILTERS: &[Definition] = &[row(
    "password_hash",
    "hashtype='sha512', salt, salt_size, rounds, ident",
    "The password as `/etc/shadow` holds it",
    |call| {
        let hash = Wanted {
            algorithm: call.string_or("hashtype", "sha512")?,
            salt: call.string("salt")?,
            size: call.size("salt_size", 0)?,
            rounds: rounds(call)?,
            ident: call.string_or("ident", "2b")?,
        };
        hash.of(&call.text()?)
            .map(Value::from)
            .map_err(|message| call.fail(message))
    },
)];

/// How a password is to be hashed.
struct Wanted {
    algorithm: String,
    salt: Option<String>,
    /// Of a salt that is made here; 0 is as long as the algorithm takes.
    size: usize,
    rounds: Option<u32>,
    /// The variant of bcrypt.
    ident: String,
}

fn rounds(call: &Call) -> Result<Option<u32>, Error> {
    call.int("rounds")?
        .map(|rounds| u32::try_from(rounds).map_err(|_| call.fail("`rounds` must not be negative")))
        .transpose()
}

/// The lengths of salts.
const SHA_SALT: usize = 16;
const BCRYPT_SALT: usize = 22;

/// What passlib, and so Ansible, takes where nobody says.
const SHA512_ROUNDS: u32 = 656_000;
const SHA256_ROUNDS: u32 = 535_000;
const BCRYPT_ROUNDS: u32 = 12;

impl Wanted {
    fn of(&self, password: &str) -> Result<String, String> {
        match self.algorithm.as_str() {
            "sha512" | "sha512_crypt" => self.sha(password, "6", SHA512_ROUNDS),
            "sha256" | "sha256_crypt" => self.sha(password, "5", SHA256_ROUNDS),
            "blowfish" | "bcrypt" => self.bcrypt(password),
            other => Err(format!(
                "{other} is not in the list of supported passlib algorithms: blowfish, sha256, sha512"
            )),
        }
    }

    fn salt(&self, longest: usize) -> Result<String, String> {
        let Some(salt) = &self.salt else {
            let length = if self.size == 0 {
                longest
            } else {
                self.size.min(longest)
            };
            return Ok((0..length)
                .map(|_| char::from(SALT[secret_index(SALT.len())]))
                .collect());
        };
        if salt.bytes().all(|byte| SALT.contains(&byte)) {
            Ok(salt.clone())
        } else {
            Err("invalid characters in the salt: it takes letters, digits, `.` and `/`".to_owned())
        }
    }

    fn sha(&self, password: &str, id: &str, usual: u32) -> Result<String, String> {
        let mut salt = self.salt(SHA_SALT)?;
        salt.truncate(SHA_SALT);
        crypt::sha(id, password, &salt, self.rounds.unwrap_or(usual))
    }

    fn bcrypt(&self, password: &str) -> Result<String, String> {
        let engine = GeneralPurpose::new(
            &BCRYPT,
            GeneralPurposeConfig::new()
                .with_decode_allow_trailing_bits(true)
                .with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );
        let salt: [u8; 16] = engine
            .decode(self.salt(BCRYPT_SALT)?)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| format!("a salt of bcrypt has {BCRYPT_SALT} characters"))?;
        let rounds = self.rounds.unwrap_or(BCRYPT_ROUNDS);
        let hash = bcrypt::hash_with_salt(password, rounds, salt).map_err(|error| error.to_string())?;
        let version = match self.ident.as_str() {
            "2b" => bcrypt::Version::TwoB,
            "2a" => bcrypt::Version::TwoA,
            "2y" => bcrypt::Version::TwoY,
            other => return Err(format!("bcrypt has no variant `{other}`")),
        };
        Ok(hash.format_for_version(version))
    }
}

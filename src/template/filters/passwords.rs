//! Hashes of passwords as crypt(3) keeps them: `password_hash`.
//!
//! SHA-crypt by Ulrich Drepper's specification, bcrypt. There is no MD5-crypt: it protects nothing any more.

use base64::Engine;
use base64::alphabet::BCRYPT;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use minijinja::Error;
use sha_crypt::Params;

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

/// What salts are made of, in the order of crypt's base 64.
const SALT: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The lengths of salts.
const SHA_SALT: usize = 16;
const BCRYPT_SALT: usize = 22;

/// What passlib, and so Ansible, takes where nobody says.
const SHA512_ROUNDS: u32 = 656_000;
const SHA256_ROUNDS: u32 = 535_000;
const BCRYPT_ROUNDS: u32 = 12;

/// The rounds that a hash does not mention.
const UNSAID_ROUNDS: u32 = 5000;

impl Wanted {
    fn of(&self, password: &str) -> Result<String, String> {
        match self.algorithm.as_str() {
            "sha512" | "sha512_crypt" => self.sha(password, "6", SHA512_ROUNDS, |password, salt, params| {
                crypt64(&sha_crypt::sha512_crypt(password, salt, params), &SHA512_ORDER)
            }),
            "sha256" | "sha256_crypt" => self.sha(password, "5", SHA256_ROUNDS, |password, salt, params| {
                crypt64(&sha_crypt::sha256_crypt(password, salt, params), &SHA256_ORDER)
            }),
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

    fn sha(
        &self,
        password: &str,
        id: &str,
        usual: u32,
        run: fn(&[u8], &[u8], Params) -> String,
    ) -> Result<String, String> {
        let mut salt = self.salt(SHA_SALT)?;
        salt.truncate(SHA_SALT);
        let rounds = self.rounds.unwrap_or(usual);
        let params = Params::new(rounds).map_err(|_| format!("{rounds} rounds are too few or too many"))?;
        let said = if rounds == UNSAID_ROUNDS {
            String::new()
        } else {
            format!("rounds={rounds}$")
        };
        let hash = run(password.as_bytes(), salt.as_bytes(), params);
        Ok(format!("${id}${said}{salt}${hash}"))
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

/// The order in which the specification writes the bytes of a digest.
const SHA256_ORDER: [usize; 32] = [
    20, 10, 0, 11, 1, 21, 2, 22, 12, 23, 13, 3, 14, 4, 24, 5, 25, 15, 26, 16, 6, 17, 7, 27, 8, 28, 18, 29,
    19, 9, 30, 31,
];
const SHA512_ORDER: [usize; 64] = [
    42, 21, 0, 1, 43, 22, 23, 2, 44, 45, 24, 3, 4, 46, 25, 26, 5, 47, 48, 27, 6, 7, 49, 28, 29, 8, 50, 51,
    30, 9, 10, 52, 31, 32, 11, 53, 54, 33, 12, 13, 55, 34, 35, 14, 56, 57, 36, 15, 16, 58, 37, 38, 17, 59,
    60, 39, 18, 19, 61, 40, 41, 20, 62, 63,
];

/// Crypt's base 64 of the bytes in that order: three bytes, the least first, are four characters.
fn crypt64(bytes: &[u8], order: &[usize]) -> String {
    let mut out = String::new();
    for three in order.chunks(3) {
        let mut bits = three
            .iter()
            .rev()
            .fold(0_u32, |bits, at| bits << 8 | u32::from(bytes[*at]));
        for _ in 0..=three.len() {
            out.push(char::from(SALT[(bits & 0x3f) as usize]));
            bits >>= 6;
        }
    }
    out
}

//! Hashes of passwords as crypt(3), Apache and nginx keep them, and whether a password fits one.
//!
//! MD5-crypt by Poul-Henning Kamp with Apache's variant, SHA-crypt by Ulrich Drepper's specification, bcrypt, LDAP's SHA-1.
//! Deliberately no DES: it knows eight characters of a password.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use sha_crypt::Params;

/// What salts are made of, in the order of crypt's base 64.
pub const SALT: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The rounds that a hash does not mention.
pub const UNSAID_ROUNDS: u32 = 5000;
/// Fixed by the format.
const MD5_ROUNDS: usize = 1000;
/// A longer salt is cut off.
const MD5_SALT: usize = 8;

/// The order in which the formats write the bytes of a digest.
const MD5_ORDER: [usize; 16] = [12, 6, 0, 13, 7, 1, 14, 8, 2, 15, 9, 3, 5, 10, 4, 11];
const SHA256_ORDER: [usize; 32] = [
    20, 10, 0, 11, 1, 21, 2, 22, 12, 23, 13, 3, 14, 4, 24, 5, 25, 15, 26, 16, 6, 17, 7, 27, 8, 28, 18, 29,
    19, 9, 30, 31,
];
const SHA512_ORDER: [usize; 64] = [
    42, 21, 0, 1, 43, 22, 23, 2, 44, 45, 24, 3, 4, 46, 25, 26, 5, 47, 48, 27, 6, 7, 49, 28, 29, 8, 50, 51,
    30, 9, 10, 52, 31, 32, 11, 53, 54, 33, 12, 13, 55, 34, 35, 14, 56, 57, 36, 15, 16, 58, 37, 38, 17, 59,
    60, 39, 18, 19, 61, 40, 41, 20, 62, 63,
];

/// `$5$` or `$6$` with this many rounds.
pub fn sha(id: &str, password: &str, salt: &str, rounds: u32) -> Result<String, String> {
    let params = Params::new(rounds).map_err(|_| format!("{rounds} rounds are too few or too many"))?;
    let (password, bytes) = (password.as_bytes(), salt.as_bytes());
    let hash = if id == "5" {
        crypt64(&sha_crypt::sha256_crypt(password, bytes, params), &SHA256_ORDER)
    } else {
        crypt64(&sha_crypt::sha512_crypt(password, bytes, params), &SHA512_ORDER)
    };
    let said = if rounds == UNSAID_ROUNDS {
        String::new()
    } else {
        format!("rounds={rounds}$")
    };
    Ok(format!("${id}${said}{salt}${hash}"))
}

/// `$1$`, or Apache's `$apr1$`.
pub fn md5(id: &str, password: &str, salt: &str) -> String {
    let salt = &salt[..salt.len().min(MD5_SALT)];
    let (password, bytes) = (password.as_bytes(), salt.as_bytes());
    let magic = format!("${id}$");
    let mut last = Md5::digest([password, bytes, password].concat());
    let mut first = [password, magic.as_bytes(), bytes].concat();
    for at in (0..password.len()).step_by(last.len()) {
        first.extend_from_slice(&last[..last.len().min(password.len() - at)]);
    }
    let mut length = password.len();
    while length > 0 {
        first.push(if length & 1 == 1 { 0 } else { password[0] });
        length >>= 1;
    }
    last = Md5::digest(&first);
    for round in 0..MD5_ROUNDS {
        let mut hasher = Md5::new();
        let odd = round & 1 == 1;
        hasher.update(if odd { password } else { &last });
        if round % 3 != 0 {
            hasher.update(bytes);
        }
        if round % 7 != 0 {
            hasher.update(password);
        }
        hasher.update(if odd { &last } else { password });
        last = hasher.finalize();
    }
    format!("{magic}{salt}${}", crypt64(&last, &MD5_ORDER))
}

/// `{SHA}`, as LDAP has it.
pub fn ldap_sha1(password: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    format!("{{SHA}}{}", STANDARD.encode(digest.as_ref()))
}

/// Whether a password fits a hash of any of these formats; a text that is none of them is the password itself.
pub fn verifies(hash: &str, password: &str) -> bool {
    if hash.starts_with("{SHA}") {
        return ldap_sha1(password) == hash;
    }
    let Some(rest) = hash.strip_prefix('$') else {
        return hash == password;
    };
    let Some((id, rest)) = rest.split_once('$') else {
        return false;
    };
    match id {
        "2" | "2a" | "2b" | "2x" | "2y" => bcrypt::verify(password, hash).unwrap_or(false),
        "1" | "apr1" => rest
            .split_once('$')
            .is_some_and(|(salt, _)| md5(id, password, salt) == hash),
        "5" | "6" => {
            let (rounds, rest) = match rest.strip_prefix("rounds=").and_then(|rest| rest.split_once('$')) {
                Some((rounds, rest)) => (rounds.parse().ok(), rest),
                None => (Some(UNSAID_ROUNDS), rest),
            };
            let made = rounds.zip(rest.split_once('$'));
            made.is_some_and(|(rounds, (salt, _))| {
                sha(id, password, salt, rounds).is_ok_and(|made| made == hash)
            })
        }
        _ => false,
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    /// What `openssl passwd` and `htpasswd` make of `secret`.
    #[test]
    fn hashes_of_other_programs_fit() {
        for hash in HASHES {
            assert!(verifies(hash, "secret"), "{hash}");
            assert!(!verifies(hash, "Secret"), "{hash}");
        }
    }

    const HASHES: &[&str] = &[
        "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/",
        "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1",
        "$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.",
        "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.",
        "$2y$05$3ktXkcFe4tw3rPESS6g22egonvpWRpUD3bwCk3r6IHglwGtofGmyO",
        "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        "$apr1$ab$jiiV6N7hIIuIoJbc1hxOE/",
    ];
}

//! The ways in which `htpasswd` hashes a new password.

use crate::crypt::{self, SALT};
use crate::modules::Error;

pub use crate::crypt::verifies;

/// As passlib calls them. What Apache checks at every request costs it each time: SHA-crypt has the usual 5000 rounds.
pub const SCHEMES: &[&str] = &[
    "apr_md5_crypt",
    "bcrypt",
    "ldap_sha1",
    "md5_crypt",
    "plaintext",
    "portable_apache22",
    "portable_apache24",
    "sha256_crypt",
    "sha512_crypt",
];

const MD5_SALT: usize = 8;
const SHA_SALT: usize = 16;
const BCRYPT_COST: u32 = 12;

pub fn hash(scheme: &str, password: &str) -> Result<String, Error> {
    let sha = |id| crypt::sha(id, password, &salt(SHA_SALT)?, crypt::UNSAID_ROUNDS).map_err(Error::new);
    match scheme {
        "apr_md5_crypt" | "portable_apache22" => Ok(crypt::md5("apr1", password, &salt(MD5_SALT)?)),
        "md5_crypt" => Ok(crypt::md5("1", password, &salt(MD5_SALT)?)),
        "sha256_crypt" => sha("5"),
        "sha512_crypt" => sha("6"),
        // By the name that Apache knows.
        "bcrypt" | "portable_apache24" => bcrypt::hash_with_result(password, BCRYPT_COST)
            .map(|hash| hash.format_for_version(bcrypt::Version::TwoY))
            .map_err(|error| Error::new(format!("cannot hash the password: {error}"))),
        "ldap_sha1" => Ok(crypt::ldap_sha1(password)),
        _ => Ok(password.to_owned()),
    }
}

fn salt(length: usize) -> Result<String, Error> {
    let mut bytes = vec![0_u8; length];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::new("the machine gives no random numbers"))?;
    // 64 characters: every byte is as good as any.
    Ok(bytes
        .iter()
        .map(|byte| char::from(SALT[usize::from(byte & 0x3f)]))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_makes_what_it_can_verify() {
        for scheme in SCHEMES {
            let made = hash(scheme, "secret").unwrap();
            assert!(
                verifies(&made, "secret") && !verifies(&made, "other"),
                "{scheme}: {made}"
            );
            let another = hash(scheme, "secret").unwrap();
            assert_eq!(
                made == another,
                matches!(*scheme, "plaintext" | "ldap_sha1"),
                "{scheme} is salted"
            );
        }
    }
}

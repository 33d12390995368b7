//! The envelope: a header line, then hexadecimal digits that hold salt, HMAC and ciphertext, each of them hexadecimal
//! once more. Pure parsing and printing; nothing is encrypted or decrypted here.
//!
//! Source: <https://docs.ansible.com/ansible/latest/vault_guide/vault_using_encrypted_content.html#format-of-files-encrypted-with-ansible-vault>

use std::fmt::Write;

/// How every vault starts.
const MARK: &str = "$ANSIBLE_VAULT";
/// The only cipher there is today; `AES` went with ansible-core 2.4.
const CIPHER: &str = "AES256";
/// Columns of the armour.
const WIDTH: usize = 80;
/// Bytes of an HMAC-SHA256.
pub const HMAC_LENGTH: usize = 32;
/// The id that is not written down: it makes the format 1.1.
pub const DEFAULT_ID: &str = "default";

/// What is in a vault, still encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The vault id; none in format 1.1.
    pub id: Option<String>,
    pub salt: Vec<u8>,
    pub hmac: [u8; HMAC_LENGTH],
    /// A multiple of 16 bytes where the envelope is sound.
    pub ciphertext: Vec<u8>,
}

/// Why a text is no sound envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("input is not vault encrypted data")]
    NoVault,
    #[error("the vault's header must be `$ANSIBLE_VAULT;1.1;AES256` or `$ANSIBLE_VAULT;1.2;AES256;ID`")]
    Header,
    #[error("vault format {0} is not known; the formats are 1.1 and 1.2")]
    Version(String),
    #[error("vault cipher '{0}' could not be found; there is AES256 only")]
    Cipher(String),
    #[error("Vault format unhexlify error: Non-hexadecimal digit found")]
    Digit,
    #[error("Vault format unhexlify error: Odd-length string")]
    OddLength,
    #[error("the vault is cut short: salt, HMAC and ciphertext are not all there")]
    Truncated,
}

/// Whether a text calls itself a vault.
pub fn is_vault(text: impl AsRef<[u8]>) -> bool {
    text.as_ref().starts_with(MARK.as_bytes())
}

impl Envelope {
    /// Reads a vault; blanks around its lines do not count.
    pub fn parse(text: &str) -> Result<Self, Damage> {
        let mut lines = text.lines().map(str::trim);
        let header = lines.next().unwrap_or_default();
        let mut fields = header.split(';').map(str::trim);
        if fields.next() != Some(MARK) {
            return Err(Damage::NoVault);
        }
        let (Some(version), Some(cipher)) = (fields.next(), fields.next()) else {
            return Err(Damage::Header);
        };
        let id = match version {
            "1.1" => None,
            "1.2" => fields.next().filter(|id| !id.is_empty()).map(str::to_owned),
            other => return Err(Damage::Version(other.to_owned())),
        };
        if cipher != CIPHER {
            return Err(Damage::Cipher(cipher.to_owned()));
        }
        let body = unhex(lines.collect::<String>().as_bytes())?;
        let mut parts = body.splitn(3, |byte| *byte == b'\n').map(unhex);
        let mut part = || parts.next().ok_or(Damage::Truncated)?;
        let (salt, hmac, ciphertext) = (part()?, part()?, part()?);
        Ok(Self {
            id,
            salt,
            hmac: hmac.try_into().map_err(|_| Damage::Truncated)?,
            ciphertext,
        })
    }

    /// The envelope as text, with a newline at its end: format 1.2 where it has an id, else 1.1.
    pub fn print(&self) -> String {
        let mut text = match &self.id {
            Some(id) => format!("{MARK};1.2;{CIPHER};{id}\n"),
            None => format!("{MARK};1.1;{CIPHER}\n"),
        };
        let inner = [hex(&self.salt), hex(&self.hmac), hex(&self.ciphertext)].join("\n");
        let body = hex(inner.as_bytes());
        for (at, digit) in body.chars().enumerate() {
            if at > 0 && at % WIDTH == 0 {
                text.push('\n');
            }
            text.push(digit);
        }
        text.push('\n');
        text
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(digits: &[u8]) -> Result<Vec<u8>, Damage> {
    let (pairs, rest) = digits.as_chunks::<2>();
    let value = |digit: u8| char::from(digit).to_digit(16).ok_or(Damage::Digit);
    if !rest.is_empty() {
        return Err(Damage::OddLength);
    }
    pairs
        .iter()
        .map(|[high, low]| Ok(u8::try_from(value(*high)? * 16 + value(*low)?).unwrap_or(u8::MAX)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(id: Option<&str>) -> Envelope {
        Envelope {
            id: id.map(str::to_owned),
            salt: (0..32).collect(),
            hmac: [7; HMAC_LENGTH],
            ciphertext: (0..48).collect(),
        }
    }

    #[test]
    fn what_is_printed_is_read_again() {
        for id in [None, Some("prod"), Some("with blank")] {
            let text = envelope(id).print();
            assert_eq!(Envelope::parse(&text).unwrap(), envelope(id));
            assert!(text.lines().all(|line| line.len() <= WIDTH));
            let indented = text.replace('\n', "\r\n    ");
            assert_eq!(Envelope::parse(indented.trim()).unwrap(), envelope(id));
        }
    }

    #[test]
    fn headers_say_format_and_id() {
        assert!(envelope(None).print().starts_with("$ANSIBLE_VAULT;1.1;AES256\n"));
        assert!(
            envelope(Some("prod"))
                .print()
                .starts_with("$ANSIBLE_VAULT;1.2;AES256;prod\n")
        );
        // An id behind 1.1 is nobody's.
        let text = envelope(None).print().replace("AES256", "AES256;x");
        assert_eq!(Envelope::parse(&text).unwrap().id, None);
    }

    #[test]
    fn damage_is_named() {
        let sound = envelope(None).print();
        let damaged = |text: &str| Envelope::parse(text).unwrap_err();
        assert_eq!(damaged("plain: text\n"), Damage::NoVault);
        assert_eq!(damaged("$ANSIBLE_VAULT;1.1\n61"), Damage::Header);
        assert_eq!(
            damaged(&sound.replace("1.1", "1.0")),
            Damage::Version("1.0".into())
        );
        assert_eq!(
            damaged(&sound.replace("AES256", "AES")),
            Damage::Cipher("AES".into())
        );
        assert_eq!(damaged(&sound.replacen("\n3", "\nx", 1)), Damage::Digit);
        assert_eq!(
            damaged(
                sound
                    .trim_end()
                    .strip_suffix('6')
                    .unwrap_or(&sound[..sound.len() - 2])
            ),
            Damage::OddLength
        );
        assert_eq!(damaged("$ANSIBLE_VAULT;1.1;AES256\n6162\n"), Damage::Truncated);
        assert_eq!(damaged("$ANSIBLE_VAULT;1.1;AES256\n"), Damage::Truncated);
    }

    /// Nothing that a file can hold makes the parser panic.
    #[test]
    fn every_prefix_and_every_changed_byte_is_answered() {
        let sound = envelope(Some("é")).print();
        for end in (0..sound.len()).filter(|end| sound.is_char_boundary(*end)) {
            let _ = Envelope::parse(&sound[..end]);
        }
        for at in 0..sound.len() {
            let mut bytes = sound.clone().into_bytes();
            bytes[at] ^= 1;
            let _ = Envelope::parse(&String::from_utf8_lossy(&bytes));
        }
    }
}

//! The passwords of a run, and what they open.
//!
//! Deriving a key takes some ten milliseconds, so nothing is opened before it is used, and nothing twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::cipher::{self, SALT_LENGTH};
use super::format::{DEFAULT_ID, Damage, Envelope};
use crate::diagnostic::Diagnostic;
use crate::value::Secret;

/// Longer vaults are opened again each time: they are files to copy, read once.
const REMEMBERED: usize = 64 << 10;

/// Passwords by vault id, in the order in which they are tried.
#[derive(Debug, Default)]
pub struct Keyring {
    passwords: Vec<(String, Secret)>,
    /// Only passwords of a vault's own id are tried.
    match_ids: bool,
    /// The plain contents of vaults that were opened, by their text.
    opened: Mutex<HashMap<String, Arc<[u8]>>>,
}

/// Why a vault stays closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    #[error(transparent)]
    Damaged(#[from] Damage),
    #[error("Attempting to decrypt but no vault secrets found")]
    NoPassword,
    #[error("Decryption failed (no vault secrets were found that could decrypt)")]
    WrongPassword { id: Option<String>, tried: Vec<String> },
    #[error("the vault holds no UTF-8 text")]
    NoText,
}

impl Closed {
    /// The error with what to do about it, without a place.
    pub fn diagnostic(&self) -> Diagnostic {
        let error = Diagnostic::error(self.to_string());
        match self {
            Self::NoPassword => {
                error.hint("give the password by --vault-password-file, --vault-id or --ask-vault-password")
            }
            Self::WrongPassword { id, tried } => {
                let error = match id {
                    Some(id) => error.hint(format!("the vault's id is `{id}`")),
                    None => error,
                };
                error.hint(match tried.as_slice() {
                    [] => "no password has that id, and VAULT_ID_MATCH forbids the others".to_owned(),
                    tried => format!("passwords of these vault ids were tried: {}", tried.join(", ")),
                })
            }
            Self::Damaged(_) | Self::NoText => error,
        }
    }
}

impl Keyring {
    pub fn new(passwords: Vec<(String, Secret)>, match_ids: bool) -> Self {
        Self {
            passwords,
            match_ids,
            opened: Mutex::default(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.passwords.is_empty()
    }

    pub fn add(&mut self, id: String, password: Secret) {
        self.passwords.push((id, password));
    }

    /// The ids of the passwords, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.passwords.iter().map(|(id, _)| id.as_str())
    }

    /// The first password of an id.
    pub fn password(&self, id: &str) -> Option<&Secret> {
        let mut passwords = self.passwords.iter();
        Some(&passwords.find(|(known, _)| known == id)?.1)
    }

    /// What a vault holds.
    pub fn open(&self, text: &str) -> Result<Arc<[u8]>, Closed> {
        if let Some(known) = self
            .opened
            .lock()
            .ok()
            .and_then(|opened| opened.get(text).cloned())
        {
            return Ok(known);
        }
        if self.is_empty() {
            return Err(Closed::NoPassword);
        }
        let (contents, _) = self.open_with(&Envelope::parse(text)?)?;
        let contents: Arc<[u8]> = contents.into();
        if let (true, Ok(mut opened)) = (text.len() <= REMEMBERED, self.opened.lock()) {
            opened.insert(text.to_owned(), Arc::clone(&contents));
        }
        Ok(contents)
    }

    /// Whether the text came out of a vault as a whole.
    pub fn has_opened(&self, text: &str) -> bool {
        let known = self.opened.lock();
        known.is_ok_and(|opened| opened.values().any(|contents| **contents == *text.as_bytes()))
    }

    /// As [`open`](Self::open), for a vault of text.
    pub fn open_text(&self, text: &str) -> Result<String, Closed> {
        String::from_utf8(self.open(text)?.to_vec()).map_err(|_| Closed::NoText)
    }

    /// The contents of an envelope, and the id and password that have opened it. Passwords of its own id are
    /// tried first.
    pub fn open_with(&self, envelope: &Envelope) -> Result<(Vec<u8>, &(String, Secret)), Closed> {
        if self.passwords.is_empty() {
            return Err(Closed::NoPassword);
        }
        let own = envelope.id.as_deref().unwrap_or(DEFAULT_ID);
        let (named, others): (Vec<_>, Vec<_>) = self.passwords.iter().partition(|(id, _)| id == own);
        let others = if self.match_ids { Vec::new() } else { others };
        let mut tried: Vec<String> = Vec::new();
        for entry in named.into_iter().chain(others) {
            if let Some(contents) = cipher::open(envelope, &entry.1) {
                return Ok((contents, entry));
            }
            if !tried.contains(&entry.0) {
                tried.push(entry.0.clone());
            }
        }
        Err(Closed::WrongPassword {
            id: envelope.id.clone(),
            tried,
        })
    }
}

/// Encrypts under a password; the id goes into the header unless it is the default one. Without a `salt` a random
/// one is made.
pub fn seal(
    text: &[u8],
    id: &str,
    password: &Secret,
    salt: Option<&str>,
) -> Result<String, aws_lc_rs::error::Unspecified> {
    let salt = match salt {
        Some(salt) => salt.as_bytes().to_vec(),
        None => {
            let mut salt = vec![0; SALT_LENGTH];
            aws_lc_rs::rand::fill(&mut salt)?;
            salt
        }
    };
    let id = (id != DEFAULT_ID).then(|| id.to_owned());
    Ok(cipher::seal(text, password, salt, id)?.print())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by ansible-vault 2.19 with the password `hunter2-pass`, as 1.1, and as 1.2 with the id `prod`.
    const WRITTEN_BY_ANSIBLE: [&str; 2] = [
        "$ANSIBLE_VAULT;1.1;AES256
32383666356535373966306565393230626462333034623833633133316332373331343039653762
6165656636653137616362633633656265396639343139640a623435303261626231326134666462
30393861616633383333373562386337393162663163383666353630633836626162316433383530
3432363431363636620a626631306562306664653333666534306566643139623534643662326330
66376537626339333461376531306165653439333765346564626133656639653137
",
        "$ANSIBLE_VAULT;1.2;AES256;prod
61356565663565313339303162343539323939393538303366353865393637353535376235376636
3565623038613861656137323435623236316237306461330a396431343932313466666666653364
66633961633532613434663738613236366239306635366335623438613265646636663963366631
3264666139386363300a633631636130393365626530643265303132663965383537373535396435
33643931393365353064306266626439313363666164396162326134333131343566
",
    ];

    fn ring(passwords: &[(&str, &str)], match_ids: bool) -> Keyring {
        let passwords = passwords
            .iter()
            .map(|(id, text)| ((*id).to_owned(), Secret::new(*text)));
        Keyring::new(passwords.collect(), match_ids)
    }

    #[test]
    fn vaults_of_ansible_are_opened() {
        let ring = ring(&[("default", "wrong"), ("x", "hunter2-pass")], false);
        for vault in WRITTEN_BY_ANSIBLE {
            for _ in 0..2 {
                assert_eq!(ring.open_text(vault).unwrap(), "a: top-secret-value\nb: 2\n");
            }
        }
    }

    #[test]
    fn own_vaults_are_opened_whatever_the_length() {
        let ring = ring(&[("prod", "pw")], true);
        for length in [0, 1, 16, 33, 4096] {
            let text = "é".repeat(length);
            let vault = seal(text.as_bytes(), "prod", &Secret::new("pw"), None).unwrap();
            assert!(vault.starts_with("$ANSIBLE_VAULT;1.2;AES256;prod\n"));
            assert_eq!(ring.open_text(&vault).unwrap(), text);
        }
        let salted = |salt| seal(b"x", "default", &Secret::new("pw"), salt).unwrap();
        assert_eq!(salted(Some("salty")), salted(Some("salty")));
        assert_ne!(salted(None), salted(None));
    }

    #[test]
    fn says_why_a_vault_stays_closed() {
        let [_, prod] = WRITTEN_BY_ANSIBLE;
        let shown = |ring: Keyring| ring.open(prod).unwrap_err().diagnostic().render(false);
        insta::assert_snapshot!(shown(ring(&[], false)), @r"
        error: Attempting to decrypt but no vault secrets found
         |
         = help: give the password by --vault-password-file, --vault-id or --ask-vault-password
        ");
        insta::assert_snapshot!(shown(ring(&[("default", "a"), ("prod", "b"), ("prod", "c")], false)), @r"
        error: Decryption failed (no vault secrets were found that could decrypt)
         |
         = help: the vault's id is `prod`
         = help: passwords of these vault ids were tried: prod, default
        ");
        insta::assert_snapshot!(shown(ring(&[("default", "hunter2-pass")], true)), @r"
        error: Decryption failed (no vault secrets were found that could decrypt)
         |
         = help: the vault's id is `prod`
         = help: no password has that id, and VAULT_ID_MATCH forbids the others
        ");
    }
}

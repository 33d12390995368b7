//! `known_hosts`: which keys a host may show.
//!
//! The format is that of `sshd(8)`, "`SSH_KNOWN_HOSTS` FILE FORMAT": name patterns or hashed names, `[host]:port`,
//! `@revoked`. Lines for certificate authorities are passed over: libssh2 knows no host certificates.

use std::path::{Path, PathBuf};

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// One line that speaks of the host in question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub file: PathBuf,
    pub line: usize,
    /// `ssh-ed25519`, `ssh-rsa`...
    pub algorithm: String,
    /// As it goes over the wire.
    pub key: Vec<u8>,
    pub revoked: bool,
}

/// What the lines say of a key that was shown.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    Known,
    /// There is no line for this host, or only for other kinds of keys.
    Unknown,
    Changed(&'a Entry),
    Revoked(&'a Entry),
}

/// A host's name as `known_hosts` spells it.
pub fn spelling(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if port == 22 {
        host
    } else {
        format!("[{host}]:{port}")
    }
}

/// The lines of `text` that are about the host.
pub fn entries(text: &str, file: &Path, host: &str, port: u16) -> Vec<Entry> {
    let name = spelling(host, port);
    text.lines()
        .enumerate()
        .filter_map(|(index, line)| entry(line, &name, file, index + 1))
        .collect()
}

fn entry(text: &str, name: &str, file: &Path, line: usize) -> Option<Entry> {
    let mut fields = text.split_whitespace().peekable();
    let marker = fields.next_if(|field| field.starts_with('@'));
    if marker.is_some_and(|marker| marker != "@revoked") {
        return None;
    }
    let names = fields.next().filter(|names| !names.starts_with('#'))?;
    if !is_about(names, name) {
        return None;
    }
    let algorithm = fields.next()?.to_owned();
    let key = STANDARD.decode(fields.next()?).ok()?;
    Some(Entry {
        file: file.to_owned(),
        line,
        algorithm,
        key,
        revoked: marker.is_some(),
    })
}

fn is_about(names: &str, name: &str) -> bool {
    if let Some(hashed) = names.strip_prefix("|1|") {
        return is_hash_of(hashed, name).unwrap_or(false);
    }
    let mut found = false;
    for pattern in names.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if wildcard(&pattern.to_lowercase(), name) => return false,
            Some(_) => {}
            None => found |= wildcard(&pattern.to_lowercase(), name),
        }
    }
    found
}

/// `SALT|HMAC-SHA1(SALT, NAME)`, both in base64.
fn is_hash_of(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &STANDARD.decode(salt).ok()?);
    Some(hmac::sign(&key, name.as_bytes()).as_ref() == STANDARD.decode(hash).ok()?)
}

/// `*` for any text, `?` for one character.
pub fn wildcard(pattern: &str, text: &str) -> bool {
    let mut characters = pattern.chars();
    match characters.next() {
        None => text.is_empty(),
        Some('*') => text
            .char_indices()
            .map(|(at, _)| at)
            .chain([text.len()])
            .any(|at| wildcard(characters.as_str(), &text[at..])),
        Some(wanted) => {
            let mut rest = text.chars();
            rest.next().is_some_and(|got| {
                (wanted == '?' || wanted == got) && wildcard(characters.as_str(), rest.as_str())
            })
        }
    }
}

/// The kind of a key, which its wire form begins with.
pub fn algorithm(key: &[u8]) -> String {
    key.split_first_chunk::<4>()
        .and_then(|(length, rest)| rest.get(..u32::from_be_bytes(*length) as usize))
        .map_or_else(
            || "unknown".to_owned(),
            |name| String::from_utf8_lossy(name).into_owned(),
        )
}

/// As `ssh-keygen -l` prints it.
pub fn fingerprint(key: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, key);
    format!("SHA256:{}", STANDARD_NO_PAD.encode(hash))
}

/// Judges a key. A line with the key itself decides, unless one revokes it; then one with another key of the
/// same kind.
pub fn judge<'a>(entries: &'a [Entry], key: &[u8]) -> Verdict<'a> {
    if let Some(entry) = entries.iter().find(|entry| entry.revoked && entry.key == key) {
        return Verdict::Revoked(entry);
    }
    let mut valid = entries.iter().filter(|entry| !entry.revoked);
    if valid.clone().any(|entry| entry.key == key) {
        return Verdict::Known;
    }
    let algorithm = algorithm(key);
    match valid.find(|entry| entry.algorithm == algorithm) {
        Some(entry) => Verdict::Changed(entry),
        None => Verdict::Unknown,
    }
}

/// The signature algorithms to ask for, those first for whose keys there is a line: a host that is known by
/// one kind of key must not look unknown because it shows another. None if there is nothing to prefer.
pub fn preference(entries: &[Entry], supported: &[&str]) -> Option<String> {
    let is_known = |name: &&&str| {
        let kind = match **name {
            "rsa-sha2-512" | "rsa-sha2-256" => "ssh-rsa",
            other => other,
        };
        entries
            .iter()
            .any(|entry| !entry.revoked && entry.algorithm == kind)
    };
    let (known, others): (Vec<&&str>, Vec<&&str>) = supported.iter().partition(is_known);
    if known.is_empty() {
        return None;
    }
    let names: Vec<&str> = known.into_iter().chain(others).copied().collect();
    Some(names.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &str, content: &str) -> Vec<u8> {
        let mut key = u32::try_from(kind.len()).unwrap().to_be_bytes().to_vec();
        key.extend_from_slice(kind.as_bytes());
        key.extend_from_slice(content.as_bytes());
        key
    }

    fn line(names: &str, kind: &str, content: &str) -> String {
        format!("{names} {kind} {}\n", STANDARD.encode(key(kind, content)))
    }

    fn verdict(text: &str, host: &str, port: u16, shown: &[u8]) -> String {
        let entries = entries(text, Path::new("f"), host, port);
        match judge(&entries, shown) {
            Verdict::Known => "known".to_owned(),
            Verdict::Unknown => "unknown".to_owned(),
            Verdict::Changed(entry) => format!("changed at {}", entry.line),
            Verdict::Revoked(entry) => format!("revoked at {}", entry.line),
        }
    }

    #[test]
    fn judges_keys() {
        let text = [
            "# a comment\n\n".to_owned(),
            line("web,192.0.2.1", "ssh-ed25519", "one"),
            line("[web]:2222", "ssh-ed25519", "two"),
            line("*.example.org,!bad.example.org", "ssh-rsa", "three"),
            format!("@cert-authority {}", line("*", "ssh-ed25519", "authority")),
            format!("@revoked {}", line("*", "ssh-ed25519", "stolen")),
        ]
        .concat();
        let ed25519 = |content| key("ssh-ed25519", content);
        assert_eq!(verdict(&text, "web", 22, &ed25519("one")), "known");
        assert_eq!(verdict(&text, "WEB", 22, &ed25519("one")), "known");
        assert_eq!(verdict(&text, "web", 22, &ed25519("two")), "changed at 3");
        assert_eq!(verdict(&text, "web", 2222, &ed25519("two")), "known");
        assert_eq!(verdict(&text, "web", 2223, &ed25519("two")), "unknown");
        assert_eq!(verdict(&text, "web", 22, &key("ssh-rsa", "x")), "unknown");
        assert_eq!(
            verdict(&text, "a.example.org", 22, &key("ssh-rsa", "three")),
            "known"
        );
        assert_eq!(
            verdict(&text, "bad.example.org", 22, &key("ssh-rsa", "three")),
            "unknown"
        );
        assert_eq!(verdict(&text, "web", 22, &ed25519("stolen")), "revoked at 7");
        assert_eq!(verdict(&text, "x", 22, &ed25519("authority")), "unknown");
    }

    #[test]
    fn reads_hashed_names() {
        let salt = STANDARD.encode(b"01234567890123456789");
        let signing = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"01234567890123456789");
        let hash = STANDARD.encode(hmac::sign(&signing, b"[web]:2222"));
        let text = line(&format!("|1|{salt}|{hash}"), "ssh-ed25519", "one");
        assert_eq!(verdict(&text, "web", 2222, &key("ssh-ed25519", "one")), "known");
        assert_eq!(verdict(&text, "web", 22, &key("ssh-ed25519", "one")), "unknown");
    }

    #[test]
    fn prefers_the_kinds_that_are_known() {
        let supported = ["ecdsa-sha2-nistp256", "ssh-ed25519", "rsa-sha2-512", "ssh-rsa"];
        let of = |text: &str| preference(&entries(text, Path::new("f"), "web", 22), &supported);
        assert_eq!(
            of(&line("web", "ssh-rsa", "k")).unwrap(),
            "rsa-sha2-512,ssh-rsa,ecdsa-sha2-nistp256,ssh-ed25519"
        );
        assert_eq!(of(&line("other", "ssh-rsa", "k")), None);
    }

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("a*c", "abbc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("[web]:22", "[web]:22", true),
        ] {
            assert_eq!(wildcard(pattern, text), expected, "{pattern} {text}");
        }
    }
}

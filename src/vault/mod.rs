//! Vaults: Ansible's format for encrypted texts, and the passwords that open them.
//!
//! - [`format`]: the envelope as text.
//! - [`cipher`]: the envelope's cryptography.
//! - [`keyring`]: which password opens what.
//! - [`passwords`]: where passwords come from.
//!
//! What is in a vault is secret: whoever reads one through this module has it known to [`crate::secrets`], so that it
//! is not shown.

mod cipher;
mod format;
mod keyring;
mod passwords;

use std::sync::{Arc, PoisonError, RwLock};

pub use self::format::{DEFAULT_ID, Damage, Envelope, is_vault};
pub use self::keyring::{Closed, Keyring, seal};
pub use self::passwords::{Identity, Origin, Purpose, prompt};
use crate::diagnostic::Diagnostic;
use crate::secrets;
use crate::source::{Source, Span};
use crate::yaml::{Kind, Node};

/// The process's passwords: as the environment is, they are the same for all that it does. Whatever may be a vault
/// is read in many places, none of which has anything else to do with passwords.
static KEYRING: RwLock<Option<Arc<Keyring>>> = RwLock::new(None);

/// Makes passwords known, before anything is read.
pub fn install(keyring: Keyring) {
    *KEYRING.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keyring));
}

/// The passwords that were made known; none at first.
pub fn keyring() -> Arc<Keyring> {
    let installed = KEYRING.read().unwrap_or_else(PoisonError::into_inner);
    installed.clone().unwrap_or_default()
}

/// The source behind what was read from a file: decrypted, and never shown, where it is a vault.
pub fn opened(source: Arc<Source>) -> Result<Arc<Source>, Diagnostic> {
    if !is_vault(source.text()) {
        return Ok(source);
    }
    let header = source.text().find('\n').unwrap_or(source.text().len());
    let text = keyring()
        .open_text(source.text())
        .map_err(|closed| closed.diagnostic().at(&Span::new(&source, 0, header)))?;
    Ok(Source::confidential(source.name(), text))
}

/// What was read from a file, decrypted where it is a vault.
pub fn opened_bytes(bytes: Vec<u8>) -> Result<Vec<u8>, Closed> {
    if !is_vault(&bytes) {
        return Ok(bytes);
    }
    let text = String::from_utf8(bytes).map_err(|_| Damage::Digit)?;
    let contents = keyring().open(&text)?.to_vec();
    if let Ok(text) = str::from_utf8(&contents) {
        secrets::learn(text);
    }
    Ok(contents)
}

/// What is behind `!vault`.
pub fn opened_value(text: &str) -> Result<String, Closed> {
    let contents = keyring().open_text(text)?;
    secrets::learn(&contents);
    Ok(contents)
}

/// Keywords of plays and tasks whose values are names: of things that are shown, in an encrypted playbook too.
const NAMES: [&str; 8] = [
    "name", "hosts", "when", "register", "tags", "notify", "listen", "roles",
];

/// Makes known what a decrypted document says; any other holds no secrets.
pub fn learn_from(root: &Node) {
    if !root.span.source().is_confidential() {
        return;
    }
    match root.as_list() {
        Some(items) => items.iter().for_each(learn_from_task),
        None => secrets::learn_value(&root.to_value()),
    }
}

/// A play, block or task, or whatever is inside of one.
fn learn_from_task(node: &Node) {
    match &node.kind {
        Kind::Map(map) => map
            .iter()
            .filter(|(name, _)| !NAMES.contains(&name.as_str()))
            .for_each(|(_, entry)| learn_from_task(&entry.value)),
        Kind::List(items) => items.iter().for_each(learn_from_task),
        _ => secrets::learn_value(&node.to_value()),
    }
}

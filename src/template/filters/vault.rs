//! Vaults as texts: encrypted and decrypted with a password of the template's own.

use minijinja::Error;

use crate::secrets;
use crate::template::call::{Call, Definition, row};
use crate::value::{Secret, Value};
use crate::vault::{self, Keyring};

/// The id in vaults that the filter makes, unless it is told another.
const ID: &str = "filter_default";

pub(super) const FILTERS: &[Definition] = &[
    row(
        "vault",
        "secret, salt, vault_id='filter_default', wrap_object=false, vaultid",
        "The text encrypted with a password, as a vault",
        encrypt,
    ),
    row(
        "unvault",
        "secret, vault_id='filter_default', vaultid",
        "What is in a vault, opened with a password",
        decrypt,
    ),
];

fn encrypt(call: &Call) -> Result<Value, Error> {
    let password = password(call)?;
    let text = text(call, "vault")?;
    let salt = call.string("salt")?;
    let vault = vault::seal(text.as_bytes(), &id(call)?, &password, salt.as_deref());
    vault
        .map(Value::from)
        .map_err(|_| call.fail("Unable to encrypt: the cryptography refused"))
}

fn decrypt(call: &Call) -> Result<Value, Error> {
    let password = password(call)?;
    let text = text(call, "unvault")?;
    if !vault::is_vault(&text) {
        return Ok(text.into());
    }
    let keyring = Keyring::new(vec![(id(call)?, password)], false);
    let opened = keyring
        .open_text(&text)
        .map_err(|closed| call.fail(format!("Unable to decrypt: {closed}")))?;
    secrets::learn(&opened);
    Ok(opened.into())
}

fn password(call: &Call) -> Result<Secret, Error> {
    match call.required("secret")? {
        Value::Str(password) => Ok(Secret::new(password)),
        other => Err(call.fail(format!(
            "Secret passed is required to be a string, instead we got {}",
            other.type_name()
        ))),
    }
}

fn text(call: &Call, verb: &str) -> Result<String, Error> {
    match call.data()? {
        Value::Str(text) => Ok(text),
        other => Err(call.fail(format!(
            "Can only {verb} strings, instead we got {}",
            other.type_name()
        ))),
    }
}

fn id(call: &Call) -> Result<String, Error> {
    match call.string("vaultid")? {
        Some(id) => Ok(id),
        None => call.string_or("vault_id", ID),
    }
}

//! `vault`: encrypts files and values, and shows and changes what is encrypted, as `ansible-vault` does.
//!
//! Everything that can fail is done before a file is touched.

mod arguments;
mod editor;
mod files;
mod strings;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub use self::arguments::Arguments;
use self::arguments::{Action, EncryptWith, Output};
use self::files::DASH;
use super::keyring::{self, VaultPasswords, usual_id};
use crate::configuration::{Configuration, table};
use crate::diagnostic::Diagnostic;
use crate::value::Secret;
use crate::vault::{Closed, DEFAULT_ID, Envelope, Identity, Keyring, Purpose, is_vault, seal};

const FAILED: u8 = 1;
/// Options that do not say which password is meant.
const AMBIGUOUS: u8 = 5;

/// Why the command ends, and with which exit code.
struct Failed(Diagnostic, u8);

impl From<Diagnostic> for Failed {
    fn from(error: Diagnostic) -> Self {
        Self(error, FAILED)
    }
}

/// Runs what the command line asks for.
pub fn run(arguments: Arguments) -> ExitCode {
    match perform(arguments.action) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(error, code)) => super::fail(&error, code),
    }
}

fn perform(action: Action) -> Result<(), Failed> {
    let (configuration, warnings) = Configuration::load()?;
    show(&warnings);
    let verb = Verb { configuration };
    match action {
        Action::Create {
            file,
            passwords,
            encrypt,
            skip_tty_check,
        } => verb.create(&file, &passwords, &encrypt, skip_tty_check),
        Action::Decrypt {
            files,
            passwords,
            output,
        } => verb.decrypt(files.files, &passwords, &output),
        Action::Edit {
            files,
            passwords,
            encrypt,
        } => verb.edit(&files, &passwords, &encrypt),
        Action::View { files, passwords } => verb.view(files.files, &passwords),
        Action::Encrypt {
            files,
            passwords,
            encrypt,
            output,
        } => verb.encrypt(files.files, &passwords, &encrypt, &output),
        Action::EncryptString(arguments) => verb.encrypt_strings(&arguments),
        Action::Rekey {
            files,
            passwords,
            encrypt,
            new_vault_password_file,
            new_vault_id,
        } => {
            let new = match (new_vault_password_file, new_vault_id) {
                (Some(file), _) => {
                    Identity::file(&file, encrypt.encrypt_vault_id.as_deref().unwrap_or(DEFAULT_ID))
                }
                (None, Some(id)) => Identity::parse(&id, usual_id(&verb.configuration)),
                (None, None) => Identity::prompt(usual_id(&verb.configuration)),
            };
            verb.rekey(files.files, &passwords, &new)
        }
    }
}

struct Verb {
    configuration: Configuration,
}

impl Verb {
    fn encrypt(
        &self,
        files: Vec<PathBuf>,
        passwords: &VaultPasswords,
        encrypt: &EncryptWith,
        output: &Output,
    ) -> Result<(), Failed> {
        let targets = targets(files, output)?;
        let (id, password) = self.to_encrypt(passwords, encrypt)?;
        let mut sealed = Vec::new();
        for (from, to) in targets {
            let text = files::read(&from)?;
            if is_vault(&text) {
                return Err(about(Diagnostic::error("input is already encrypted"), &from).into());
            }
            sealed.push((to, self.seal(&text, &id, &password)?));
        }
        write_all(sealed)?;
        done("Encryption successful");
        Ok(())
    }

    fn decrypt(
        &self,
        files: Vec<PathBuf>,
        passwords: &VaultPasswords,
        output: &Output,
    ) -> Result<(), Failed> {
        let targets = targets(files, output)?;
        let keyring = self.to_decrypt(passwords)?;
        let mut opened = Vec::new();
        for (from, to) in targets {
            opened.push((to, open(&keyring, &from)?.contents));
        }
        write_all(opened)?;
        done("Decryption successful");
        Ok(())
    }

    fn view(&self, files: Vec<PathBuf>, passwords: &VaultPasswords) -> Result<(), Failed> {
        let keyring = self.to_decrypt(passwords)?;
        for file in or_dash(files) {
            files::write(Path::new(DASH), &open(&keyring, &file)?.contents)?;
        }
        Ok(())
    }

    fn edit(
        &self,
        files: &[PathBuf],
        passwords: &VaultPasswords,
        encrypt: &EncryptWith,
    ) -> Result<(), Failed> {
        let keyring = self.to_decrypt(passwords)?;
        for file in files {
            let mut opened = open(&keyring, file)?;
            let text = editor::edit(&opened.contents, file, self.editor())?;
            if let Some(id) = &encrypt.encrypt_vault_id {
                opened.id.clone_from(id);
                opened.password = known(&keyring, id)?.clone();
            }
            if text != opened.contents {
                files::write(file, &self.seal(&text, &opened.id, &opened.password)?)?;
            }
        }
        Ok(())
    }

    fn create(
        &self,
        file: &Path,
        passwords: &VaultPasswords,
        encrypt: &EncryptWith,
        skip_tty_check: bool,
    ) -> Result<(), Failed> {
        if !skip_tty_check && !std::io::stdout().is_terminal() {
            return Err(Diagnostic::error("not a tty, editor cannot be opened")
                .hint("--skip-tty-check opens it all the same")
                .into());
        }
        if file.exists() {
            return Err(
                Diagnostic::error(format!("{} exists, please use 'edit' instead", file.display())).into(),
            );
        }
        let (id, password) = self.to_encrypt(passwords, encrypt)?;
        let text = editor::edit(b"", file, self.editor())?;
        files::write(file, &self.seal(&text, &id, &password)?)?;
        Ok(())
    }

    fn rekey(&self, files: Vec<PathBuf>, passwords: &VaultPasswords, new: &Identity) -> Result<(), Failed> {
        let keyring = self.to_decrypt(passwords)?;
        let mut opened = Vec::new();
        for file in or_dash(files) {
            let contents = open(&keyring, &file)?.contents;
            opened.push((file, contents));
        }
        let password = new.password(Purpose::New, &keyring)?;
        let sealed = opened
            .into_iter()
            .map(|(file, text)| Ok((file, self.seal(&text, &new.id, &password)?)));
        write_all(sealed.collect::<Result<_, Diagnostic>>()?)?;
        eprintln!("Rekey successful");
        Ok(())
    }

    fn editor(&self) -> &str {
        self.configuration.text(&table::EDITOR).unwrap_or_default()
    }

    fn seal(&self, text: &[u8], id: &str, password: &Secret) -> Result<Vec<u8>, Diagnostic> {
        let salt = self.configuration.text(&table::VAULT_ENCRYPT_SALT);
        seal(text, id, password, salt)
            .map(String::into_bytes)
            .map_err(|_| Diagnostic::error("the text cannot be encrypted: the cryptography refused"))
    }

    /// The passwords that open vaults; a person is asked where there is none.
    fn to_decrypt(&self, passwords: &VaultPasswords) -> Result<Keyring, Diagnostic> {
        self.keyring(passwords, Purpose::Known)
    }

    /// The id and password to encrypt with.
    fn to_encrypt(
        &self,
        passwords: &VaultPasswords,
        encrypt: &EncryptWith,
    ) -> Result<(String, Secret), Failed> {
        let keyring = self.keyring(passwords, Purpose::New)?;
        let configured = self.configuration.text(&table::DEFAULT_VAULT_ENCRYPT_IDENTITY);
        if let Some(id) = encrypt.encrypt_vault_id.as_deref().or(configured) {
            return Ok((id.to_owned(), known(&keyring, id)?.clone()));
        }
        let mut ids = keyring.ids();
        match (ids.next(), ids.next()) {
            (Some(id), None) => Ok((id.to_owned(), known(&keyring, id)?.clone())),
            _ => {
                let ids: Vec<&str> = keyring.ids().collect();
                let error = Diagnostic::error(format!(
                    "The vault-ids {} are available to encrypt. Specify the vault-id to encrypt with --encrypt-vault-id",
                    ids.join(",")
                ));
                Err(Failed(error, AMBIGUOUS))
            }
        }
    }

    fn keyring(&self, passwords: &VaultPasswords, purpose: Purpose) -> Result<Keyring, Diagnostic> {
        let mut identities = passwords.identities(&self.configuration);
        if identities.is_empty() {
            identities.push(Identity::prompt(usual_id(&self.configuration)));
        }
        let match_ids = self.configuration.truth(&table::DEFAULT_VAULT_ID_MATCH);
        let (keyring, warnings) = keyring::load(&identities, purpose, match_ids)?;
        show(&warnings);
        Ok(keyring)
    }
}

/// A vault that was opened, and what it is to be encrypted with again.
struct Opened {
    contents: Vec<u8>,
    /// The vault's own, which need not be the password's.
    id: String,
    password: Secret,
}

fn open(keyring: &Keyring, path: &Path) -> Result<Opened, Diagnostic> {
    let closed = |error: Closed| about(error.diagnostic(), path);
    let bytes = files::read(path)?;
    if !is_vault(&bytes) {
        return Err(about(
            Diagnostic::error("Input is not vault encrypted data"),
            path,
        ));
    }
    let envelope =
        Envelope::parse(&String::from_utf8_lossy(&bytes)).map_err(|damage| closed(damage.into()))?;
    let (contents, (_, password)) = keyring.open_with(&envelope).map_err(closed)?;
    Ok(Opened {
        contents,
        id: envelope.id.unwrap_or_else(|| DEFAULT_ID.to_owned()),
        password: password.clone(),
    })
}

fn known<'k>(keyring: &'k Keyring, id: &str) -> Result<&'k Secret, Diagnostic> {
    keyring.password(id).ok_or_else(|| {
        let ids: Vec<String> = keyring.ids().map(|id| format!("'{id}'")).collect();
        Diagnostic::error(format!(
            "Did not find a match for --encrypt-vault-id={id} in the known vault-ids [{}]",
            ids.join(", ")
        ))
    })
}

/// The error, and of which file.
fn about(mut error: Diagnostic, path: &Path) -> Diagnostic {
    error.message = format!("{} for {}", error.message, path.display());
    error
}

/// What is read, and where it goes.
fn targets(files: Vec<PathBuf>, output: &Output) -> Result<Vec<(PathBuf, PathBuf)>, Failed> {
    let files = or_dash(files);
    match &output.output {
        None => Ok(files.into_iter().map(|file| (file.clone(), file)).collect()),
        Some(output) if files.len() == 1 => Ok(vec![(files[0].clone(), output.clone())]),
        Some(_) => {
            let error = Diagnostic::error("At most one input file may be used with the --output option");
            Err(Failed(error, AMBIGUOUS))
        }
    }
}

fn or_dash(files: Vec<PathBuf>) -> Vec<PathBuf> {
    if files.is_empty() {
        vec![DASH.into()]
    } else {
        files
    }
}

fn write_all(contents: Vec<(PathBuf, Vec<u8>)>) -> Result<(), Diagnostic> {
    contents
        .iter()
        .try_for_each(|(path, text)| files::write(path, text))
}

/// Said to people alone: a pipe gets the data.
fn done(text: &str) {
    if std::io::stdout().is_terminal() {
        eprintln!("{text}");
    }
}

fn show(warnings: &[Diagnostic]) {
    for warning in warnings {
        eprintln!("{}", warning.render(std::io::stderr().is_terminal()));
    }
}

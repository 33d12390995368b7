//! Which vault passwords a command has: its flags, and what is configured.

use crate::configuration::{Configuration, table};
use crate::diagnostic::Diagnostic;
use crate::vault::{Identity, Keyring, Purpose};

/// The flags of vault passwords, for every command that reads vaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct VaultPasswords {
    /// A vault password, as ID@FILE, ID@SCRIPT or ID@prompt (repeatable)
    #[arg(long, value_name = "ID@SOURCE", help_heading = "Vaults")]
    pub vault_id: Vec<String>,

    /// The file that holds the vault password, or a script that prints it (repeatable)
    #[arg(long, alias = "vault-pass-file", value_name = "FILE", help_heading = "Vaults")]
    pub vault_password_file: Vec<String>,

    /// Ask for the vault password
    #[arg(
        short = 'J',
        long,
        alias = "ask-vault-pass",
        conflicts_with = "vault_password_file",
        help_heading = "Vaults"
    )]
    pub ask_vault_password: bool,
}

impl VaultPasswords {
    /// Where passwords are to be had, in the order in which they are tried.
    pub fn identities(&self, configuration: &Configuration) -> Vec<Identity> {
        let usual = usual_id(configuration);
        let files = configuration.path(&table::DEFAULT_VAULT_PASSWORD_FILE);
        let files = files.map(|path| path.display().to_string());
        let listed = configuration.list(&table::DEFAULT_VAULT_IDENTITY_LIST);
        let asked = self.ask_vault_password || configuration.truth(&table::DEFAULT_ASK_VAULT_PASS);
        listed
            .iter()
            .chain(&self.vault_id)
            .map(|text| Identity::parse(text.trim(), usual))
            .chain(
                self.vault_password_file
                    .iter()
                    .chain(&files)
                    .map(|path| Identity::file(path, usual)),
            )
            .chain(asked.then(|| Identity::prompt(usual)))
            .collect()
    }

    /// The passwords themselves. One that cannot be had is a warning as long as there is another.
    pub fn keyring(&self, configuration: &Configuration) -> Result<(Keyring, Vec<Diagnostic>), Diagnostic> {
        let match_ids = configuration.truth(&table::DEFAULT_VAULT_ID_MATCH);
        load(&self.identities(configuration), Purpose::Known, match_ids)
    }
}

/// The id of a password that comes without one.
pub fn usual_id(configuration: &Configuration) -> &str {
    configuration
        .text(&table::DEFAULT_VAULT_IDENTITY)
        .unwrap_or(crate::vault::DEFAULT_ID)
}

/// Reads passwords, each with the help of those before it.
pub fn load(
    identities: &[Identity],
    purpose: Purpose,
    match_ids: bool,
) -> Result<(Keyring, Vec<Diagnostic>), Diagnostic> {
    let mut keyring = Keyring::new(Vec::new(), match_ids);
    let mut failed = Vec::new();
    for identity in identities {
        match identity.password(purpose, &keyring) {
            Ok(password) => keyring.add(identity.id.clone(), password),
            Err(error) => failed.push((identity, error)),
        }
    }
    if keyring.is_empty()
        && let Some((_, error)) = failed.pop()
    {
        return Err(error);
    }
    let warnings = failed.into_iter().map(|(identity, error)| {
        let message = format!(
            "Error getting vault password ({}): {}",
            identity.id, error.message
        );
        error
            .hints
            .into_iter()
            .fold(Diagnostic::warning(message), Diagnostic::hint)
    });
    Ok((keyring, warnings.collect()))
}

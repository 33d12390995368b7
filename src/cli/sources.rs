//! Where a command that runs no playbook gets hosts and variables from: flags, and what they name.

use std::path::PathBuf;
use std::sync::Arc;

use clap::ArgAction;

use super::keyring::VaultPasswords;
use super::{extra_vars, settings};
use crate::configuration::{Configuration, table};
use crate::diagnostic::Diagnostic;
use crate::inventory::{Inventory, Pattern};
use crate::template::Names;
use crate::vault;

/// The flags that such commands share.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SourceArguments {
    /// Hosts: an inventory file, a script, a folder of them, or `host1,host2,` (repeatable)
    #[arg(
        short,
        long = "inventory",
        alias = "inventory-file",
        value_name = "INVENTORY",
        help_heading = "Hosts"
    )]
    pub inventories: Vec<String>,

    /// Only hosts that match a pattern: `web:!web3`, `@hosts.retry`
    #[arg(short, long, value_name = "PATTERN", help_heading = "Hosts")]
    pub limit: Option<String>,

    /// Set variables: `name=value`, YAML or JSON, or `@file` (repeatable, the last wins)
    #[arg(short, long, value_name = "VARIABLES", help_heading = "Values")]
    pub extra_vars: Vec<String>,

    /// The folder whose `group_vars` and `host_vars` count, as a playbook's would [default: the current one]
    #[arg(long, value_name = "FOLDER", help_heading = "Values")]
    pub playbook_dir: Option<PathBuf>,

    /// Forget what was remembered of the hosts' facts
    #[arg(long, help_heading = "Values")]
    pub flush_cache: bool,

    /// Say more; up to -vvvv
    #[arg(short, long, action = ArgAction::Count, help_heading = "Values")]
    pub verbose: u8,

    #[command(flatten)]
    pub vault_passwords: VaultPasswords,
}

/// What the flags name, read.
pub struct Sources {
    pub inventory: Inventory,
    pub extra_vars: Arc<Names>,
    pub limit: Option<Pattern>,
    /// Stands in for the playbook's folder.
    pub folder: PathBuf,
    pub warnings: Vec<Diagnostic>,
}

impl SourceArguments {
    /// Reads everything. The passwords of vaults are there from then on.
    pub fn read(&self, configuration: &Configuration) -> Result<Sources, Diagnostic> {
        let (keyring, mut warnings) = self.vault_passwords.keyring(configuration)?;
        vault::install(keyring);
        let (extra_vars, more) = extra_vars::read(&self.extra_vars)?;
        let extra_vars = Arc::new(extra_vars);
        warnings.extend(more);
        let inventories = settings::inventories(self.inventories.clone(), configuration);
        let (inventory, more) = Inventory::load(&inventories, configuration, &extra_vars)?;
        warnings.extend(more);
        let limit = self.limit.as_deref().filter(|limit| !limit.trim().is_empty());
        let limit = limit.map(|text| Pattern::parse_limit(text, |path| std::fs::read_to_string(path)));
        let current = || std::env::current_dir().unwrap_or_default();
        let folder = self.playbook_dir.clone();
        let folder = folder.or_else(|| configuration.path(&table::PLAYBOOK_DIR));
        Ok(Sources {
            inventory,
            extra_vars,
            limit: limit.transpose()?,
            folder: folder.unwrap_or_else(current),
            warnings,
        })
    }
}

//! What the command line and the configuration say of a run.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::configuration::Configuration;
use crate::playbook::Selection;
use crate::template::Names;
use crate::value::Secret;

/// How a run is to be done.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Hosts that are worked on at the same time.
    pub forks: usize,
    pub check: bool,
    pub diff: bool,
    pub selection: Selection,
    /// A pattern that every play's hosts must match, too.
    pub limit: Option<String>,
    pub extra_vars: Arc<Names>,
    pub start_at_task: Option<String>,
    pub force_handlers: bool,
    pub login: LoginSettings,
    pub become_as: BecomeSettings,
    pub verbosity: u8,
    /// As given with `-i`, for the variables that name them.
    pub inventories: Vec<String>,
    /// For what no flag is about.
    pub configuration: Arc<Configuration>,
}

/// How to log in, where no variable says otherwise.
#[derive(Debug, Clone)]
pub struct LoginSettings {
    pub connection: Option<String>,
    pub user: Option<String>,
    pub port: Option<u16>,
    pub password: Option<Secret>,
    pub private_key: Option<PathBuf>,
    pub passphrase: Option<Secret>,
    /// Options of the ssh program: common ones, further ones, its usual ones.
    pub ssh_arguments: [Option<String>; 3],
    pub host_key_checking: bool,
    pub timeout: Duration,
}

/// Who to become, where neither keyword nor variable says otherwise.
#[derive(Debug, Clone, Default)]
pub struct BecomeSettings {
    pub enabled: bool,
    pub user: Option<String>,
    pub method: Option<String>,
    pub flags: Option<String>,
    pub password: Option<Secret>,
}

//! The command line: what may be written, what it means, and one file per verb.

pub mod agent;
pub mod arguments;
pub mod extra_vars;
pub mod init;
pub mod playbook_lookup;
pub mod settings;

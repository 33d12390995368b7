//! What `vault` takes: the flags are `ansible-vault`'s.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::cli::keyring::VaultPasswords;

/// Encrypts files and values, and shows and changes what is encrypted.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110)]
pub struct Arguments {
    /// Accepted; there is nothing more to say
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,

    #[command(subcommand)]
    pub action: Action,
}

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Write a new encrypted file with an editor
    Create {
        #[arg(value_name = "FILE", required = true)]
        file: PathBuf,
        #[command(flatten)]
        passwords: VaultPasswords,
        #[command(flatten)]
        encrypt: EncryptWith,
        /// Open the editor even if standard output is no terminal
        #[arg(long)]
        skip_tty_check: bool,
    },
    /// Decrypt files in their places, or standard input
    Decrypt {
        #[command(flatten)]
        files: Files,
        #[command(flatten)]
        passwords: VaultPasswords,
        #[command(flatten)]
        output: Output,
    },
    /// Change encrypted files with an editor
    Edit {
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        passwords: VaultPasswords,
        #[command(flatten)]
        encrypt: EncryptWith,
    },
    /// Show what is in encrypted files
    View {
        #[command(flatten)]
        files: Files,
        #[command(flatten)]
        passwords: VaultPasswords,
    },
    /// Encrypt files in their places, or standard input
    Encrypt {
        #[command(flatten)]
        files: Files,
        #[command(flatten)]
        passwords: VaultPasswords,
        #[command(flatten)]
        encrypt: EncryptWith,
        #[command(flatten)]
        output: Output,
    },
    /// Encrypt values, to be put into files of variables
    #[command(name = "encrypt-string", alias = "encrypt_string")]
    EncryptString(EncryptString),
    /// Encrypt files anew, with another password
    Rekey {
        #[command(flatten)]
        files: Files,
        #[command(flatten)]
        passwords: VaultPasswords,
        #[command(flatten)]
        encrypt: EncryptWith,
        /// The file that holds the new password, or a script that prints it
        #[arg(long, value_name = "FILE", conflicts_with = "new_vault_id")]
        new_vault_password_file: Option<String>,
        /// The new password, as ID@FILE, ID@SCRIPT or ID@prompt
        #[arg(long, value_name = "ID@SOURCE")]
        new_vault_id: Option<String>,
    },
}

#[derive(Debug, Parser)]
pub struct EncryptString {
    /// The values; `-` is standard input, as is none
    #[arg(value_name = "VALUE")]
    pub values: Vec<String>,
    #[command(flatten)]
    pub passwords: VaultPasswords,
    #[command(flatten)]
    pub encrypt: EncryptWith,
    #[command(flatten)]
    pub output: Output,
    /// Ask for a value
    #[arg(short, long)]
    pub prompt: bool,
    /// Show what is typed
    #[arg(long)]
    pub show_input: bool,
    /// The variables' names, in the order of the values (repeatable)
    #[arg(short, long = "name", value_name = "NAME")]
    pub names: Vec<String>,
    /// The name of the variable that comes from standard input
    #[arg(long, value_name = "NAME")]
    pub stdin_name: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct Files {
    /// Files; `-` is standard input, as is none
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct EncryptWith {
    /// The id of the password to encrypt with, where there are several
    #[arg(long, value_name = "ID")]
    pub encrypt_vault_id: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct Output {
    /// Write there instead; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_table_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn both_spellings_and_flags_anywhere() {
        for verb in ["encrypt-string", "encrypt_string"] {
            let line = format!("vault {verb} one -n a --vault-id x@y two --name b");
            let Action::EncryptString(strings) = Arguments::try_parse_from(line.split(' ')).unwrap().action
            else {
                panic!("{verb}");
            };
            assert_eq!(strings.values, ["one", "two"]);
            assert_eq!(strings.names, ["a", "b"]);
            assert_eq!(strings.passwords.vault_id, ["x@y"]);
        }
        let line = "vault rekey --new-vault-id a --new-vault-password-file b f";
        assert_eq!(
            Arguments::try_parse_from(line.split(' '))
                .unwrap_err()
                .exit_code(),
            2
        );
    }
}

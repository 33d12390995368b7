//! Where passwords come from: files, programs, people.

use std::io::BufRead;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::format::is_vault;
use super::keyring::Keyring;
use crate::diagnostic::Diagnostic;
use crate::value::Secret;

/// What `--vault-id` and its like say: a vault id and where its password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub id: String,
    pub origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A person is asked; with the id in the question, or without.
    Prompt { named: bool },
    /// A file, or a program that prints the password.
    File(PathBuf),
}

/// Whether a password is for what is there, or one to be made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Known,
    /// A person is asked twice.
    New,
}

impl Identity {
    /// `ID@SOURCE` or `SOURCE`, which is a path or `prompt`; `usual` is the id of what has none.
    pub fn parse(text: &str, usual: &str) -> Self {
        let (id, source) = text.split_once('@').unwrap_or((usual, text));
        let id = if id.is_empty() { usual } else { id };
        Self {
            id: id.to_owned(),
            origin: match source {
                "prompt" => Origin::Prompt { named: true },
                "prompt_ask_vault_pass" => Origin::Prompt { named: false },
                path => Origin::File(expanded(path)),
            },
        }
    }

    /// A password file without an id.
    pub fn file(path: &str, usual: &str) -> Self {
        Self {
            id: usual.to_owned(),
            origin: Origin::File(expanded(path)),
        }
    }

    pub fn prompt(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            origin: Origin::Prompt { named: false },
        }
    }

    /// The password. A password file may be a vault itself, which the passwords known so far open.
    pub fn password(&self, purpose: Purpose, known: &Keyring) -> Result<Secret, Diagnostic> {
        match &self.origin {
            Origin::Prompt { named } => self.ask(purpose, *named),
            Origin::File(path) => {
                let metadata = path.metadata().map_err(|error| {
                    let why = match error.kind() {
                        std::io::ErrorKind::NotFound => "was not found".to_owned(),
                        _ => format!("cannot be read: {error}"),
                    };
                    Diagnostic::error(format!("The vault password file {} {why}", path.display()))
                })?;
                if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
                    self.run(path)
                } else {
                    read(path, known)
                }
            }
        }
    }

    fn ask(&self, purpose: Purpose, named: bool) -> Result<Secret, Diagnostic> {
        let of = if named {
            format!(" ({})", self.id)
        } else {
            String::new()
        };
        let password = match purpose {
            Purpose::Known => prompt(&format!("Vault password{of}: "))?,
            Purpose::New => {
                let first = prompt(&format!("New Vault password{of}: "))?;
                if prompt(&format!("Confirm New Vault password{of}: "))? != first {
                    return Err(Diagnostic::error("Passwords do not match"));
                }
                first
            }
        };
        let password = password.trim();
        if password.is_empty() {
            return Err(Diagnostic::error("Invalid vault password was provided"));
        }
        Ok(Secret::new(password))
    }

    /// A program prints the password; one that is called `NAME-client` is told the vault id.
    fn run(&self, path: &Path) -> Result<Secret, Diagnostic> {
        let client = path
            .file_stem()
            .is_some_and(|stem| stem.to_string_lossy().ends_with("-client"));
        let mut command = Command::new(path);
        if client {
            command.args(["--vault-id", &self.id]);
        }
        let output = command.stderr(Stdio::inherit()).output().map_err(|error| {
            Diagnostic::error(format!(
                "Problem running vault password script {}: {error}",
                path.display()
            ))
            .hint("if it is no script but a file with the password, take its execute permission away")
        })?;
        if !output.status.success() {
            let how = match output.status.code() {
                // What client scripts have agreed on.
                Some(2) if client => format!("did not find a secret for vault-id={}", self.id),
                Some(code) => format!("returned non-zero ({code})"),
                None => "was ended by a signal".to_owned(),
            };
            return Err(Diagnostic::error(format!(
                "Vault password script {} {how}",
                path.display()
            )));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        usable(text.trim_matches(['\r', '\n']), "script", path)
    }
}

fn read(path: &Path, known: &Keyring) -> Result<Secret, Diagnostic> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Diagnostic::error(format!(
            "Could not read vault password file {}: {error}",
            path.display()
        ))
    })?;
    if is_vault(&text) {
        let text = known.open_text(&text).map_err(|closed| {
            let mut error = closed.diagnostic();
            error.message = format!(
                "cannot open the vault password file {}: {}",
                path.display(),
                error.message
            );
            error
        })?;
        return usable(text.trim(), "file", path);
    }
    usable(text.trim(), "file", path)
}

fn usable(password: &str, kind: &str, path: &Path) -> Result<Secret, Diagnostic> {
    if password.is_empty() {
        return Err(Diagnostic::error(format!(
            "Invalid vault password was provided from {kind} ({})",
            path.display()
        )));
    }
    Ok(Secret::new(password))
}

/// Asks on the terminal; where there is none, a line of standard input answers.
pub fn prompt(question: &str) -> Result<String, Diagnostic> {
    if let Ok(answer) = rpassword::prompt_password(question) {
        return Ok(answer);
    }
    eprint!("{question}");
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(length) if length > 0 => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
        _ => Err(
            Diagnostic::error("nobody answers the question for the vault password")
                .hint("there is no terminal: use --vault-password-file"),
        ),
    }
}

/// An absolute path: what has no slash is not looked for in `$PATH` when it is run.
fn expanded(path: &str) -> PathBuf {
    let path = match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    };
    std::path::absolute(&path).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::seal;

    fn file(folder: &Path, name: &str, text: &str, mode: u32) -> Identity {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Identity::parse(&format!("prod@{}", path.display()), "default")
    }

    #[test]
    fn ids_and_sources() {
        let parsed = |text| {
            let identity = Identity::parse(text, "default");
            (identity.id, identity.origin)
        };
        let here = |name: &str| Origin::File(std::env::current_dir().unwrap().join(name));
        assert_eq!(
            parsed("prod@prompt"),
            ("prod".into(), Origin::Prompt { named: true })
        );
        assert_eq!(parsed("file"), ("default".into(), here("file")));
        assert_eq!(parsed("@file"), ("default".into(), here("file")));
        assert_eq!(parsed("a@b@c"), ("a".into(), here("b@c")));
    }

    #[test]
    fn files_programs_and_vaults() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let get = |identity: &Identity, known: &Keyring| {
            let path = folder.display().to_string();
            match identity.password(Purpose::Known, known) {
                Ok(password) => password.reveal().to_owned(),
                Err(error) => error.message.replace(&path, "DIR"),
            }
        };
        let none = Keyring::default();
        assert_eq!(get(&file(folder, "plain", " pw 1 \n", 0o600), &none), "pw 1");
        assert_eq!(
            get(
                &file(folder, "script", "#!/bin/sh\necho \" $# \"\n", 0o700),
                &none
            ),
            " 0 "
        );
        assert_eq!(
            get(
                &file(folder, "x-client.sh", "#!/bin/sh\necho \"$*\"\n", 0o700),
                &none
            ),
            "--vault-id prod"
        );
        assert_eq!(
            get(&file(folder, "no-client", "#!/bin/sh\nexit 2\n", 0o700), &none),
            "Vault password script DIR/no-client did not find a secret for vault-id=prod"
        );
        assert_eq!(
            get(&file(folder, "empty", "\n", 0o600), &none),
            "Invalid vault password was provided from file (DIR/empty)"
        );
        assert_eq!(
            get(
                &Identity::file(&folder.join("none").display().to_string(), "default"),
                &none
            ),
            "The vault password file DIR/none was not found"
        );
        let outer = Secret::new("outer");
        let sealed = seal(b"inner\n", "default", &outer, None).unwrap();
        let sealed = file(folder, "sealed", &sealed, 0o600);
        assert!(
            get(&sealed, &none).starts_with("cannot open the vault password file DIR/sealed: Attempting")
        );
        assert_eq!(
            get(&sealed, &Keyring::new(vec![("default".into(), outer)], false)),
            "inner"
        );
    }
}

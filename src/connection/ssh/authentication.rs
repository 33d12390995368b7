//! Logging in: the key that was asked for, the agent's keys, the configured or usual ones, the password.

use std::path::Path;

use ssh2::{KeyboardInteractivePrompt, Prompt, Session};

use super::settings::Settings;
use crate::connection::ConnectionError;
use crate::value::Secret;

/// Tries everything in order; what was tried is told if nothing helps.
pub fn log_in(session: &Session, settings: &Settings) -> Result<(), ConnectionError> {
    let mut attempt = Attempt {
        session,
        settings,
        tried: Vec::new(),
        notes: Vec::new(),
    };
    // A server that takes anybody ("none") has let us in already.
    let accepted = session
        .auth_methods(&settings.user)
        .map(str::to_owned)
        .unwrap_or_default();
    if session.authenticated() {
        return Ok(());
    }
    if accepted.is_empty() {
        return Err(ConnectionError::Unreachable {
            host: settings.host.clone(),
            reason: "it closed the connection before the log-in (it may be overloaded, or refuse this \
                     address)"
                .to_owned(),
        });
    }
    let takes = |method: &str| accepted.split(',').any(|word| word == method);
    let done = (takes("publickey") && attempt.keys())
        || (takes("password") && attempt.password())
        || (takes("keyboard-interactive") && attempt.keyboard_interactive());
    if done {
        return Ok(());
    }
    Err(ConnectionError::Authentication {
        host: settings.host.clone(),
        user: settings.user.clone(),
        tried: attempt.tried,
        accepted,
        notes: attempt.notes,
    })
}

struct Attempt<'a> {
    session: &'a Session,
    settings: &'a Settings,
    tried: Vec<String>,
    notes: Vec<String>,
}

impl Attempt<'_> {
    fn keys(&mut self) -> bool {
        // A key that was named is offered before the agent's: servers count the offers.
        let (named, usual) = self.settings.keys.split_at(self.settings.named_keys);
        named.iter().any(|path| self.key(path, true))
            || self.agent()
            || usual.iter().any(|path| self.key(path, false))
    }

    fn key(&mut self, path: &Path, named: bool) -> bool {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                if named {
                    self.notes
                        .push(format!("the key {} cannot be read: {error}", path.display()));
                }
                return false;
            }
        };
        let passphrase = self.settings.passphrase.as_ref().map(Secret::reveal);
        self.tried.push(format!("key {}", path.display()));
        let Err(error) = self
            .session
            .userauth_pubkey_memory(&self.settings.user, None, &text, passphrase)
        else {
            return true;
        };
        if is_encrypted(&text) {
            self.notes.push(format!(
                "the key {} is encrypted: {}",
                path.display(),
                if passphrase.is_some() {
                    "its passphrase may be wrong"
                } else {
                    "add it to an SSH agent with ssh-add, or give its passphrase"
                }
            ));
        } else if !is_refusal(&error) {
            self.notes.push(format!(
                "the key {} cannot be used: {}",
                path.display(),
                error.message()
            ));
        }
        false
    }

    fn agent(&mut self) -> bool {
        if std::env::var_os("SSH_AUTH_SOCK").is_none() {
            return false;
        }
        // An agent that is gone or empty is as good as none.
        let Ok(mut agent) = self.session.agent() else {
            return false;
        };
        if agent.connect().is_err() || agent.list_identities().is_err() {
            return false;
        }
        let Ok(identities) = agent.identities() else {
            return false;
        };
        for identity in identities {
            self.tried.push(format!("agent key {}", identity.comment()));
            if agent.userauth(&self.settings.user, &identity).is_ok() {
                return true;
            }
        }
        false
    }

    fn password(&mut self) -> bool {
        let Some(password) = &self.settings.password else {
            return false;
        };
        self.tried.push("password".to_owned());
        self.session
            .userauth_password(&self.settings.user, password.reveal())
            .is_ok()
    }

    fn keyboard_interactive(&mut self) -> bool {
        let Some(password) = &self.settings.password else {
            return false;
        };
        self.tried.push("keyboard-interactive".to_owned());
        self.session
            .userauth_keyboard_interactive(&self.settings.user, &mut SamePassword(password.reveal()))
            .is_ok()
    }
}

/// Answers whatever is asked in secret with the password.
struct SamePassword<'a>(&'a str);

impl KeyboardInteractivePrompt for SamePassword<'_> {
    fn prompt(&mut self, _user: &str, _instructions: &str, prompts: &[Prompt<'_>]) -> Vec<String> {
        prompts
            .iter()
            .map(|prompt| {
                if prompt.echo {
                    String::new()
                } else {
                    self.0.to_owned()
                }
            })
            .collect()
    }
}

/// Both PEM headers and the cipher's name inside OpenSSH's own format give an encrypted key away.
fn is_encrypted(text: &str) -> bool {
    use base64::Engine as _;
    if text.contains("ENCRYPTED") {
        return true;
    }
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    base64::engine::general_purpose::STANDARD
        .decode(body)
        .is_ok_and(|bytes| {
            // "openssh-key-v1\0", then the length and the name of the cipher.
            bytes.starts_with(b"openssh-key-v1\0") && bytes.get(19..23).is_some_and(|name| name != b"none")
        })
}

/// The server said no, as opposed to: the key could not be offered.
fn is_refusal(error: &ssh2::Error) -> bool {
    /// `LIBSSH2_ERROR_AUTHENTICATION_FAILED` and `LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED`.
    const REFUSALS: [i32; 2] = [-18, -19];
    matches!(error.code(), ssh2::ErrorCode::Session(code) if REFUSALS.contains(&code))
}

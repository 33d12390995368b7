//! Who may do what: how a client proves who it is, what rules allow it, how much it may ask for.
//!
//! | file | |
//! |---|---|
//! | `identity` | who asks |
//! | `htpasswd`, `passwords`, `throttle` | users and their passwords; failed log-ins are slowed |
//! | `scope`, `token` | docker's token protocol: scopes, tokens, keys |
//! | `challenge` | what a 401 asks for |
//! | `pattern`, `rules` | what is allowed to whom on which repositories |
//! | `limits`, `quota` | how much |
//! | `forwarded` | who is behind a proxy |
//! | `audit` | what is told of it |
//! | `generations`, `watched` | bounded memory; files that change |
//!
//! [`Access`] holds what outlives a request and a reload. Which permission a request needs is `route`'s, and what
//! becomes of a refusal is `api`'s: nothing here knows HTTP beyond the texts of its headers.

pub mod audit;
pub mod challenge;
pub mod forwarded;
mod generations;
pub mod htpasswd;
pub mod identity;
pub mod limits;
mod passwords;
pub mod pattern;
pub mod quota;
pub mod rules;
pub mod scope;
mod throttle;
pub mod token;
mod watched;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use audit::{Audit, AuditError};
use htpasswd::HtpasswdError;
use identity::Identity;
use limits::Buckets;
use passwords::{Passwords, Verdict};
use quota::Quotas;
use rules::Permission;
use throttle::Throttle;
use token::keys::Keys;
use token::remote::Remote;
use token::signing::{SigningError, SigningKey};
use token::trust::{Proved, Terms, TokenError, Verifier};
use watched::Watched;

use super::config::{AuthConfig, Config};
use crate::value::Secret;

/// Where the token server's key lies, below the storage's folder.
const TOKEN_FOLDER: &str = "regdeploy/token";

/// Why access cannot be controlled.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error(transparent)]
    Users(#[from] HtpasswdError),
    #[error(transparent)]
    Signing(#[from] SigningError),
    #[error("the keys of `auth.token`: {0}")]
    Keys(String),
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// What a client says that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    Password { user: String, password: Secret },
    Token(Secret),
}

/// Why what it says is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disbelief {
    /// User or password are wrong; which of them is not said.
    Wrong,
    /// After failures: come again later.
    Slowed(Duration),
    Token(TokenError),
    /// There is no log-in of this kind here.
    Kind,
}

/// Why something is not done here, whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOffered {
    #[error("the registry is in read-only mode")]
    ReadOnly,
    #[error("deletion is disabled; `storage.delete.enabled` allows it")]
    NoDeletion,
}

/// What this registry does at all.
pub fn offered(config: &Config, read_only: bool, permission: Permission) -> Result<(), NotOffered> {
    match permission {
        Permission::Push | Permission::Delete if read_only => Err(NotOffered::ReadOnly),
        Permission::Delete if !config.storage.delete_enabled => Err(NotOffered::NoDeletion),
        _ => Ok(()),
    }
}

/// After how long a log-in is tried again for which there was no processor.
const BUSY: Duration = Duration::from_secs(5);

/// Everything of one configuration's `auth`.
pub struct Auth {
    pub config: AuthConfig,
    passwords: Option<Passwords>,
    pub issuing: Option<Issuing>,
    external: Option<External>,
}

/// What another token server signs with: in files, at a URL, or both.
struct External {
    files: Option<Watched<Verifier>>,
    remote: Option<Remote>,
}

/// The built-in token server's key, and what verifies its tokens.
pub struct Issuing {
    pub key: SigningKey,
    verifier: Verifier,
}

pub struct Access {
    auth: RwLock<Arc<Auth>>,
    throttle: Throttle,
    pub buckets: Buckets,
    pub quotas: Quotas,
    pub audit: Arc<Audit>,
    /// 0: as configured; 1: off; 2: on.
    read_only: AtomicU8,
}

impl Auth {
    fn open(config: &AuthConfig, root: &Path) -> Result<Self, AccessError> {
        let passwords = config.htpasswd.path.clone().map(Passwords::open).transpose()?;
        let issuing = if config.server.enabled {
            let key = match &config.server.key {
                Some(path) => SigningKey::read(path)?,
                None => SigningKey::read_or_make(&root.join(TOKEN_FOLDER))?,
            };
            let verifier = Verifier::new(Keys::one(&key.id, key.decoding.clone()));
            Some(Issuing { key, verifier })
        } else {
            None
        };
        let external = if config.token.is_set() {
            let (bundle, jwks) = (config.token.root_cert_bundle.clone(), config.token.jwks.clone());
            let files: Vec<PathBuf> = bundle.iter().chain(&jwks).cloned().collect();
            let read = move |_: &[PathBuf]| Keys::read(bundle.as_deref(), jwks.as_deref()).map(Verifier::new);
            let files = (!files.is_empty()).then(|| Watched::new(files, read)).transpose();
            Some(External {
                files: files.map_err(AccessError::Keys)?,
                remote: config
                    .token
                    .jwks_url
                    .clone()
                    .map(|url| Remote::new(url, config.token.jwks_authority.as_deref())),
            })
        } else {
            None
        };
        Ok(Self {
            config: config.clone(),
            passwords,
            issuing,
            external,
        })
    }

    /// Believes a token, if it is to be believed.
    async fn token(&self, token: &str) -> Result<Identity, Disbelief> {
        let proved = if let Some(issuing) = &self.issuing {
            issuing.verifier.verify(token, &self.config.server.terms())
        } else if let Some(external) = &self.external {
            external.verify(token, &self.config.token.terms()).await
        } else {
            return Err(Disbelief::Kind);
        };
        let proved = proved.map_err(Disbelief::Token)?;
        Ok(Identity {
            user: proved.user,
            certificate: None,
            token: Some(proved.grants),
        })
    }

    /// A text that changes with a user's password; none where there is no such user.
    pub fn fingerprint(&self, user: &str) -> Option<String> {
        self.passwords.as_ref()?.fingerprint(user)
    }
}

impl External {
    async fn verify(&self, token: &str, terms: &Terms) -> Result<Proved, TokenError> {
        let mut found = Err(TokenError::UnknownKey);
        if let Some(files) = &self.files {
            found = files.current().verify(token, terms);
        }
        for anew in [false, true] {
            if let (Err(TokenError::UnknownKey), Some(remote)) = (&found, &self.remote)
                && let Some(verifier) = remote.verifier(anew).await
            {
                found = verifier.verify(token, terms);
            }
        }
        found
    }
}

impl Access {
    pub fn open(config: &Config) -> Result<Self, AccessError> {
        Ok(Self {
            auth: RwLock::new(Arc::new(Auth::open(&config.auth, &config.storage.root)?)),
            throttle: Throttle::default(),
            buckets: Buckets::default(),
            quotas: Quotas::default(),
            audit: Arc::new(Audit::open(&config.access.audit)?),
            read_only: AtomicU8::new(0),
        })
    }

    /// Takes over what a new configuration says; where that cannot be, the old one stays in force.
    pub fn reload(&self, config: &Config) {
        let changed = self.auth().config != config.auth;
        if changed {
            match Auth::open(&config.auth, &config.storage.root) {
                Ok(auth) => *self.auth.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(auth),
                Err(error) => tracing::error!("{error}; `auth` stays as it was"),
            }
        }
        if let Err(error) = self.audit.reopen(&config.access.audit) {
            tracing::error!("{error}; the audit log stays where it was");
        }
    }

    /// What is in force of `auth`. A request takes it once.
    pub fn auth(&self) -> Arc<Auth> {
        Arc::clone(&self.auth.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Finds out who asks from `address`.
    pub async fn identify(
        &self,
        auth: &Auth,
        credentials: Option<Credentials>,
        certificate: Option<Arc<str>>,
        address: IpAddr,
    ) -> Result<Identity, Disbelief> {
        let identity = match credentials {
            // Some clients send an empty log-in where they have none.
            Some(Credentials::Password { user, password })
                if user.is_empty() && password.reveal().is_empty() =>
            {
                Identity::default()
            }
            // Where nobody can log in, nobody has to.
            Some(_) if !auth.config.is_set() => Identity::default(),
            None => Identity::default(),
            Some(Credentials::Token(token)) => auth.token(token.reveal()).await?,
            Some(Credentials::Password { user, password }) => {
                self.log_in(auth, &user, &password, address).await?;
                Identity {
                    user: Some(user.into()),
                    ..Identity::default()
                }
            }
        };
        Ok(Identity {
            certificate,
            ..identity
        })
    }

    async fn log_in(
        &self,
        auth: &Auth,
        user: &str,
        password: &Secret,
        address: IpAddr,
    ) -> Result<(), Disbelief> {
        let passwords = auth.passwords.as_ref().ok_or(Disbelief::Kind)?;
        if passwords.is_remembered(user, password) {
            return Ok(());
        }
        let admit = || match self.throttle.wait(address, user, Instant::now()) {
            None => Ok(()),
            Some(wait) => Err(Disbelief::Slowed(wait)),
        };
        // Before it takes a place in the queue, and once more when its turn has come.
        admit()?;
        match passwords.compare(user, password, admit).await? {
            Verdict::Right => {
                self.throttle.succeeded(address, user);
                Ok(())
            }
            Verdict::Wrong => {
                self.throttle.failed(address, user, Instant::now());
                Err(Disbelief::Wrong)
            }
            Verdict::Busy => Err(Disbelief::Slowed(BUSY)),
        }
    }

    /// Makes the registry refuse pushes and deletions from now on, or take them; None: as the configuration has it.
    pub fn set_read_only(&self, to: Option<bool>) {
        let value = match to {
            None => 0,
            Some(false) => 1,
            Some(true) => 2,
        };
        self.read_only.store(value, Ordering::Relaxed);
    }

    pub fn is_read_only(&self, config: &Config) -> bool {
        match self.read_only.load(Ordering::Relaxed) {
            0 => config.storage.read_only,
            value => value == 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_10_deletion_is_off_unless_enabled() {
        let mut config = Config::default();
        let not = |config: &Config, read_only, permission| offered(config, read_only, permission).err();
        assert_eq!(
            not(&config, false, Permission::Delete),
            Some(NotOffered::NoDeletion)
        );
        assert_eq!(not(&config, false, Permission::Push), None);
        config.storage.delete_enabled = true;
        assert_eq!(not(&config, false, Permission::Delete), None);
        for permission in Permission::ALL {
            let writes = matches!(permission, Permission::Push | Permission::Delete);
            assert_eq!(
                not(&config, true, permission),
                writes.then_some(NotOffered::ReadOnly)
            );
        }
    }

    #[test]
    fn read_only_is_switched_while_it_runs() {
        let mut config = Config::default();
        let access = Access::open(&config).unwrap();
        for (configured, to, expected) in [
            (false, None, false),
            (true, None, true),
            (true, Some(false), false),
            (false, Some(true), true),
            (false, None, false),
        ] {
            config.storage.read_only = configured;
            access.set_read_only(to);
            assert_eq!(access.is_read_only(&config), expected);
        }
    }
}

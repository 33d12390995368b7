//! Looks after the certificate in force: loads it at the start, and again when its files, or the settings,
//! have changed. What is broken is told once and changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Offer, TlsError, acme, material, own};
use crate::certificate::Name;
use crate::registry::config::tls::Origin;
use crate::registry::config::{Config, Tls};

/// Below the root directory.
const OWN_FOLDER: &str = "regdeploy/tls";
/// When a certificate of our own is tried again that could not be made.
const RETRY: Duration = Duration::from_hours(1);

pub struct Keeper {
    offer: Arc<Offer>,
    /// What was last looked at, whether it was good or not.
    seen: Option<Seen>,
    /// When a certificate of our own is due.
    renewal: Option<SystemTime>,
}

/// What decides on what is offered.
#[derive(PartialEq)]
struct Seen {
    settings: Tls,
    http2: bool,
    names: BTreeSet<Name>,
    stamps: Vec<Option<Stamp>>,
}

/// What changes when a file is replaced or written to: inode, size, time of the last change.
type Stamp = (u64, u64, i64, i64);

impl Keeper {
    /// Offers what the configuration says; None where it wants no TLS. What comes from an ACME server may not
    /// be there yet; every other fault is one.
    pub fn start(config: &Config) -> Result<Option<Self>, TlsError> {
        let Some(origin) = config.http.tls.origin() else {
            return Ok(None);
        };
        let mut keeper = Self {
            offer: Arc::default(),
            seen: None,
            renewal: None,
        };
        match (origin, keeper.load(config, origin, SystemTime::now())) {
            (Origin::Acme(_), Err(reason)) => {
                tracing::info!(%reason, "there is no certificate yet: it comes from the ACME server");
            }
            (_, loaded) => loaded?,
        }
        keeper.seen = Some(see(config, origin));
        Ok(Some(keeper))
    }

    pub fn offer(&self) -> Arc<Offer> {
        Arc::clone(&self.offer)
    }

    /// Puts in force what has changed. Reads files.
    pub fn look(&mut self, config: &Config, now: SystemTime) {
        let Some(origin) = config.http.tls.origin() else {
            return;
        };
        let due = self.renewal.is_some_and(|renewal| renewal <= now);
        let seen = Some(see(config, origin));
        if seen == self.seen && !due {
            return;
        }
        match self.load(config, origin, now) {
            Ok(()) => tracing::info!("a new certificate or new settings of TLS are in force"),
            Err(error) => {
                tracing::error!(%error, "the old certificate stays in force");
                // Told once, and not at every look.
                self.renewal = self.renewal.map(|renewal| renewal.max(now + RETRY));
            }
        }
        // Files may have been made just now.
        self.seen = Some(see(config, origin));
    }

    fn load(&mut self, config: &Config, origin: Origin<'_>, now: SystemTime) -> Result<(), TlsError> {
        let (certificate, key) = files(config, origin);
        self.renewal = match (origin, certificate.parent()) {
            (Origin::Own(_), Some(folder)) => Some(own::ensure(folder, &own::names(config), now)?),
            _ => None,
        };
        let config = material::load(&certificate, &key, &config.http.tls, config.http.http2)?;
        self.offer.set(config);
        Ok(())
    }
}

/// Where the certificate is that connections are offered; None without TLS.
pub fn certificate_file(config: &Config) -> Option<PathBuf> {
    let (certificate, _) = files(config, config.http.tls.origin()?);
    Some(certificate)
}

/// Certificate and key.
fn files(config: &Config, origin: Origin<'_>) -> (PathBuf, PathBuf) {
    match origin {
        Origin::Files { certificate, key } => (certificate.clone(), key.clone()),
        Origin::Own(_) => {
            let folder = config.storage.root.join(OWN_FOLDER);
            (folder.join(own::CERTIFICATE_FILE), folder.join(own::KEY_FILE))
        }
        Origin::Acme(_) => {
            let folder = acme::folder(config);
            (folder.join(acme::CERTIFICATE_FILE), folder.join(acme::KEY_FILE))
        }
    }
}

fn see(config: &Config, origin: Origin<'_>) -> Seen {
    let (certificate, key) = files(config, origin);
    let settings = config.http.tls.clone();
    let others = settings.client_authorities.iter();
    let stamps = [&certificate, &key].into_iter().chain(others);
    Seen {
        stamps: stamps.map(|path| stamp(path)).collect(),
        http2: config.http.http2,
        names: match origin {
            Origin::Own(_) => own::names(config),
            _ => BTreeSet::new(),
        },
        settings,
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
}

//! Scrubbing: every stored byte is read again and held against its digest.
//!
//! What is damaged is moved into quarantine, so that it counts as missing: a client that pushes is told that
//! the registry does not have it, sends it again, and all is well. Reading is as slow as one wants it. Where it
//! has come to is written down, and a later scrub goes on from there.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::collect::now;
use super::{CareError, Registry, Watch};
use crate::registry::digest::{Algorithm, Digest, Hasher};
use crate::registry::name::{RepositoryName, Tag};
use crate::registry::storage::{Key, paths};

/// Read at once.
const PIECE: usize = 1 << 20;
/// A link is one digest.
const MAX_LINK: u64 = 256;
/// How often the position is written down.
const SAVE: Duration = Duration::from_secs(10);
/// How long a slow scrub sleeps before it looks whether it shall stop.
const NAP: Duration = Duration::from_millis(200);
/// Damaged things that are named in a report; the others are counted.
const MAX_NAMED: usize = 1000;
/// A position is small.
const MAX_POSITION: u64 = 1 << 20;

/// How to scrub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Bytes to read in a second; 0 is as fast as can be.
    pub rate: u64,
    /// From the beginning, wherever the last one has come to.
    pub restart: bool,
    /// Only say what is damaged.
    pub dry_run: bool,
}

/// What was found. It is also the position: what was seen, and after which blob to go on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scrubbed {
    /// In seconds since 1970.
    pub started: u64,
    pub blobs: u64,
    pub bytes: u64,
    pub links: u64,
    /// Links to what is not there: a client that pushes sends it again.
    pub missing: u64,
    pub damaged: u64,
    /// Each damaged thing and what is wrong with it.
    pub named: Vec<Damage>,
    /// The last blob that was read; none once all have been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// Its place in the data directory.
    pub key: String,
    pub why: String,
}

/// One scrub under way.
struct Scrub<'a> {
    registry: &'a Registry,
    options: Options,
    watch: &'a dyn Watch,
    found: Scrubbed,
    saved: Instant,
    pace: Pace,
}

impl Registry {
    /// Reads everything, or what the last scrub has left.
    pub fn scrub(&self, options: Options, watch: &dyn Watch) -> Result<Scrubbed, CareError> {
        let fresh = || Scrubbed {
            started: now(),
            ..Scrubbed::default()
        };
        let last = if options.restart || options.dry_run {
            None
        } else {
            self.position()?
        };
        let mut scrub = Scrub {
            registry: self,
            options,
            watch,
            found: last.unwrap_or_else(fresh),
            saved: Instant::now(),
            pace: Pace::new(options.rate),
        };
        let ended = scrub.run();
        if !options.dry_run {
            match &ended {
                Ok(()) => self.storage.delete(&paths::scrub())?,
                Err(_) => scrub.save()?,
            }
        }
        ended?;
        Ok(scrub.found)
    }

    fn position(&self) -> Result<Option<Scrubbed>, CareError> {
        match self.storage.read(&paths::scrub(), MAX_POSITION) {
            Err(error) if error.is_not_found() => Ok(None),
            // What cannot be understood is no position: all is read.
            bytes => Ok(serde_json::from_slice(&bytes?).ok()),
        }
    }
}

impl Scrub<'_> {
    fn run(&mut self) -> Result<(), CareError> {
        let after: Option<Digest> = self.found.after.as_ref().and_then(|text| text.parse().ok());
        for algorithm in Algorithm::ALL {
            if after.as_ref().is_some_and(|after| after.algorithm() > algorithm) {
                continue;
            }
            let after = after.as_ref().filter(|after| after.algorithm() == algorithm);
            let from = after.and_then(|after| u8::from_str_radix(&after.hex()[..2], 16).ok());
            for first in from.unwrap_or(0)..=u8::MAX {
                let registry = self.registry;
                registry.each_name(
                    &paths::blobs_from(algorithm, first),
                    &mut |hex| match Digest::from_parts(algorithm, hex) {
                        Ok(digest) if after.is_none_or(|after| *after < digest) => self.blob(&digest),
                        _ => Ok(()),
                    },
                )?;
            }
        }
        let registry = self.registry;
        registry.each_repository(&mut |name| self.repository(name))
    }

    fn blob(&mut self, digest: &Digest) -> Result<(), CareError> {
        self.watch.step("blobs", self.found.blobs, None)?;
        let key = paths::blob(digest);
        if let Some(why) = self.read(&key, digest)?
            // Once more: a push may have replaced it under one's eyes, and a bus may have had a bad moment.
            && self.read(&key, digest)?.is_some()
        {
            self.damaged(&key, why);
            if !self.options.dry_run {
                self.quarantine(&key, digest)?;
            }
        }
        self.found.blobs += 1;
        self.found.after = Some(digest.to_string());
        if self.saved.elapsed() > SAVE {
            self.save()?;
        }
        Ok(())
    }

    /// What is wrong with a blob, if anything is.
    fn read(&mut self, key: &Key, digest: &Digest) -> Result<Option<String>, CareError> {
        let content = match self.registry.storage.open(key) {
            // Collected in between.
            Err(error) if error.is_not_found() => return Ok(None),
            content => content?,
        };
        let mut hasher = Hasher::new(digest.algorithm());
        let mut offset = 0;
        while offset < content.size() {
            let piece = match content.read_at(offset, self.pace.piece()) {
                Ok(piece) => piece,
                Err(error) => return Ok(Some(format!("it cannot be read: {error}"))),
            };
            hasher.update(&piece);
            offset += piece.len() as u64;
            let (watch, blobs) = (self.watch, self.found.blobs);
            self.pace
                .after(piece.len(), || watch.progress("blobs", blobs, None))?;
        }
        // Once it is whole: where one was stopped in the middle, it is read again.
        self.found.bytes += offset;
        let computed = hasher.finish();
        Ok((computed != *digest).then(|| format!("its digest is {computed}")))
    }

    fn quarantine(&mut self, key: &Key, digest: &Digest) -> Result<(), CareError> {
        let (storage, aside) = (&self.registry.storage, paths::quarantined(key));
        storage.publish(key, &aside)?;
        // A push may have healed it just before: then it belongs where it was.
        if self.read(&aside, digest)?.is_none() && !self.registry.storage.exists(key)? {
            self.registry.storage.publish(&aside, key)?;
            return Ok(());
        }
        tracing::error!(%digest, "a damaged blob is in quarantine; the next push of it heals it");
        Ok(())
    }

    fn repository(&mut self, name: &RepositoryName) -> Result<(), CareError> {
        let registry = self.registry;
        for algorithm in Algorithm::ALL {
            registry.each_layer(name, algorithm, &mut |digest| {
                self.link(&paths::layer_link(name, &digest), Some(&digest))
            })?;
        }
        for digest in registry.revisions(name)? {
            self.link(&paths::revision_link(name, &digest), Some(&digest))?;
        }
        registry.each_name(&paths::tags(name), &mut |text| {
            let Ok(tag) = text.parse::<Tag>() else {
                return Ok(());
            };
            self.link(&paths::tag_current(name, &tag), None)
        })
    }

    /// Looks at a link, which names `expected` or, where that is none, anything.
    fn link(&mut self, key: &Key, expected: Option<&Digest>) -> Result<(), CareError> {
        self.watch.step("links", self.found.links, None)?;
        self.found.links += 1;
        let storage = &self.registry.storage;
        let bytes = match storage.read(key, MAX_LINK) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(crate::registry::storage::StorageError::TooLarge { .. }) => bytes::Bytes::new(),
            Err(error) => return Err(error.into()),
        };
        let named = String::from_utf8_lossy(&bytes).trim().parse::<Digest>();
        let why = match (&named, expected) {
            (Err(error), _) => error.to_string(),
            // What was pushed by SHA-512 may be stored by SHA-256.
            (Ok(named), Some(expected)) if named != expected && expected.algorithm() == Algorithm::Sha256 => {
                format!("it names {named}")
            }
            (Ok(named), _) => {
                self.found.missing += u64::from(!storage.exists(&paths::blob(named))?);
                return Ok(());
            }
        };
        self.damaged(key, why);
        if self.options.dry_run {
            return Ok(());
        }
        self.registry.storage.publish(key, &paths::quarantined(key))?;
        tracing::error!(%key, "a damaged link is in quarantine; the next push of what it names heals it");
        Ok(())
    }

    fn damaged(&mut self, key: &Key, why: String) {
        self.found.damaged += 1;
        if self.found.named.len() < MAX_NAMED {
            self.found.named.push(Damage {
                key: key.to_string(),
                why,
            });
        }
    }

    fn save(&mut self) -> Result<(), CareError> {
        self.saved = Instant::now();
        if self.options.dry_run {
            return Ok(());
        }
        let text = serde_json::to_vec(&self.found).unwrap_or_default();
        Ok(self.registry.storage.write(&paths::scrub(), &text)?)
    }
}

/// Keeps reading below a rate.
struct Pace {
    rate: u64,
    began: Instant,
    bytes: u64,
}

impl Pace {
    fn new(rate: u64) -> Self {
        Self {
            rate,
            began: Instant::now(),
            bytes: 0,
        }
    }

    /// How much to read at once: a quarter of a second's worth.
    fn piece(&self) -> usize {
        match self.rate {
            0 => PIECE,
            rate => usize::try_from(rate / 4).unwrap_or(PIECE).clamp(4096, PIECE),
        }
    }

    /// Sleeps off what was read too fast, while `go_on` agrees.
    fn after(&mut self, length: usize, go_on: impl Fn() -> bool) -> Result<(), CareError> {
        if self.rate == 0 {
            return if go_on() { Ok(()) } else { Err(CareError::Stopped) };
        }
        self.bytes += length as u64;
        let due = self.began + Duration::from_millis(self.bytes.saturating_mul(1000) / self.rate);
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            if !go_on() {
                return Err(CareError::Stopped);
            }
            std::thread::sleep(left.min(NAP));
        }
    }
}

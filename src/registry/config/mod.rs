//! The server's configuration: what it means once it is read.
//!
//! | file | |
//! |---|---|
//! | `auth`, `access` | how clients log in; what is allowed to whom, and how much |
//! | `log`, `storage`, `maintenance`, `retention`, `http`, `tls`, `catalog`, `proxy` | a section each: structure, defaults, keys, what goes with what |
//! | `notifications`, `health`, `observability` | what is told to others |
//! | `absent` | sections of distribution that are not there |
//! | `key`, `path` | what a key is: path, meaning, how it is set and shown |
//! | `document`, `environment`, `apply` | YAML and variables into leaves, leaves into values |
//! | `show` | the way back |
//! | `live` | the configuration in force while the server runs |
//!
//! Keys are those of distribution's `config.yml` where they have a counterpart, so that people can bring
//! theirs. A section is added by its file, its field in [`Config`] and its row in `SECTIONS`.

mod absent;
mod access;
mod apply;
mod auth;
mod catalog;
mod document;
mod environment;
mod health;
mod http;
mod key;
mod live;
mod log;
mod maintenance;
mod notifications;
mod observability;
mod origin;
mod path;
mod proxy;
mod retention;
mod scalar;
mod secret;
mod show;
mod storage;
pub mod tls;

use std::sync::Arc;

pub use access::{AccessConfig, Limits, rule_place};
pub use auth::{AuthConfig, ExternalToken, Htpasswd, TokenServer};
pub use catalog::Catalog;
pub use health::{FileCheck, HealthConfig, HttpCheck, StorageCheck, TcpCheck};
pub use http::{Address, Debug, Http};
pub use key::{At, Key, Shown, in_list, in_map};
pub use live::Live;
pub use log::{Log, LogFormat};
pub use maintenance::{Maintenance, MinFree};
pub use notifications::{Endpoint, Notifications};
pub use observability::Observability;
pub use origin::Origin;
pub use proxy::{Proxy, UnknownHosts, Upstream};
pub use retention::{Pattern, Retention, Rule};
pub use scalar::duration;
pub use secret::Secret;
pub use show::show;
pub use storage::StorageConfig;
pub use tls::{ClientAuth, Tls, TlsVersion};

use key::Section;
use path::Word;

use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};

/// The whole configuration, resolved.
#[derive(Debug, Clone, Default)]
pub struct Config {
    pub log: Log,
    pub storage: StorageConfig,
    pub maintenance: Maintenance,
    pub retention: Retention,
    pub http: Http,
    pub catalog: Catalog,
    pub proxy: Proxy,
    pub auth: AuthConfig,
    pub access: AccessConfig,
    pub notifications: Notifications,
    pub observability: Observability,
    pub health: HealthConfig,
}

const SECTIONS: &[&Section] = &[
    &VERSION_SECTION,
    &log::SECTION,
    &storage::SECTION,
    &maintenance::SECTION,
    &retention::SECTION,
    &http::SECTION,
    &tls::SECTION,
    &catalog::SECTION,
    &proxy::SECTION,
    &auth::SECTION,
    &access::SECTION,
    &notifications::SECTION,
    &health::SECTION,
    &observability::SECTION,
    &absent::SECTION,
];

/// The form that this server reads is distribution's own version of it.
const VERSION: &str = "0.1";
const VERSION_SECTION: Section = Section {
    keys: &[Key::one(
        "version",
        "version of the form; only this one is known",
        |_, text| {
            if text == VERSION {
                Ok(())
            } else {
                Err(format!("must be {VERSION}"))
            }
        },
        |_| Some(VERSION.to_owned()),
    )],
    ..Section::EMPTY
};

/// The table of keys: everything else about configuration goes over it.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    SECTIONS.iter().flat_map(|section| section.keys)
}

/// Keys of distribution that are taken without effect, and why.
pub fn without_effect() -> impl Iterator<Item = (&'static str, &'static str)> {
    SECTIONS
        .iter()
        .flat_map(|section| section.without_effect)
        .copied()
}

/// Keys of distribution that are refused, and why.
pub fn refused() -> impl Iterator<Item = (&'static str, &'static str)> {
    SECTIONS.iter().flat_map(|section| section.refused).copied()
}

/// A configuration and what is to be said of it that does not keep it from being used.
#[derive(Debug, Default)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Diagnostic>,
}

/// Reads a configuration, then `REGISTRY_*` variables over it, and looks at the whole.
///
/// All that is wrong is told at once.
pub fn load(
    source: &Arc<Source>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, Vec<Diagnostic>> {
    let (loaded, leaves, mut errors) = read(source, environment).map_err(|error| vec![*error])?;
    let places = Places(&leaves);
    for section in SECTIONS {
        errors.extend((section.check)(&loaded.config, &places));
    }
    if errors.is_empty() {
        Ok(loaded)
    } else {
        Err(errors)
    }
}

/// Each value by itself.
fn read(
    source: &Arc<Source>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<(Loaded, Vec<Leaf>, Vec<Diagnostic>), Box<Diagnostic>> {
    let mut loaded = Loaded::default();
    let mut errors = Vec::new();
    let leaves = document::leaves(source, &[])?;
    let mut leaves: Vec<Leaf> = leaves.into_iter().map(Leaf::spelled_out).collect();
    for leaf in &leaves {
        apply::apply(leaf, &mut loaded, &mut errors);
    }
    environment::leaves(environment, &mut loaded, &mut errors, |leaf, loaded, errors| {
        let leaf = leaf.spelled_out();
        apply::apply(&leaf, loaded, errors);
        leaves.push(leaf);
    });
    Ok((loaded, leaves, errors))
}

/// Takes over from `old` what only a restart can change; returns the keys that would have changed.
pub fn keep_what_is_fixed(new: &mut Config, old: &Config) -> Vec<&'static str> {
    keys()
        .filter(|key| key.keep(new, old))
        .map(|key| key.path)
        .collect()
}

/// One value of a configuration, with its place.
#[derive(Debug)]
struct Leaf {
    /// From the outermost in.
    path: Vec<Word>,
    /// Where each word of it is written.
    keys: Vec<Span>,
    /// A scalar is one value.
    values: Vec<String>,
    value: Span,
    /// `key:` and nothing behind it.
    null: bool,
}

/// Groups that may hold just the name of what is chosen in them: `storage: filesystem`, `REGISTRY_AUTH=htpasswd`.
const CHOICES: [&str; 2] = ["storage", "auth"];

impl Leaf {
    /// A choice by its name alone, as the empty group that it stands for.
    fn spelled_out(mut self) -> Self {
        if let [Word::Key(group)] = &self.path[..]
            && CHOICES.contains(&group.as_str())
            && let [name] = &mut self.values[..]
            && !self.null
        {
            self.path.push(Word::Key(std::mem::take(name)));
            self.keys.push(self.value.clone());
            self.null = true;
        }
        self
    }

    /// Where `path`, which this leaf lies under, has its last key.
    fn key_of(&self, path: &str) -> &Span {
        let depth = path.split('.').count();
        self.keys.get(depth - 1).unwrap_or(&self.value)
    }
}

/// Where the keys of a configuration are written, for what is wrong between them.
pub struct Places<'a>(&'a [Leaf]);

impl Places<'_> {
    /// Whether anything is said of a key or group.
    pub fn mention(&self, path: &str) -> bool {
        self.last(path).is_some()
    }

    /// An error at a key or group such as `http.tls.key` or `notifications.endpoints.0.url`, where it is written.
    pub fn error(&self, path: &str, message: impl Into<String>) -> Diagnostic {
        let error = Diagnostic::error(message);
        match self.last(path) {
            Some(leaf) => error.at(leaf.key_of(path)),
            None => error,
        }
    }

    /// Whether that is only that it is there: `token:` and nothing under it.
    pub fn is_empty(&self, path: &str) -> bool {
        self.last(path)
            .is_none_or(|leaf| leaf.null && path::shown(&leaf.path) == path)
    }

    /// The last that is said of it, which is in force.
    fn last(&self, path: &str) -> Option<&Leaf> {
        let under = |leaf: &&Leaf| {
            let shown = path::shown(&leaf.path);
            let rest = shown.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.0.iter().rev().find(under)
    }
}

#[cfg(test)]
mod tests;

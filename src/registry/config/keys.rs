//! The table of keys: everything else about configuration (reading, the environment, `config show`, the
//! documentation's test) goes over it.

use hyper::header::{HeaderName, HeaderValue};
use serde_yaml::{Mapping, Value};

use super::scalar::{address, count, duration, flag, shown_address, shown_duration};
use super::{Config, Leaf, Loaded, LogFormat, TlsVersion};
use crate::diagnostic::{Diagnostic, nearest};

/// One key: how it is spelled, set and shown.
pub struct Key {
    pub path: &'static str,
    set: fn(&mut Config, &str) -> Result<(), String>,
    /// None where it is not set.
    show: fn(&Config) -> Option<String>,
}

macro_rules! key {
    ($path:literal, $set:expr, $show:expr) => {
        Key {
            path: $path,
            set: $set,
            show: $show,
        }
    };
}

/// The form that this server reads is distribution's own version of it.
const VERSION: &str = "0.1";
/// Headers are a mapping of names that nobody can list.
const HEADERS: &str = "http.headers.";
const LEVELS: [(&str, tracing::Level); 4] = [
    ("error", tracing::Level::ERROR),
    ("warn", tracing::Level::WARN),
    ("info", tracing::Level::INFO),
    ("debug", tracing::Level::DEBUG),
];
const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];
const TLS_VERSIONS: [(&str, TlsVersion); 2] = [("tls1.2", TlsVersion::V12), ("tls1.3", TlsVersion::V13)];

#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    key!("version", |_, text| if text == VERSION { Ok(()) } else { Err(format!("must be {VERSION}")) }, |_| Some(VERSION.to_owned())),
    key!("log.level", |c, text| one_of(&LEVELS, text).map(|v| c.log.level = v), |c| name_of(&LEVELS, c.log.level)),
    key!("log.formatter", |c, text| one_of(&FORMATS, text).map(|v| c.log.format = v), |c| name_of(&FORMATS, c.log.format)),
    key!("log.accesslog.disabled", |c, text| flag(text).map(|v| c.log.access = !v), |c| Some((!c.log.access).to_string())),
    key!("log.accesslog.file", |c, text| path(text).map(|v| c.log.access_file = Some(v)), |c| shown_path(c.log.access_file.as_ref())),
    key!("storage.filesystem.rootdirectory", |c, text| path(text).map(|v| c.storage.root = v), |c| shown_path(Some(&c.storage.root))),
    key!("storage.delete.enabled", |c, text| flag(text).map(|v| c.storage.delete_enabled = v), |c| Some(c.storage.delete_enabled.to_string())),
    key!("storage.maintenance.readonly.enabled", |c, text| flag(text).map(|v| c.storage.read_only = v), |c| Some(c.storage.read_only.to_string())),
    key!("http.addr", |c, text| address(text).map(|v| c.http.address = v), |c| Some(shown_address(&c.http.address))),
    key!("http.host", |c, text| base_url(text).map(|v| c.http.host = v), |c| c.http.host.clone()),
    key!("http.relativeurls", |c, text| flag(text).map(|v| c.http.relative_urls = v), |c| Some(c.http.relative_urls.to_string())),
    key!("http.draintimeout", |c, text| duration(text).map(|v| c.http.drain_timeout = v), |c| Some(shown_duration(c.http.drain_timeout))),
    key!("http.idletimeout", |c, text| positive(text).map(|v| c.http.idle_timeout = v), |c| Some(shown_duration(c.http.idle_timeout))),
    key!("http.maxconnections", |c, text| count(text).map(|v| c.http.max_connections = v), |c| Some(c.http.max_connections.to_string())),
    key!("http.manifestlimit", |c, text| count(text).map(|v| c.http.manifest_limit = v), |c| Some(c.http.manifest_limit.to_string())),
    key!("http.tls.certificate", |c, text| path(text).map(|v| c.http.certificate = Some(v)), |c| shown_path(c.http.certificate.as_ref())),
    key!("http.tls.key", |c, text| path(text).map(|v| c.http.key = Some(v)), |c| shown_path(c.http.key.as_ref())),
    key!("http.tls.minimumtls", |c, text| one_of(&TLS_VERSIONS, text).map(|v| c.http.minimum_tls = v), |c| name_of(&TLS_VERSIONS, c.http.minimum_tls)),
    key!("catalog.maxentries", |c, text| count(text).map(|v| c.catalog.max_entries = v), |c| Some(c.catalog.max_entries.to_string())),
];

/// Keys of distribution whose work needs no setting here: taken, with a warning.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("log.fields", "log lines carry no fixed fields"),
    ("storage.cache", "there is no cache to choose"),
    (
        "storage.filesystem.maxthreads",
        "threads are bounded by themselves",
    ),
    (
        "storage.maintenance.uploadpurging",
        "uploads are not purged by age yet",
    ),
    ("storage.redirect", "a folder's blobs are served from here"),
    (
        "http.secret",
        "upload URLs hold no state that a secret would sign",
    ),
    ("http.http2", "HTTP/2 is offered over TLS and not elsewhere"),
    ("http.debug", "there is no debugging endpoint"),
    ("health", "the storage is checked by its use"),
    ("redis", "nothing is kept in Redis"),
];

/// Keys that would change who may do what, or where data goes: refused, rather than left out quietly.
const NOT_OFFERED: &[&str] = &[
    "auth",
    "proxy",
    "notifications",
    "middleware",
    "policy",
    "validation",
    "reporting",
    "compatibility",
    "storage.azure",
    "storage.gcs",
    "storage.inmemory",
    "storage.oss",
    "storage.s3",
    "storage.swift",
    "storage.tag",
    "http.tls.clientcas",
    "http.tls.ciphersuites",
    "http.tls.letsencrypt",
    "http.h2c",
    "http.net",
    "http.prefix",
];

fn one_of<T: Copy>(table: &[(&str, T)], text: &str) -> Result<T, String> {
    let found = table.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
        format!("must be one of {}", names.join(", "))
    })
}

fn name_of<T: Copy + PartialEq>(table: &[(&str, T)], value: T) -> Option<String> {
    let found = table.iter().find(|(_, known)| *known == value);
    found.map(|(name, _)| (*name).to_owned())
}

fn path(text: &str) -> Result<std::path::PathBuf, String> {
    if text.is_empty() {
        Err("must be a path".to_owned())
    } else {
        Ok(text.into())
    }
}

fn shown_path(path: Option<&std::path::PathBuf>) -> Option<String> {
    path.map(|path| path.display().to_string())
}

fn positive(text: &str) -> Result<std::time::Duration, String> {
    match duration(text)? {
        std::time::Duration::ZERO => Err("must be more than 0".to_owned()),
        duration => Ok(duration),
    }
}

fn base_url(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(Some(text.to_owned())),
        _ => Err("must be a URL such as https://registry.example".to_owned()),
    }
}

/// Whether `path` is `key` or lies under it.
fn lies_under(path: &str, key: &str) -> bool {
    path.strip_prefix(key)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Gives one value of the file its meaning.
pub(super) fn apply_leaf(leaf: &Leaf, loaded: &mut Loaded, errors: &mut Vec<Diagnostic>) {
    if let Some(name) = leaf.path.strip_prefix(HEADERS) {
        for value in &leaf.values {
            match header(name, value) {
                Ok(header) => loaded.config.http.headers.push(header),
                Err(message) => errors.push(Diagnostic::error(message).at(&leaf.value)),
            }
        }
    } else if let Some(key) = KEYS.iter().find(|key| key.path == leaf.path) {
        let set = match leaf.values.as_slice() {
            [value] => (key.set)(&mut loaded.config, value),
            _ => Err("must be one value".to_owned()),
        };
        if let Err(reason) = set {
            errors.push(Diagnostic::error(format!("`{}` {reason}", leaf.path)).at(&leaf.value));
        }
    } else if let Some((known, reason)) = WITHOUT_EFFECT.iter().find(|(key, _)| lies_under(&leaf.path, key)) {
        let message = format!("`{known}` has no effect: {reason}");
        // Once for all that lies under it.
        if loaded.warnings.iter().all(|warning| warning.message != message) {
            let warning = Diagnostic::warning(message).at(leaf.key_of(known));
            loaded.warnings.push(warning);
        }
    } else if let Some(known) = NOT_OFFERED.iter().find(|key| lies_under(&leaf.path, key)) {
        let message = format!("`{known}` is not offered by this registry");
        if errors.iter().all(|error| error.message != message) {
            let error = Diagnostic::error(message).at(leaf.key_of(known));
            errors.push(error.hint("remove it if the registry shall run without it"));
        }
    } else {
        errors.push(unknown(leaf));
    }
}

/// Points at the first key of a path that no known path has.
fn unknown(leaf: &Leaf) -> Diagnostic {
    let words: Vec<&str> = leaf.path.split('.').collect();
    let mut depth = 0;
    while depth + 1 < words.len()
        && KEYS
            .iter()
            .any(|key| lies_under(key.path, &words[..=depth].join(".")))
    {
        depth += 1;
    }
    let place = leaf.keys.get(depth).unwrap_or(&leaf.key);
    let above = words[..depth].join(".");
    let siblings = KEYS.iter().filter_map(|key| {
        let rest = if above.is_empty() {
            key.path
        } else {
            key.path.strip_prefix(above.as_str())?.strip_prefix('.')?
        };
        rest.split('.').next()
    });
    let shown = words[..=depth].join(".");
    Diagnostic::error(format!("`{shown}` is no key of the configuration"))
        .at(place)
        .nearest(words[depth], siblings)
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let name: HeaderName = name
        .parse()
        .map_err(|_| format!("`{name}` is no name of a header"))?;
    let value =
        HeaderValue::from_str(value).map_err(|_| format!("the value of `{name}` fits in no header"))?;
    Ok((name, value))
}

fn variable(path: &str) -> String {
    format!("REGISTRY_{}", path.to_ascii_uppercase().replace('.', "_"))
}

/// Gives one variable of the environment its meaning, if it is one of ours.
pub(super) fn apply_variable(name: &str, value: &str, loaded: &mut Loaded, errors: &mut Vec<Diagnostic>) {
    if !name.starts_with("REGISTRY_") {
        return;
    }
    if let Some(key) = KEYS.iter().find(|key| variable(key.path) == name) {
        if let Err(reason) = (key.set)(&mut loaded.config, value) {
            errors.push(Diagnostic::error(format!(
                "the environment's {name} {reason}, not {value:?}"
            )));
        }
        return;
    }
    let names: Vec<String> = KEYS.iter().map(|key| variable(key.path)).collect();
    let refused = NOT_OFFERED.iter().find(|key| {
        let prefix = variable(key);
        name == prefix || name.starts_with(&format!("{prefix}_"))
    });
    if let Some(key) = refused {
        errors.push(Diagnostic::error(format!(
            "the environment's {name}: `{key}` is not offered by this registry"
        )));
    } else if let Some(near) = nearest(name, names.iter().map(String::as_str)) {
        // Others use the prefix too (Kubernetes sets REGISTRY_PORT): only what looks like a slip is told.
        let warning = Diagnostic::warning(format!("the environment's {name} is no key of the configuration"));
        loaded
            .warnings
            .push(warning.hint(format!("did you mean `{near}`?")));
    }
}

/// The configuration in force, as YAML with every key spelled out.
pub fn show(config: &Config) -> String {
    let mut root = Mapping::new();
    for key in KEYS {
        let Some(value) = (key.show)(config) else { continue };
        let words: Vec<&str> = key.path.split('.').collect();
        let (leaf, groups) = words.split_last().expect("a path has a word");
        let mut map = &mut root;
        for group in groups {
            let inner = map
                .entry((*group).into())
                .or_insert_with(|| Mapping::new().into());
            map = inner.as_mapping_mut().expect("a group is no leaf of the table");
        }
        // Numbers and booleans come as texts; read as YAML they are themselves again.
        let value = serde_yaml::from_str(&value).unwrap_or(Value::String(value));
        map.insert((*leaf).into(), value);
    }
    if !config.http.headers.is_empty() {
        // No row of the table, but a child of the one `http` mapping all the same.
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = config.http.headers.iter();
        let headers: Mapping = headers
            .map(|(name, value)| (name.as_str().into(), vec![Value::String(text(value))].into()))
            .collect();
        let http = root.entry("http".into()).or_insert_with(|| Mapping::new().into());
        http.as_mapping_mut()
            .expect("`http` is a group")
            .insert("headers".into(), headers.into());
    }
    serde_yaml::to_string(&root).expect("texts in maps can be written")
}

//! Facts on disk, so that a later run knows them: the files of Ansible's `jsonfile` cache, which both may use.
//!
//! A host's facts are one file, `PREFIXs1_HOST`: JSON with the facts as a text in `__payload__`. Ansible marks
//! some values in there with their type; such a mark is taken off when it is read.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::configuration::{Configuration, table};
use crate::diagnostic::Diagnostic;
use crate::value::{Map, Value};

/// The form of the file, in its name.
const SCHEMA: &str = "s1_";
const PAYLOAD: &str = "__payload__";
/// Of a marked value: its type, and the value itself.
const MARK: &str = "__ansible_type";
const MARKED: &str = "value";

/// The facts of earlier runs, and for later ones.
#[derive(Debug)]
pub struct FactCache {
    /// None where facts are forgotten with the run.
    folder: Option<PathBuf>,
    prefix: String,
    /// Older facts are not used; none if they stay good for ever.
    limit: Option<Duration>,
    /// Hosts whose file could not be written: that is said once.
    broken: Mutex<HashSet<String>>,
}

impl FactCache {
    pub fn new(configuration: &Configuration) -> Result<Self, Diagnostic> {
        let plugin = configuration.text(&table::CACHE_PLUGIN).unwrap_or("memory");
        let folder = match crate::playbook::short_name(plugin) {
            "memory" => None,
            "jsonfile" => {
                let folder = configuration.path(&table::CACHE_PLUGIN_CONNECTION);
                Some(folder.ok_or_else(|| {
                    Diagnostic::error("error, 'jsonfile' cache plugin requires the 'fact_caching_connection' config option to be set (to a writeable directory path)")
                })?)
            }
            other => {
                return Err(Diagnostic::error(format!("there is no fact cache `{other}`"))
                    .hint("`fact_caching` is `memory` or `jsonfile`"));
            }
        };
        let seconds = configuration.integer(&table::CACHE_PLUGIN_TIMEOUT).unwrap_or(0);
        let prefix = Some(&table::CACHE_PLUGIN_PREFIX).filter(|setting| configuration.is_set(setting));
        Ok(Self {
            folder,
            prefix: prefix
                .and_then(|setting| configuration.text(setting))
                .unwrap_or_default()
                .to_owned(),
            limit: u64::try_from(seconds)
                .ok()
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs),
            broken: Mutex::default(),
        })
    }

    fn file(&self, host: &str) -> Option<PathBuf> {
        // A name with a slash is no name of a file.
        let name = Some(host).filter(|host| !host.contains('/'))?;
        Some(
            self.folder
                .as_ref()?
                .join(format!("{}{SCHEMA}{name}", self.prefix)),
        )
    }

    /// What is known of a host; nothing where that is too old or cannot be read.
    pub fn load(&self, host: &str) -> Option<Map> {
        let file = self.file(host)?;
        let modified = std::fs::metadata(&file).ok()?.modified().ok()?;
        if self
            .limit
            .is_some_and(|limit| modified.elapsed().is_ok_and(|age| age > limit))
        {
            return None;
        }
        let outer: Value = serde_json::from_str(&std::fs::read_to_string(file).ok()?).ok()?;
        let facts: Value = serde_json::from_str(outer.get(PAYLOAD)?.as_str()?).ok()?;
        match unmarked(facts) {
            Value::Map(facts) => Some(facts),
            _ => None,
        }
    }

    /// Keeps what is known of a host. Gives a message the first time that this fails for it.
    pub fn store(&self, host: &str, facts: &Map) -> Option<String> {
        let file = self.file(host)?;
        let written = self.write(&file, facts);
        let error = written.err()?;
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.insert(host.to_owned()).then(|| {
            format!(
                "error in 'jsonfile' cache plugin while trying to write to '{}' : {error}",
                file.display()
            )
        })
    }

    fn write(&self, file: &std::path::Path, facts: &Map) -> std::io::Result<()> {
        let payload = serde_json::to_string(facts)?;
        let text = serde_json::to_string(&Map::from_iter([(PAYLOAD.to_owned(), Value::from(payload))]))?;
        let folder = self
            .folder
            .as_deref()
            .unwrap_or_else(|| std::path::Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut fresh, text.as_bytes())?;
        fresh.persist(file).map_err(|error| error.error)?;
        Ok(())
    }

    pub fn forget(&self, host: &str) {
        if let Some(file) = self.file(host) {
            // There may be none.
            let _ = std::fs::remove_file(file);
        }
    }
}

/// A value without the marks of its type.
fn unmarked(value: Value) -> Value {
    match value {
        Value::Map(mut map) if map.contains_key(MARK) => {
            map.shift_remove(MARKED).map_or(Value::Null, unmarked)
        }
        Value::Map(map) => Value::Map(
            map.into_iter()
                .map(|(name, value)| (name, unmarked(value)))
                .collect(),
        ),
        Value::List(items) => Value::List(items.into_iter().map(unmarked).collect()),
        scalar => scalar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(folder: &std::path::Path) -> FactCache {
        FactCache {
            folder: Some(folder.to_owned()),
            prefix: "p_".to_owned(),
            limit: Some(Duration::from_mins(1)),
            broken: Mutex::default(),
        }
    }

    #[test]
    fn facts_survive_until_they_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("made/when/needed");
        let facts = Map::from_iter([("ansible_a".to_owned(), Value::Int(1))]);
        assert_eq!(cache(&inner).store("h1", &facts), None);
        assert_eq!(cache(&inner).load("h1"), Some(facts));
        assert_eq!(cache(&inner).load("h2"), None);
        cache(&inner).forget("h1");
        assert_eq!(cache(&inner).load("h1"), None);
    }

    #[test]
    fn old_facts_are_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let facts = Map::new();
        cache(folder.path()).store("h1", &facts);
        let file = std::fs::File::options()
            .write(true)
            .open(folder.path().join("p_s1_h1"))
            .unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(61))
            .unwrap();
        assert_eq!(cache(folder.path()).load("h1"), None);
    }

    #[test]
    fn marks_of_types_are_taken_off() {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"{"__payload__": "{\"a\": {\"value\": [1], \"tags\": [], \"__ansible_type\": \"_AnsibleTaggedList\"}}"}"#;
        std::fs::write(folder.path().join("p_s1_h1"), text).unwrap();
        let facts = cache(folder.path()).load("h1").unwrap();
        assert_eq!(facts["a"], Value::List(vec![Value::Int(1)]));
    }
}

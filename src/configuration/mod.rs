//! Settings: `ansible.cfg`, `regdeploy.cfg` and the `ANSIBLE_*` variables.
//!
//! [`table`] holds every setting with its names, its type and its default; reading, `config` and the
//! documentation go over it. The environment beats `regdeploy.cfg`, which beats `ansible.cfg`; the command
//! line beats them all, which is its own matter: nothing here knows of flags.
//!
//! What `ansible.cfg` says and the table does not know is meant for Ansible and passed over; in
//! `regdeploy.cfg` it is an error.

mod convert;
mod file;
mod locate;
mod setting;
pub mod table;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

pub use self::setting::{Kind, Setting};

use self::convert::Base;
use self::file::Entry;
use crate::diagnostic::{Diagnostic, Severity, nearest};
use crate::source::{Source, Span, shown};
use crate::value::Value;

/// Where a setting's value comes from. Shows itself as `ansible-config dump` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    Variable(&'static str),
    File(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Variable(name) => write!(f, "env: {name}"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What is around the program.
pub struct Surroundings<'a> {
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The current folder.
    pub folder: &'a Path,
    pub home: Option<&'a Path>,
    /// `/etc`.
    pub system: &'a Path,
}

/// Every setting's value.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The `ansible.cfg` that was read.
    pub file: Option<PathBuf>,
    /// The `regdeploy.cfg` that was read.
    pub own_file: Option<PathBuf>,
    values: HashMap<&'static str, (Value, Origin)>,
    /// What `ansible.cfg` says and the table does not know.
    unknown: Vec<Diagnostic>,
}

/// A text for a setting, and where it stands.
struct Given {
    text: String,
    span: Span,
    origin: Origin,
}

impl Configuration {
    /// Reads the files and variables of this process. Gives warnings beside it.
    pub fn load() -> Result<(Self, Vec<Diagnostic>), Diagnostic> {
        Self::of_process(&|name| std::env::var(name).ok())
    }

    /// As [`load`](Self::load), of a file in place of the `ansible.cfg` that would be found.
    pub fn load_from(file: &Path) -> Result<(Self, Vec<Diagnostic>), Diagnostic> {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        Self::of_process(&|name| match name {
            name if name == locate::ANSIBLE.variable => Some(file.display().to_string()),
            name => std::env::var(name).ok(),
        })
    }

    fn of_process(variable: &dyn Fn(&str) -> Option<String>) -> Result<(Self, Vec<Diagnostic>), Diagnostic> {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let folder = std::env::current_dir()
            .map_err(|error| Diagnostic::error(format!("cannot find the current folder: {error}")))?;
        Self::of(&Surroundings {
            variable,
            folder: &folder,
            home: home.as_deref(),
            system: Path::new("/etc"),
        })
    }

    /// As [`load`](Self::load), of given surroundings.
    pub fn of(around: &Surroundings<'_>) -> Result<(Self, Vec<Diagnostic>), Diagnostic> {
        let mut warnings = Vec::new();
        let file = locate::ANSIBLE.find(around, &mut warnings);
        let own_file = locate::OWN.find(around, &mut warnings);
        // The strongest first.
        let mut files: Vec<(PathBuf, Vec<Entry>)> = Vec::new();
        for path in own_file.iter().chain(&file) {
            files.push((path.clone(), file::parse(&read(path)?)?));
        }
        if own_file.is_some()
            && let Some((_, entries)) = files.first()
            && let Some(error) = unknown(Some(entries)).into_iter().next()
        {
            return Err(error);
        }
        let mut configuration = Self {
            file,
            own_file,
            values: HashMap::new(),
            unknown: unknown(files.last().map(|(_, entries)| entries.as_slice())),
        };
        // Other settings' defaults refer to this one.
        configuration.set(&table::ANSIBLE_HOME, around, &files)?;
        for setting in table::all() {
            configuration.set(setting, around, &files)?;
        }
        Ok((configuration, warnings))
    }

    /// Finds and keeps the value of one setting.
    fn set(
        &mut self,
        setting: &'static Setting,
        around: &Surroundings<'_>,
        files: &[(PathBuf, Vec<Entry>)],
    ) -> Result<(), Diagnostic> {
        let ansible_home = self.text(&table::ANSIBLE_HOME).unwrap_or_default().to_owned();
        let read = |text: &str, origin: &Origin| {
            let folder = match origin {
                Origin::File(path) => path.parent(),
                _ => None,
            };
            let base = Base {
                folder: folder.unwrap_or(around.folder),
                current: around.folder,
                home: around.home,
                ansible_home: &ansible_home,
            };
            convert::value(setting.kind, text, base)
        };
        let given = from_variable(setting, around).or_else(|| from_files(setting, files));
        let (value, origin) = match given {
            Some(given) => {
                let value = read(&given.text, &given.origin).map_err(|expected| {
                    let (name, text) = (setting.name, &given.text);
                    let error = match setting.kind {
                        Kind::Choice(_) => format!("Invalid value '{text}' for config '{name}'."),
                        _ => format!("Config '{name}' from '{}' has an invalid value.", given.origin),
                    };
                    Diagnostic::error(error)
                        .at(&given.span)
                        .hint(format!("it must be {expected}"))
                })?;
                (value, given.origin)
            }
            None => {
                let value = setting.default.map(|text| read(text, &Origin::Default));
                let value = value.transpose().map_err(Diagnostic::error)?;
                (value.unwrap_or_default(), Origin::Default)
            }
        };
        self.values.insert(setting.name, (value, origin));
        Ok(())
    }

    /// What `-v` tells of where settings come from.
    pub fn told(&self) -> String {
        match (&self.file, &self.own_file) {
            (None, None) => "No config file found; using defaults".to_owned(),
            (Some(file), None) | (None, Some(file)) => format!("Using {} as config file", file.display()),
            (Some(file), Some(own)) => {
                format!("Using {} and {} as config files", own.display(), file.display())
            }
        }
    }

    /// What the file that was read says and nobody here knows: it may be meant for Ansible, or be a slip.
    pub fn unknown(&self) -> Vec<Diagnostic> {
        let warning = |error: &Diagnostic| Diagnostic {
            severity: Severity::Warning,
            ..error.clone()
        };
        self.unknown.iter().map(warning).collect()
    }

    /// A setting's value, null where it has none, and where it comes from.
    pub fn value(&self, setting: &Setting) -> &Value {
        self.values
            .get(setting.name)
            .map_or(&Value::Null, |(value, _)| value)
    }

    pub fn origin(&self, setting: &Setting) -> &Origin {
        self.values
            .get(setting.name)
            .map_or(&Origin::Default, |(_, origin)| origin)
    }

    /// Whether somebody has set it.
    pub fn is_set(&self, setting: &Setting) -> bool {
        *self.origin(setting) != Origin::Default
    }

    /// Of a setting that is a boolean; one that is not set is false.
    pub fn truth(&self, setting: &Setting) -> bool {
        self.value(setting).as_bool().unwrap_or_default()
    }

    pub fn integer(&self, setting: &Setting) -> Option<i64> {
        self.value(setting).as_int()
    }

    /// Of a setting that is a text, a choice or a path; none where it is empty.
    pub fn text(&self, setting: &Setting) -> Option<&str> {
        self.value(setting).as_str().filter(|text| !text.is_empty())
    }

    pub fn path(&self, setting: &Setting) -> Option<PathBuf> {
        self.text(setting).map(PathBuf::from)
    }

    /// Of a setting that is a list of texts or paths.
    pub fn list(&self, setting: &Setting) -> Vec<String> {
        let items = self.value(setting).as_list().unwrap_or_default().iter();
        items.map(ToString::to_string).collect()
    }
}

/// The defaults, for tests and for what runs without a user.
impl Default for Configuration {
    fn default() -> Self {
        let around = Surroundings {
            variable: &|_| None,
            folder: Path::new("/"),
            home: None,
            system: Path::new("/nonexistent"),
        };
        let none = Self {
            file: None,
            own_file: None,
            values: HashMap::new(),
            unknown: Vec::new(),
        };
        Self::of(&around).map_or(none, |(configuration, _)| configuration)
    }
}

fn from_variable(setting: &Setting, around: &Surroundings<'_>) -> Option<Given> {
    setting.variables.iter().find_map(|name| {
        let text = (around.variable)(name)?;
        // An empty variable says nothing, unless the setting is a text.
        if text.is_empty() && !matches!(setting.kind, Kind::Text | Kind::List) {
            return None;
        }
        let span = Span::whole(&Source::new(format!("${name}"), text.as_str()));
        let origin = Origin::Variable(name);
        Some(Given { text, span, origin })
    })
}

fn from_files(setting: &Setting, files: &[(PathBuf, Vec<Entry>)]) -> Option<Given> {
    files.iter().find_map(|(path, entries)| {
        let mut places: Vec<_> = setting.places().collect();
        places.reverse();
        let found = places.into_iter().find_map(|(section, key)| {
            entries
                .iter()
                .find(|entry| entry.section == section && entry.key == key)
        })?;
        Some(Given {
            text: found.value.clone(),
            span: found.value_span.clone(),
            origin: Origin::File(path.clone()),
        })
    })
}

/// An error for each entry that is no setting.
fn unknown(entries: Option<&[Entry]>) -> Vec<Diagnostic> {
    let places: Vec<_> = table::all().flat_map(Setting::places).collect();
    let entries = entries.unwrap_or_default().iter();
    entries
        .filter(|entry| !places.contains(&(entry.section.as_str(), entry.key.as_str())))
        .map(|entry| {
            let error = Diagnostic::error(format!(
                "there is no setting `{}` in the section `{}`",
                entry.key, entry.section
            ))
            .at(&entry.key_span);
            let elsewhere = places.iter().find(|(_, key)| *key == entry.key);
            let here = places.iter().filter(|(section, _)| *section == entry.section);
            match (elsewhere, nearest(&entry.key, here.map(|(_, key)| *key))) {
                (Some((section, _)), _) => error.hint(format!("it belongs to the section `{section}`")),
                (None, Some(near)) => error.hint(format!("did you mean `{near}`?")),
                (None, None) => error.hint("`regdeploy config list` shows all settings"),
            }
        })
        .collect()
}

fn read(path: &Path) -> Result<std::sync::Arc<Source>, Diagnostic> {
    let name = shown(path);
    let text = std::fs::read_to_string(path)
        .map_err(|error| Diagnostic::error(format!("cannot read the settings {name}: {error}")))?;
    Ok(Source::new(name, text))
}

#[cfg(test)]
mod tests;

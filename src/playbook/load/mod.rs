//! Reads playbooks, roles and task files, and builds the tree.
//!
//! [`tasks`] turns lists of nodes into items and follows `import_tasks` and `import_role`; [`roles`] finds and
//! reads roles; [`plays`] puts plays together. What is included while a play runs comes through the same
//! functions.

mod given;
mod own;
mod plays;
mod role_files;
mod roles;
mod search;
mod tasks;

pub use self::roles::{Placed, role_name};
pub use self::search::Places;
pub use self::tasks::file_argument;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::context::Context;
use super::role::Role;
use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span, shown};
use crate::value::Value;
use crate::vault;
use crate::yaml::{self, Mapping, Node};

/// What the tree has to know of the modules and of variables, without depending on either.
pub trait Vocabulary: Send + Sync {
    /// All modules and actions, for the nearest name.
    fn modules(&self) -> Vec<&'static str>;
    /// Whether a name is that of something that runs on the controller: no user's own module goes before it.
    fn is_action(&self, name: &str) -> bool;
    /// Whether an import or include takes these arguments; nothing is said of modules.
    fn check_include(&self, action: &str, arguments: &Mapping) -> Result<(), Diagnostic>;
    /// The lookups that `with_NAME` may name.
    fn lookups(&self) -> Vec<&'static str>;
    /// A text that must be known before the play runs: the name in a static import.
    fn evaluate(&self, node: &Node, context: &Context) -> Result<String, Diagnostic> {
        Ok(self.value(node, context)?.to_string())
    }
    /// The same, with its type.
    fn value(&self, node: &Node, context: &Context) -> Result<Value, Diagnostic>;
}

/// Reads files and keeps what it read.
pub struct Loader {
    vocabulary: Box<dyn Vocabulary>,
    places: Places,
    /// By path, and which of its files were asked for.
    roles: Mutex<HashMap<(PathBuf, String), Arc<Role>>>,
    warnings: Mutex<Vec<Diagnostic>>,
}

impl Loader {
    pub fn new(vocabulary: Box<dyn Vocabulary>, places: Places) -> Self {
        Self {
            vocabulary,
            places,
            roles: Mutex::default(),
            warnings: Mutex::default(),
        }
    }

    /// What was noticed since the last call.
    pub fn take_warnings(&self) -> Vec<Diagnostic> {
        self.warnings
            .lock()
            .map(|mut warnings| std::mem::take(&mut *warnings))
            .unwrap_or_default()
    }

    /// Keeps warnings until they are asked for.
    pub fn warn(&self, warnings: impl IntoIterator<Item = Diagnostic>) {
        if let Ok(mut all) = self.warnings.lock() {
            all.extend(warnings);
        }
    }

    /// Reads and loads a YAML file; `referrer` is the place that asked for it.
    pub fn file(&self, path: &Path, referrer: Option<&Span>) -> Result<Node, Diagnostic> {
        let bytes = std::fs::read(path).map_err(|error| {
            let failed = Diagnostic::error(format!("cannot read {}: {}", shown(path), reason(&error)));
            match referrer {
                Some(span) => failed.at(span),
                None => failed,
            }
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Diagnostic::error(format!("{} is not UTF-8 text", shown(path))))?;
        let source = vault::opened(Source::new(shown(path), text)).map_err(|error| match referrer {
            Some(span) => error.via("read from here", span),
            None => error,
        })?;
        let document = yaml::load(&source)?;
        vault::learn_from(&document.root);
        self.warn(document.warnings);
        Ok(document.root)
    }
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}

/// The error for a file that none of `candidates` is.
fn not_found(what: &str, name: &str, candidates: &[PathBuf], span: &Span) -> Diagnostic {
    let places: Vec<String> = candidates.iter().map(|path| shown(path)).collect();
    Diagnostic::missing(format!("{what} '{name}' was not found"))
        .at(span)
        .hint(format!("looked for {}", places.join(", ")))
}

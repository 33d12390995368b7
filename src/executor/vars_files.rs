//! `vars_files`: what they hold for a host.
//!
//! Names may depend on the host, and on what is learnt of it while the play runs: files with templates in their
//! names are looked for anew for each task. Of a list inside the list the first that exists counts; one that
//! does not exist or is not known yet is passed over, with a warning when the play starts.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::play::ActivePlay;
use super::run::Run;
use crate::diagnostic::Diagnostic;
use crate::output::Event;
use crate::playbook::{Loader, Play};
use crate::template::{self, Scope};
use crate::value::Value;
use crate::yaml::{Mapping, Node};

/// The files of a play that were read.
#[derive(Debug, Default)]
pub struct VariableFiles {
    read: Mutex<HashMap<PathBuf, Arc<Mapping>>>,
    /// Those that are the same for every host, later ones first; none where names have templates.
    same: Option<Vec<Arc<Mapping>>>,
}

/// Where a file is not there, or not known.
enum Lack {
    /// The names of the files that are not there.
    Missing(Vec<String>),
    Undefined(Diagnostic),
}

impl Run {
    /// Reads the files of the play for the hosts of a batch, so that what is wrong is said before anything runs.
    pub(super) fn read_variable_files(
        self: &Arc<Self>,
        active: &Arc<ActivePlay>,
    ) -> Result<VariableFiles, Diagnostic> {
        let mut files = VariableFiles::default();
        let Some(node) = active.play.get("vars_files") else {
            files.same = Some(Vec::new());
            return Ok(files);
        };
        let hosts = match node.is_dynamic() {
            true => active.batch.as_slice(),
            false => &active.batch[..1],
        };
        for host in hosts {
            let scope = self.scope_of(host, Some(active), None, Vec::new(), &[]);
            let (found, lacks) = files.find(&self.loader, &active.play, node, &scope)?;
            if !node.is_dynamic() {
                files.same = Some(found);
            }
            for (entry, lack) in lacks {
                self.warn_of(&lack, entry, &active.play);
            }
        }
        Ok(files)
    }

    fn warn_of(&self, lack: &Lack, entry: &Node, play: &Play) {
        let gathers = play.get("gather_facts").and_then(|node| node.to_value().truth());
        let warning = match lack {
            Lack::Missing(names) => {
                Diagnostic::warning(format!("vars file {} was not found", names.join(", "))).at(&entry.span)
            }
            // Facts will be known once they are gathered.
            Lack::Undefined(_) if gathers != Some(false) => return,
            Lack::Undefined(error) => {
                Diagnostic::warning("skipping vars_files item due to an undefined variable")
                    .at(&entry.span)
                    .hint(error.message.clone())
            }
        };
        self.show(&Event::Diagnostic(&warning));
    }

    /// The files as they are for a host now, later ones first.
    pub(super) fn variable_files(
        self: &Arc<Self>,
        host: &str,
        active: &Arc<ActivePlay>,
    ) -> Vec<Arc<Mapping>> {
        let (Some(files), Some(node)) = (active.files.get(), active.play.get("vars_files")) else {
            return Vec::new();
        };
        if let Some(same) = &files.same {
            return same.clone();
        }
        let scope = self.scope_of(host, Some(active), None, Vec::new(), &[]);
        let found = files.find(&self.loader, &active.play, node, &scope);
        found.map(|(files, _)| files).unwrap_or_default()
    }
}

type Found<'a> = (Vec<Arc<Mapping>>, Vec<(&'a Node, Lack)>);

impl VariableFiles {
    fn find<'a>(
        &self,
        loader: &Loader,
        play: &Play,
        node: &'a Node,
        scope: &Arc<Scope>,
    ) -> Result<Found<'a>, Diagnostic> {
        let mut files = Vec::new();
        let mut lacks = Vec::new();
        for entry in node.as_list().unwrap_or(std::slice::from_ref(node)) {
            let choices = entry.as_list().unwrap_or(std::slice::from_ref(entry));
            match self.choose(loader, play, choices, scope)? {
                Ok(file) => files.push(file),
                Err(lack) => lacks.push((entry, lack)),
            }
        }
        files.reverse();
        Ok((files, lacks))
    }

    fn choose(
        &self,
        loader: &Loader,
        play: &Play,
        choices: &[Node],
        scope: &Arc<Scope>,
    ) -> Result<Result<Arc<Mapping>, Lack>, Diagnostic> {
        let mut missing = Vec::new();
        for choice in choices {
            let name = match template::evaluate(choice, scope) {
                Ok(Value::Str(name)) => name,
                Ok(other) => {
                    return Err(Diagnostic::error(format!(
                        "Invalid `vars_files` value of type '{}'.",
                        other.type_name()
                    ))
                    .at(&choice.span)
                    .hint("an entry is a text or a list of texts"));
                }
                Err(error) if error.undefined => return Ok(Err(Lack::Undefined(error.diagnostic))),
                Err(error) => return Err(error.diagnostic),
            };
            let candidates = [play.folder.join("vars").join(&name), play.folder.join(&name)];
            match candidates.into_iter().find(|path| path.is_file()) {
                Some(path) => return self.read(loader, path, choice).map(Ok),
                None => missing.push(name),
            }
        }
        Ok(Err(Lack::Missing(missing)))
    }

    fn read(&self, loader: &Loader, path: PathBuf, choice: &Node) -> Result<Arc<Mapping>, Diagnostic> {
        let known = || self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(map) = known().get(&path) {
            return Ok(Arc::clone(map));
        }
        let root = loader.file(&path, Some(&choice.span))?;
        let map = match root.as_map() {
            Some(map) => Arc::clone(map),
            None if root.is_null() => Arc::default(),
            None => {
                return Err(Diagnostic::error(format!(
                    "a file of variables holds a map, not {}",
                    root.described()
                ))
                .at(&root.span));
            }
        };
        known().insert(path, Arc::clone(&map));
        Ok(map)
    }
}

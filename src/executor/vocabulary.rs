//! What the parser must know of modules, lookups and variables.

use std::sync::Arc;

use super::scope;
use crate::actions::{self, Action};
use crate::diagnostic::Diagnostic;
use crate::modules::{self, AnyModule, Spec};
use crate::playbook::arguments::RAW;
use crate::playbook::{Context, Vocabulary};
use crate::template::{self, Names};
use crate::value::Value;
use crate::yaml::{Mapping, Node};

/// Names that the executor itself understands.
const BUILT_IN: &[(&str, &[&str])] = &[
    ("meta", &[RAW]),
    ("include_tasks", &[RAW, "file", "apply"]),
    ("import_tasks", &[RAW, "file"]),
    ("import_playbook", &[RAW]),
    ("include_role", ROLE),
    ("import_role", ROLE),
];

const ROLE: &[&str] = &[
    "name",
    "role",
    "tasks_from",
    "vars_from",
    "defaults_from",
    "handlers_from",
    "apply",
    "public",
    "allow_duplicates",
    "rolespec_validate",
];

/// Modules that an action calls and playbooks cannot.
const INTERNAL: &[&str] = &["job", "place", "read_part", "run_module", "run_script"];

/// The vocabulary of this program; extra variables may name what is imported.
pub struct Words {
    pub extra_vars: Arc<Names>,
}

/// A module's or an action's table.
pub fn spec(name: &str) -> Option<&'static Spec> {
    actions::find(name)
        .map(Action::spec)
        .or_else(|| modules::find(name).map(AnyModule::spec))
}

impl Vocabulary for Words {
    fn modules(&self) -> Vec<&'static str> {
        let actions = actions::ACTIONS.iter().map(|action| action.spec().name);
        let modules = modules::all().map(|module| module.spec().name);
        let built_in = BUILT_IN.iter().map(|(name, _)| *name);
        let mut names: Vec<&str> = actions
            .chain(modules)
            .chain(built_in)
            .filter(|name| !INTERNAL.contains(name))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn is_action(&self, name: &str) -> bool {
        actions::find(name).is_some() || BUILT_IN.iter().any(|(own, _)| *own == name)
    }

    fn check_include(&self, action: &str, arguments: &Mapping) -> Result<(), Diagnostic> {
        let Some((_, known)) = BUILT_IN.iter().find(|(name, _)| *name == action) else {
            return Ok(());
        };
        // What is imported inherits everything as it is.
        let refused =
            |name: &str| !known.contains(&name) || (name == "apply" && action.starts_with("import"));
        match arguments.iter().find(|(name, _)| refused(name)) {
            None => Ok(()),
            Some((name, entry)) => Err(Diagnostic::error(format!("Invalid options for {action}: {name}"))
                .at(&entry.key)
                .nearest(name, known.iter().copied())),
        }
    }

    fn lookups(&self) -> Vec<&'static str> {
        template::lookup_documentation().map(|(name, _)| name).collect()
    }

    fn value(&self, node: &Node, context: &Context) -> Result<Value, Diagnostic> {
        if !node.is_dynamic() {
            return Ok(node.to_value());
        }
        let scope = scope::bare(&self.extra_vars, context);
        template::evaluate(node, &scope).map_err(|error| {
            error.diagnostic.hint(
                "names in static imports are evaluated before there are hosts: use an `include_*` for what depends on facts or the inventory",
            )
        })
    }
}

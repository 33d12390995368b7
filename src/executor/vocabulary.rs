//! What the parser must know of modules, lookups and variables.

use std::sync::Arc;

use super::scope;
use crate::actions::{self, Action};
use crate::diagnostic::Diagnostic;
use crate::modules::{self, AnyModule, Spec};
use crate::playbook::arguments::RAW;
use crate::playbook::{Context, Vocabulary};
use crate::template::{self, Names};
use crate::yaml::Node;

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
const INTERNAL: &[&str] = &["job", "place"];

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
        let modules = modules::MODULES.iter().map(|module| module.spec().name);
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

    fn is_free_form(&self, module: &str) -> bool {
        match spec(module) {
            Some(spec) => spec.free_form.is_some(),
            None => BUILT_IN
                .iter()
                .any(|(name, arguments)| *name == module && arguments.contains(&RAW)),
        }
    }

    fn check_argument(&self, module: &str, argument: &str) -> Result<(), (String, Option<String>)> {
        if let Some((_, arguments)) = BUILT_IN.iter().find(|(name, _)| *name == module) {
            return if arguments.contains(&argument) {
                Ok(())
            } else {
                let nearest = crate::diagnostic::nearest(argument, arguments.iter().copied());
                Err((
                    format!("Invalid options for {module}: {argument}"),
                    nearest.map(str::to_owned),
                ))
            };
        }
        // These take any name: it becomes a variable.
        if matches!(module, "set_fact" | "add_host") {
            return Ok(());
        }
        match spec(module) {
            Some(spec) => spec
                .check_name(argument)
                .map(|_| ())
                .map_err(|error| (error.message, error.nearest)),
            None => Ok(()),
        }
    }

    fn lookups(&self) -> Vec<&'static str> {
        template::lookup_documentation().map(|(name, _)| name).collect()
    }

    fn evaluate(&self, node: &Node, context: &Context) -> Result<String, Diagnostic> {
        if !node.is_dynamic() {
            return Ok(node.to_value().to_string());
        }
        let scope = scope::bare(&self.extra_vars, context);
        template::evaluate(node, &scope).map(|value| value.to_string()).map_err(|error| {
            error.diagnostic.hint(
                "names in static imports are evaluated before there are hosts: use an `include_*` for what depends on facts or the inventory",
            )
        })
    }
}

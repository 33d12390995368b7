//! What the parser must know of modules, lookups and variables.

use std::sync::Arc;

use super::{built_in, scope};
use crate::actions::{self, Action};
use crate::diagnostic::Diagnostic;
use crate::modules::{self, AnyModule, Spec};
use crate::playbook::{Context, Vocabulary};
use crate::template::{self, Names};
use crate::value::Value;
use crate::yaml::{Mapping, Node};

/// Modules that an action calls and playbooks cannot.
const INTERNAL: &[&str] = &[
    "job",
    "list_tree",
    "mirror_tree",
    "place",
    "read_out",
    "run_module",
    "run_script",
    "send_tree",
];

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

/// The table of whatever a task can name, inclusions among them.
pub fn described(name: &str) -> Option<&'static Spec> {
    built_in::find(name).or_else(|| spec(name))
}

impl Vocabulary for Words {
    fn modules(&self) -> Vec<&'static str> {
        let actions = actions::ACTIONS.iter().map(|action| action.spec().name);
        let modules = modules::all().map(|module| module.spec().name);
        let built_in = built_in::SPECS.iter().map(|spec| spec.name);
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
        actions::find(name).is_some() || built_in::find(name).is_some()
    }

    fn check_include(&self, action: &str, arguments: &Mapping) -> Result<(), Diagnostic> {
        let Some(spec) = built_in::find(action) else {
            return Ok(());
        };
        match arguments.iter().find(|(name, _)| spec.arg(name).is_none()) {
            None => Ok(()),
            Some((name, entry)) => Err(Diagnostic::error(format!("Invalid options for {action}: {name}"))
                .at(&entry.key)
                .nearest(name, spec.args.iter().map(|arg| arg.name))),
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

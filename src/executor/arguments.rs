//! The arguments of a task, evaluated: `module_defaults`, what the task says, `omit` dropped.

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::playbook::arguments::{RAW, VARIABLE};
use crate::playbook::{Task, short_name};
use crate::template::{self, EvalError, Scope};
use crate::value::{Map, Value};
use crate::yaml::Node;

/// The short name of the module, which `action: "{{ name }}"` may leave to variables.
pub fn module(task: &Task, name: &str, scope: &Arc<Scope>) -> Result<String, EvalError> {
    if !name.contains("{{") {
        return Ok(name.to_owned());
    }
    let name = template::evaluate(&Node::text(name, &task.action_span), scope)?;
    Ok(short_name(&name.to_string()).to_owned())
}

/// The error for a module that this program does not have.
pub fn unresolved(task: &Task, module: &str) -> Diagnostic {
    Diagnostic::error(format!("Cannot resolve '{module}' to an action or module."))
        .at(&task.action_span)
        .hint("a module in Python cannot be run")
}

/// Evaluated but not yet checked. `free_form`: the module takes a text that is no `key=value`.
pub fn evaluate(task: &Task, module: &str, free_form: bool, scope: &Arc<Scope>) -> Result<Map, EvalError> {
    given(task, module, free_form, scope).map_err(|error| {
        let name = if task.action.contains('.') {
            task.action.clone()
        } else {
            format!("ansible.builtin.{}", task.action)
        };
        error.failing(
            format!("Finalization of task args for '{name}' failed"),
            &task.action_span,
        )
    })
}

fn given(task: &Task, module: &str, free_form: bool, scope: &Arc<Scope>) -> Result<Map, EvalError> {
    let mut arguments = defaults(task, module, scope)?;
    let mut own = map(&task.arguments, scope)?;
    if !free_form && let Some(raw) = own.shift_remove(RAW) {
        // `debug: "{{ map }}"`: a template may give all arguments.
        let Value::Map(more) = raw else {
            return Err(EvalError::new(
                Diagnostic::error(format!("Action '{}' does not support raw params.", task.action))
                    .at(&task.arguments.span)
                    .hint(format!("`{module}` takes key=value, or a map below its name")),
            ));
        };
        for (name, value) in more {
            own.entry(name).or_insert(value);
        }
    }
    arguments.extend(own);
    Ok(arguments)
}

/// A map of arguments; that of [`VARIABLE`] is a map of more.
fn map(node: &Node, scope: &Arc<Scope>) -> Result<Map, EvalError> {
    let mut arguments = Map::new();
    for (name, entry) in node.as_map().into_iter().flat_map(|map| map.iter()) {
        if template::is_omitted(&entry.value, scope)? {
            continue;
        }
        let value = template::evaluate(&entry.value, scope).map_err(|error| {
            error.failing(
                format!("Error while resolving value for '{name}'"),
                &entry.value.span,
            )
        })?;
        match (name.as_str(), value) {
            (VARIABLE, Value::Map(more)) => {
                for (name, value) in more {
                    arguments.entry(name).or_insert(value);
                }
            }
            (VARIABLE, _) => {
                return Err(EvalError::new(
                    Diagnostic::error("The value of the task `args` keyword is invalid.")
                        .at(&entry.value.span)
                        .hint("a map is required"),
                ));
            }
            (_, value) => {
                arguments.insert(name.clone(), value);
            }
        }
    }
    Ok(arguments)
}

/// `module_defaults` of the task and of all that surrounds it, the nearest last.
fn defaults(task: &Task, module: &str, scope: &Arc<Scope>) -> Result<Map, EvalError> {
    let (mut all, mut weaker) = (Map::new(), Map::new());
    for node in task.context.all("module_defaults") {
        let maps = node.as_list().unwrap_or(std::slice::from_ref(node));
        for (name, entry) in maps.iter().filter_map(Node::as_map).flat_map(|map| map.iter()) {
            if name.starts_with("group/") {
                return Err(EvalError::new(
                    Diagnostic::error(format!("there are no groups of modules, such as `{name}`"))
                        .at(&entry.key)
                        .hint("name the modules themselves"),
                ));
            }
            match short_name(name) {
                // What is meant for the module that it calls; its own comes on top.
                "setup" if module == "gather_facts" => weaker.extend(map(&entry.value, scope)?),
                name if name == module => all.extend(map(&entry.value, scope)?),
                _ => {}
            }
        }
    }
    weaker.extend(all);
    Ok(weaker)
}

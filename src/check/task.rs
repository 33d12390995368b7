//! One task: its arguments, templates, handlers and files.

use std::collections::HashSet;

use super::arguments;
use super::definitions::{Definitions, find, search};
use super::walk::Seen;
use super::{Surroundings, graded};
use crate::diagnostic::Diagnostic;
use crate::playbook::arguments::RAW;
use crate::playbook::keyword::{self, unconverted};
use crate::playbook::{Task, What};
use crate::template::inspect::{self, Needs};
use crate::value::Value;
use crate::yaml::Node;

/// Keywords that hold conditions.
const CONDITIONS: &[&str] = &["changed_when", "failed_when", "until"];

/// Arguments that name a file of the controller, and the folder in which it is looked up.
const FILES: &[(&str, &str, &str)] = &[
    ("assemble", "src", "files"),
    ("copy", "src", "files"),
    ("script", RAW, "files"),
    ("template", "src", "templates"),
    ("unarchive", "src", "files"),
    ("uri", "src", "files"),
];

pub(super) fn findings(seen: &Seen, definitions: &Definitions, around: &Surroundings) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if seen.task.implicit {
        return found;
    }
    if let What::Run(module) = &seen.task.what
        && seen.task.own.is_none()
        && let Some(spec) = (around.spec)(module)
    {
        let error = arguments::refusal(&seen.task, module, spec);
        found.extend(error.map(|error| graded(error, seen.certain)));
    }
    found.extend(templates(seen, definitions));
    found.extend(notified(seen, definitions));
    found.extend(files(&seen.task));
    found.extend(truths(&seen.task));
    found
}

/// Keywords whose text is no boolean: the task will fail, if it runs.
fn truths(task: &Task) -> Vec<Diagnostic> {
    let wrong = |keyword| {
        let node = task.context.nearest(keyword)?;
        let text = node.as_str().filter(|text| !text.contains("{{"))?;
        let value = Value::from(text);
        let error = value
            .truth()
            .is_none()
            .then(|| unconverted(keyword, value, "bool"))?;
        Some(graded(Diagnostic::error(error).at(&node.span), false))
    };
    keyword::truths().filter_map(wrong).collect()
}

/// Bad syntax, and names that nothing defines.
fn templates(seen: &Seen, definitions: &Definitions) -> Vec<Diagnostic> {
    let task = &seen.task;
    let mut found = Vec::new();
    let mut guarded: HashSet<String> = HashSet::new();
    let mut undefined = Vec::new();
    let mut look = |needs: Needs, certain: bool| {
        found.extend(needs.errors.into_iter().map(|error| graded(error, certain)));
        guarded.extend(needs.guarded);
        undefined.extend(
            needs
                .names
                .into_iter()
                .filter(|(name, _)| !definitions.may_define(name)),
        );
    };
    for condition in task.context.conditions() {
        look(inspect::condition(condition), false);
    }
    let own = &task.context.attributes.map;
    let result = task.own("register").map(|node| node.to_value().to_string());
    for (keyword, entry) in own.iter().filter(|(keyword, _)| *keyword != "when") {
        // Variables are evaluated only when they are used.
        let certain = seen.certain && keyword != "vars";
        if CONDITIONS.contains(&keyword.as_str()) {
            look(inspect::condition(&entry.value), false);
        } else {
            look(inspect::node(&entry.value), certain);
        }
    }
    match &task.what {
        What::Run(module) if module == "assert" => {
            for (name, entry) in task.arguments.as_map().into_iter().flat_map(|map| map.iter()) {
                match name.as_str() {
                    "that" => look(inspect::condition(&entry.value), seen.certain),
                    _ => look(inspect::node(&entry.value), false),
                }
            }
        }
        _ => look(inspect::node(&task.arguments), seen.certain),
    }
    if let Some(repeat) = &task.repeat {
        look(inspect::node(&repeat.items), false);
    }
    if let Some(needs) = template_file(task).and_then(|path| inspect::file(&path)) {
        look(needs, false);
    }
    undefined.retain(|(name, _)| !guarded.contains(name) && result.as_ref() != Some(name));
    found.extend(undefined.iter().map(|(name, place)| {
        Diagnostic::warning(format!("'{name}' is undefined: nothing defines it"))
            .at(place)
            .nearest(name, definitions.names())
    }));
    found
}

fn template_file(task: &Task) -> Option<std::path::PathBuf> {
    if task.what != What::Run("template".to_owned()) {
        return None;
    }
    let src = task.arguments.get("src").filter(|node| !node.is_dynamic())?;
    let chosen = [
        "variable_start_string",
        "block_start_string",
        "comment_start_string",
    ];
    if chosen.iter().any(|name| task.arguments.get(name).is_some()) {
        return None;
    }
    find(task, "templates", &src.to_value().to_string()).filter(|path| path.is_file())
}

/// Handlers that nobody has.
fn notified(seen: &Seen, definitions: &Definitions) -> Vec<Diagnostic> {
    let Some(known) = definitions.handlers(seen.play) else {
        return Vec::new();
    };
    let Some(notify) = seen
        .task
        .context
        .nearest("notify")
        .filter(|node| !node.is_dynamic())
    else {
        return Vec::new();
    };
    let names = notify.as_list().unwrap_or(std::slice::from_ref(notify));
    names
        .iter()
        .filter(|node| !known.contains(&node.to_value().to_string()))
        .map(|node| {
            let name = node.to_value().to_string();
            Diagnostic::warning(format!(
                "The requested handler '{name}' was not found in either the main handlers list nor in the \
                 listening handlers list"
            ))
            .at(&node.span)
            .nearest(&name, known.iter().map(String::as_str))
        })
        .collect()
}

/// Files of the controller that are not there.
fn files(task: &Task) -> Option<Diagnostic> {
    let What::Run(module) = &task.what else {
        return None;
    };
    let (_, argument, folder) = FILES.iter().find(|(name, ..)| name == module)?;
    let on_target = task
        .arguments
        .get("remote_src")
        .is_some_and(|node| node.to_value().truth() != Some(false));
    let node: &Node = task
        .arguments
        .get(argument)
        .filter(|node| !node.is_dynamic() && !on_target)?;
    let text = node.to_value().to_string();
    // A script has arguments behind its name.
    let name = if *argument == RAW {
        text.split_whitespace().next().unwrap_or_default()
    } else {
        text.as_str()
    };
    if name.is_empty() || name.starts_with('~') || name.contains("://") || find(task, folder, name).is_some()
    {
        return None;
    }
    let places = search(task).candidates(folder, name);
    let places: Vec<String> = places.iter().map(|path| crate::source::shown(path)).collect();
    Some(
        Diagnostic::warning(format!(
            "Could not find or access '{name}' on the Ansible Controller."
        ))
        .at(&node.span)
        .hint(format!("looked for {}", places.join(", "))),
    )
}

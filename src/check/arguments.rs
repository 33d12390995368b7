//! What a module's table says of a task's arguments, and at which place.

use crate::diagnostic::Diagnostic;
use crate::modules::Spec;
use crate::modules::spec::{ArgumentError, Step};
use crate::playbook::Task;
use crate::playbook::arguments::{RAW, VARIABLE};
use crate::source::Span;
use crate::yaml::{Kind, Node};

/// Modules whose arguments are variables of any name.
const ANY_ARGUMENT: &[&str] = &["add_host", "set_fact"];

/// Why the arguments would be refused whatever the templates in them give.
pub(super) fn refusal(task: &Task, module: &str, spec: &Spec) -> Option<Diagnostic> {
    let map = task.arguments.as_map()?;
    if let Some(entry) = map.get(RAW).filter(|_| spec.free_form.is_none()) {
        // `debug: "{{ map }}"` gives all arguments.
        if entry.value.is_dynamic() {
            return None;
        }
        return Some(
            Diagnostic::error(format!("Action '{}' does not support raw params.", task.action))
                .at(&entry.value.span)
                .hint(format!("`{module}` takes key=value, or a map below its name")),
        );
    }
    let mut given = task.arguments.to_value().as_map()?.clone();
    given.shift_remove(VARIABLE);
    if ANY_ARGUMENT.contains(&module) {
        given.retain(|name, _| spec.arg(name).is_some());
    }
    let is_open = map.contains_key(VARIABLE) || !task.context.all("module_defaults").is_empty();
    let is_unknown = |path: &[Step]| {
        let is_template = |step: &Step| matches!(step, Step::Name(name) if name.contains("{{"));
        path.last().is_some_and(is_template) || find(&task.arguments, path).node.is_dynamic()
    };
    let error = spec.look_through(&given, is_open, &is_unknown).err()?;
    Some(refused(task, &error))
}

/// The error for a task's arguments, at the place where what is wrong is written.
pub fn refused(task: &Task, error: &ArgumentError) -> Diagnostic {
    let found = find(&task.arguments, &error.path);
    let place = match found.name {
        _ if error.path.is_empty() => &task.action_span,
        Some(name) if error.by_name && found.is_whole => name,
        // It comes from elsewhere: `module_defaults`, a variable.
        None => &task.action_span,
        Some(_) => &found.node.span,
    };
    let diagnostic = Diagnostic::error(error.message.clone()).at(place);
    match &error.nearest {
        Some(name) => diagnostic.hint(format!("did you mean `{name}`?")),
        None => diagnostic,
    }
}

/// What a way leads to, or where it ends before.
struct Found<'a> {
    node: &'a Node,
    /// Where the last name on the way is written.
    name: Option<&'a Span>,
    is_whole: bool,
}

fn find<'a>(arguments: &'a Node, path: &[Step]) -> Found<'a> {
    let mut found = Found {
        node: arguments,
        name: None,
        is_whole: true,
    };
    for step in path {
        let next = match (step, &found.node.kind) {
            (Step::Name(name), Kind::Map(map)) => map.get(name).map(|entry| (&entry.value, Some(&entry.key))),
            (Step::Item(at), Kind::List(items)) => items.get(*at).map(|item| (item, None)),
            _ => None,
        };
        let Some((node, name)) = next else {
            found.is_whole = false;
            break;
        };
        found.node = node;
        found.name = name.or(found.name);
    }
    found
}

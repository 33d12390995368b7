//! What a task is to run, in its older forms: `action: copy src=a`, `local_action`, a map with `module`.

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::playbook::arguments;
use crate::playbook::collection::short_name;
use crate::source::Span;
use crate::yaml::{Entry, Kind, Mapping, Node};

/// What a task is to run, as written.
pub(super) struct Given {
    pub name: String,
    pub span: Span,
    pub arguments: Node,
}

/// `action: copy src=a` and `local_action`.
pub(super) fn old_style(kept: &mut Mapping) -> Result<Option<Given>, Diagnostic> {
    let local = kept.shift_remove("local_action");
    let action = kept.shift_remove("action");
    if let (Some(local), Some(_)) = (&local, &action) {
        return Err(Diagnostic::error("action and local_action are mutually exclusive").at(&local.key));
    }
    if let Some(entry) = &local {
        let here = Entry {
            key: entry.key.clone(),
            value: Node::text("localhost", &entry.key),
        };
        kept.insert("delegate_to".to_owned(), here);
    }
    let Some(entry) = local.or(action) else {
        return Ok(None);
    };
    let span = &entry.value.span;
    if let Some(text) = entry.value.as_str() {
        let (name, rest) = arguments::first_word(text);
        return Ok(Some(Given {
            name: name.to_owned(),
            span: span.clone(),
            arguments: Node::text(rest, span),
        }));
    }
    let mut map = entry
        .value
        .as_map()
        .map(|map| map.as_ref().clone())
        .unwrap_or_default();
    let Some(module) = map.shift_remove("module") else {
        return Err(Diagnostic::error(format!(
            "unexpected parameter type in action: expected `MODULE ARGUMENTS` or a map with `module`, not {}",
            entry.value.described()
        ))
        .at(span));
    };
    let (name, rest) = arguments::first_word(module.value.as_str().unwrap_or_default());
    let inner = map.shift_remove("args").map(|entry| entry.value);
    let more = [Some(Node::text(rest, &module.value.span)), inner];
    for node in more.into_iter().flatten() {
        let node = match node.as_str() {
            Some(_) => arguments::parse(&node, short_name(name)),
            None => node,
        };
        map.extend(
            node.as_map()
                .into_iter()
                .flat_map(|map| map.iter())
                .map(|(name, entry)| (name.clone(), entry.clone())),
        );
    }
    Ok(Some(Given {
        name: name.to_owned(),
        span: module.value.span,
        arguments: Node::new(Kind::Map(Arc::new(map)), span),
    }))
}

/// The error for a task that runs nothing.
pub(super) fn no_action(span: &Span, map: &Mapping) -> Diagnostic {
    let error = Diagnostic::error("no module/action detected in task.").at(span);
    match map.keys().find(|name| name.as_str() == "import_playbook") {
        Some(_) => error.hint("`import_playbook` stands at the level of plays"),
        None => error.hint("name the module that the task runs, for example `command: ls`"),
    }
}

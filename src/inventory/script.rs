//! Inventory scripts: programs that print groups as JSON when they are called with `--list`, and a host's
//! variables with `--host NAME` unless `--list` has told them under `_meta`.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use super::graph::Graph;
use super::ini::add_child;
use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};
use crate::yaml::{Entry, Mapping, Node, load};

/// What a group may hold.
const KEYS: [&str; 3] = ["hosts", "vars", "children"];

const META: &str = "_meta";

/// Runs a script and adds what it says. Gives what it wrote to its standard error.
pub fn run(path: &Path, graph: &mut Graph) -> Result<String, Diagnostic> {
    let (listed, complaints) = ask(path, &["--list"])?;
    let groups = map(&listed, "the output of an inventory script")?;
    for (name, entry) in groups.iter().filter(|(name, _)| *name != META) {
        group(name, &entry.value, graph)?;
    }
    let named: Vec<String> = graph.hosts().keys().cloned().collect();
    let known = groups.get(META).and_then(|meta| meta.value.get("hostvars"));
    for host in named {
        let variables = match known {
            Some(known) => known.get(&host).cloned(),
            // What another source has named is none of this script's business.
            None if graph.hosts()[&host].source != graph.source => None,
            None => Some(ask(path, &["--host", &host])?.0),
        };
        if let Some(variables) = variables {
            for (name, value) in map(&variables, "the variables of a host")?.iter() {
                graph.set_host_variable(&host, name, value.value.clone().into());
            }
        }
    }
    Ok(complaints)
}

fn group(name: &str, node: &Node, graph: &mut Graph) -> Result<(), Diagnostic> {
    let group = graph.add_group(name);
    if let Some(hosts) = node.as_list() {
        return add_hosts(hosts, &group, graph);
    }
    let sections = map(node, &format!("the group `{name}`"))?;
    if !sections.is_empty() && !KEYS.iter().any(|key| sections.contains_key(*key)) {
        // The oldest form: a host of the group's name, with these variables.
        graph.add_to_group(name, &group);
        for (variable, value) in sections.iter() {
            graph.set_host_variable(name, variable, value.value.clone().into());
        }
        return Ok(());
    }
    if let Some(Entry { value, .. }) = sections.get("hosts") {
        add_hosts(list(value, "hosts", name)?, &group, graph)?;
    }
    if let Some(Entry { value, .. }) = sections.get("vars") {
        for (variable, value) in map(value, &format!("`vars` of the group `{name}`"))?.iter() {
            graph.set_group_variable(&group, variable, value.value.clone().into());
        }
    }
    if let Some(Entry { value, .. }) = sections.get("children") {
        for child in list(value, "children", name)? {
            let below = graph.add_group(&child.to_value().to_string());
            add_child(graph, &group, &below, &child.span)?;
        }
    }
    Ok(())
}

fn add_hosts(hosts: &[Node], group: &str, graph: &mut Graph) -> Result<(), Diagnostic> {
    for host in hosts {
        let name = host.as_str().ok_or_else(|| {
            let shown = host.described();
            Diagnostic::error(format!("a host's name must be a text, not {shown}")).at(&host.span)
        })?;
        graph.add_to_group(name, group);
    }
    Ok(())
}

fn map(node: &Node, what: &str) -> Result<Arc<Mapping>, Diagnostic> {
    node.as_map().cloned().ok_or_else(|| {
        Diagnostic::error(format!("{what} must be a map, not {}", node.described())).at(&node.span)
    })
}

fn list<'a>(node: &'a Node, key: &str, group: &str) -> Result<&'a [Node], Diagnostic> {
    node.as_list().ok_or_else(|| {
        let shown = node.described();
        Diagnostic::error(format!(
            "`{key}` of the group `{group}` must be a list, not {shown}"
        ))
        .at(&node.span)
    })
}

/// Calls a script and reads the JSON that it prints. Gives what it wrote to its standard error beside it.
fn ask(path: &Path, arguments: &[&str]) -> Result<(Node, String), Diagnostic> {
    let call = || format!("{} {}", path.display(), arguments.join(" "));
    // A bare name would be looked for in the search path.
    let program = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| Diagnostic::error(format!("cannot run `{}`: {error}", call())))?;
    let complaints = String::from_utf8_lossy(&stderr).trim_end().to_owned();
    if !status.success() {
        let mut error = match status.code() {
            Some(code) => Diagnostic::error(format!("Inventory script returned non-zero exit code {code}.")),
            None => Diagnostic::error(format!("`{}` was ended: {status}", call())),
        };
        if !complaints.is_empty() {
            error = error.hint(format!("it says: {complaints}"));
        }
        return Err(error);
    }
    let text = String::from_utf8(stdout)
        .map_err(|_| Diagnostic::error(format!("what `{}` prints is not UTF-8 text", call())))?;
    let source = Source::new(format!("<output of {}>", call()), text);
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(source.text()) {
        let at = source.line_start(error.line()) + error.column().saturating_sub(1);
        return Err(
            Diagnostic::error(format!("what an inventory script prints must be JSON: {error}"))
                .at(&Span::new(&source, at, at + 1)),
        );
    }
    Ok((load(&source)?.root, complaints))
}

//! The YAML format of inventories: groups with `hosts`, `vars` and `children`, from `all` down.

use std::sync::Arc;

use super::address;
use super::graph::Graph;
use super::ini::add_child;
use crate::diagnostic::Diagnostic;
use crate::value::Value;
use crate::yaml::{Entry, Kind, Mapping, Node};

/// What a group may hold.
const KEYS: [&str; 3] = ["hosts", "vars", "children"];

/// Adds what a document says to a graph and gives back warnings. After an error the graph is of no use.
pub fn parse(root: &Node, graph: &mut Graph) -> Result<Vec<Diagnostic>, Diagnostic> {
    let groups = root
        .as_map()
        .filter(|groups| !groups.is_empty())
        .ok_or_else(|| not_groups("an inventory must be a map of groups", root))?;
    let mut warnings = Vec::new();
    for (name, entry) in groups.iter() {
        group(name, entry, graph, &mut warnings)?;
    }
    Ok(warnings)
}

fn not_groups(message: &str, node: &Node) -> Diagnostic {
    Diagnostic::error(format!("{message}, not a {}", node.type_name()))
        .at(&node.span)
        .hint("an inventory looks like `all: {hosts: {web1: {ansible_host: 10.0.0.1}}, children: {}}`")
}

fn group(
    name: &str,
    entry: &Entry,
    graph: &mut Graph,
    warnings: &mut Vec<Diagnostic>,
) -> Result<(), Diagnostic> {
    let name = &graph.add_group(name);
    if entry.value.is_null() {
        return Ok(());
    }
    let sections = entry.value.as_map().ok_or_else(|| {
        not_groups(
            &format!("the group `{name}` must be a map of hosts, vars and children"),
            &entry.value,
        )
    })?;
    for (key, section) in sections.iter() {
        match key.as_str() {
            "vars" => {
                for (variable, value) in members(section, name, key)?.iter() {
                    graph.set_group_variable(name, variable, value.value.clone().into());
                }
            }
            "children" => {
                for (child, below) in members(section, name, key)?.iter() {
                    group(child, below, graph, warnings)?;
                    let child = graph.spelled(child);
                    add_child(graph, name, &child, &below.key)?;
                }
            }
            "hosts" => {
                for (pattern, variables) in members(section, name, key)?.iter() {
                    hosts(pattern, variables, name, graph)?;
                }
            }
            other => warnings.push(
                Diagnostic::warning(format!("`{other}` in the group `{name}` is ignored"))
                    .at(&section.key)
                    .nearest(other, KEYS)
                    .hint("a group has hosts, vars and children; a group of groups goes under children"),
            ),
        }
    }
    Ok(())
}

/// The map behind a key of a group. A single name may stand for a map that holds it alone.
fn members(section: &Entry, group: &str, key: &str) -> Result<Arc<Mapping>, Diagnostic> {
    let node = &section.value;
    match &node.kind {
        Kind::Map(map) => Ok(Arc::clone(map)),
        _ if node.is_null() => Ok(Arc::default()),
        Kind::Text(name) if key != "vars" => {
            let entry = Entry {
                key: node.span.clone(),
                value: Node::null(node.span.source()),
            };
            Ok(Arc::new(Mapping::from([(name.to_string(), entry)])))
        }
        _ => {
            let error = Diagnostic::error(format!(
                "`{key}` of the group `{group}` must be a map, not a {}",
                node.type_name()
            ))
            .at(&node.span);
            Err(match node.as_list() {
                Some(_) if key != "vars" => {
                    error.hint("write `name:` on a line of its own instead of `- name`")
                }
                _ => error,
            })
        }
    }
}

fn hosts(pattern: &str, entry: &Entry, group: &str, graph: &mut Graph) -> Result<(), Diagnostic> {
    // A key that is no text is spelt as one: what was written tells them apart.
    let written = crate::yaml::parse_scalar(entry.key.text());
    if matches!(written, Value::Int(_) | Value::Float(_)) && entry.key.text().trim() == pattern {
        return Err(
            Diagnostic::error(format!("Host pattern {pattern} must be a string"))
                .at(&entry.key)
                .hint("Enclose integers/floats in quotation marks."),
        );
    }
    let address = address::parse(pattern, &entry.key)?;
    let variables = host_variables(pattern, &entry.value)?;
    for host in &address.hosts {
        graph.add_to_group(host, group);
        if let Some((name, port)) = address.variable(&entry.key) {
            graph.set_host_variable(host, name, port.into());
        }
        for (name, value) in variables.iter() {
            graph.set_host_variable(host, name, value.value.clone().into());
        }
    }
    Ok(())
}

fn host_variables(host: &str, node: &Node) -> Result<Arc<Mapping>, Diagnostic> {
    match &node.kind {
        Kind::Map(map) => Ok(Arc::clone(map)),
        _ if node.is_null() => Ok(Arc::default()),
        _ => Err(Diagnostic::error(format!(
            "the variables of the host `{host}` must be a map, not a {}",
            node.type_name()
        ))
        .at(&node.span)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;
    use crate::yaml::load;

    fn read(text: &str) -> Result<(Graph, Vec<Diagnostic>), Diagnostic> {
        let mut graph = Graph::default();
        let root = load(&Source::new("hosts.yml", text))?.root;
        let warnings = parse(&root, &mut graph)?;
        Ok((graph, warnings))
    }

    fn error(text: &str) -> String {
        read(text).unwrap_err().render(false)
    }

    #[test]
    fn reads_groups_hosts_and_variables() {
        let (graph, warnings) = read(
            "all:\n  hosts:\n    lonely:\n  vars: {x: yes}\n  children:\n    web:\n      hosts:\n        w[1:2]:2222: {a: 0644}\n    top:\n      children:\n        web:\n        db: {hosts: d1}\nother:\n",
        )
        .unwrap();
        assert!(warnings.is_empty());
        assert_eq!(graph.group_hosts("all"), ["lonely", "w1", "w2", "d1"]);
        assert_eq!(graph.groups_of("w1"), ["all", "top", "web"]);
        assert_eq!(graph.groups_of("lonely"), ["all", "ungrouped"]);
        let names: Vec<&String> = graph.hosts()["w2"].variables.keys().collect();
        assert_eq!(names, ["ansible_port", "a"]);
    }

    #[test]
    fn warns_of_keys_that_mean_nothing() {
        let (_, warnings) = read("web:\n  host:\n    a:\n").unwrap();
        insta::assert_snapshot!(warnings[0].render(false), @r"
        warning: `host` in the group `web` is ignored
         --> hosts.yml:2:3
          |
        2 |   host:
          |   ^^^^
          |
          = help: did you mean `hosts`?
          = help: a group has hosts, vars and children; a group of groups goes under children
        ");
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        insta::assert_snapshot!(error("- web\n"), @r"
        error: an inventory must be a map of groups, not a list
         --> hosts.yml:1:1
          |
        1 | - web
          | ^^^^^
          |
          = help: an inventory looks like `all: {hosts: {web1: {ansible_host: 10.0.0.1}}, children: {}}`
        ");
        insta::assert_snapshot!(error("web:\n  hosts:\n    - a\n"), @r"
        error: `hosts` of the group `web` must be a map, not a list
         --> hosts.yml:3:5
          |
        3 |     - a
          |     ^^^
          |
          = help: write `name:` on a line of its own instead of `- name`
        ");
        insta::assert_snapshot!(error("web:\n  hosts:\n    a: 1\n"), @r"
        error: the variables of the host `a` must be a map, not a int
         --> hosts.yml:3:8
          |
        3 |     a: 1
          |        ^
        ");
        insta::assert_snapshot!(error("a:\n  children:\n    b:\n      children:\n        a:\n"), @r"
        error: the group `a` cannot hold `b`, which holds `a`
         --> hosts.yml:3:5
          |
        3 |     b:
          |     ^
        ");
    }
}

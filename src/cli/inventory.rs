//! `regdeploy inventory`: what is known of hosts and groups, as `ansible-inventory` shows it.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use super::sources::{SourceArguments, Sources};
use super::{Stop, warn};
use crate::configuration::{Configuration, table};
use crate::diagnostic::Diagnostic;
use crate::inventory::Pattern;
use crate::source::{Source, Span};
use crate::template::{Names, Variable};
use crate::value::{Map, Value};
use crate::yaml::emit::{Style, emit};
use crate::yaml::{Kind, Node};

/// The name of a vaulted value in JSON: what it is stays closed.
const VAULT: &str = "__ansible_vault";

/// Options that contradict each other, and hosts and groups that do not exist.
const OPTIONS: u8 = 5;
const FAILED: u8 = 1;

/// Shows hosts, groups and their variables.
#[derive(Debug, Parser)]
#[command(max_term_width = 110)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct InventoryArguments {
    /// The group to show with --graph
    #[arg(value_name = "GROUP")]
    pub group: Option<String>,

    /// All hosts and groups
    #[arg(long, help_heading = "What to show")]
    pub list: bool,

    /// The variables of one host
    #[arg(long, value_name = "HOST", help_heading = "What to show")]
    pub host: Option<String>,

    /// The groups as a tree
    #[arg(long, help_heading = "What to show")]
    pub graph: bool,

    /// YAML instead of JSON
    #[arg(short, long, help_heading = "How to show it")]
    pub yaml: bool,

    #[arg(long, hide = true)]
    pub toml: bool,

    /// With variables, in --graph
    #[arg(long, help_heading = "How to show it")]
    pub vars: bool,

    /// Variables where they were set, instead of what each host ends up with
    #[arg(long, help_heading = "How to show it")]
    pub export: bool,

    /// Write to a file
    #[arg(long, value_name = "FILE", help_heading = "How to show it")]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub sources: SourceArguments,
}

pub fn run(arguments: &InventoryArguments) -> Result<ExitCode, Stop> {
    let (configuration, warnings) = super::configuration()?;
    warnings.iter().for_each(warn);
    if arguments.sources.verbose > 0 {
        println!("{}", configuration.told());
    }
    check(arguments).map_err(|error| (error, OPTIONS))?;
    let sources = arguments
        .sources
        .read(&configuration)
        .map_err(|error| (error, FAILED))?;
    sources.warnings.iter().for_each(warn);
    let shown = Shown {
        export: arguments.export || configuration.truth(&table::INVENTORY_EXPORT),
        vars: arguments.vars,
        hosts: limited(&sources),
        sources: &sources,
    };
    let text = shown.text(arguments, &configuration)?;
    sources.inventory.take_warnings().iter().for_each(warn);
    match &arguments.output {
        Some(path) if !arguments.graph => std::fs::write(path, text).map_err(|error| {
            let path = path.display();
            (Diagnostic::error(format!("cannot write {path}: {error}")), FAILED)
        })?,
        _ => print!("{text}"),
    }
    Ok(ExitCode::SUCCESS)
}

fn check(arguments: &InventoryArguments) -> Result<(), Diagnostic> {
    let actions = [arguments.list, arguments.graph, arguments.host.is_some()];
    match actions.iter().filter(|given| **given).count() {
        0 => Err(Diagnostic::error(
            "No action selected, at least one of --host, --graph or --list needs to be specified.",
        )),
        1 if arguments.toml => {
            Err(Diagnostic::error("--toml is not supported").hint("use --yaml or neither"))
        }
        1 => Ok(()),
        _ => Err(Diagnostic::error(
            "Conflicting options used, only one of --host, --graph or --list can be used at the same time.",
        )),
    }
}

/// The hosts that `--limit` leaves.
fn limited(sources: &Sources) -> HashSet<String> {
    let selection = sources
        .limit
        .as_ref()
        .map(|limit| sources.inventory.select(limit));
    match selection {
        None => sources.inventory.hosts().map(str::to_owned).collect(),
        Some(selection) => {
            for term in &selection.unmatched {
                warn(&unmatched(term));
            }
            selection.hosts.into_iter().collect()
        }
    }
}

/// What is said of a pattern that no host matches.
pub fn unmatched(term: &str) -> Diagnostic {
    Diagnostic::warning(format!("Could not match supplied host pattern, ignoring: {term}"))
}

struct Shown<'a> {
    export: bool,
    vars: bool,
    hosts: HashSet<String>,
    sources: &'a Sources,
}

impl Shown<'_> {
    fn text(&self, arguments: &InventoryArguments, configuration: &Configuration) -> Result<String, Stop> {
        let failed = |error| (error, FAILED);
        if let Some(host) = &arguments.host {
            let host = self.one_host(host, configuration)?;
            let variables = self.host_variables(&host).map_err(failed)?;
            return Ok(document(&Value::Map(variables), arguments.yaml));
        }
        let top = arguments.group.as_deref().unwrap_or("all");
        if arguments.graph {
            if !self.sources.inventory.groups().any(|group| group == top) {
                let error = Diagnostic::error("Pattern must be valid group name when using --graph");
                return Err((error.nearest(top, self.sources.inventory.groups()), OPTIONS));
            }
            let mut out = String::new();
            self.graph(top, 0, &mut out).map_err(failed)?;
            return Ok(out);
        }
        let listed = if arguments.yaml {
            self.nested("all", &mut HashSet::new(), &mut HashSet::new())
        } else {
            self.flat()
        };
        Ok(document(&Value::Map(listed.map_err(failed)?), arguments.yaml))
    }

    fn one_host(&self, pattern: &str, _: &Configuration) -> Result<String, Stop> {
        let place = Span::whole(&Source::new("<host>", pattern));
        let pattern = Pattern::parse(pattern, &place).map_err(|error| (error, OPTIONS))?;
        let mut selection = self.sources.inventory.select(&pattern);
        for term in &selection.unmatched {
            warn(&unmatched(term));
        }
        match (selection.hosts.pop(), selection.hosts.is_empty()) {
            (Some(host), true) => Ok(host),
            _ => Err((
                Diagnostic::error("You must pass a single valid host to --host parameter"),
                OPTIONS,
            )),
        }
    }

    fn folder(&self) -> Option<&Path> {
        Some(&self.sources.folder)
    }

    fn host_variables(&self, host: &str) -> Result<Map, Diagnostic> {
        let inventory = &self.sources.inventory;
        if self.export {
            return Ok(plain(&inventory.own_variables(host, self.folder())?));
        }
        let layers = inventory.variables(host, self.folder())?;
        let mut all = Map::new();
        for names in layers.weakest_first() {
            all.extend(plain(names));
        }
        all.extend(plain(&self.sources.extra_vars));
        Ok(all)
    }

    fn group_variables(&self, group: &str) -> Result<Map, Diagnostic> {
        let names = self.sources.inventory.group_variables(group, self.folder())?;
        Ok(plain(&names))
    }

    fn own_hosts(&self, group: &str) -> Vec<&str> {
        let hosts = self.sources.inventory.own_hosts(group).into_iter();
        hosts.filter(|host| self.hosts.contains(*host)).collect()
    }

    /// What an inventory script prints: every group with its hosts and children, the variables apart.
    fn flat(&self) -> Result<Map, Diagnostic> {
        let inventory = &self.sources.inventory;
        let mut all = Map::new();
        let mut queue = vec!["all"];
        let mut seen: HashSet<&str> = HashSet::from(["all"]);
        while let Some(group) = queue.pop() {
            let mut entry = Map::new();
            let children = inventory.children(group);
            if group != "all" {
                insert(&mut entry, "hosts", Value::from(self.own_hosts(group)));
            }
            insert(&mut entry, "children", Value::from(children.clone()));
            if self.export {
                insert(&mut entry, "vars", Value::Map(self.group_variables(group)?));
            }
            insert(&mut all, group, Value::Map(entry));
            queue.extend(children.into_iter().filter(|child| seen.insert(child)));
        }
        let mut variables = Map::new();
        for host in inventory.hosts().filter(|host| self.hosts.contains(*host)) {
            insert(&mut variables, host, Value::Map(self.host_variables(host)?));
        }
        let meta = Map::from_iter([
            ("hostvars".to_owned(), Value::Map(variables)),
            ("profile".to_owned(), Value::from("inventory_legacy")),
        ]);
        all.insert("_meta".to_owned(), Value::Map(meta));
        Ok(all)
    }

    /// What a YAML inventory holds: groups inside groups, each host's variables where it is named first.
    fn nested<'a>(
        &'a self,
        group: &'a str,
        groups: &mut HashSet<&'a str>,
        hosts: &mut HashSet<&'a str>,
    ) -> Result<Map, Diagnostic> {
        let inventory = &self.sources.inventory;
        let mut entry = Map::new();
        let mut below = inventory.children(group);
        below.sort_unstable();
        let mut children = Map::new();
        for child in below {
            if groups.insert(child) {
                children.extend(self.nested(child, groups, hosts)?);
            } else {
                children.insert(child.to_owned(), Value::Map(Map::new()));
            }
        }
        insert(&mut entry, "children", Value::Map(children));
        let mut named = Map::new();
        if group != "all" {
            for host in self.own_hosts(group) {
                let variables = if hosts.insert(host) {
                    self.host_variables(host)?
                } else {
                    Map::new()
                };
                named.insert(host.to_owned(), Value::Map(variables));
            }
        }
        insert(&mut entry, "hosts", Value::Map(named));
        if self.export {
            insert(&mut entry, "vars", Value::Map(self.group_variables(group)?));
        }
        let mut all = Map::new();
        insert(&mut all, group, Value::Map(entry));
        Ok(all)
    }

    fn graph(&self, group: &str, depth: usize, out: &mut String) -> Result<(), Diagnostic> {
        branch(&format!("@{group}:"), depth, out);
        for child in self.sources.inventory.children(group) {
            self.graph(child, depth + 1, out)?;
        }
        if group != "all" {
            for host in self.sources.inventory.own_hosts(group) {
                branch(host, depth + 1, out);
                if self.vars {
                    leaves(self.host_variables(host)?, depth + 2, out);
                }
            }
        }
        if self.vars {
            leaves(self.group_variables(group)?, depth + 1, out);
        }
        Ok(())
    }
}

fn branch(name: &str, depth: usize, out: &mut String) {
    let dashes = if depth == 0 { "" } else { "--" };
    let _ = writeln!(out, "{}{dashes}{name}", "  |".repeat(depth));
}

fn leaves(variables: Map, depth: usize, out: &mut String) {
    let mut variables: Vec<(String, Value)> = variables.into_iter().collect();
    variables.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (name, value) in variables {
        branch(&format!("{{{name} = {value}}}"), depth, out);
    }
}

/// Adds what is not empty.
fn insert(map: &mut Map, key: &str, value: Value) {
    let empty = match &value {
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        _ => false,
    };
    if !empty {
        map.insert(key.to_owned(), value);
    }
}

/// Variables as written: templates are not evaluated, vaults not opened.
fn plain(names: &Names) -> Map {
    let values = names.iter().filter_map(|(name, variable)| match variable {
        Variable::Node(node) => Some((name.clone(), written(node))),
        Variable::Value(value) => Some((name.clone(), value.clone())),
        _ => None,
    });
    values.collect()
}

fn written(node: &Node) -> Value {
    match &node.kind {
        Kind::Vault(text) => Value::Map(Map::from_iter([(VAULT.to_owned(), Value::from(text.as_ref()))])),
        Kind::List(items) => Value::List(items.iter().map(written).collect()),
        Kind::Map(map) => Value::Map(
            map.iter()
                .map(|(name, entry)| (name.clone(), written(&entry.value)))
                .collect(),
        ),
        _ => node.to_value(),
    }
}

/// A document as `ansible-inventory` lays it out: keys in order, four spaces in JSON.
pub fn document(value: &Value, yaml: bool) -> String {
    if yaml {
        return emit(
            value,
            Style {
                indent: 2,
                sort_keys: true,
                flow_leaves: false,
            },
        );
    }
    super::json(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(line: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            (
                "hosts.ini",
                "lonely ansible_host=10.0.0.1\n[web]\nw[1:2] a=1\n[db]\nd1 x='{{ y }}'\n[prod:children]\nweb\ndb\n[prod:vars]\np=1\n[web:vars]\nansible_group_priority=10\n",
            ),
            ("group_vars/web.yml", "gv: [1, {a: b}]\n"),
            ("host_vars/w1", "hv: yes\n"),
        ] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let source = folder.path().join("hosts.ini").display().to_string();
        let words = ["inventory", "-i", &source].into_iter().chain(line.split(' '));
        let arguments = InventoryArguments::parse_from(words);
        let configuration = Configuration::default();
        let sources = arguments.sources.read(&configuration).unwrap();
        let shown = Shown {
            export: arguments.export,
            vars: arguments.vars,
            hosts: limited(&sources),
            sources: &sources,
        };
        match shown.text(&arguments, &configuration) {
            Ok(text) => text,
            Err((error, code)) => format!("{code}: {}", error.message),
        }
    }

    #[test]
    fn lists_as_scripts_do() {
        insta::assert_snapshot!(show("--list --limit w1:lonely"));
        insta::assert_snapshot!(show("--list --export"));
    }

    #[test]
    fn lists_as_yaml() {
        insta::assert_snapshot!(show("--list --yaml"));
        insta::assert_snapshot!(show("--list --yaml --export"));
    }

    #[test]
    fn draws_trees() {
        insta::assert_snapshot!(show("--graph"));
        insta::assert_snapshot!(show("--graph prod --vars"));
        assert_eq!(
            show("--graph nope"),
            "5: Pattern must be valid group name when using --graph"
        );
    }

    #[test]
    fn shows_one_host() {
        insta::assert_snapshot!(show("--host w1 -e e=2 --yaml"), @r"
        a: 1
        e: '2'
        gv:
        - 1
        - a: b
        hv: true
        p: 1
        ");
        assert_eq!(
            show("--host localhost"),
            "{\n    \"ansible_connection\": \"local\"\n}\n"
        );
        let single = "5: You must pass a single valid host to --host parameter";
        assert_eq!(show("--host web"), single);
        assert_eq!(show("--host nope"), single);
    }

    #[test]
    fn one_thing_is_shown_at_a_time() {
        let message = |line: &str| {
            let arguments =
                InventoryArguments::parse_from(std::iter::once("inventory").chain(line.split(' ')));
            check(&arguments).unwrap_err().message
        };
        assert!(message("--yaml").starts_with("No action selected"));
        assert!(message("--list --graph").starts_with("Conflicting options"));
        assert_eq!(message("--list --toml"), "--toml is not supported");
    }
}

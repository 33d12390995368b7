//! The plugins `constructed` (variables and groups made from what is known of hosts) and `generator` (hosts made from
//! layers of names): inventories that are computed from a configuration.

use std::sync::Arc;

use super::Inventory;
use super::graph::{Graph, Naming};
use super::ini::add_child;
use crate::diagnostic::Diagnostic;
use crate::template::{EvalError, Layer, Names, Scope, SearchPath, evaluate_text};
use crate::value::Value;
use crate::yaml::{Kind, Mapping, Node};

/// Reads the configuration of a plugin: a map.
type Plugin = fn(&Mapping, &mut Inventory, &Arc<Names>) -> Result<(), Diagnostic>;

/// The plugins that are built in.
pub const PLUGINS: &[(&str, Plugin)] = &[("constructed", construct), ("generator", generate)];

/// `compose`, `groups` and `keyed_groups`, for every host that is known so far.
fn construct(config: &Mapping, inventory: &mut Inventory, extra: &Arc<Names>) -> Result<(), Diagnostic> {
    let strict = truth(config, "strict", false);
    let section = |key: &str| config.get(key).map(|entry| entry.value.clone());
    let compose = map(section("compose"), "compose")?;
    let groups = map(section("groups"), "groups")?;
    let keyed: Vec<Keyed> = match section("keyed_groups") {
        Some(node) => {
            let items = node
                .as_list()
                .ok_or_else(|| wrong(&node, "keyed_groups", "a list"))?;
            let leading = truth(config, "leading_separator", true);
            items
                .iter()
                .map(|item| Keyed::new(item, leading))
                .collect::<Result<_, _>>()?
        }
        None => Vec::new(),
    };
    let extra = truth(config, "use_extra_vars", false).then(|| Arc::clone(extra));
    let files = truth(config, "use_vars_plugins", false);
    let hosts: Vec<String> = inventory.graph.hosts().keys().cloned().collect();
    for host in &hosts {
        let scope = scope(inventory, host, extra.as_ref(), files)?;
        for (name, entry) in compose.iter() {
            if let Some(value) = passed(expression(&entry.value, &scope), strict, name)? {
                let node = Node::literal(&value, &entry.value.span);
                inventory.graph.set_host_variable(host, name, node.into());
            }
        }
        // Groups may be made from what was just composed.
        let scope = self::scope(inventory, host, extra.as_ref(), files)?;
        for (name, entry) in groups.iter() {
            if passed(condition(&entry.value, &scope), strict, name)? == Some(true) {
                let group = safe_group(&mut inventory.graph, name);
                inventory.graph.add_to_group(host, &group);
            }
        }
        for keyed in &keyed {
            keyed.add(host, &scope, strict, &mut inventory.graph)?;
        }
    }
    Ok(())
}

/// What is known of a host, as templates see it.
fn scope(
    inventory: &Inventory,
    host: &str,
    extra: Option<&Arc<Names>>,
    files: bool,
) -> Result<Arc<Scope>, Diagnostic> {
    let magic = Names::from([
        ("inventory_hostname".to_owned(), Value::from(host).into()),
        (
            "group_names".to_owned(),
            Value::from(inventory.group_names(host)).into(),
        ),
    ]);
    let mut layers: Vec<Arc<dyn Layer>> = vec![Arc::new(magic)];
    layers.extend(extra.map(|extra| Arc::clone(extra) as Arc<dyn Layer>));
    let variables = inventory.variables(host, None)?;
    let known = variables
        .classes()
        .filter(|(class, _)| files || !class.is_of_files());
    let known: Vec<_> = known
        .map(|(_, names)| Arc::clone(names) as Arc<dyn Layer>)
        .collect();
    layers.extend(known.into_iter().rev());
    Ok(Scope::new(layers, SearchPath::default()))
}

/// What an expression came to. One that fails is passed over, unless the plugin is strict.
fn passed<T>(result: Result<T, EvalError>, strict: bool, name: &str) -> Result<Option<T>, Diagnostic> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(_) if !strict => Ok(None),
        Err(error) => {
            let mut diagnostic = error.diagnostic;
            diagnostic.message = format!("could not make `{name}`: {}", diagnostic.message);
            Err(diagnostic)
        }
    }
}

/// The value of an expression, which stands without braces.
fn expression(node: &Node, scope: &Arc<Scope>) -> Result<Value, EvalError> {
    match &node.kind {
        Kind::Text(text) => evaluate_text(&format!("{{{{{text}}}}}"), &node.span, scope),
        _ => Ok(node.to_value()),
    }
}

fn condition(node: &Node, scope: &Arc<Scope>) -> Result<bool, EvalError> {
    let text = format!("{{% if {} %}}yes{{% endif %}}", node.to_value());
    Ok(evaluate_text(&text, &node.span, scope)?.as_str() == Some("yes"))
}

/// An entry of `keyed_groups`.
struct Keyed {
    key: Node,
    prefix: String,
    separator: String,
    leading: bool,
    trailing: bool,
    default: Option<String>,
    parent: Option<Node>,
}

impl Keyed {
    fn new(node: &Node, leading: bool) -> Result<Self, Diagnostic> {
        let config = node
            .as_map()
            .ok_or_else(|| wrong(node, "an entry of keyed_groups", "a map"))?;
        let text = |key: &str| config.get(key).map(|entry| entry.value.to_value().to_string());
        let default = text("default_value");
        if default.is_some() && config.contains_key("trailing_separator") {
            return Err(Diagnostic::error(
                "parameters are mutually exclusive for keyed groups: default_value|trailing_separator",
            )
            .at(&node.span));
        }
        let key = config
            .get("key")
            .ok_or_else(|| Diagnostic::error("an entry of keyed_groups needs a `key`").at(&node.span))?;
        Ok(Self {
            key: key.value.clone(),
            prefix: text("prefix").unwrap_or_default(),
            separator: text("separator").unwrap_or_else(|| "_".to_owned()),
            leading,
            trailing: truth(config, "trailing_separator", true),
            default,
            parent: config.get("parent_group").map(|entry| entry.value.clone()),
        })
    }

    fn add(&self, host: &str, scope: &Arc<Scope>, strict: bool, graph: &mut Graph) -> Result<(), Diagnostic> {
        let key = passed(expression(&self.key, scope), strict, "keyed_groups")?;
        let key = key.unwrap_or_default();
        let parent = match &self.parent {
            Some(node) => passed(crate::template::evaluate(node, scope), strict, "parent_group")?,
            None => None,
        };
        if strict && self.default.is_none() && is_empty(&key) {
            let shown = self.key.to_value();
            return Err(Diagnostic::error(format!(
                "No key or key resulted empty for {shown} in host {host}, invalid entry"
            ))
            .at(&self.key.span));
        }
        let separator = if self.prefix.is_empty() && !self.leading {
            ""
        } else {
            &self.separator
        };
        for name in self.names(&key) {
            let name = format!("{}{separator}{name}", self.prefix);
            let group = safe_group(graph, &name);
            graph.add_to_group(host, &group);
            if let Some(parent) = &parent {
                let parent = safe_group(graph, &parent.to_string());
                add_child(graph, &parent, &group, &self.key.span)?;
            }
        }
        Ok(())
    }

    /// The names that a key stands for, without prefix.
    fn names(&self, key: &Value) -> Vec<String> {
        let or_default = |value: &Value| match value {
            Value::Null => self.default.clone(),
            Value::Str(text) if text.is_empty() => self.default.clone(),
            other => Some(other.to_string()),
        };
        match key {
            Value::List(items) => items.iter().filter_map(or_default).collect(),
            Value::Map(map) => map
                .iter()
                .map(|(name, value)| match or_default(value) {
                    Some(value) => format!("{name}{}{value}", self.separator),
                    None if self.trailing => format!("{name}{}", self.separator),
                    None => name.clone(),
                })
                .collect(),
            Value::Bool(false) => Vec::new(),
            other => or_default(other).into_iter().collect(),
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Str(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        _ => false,
    }
}

/// Makes a group whose name is always one that a variable could have: who computes names does not choose them.
fn safe_group(graph: &mut Graph, name: &str) -> String {
    let (naming, odd) = (graph.naming, graph.odd_names);
    graph.naming = Naming::Replace;
    let group = graph.add_group(name);
    (graph.naming, graph.odd_names) = (naming, odd);
    group
}

/// `hosts` for each combination of one name of each of `layers`.
fn generate(config: &Mapping, inventory: &mut Inventory, _: &Arc<Names>) -> Result<(), Diagnostic> {
    let section = |key: &str| config.get(key).map(|entry| entry.value.clone());
    let layers = map(section("layers"), "layers")?;
    let hosts = map(section("hosts"), "hosts")?;
    let name = hosts
        .get("name")
        .map(|entry| &entry.value)
        .ok_or_else(|| Diagnostic::error("a generator's `hosts` need a `name`"))?;
    let mut combinations: Vec<Names> = vec![Names::new()];
    for (layer, entry) in layers.iter() {
        let items = entry
            .value
            .as_list()
            .ok_or_else(|| wrong(&entry.value, layer, "a list"))?;
        combinations = combinations
            .into_iter()
            .flat_map(|names| {
                items.iter().map(move |item| {
                    let mut names = names.clone();
                    names.insert(layer.clone(), item.clone().into());
                    names
                })
            })
            .collect();
    }
    for names in combinations {
        let scope = Scope::new(vec![Arc::new(names) as Arc<dyn Layer>], SearchPath::default());
        let host = rendered(name, &scope)?;
        inventory.graph.add_host(&host);
        parents(&mut inventory.graph, &host, true, &hosts, &scope)?;
    }
    Ok(())
}

/// Puts a host or a group below its `parents`, and these below theirs.
fn parents(
    graph: &mut Graph,
    child: &str,
    host: bool,
    config: &Mapping,
    scope: &Arc<Scope>,
) -> Result<(), Diagnostic> {
    let Some(entry) = config.get("parents") else {
        return Ok(());
    };
    let items = entry
        .value
        .as_list()
        .ok_or_else(|| wrong(&entry.value, "parents", "a list"))?;
    for item in items {
        let parent = map(Some(item.clone()), "an entry of parents")?;
        let name = parent.get("name").ok_or_else(|| {
            Diagnostic::error(format!("Element {child} has a parent with no name.")).at(&item.span)
        })?;
        let group = graph.add_group(&rendered(&name.value, scope)?);
        let variables = map(parent.get("vars").map(|entry| entry.value.clone()), "vars")?;
        for (variable, entry) in variables.iter() {
            let value = match crate::template::evaluate(&entry.value, scope) {
                Ok(value) => Node::literal(&value, &entry.value.span),
                // It may be known when the host is worked on.
                Err(error) if error.undefined => entry.value.clone(),
                Err(error) => return Err(error.diagnostic),
            };
            graph.set_group_variable(&group, variable, value.into());
        }
        if host {
            graph.add_to_group(child, &group);
        } else {
            add_child(graph, &group, child, &item.span)?;
        }
        parents(graph, &group, false, &parent, scope)?;
    }
    Ok(())
}

fn rendered(node: &Node, scope: &Arc<Scope>) -> Result<String, Diagnostic> {
    let value = crate::template::evaluate(node, scope).map_err(|error| error.diagnostic)?;
    Ok(value.to_string())
}

fn truth(config: &Mapping, key: &str, usual: bool) -> bool {
    config
        .get(key)
        .and_then(|entry| entry.value.to_value().truth())
        .unwrap_or(usual)
}

fn map(node: Option<Node>, what: &str) -> Result<Arc<Mapping>, Diagnostic> {
    match node {
        None => Ok(Arc::default()),
        Some(node) if node.is_null() => Ok(Arc::default()),
        Some(node) => node.as_map().cloned().ok_or_else(|| wrong(&node, what, "a map")),
    }
}

fn wrong(node: &Node, what: &str, expected: &str) -> Diagnostic {
    Diagnostic::error(format!("`{what}` must be {expected}, not {}", node.described())).at(&node.span)
}

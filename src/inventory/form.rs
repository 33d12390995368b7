//! The forms in which a source may be written. Each of those that are enabled is asked whether a source could be
//! its own, and tries to read it; the first that can has it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use super::constructed::PLUGINS;
use super::graph::UNGROUPED;
use super::{Inventory, address, ini, load, script, yaml};
use crate::configuration::{Configuration, table};
use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};
use crate::template::Names;
use crate::yaml::{Document, load as load_yaml};

/// What reading a source may look at and leave behind.
pub struct Reading<'a> {
    pub inventory: &'a mut Inventory,
    pub configuration: &'a Configuration,
    pub extra_vars: &'a Arc<Names>,
    pub warnings: &'a mut Vec<Diagnostic>,
}

/// One form.
pub struct Form {
    /// As `enable_plugins` names it.
    pub name: &'static str,
    /// Whether a source may be of this form, by its name and kind.
    pub suits: fn(&str, &Configuration) -> bool,
    pub read: fn(&str, &mut Reading<'_>) -> Result<(), Diagnostic>,
    /// A source that suits it is not meant to be of another form: others' complaints would only distract.
    pub certain: bool,
}

pub static FORMS: &[Form] = &[
    Form {
        name: "host_list",
        suits: is_list,
        read: host_list,
        certain: true,
    },
    Form {
        name: "advanced_host_list",
        suits: is_list,
        read: host_list,
        certain: true,
    },
    Form {
        name: "script",
        suits: is_program,
        read: run_script,
        certain: true,
    },
    Form {
        name: "auto",
        suits: is_plugin,
        read: plugin,
        certain: true,
    },
    Form {
        name: "constructed",
        suits: is_configuration,
        read: plugin,
        certain: true,
    },
    Form {
        name: "generator",
        suits: is_configuration,
        read: plugin,
        certain: true,
    },
    Form {
        name: "yaml",
        suits: is_yaml,
        read: read_yaml,
        certain: false,
    },
    Form {
        name: "ini",
        suits: is_file,
        read: read_ini,
        certain: false,
    },
];

fn is_list(source: &str, _: &Configuration) -> bool {
    source.contains(',') && !Path::new(source).exists()
}

fn is_file(source: &str, _: &Configuration) -> bool {
    Path::new(source).is_file()
}

fn is_program(source: &str, _: &Configuration) -> bool {
    let executable = |metadata: std::fs::Metadata| metadata.permissions().mode() & 0o111 != 0;
    Path::new(source).is_file() && std::fs::metadata(source).is_ok_and(executable)
}

/// A YAML ending, or none at all.
fn is_yaml(source: &str, configuration: &Configuration) -> bool {
    let endings = configuration.list(&table::YAML_FILENAME_EXTENSIONS);
    let extension = Path::new(source).extension();
    let suits = extension.is_none_or(|extension| {
        let extension = format!(".{}", extension.to_string_lossy());
        endings.contains(&extension)
    });
    Path::new(source).is_file() && suits
}

/// A file that can hold a plugin's configuration.
fn is_configuration(source: &str, configuration: &Configuration) -> bool {
    source.ends_with(".config") || is_yaml(source, configuration)
}

/// Whether it says `plugin:` at its head.
fn is_plugin(source: &str, configuration: &Configuration) -> bool {
    let named = [".yml", ".yaml"].iter().any(|ending| source.ends_with(ending));
    named
        && is_yaml(source, configuration)
        && document(source).is_ok_and(|document| document.root.get("plugin").is_some())
}

/// `web1,web2:2222,`, with ranges.
fn host_list(text: &str, reading: &mut Reading<'_>) -> Result<(), Diagnostic> {
    let source = Source::new("<inventory>", text);
    let graph = &mut reading.inventory.graph;
    let mut start = 0;
    for part in text.split(',') {
        let place = Span::new(&source, start, start + part.len());
        start += part.len() + 1;
        if part.trim().is_empty() {
            continue;
        }
        let address = address::parse(part.trim(), &place)?;
        for host in &address.hosts {
            graph.add_to_group(host, UNGROUPED);
            if let Some((name, port)) = address.variable(&place) {
                graph.set_host_variable(host, name, port.into());
            }
        }
    }
    Ok(())
}

fn run_script(source: &str, reading: &mut Reading<'_>) -> Result<(), Diagnostic> {
    let complaints = script::run(Path::new(source), &mut reading.inventory.graph)?;
    if !complaints.is_empty() && reading.configuration.truth(&table::SCRIPT_ALWAYS_SHOW_STDERR) {
        reading.warnings.push(Diagnostic::warning(format!(
            "the inventory script {source} says: {complaints}"
        )));
    }
    Ok(())
}

fn plugin(source: &str, reading: &mut Reading<'_>) -> Result<(), Diagnostic> {
    let document = document(source)?;
    let Some(map) = document.root.as_map().filter(|map| !map.is_empty()) else {
        return Err(
            Diagnostic::error("an inventory plugin's configuration must be a map that is not empty")
                .at(&document.root.span),
        );
    };
    let Some(entry) = map.get("plugin") else {
        return Err(Diagnostic::error("no root 'plugin' key found").at(&document.root.span));
    };
    let name = entry.value.to_value().to_string();
    let short = name.strip_prefix("ansible.builtin.").unwrap_or(&name);
    if let Some((_, run)) = PLUGINS.iter().find(|(known, _)| *known == short) {
        return run(map, reading.inventory, reading.extra_vars);
    }
    Err(Diagnostic::error(format!("there is no inventory plugin `{name}`"))
        .at(&entry.value.span)
        .hint("write the plugin's result to a file: ansible-inventory -i THIS --list --yaml --output hosts.yml"))
}

fn document(source: &str) -> Result<Document, Diagnostic> {
    load_yaml(&text(source)?)
}

fn text(source: &str) -> Result<Arc<Source>, Diagnostic> {
    load::read(Path::new(source))
}

fn read_yaml(source: &str, reading: &mut Reading<'_>) -> Result<(), Diagnostic> {
    let document = document(source)?;
    if document.root.get("plugin").is_some() {
        return Err(
            Diagnostic::error("Plugin configuration YAML file, not YAML inventory").at(&document.root.span),
        );
    }
    let warnings = yaml::parse(&document.root, &mut reading.inventory.graph)?;
    reading.warnings.extend(document.warnings);
    reading.warnings.extend(warnings);
    Ok(())
}

fn read_ini(source: &str, reading: &mut Reading<'_>) -> Result<(), Diagnostic> {
    ini::parse(&text(source)?, &mut reading.inventory.graph)
}

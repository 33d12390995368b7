//! Lookups of the environment, of variables and of commands' output.

use std::process::Command;

use super::{Answer, Lookup, Request, row};
use crate::configuration::{Configuration, table};
use crate::diagnostic::Diagnostic;
use crate::template::about::configuration;
use crate::template::error::EvalError;
use crate::template::filters::regexes;
use crate::value::Value;

pub(super) const LOOKUPS: &[Lookup] = &[
    row("env", "The controller's environment variables", env),
    row("config", "The run's settings", config),
    row(
        "inventory_hostnames",
        "The hosts that a pattern selects",
        inventory_hostnames,
    ),
    row("vars", "The values of variables by name", vars),
    row(
        "varnames",
        "The names of variables that match expressions",
        varnames,
    ),
    row("pipe", "What commands print on the controller", |request| {
        let text = |term: &Value| Ok(output(request, term)?.trim_end().into());
        request.terms.iter().map(text).collect()
    }),
    row(
        "lines",
        "The lines that commands print on the controller",
        |request| {
            let mut lines = Vec::new();
            for term in &request.terms {
                lines.extend(output(request, term)?.lines().map(Value::from));
            }
            Ok(lines)
        },
    ),
];

/// The options of methods of become: method, option, what it is unless told otherwise.
const BECOME_OPTIONS: &[(&str, &str, &str)] = &[
    ("sudo", "become_exe", "sudo"),
    ("sudo", "become_flags", "-H -S -n"),
    ("sudo", "become_user", "root"),
    ("su", "become_exe", "su"),
    ("su", "become_flags", ""),
    ("su", "become_user", "root"),
];

fn env(request: &Request) -> Answer {
    let variable = |term: &Value| {
        let name = term.to_string();
        match (std::env::var(&name), request.options.get("default")) {
            (Ok(value), _) => Ok(value.into()),
            (Err(_), Some(default)) => Ok(default.clone()),
            (Err(_), None) if request.undefined_default => {
                let message = format!("the environment variable '{name}' is undefined");
                Err(EvalError::undefined(Diagnostic::error(message)))
            }
            (Err(_), None) => Ok("".into()),
        }
    };
    request.terms.iter().map(variable).collect()
}

fn config(request: &Request) -> Answer {
    let missing = request
        .options
        .get("on_missing")
        .map_or("error".to_owned(), ToString::to_string);
    if !["error", "skip", "warn"].contains(&missing.as_str()) {
        return Err(request.fail(format!(
            "Invalid value '{missing}' for `on_missing`: it is error, skip or warn"
        )));
    }
    let configuration = configuration(request.scope).unwrap_or_default();
    let plugin =
        ["plugin_type", "plugin_name"].map(|option| request.options.get(option).map(ToString::to_string));
    let option_of_plugin = |name: &str| match &plugin {
        [Some(kind), Some(plugin)] => plugin_option(&configuration, kind, plugin, name),
        _ => None,
    };
    let origin = request.flag("show_origin", false);
    let mut values = Vec::new();
    for term in &request.terms {
        let name = term.to_string();
        if let Some(value) = option_of_plugin(&name) {
            values.push(value);
            continue;
        }
        match table::all().find(|setting| setting.name == name) {
            Some(setting) if origin => values.push(Value::List(vec![
                configuration.value(setting).clone(),
                configuration.origin(setting).to_string().into(),
            ])),
            Some(setting) => values.push(configuration.value(setting).clone()),
            None if missing == "error" => {
                return Err(request.fail(format!("No config definition exists for '{name}'.")));
            }
            None => {
                if missing == "warn" {
                    tracing::warn!("No config definition exists for '{name}'");
                }
            }
        }
    }
    Ok(values)
}

/// What a method of become uses unless a task says otherwise: as configured, else the method's own.
fn plugin_option(configuration: &Configuration, kind: &str, plugin: &str, name: &str) -> Option<Value> {
    if kind != "become" {
        return None;
    }
    let usual = |(method, option, _): &&(&str, &str, &str)| (*method, *option) == (plugin, name);
    let (_, _, usual) = BECOME_OPTIONS.iter().find(usual)?;
    let setting = match name {
        "become_user" => &table::DEFAULT_BECOME_USER,
        "become_flags" => &table::DEFAULT_BECOME_FLAGS,
        _ => return Some((*usual).into()),
    };
    let configured = configuration.text(setting).filter(|text| !text.is_empty());
    Some(configured.unwrap_or(usual).into())
}

/// Groups are what the scope says they are; a name that is in none stands for itself where it has no wildcards.
fn inventory_hostnames(request: &Request) -> Answer {
    let groups = request.scope.value("groups")?.unwrap_or_default();
    let members = |name: &str| -> Vec<Value> {
        groups
            .get(name)
            .and_then(Value::as_list)
            .unwrap_or_default()
            .to_vec()
    };
    let all = members("all");
    let selected = |pattern: &str| -> Vec<Value> {
        if groups.get(pattern).is_some() {
            return members(pattern);
        }
        let Ok(glob) = globset::Glob::new(pattern) else {
            return Vec::new();
        };
        let matcher = glob.compile_matcher();
        let in_groups = groups.as_map().into_iter().flatten();
        let in_groups = in_groups
            .filter(|(name, _)| matcher.is_match(name))
            .flat_map(|(name, _)| members(name));
        let hosts = all
            .iter()
            .filter(|host| matcher.is_match(host.to_string()))
            .cloned();
        hosts.chain(in_groups).collect()
    };
    let mut found: Vec<Value> = Vec::new();
    let terms = request
        .terms
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",");
    let (mut plain, mut limits, mut excluded) = (Vec::new(), Vec::new(), Vec::new());
    for part in terms
        .split([',', ':'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        match part.split_at(1) {
            ("&", rest) => limits.push(rest),
            ("!", rest) => excluded.push(rest),
            _ => plain.push(part),
        }
    }
    if plain.is_empty() {
        found.clone_from(&all);
    }
    for host in plain.iter().flat_map(|part| selected(part)) {
        if !found.contains(&host) {
            found.push(host);
        }
    }
    for limit in limits {
        let kept = selected(limit);
        found.retain(|host| kept.contains(host));
    }
    for part in excluded {
        let dropped = selected(part);
        found.retain(|host| !dropped.contains(host));
    }
    Ok(found)
}

fn vars(request: &Request) -> Answer {
    let mut values = Vec::new();
    for term in &request.terms {
        let Some(name) = term.as_str().map(str::to_owned) else {
            let found = term.type_name();
            return Err(request.fail(format!("Variable name must be 'str' not '{found}'.")));
        };
        match (request.scope.value(&name), request.options.get("default")) {
            (Ok(Some(value)), _) => values.push(value),
            (Ok(None), Some(default)) => values.push(default.clone()),
            (Err(error), Some(default)) if error.undefined => values.push(default.clone()),
            (Err(error), _) => return Err(error),
            (Ok(None), None) => {
                let names = request.scope.names();
                return Err(EvalError::undefined(
                    Diagnostic::error(format!("No variable named '{name}' was found."))
                        .nearest(&name, names.iter().map(String::as_str)),
                ));
            }
        }
    }
    Ok(values)
}

fn varnames(request: &Request) -> Answer {
    let names = request.scope.names();
    let mut found = Vec::new();
    for term in &request.terms {
        let Value::Str(term) = term else {
            let kind = term.type_name();
            return Err(request.fail(format!(
                "Invalid setting identifier, \"{term}\" is not a string, it is a {kind}"
            )));
        };
        let pattern = regexes::compile(term).map_err(|message| {
            request.fail(format!(
                "Unable to use \"{term}\" as a search parameter: {message}"
            ))
        })?;
        let matching = names.iter().filter(|name| pattern.find_at(name, 0).is_some());
        found.extend(matching.map(|name| Value::from(name.as_str())));
    }
    Ok(found)
}

/// A shell's output, run where the playbook is. That is what these lookups are for: the controller is the
/// user's own machine, and the command their own text.
fn output(request: &Request, command: &Value) -> Result<String, EvalError> {
    let command = command.to_string();
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(&command);
    if let Some(folder) = request.scope.search.folders.last() {
        shell.current_dir(folder);
    }
    let done = shell
        .output()
        .map_err(|error| request.fail(format!("cannot run `{command}`: {error}")))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        let code = done.status.code().unwrap_or(-1);
        return Err(request.fail(format!(
            "lookup_plugin.{}({command}) returned {code}: {}",
            request.name,
            said.trim()
        )));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

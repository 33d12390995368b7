//! What of a container is not as wanted: a pure comparison of the engine's JSON with ours.

use std::collections::BTreeMap;

use serde_json::{Map as JsonMap, Value as Json, json};

use super::options::{CONFIG, Kind, ROWS};
use super::wanted::{Entry, Wanted};
use crate::modules::Error;
use crate::modules::docker::difference::{Difference, nothing, same};
use crate::value::{Map, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Strict,
    Ignore,
    AllowMorePresent,
}

/// How each argument is compared: `comparisons`, over the defaults.
#[derive(Debug, Default)]
pub struct Comparisons {
    all: Option<Comparison>,
    each: BTreeMap<String, Comparison>,
}

/// Those that are compared and no rows of their own.
const OTHERS: &[(&str, Kind)] = &[
    ("env", Kind::Set),
    ("exposed_ports", Kind::Dict),
    ("image", Kind::Value),
    ("mounts", Kind::Dicts),
    ("network_mode", Kind::Value),
    ("networks", Kind::Dicts),
    ("published_ports", Kind::Dict),
    ("volumes", Kind::Set),
];

/// Other names, as they may be used in `comparisons` too.
const ALIASES: &[(&str, &str)] = &[
    ("exposed", "exposed_ports"),
    ("expose", "exposed_ports"),
    ("log_opt", "log_options"),
    ("ports", "published_ports"),
];

impl Comparisons {
    pub fn new(args: &Map) -> Result<Self, Error> {
        let mut comparisons = Self::default();
        // The older spelling of two of them.
        if args.get("purge_networks").is_some_and(Value::is_true) {
            comparisons.each.insert("networks".to_owned(), Comparison::Strict);
        }
        if args.get("ignore_image").is_some_and(Value::is_true) {
            comparisons.each.insert("image".to_owned(), Comparison::Ignore);
        }
        for (name, value) in args
            .get("comparisons")
            .and_then(Value::as_map)
            .into_iter()
            .flatten()
        {
            let comparison = match value.to_string().as_str() {
                "strict" => Comparison::Strict,
                "ignore" => Comparison::Ignore,
                "allow_more_present" => Comparison::AllowMorePresent,
                other => return Err(Error::new(format!("Unknown comparison mode '{other}'!"))),
            };
            if name == "*" {
                if comparison == Comparison::AllowMorePresent {
                    return Err(Error::new(
                        "The wildcard can only be used with comparison modes 'strict' and 'ignore'!",
                    ));
                }
                comparisons.all = Some(comparison);
                continue;
            }
            let alias = ALIASES.iter().find(|(alias, _)| alias == name);
            let name = alias.map_or(name.as_str(), |(_, name)| name);
            let kind = kind(name)
                .ok_or_else(|| Error::new(format!("Unknown module option '{name}' in comparisons dict!")))?;
            if kind == Kind::Value && comparison == Comparison::AllowMorePresent {
                return Err(Error::new(format!(
                    "Option '{name}' is a value and not a set/list/dict, so its comparison cannot be allow_more_present"
                )));
            }
            comparisons.each.insert(name.to_owned(), comparison);
        }
        Ok(comparisons)
    }

    pub fn of(&self, argument: &str, kind: Kind) -> Comparison {
        let usual = match kind {
            // Asked for when it is stopped, not a property that one would make it anew for.
            _ if argument == "stop_timeout" => Comparison::Ignore,
            Kind::Value | Kind::List => Comparison::Strict,
            Kind::Set | Kind::Dict | Kind::Dicts => Comparison::AllowMorePresent,
        };
        self.each.get(argument).copied().or(self.all).unwrap_or(usual)
    }
}

fn kind(argument: &str) -> Option<Kind> {
    let row = ROWS
        .iter()
        .find(|row| row.argument == argument)
        .map(|row| row.kind);
    row.or_else(|| {
        OTHERS
            .iter()
            .find(|(name, _)| *name == argument)
            .map(|(_, kind)| *kind)
    })
}

/// All that differs between what is wanted and what `inspect` tells, networks aside. What the image brings along counts as
/// wanted, too.
pub fn differences(
    wanted: &Wanted,
    container: &Json,
    image: Option<&Json>,
    comparisons: &Comparisons,
) -> Vec<Difference> {
    let mut different = Vec::new();
    for entry in &wanted.entries {
        let found = entry.path.iter().fold(container, |json, key| &json[*key]);
        let expected = with_image(entry, image);
        let comparison = comparisons.of(entry.argument, entry.kind);
        let name = container["Name"].as_str().unwrap_or_default();
        let (expected_form, found_form) = (normal(entry, &expected, name), normal(entry, found, name));
        if !agrees(entry.kind, comparison, &expected_form, &found_form) {
            different.push(Difference {
                limit: entry.limit,
                ..Difference::new(entry.argument, expected, found.clone())
            });
        }
    }
    different
}

/// What the image adds of its own.
fn with_image(entry: &Entry, image: Option<&Json>) -> Json {
    let Some(config) = image.map(|image| &image[CONFIG]) else {
        return entry.value.clone();
    };
    match (entry.path, &entry.value) {
        ([_, "Cmd"], Json::Array(words)) if words.is_empty() => config["Cmd"].clone(),
        ([_, "Env"], Json::Array(own)) => {
            let name = |line: &Json| {
                line.as_str()
                    .and_then(|line| Some(line.split_once('=')?.0.to_owned()))
            };
            let inherited = config["Env"].as_array().into_iter().flatten();
            let mut all: Vec<Json> = inherited
                .filter(|line| !own.iter().any(|own| name(own) == name(line)))
                .cloned()
                .collect();
            all.extend(own.iter().cloned());
            all.into()
        }
        ([_, "Labels" | "ExposedPorts" | "Volumes"], Json::Object(own)) => {
            let key = entry.path.last().copied().unwrap_or_default();
            let mut all = config[key].as_object().cloned().unwrap_or_default();
            all.extend(own.clone());
            all.into()
        }
        _ => entry.value.clone(),
    }
}

/// In one spelling where docker knows several.
fn normal(entry: &Entry, value: &Json, container: &str) -> Json {
    let texts = |spelt: &dyn Fn(&str) -> String| -> Json {
        let list = value.as_array().into_iter().flatten();
        list.map(|item| {
            item.as_str()
                .map_or_else(|| item.clone(), |text| spelt(text).into())
        })
        .collect()
    };
    match entry.argument {
        "capabilities" | "cap_drop" => {
            texts(&|name| name.to_ascii_uppercase().trim_start_matches("CAP_").to_owned())
        }
        "security_opts" => texts(&|option| option.replacen(':', "=", 1)),
        // `/other:/this/alias`
        "links" => texts(&|link| {
            let own = format!("{container}/");
            let link = link.trim_start_matches('/').replace(&format!(":{own}"), ":");
            if link.contains(':') {
                link
            } else {
                format!("{link}:{link}")
            }
        }),
        // What the engine calls its bridge when nothing is said.
        "network_mode" if value == "bridge" || value.is_null() => "default".into(),
        "published_ports" => {
            let ports = value.as_object().into_iter().flatten();
            ports
                .map(|(port, bindings)| {
                    let bindings = bindings.as_array().into_iter().flatten();
                    // To listen on all addresses is to listen on all of IPv4's, if none was asked for.
                    let spelt = bindings.map(|binding| {
                        let address = match binding["HostIp"].as_str() {
                            None | Some("") => "0.0.0.0",
                            Some(address) => address,
                        };
                        format!("{address}:{}", binding["HostPort"].as_str().unwrap_or_default())
                    });
                    (port.clone(), spelt.collect::<Vec<_>>().into())
                })
                .collect::<JsonMap<String, Json>>()
                .into()
        }
        _ => value.clone(),
    }
}

fn agrees(kind: Kind, comparison: Comparison, wanted: &Json, found: &Json) -> bool {
    let strict = match comparison {
        Comparison::Ignore => return true,
        Comparison::Strict => true,
        Comparison::AllowMorePresent => false,
    };
    match (kind, wanted, found) {
        (Kind::List, Json::Array(wanted), Json::Array(found)) if !strict => {
            let mut rest = found.iter();
            wanted.iter().all(|word| rest.any(|found| found == word))
        }
        (Kind::Set, Json::Array(wanted), found) => {
            let none = Vec::new();
            let found = found.as_array().unwrap_or(&none);
            wanted.iter().all(|item| found.contains(item))
                && (!strict || found.iter().all(|item| wanted.contains(item)))
        }
        (Kind::Dict, Json::Object(_), _) if !strict => holds(wanted, found),
        (Kind::Dicts, Json::Array(wanted), found) => {
            let none = Vec::new();
            let found = found.as_array().unwrap_or(&none);
            wanted
                .iter()
                .all(|wanted| found.iter().any(|found| holds(wanted, found)))
                && (!strict || found.len() == wanted.len())
        }
        _ => same(wanted, found),
    }
}

/// Whether all of one dict is in another.
fn holds(wanted: &Json, found: &Json) -> bool {
    match wanted {
        Json::Object(wanted) => wanted.iter().all(|(key, value)| match found.get(key) {
            Some(found) => holds(value, found),
            None => nothing(value) && !found.is_null() && !value.is_object(),
        }),
        other => same(other, found),
    }
}

/// The list as results carry it.
pub fn describe(differences: &[Difference]) -> Value {
    let entry = |difference: &Difference| json!({ difference.name.as_str(): { "parameter": difference.wanted, "container": difference.found } });
    let list: Vec<Json> = differences.iter().map(entry).collect();
    Value::from_serialize(list).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::system::fake::Fake;

    fn names(args: &str, container: &Json) -> Vec<String> {
        let args: Map = serde_json::from_str(args).unwrap();
        let wanted = Wanted::new(&args, &Fake::new()).unwrap();
        let image = json!({"Config": {"Env": ["PATH=/bin"], "Labels": {"image": "x"}, "Cmd": ["serve"]}});
        let comparisons = Comparisons::new(&args).unwrap();
        differences(&wanted, container, Some(&image), &comparisons)
            .into_iter()
            .map(|difference| difference.name)
            .collect()
    }

    fn container() -> Json {
        json!({
            "Name": "/c",
            "Config": {"Env": ["PATH=/bin", "A=1"], "Labels": {"image": "x", "own": "y"}, "Cmd": ["serve"],
                "ExposedPorts": {"80/tcp": {}}, "User": ""},
            "HostConfig": {"Privileged": false, "CapAdd": ["CAP_NET_ADMIN"], "NetworkMode": "default",
                "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "Binds": ["/c:/d:ro", "/a:/b:rw"],
                "Links": ["/other:/c/alias"], "Mounts": [{"Type": "bind", "Source": "/x", "Target": "/y", "ReadOnly": true}],
                "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}, "Memory": 1024}
        })
    }

    #[test]
    fn only_real_differences_count() {
        let same = r#"{"env":{"A":"1"},"labels":{"own":"y"},"command":"serve","user":"","privileged":false,
            "capabilities":["net_admin"],"network_mode":"bridge","restart_policy":"no","volumes":["/a:/b","/c:/d:ro"],
            "published_ports":["8080:80"],"links":["other:alias"],"stop_timeout":3,
            "mounts":[{"type":"bind","source":"/x","target":"/y","read_only":true}]}"#;
        assert_eq!(names(same, &container()), Vec::<String>::new());
        let image = r#"{"command":[],"env":{"A":"1"},"comparisons":{"env":"strict"}}"#;
        assert_eq!(names(image, &container()), Vec::<String>::new());
        let other = r#"{"env":{"A":"2"},"command":["serve","x"],"published_ports":["127.0.0.1:8080:80"],"memory":"2k"}"#;
        assert_eq!(
            names(other, &container()),
            ["command", "memory", "env", "published_ports"]
        );
    }

    #[test]
    fn comparisons_are_the_users_choice() {
        let with =
            |more: &str| format!(r#"{{"labels":{{}},"env":{{}},"volumes":["/a:/b"],"comparisons":{more}}}"#);
        assert_eq!(names(&with("{}"), &container()), Vec::<String>::new());
        assert_eq!(
            names(&with(r#"{"*":"strict"}"#), &container()),
            ["labels", "env", "volumes"]
        );
        assert_eq!(
            names(&with(r#"{"*":"strict","env":"ignore"}"#), &container()),
            ["labels", "volumes"]
        );
        let refused = |json: &str| {
            Comparisons::new(&serde_json::from_str(json).unwrap())
                .unwrap_err()
                .message
        };
        assert!(refused(r#"{"comparisons":{"image":"allow_more_present"}}"#).contains("is a value"));
        assert!(refused(r#"{"comparisons":{"x":"strict"}}"#).contains("Unknown module option 'x'"));
        assert!(refused(r#"{"comparisons":{"*":"allow_more_present"}}"#).contains("wildcard"));
        assert!(refused(r#"{"comparisons":{"env":"loose"}}"#).contains("Unknown comparison mode"));
    }
}

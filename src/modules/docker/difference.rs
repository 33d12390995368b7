//! What of a container is not as wanted: a pure comparison of the engine's JSON with ours.

use serde_json::{Map as JsonMap, Value as Json};

use super::wanted::Wanted;
use crate::value::Map;

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The engine's name for it.
    pub name: String,
    pub wanted: String,
    pub found: String,
}

/// All that differs between what is wanted and what `inspect` tells.
pub fn differences(wanted: &Wanted, container: &Json) -> Vec<Difference> {
    let mut found = Vec::new();
    for (section, wanted) in [("Config", &wanted.config), ("HostConfig", &wanted.host)] {
        compare(wanted, &container[section], &mut found);
    }
    for name in wanted.networks.keys() {
        if container["NetworkSettings"]["Networks"].get(name).is_none() {
            found.push(Difference {
                name: "Networks".to_owned(),
                wanted: name.clone(),
                found: String::new(),
            });
        }
    }
    found
}

fn compare(wanted: &JsonMap<String, Json>, found: &Json, differences: &mut Vec<Difference>) {
    for (name, wanted) in wanted {
        let found = &found[name.as_str()];
        if !agrees(name, wanted, found) {
            differences.push(Difference {
                name: name.clone(),
                wanted: wanted.to_string(),
                found: found.to_string(),
            });
        }
    }
}

fn agrees(name: &str, wanted: &Json, found: &Json) -> bool {
    match (name, wanted, found) {
        // The image adds to these: what is wanted has to be among them.
        ("Env", Json::Array(wanted), Json::Array(found)) => wanted.iter().all(|item| found.contains(item)),
        ("Labels" | "Volumes" | "ExposedPorts" | "Sysctls", Json::Object(wanted), Json::Object(found)) => {
            wanted.iter().all(|(key, value)| found.get(key) == Some(value))
        }
        ("LogConfig" | "RestartPolicy" | "Healthcheck", Json::Object(wanted), Json::Object(found)) => wanted
            .iter()
            .all(|(key, value)| found.get(key).is_some_and(|found| same(value, found))),
        // Words whose order says something.
        ("Cmd" | "Entrypoint" | "Dns", _, _) => same(wanted, found),
        ("CapAdd" | "CapDrop", Json::Array(wanted), Json::Array(found)) => {
            let plain = |list: &[Json]| {
                let mut names: Vec<String> = list
                    .iter()
                    .filter_map(Json::as_str)
                    .map(|name| name.to_ascii_uppercase().trim_start_matches("CAP_").to_owned())
                    .collect();
                names.sort_unstable();
                names
            };
            plain(wanted) == plain(found)
        }
        (_, Json::Array(wanted), Json::Array(found)) => {
            wanted.len() == found.len() && wanted.iter().all(|item| found.contains(item))
        }
        // `default` is what the engine calls its bridge when nothing is said.
        ("NetworkMode", Json::String(wanted), Json::String(found)) => {
            let plain = |mode: &str| {
                if mode == "bridge" {
                    "default".to_owned()
                } else {
                    mode.to_owned()
                }
            };
            plain(wanted) == plain(found)
        }
        _ => same(wanted, found),
    }
}

/// Equal, or both nothing in one of docker's ways of saying so.
fn same(wanted: &Json, found: &Json) -> bool {
    let nothing = |value: &Json| match value {
        Json::Null => true,
        Json::Bool(flag) => !flag,
        Json::String(text) => text.is_empty() || text == "no",
        Json::Array(list) => list.is_empty(),
        Json::Object(map) => map.is_empty(),
        Json::Number(number) => number.as_i64() == Some(0),
    };
    wanted == found || (nothing(wanted) && nothing(found))
}

/// The list as results carry it.
pub fn describe(differences: &[Difference]) -> crate::value::Value {
    let entry = |difference: &Difference| {
        Map::from([
            ("name".to_owned(), difference.name.as_str().into()),
            ("parameter".to_owned(), difference.wanted.as_str().into()),
            ("container".to_owned(), difference.found.as_str().into()),
        ])
    };
    differences.iter().map(entry).collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(args: &str, container: &Json) -> Vec<String> {
        let wanted = Wanted::new(&serde_json::from_str(args).unwrap()).unwrap();
        differences(&wanted, container)
            .into_iter()
            .map(|difference| difference.name)
            .collect()
    }

    #[test]
    fn only_real_differences_count() {
        let container = json!({
            "Config": {"Env": ["PATH=/bin", "A=1"], "Labels": {"image": "x", "own": "y"}, "Cmd": ["serve"],
                "ExposedPorts": {"80/tcp": {}}, "User": ""},
            "HostConfig": {"Privileged": false, "CapAdd": ["CAP_NET_ADMIN"], "NetworkMode": "default",
                "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "Binds": ["/c:/d:ro", "/a:/b:rw"],
                "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}},
            "NetworkSettings": {"Networks": {"bridge": {}}}
        });
        let same = r#"{"env":{"A":"1"},"labels":{"own":"y"},"command":"serve","user":"","privileged":false,
            "capabilities":["net_admin"],"network_mode":"bridge","restart_policy":"no","volumes":["/a:/b","/c:/d:ro"],
            "published_ports":["8080:80"]}"#;
        assert_eq!(names(same, &container), Vec::<String>::new());
        let other = r#"{"env":{"A":"2"},"command":["serve","x"],"published_ports":["8081:80"],"networks":[{"name":"lab"}]}"#;
        assert_eq!(
            names(other, &container),
            ["Cmd", "Env", "PortBindings", "Networks"]
        );
    }
}

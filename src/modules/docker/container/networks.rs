//! Which networks a container is to be connected to, and which it is to leave.

use serde_json::{Value as Json, json};

use super::difference::{Comparison, Comparisons};
use super::options::Kind;
use super::plan::Step;
use super::wanted::{Attachment, Wanted};
use crate::modules::docker::difference::Difference;

/// For a container that is there and stays.
pub fn steps(wanted: &Wanted, container: &Json, comparisons: &Comparisons) -> (Vec<Step>, Vec<Difference>) {
    let comparison = comparisons.of("networks", Kind::Dicts);
    let (mut steps, mut differences) = (Vec::new(), Vec::new());
    if comparison == Comparison::Ignore {
        return (steps, differences);
    }
    let connected = &container["NetworkSettings"]["Networks"];
    for network in &wanted.networks {
        let found = &connected[&network.name];
        if is_attached(network, found) {
            continue;
        }
        if !found.is_null() {
            steps.push(Step::Disconnect(network.name.clone()));
        }
        steps.push(Step::Connect(network.clone()));
        let found = network
            .endpoint
            .as_object()
            .filter(|_| !found.is_null())
            .map(|endpoint| {
                let keys = endpoint.keys();
                keys.map(|key| (key.clone(), found[key].clone()))
                    .collect::<Json>()
            });
        differences.push(Difference::new(
            &format!("network.{}", network.name),
            network.endpoint.clone(),
            found,
        ));
    }
    if comparison == Comparison::Strict && (!wanted.networks.is_empty() || wanted.no_networks) {
        for name in connected
            .as_object()
            .into_iter()
            .flat_map(|networks| networks.keys())
        {
            if wanted.networks.iter().all(|network| network.name != *name) {
                steps.push(Step::Disconnect(name.clone()));
                differences.push(Difference::new(&format!("network.{name}"), Json::Null, json!({})));
            }
        }
    }
    (steps, differences)
}

/// For a container that was just made: it is in the first network already, or in the one of its mode.
pub fn steps_of_new(wanted: &Wanted, comparisons: &Comparisons) -> Vec<Step> {
    if wanted.like_cli {
        let others = wanted.networks.iter().skip(1).cloned();
        return others.map(Step::Connect).collect();
    }
    let usual = wanted
        .entry("network_mode")
        .and_then(Json::as_str)
        .unwrap_or("bridge");
    let usual = if usual == "default" { "bridge" } else { usual };
    let made = json!({ "NetworkSettings": { "Networks": { usual: {} } } });
    steps(wanted, &made, comparisons).0
}

fn is_attached(wanted: &Attachment, found: &Json) -> bool {
    let Json::Object(endpoint) = &wanted.endpoint else {
        return !found.is_null();
    };
    !found.is_null()
        && endpoint.iter().all(|(key, value)| match value {
            // The engine adds the container's id.
            Json::Array(items) => {
                let found = found[key].as_array();
                items
                    .iter()
                    .all(|item| found.is_some_and(|found| found.contains(item)))
            }
            Json::Object(addresses) => addresses
                .iter()
                .all(|(family, address)| found[key][family] == *address),
            other => found[key] == *other,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::fake::Fake;
    use crate::value::Map;

    fn told(args: &str, container: Option<&Json>) -> String {
        let args: Map = serde_json::from_str(args).unwrap();
        let wanted = Wanted::new(&args, &Fake::new()).unwrap();
        let comparisons = Comparisons::new(&args).unwrap();
        let steps = match container {
            Some(container) => steps(&wanted, container, &comparisons).0,
            None => steps_of_new(&wanted, &comparisons),
        };
        let spelt = steps.iter().map(|step| match step {
            Step::Connect(network) => format!("+{}", network.name),
            Step::Disconnect(name) => format!("-{name}"),
            other => format!("{other:?}"),
        });
        spelt.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn connects_what_is_missing_or_otherwise() {
        let up = json!({"NetworkSettings": {"Networks": {
            "lab": {"Aliases": ["a", "0123"], "IPAMConfig": {"IPv4Address": "10.0.0.2"}}, "old": {}
        }}});
        let lab = |more: &str| format!(r#"{{"networks":[{{"name":"lab"{more}}}]}}"#);
        assert_eq!(told(&lab(""), Some(&up)), "");
        assert_eq!(
            told(&lab(r#","aliases":["a"],"ipv4_address":"10.0.0.2""#), Some(&up)),
            ""
        );
        assert_eq!(told(&lab(r#","aliases":["b"]"#), Some(&up)), "-lab +lab");
        assert_eq!(
            told(&lab(r#","ipv4_address":"10.0.0.3""#), Some(&up)),
            "-lab +lab"
        );
        assert_eq!(told(r#"{"networks":[{"name":"new"}]}"#, Some(&up)), "+new");
        assert_eq!(
            told(
                r#"{"networks":[{"name":"lab"}],"purge_networks":true}"#,
                Some(&up)
            ),
            "-old"
        );
        assert_eq!(
            told(
                r#"{"networks":[],"comparisons":{"networks":"strict"}}"#,
                Some(&up)
            ),
            "-lab -old"
        );
        assert_eq!(told(r#"{"comparisons":{"networks":"strict"}}"#, Some(&up)), "");
    }

    #[test]
    fn a_new_container_is_in_one_network_already() {
        let two = r#"{"networks":[{"name":"a"},{"name":"b"}]"#;
        assert_eq!(told(&format!("{two}}}"), None), "+b");
        assert_eq!(
            told(&format!(r#"{two},"networks_cli_compatible":false}}"#), None),
            "+a +b"
        );
        assert_eq!(
            told(
                &format!(r#"{two},"networks_cli_compatible":false,"purge_networks":true}}"#),
                None
            ),
            "+a +b -bridge"
        );
    }
}

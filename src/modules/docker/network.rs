//! `docker_network`: one network of the engine. After `community.docker.docker_network`.
//!
//! It is made anew for a difference in what the task gives; containers that are in it are disconnected first and connected
//! again afterwards. Deliberately no swarm: `ingress` and `config_only` are refused as unknown.

use serde::Deserialize;
use serde_json::{Map as JsonMap, Value as Json, json};

use super::container::texts;
use super::difference::{Difference, diff, same};
use super::engine::connection::with_engine_args;
use super::engine::{ConnectionArgs, Engine};
use super::foreseen;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::System;
use crate::system::foresight::{Effect, Foresight, Subject};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct DockerNetwork;

#[derive(Debug, Deserialize)]
pub struct Args {
    name: String,
    state: String,
    driver: String,
    driver_options: Map,
    ipam_driver: Option<String>,
    ipam_driver_options: Option<Map>,
    ipam_config: Option<Vec<Map>>,
    internal: Option<bool>,
    attachable: Option<bool>,
    enable_ipv4: Option<bool>,
    enable_ipv6: Option<bool>,
    labels: Map,
    scope: Option<String>,
    connected: Vec<String>,
    appends: bool,
    force: bool,
    #[serde(flatten)]
    connection: ConnectionArgs,
}

pub struct Change {
    engine: Engine,
    name: String,
    steps: Vec<Step>,
    after: Json,
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Disconnect(String),
    Remove,
    /// The engine's request.
    Create(Json),
    Connect(String),
}

const SUBNET: &[Arg] = &[
    Arg::str("subnet").doc("as 10.1.0.0/16"),
    Arg::str("iprange").doc("the part of it that containers get addresses of"),
    Arg::str("gateway").doc("address of the gateway"),
    Arg::dict("aux_addresses").doc("addresses that are taken, by name"),
];

impl Module for DockerNetwork {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "docker_network",
        summary: "Keep a docker network",
        args: with_engine_args![
            Arg::str("name")
                .aliases(&["network_name"])
                .required()
                .doc("the network"),
            Arg::str("state")
                .choices(&["absent", "present"])
                .default("present")
                .doc("whether it is there; containers in one that goes are disconnected"),
            Arg::str("driver").default("bridge").doc("kind of network"),
            Arg::dict("driver_options")
                .default("{}")
                .doc("options of the driver"),
            Arg::str("ipam_driver").doc("what gives addresses"),
            Arg::dict("ipam_driver_options").doc("options of what gives addresses"),
            Arg::list("ipam_config")
                .options(SUBNET)
                .doc("its networks of addresses"),
            Arg::bool("internal").doc("without a way out"),
            Arg::bool("attachable").doc("containers on their own may be connected to a global one"),
            Arg::bool("enable_ipv4").doc("IPv4 in it; newer engines only"),
            Arg::bool("enable_ipv6").doc("IPv6 in it"),
            Arg::dict("labels").default("{}").doc("labels"),
            Arg::str("scope")
                .choices(&["local", "global", "swarm"])
                .doc("how far it reaches"),
            Arg::strings("connected")
                .aliases(&["containers"])
                .default("[]")
                .doc("containers to be in it; others are disconnected"),
            Arg::bool("appends")
                .aliases(&["incremental"])
                .default("no")
                .doc("leave other containers in it"),
            Arg::bool("force")
                .default("no")
                .doc("make it anew even if nothing differs"),
        ],
        returns: &[
            Return::new(
                "network",
                "dict",
                "what the engine tells of it (`docker network inspect`)",
            )
            .when("it is there, not in check mode"),
            Return::new("actions", "list of str", "what was, or would be, done")
                .when("something is to be done"),
        ],
        example: "\
- community.docker.docker_network:
    name: lab
    ipam_config:
      - subnet: 172.30.0.0/16
        gateway: 172.30.0.1
",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let body = args.request()?;
        let engine = Engine::connect(&args.connection, system)?;
        let network = match foreseen(Subject::Network, &args.name, system) {
            Some(network) => network,
            None => engine.network(&args.name)?,
        };
        if args.state == "present" {
            for name in &args.connected {
                let there = match foreseen(Subject::Container, name, system) {
                    Some(container) => container.is_some(),
                    None => engine.container(name)?.is_some(),
                };
                if !there {
                    return Err(Error::new(format!(
                        "network {}: there is no container {name} to connect",
                        args.name
                    )));
                }
            }
        }
        let (steps, differences) = plan(&args, &body, network.as_ref());
        let mut outcome = Outcome::changed(!steps.is_empty());
        if steps.is_empty() {
            return Ok(Plan::Same(match &network {
                Some(network) => outcome.with("network", Value::from_serialize(network).unwrap_or_default()),
                None => outcome,
            }));
        }
        outcome.diff.push(diff(&differences));
        let actions: Vec<String> = steps.iter().map(|step| step.describe(&args.name)).collect();
        let outcome = outcome.with("actions", actions);
        let after = after(&steps, network.as_ref());
        Ok(Plan::Change {
            change: Change {
                engine,
                name: args.name,
                steps,
                after,
                outcome: outcome.clone(),
            },
            predicted: outcome,
        })
    }

    fn apply(change: Change, _: &dyn System) -> Result<Outcome, Error> {
        let Change { engine, name, .. } = &change;
        for step in &change.steps {
            match step {
                Step::Disconnect(container) => engine.disconnect_container(name, container)?,
                Step::Remove => engine.remove_network(name)?,
                Step::Create(body) => engine.create_network(name, body)?,
                Step::Connect(container) => engine.connect_container(name, container, &json!({}))?,
            }
        }
        Ok(match engine.network(name)? {
            Some(network) => change
                .outcome
                .with("network", Value::from_serialize(network).unwrap_or_default()),
            None => change.outcome,
        })
    }

    fn foresee(change: &Change) -> Foresight {
        Foresight::Effects(vec![Effect::State {
            of: Subject::Network,
            name: change.name.clone(),
            is: Value::from_serialize(&change.after).unwrap_or_default(),
        }])
    }
}

impl Args {
    /// The engine's request, with what the task gives and nothing else.
    fn request(&self) -> Result<Json, Error> {
        let mut body = json!({ "Name": self.name, "Driver": self.driver });
        let mut put = |key: &str, value: Option<Json>| {
            if let Some(value) = value {
                body[key] = value;
            }
        };
        let map = |map: &Map| (!map.is_empty()).then(|| texts(&Value::Map(map.clone())));
        put("Options", map(&self.driver_options));
        put("Labels", map(&self.labels));
        put("Internal", self.internal.map(Json::from));
        put("Attachable", self.attachable.map(Json::from));
        put("EnableIPv4", self.enable_ipv4.map(Json::from));
        put("EnableIPv6", self.enable_ipv6.map(Json::from));
        put("Scope", self.scope.clone().map(Json::from));
        let mut ipam = JsonMap::new();
        if let Some(driver) = &self.ipam_driver {
            ipam.insert("Driver".to_owned(), driver.as_str().into());
        }
        if let Some(options) = self.ipam_driver_options.as_ref().and_then(map) {
            ipam.insert("Options".to_owned(), options);
        }
        if let Some(pools) = self.ipam_config.as_ref().filter(|pools| !pools.is_empty()) {
            let pools: Vec<Json> = pools.iter().map(pool).collect::<Result<_, _>>()?;
            ipam.insert("Config".to_owned(), pools.into());
        }
        put("IPAM", (!ipam.is_empty()).then_some(Json::Object(ipam)));
        Ok(body)
    }
}

fn pool(pool: &Map) -> Result<Json, Error> {
    let mut wanted = json!({});
    for (name, value) in pool {
        let key = match name.as_str() {
            "subnet" => {
                let subnet = value.to_string();
                if subnet.parse::<ipnet::IpNet>().is_err() {
                    return Err(Error::new(format!("\"{subnet}\" is not a valid CIDR")));
                }
                "Subnet"
            }
            "iprange" => "IPRange",
            "gateway" => "Gateway",
            _ => "AuxiliaryAddresses",
        };
        wanted[key] = texts(value);
    }
    Ok(wanted)
}

/// Where a request's parts are compared: argument, path, and whether more may be there.
const COMPARED: &[(&str, &[&str], bool)] = &[
    ("driver", &["Driver"], false),
    ("driver_options", &["Options"], true),
    ("ipam_driver", &["IPAM", "Driver"], false),
    ("ipam_driver_options", &["IPAM", "Options"], false),
    ("internal", &["Internal"], false),
    ("attachable", &["Attachable"], false),
    ("enable_ipv4", &["EnableIPv4"], false),
    ("enable_ipv6", &["EnableIPv6"], false),
    ("labels", &["Labels"], true),
    ("scope", &["Scope"], false),
];

fn differences(body: &Json, network: &Json) -> Vec<Difference> {
    let at = |json: &Json, path: &[&str]| path.iter().fold(json.clone(), |json, key| json[*key].clone());
    let mut different = Vec::new();
    for (argument, path, more) in COMPARED {
        let (wanted, found) = (at(body, path), at(network, path));
        let agrees = match &wanted {
            Json::Null => true,
            Json::Object(wanted) if *more => wanted.iter().all(|(key, value)| found[key] == *value),
            wanted => same(wanted, &found),
        };
        if !agrees {
            different.push(Difference::new(argument, wanted, found));
        }
    }
    let pools = body["IPAM"]["Config"].as_array().into_iter().flatten();
    let found = &network["IPAM"]["Config"];
    for pool in pools {
        let has = |found: &Json| {
            pool.as_object()
                .into_iter()
                .flatten()
                .all(|(key, value)| found[key] == *value)
        };
        if !found.as_array().is_some_and(|found| found.iter().any(has)) {
            different.push(Difference::new("ipam_config", pool.clone(), found.clone()));
        }
    }
    different
}

fn plan(args: &Args, body: &Json, network: Option<&Json>) -> (Vec<Step>, Vec<Difference>) {
    let inside: Vec<String> = network
        .and_then(|network| network["Containers"].as_object())
        .into_iter()
        .flatten()
        .map(|(id, container)| container["Name"].as_str().unwrap_or(id).to_owned())
        .collect();
    let mut steps = Vec::new();
    let mut different = Vec::new();
    let disconnect = |name: &String| Step::Disconnect(name.clone());
    if args.state == "absent" {
        if network.is_some() {
            steps.extend(inside.iter().map(disconnect));
            steps.push(Step::Remove);
            different.push(Difference::new("exists", false, true));
        }
        return (steps, different);
    }
    let mut connected = inside;
    if let Some(network) = network {
        different = differences(body, network);
        if args.force || !different.is_empty() {
            steps.extend(connected.iter().map(disconnect));
            steps.push(Step::Remove);
            steps.push(Step::Create(body.clone()));
            // What was in it and may stay goes back in.
            if args.appends || args.connected.is_empty() {
                steps.extend(connected.iter().cloned().map(Step::Connect));
            } else {
                connected.clear();
            }
        }
    } else {
        steps.push(Step::Create(body.clone()));
        different.push(Difference::new("exists", true, false));
    }
    for name in &args.connected {
        if !connected.contains(name) {
            steps.push(Step::Connect(name.clone()));
            different.push(Difference::new(&format!("connected.{name}"), true, false));
        }
    }
    if !args.appends && !args.connected.is_empty() {
        for name in connected.iter().filter(|name| !args.connected.contains(name)) {
            steps.push(Step::Disconnect(name.clone()));
            different.push(Difference::new(&format!("connected.{name}"), false, true));
        }
    }
    (steps, different)
}

/// What `inspect` would tell afterwards.
fn after(steps: &[Step], network: Option<&Json>) -> Json {
    let mut after = network.cloned().unwrap_or_default();
    for step in steps {
        match step {
            Step::Remove => after = Json::Null,
            Step::Create(body) => {
                after = body.clone();
                after["Containers"] = json!({});
            }
            Step::Connect(name) => after["Containers"][name] = json!({ "Name": name }),
            Step::Disconnect(name) => {
                if let Some(inside) = after["Containers"].as_object_mut() {
                    inside.retain(|_, container| container["Name"] != name.as_str());
                }
            }
        }
    }
    after
}

impl Step {
    fn describe(&self, network: &str) -> String {
        match self {
            Self::Disconnect(container) => format!("Disconnected container {container}"),
            Self::Remove => format!("Removed network {network}"),
            Self::Create(body) => {
                format!(
                    "Created network {network} with driver {}",
                    body["Driver"].as_str().unwrap_or_default()
                )
            }
            Self::Connect(container) => format!("Connected container {container}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(json: &str) -> Result<Args, String> {
        let given: Map = serde_json::from_str(json).unwrap();
        let resolved = DockerNetwork::SPEC.resolve(&given);
        let resolved = resolved.map_err(|error| error.message)?;
        Ok(Value::Map(resolved).deserialize_into().unwrap())
    }

    fn told(json: &str, network: Option<&Json>) -> String {
        let args = match args(json) {
            Ok(args) => args,
            Err(message) => return message,
        };
        let steps = match args.request() {
            Ok(body) => plan(&args, &body, network).0,
            Err(error) => return error.message,
        };
        let actions: Vec<String> = steps.iter().map(|step| step.describe("n")).collect();
        actions.join("; ")
    }

    #[test]
    fn made_anew_only_for_a_difference() {
        let there = json!({
            "Driver": "bridge", "Internal": false, "Labels": {"a": "1", "b": "2"}, "Options": {},
            "IPAM": {"Driver": "default", "Config": [{"Subnet": "172.30.0.0/16", "Gateway": "172.30.0.1"}]},
            "Containers": {"0": {"Name": "c"}}
        });
        assert_eq!(
            told(r#"{"name":"n"}"#, None),
            "Created network n with driver bridge"
        );
        assert_eq!(told(r#"{"name":"n"}"#, Some(&there)), "");
        let same =
            r#"{"name":"n","labels":{"a":"1"},"internal":false,"ipam_config":[{"subnet":"172.30.0.0/16"}]}"#;
        assert_eq!(told(same, Some(&there)), "");
        assert_eq!(
            told(r#"{"name":"n","internal":true}"#, Some(&there)),
            "Disconnected container c; Removed network n; Created network n with driver bridge; Connected container c"
        );
        assert!(
            told(
                r#"{"name":"n","ipam_config":[{"subnet":"10.0.0.0/8"}]}"#,
                Some(&there)
            )
            .contains("Removed")
        );
        assert_eq!(
            told(r#"{"name":"n","state":"absent"}"#, Some(&there)),
            "Disconnected container c; Removed network n"
        );
        assert_eq!(told(r#"{"name":"n","state":"absent"}"#, None), "");
    }

    #[test]
    fn containers_come_and_go() {
        let there = json!({"Driver": "bridge", "Containers": {"0": {"Name": "c"}}});
        assert_eq!(
            told(r#"{"name":"n","connected":["d"]}"#, Some(&there)),
            "Connected container d; Disconnected container c"
        );
        assert_eq!(
            told(r#"{"name":"n","connected":["d"],"appends":true}"#, Some(&there)),
            "Connected container d"
        );
        assert_eq!(told(r#"{"name":"n","connected":["c"]}"#, Some(&there)), "");
        assert_eq!(
            told(r#"{"name":"n","connected":["d"],"force":true}"#, Some(&there)),
            "Disconnected container c; Removed network n; Created network n with driver bridge; Connected container d"
        );
    }

    #[test]
    fn what_a_check_foresees_is_what_it_would_find() {
        let wanted =
            r#"{"name":"n","labels":{"a":"1"},"connected":["c"],"ipam_config":[{"subnet":"10.1.0.0/16"}]}"#;
        let given = args(wanted).unwrap();
        let (steps, _) = plan(&given, &given.request().unwrap(), None);
        assert_eq!(told(wanted, Some(&after(&steps, None))), "");
    }

    #[test]
    fn refuses_what_is_no_network() {
        assert_eq!(
            told(r#"{"name":"n","ipam_config":[{"subnet":"x"}]}"#, None),
            "\"x\" is not a valid CIDR"
        );
        assert!(
            told(r#"{"name":"n","ipam_config":[{"sub":"x"}]}"#, None).contains("ipam_config.sub. Supported")
        );
    }
}

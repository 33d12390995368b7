//! From a task's arguments to the engine's description of a container (its API's names).
//!
//! Only what the task gives is in it: what is absent is the image's or the engine's business, and is not
//! compared.

use serde_json::{Value as Json, json};

use super::mounts;
use super::options::{CONFIG, HOST, Kind, ROWS, only_texts, texts};
use super::ports;
use crate::modules::Error;
use crate::modules::files::path::expand;
use crate::system::System;
use crate::value::{Map, Value};

/// What the older default behaviour of `container_default_behavior` gives where the task gives nothing.
const COMPATIBLE: &[(&str, Value)] = &[
    ("auto_remove", Value::Bool(false)),
    ("init", Value::Bool(false)),
    ("interactive", Value::Bool(false)),
    ("memory", Value::Int(0)),
    ("privileged", Value::Bool(false)),
    ("read_only", Value::Bool(false)),
    ("tty", Value::Bool(false)),
];

/// One thing that is to be so.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub argument: &'static str,
    pub path: &'static [&'static str],
    pub kind: Kind,
    pub limit: bool,
    pub value: Json,
}

/// A network to be in: its name and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Attachment {
    pub name: String,
    pub endpoint: Json,
}

#[derive(Debug, Default)]
pub struct Wanted {
    pub entries: Vec<Entry>,
    pub networks: Vec<Attachment>,
    /// Whether the first of `networks` takes the place of the usual one.
    pub like_cli: bool,
    /// An empty list was given: in none, if that is compared strictly.
    pub no_networks: bool,
}

impl Wanted {
    pub fn new(args: &Map, system: &dyn System) -> Result<Self, Error> {
        let mut wanted = Self {
            like_cli: args.get("networks_cli_compatible").is_none_or(Value::is_true),
            ..Self::default()
        };
        let compatible =
            given(args, "container_default_behavior").and_then(Value::as_str) == Some("compatibility");
        for row in ROWS {
            let fallback = COMPATIBLE
                .iter()
                .find(|(name, _)| compatible && *name == row.argument);
            let value = given(args, row.argument).or(fallback.map(|(_, value)| value));
            if let Some(value) = value {
                let json = row.shape.apply(row.argument, value)?;
                wanted.add(row.argument, row.path, row.kind, json);
                if let Some(entry) = wanted.entries.last_mut() {
                    entry.limit = row.limit;
                }
            }
        }
        for (argument, needs) in [
            ("log_options", "log_driver"),
            ("restart_retries", "restart_policy"),
        ] {
            if given(args, argument).is_some() && given(args, needs).is_none() {
                return Err(Error::new(format!(
                    "missing parameter(s) required by '{argument}': {needs}"
                )));
            }
        }
        wanted.environment(args, system)?;
        wanted.mounts(args)?;
        wanted.ports(args)?;
        wanted.networks(args);
        Ok(wanted)
    }

    fn add(&mut self, argument: &'static str, path: &'static [&'static str], kind: Kind, value: Json) {
        self.entries.push(Entry {
            argument,
            path,
            kind,
            limit: false,
            value,
        });
    }

    pub fn entry(&self, argument: &str) -> Option<&Json> {
        let entry = self.entries.iter().find(|entry| entry.argument == argument);
        entry.map(|entry| &entry.value)
    }

    /// The engine's request to make it. Of several networks only one can be told: the others come afterwards.
    pub fn create_body(&self, image: &str) -> Json {
        let mut body = json!({ "Image": image });
        for entry in &self.entries {
            let path = entry.path.strip_prefix(&[CONFIG]).unwrap_or(entry.path);
            let place = path.iter().fold(&mut body, |place, key| &mut place[*key]);
            *place = entry.value.clone();
        }
        if let Some(first) = self.networks.first().filter(|_| self.like_cli) {
            body["NetworkingConfig"]["EndpointsConfig"][&first.name] = first.endpoint.clone();
        }
        body
    }

    /// The limits of a container as it is.
    pub fn limits(&self) -> Json {
        let limits = self.entries.iter().filter(|entry| entry.limit);
        limits
            .filter_map(|entry| Some(((*entry.path.last()?).to_owned(), entry.value.clone())))
            .collect()
    }

    /// `env_file`, and `env` over it.
    fn environment(&mut self, args: &Map, system: &dyn System) -> Result<(), Error> {
        let mut variables = Map::new();
        if let Some(file) = given(args, "env_file").and_then(Value::as_str) {
            let path = expand(file, system)?;
            let text = String::from_utf8_lossy(&system.read(&path)?).into_owned();
            for line in text.lines().map(str::trim) {
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                let (name, value) = line.split_once('=').ok_or_else(|| {
                    Error::new(format!(
                        "Invalid line in environment file {}: {line}",
                        path.display()
                    ))
                })?;
                variables.insert(name.to_owned(), value.into());
            }
        } else if given(args, "env").is_none() {
            return Ok(());
        }
        if let Some(own) = given(args, "env") {
            only_texts("env", own)?;
            variables.extend(own.as_map().cloned().unwrap_or_default());
        }
        let lines: Vec<String> = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        self.add("env", &[CONFIG, "Env"], Kind::Set, lines.into());
        Ok(())
    }

    fn mounts(&mut self, args: &Map) -> Result<(), Error> {
        if let Some(given) = given(args, "volumes").and_then(Value::as_list) {
            let (binds, anonymous) = mounts::volumes(given)?;
            self.add("volumes", &[HOST, "Binds"], Kind::Set, binds.into());
            if !anonymous.is_empty() {
                let paths: Json = anonymous.into_iter().map(|path| (path, json!({}))).collect();
                self.add("volumes", &[CONFIG, "Volumes"], Kind::Dict, paths);
            }
        }
        if let Some(given) = given(args, "mounts").and_then(Value::as_list) {
            self.add("mounts", &[HOST, "Mounts"], Kind::Dicts, mounts::mounts(given)?);
        }
        Ok(())
    }

    fn ports(&mut self, args: &Map) -> Result<(), Error> {
        let list = |name: &str| given(args, name).and_then(Value::as_list);
        let default = given(args, "default_host_ip").and_then(Value::as_str);
        if default.is_some_and(|address| {
            !address.is_empty()
                && address
                    .trim_matches(['[', ']'])
                    .parse::<std::net::IpAddr>()
                    .is_err()
        }) {
            return Err(Error::new(format!(
                "The value of default_host_ip must be an empty string, an IPv4 address, or an IPv6 address. Got \"{}\" \
                 instead.",
                default.unwrap_or_default()
            )));
        }
        let mut exposed = ports::exposed(list("exposed_ports").unwrap_or_default())?;
        if let Some(published) = list("published_ports") {
            let bindings = ports::published(published, default)?;
            exposed.extend(bindings.keys().cloned());
            self.add(
                "published_ports",
                &[HOST, "PortBindings"],
                Kind::Dict,
                Json::Object(bindings),
            );
        }
        if list("exposed_ports").is_some() || !exposed.is_empty() {
            let exposed: Json = exposed.into_iter().map(|port| (port, json!({}))).collect();
            self.add("exposed_ports", &[CONFIG, "ExposedPorts"], Kind::Dict, exposed);
        }
        Ok(())
    }

    fn networks(&mut self, args: &Map) {
        if let Some(list) = given(args, "networks").and_then(Value::as_list) {
            self.no_networks = list.is_empty();
            self.networks = list.iter().map(attachment).collect();
        }
        let mode = given(args, "network_mode").and_then(Value::as_str);
        let first = self.networks.first().filter(|_| self.like_cli);
        if let Some(mode) = mode.or(first.map(|network| network.name.as_str())) {
            let mode = mode.into();
            self.add("network_mode", &[HOST, "NetworkMode"], Kind::Value, mode);
        }
    }
}

fn attachment(network: &Value) -> Attachment {
    let mut endpoint = json!({});
    for (key, value) in network.as_map().into_iter().flatten() {
        match key.as_str() {
            "aliases" => endpoint["Aliases"] = texts(value),
            "links" => endpoint["Links"] = texts(value),
            "ipv4_address" => endpoint["IPAMConfig"]["IPv4Address"] = value.to_string().into(),
            "ipv6_address" => endpoint["IPAMConfig"]["IPv6Address"] = value.to_string().into(),
            "mac_address" => endpoint["MacAddress"] = value.to_string().replace('-', ":").into(),
            _ => {}
        }
    }
    let name = network.get("name").map(Value::to_string);
    Attachment {
        name: name.unwrap_or_default(),
        endpoint,
    }
}

/// An argument's value, if it has one.
pub fn given<'a>(args: &'a Map, name: &str) -> Option<&'a Value> {
    args.get(name).filter(|value| **value != Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Module;
    use crate::modules::docker::container::DockerContainer;
    use crate::system::fake::Fake;

    fn body(json: &str) -> Json {
        let mut given: Map = serde_json::from_str(json).unwrap();
        given.insert("name".to_owned(), "c".into());
        let fake = Fake::new();
        fake.file("/env", "# comment\n\nA=file\nB=x=y\n");
        match DockerContainer::SPEC.resolve(&given) {
            Ok(args) => match Wanted::new(&args, &fake) {
                Ok(wanted) => wanted.create_body("x"),
                Err(error) => error.message.into(),
            },
            Err(error) => error.message.into(),
        }
    }

    #[test]
    fn describes_a_container_as_the_engine_does() {
        let made = body(
            r#"{"command":"serve --x 'a b'","env":{"A":"1"},"env_file":"/env","memory":"512m","restart_policy":"always",
                "published_ports":["127.0.0.1:8080:80"],"exposed_ports":["9"],"volumes":["/a:/b","/c"],
                "healthcheck":{"test":"true","interval":"1m30s","retries":"3"},"ulimits":["nofile:10:20"],
                "devices":["/dev/x","/dev/y:/dev/z:r"],"etc_hosts":{"a":"10.0.0.1"},"cpus":1.5,"memory_swap":"unlimited",
                "networks":[{"name":"lab","aliases":["a"],"ipv4_address":"10.0.0.2"},{"name":"other"}]}"#,
        );
        let expected = json!({
            "Image": "x",
            "Cmd": ["serve", "--x", "a b"], "Env": ["A=1", "B=x=y"], "Volumes": {"/c": {}},
            "ExposedPorts": {"9/tcp": {}, "80/tcp": {}},
            "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 90_000_000_000_i64, "Retries": 3},
            "HostConfig": {
                "Memory": 536_870_912, "MemorySwap": -1, "NanoCpus": 1_500_000_000, "RestartPolicy": {"Name": "always"},
                "Binds": ["/a:/b:rw"], "Ulimits": [{"Name": "nofile", "Soft": 10, "Hard": 20}],
                "ExtraHosts": ["a:10.0.0.1"], "NetworkMode": "lab",
                "Devices": [
                    {"PathOnHost": "/dev/x", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"},
                    {"PathOnHost": "/dev/y", "PathInContainer": "/dev/z", "CgroupPermissions": "r"}
                ],
                "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}
            },
            "NetworkingConfig": {"EndpointsConfig": {
                "lab": {"Aliases": ["a"], "IPAMConfig": {"IPv4Address": "10.0.0.2"}}
            }}
        });
        assert_eq!(made, expected);
        serde_json::from_value::<bollard::models::ContainerCreateBody>(made).unwrap();
    }

    #[test]
    fn refuses_what_would_not_do_what_it_says() {
        for (args, told) in [
            (r#"{"env":{"A":1}}"#, "Non-string value found for env option"),
            (r#"{"labels":{"A":true}}"#, "Key: A"),
            (
                r#"{"log_options":{"a":"b"}}"#,
                "required by 'log_options': log_driver",
            ),
            (r#"{"memory":"much"}"#, "not a size"),
            (r#"{"ulimits":["nofile"]}"#, "name:soft[:hard]"),
            (r#"{"healthcheck":{"tset":"x"}}"#, "healthcheck.tset. Supported"),
            (r#"{"networks":[{"nmae":"x"}]}"#, "networks.nmae. Supported"),
            (r#"{"command":"a 'b"}"#, "never closed"),
            (r#"{"default_host_ip":"x"}"#, "default_host_ip must be"),
            (r#"{"env_file":"/none"}"#, "cannot read /none"),
        ] {
            let message = body(args);
            assert!(
                message.as_str().is_some_and(|text| text.contains(told)),
                "{message}"
            );
        }
    }

    #[test]
    fn older_defaults_only_where_asked_for() {
        assert_eq!(body("{}"), json!({"Image": "x"}));
        let old = body(r#"{"container_default_behavior":"compatibility","tty":true}"#);
        assert_eq!(
            (&old["Tty"], &old["HostConfig"]["Init"]),
            (&json!(true), &json!(false))
        );
    }
}

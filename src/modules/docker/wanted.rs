//! From a task's arguments to the engine's description of a container (its API's names).
//!
//! Only what the task gives is in it: what is absent is the image's or the engine's business, and is not
//! compared.

use serde_json::{Map as JsonMap, Value as Json, json};

use crate::modules::Error;
use crate::value::{Map, Value};

/// The wanted part of `Config` and `HostConfig`, and networks.
#[derive(Debug, Default)]
pub struct Wanted {
    pub config: JsonMap<String, Json>,
    pub host: JsonMap<String, Json>,
    pub networks: JsonMap<String, Json>,
}

/// How an argument's value becomes JSON.
#[derive(Clone, Copy)]
enum Shape {
    Same,
    /// A command line, split as a shell would; a list stays one.
    Words,
    /// `KEY=value` for each key.
    Assignments,
    /// Keys and values as texts.
    Texts,
    /// Bytes, as `512m`.
    Size,
    /// Nothing, unless true.
    NanoCpus,
}

/// Argument, whether it is in `HostConfig`, its name there, shape.
const FIELDS: &[(&str, bool, &str, Shape)] = &[
    ("command", false, "Cmd", Shape::Words),
    ("entrypoint", false, "Entrypoint", Shape::Words),
    ("env", false, "Env", Shape::Assignments),
    ("labels", false, "Labels", Shape::Texts),
    ("user", false, "User", Shape::Same),
    ("hostname", false, "Hostname", Shape::Same),
    ("domainname", false, "Domainname", Shape::Same),
    ("working_dir", false, "WorkingDir", Shape::Same),
    ("tty", false, "Tty", Shape::Same),
    ("interactive", false, "OpenStdin", Shape::Same),
    ("stop_signal", false, "StopSignal", Shape::Same),
    ("network_mode", true, "NetworkMode", Shape::Same),
    ("privileged", true, "Privileged", Shape::Same),
    ("read_only", true, "ReadonlyRootfs", Shape::Same),
    ("auto_remove", true, "AutoRemove", Shape::Same),
    ("init", true, "Init", Shape::Same),
    ("memory", true, "Memory", Shape::Size),
    ("memory_reservation", true, "MemoryReservation", Shape::Size),
    ("memory_swap", true, "MemorySwap", Shape::Size),
    ("shm_size", true, "ShmSize", Shape::Size),
    ("cpus", true, "NanoCpus", Shape::NanoCpus),
    ("pids_limit", true, "PidsLimit", Shape::Same),
    ("capabilities", true, "CapAdd", Shape::Same),
    ("cap_drop", true, "CapDrop", Shape::Same),
    ("security_opts", true, "SecurityOpt", Shape::Same),
    ("groups", true, "GroupAdd", Shape::Same),
    ("dns_servers", true, "Dns", Shape::Same),
    ("pid_mode", true, "PidMode", Shape::Same),
    ("ipc_mode", true, "IpcMode", Shape::Same),
    ("sysctls", true, "Sysctls", Shape::Texts),
];

impl Wanted {
    pub fn new(args: &Map) -> Result<Self, Error> {
        let mut wanted = Self::default();
        for (name, host, key, shape) in FIELDS {
            let Some(value) = given(args, name) else { continue };
            let json = shape.apply(name, value)?;
            let section = if *host {
                &mut wanted.host
            } else {
                &mut wanted.config
            };
            section.insert((*key).to_owned(), json);
        }
        wanted.restart_policy(args);
        wanted.logging(args);
        wanted.volumes(args);
        wanted.ports(args)?;
        wanted.tmpfs(args);
        wanted.ulimits(args)?;
        wanted.extra_hosts(args);
        wanted.healthcheck(args)?;
        for network in list(args, "networks") {
            let name = match network {
                Value::Str(name) => name.as_str(),
                other => other.get("name").and_then(Value::as_str).unwrap_or_default(),
            };
            let mut endpoint = json!({});
            if let Some(aliases) = network.get("aliases") {
                endpoint["Aliases"] = to_json(aliases);
            }
            if let Some(address) = network.get("ipv4_address") {
                endpoint["IPAMConfig"] = json!({ "IPv4Address": to_json(address) });
            }
            wanted.networks.insert(name.to_owned(), endpoint);
        }
        Ok(wanted)
    }

    /// The engine's request to make it.
    pub fn create_body(&self, image: &str) -> Result<bollard::models::ContainerCreateBody, Error> {
        let mut body = self.config.clone();
        body.insert("Image".to_owned(), image.into());
        body.insert("HostConfig".to_owned(), Json::Object(self.host.clone()));
        if !self.networks.is_empty() {
            body.insert(
                "NetworkingConfig".to_owned(),
                json!({ "EndpointsConfig": self.networks }),
            );
        }
        serde_json::from_value(Json::Object(body))
            .map_err(|error| Error::new(format!("the container's description is malformed: {error}")))
    }

    fn restart_policy(&mut self, args: &Map) {
        if let Some(policy) = given(args, "restart_policy").and_then(Value::as_str) {
            let retries = given(args, "restart_retries")
                .and_then(Value::as_int)
                .unwrap_or(0);
            let policy = json!({ "Name": policy, "MaximumRetryCount": retries });
            self.host.insert("RestartPolicy".to_owned(), policy);
        }
    }

    fn logging(&mut self, args: &Map) {
        if let Some(driver) = given(args, "log_driver") {
            let options = given(args, "log_options").map_or(json!({}), texts);
            let config = json!({ "Type": to_json(driver), "Config": options });
            self.host.insert("LogConfig".to_owned(), config);
        }
    }

    /// `source:target[:mode]` is a bind or a named volume; a lone path is an anonymous volume.
    fn volumes(&mut self, args: &Map) {
        let (binds, anonymous): (Vec<String>, Vec<String>) = list(args, "volumes")
            .iter()
            .map(Value::to_string)
            .partition(|volume| volume.contains(':'));
        if !binds.is_empty() {
            let full = |bind: String| {
                if bind.matches(':').count() == 1 {
                    bind + ":rw"
                } else {
                    bind
                }
            };
            let binds: Vec<String> = binds.into_iter().map(full).collect();
            self.host.insert("Binds".to_owned(), binds.into());
        }
        if !anonymous.is_empty() {
            let volumes: JsonMap<String, Json> =
                anonymous.into_iter().map(|path| (path, json!({}))).collect();
            self.config.insert("Volumes".to_owned(), Json::Object(volumes));
        }
    }

    /// `[[address:]host:]container[/protocol]`.
    fn ports(&mut self, args: &Map) -> Result<(), Error> {
        let mut bindings: JsonMap<String, Json> = JsonMap::new();
        let mut exposed: JsonMap<String, Json> = JsonMap::new();
        for port in list(args, "published_ports") {
            let text = port.to_string();
            let (rest, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
            let (outer, inner) = rest.rsplit_once(':').unwrap_or(("", rest));
            if inner.parse::<u16>().is_err() {
                return Err(Error::new(format!(
                    "published_ports: `{text}` is not [[address:]host port:]container port[/protocol] (ranges are \
                     not supported)"
                )));
            }
            let (address, host) = outer.rsplit_once(':').unwrap_or(("", outer));
            let key = format!("{inner}/{protocol}");
            let binding = json!({ "HostIp": address.trim_matches(['[', ']']), "HostPort": host });
            exposed.insert(key.clone(), json!({}));
            if let Json::Array(list) = bindings.entry(key).or_insert_with(|| json!([])) {
                list.push(binding);
            }
        }
        for port in list(args, "exposed_ports") {
            let text = port.to_string();
            let key = if text.contains('/') {
                text
            } else {
                format!("{text}/tcp")
            };
            exposed.insert(key, json!({}));
        }
        if !bindings.is_empty() {
            self.host
                .insert("PortBindings".to_owned(), Json::Object(bindings));
        }
        if !exposed.is_empty() {
            self.config
                .insert("ExposedPorts".to_owned(), Json::Object(exposed));
        }
        Ok(())
    }

    fn tmpfs(&mut self, args: &Map) {
        let mounts: JsonMap<String, Json> = list(args, "tmpfs")
            .iter()
            .map(Value::to_string)
            .map(|text| match text.split_once(':') {
                Some((path, options)) => (path.to_owned(), options.into()),
                None => (text, "".into()),
            })
            .collect();
        if !mounts.is_empty() {
            self.host.insert("Tmpfs".to_owned(), Json::Object(mounts));
        }
    }

    /// `nofile:1024:2048`.
    fn ulimits(&mut self, args: &Map) -> Result<(), Error> {
        let mut limits = Vec::new();
        for limit in list(args, "ulimits") {
            let text = limit.to_string();
            let parts: Vec<&str> = text.split(':').collect();
            let number = |at: usize| parts.get(at).and_then(|part| part.parse::<i64>().ok());
            let Some(soft) = number(1) else {
                return Err(Error::new(format!("ulimits: `{text}` is not name:soft[:hard]")));
            };
            limits.push(json!({ "Name": parts[0], "Soft": soft, "Hard": number(2).unwrap_or(soft) }));
        }
        if !limits.is_empty() {
            self.host.insert("Ulimits".to_owned(), Json::Array(limits));
        }
        Ok(())
    }

    fn extra_hosts(&mut self, args: &Map) {
        if let Some(Value::Map(hosts)) = given(args, "etc_hosts") {
            let lines: Vec<String> = hosts
                .iter()
                .map(|(name, address)| format!("{name}:{address}"))
                .collect();
            self.host.insert("ExtraHosts".to_owned(), lines.into());
        }
    }

    fn healthcheck(&mut self, args: &Map) -> Result<(), Error> {
        let Some(Value::Map(check)) = given(args, "healthcheck") else {
            return Ok(());
        };
        let mut health = json!({});
        match check.get("test") {
            Some(Value::Str(line)) => health["Test"] = json!(["CMD-SHELL", line]),
            Some(list) => health["Test"] = to_json(list),
            None => {}
        }
        for (name, key) in [
            ("interval", "Interval"),
            ("timeout", "Timeout"),
            ("start_period", "StartPeriod"),
        ] {
            if let Some(value) = check.get(name) {
                let text = value.to_string();
                let nanoseconds = nanoseconds(&text).ok_or_else(|| {
                    Error::new(format!(
                        "healthcheck: {name} `{text}` is not a time such as 1m30s"
                    ))
                })?;
                health[key] = nanoseconds.into();
            }
        }
        if let Some(retries) = check
            .get("retries")
            .and_then(|value| value.to_string().parse::<i64>().ok())
        {
            health["Retries"] = retries.into();
        }
        self.config.insert("Healthcheck".to_owned(), health);
        Ok(())
    }
}

impl Shape {
    fn apply(self, name: &str, value: &Value) -> Result<Json, Error> {
        let malformed = |what: &str| Error::new(format!("{name}: `{value}` is not {what}"));
        Ok(match self {
            Self::Same => to_json(value),
            Self::Words => match value {
                Value::List(_) => texts(value),
                other => shell_words::split(&other.to_string())
                    .map_err(|_| malformed("a command line: a quote is never closed"))?
                    .into(),
            },
            Self::Assignments => {
                let map = value.as_map().ok_or_else(|| malformed("a dict"))?;
                let lines: Vec<String> = map.iter().map(|(key, value)| format!("{key}={value}")).collect();
                lines.into()
            }
            Self::Texts => texts(value),
            Self::Size => size(&value.to_string())
                .ok_or_else(|| malformed("a size such as 512m"))?
                .into(),
            Self::NanoCpus => {
                let cpus: f64 = value.to_string().parse().map_err(|_| malformed("a number"))?;
                #[expect(clippy::cast_possible_truncation, reason = "processors are few")]
                let nano = (cpus * 1e9) as i64;
                nano.into()
            }
        })
    }
}

fn given<'a>(args: &'a Map, name: &str) -> Option<&'a Value> {
    args.get(name).filter(|value| **value != Value::Null)
}

fn list<'a>(args: &'a Map, name: &str) -> &'a [Value] {
    given(args, name).and_then(Value::as_list).unwrap_or_default()
}

fn to_json(value: &Value) -> Json {
    serde_json::to_value(value).unwrap_or_default()
}

/// Leaves as texts: labels and options are never numbers to docker.
fn texts(value: &Value) -> Json {
    match value {
        Value::Map(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), texts(value)))
            .collect(),
        Value::List(list) => list.iter().map(texts).collect(),
        Value::Bool(flag) => flag.to_string().into(),
        other => other.to_string().into(),
    }
}

/// `512m`, `1.5G`, `100`.
fn size(text: &str) -> Option<i64> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.trim_end_matches('b').trim_end_matches('i');
    let (number, shift) = match text.chars().last()? {
        'k' => (&text[..text.len() - 1], 10),
        'm' => (&text[..text.len() - 1], 20),
        'g' => (&text[..text.len() - 1], 30),
        't' => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "sizes of memory"
    )]
    let bytes = (number.parse::<f64>().ok()? * (1_i64 << shift) as f64) as i64;
    Some(bytes)
}

/// `1m30s`, `500ms`.
fn nanoseconds(text: &str) -> Option<i64> {
    let mut total = 0_i64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += number.checked_mul(match &rest[..unit] {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" => 1_000,
            _ => return None,
        })?;
        rest = &rest[unit..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_a_container_as_the_engine_does() {
        let args: Map = serde_json::from_str(
            r#"{"command":"serve --x 'a b'","env":{"A":1},"memory":"512m","restart_policy":"always",
                "published_ports":["127.0.0.1:8080:80","53:53/udp"],"volumes":["/a:/b","/c"],
                "healthcheck":{"test":"true","interval":"1m30s"},"ulimits":["nofile:10:20"]}"#,
        )
        .unwrap();
        let wanted = Wanted::new(&args).unwrap();
        assert_eq!(
            Json::Object(wanted.config.clone()),
            json!({"Cmd":["serve","--x","a b"],"Env":["A=1"],"Volumes":{"/c":{}},"ExposedPorts":{"80/tcp":{},"53/udp":{}},
                "Healthcheck":{"Test":["CMD-SHELL","true"],"Interval":90_000_000_000_i64}})
        );
        assert_eq!(
            Json::Object(wanted.host.clone()),
            json!({"Memory":536_870_912,"RestartPolicy":{"Name":"always","MaximumRetryCount":0},
                "Binds":["/a:/b:rw"],"Ulimits":[{"Name":"nofile","Soft":10,"Hard":20}],
                "PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8080"}],
                    "53/udp":[{"HostIp":"","HostPort":"53"}]}})
        );
        wanted.create_body("x").unwrap();
    }

    #[test]
    fn reads_sizes_and_times() {
        assert_eq!(size("1.5G"), Some(1_610_612_736));
        assert_eq!(size("100"), Some(100));
        assert_eq!(size("x"), None);
        assert_eq!(nanoseconds("500ms"), Some(500_000_000));
        assert_eq!(nanoseconds("5"), None);
    }
}

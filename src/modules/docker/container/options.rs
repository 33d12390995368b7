//! The options of a container that follow from one argument each: where the engine keeps them, how they are spelt there and how
//! they are compared.

use serde_json::{Map as JsonMap, Value as Json, json};

use super::units::{nanoseconds, size};
use crate::modules::Error;
use crate::value::Value;

/// How what is wanted and what is found are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Value,
    /// Words whose order says something.
    List,
    Set,
    Dict,
    Dicts,
}

/// How an argument's value becomes JSON.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    Same,
    /// A command line, split as a shell would; a list stays one.
    Words,
    /// Elements as texts.
    Texts,
    /// A dict's values as texts.
    Settings,
    /// The same; what is no text is refused, since YAML may have read something else than was meant.
    Labels,
    /// `name:address`, as `/etc/hosts` would have it the other way round.
    Hosts,
    /// Bytes, as `512m`; `unlimited` is -1.
    Size,
    NanoCpus,
    /// `host[:container[:permissions]]`.
    Devices,
    /// Dicts with `path` and `rate`, in bytes or not.
    Rates {
        bytes: bool,
    },
    /// `name:soft[:hard]`.
    Ulimits,
    /// `path[:options]`.
    Tmpfs,
    Healthcheck,
    /// GPUs and their like.
    DeviceRequests,
}

pub const CONFIG: &str = "Config";
pub const HOST: &str = "HostConfig";

/// One row: an argument, where its value is in what `inspect` tells, its spelling, its comparison.
pub struct Row {
    pub argument: &'static str,
    pub path: &'static [&'static str],
    pub shape: Shape,
    pub kind: Kind,
    /// Whether it can be set on a container as it is; it then has the same name in that request.
    pub limit: bool,
}

const fn row(argument: &'static str, path: &'static [&'static str], shape: Shape, kind: Kind) -> Row {
    Row {
        argument,
        path,
        shape,
        kind,
        limit: false,
    }
}

const fn limit(argument: &'static str, path: &'static [&'static str], shape: Shape) -> Row {
    Row {
        argument,
        path,
        shape,
        kind: Kind::Value,
        limit: true,
    }
}

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row("auto_remove", &[HOST, "AutoRemove"], Shape::Same, Kind::Value),
    limit("blkio_weight", &[HOST, "BlkioWeight"], Shape::Same),
    row("cap_drop", &[HOST, "CapDrop"], Shape::Texts, Kind::Set),
    row("capabilities", &[HOST, "CapAdd"], Shape::Texts, Kind::Set),
    row("cgroup_parent", &[HOST, "CgroupParent"], Shape::Same, Kind::Value),
    row("cgroupns_mode", &[HOST, "CgroupnsMode"], Shape::Same, Kind::Value),
    row("command", &[CONFIG, "Cmd"], Shape::Words, Kind::List),
    limit("cpu_period", &[HOST, "CpuPeriod"], Shape::Same),
    limit("cpu_quota", &[HOST, "CpuQuota"], Shape::Same),
    limit("cpu_shares", &[HOST, "CpuShares"], Shape::Same),
    row("cpus", &[HOST, "NanoCpus"], Shape::NanoCpus, Kind::Value),
    limit("cpuset_cpus", &[HOST, "CpusetCpus"], Shape::Same),
    limit("cpuset_mems", &[HOST, "CpusetMems"], Shape::Same),
    row("device_cgroup_rules", &[HOST, "DeviceCgroupRules"], Shape::Texts, Kind::List),
    row("device_read_bps", &[HOST, "BlkioDeviceReadBps"], Shape::Rates { bytes: true }, Kind::Dicts),
    row("device_read_iops", &[HOST, "BlkioDeviceReadIOps"], Shape::Rates { bytes: false }, Kind::Dicts),
    row("device_requests", &[HOST, "DeviceRequests"], Shape::DeviceRequests, Kind::Dicts),
    row("device_write_bps", &[HOST, "BlkioDeviceWriteBps"], Shape::Rates { bytes: true }, Kind::Dicts),
    row("device_write_iops", &[HOST, "BlkioDeviceWriteIOps"], Shape::Rates { bytes: false }, Kind::Dicts),
    row("devices", &[HOST, "Devices"], Shape::Devices, Kind::Dicts),
    row("dns_opts", &[HOST, "DnsOptions"], Shape::Texts, Kind::Set),
    row("dns_search_domains", &[HOST, "DnsSearch"], Shape::Texts, Kind::List),
    row("dns_servers", &[HOST, "Dns"], Shape::Texts, Kind::List),
    row("domainname", &[CONFIG, "Domainname"], Shape::Same, Kind::Value),
    row("entrypoint", &[CONFIG, "Entrypoint"], Shape::Words, Kind::List),
    row("etc_hosts", &[HOST, "ExtraHosts"], Shape::Hosts, Kind::Set),
    row("groups", &[HOST, "GroupAdd"], Shape::Texts, Kind::Set),
    row("healthcheck", &[CONFIG, "Healthcheck"], Shape::Healthcheck, Kind::Dict),
    row("hostname", &[CONFIG, "Hostname"], Shape::Same, Kind::Value),
    row("init", &[HOST, "Init"], Shape::Same, Kind::Value),
    row("interactive", &[CONFIG, "OpenStdin"], Shape::Same, Kind::Value),
    row("ipc_mode", &[HOST, "IpcMode"], Shape::Same, Kind::Value),
    row("labels", &[CONFIG, "Labels"], Shape::Labels, Kind::Dict),
    row("links", &[HOST, "Links"], Shape::Texts, Kind::Set),
    row("log_driver", &[HOST, "LogConfig", "Type"], Shape::Same, Kind::Value),
    row("log_options", &[HOST, "LogConfig", "Config"], Shape::Settings, Kind::Dict),
    row("mac_address", &[CONFIG, "MacAddress"], Shape::Same, Kind::Value),
    limit("memory", &[HOST, "Memory"], Shape::Size),
    limit("memory_reservation", &[HOST, "MemoryReservation"], Shape::Size),
    limit("memory_swap", &[HOST, "MemorySwap"], Shape::Size),
    row("memory_swappiness", &[HOST, "MemorySwappiness"], Shape::Same, Kind::Value),
    row("oom_killer", &[HOST, "OomKillDisable"], Shape::Same, Kind::Value),
    row("oom_score_adj", &[HOST, "OomScoreAdj"], Shape::Same, Kind::Value),
    row("pid_mode", &[HOST, "PidMode"], Shape::Same, Kind::Value),
    row("pids_limit", &[HOST, "PidsLimit"], Shape::Same, Kind::Value),
    row("privileged", &[HOST, "Privileged"], Shape::Same, Kind::Value),
    row("publish_all_ports", &[HOST, "PublishAllPorts"], Shape::Same, Kind::Value),
    row("read_only", &[HOST, "ReadonlyRootfs"], Shape::Same, Kind::Value),
    row("restart_policy", &[HOST, "RestartPolicy", "Name"], Shape::Same, Kind::Value),
    row("restart_retries", &[HOST, "RestartPolicy", "MaximumRetryCount"], Shape::Same, Kind::Value),
    row("runtime", &[HOST, "Runtime"], Shape::Same, Kind::Value),
    row("security_opts", &[HOST, "SecurityOpt"], Shape::Texts, Kind::Set),
    row("shm_size", &[HOST, "ShmSize"], Shape::Size, Kind::Value),
    row("stop_signal", &[CONFIG, "StopSignal"], Shape::Same, Kind::Value),
    row("stop_timeout", &[CONFIG, "StopTimeout"], Shape::Same, Kind::Value),
    row("storage_opts", &[HOST, "StorageOpt"], Shape::Settings, Kind::Dict),
    row("sysctls", &[HOST, "Sysctls"], Shape::Settings, Kind::Dict),
    row("tmpfs", &[HOST, "Tmpfs"], Shape::Tmpfs, Kind::Dict),
    row("tty", &[CONFIG, "Tty"], Shape::Same, Kind::Value),
    row("ulimits", &[HOST, "Ulimits"], Shape::Ulimits, Kind::Dicts),
    row("user", &[CONFIG, "User"], Shape::Same, Kind::Value),
    row("userns_mode", &[HOST, "UsernsMode"], Shape::Same, Kind::Value),
    row("uts", &[HOST, "UTSMode"], Shape::Same, Kind::Value),
    row("volume_driver", &[HOST, "VolumeDriver"], Shape::Same, Kind::Value),
    row("volumes_from", &[HOST, "VolumesFrom"], Shape::Texts, Kind::Set),
    row("working_dir", &[CONFIG, "WorkingDir"], Shape::Same, Kind::Value),
];

impl Shape {
    pub fn apply(self, name: &str, value: &Value) -> Result<Json, Error> {
        let malformed = |what: &str| Error::new(format!("{name}: `{value}` is not {what}"));
        Ok(match self {
            Self::Same => to_json(value),
            Self::Words => match value {
                Value::List(_) => texts(value),
                other => shell_words::split(&other.to_string())
                    .map_err(|_| malformed("a command line: a quote is never closed"))?
                    .into(),
            },
            Self::Texts | Self::Settings => texts(value),
            Self::Labels => {
                only_texts(name, value)?;
                to_json(value)
            }
            Self::Hosts => {
                let map = value.as_map().ok_or_else(|| malformed("a dict"))?;
                let lines: Vec<String> = map
                    .iter()
                    .map(|(name, address)| format!("{name}:{address}"))
                    .collect();
                lines.into()
            }
            Self::Size if matches!(value.as_str(), Some("unlimited" | "-1")) => (-1).into(),
            Self::Size => size(&value.to_string())
                .ok_or_else(|| malformed("a size such as 512m"))?
                .into(),
            Self::NanoCpus => {
                let cpus: f64 = value.to_string().parse().map_err(|_| malformed("a number"))?;
                #[expect(clippy::cast_possible_truncation, reason = "processors are few")]
                let nano = (cpus * 1e9).round() as i64;
                nano.into()
            }
            Self::Devices => each(value, |item| Ok(device(&item.to_string())))?,
            Self::Rates { bytes } => each(value, |item| rate(name, item, bytes))?,
            Self::Ulimits => each(value, ulimit)?,
            Self::Tmpfs => {
                let mounts = value.as_list().unwrap_or_default().iter();
                let mounts: JsonMap<String, Json> = mounts
                    .map(Value::to_string)
                    .map(|text| match text.split_once(':') {
                        Some((path, options)) => (path.to_owned(), options.into()),
                        None => (text, "".into()),
                    })
                    .collect();
                Json::Object(mounts)
            }
            Self::Healthcheck => healthcheck(value)?,
            Self::DeviceRequests => each(value, device_request)?,
        })
    }
}

fn each(value: &Value, shape: impl Fn(&Value) -> Result<Json, Error>) -> Result<Json, Error> {
    let items = value.as_list().unwrap_or_default().iter();
    items.map(shape).collect::<Result<Vec<_>, _>>().map(Json::Array)
}

fn device(text: &str) -> Json {
    let mut parts = text.splitn(3, ':');
    let host = parts.next().unwrap_or_default();
    let second = parts.next();
    let (container, permissions) = match (second, parts.next()) {
        (Some(container), Some(permissions)) => (container, permissions),
        (Some(last), None) if !last.starts_with('/') => (host, last),
        (Some(container), None) => (container, "rwm"),
        (None, _) => (host, "rwm"),
    };
    json!({ "PathOnHost": host, "PathInContainer": container, "CgroupPermissions": permissions })
}

fn rate(name: &str, item: &Value, bytes: bool) -> Result<Json, Error> {
    let text = |key: &str| item.get(key).map(Value::to_string).unwrap_or_default();
    let rate = text("rate");
    let number = if bytes {
        size(&rate)
    } else {
        rate.parse::<i64>().ok()
    };
    match number.filter(|number| *number > 0) {
        Some(number) if !text("path").is_empty() => Ok(json!({ "Path": text("path"), "Rate": number })),
        _ => Err(Error::new(format!(
            "{name}: `{item}` is not a dict with the path of a device and a positive rate"
        ))),
    }
}

/// `nofile:1024:2048`.
fn ulimit(limit: &Value) -> Result<Json, Error> {
    let text = limit.to_string();
    let parts: Vec<&str> = text.split(':').collect();
    let number = |at: usize| parts.get(at).and_then(|part| part.parse::<i64>().ok());
    let Some(soft) = number(1) else {
        return Err(Error::new(format!("ulimits: `{text}` is not name:soft[:hard]")));
    };
    Ok(json!({ "Name": parts[0], "Soft": soft, "Hard": number(2).unwrap_or(soft) }))
}

fn healthcheck(value: &Value) -> Result<Json, Error> {
    let check = value
        .as_map()
        .ok_or_else(|| Error::new(format!("healthcheck: `{value}` is not a dict")))?;
    let mut health = json!({});
    for (name, value) in check {
        let key = match name.as_str() {
            "test" => {
                health["Test"] = match value {
                    Value::List(list) => texts(&Value::List(list.clone())),
                    Value::Str(line) if line == "NONE" => json!(["NONE"]),
                    other => json!(["CMD-SHELL", other.to_string()]),
                };
                continue;
            }
            "retries" => {
                health["Retries"] = to_json(value);
                continue;
            }
            "interval" => "Interval",
            "timeout" => "Timeout",
            "start_period" => "StartPeriod",
            "start_interval" => "StartInterval",
            _ => continue,
        };
        let text = value.to_string();
        let time = nanoseconds(&text).ok_or_else(|| {
            Error::new(format!(
                "healthcheck: {name} `{text}` is not a time such as 1m30s"
            ))
        })?;
        health[key] = time.into();
    }
    // Without a test a health check is switched off, unless this is set.
    let compatible = check.get("test_cli_compatible").and_then(Value::truth) == Some(true);
    if health.get("Test").is_none() && !compatible {
        return Ok(json!({ "Test": ["NONE"] }));
    }
    Ok(health)
}

fn device_request(request: &Value) -> Result<Json, Error> {
    let map = request
        .as_map()
        .ok_or_else(|| Error::new(format!("device_requests: `{request}` is not a dict")))?;
    let mut wanted = json!({});
    for (name, value) in map {
        let (key, value) = match name.as_str() {
            "capabilities" => ("Capabilities", to_json(value)),
            "count" => ("Count", to_json(value)),
            "device_ids" => ("DeviceIDs", texts(value)),
            "driver" => ("Driver", to_json(value)),
            "options" => ("Options", texts(value)),
            other => {
                return Err(Error::new(format!(
                    "device_requests: `{other}` is not one of capabilities, count, device_ids, driver, options"
                )));
            }
        };
        wanted[key] = value;
    }
    Ok(wanted)
}

/// Refuses numbers and truths where a text is meant: `yes` would reach the container as `True`.
pub fn only_texts(name: &str, value: &Value) -> Result<(), Error> {
    let map = value
        .as_map()
        .ok_or_else(|| Error::new(format!("{name}: `{value}` is not a dict")))?;
    match map.iter().find(|(_, value)| value.as_str().is_none()) {
        None => Ok(()),
        Some((key, _)) => Err(Error::new(format!(
            "Non-string value found for {name} option. Ambiguous {name} options must be wrapped in quotes to avoid them \
             being interpreted when directly specified in YAML, or explicitly converted to strings when the option is \
             templated. Key: {key}"
        ))),
    }
}

pub fn to_json(value: &Value) -> Json {
    serde_json::to_value(value).unwrap_or_default()
}

/// Leaves as texts: options are never numbers to docker.
pub fn texts(value: &Value) -> Json {
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

//! `wait_for`: until a port answers, a file is there, a text appears in either, or none of it any more.
//!
//! It only looks, but it is skipped in check mode: what it waits for would be the work of tasks that did not
//! run.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use crate::modules::files::attributes;
use crate::modules::files::path::expand;
use crate::modules::files::pattern::{self, Pattern};
use crate::modules::net::web::seconds;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec};
use crate::system::foresight::Foresight;
use crate::system::{FileKind, Follow, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

/// A pattern is looked for in this much of what a port says.
const MAX_SAID: usize = 1 << 20;

pub struct WaitFor;

#[derive(Debug, Deserialize)]
pub struct Args {
    host: String,
    port: Option<u16>,
    path: Option<String>,
    search_regex: Option<String>,
    state: String,
    timeout: f64,
    delay: f64,
    sleep: f64,
    connect_timeout: f64,
    msg: Option<String>,
    exclude_hosts: Option<Vec<String>>,
    active_connection_states: Vec<String>,
}

/// What is waited for.
#[derive(Debug)]
pub struct Wait {
    what: What,
    args: Args,
    /// Whether it shall be there or not.
    present: bool,
}

#[derive(Debug)]
enum What {
    /// Time alone.
    Nothing,
    Port(u16, Option<Pattern>),
    File(PathBuf, Option<Pattern>),
    /// Connections to a port, in these states of `/proc/net/tcp`.
    Connections(u16, Vec<String>),
}

impl Module for WaitFor {
    type Args = Args;
    type Change = Wait;
    const SPEC: Spec = Spec {
        name: "wait_for",
        summary: "wait for a port, a file or a text",
        args: &[
            Arg::str("host").default("127.0.0.1").doc("where the port is"),
            Arg::int("port").doc("the port"),
            Arg::path("path").doc("the file"),
            Arg::str("search_regex").doc("must be found in what the file holds or the port says"),
            Arg::str("state")
                .choices(&["absent", "drained", "present", "started", "stopped"])
                .default("started")
                .doc("what is waited for"),
            Arg::float("timeout").default("300").doc("seconds until it fails"),
            Arg::float("delay")
                .default("0")
                .doc("seconds before the first look"),
            Arg::float("sleep").default("1").doc("seconds between two looks"),
            Arg::float("connect_timeout")
                .default("5")
                .doc("seconds for one connection"),
            Arg::str("msg").doc("said instead of the usual message when it fails"),
            Arg::strings("exclude_hosts").doc("whose connections do not count for `drained`"),
            Arg::strings("active_connection_states")
                .default("ESTABLISHED,FIN_WAIT1,FIN_WAIT2,SYN_RECV,SYN_SENT,TIME_WAIT")
                .doc("which connections count for `drained`"),
        ],
        returns: &[
            Return::new("elapsed", "int", "seconds that it took"),
            Return::new("port", "int", "as in the arguments"),
            Return::new("path", "str", "as in the arguments"),
            Return::new("state", "str", "what was waited for"),
            Return::new("match_groups", "list of str", "the groups of `search_regex`"),
            Return::new("match_groupdict", "dict", "its named groups"),
        ],
        example: "- wait_for:\n    port: 5432\n    timeout: 60\n- wait_for:\n    path: /var/log/app.log\n    search_regex: started in ([0-9]+) ms\n",
        free_form: None,
        rules: &[Rule::Exclusive(&["port", "path"])],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Wait>, Error> {
        let change = Wait::new(args, system)?;
        let skipped = Outcome::skipped("remote module (wait_for) does not support check mode");
        Ok(Plan::Unknown { change, skipped })
    }

    /// It asks, or does what no later task of the target sees.
    fn foresee(_: &Wait) -> Foresight {
        Foresight::Effects(Vec::new())
    }

    fn apply(wait: Wait, system: &dyn System) -> Result<Outcome, Error> {
        wait.wait(system)
    }
}

/// The states of a connection, by the number that the kernel shows (`include/net/tcp_states.h`).
const STATES: [(&str, &str); 6] = [
    ("ESTABLISHED", "01"),
    ("SYN_SENT", "02"),
    ("SYN_RECV", "03"),
    ("FIN_WAIT1", "04"),
    ("FIN_WAIT2", "05"),
    ("TIME_WAIT", "06"),
];

impl Wait {
    fn new(args: Args, system: &dyn System) -> Result<Self, Error> {
        let state = args.state.as_str();
        let only_ports = matches!(state, "stopped" | "drained");
        if args.path.is_some() && only_ports {
            return Err(Error::new(format!(
                "state={state} should only be used for checking a port in the wait_for module"
            )));
        }
        if args.exclude_hosts.is_some() && state != "drained" {
            return Err(Error::new("exclude_hosts should only be with state=drained"));
        }
        let search = args
            .search_regex
            .as_deref()
            .map(|search| pattern::compile("search_regex", &format!("(?m){search}")))
            .transpose()?;
        let what = match (args.port, &args.path) {
            (Some(port), _) if state == "drained" => What::Connections(port, states(&args)?),
            (Some(port), _) => What::Port(port, search),
            (None, Some(path)) => What::File(expand(path, system)?, search),
            (None, None) if state == "drained" => return Err(Error::new("state=drained needs a port")),
            (None, None) => What::Nothing,
        };
        let present = matches!(state, "started" | "present");
        Ok(Self { what, args, present })
    }

    fn wait(self, system: &dyn System) -> Result<Outcome, Error> {
        let started = system.now();
        let elapsed = || system.now().duration_since(started).unwrap_or_default();
        let limit = seconds(self.args.timeout);
        system.sleep(seconds(self.args.delay));
        if matches!(self.what, What::Nothing) {
            system.sleep(limit);
            return self.outcome(Map::new(), elapsed(), system);
        }
        loop {
            if let Some(found) = self.look(system)? {
                return self.outcome(found, elapsed(), system);
            }
            if elapsed() >= limit {
                let message = self.args.msg.clone().unwrap_or_else(|| self.complaint());
                return Err(Error::new(message).with("elapsed", elapsed().as_secs()));
            }
            // A pause of nothing would be a busy loop.
            system.sleep(seconds(self.args.sleep).max(Duration::from_millis(10)));
        }
    }

    /// One look: what the result tells besides, if it is as wanted.
    fn look(&self, system: &dyn System) -> Result<Option<Map>, Error> {
        let wanted = |there: bool| (there == self.present).then(Map::new);
        Ok(match &self.what {
            What::Nothing => Some(Map::new()),
            What::Connections(port, states) => (self.connections(*port, states, system)? == 0).then(Map::new),
            What::File(path, search) => {
                let found = system.metadata(path, Follow::Yes)?;
                match (search, found) {
                    (Some(search), Some(found)) if found.kind != FileKind::Directory => {
                        self.searched(search, &system.read(path)?)
                    }
                    (Some(_), _) => (!self.present).then(Map::new),
                    (None, found) => wanted(found.is_some()),
                }
            }
            What::Port(port, search) => {
                let connected = system.connect(&self.args.host, *port, seconds(self.args.connect_timeout));
                match (search, connected) {
                    (Some(search), Ok(mut connection)) => {
                        let deadline = system.now() + seconds(self.args.connect_timeout);
                        let said = listen(&mut connection, search, deadline, system);
                        self.searched(search, &said)
                    }
                    (Some(_), Err(_)) => (!self.present).then(Map::new),
                    (None, connected) => wanted(connected.is_ok()),
                }
            }
        })
    }

    fn searched(&self, search: &Pattern, text: &[u8]) -> Option<Map> {
        let Some(found) = search.find_at(text, 0).filter(|_| self.present) else {
            return (search.is_match(text) == self.present).then(Map::new);
        };
        let value = |group: Option<Range<usize>>| -> Value {
            group
                .map(|range| String::from_utf8_lossy(&text[range]).into_owned())
                .into()
        };
        let groups: Vec<Value> = found.groups().map(value).collect();
        let named: Map = found
            .named_groups()
            .map(|(name, group)| (name.to_owned(), value(group)))
            .collect();
        Some(Map::from([
            ("match_groups".to_owned(), Value::List(groups)),
            ("match_groupdict".to_owned(), Value::Map(named)),
        ]))
    }

    fn complaint(&self) -> String {
        let search = self.args.search_regex.as_deref();
        let host = &self.args.host;
        match (&self.what, self.present, search) {
            (What::Nothing, ..) => "Timeout".to_owned(),
            (What::Connections(port, _), ..) => format!("Timeout when waiting for {host}:{port} to drain"),
            (What::Port(port, _), true, None) => format!("Timeout when waiting for {host}:{port}"),
            (What::Port(port, _), true, Some(search)) => {
                format!("Timeout when waiting for search string {search} in {host}:{port}")
            }
            (What::Port(port, _), false, _) => format!("Timeout when waiting for {host}:{port} to stop."),
            (What::File(path, _), true, None) => format!("Timeout when waiting for file {}", path.display()),
            (What::File(path, _), true, Some(search)) => {
                format!(
                    "Timeout when waiting for search string {search} in {}",
                    path.display()
                )
            }
            (What::File(path, _), false, _) => {
                format!("Timeout when waiting for {} to be absent.", path.display())
            }
        }
    }

    fn outcome(&self, found: Map, elapsed: Duration, system: &dyn System) -> Result<Outcome, Error> {
        let mut outcome = Outcome::ok()
            .with("state", self.args.state.as_str())
            .with("port", self.args.port.map(u32::from))
            .with("search_regex", self.args.search_regex.clone())
            .with("match_groups", Vec::<String>::new())
            .with("match_groupdict", Map::new())
            .with("path", self.args.path.clone())
            .with("elapsed", elapsed.as_secs());
        if let What::File(path, _) = &self.what
            && self.present
        {
            outcome = attributes::describe(outcome, path, system)?;
        }
        outcome.values.extend(found);
        Ok(outcome)
    }

    /// How many connections to the port there are, on the host's addresses.
    fn connections(&self, port: u16, states: &[String], system: &dyn System) -> Result<usize, Error> {
        let excluded: Vec<IpAddr> = self
            .args
            .exclude_hosts
            .iter()
            .flatten()
            .filter_map(|host| host.parse().ok())
            .collect();
        let host: Option<IpAddr> = self.args.host.parse().ok();
        let mut count = 0;
        for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
            let table = std::path::Path::new(table);
            if system.metadata(table, Follow::Yes)?.is_none() {
                continue;
            }
            let text = String::from_utf8_lossy(&system.read(table)?).into_owned();
            count += text
                .lines()
                .skip(1)
                .filter_map(Connection::parse)
                .filter(|connection| {
                    connection.port == port
                        && states.contains(&connection.state)
                        && host.is_none_or(|host| host.is_unspecified() || host == connection.local)
                        && !excluded.contains(&connection.remote)
                })
                .count();
        }
        Ok(count)
    }
}

fn states(args: &Args) -> Result<Vec<String>, Error> {
    args.active_connection_states
        .iter()
        .map(|name| {
            STATES
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, number)| (*number).to_owned())
                .ok_or_else(|| Error::new(format!("unknown active_connection_state ({name}) defined")))
        })
        .collect()
}

/// Reads until the pattern is found, nothing more comes, or the time is over.
fn listen(connection: &mut dyn Read, search: &Pattern, deadline: SystemTime, system: &dyn System) -> Vec<u8> {
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    while said.len() < MAX_SAID && system.now() < deadline {
        match connection.read(&mut buffer) {
            Ok(length) if length > 0 => said.extend_from_slice(&buffer[..length]),
            // The end, or a silence as long as a connection may take.
            _ => break,
        }
        if search.is_match(&said) {
            break;
        }
    }
    said
}

/// A line of `/proc/net/tcp` or `tcp6`.
struct Connection {
    local: IpAddr,
    port: u16,
    remote: IpAddr,
    state: String,
}

impl Connection {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace().skip(1);
        let (local, port) = endpoint(words.next()?)?;
        let (remote, _) = endpoint(words.next()?)?;
        let state = words.next()?.to_owned();
        Some(Self {
            local,
            port,
            remote,
            state,
        })
    }
}

/// `0100007F:1F90`: 32-bit words in the machine's order, then the port.
fn endpoint(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Vec<[u8; 4]> = (0..address.len())
        .step_by(8)
        .map(|at| {
            let word = address.get(at..at + 8)?;
            Some(u32::from_str_radix(word, 16).ok()?.to_ne_bytes())
        })
        .collect::<Option<_>>()?;
    let address = if let [word] = words.as_slice() {
        IpAddr::V4(Ipv4Addr::from(*word))
    } else {
        let bytes: [u8; 16] = words.concat().try_into().ok()?;
        Ipv6Addr::from(bytes).to_canonical()
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, failure, run};
    use crate::system::fake::Fake;

    #[test]
    fn waits_until_the_port_answers() {
        let fake = Fake::new();
        fake.later(Duration::from_secs(7), |fake| {
            fake.listen("10.0.0.1", 5000, "");
        });
        let outcome = run::<WaitFor>(&fake, r#"{"host":"10.0.0.1","port":5000,"delay":2}"#);
        assert!(!outcome.failed && !outcome.changed);
        assert_eq!(outcome.values["elapsed"], 7.into());
        assert_eq!(outcome.values["port"], 5000.into());
        fake.later(Duration::from_secs(3), |fake| fake.close("10.0.0.1", 5000));
        let outcome = run::<WaitFor>(&fake, r#"{"host":"10.0.0.1","port":5000,"state":"stopped"}"#);
        assert_eq!(outcome.values["elapsed"], 3.into());
    }

    #[test]
    fn finds_texts_in_what_is_said_and_written() {
        let fake = Fake::new();
        fake.listen("127.0.0.1", 22, "SSH-2.0-OpenSSH_9.2\r\n")
            .file("/log", "starting\nready 42\n");
        let outcome = run::<WaitFor>(&fake, r#"{"port":22,"search_regex":"(?P<name>OpenSSH)_(\\d)"}"#);
        assert_eq!(outcome.values["match_groups"], vec!["OpenSSH", "9"].into());
        assert_eq!(
            outcome.values["match_groupdict"].to_string(),
            "{'name': 'OpenSSH'}"
        );
        let outcome = run::<WaitFor>(&fake, r#"{"path":"/log","search_regex":"^ready (\\d+)$"}"#);
        assert_eq!(outcome.values["match_groups"], vec!["42"].into());
    }

    #[test]
    fn time_runs_out() {
        let fake = Fake::new();
        fake.file("/lock", "");
        for (args, message) in [
            (
                r#"{"port":1,"timeout":3}"#,
                "Timeout when waiting for 127.0.0.1:1",
            ),
            (
                r#"{"path":"/no","timeout":3}"#,
                "Timeout when waiting for file /no",
            ),
            (
                r#"{"path":"/lock","state":"absent","timeout":3}"#,
                "Timeout when waiting for /lock to be absent.",
            ),
            (
                r#"{"path":"/lock","search_regex":"x","timeout":3}"#,
                "Timeout when waiting for search string x in /lock",
            ),
            (r#"{"port":1,"timeout":3,"msg":"it is not up"}"#, "it is not up"),
            (
                r#"{"port":1,"path":"/x"}"#,
                "parameters are mutually exclusive: port|path",
            ),
            (
                r#"{"path":"/x","state":"stopped"}"#,
                "state=stopped should only be used for checking a port in the wait_for module",
            ),
        ] {
            assert_eq!(failure::<WaitFor>(&fake, args), message);
        }
    }

    #[test]
    fn connections_drain() {
        const HEAD: &str = "  sl  local_address rem_address   st tx_queue\n";
        let fake = Fake::new();
        let one =
            format!("{HEAD}   0: 0100007F:1F90 0200007F:C000 01 0\n   1: 0100007F:1F90 00000000:0000 0A 0\n");
        fake.file("/proc/net/tcp", one);
        assert_eq!(
            failure::<WaitFor>(&fake, r#"{"port":8080,"state":"drained","timeout":2}"#),
            "Timeout when waiting for 127.0.0.1:8080 to drain"
        );
        assert!(
            !run::<WaitFor>(
                &fake,
                r#"{"port":8080,"state":"drained","exclude_hosts":["127.0.0.2"]}"#
            )
            .failed
        );
        fake.later(Duration::from_secs(2), |fake| {
            fake.file("/proc/net/tcp", HEAD);
        });
        assert!(!run::<WaitFor>(&fake, r#"{"port":8080,"state":"drained"}"#).failed);
    }

    #[test]
    fn a_check_does_not_wait() {
        let fake = Fake::new();
        let outcome = check::<WaitFor>(&fake, r#"{"port":1}"#);
        assert!(outcome.skipped);
        assert_eq!(fake.now(), Fake::new().now());
    }
}

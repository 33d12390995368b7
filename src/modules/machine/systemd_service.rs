//! `systemd_service` (also `systemd`): units of systemd. After `ansible.builtin.systemd_service`.
//!
//! All that is known of a unit comes from one `systemctl show` and one `systemctl is-enabled`; in a check, what earlier
//! tasks would have made of it comes on top.

use std::path::Path;

use serde::Deserialize;

use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec, tool};
use crate::system::foresight::{Effect, Foresight, Subject};
use crate::system::{Command, Follow, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct SystemdService;

/// Where units are, those of the administrator first.
const UNIT_FOLDERS: &[&str] = &[
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// What systemd itself makes when it is PID 1 (`sd_booted(3)`).
const BOOTED: &str = "/run/systemd/system";

#[derive(Debug, Clone, Deserialize)]
pub struct Args {
    pub name: Option<String>,
    pub state: Option<State>,
    pub enabled: Option<bool>,
    pub masked: Option<bool>,
    pub daemon_reload: bool,
    pub daemon_reexec: bool,
    pub scope: Scope,
    pub no_block: bool,
    pub force: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Started,
    Stopped,
    Restarted,
    Reloaded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    System,
    User,
    Global,
}

/// The calls of `systemctl` to make, in order, and the result if all succeed.
#[derive(Debug)]
pub struct Change {
    calls: Vec<Command>,
    outcome: Outcome,
    /// How the unit would be, for later tasks of a check.
    effects: Vec<Effect>,
}

impl Module for SystemdService {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "systemd_service",
        summary: "Start, stop, enable and mask systemd units",
        args: &[
            Arg::str("name")
                .aliases(&["service", "unit"])
                .doc("The unit; `.service` unless it has another suffix."),
            Arg::str("state")
                .choices(&["started", "stopped", "restarted", "reloaded"])
                .doc("What it is to be, or to go through."),
            Arg::bool("enabled").doc("Whether it starts at boot."),
            Arg::bool("masked").doc("Whether it cannot be started at all."),
            Arg::bool("daemon_reload")
                .aliases(&["daemon-reload"])
                .default("no")
                .doc("Have systemd read its unit files again, first."),
            Arg::bool("daemon_reexec")
                .aliases(&["daemon-reexec"])
                .default("no")
                .doc("Have systemd execute itself again, first."),
            Arg::str("scope")
                .choices(&["system", "user", "global"])
                .default("system")
                .doc("Whose manager is asked."),
            Arg::bool("no_block")
                .default("no")
                .doc("Do not wait until the unit has started or stopped."),
            Arg::bool("force").doc("Replace symbolic links that are in the way."),
        ],
        returns: &[
            Return::new("name", "str", "the unit").when("`name` is given"),
            Return::new(
                "status",
                "dict",
                "the unit's properties before anything was done, as `systemctl show` tells them",
            )
            .when("`name` is given"),
            Return::new("enabled", "bool", "whether it starts at boot").when("`enabled` is given"),
            Return::new("state", "str", "started or stopped").when("`state` is given"),
        ],
        example: "- systemd_service:\n    name: registry\n    state: started\n    enabled: true\n    daemon_reload: true\n",
        free_form: None,
        rules: &[Rule::OneOf(&[
            "state",
            "enabled",
            "masked",
            "daemon_reload",
            "daemon_reexec",
        ])],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        if system.metadata(Path::new(BOOTED), Follow::Yes)?.is_none() {
            return Err(Error::new(
                "systemd is not running as PID 1 on this target; use the `service` module, which also knows \
                 SysV scripts",
            ));
        }
        let systemctl = Systemctl { args: &args };
        let mut calls = Vec::new();
        if args.daemon_reload {
            calls.push(systemctl.call(&["daemon-reload"]));
        }
        if args.daemon_reexec {
            calls.push(systemctl.call(&["daemon-reexec"]));
        }
        let Some(name) = args.name.clone() else {
            if args.state.is_some() || args.enabled.is_some() || args.masked.is_some() {
                return Err(Error::new(
                    "missing required arguments: name (what `state`, `enabled` and `masked` are about)",
                ));
            }
            return Ok(finish(calls, Outcome::ok(), Vec::new()));
        };
        let status = parse_show(&tool::text_of(
            system,
            &systemctl.call(&["show", "--no-pager", "--", &name]),
        )?);
        let enablement = system
            .run(&systemctl.call(&["is-enabled", "--", &name]))?
            .stdout_text();
        let mut unit = Unit::new(status, enablement.trim());
        if args.scope == Scope::System {
            unit.foresee(&name, system)?;
        }
        plan(&args, &name, &unit, calls)
    }

    fn foresee(change: &Change) -> Foresight {
        Foresight::Effects(change.effects.clone())
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        for call in &change.calls {
            tool::run(system, call)?;
        }
        Ok(change.outcome)
    }
}

/// Whether systemd runs this machine.
pub fn is_booted(system: &dyn System) -> Result<bool, Error> {
    Ok(system.metadata(Path::new(BOOTED), Follow::Yes)?.is_some())
}

struct Systemctl<'a> {
    args: &'a Args,
}

impl Systemctl<'_> {
    fn call(&self, words: &[&str]) -> Command {
        let scope: &[&str] = match self.args.scope {
            Scope::System => &[],
            Scope::User => &["--user"],
            Scope::Global => &["--global"],
        };
        let block: &[&str] = if self.args.no_block { &["--no-block"] } else { &[] };
        let force: &[&str] = if self.args.force == Some(true) {
            &["--force"]
        } else {
            &[]
        };
        let argv = ["systemctl"]
            .iter()
            .chain(scope)
            .chain(block)
            .chain(force)
            .chain(words);
        Command::new(argv.copied())
    }
}

/// A unit's state, as far as decisions need it.
struct Unit {
    status: Map,
    enablement: String,
}

impl Unit {
    fn new(status: Map, enablement: &str) -> Self {
        Self {
            status,
            enablement: enablement.to_owned(),
        }
    }

    /// What `systemctl` does not know yet: what earlier tasks of a check would do, and units whose file would be there.
    fn foresee(&mut self, name: &str, system: &dyn System) -> Result<(), Error> {
        if let Some(Value::Map(state)) = system.foreseen(Subject::Unit, short(name)) {
            for (key, value) in state {
                match key.as_str() {
                    "enablement" => self.enablement = value.to_string(),
                    _ => {
                        self.status.insert(key, value);
                    }
                }
            }
        }
        if self.exists() || self.is_masked() {
            return Ok(());
        }
        let file = if name.contains('.') {
            name.to_owned()
        } else {
            format!("{name}.service")
        };
        // A unit of a template, `name@instance.service`, has the template's file.
        let template = file.split_once('@').and_then(|(stem, instance)| {
            let (_, suffix) = instance.rsplit_once('.')?;
            Some(format!("{stem}@.{suffix}"))
        });
        for name in [Some(file), template].into_iter().flatten() {
            for folder in UNIT_FOLDERS {
                let path = Path::new(folder).join(&name);
                if system.metadata(&path, Follow::Yes)?.is_none() {
                    continue;
                }
                let text = system.read(&path).unwrap_or_default();
                let can_be_enabled = String::from_utf8_lossy(&text).contains("[Install]");
                self.status.insert("LoadState".to_owned(), "loaded".into());
                self.status.insert("ActiveState".to_owned(), "inactive".into());
                let enablement = if can_be_enabled { "disabled" } else { "static" };
                enablement.clone_into(&mut self.enablement);
                return Ok(());
            }
        }
        Ok(())
    }

    fn property(&self, name: &str) -> &str {
        self.status.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn exists(&self) -> bool {
        !matches!(self.property("LoadState"), "not-found" | "")
    }

    fn is_masked(&self) -> bool {
        self.property("LoadState") == "masked" || self.enablement.starts_with("masked")
    }

    fn is_active(&self) -> bool {
        matches!(
            self.property("ActiveState"),
            "active" | "activating" | "reloading" | "refreshing"
        )
    }

    /// A unit that fails and is restarted again and again counts as one that can be stopped.
    fn can_stop(&self) -> bool {
        self.is_active() || self.property("ActiveState") == "deactivating"
    }

    /// Static units have nothing to enable: they count as enabled.
    fn is_enabled(&self) -> bool {
        matches!(
            self.enablement.as_str(),
            "enabled" | "static" | "alias" | "generated" | "transient"
        )
    }
}

fn short(name: &str) -> &str {
    name.strip_suffix(".service").unwrap_or(name)
}

fn plan(args: &Args, name: &str, unit: &Unit, mut calls: Vec<Command>) -> Result<Plan<Change>, Error> {
    let systemctl = Systemctl { args };
    let mut outcome = Outcome::ok()
        .with("name", name)
        .with("status", unit.status.clone());
    let concerned = args.state.is_some() || args.enabled.is_some();
    if concerned && !unit.exists() && !unit.is_masked() && args.masked != Some(true) {
        return Err(Error::new(format!(
            "Could not find the requested service {name}: host"
        )));
    }
    let mut foreseen = Map::new();
    let mut changed = false;
    let mut does = |calls: &mut Vec<Command>, verb: &str| {
        changed = true;
        calls.push(systemctl.call(&[verb, "--", name]));
    };
    if let Some(masked) = args.masked
        && masked != unit.is_masked()
    {
        does(&mut calls, if masked { "mask" } else { "unmask" });
        let state = if masked { "masked" } else { "loaded" };
        foreseen.insert("LoadState".to_owned(), state.into());
        foreseen.insert(
            "enablement".to_owned(),
            if masked { "masked" } else { "disabled" }.into(),
        );
    }
    if let Some(enabled) = args.enabled {
        if enabled != unit.is_enabled() {
            does(&mut calls, if enabled { "enable" } else { "disable" });
            let state = if enabled { "enabled" } else { "disabled" };
            foreseen.insert("enablement".to_owned(), state.into());
        }
        outcome = outcome.with("enabled", enabled);
    }
    if let Some(state) = args.state {
        let verb = match state {
            State::Started if unit.is_active() => None,
            State::Stopped if !unit.can_stop() => None,
            State::Stopped => Some("stop"),
            State::Restarted if unit.is_active() => Some("restart"),
            State::Reloaded if unit.is_active() => Some("reload"),
            State::Started | State::Restarted | State::Reloaded => Some("start"),
        };
        if let Some(verb) = verb {
            if verb != "stop" && unit.is_masked() && args.masked != Some(false) {
                return Err(Error::new(format!(
                    "Unable to {verb} service {name}: the unit is masked; give `masked: false` to unmask it"
                )));
            }
            does(&mut calls, verb);
            let state = if verb == "stop" { "inactive" } else { "active" };
            foreseen.insert("ActiveState".to_owned(), state.into());
            foreseen.entry("LoadState".to_owned()).or_insert("loaded".into());
        }
        let state = if state == State::Stopped {
            "stopped"
        } else {
            "started"
        };
        outcome = outcome.with("state", state);
    }
    outcome.changed = changed;
    let mut effects = Vec::new();
    if !foreseen.is_empty() && args.scope == Scope::System {
        // What is not foreseen now stays as it was found.
        let enablement = Value::from(unit.enablement.as_str());
        foreseen.entry("enablement".to_owned()).or_insert(enablement);
        for key in ["LoadState", "ActiveState"] {
            let found = Value::from(unit.property(key));
            foreseen.entry(key.to_owned()).or_insert(found);
        }
        effects.push(Effect::State {
            of: Subject::Unit,
            name: short(name).to_owned(),
            is: Value::Map(foreseen),
        });
    }
    Ok(finish(calls, outcome, effects))
}

/// A daemon-reload alone is no change, yet has to be done.
fn finish(calls: Vec<Command>, outcome: Outcome, effects: Vec<Effect>) -> Plan<Change> {
    if calls.is_empty() {
        return Plan::Same(outcome);
    }
    Plan::Change {
        change: Change {
            calls,
            outcome: outcome.clone(),
            effects,
        },
        predicted: outcome,
    }
}

/// `Key=value` lines. A value that opens a brace goes on until a line that closes it.
fn parse_show(text: &str) -> Map {
    let mut map = Map::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let mut value = value.to_owned();
        if key.starts_with("Exec") && value.starts_with('{') {
            while !value.trim_end().ends_with('}') {
                let Some(more) = lines.next() else { break };
                value.push('\n');
                value.push_str(more);
            }
        }
        map.insert(key.to_owned(), value.into());
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARGS: &str = r#"{"name":"nginx","state":"started","enabled":true,"masked":null,"daemon_reload":false,
        "daemon_reexec":false,"scope":"system","no_block":false,"force":null}"#;

    fn verbs(change: &str, show: &str, enablement: &str) -> String {
        let mut args: Map = serde_json::from_str(ARGS).unwrap();
        args.extend(serde_json::from_str::<Map>(change).unwrap());
        let args: Args = Value::Map(args).deserialize_into().unwrap();
        match plan(
            &args,
            "nginx",
            &Unit::new(parse_show(show), enablement),
            Vec::new(),
        ) {
            Ok(Plan::Same(outcome)) => format!("same {}", outcome.changed),
            Ok(Plan::Change { change, .. }) => change
                .calls
                .iter()
                .map(|call| call.argv[1..call.argv.len() - 2].join(" "))
                .collect::<Vec<_>>()
                .join(", "),
            Ok(Plan::Unknown { .. }) => unreachable!("a unit's state is asked for"),
            Err(error) => error.message,
        }
    }

    #[test]
    fn decides_from_what_systemctl_says() {
        let up = "LoadState=loaded\nActiveState=active\n";
        let down = "LoadState=loaded\nActiveState=inactive\n";
        assert_eq!(verbs("{}", up, "enabled"), "same false");
        assert_eq!(verbs("{}", down, "disabled"), "enable, start");
        assert_eq!(verbs(r#"{"state":"restarted"}"#, up, "static"), "restart");
        assert_eq!(
            verbs(r#"{"state":"reloaded","no_block":true}"#, down, "enabled"),
            "--no-block start"
        );
        assert_eq!(
            verbs(r#"{"state":"stopped","enabled":false}"#, up, "enabled"),
            "disable, stop"
        );
        assert_eq!(
            verbs("{}", "LoadState=not-found\nActiveState=inactive\n", ""),
            "Could not find the requested service nginx: host"
        );
        // A daemon-reload has nothing to do with the unit that is named beside it.
        let reload = r#"{"state":null,"enabled":null,"masked":false}"#;
        assert_eq!(
            verbs(reload, "LoadState=not-found\nActiveState=inactive\n", ""),
            "same false"
        );
        let masked = "LoadState=masked\nActiveState=inactive\n";
        assert!(verbs(r#"{"enabled":null}"#, masked, "masked").starts_with("Unable to start service nginx"));
        assert_eq!(
            verbs(r#"{"masked":false,"enabled":null}"#, masked, "masked"),
            "unmask, start"
        );
    }

    #[test]
    fn reads_values_of_several_lines() {
        let map =
            parse_show("Id=a.service\nExecStart={ path=/bin/a ; argv[]=/bin/a x\ny ; }\nDescription=a=b\n");
        assert_eq!(map["Id"], "a.service".into());
        assert_eq!(map["Description"], "a=b".into());
        assert!(map["ExecStart"].as_str().unwrap().ends_with("y ; }"));
    }
}

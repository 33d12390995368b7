//! `sysvinit`: services by their scripts in /etc/init.d, whatever else the machine has. After ansible.builtin.sysvinit.
//!
//! Whether a service runs is the script's own word or, where it knows none, a look at the processes; deliberately no guessing at what
//! it prints.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::modules::machine::service::{SCRIPTS, is_running, starts};
use crate::modules::machine::systemd_service::State;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec, tool};
use crate::system::foresight::Foresight;
use crate::system::{Command, CommandOutput, Follow, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct Sysvinit;

/// Each has a folder of links, `/etc/rcN.d`.
const RUN_LEVELS: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "S"];

/// Seconds after each of the two steps of a restart.
pub(super) const PAUSE: u64 = 1;

#[derive(Debug, Deserialize)]
pub struct Args {
    pub(super) name: String,
    pub(super) state: Option<State>,
    pub(super) enabled: Option<bool>,
    pub(super) sleep: u64,
    pub(super) pattern: Option<String>,
    pub(super) arguments: Option<String>,
    pub(super) runlevels: Option<Vec<String>>,
    pub(super) daemonize: bool,
}

#[derive(Debug)]
pub struct Change {
    name: String,
    enable: Option<Command>,
    /// The calls of the script, one after the other.
    calls: Vec<Command>,
    verb: &'static str,
    pause: Duration,
    outcome: Outcome,
    state: Option<&'static str>,
    runlevels: Option<Vec<String>>,
    told: Vec<&'static str>,
}

impl Module for Sysvinit {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "sysvinit",
        summary: "start, stop and enable services by their init scripts",
        args: &[
            Arg::str("name")
                .aliases(&["service"])
                .required()
                .doc("the script's name in /etc/init.d"),
            Arg::str("state")
                .choices(&["started", "stopped", "restarted", "reloaded"])
                .doc("what it is to be, or to go through; restarted and reloaded are always done"),
            Arg::bool("enabled").doc("whether it starts at boot"),
            Arg::int("sleep")
                .default("1")
                .doc("seconds after each of the two steps of a restart"),
            Arg::str("pattern")
                .doc("part of the command line of its process, instead of the script's status"),
            Arg::str("arguments")
                .aliases(&["args"])
                .doc("further arguments for the script"),
            Arg::strings("runlevels").doc("the run levels that `enabled` is about; all unless given"),
            Arg::bool("daemonize")
                .default("no")
                .doc("run the script apart from the session, for one that holds on to its output"),
        ],
        returns: &[
            Return::new("name", "str", "as it was given"),
            Return::new(
                "status",
                "dict",
                "for `enabled` and for the state: `changed`, and `rc`, `stdout` and `stderr` of what was run",
            ),
        ],
        example: "- sysvinit:\n    name: nginx\n    state: started\n    enabled: true\n",
        free_form: None,
        rules: &[Rule::OneOf(&["state", "enabled"])],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let script = PathBuf::from(SCRIPTS).join(&args.name);
        if system.metadata(&script, Follow::Yes)?.is_none() {
            return Err(Error::new(format!(
                "Could not find the requested service {}: there is no {}",
                args.name,
                script.display()
            )));
        }
        let enable = match args.enabled {
            Some(enabled) if args.needs_enabling(enabled, system) => Some(args.enable(enabled, system)?),
            _ => None,
        };
        let verbs = match args.state {
            None => &[][..],
            Some(state) => {
                let running = is_running(&args.name, args.pattern.as_deref(), &script, system)?;
                verbs(state, running)
            }
        };
        let calls: Vec<Command> = verbs.iter().map(|verb| args.call(&script, verb)).collect();
        let changed = enable.is_some() || !calls.is_empty();
        let state = args.state.map(name_of);
        let mut told = Vec::new();
        told.extend(enable.is_some().then_some("enabled"));
        told.extend(state.filter(|_| !calls.is_empty()));
        let mut change = Change {
            verb: args.state.map_or("enable", verb_of),
            pause: Duration::from_secs(if calls.len() > 1 { args.sleep } else { 0 }),
            name: args.name,
            enable,
            calls,
            outcome: Outcome::changed(changed),
            state,
            runlevels: args.runlevels,
            told,
        };
        let outcome = change.describe(None, None);
        if !changed {
            return Ok(Plan::Same(outcome));
        }
        change.outcome = Outcome::changed(true);
        Ok(Plan::Change {
            change,
            predicted: outcome,
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let enabled = change
            .enable
            .as_ref()
            .map(|call| tool::run(system, call))
            .transpose()?;
        let mut last = None;
        for call in &change.calls {
            let output = system.run(call)?;
            if !output.success() {
                return Err(Error {
                    message: format!("Failed to {} service: {}", change.verb, change.name),
                    ..tool::failure(call, &output)
                });
            }
            last = Some(output);
            system.sleep(change.pause);
        }
        Ok(change.describe(enabled.as_ref(), last.as_ref()))
    }

    fn foresee(_: &Change) -> Foresight {
        Foresight::Effects(Vec::new())
    }
}

impl Change {
    fn describe(&self, enabled: Option<&CommandOutput>, ran: Option<&CommandOutput>) -> Outcome {
        let mut status = Map::new();
        let both = [Some(("enabled", enabled)), self.state.map(|state| (state, ran))];
        for (key, output) in both.into_iter().flatten() {
            let told =
                |text: fn(&CommandOutput) -> String| output.map_or(Value::Null, |output| text(output).into());
            let mut one = Map::from_iter([
                ("changed".to_owned(), self.told.contains(&key).into()),
                (
                    "rc".to_owned(),
                    output.map_or(Value::Null, |output| output.code.into()),
                ),
                ("stdout".to_owned(), told(CommandOutput::stdout_text)),
                ("stderr".to_owned(), told(CommandOutput::stderr_text)),
            ]);
            if let Some(levels) = self.runlevels.clone().filter(|_| key == "enabled") {
                one.insert("runlevels".to_owned(), levels.into());
            }
            status.insert(key.to_owned(), Value::Map(one));
        }
        self.outcome
            .clone()
            .with("name", self.name.as_str())
            .with("status", Value::Map(status))
    }
}

impl Args {
    fn needs_enabling(&self, enabled: bool, system: &dyn System) -> bool {
        let starts_in = |level: &str| {
            let folder = format!("/etc/rc{level}.d");
            // A run level that the distribution does not have starts nothing.
            let links = system.read_dir(Path::new(&folder)).unwrap_or_default();
            links
                .iter()
                .filter_map(|link| link.file_name())
                .any(|link| starts(&link.to_string_lossy(), &self.name))
        };
        match &self.runlevels {
            Some(levels) => levels.iter().any(|level| starts_in(level) != enabled),
            None => RUN_LEVELS.iter().any(|level| starts_in(level)) != enabled,
        }
    }

    fn enable(&self, enabled: bool, system: &dyn System) -> Result<Command, Error> {
        let name = self.name.as_str();
        let levels = self.runlevels.as_deref().unwrap_or_default();
        let words = levels.iter().map(String::as_str);
        if system.which("update-rc.d").is_some() {
            let verb = match (enabled, levels.is_empty()) {
                (true, true) => "defaults",
                (true, false) => "enable",
                (false, _) => "disable",
            };
            return Ok(Command::new(["update-rc.d", name, verb].into_iter().chain(words)));
        }
        tool::require(system, "chkconfig", "enable services")?;
        let verb = if enabled { "on" } else { "off" };
        Ok(if levels.is_empty() {
            Command::new(["chkconfig", name, verb])
        } else {
            Command::new(["chkconfig", "--level", &levels.concat(), name, verb])
        })
    }

    fn call(&self, script: &Path, verb: &str) -> Command {
        let script = script.display().to_string();
        let apart = [
            "setsid",
            "sh",
            "-c",
            r#"exec "$0" "$@" </dev/null >/dev/null 2>&1"#,
        ];
        let apart = apart.into_iter().filter(|_| self.daemonize);
        let extra = self.arguments.iter().flat_map(|words| words.split_whitespace());
        Command::new(apart.chain([script.as_str(), verb]).chain(extra))
    }
}

fn verbs(state: State, running: bool) -> &'static [&'static str] {
    match state {
        State::Started if !running => &["start"],
        State::Stopped if running => &["stop"],
        State::Restarted => &["stop", "start"],
        State::Reloaded => &["reload"],
        State::Started | State::Stopped => &[],
    }
}

fn name_of(state: State) -> &'static str {
    match state {
        State::Started => "started",
        State::Stopped => "stopped",
        State::Restarted => "restarted",
        State::Reloaded => "reloaded",
    }
}

fn verb_of(state: State) -> &'static str {
    match state {
        State::Started => "start",
        State::Stopped => "stop",
        State::Restarted => "restart",
        State::Reloaded => "reload",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, failure, run};
    use crate::system::fake::Fake;

    fn ran(status: i32, arguments: &str) -> (bool, Vec<String>) {
        let fake = Fake::new();
        fake.program("/etc/init.d/one")
            .program("/usr/sbin/update-rc.d")
            .file("/etc/rc3.d/S01one", "");
        fake.answer_with(|_, _| Some(CommandOutput::default()))
            .answer("/etc/init.d/one status", status, "");
        let predicted = check::<Sysvinit>(&fake, arguments);
        assert!(fake.ran().iter().all(|line| line.ends_with("status")));
        let outcome = run::<Sysvinit>(&fake, arguments);
        assert_eq!(predicted.changed, outcome.changed);
        let calls = fake.ran().into_iter().filter(|line| !line.ends_with("status"));
        (outcome.changed, calls.collect())
    }

    #[test]
    fn scripts_are_called_for_what_differs() {
        let start = "/etc/init.d/one start x y".to_owned();
        assert_eq!(
            ran(3, r#"{"name":"one","state":"started","arguments":"x y"}"#),
            (true, vec![start])
        );
        assert_eq!(
            ran(0, r#"{"name":"one","state":"started","enabled":true}"#),
            (false, vec![])
        );
        assert_eq!(
            ran(0, r#"{"name":"one","state":"restarted","sleep":0}"#).1,
            ["/etc/init.d/one stop", "/etc/init.d/one start"]
        );
        assert_eq!(
            ran(0, r#"{"name":"one","enabled":false}"#).1,
            ["update-rc.d one disable"]
        );
        assert_eq!(
            ran(0, r#"{"name":"one","enabled":true,"runlevels":["3","5"]}"#).1,
            ["update-rc.d one enable 3 5"]
        );
        assert!(
            ran(0, r#"{"name":"one","state":"reloaded","daemonize":true}"#).1[0].starts_with("setsid sh")
        );
    }

    #[test]
    fn a_service_without_a_script_is_refused() {
        assert_eq!(
            failure::<Sysvinit>(&Fake::new(), r#"{"name":"two","state":"started"}"#),
            "Could not find the requested service two: there is no /etc/init.d/two"
        );
    }
}

//! `service`: whatever starts services on the target. After ansible.builtin.service.
//!
//! With systemd as PID 1 this is [`crate::modules::machine::systemd_service`]. Without, `/etc/init.d` scripts are called, and
//! their start at boot is left to the distribution's own program: `rc-update` (`OpenRC`), `update-rc.d`
//! (Debian), `chkconfig` (RHEL). A status that the script cannot tell is looked for among the processes.

use std::path::PathBuf;

use serde::Deserialize;

use crate::modules::machine::systemd_service::{self, Scope, State, SystemdService};
use crate::modules::machine::sysvinit::{self, Sysvinit};
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec, tool};
use crate::system::foresight::Foresight;
use crate::system::{Command, Follow, System};
use crate::wire::message::Outcome;

pub struct Service;

pub(super) const SCRIPTS: &str = "/etc/init.d";
/// Where init scripts have the links of the run levels that a machine normally is in.
const RUN_LEVELS: &[&str] = &["/etc/rc2.d", "/etc/rc3.d", "/etc/rc5.d"];
/// The counterpart of `rc-update`.
const OPENRC_DEFAULT: &str = "/etc/runlevels/default";

#[derive(Debug, Deserialize)]
pub struct Args {
    name: String,
    state: Option<State>,
    enabled: Option<bool>,
    pattern: Option<String>,
    sleep: Option<u64>,
    arguments: Option<String>,
    runlevel: String,
    r#use: String,
}

pub enum Change {
    Systemd(systemd_service::Change),
    Sysvinit(Box<sysvinit::Change>),
    Script { calls: Vec<Call>, outcome: Outcome },
}

/// One program of several, and how long to wait before it.
pub struct Call {
    command: Command,
    pause: Option<u64>,
}

impl Module for Service {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "service",
        summary: "Start, stop and enable services, by systemd or by SysV scripts",
        args: &[
            Arg::str("name").required().doc("The service."),
            Arg::str("state")
                .choices(&["started", "stopped", "restarted", "reloaded"])
                .doc("What it is to be, or to go through."),
            Arg::bool("enabled").doc("Whether it starts at boot."),
            Arg::str("pattern")
                .doc("Part of the command line of a script's process, where it knows no status."),
            Arg::int("sleep").doc("Seconds between stop and start of a script's restart."),
            Arg::str("arguments")
                .aliases(&["args"])
                .doc("Further arguments for a script."),
            Arg::str("runlevel").default("default").doc("OpenRC's run level."),
            Arg::str("use")
                .default("auto")
                .doc("`systemd` or `sysvinit`: the module that does it; `auto` and `service`: what the target has."),
        ],
        returns: &[
            Return::new("name", "str", "the service"),
            Return::new("state", "str", "started or stopped").when("`state` is given"),
            Return::new("enabled", "bool", "whether it starts at boot").when("`enabled` is given"),
            Return::new("status", "dict", "what systemd told of the unit, or what was run of a script")
                .when("by systemd or `use: sysvinit`"),
        ],
        example: "- service:\n    name: nginx\n    state: started\n    enabled: true\n",
        free_form: None,
        rules: &[Rule::OneOf(&["state", "enabled"])],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        match args.r#use.rsplit('.').next().unwrap_or_default() {
            "systemd" | "systemd_service" => {}
            "sysvinit" => {
                return Ok(args
                    .sysvinit(system)?
                    .map(|change| Change::Sysvinit(Box::new(change))));
            }
            "auto" | "service" if systemd_service::is_booted(system)? => {}
            "auto" | "service" => return check_script(&args, system),
            other => {
                return Err(Error::new(format!(
                    "Could not detect which service manager to use: `use` is {other}, and can be auto, service, \
                     systemd or sysvinit"
                )));
            }
        }
        let plan = SystemdService::check(
            systemd_service::Args {
                name: Some(args.name),
                state: args.state,
                enabled: args.enabled,
                masked: None,
                daemon_reload: false,
                daemon_reexec: false,
                scope: Scope::System,
                no_block: false,
                force: None,
            },
            system,
        )?;
        Ok(plan.map(Change::Systemd))
    }

    fn foresee(change: &Change) -> Foresight {
        match change {
            Change::Systemd(change) => SystemdService::foresee(change),
            Change::Sysvinit(change) => Sysvinit::foresee(change),
            Change::Script { .. } => Foresight::Effects(Vec::new()),
        }
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        match change {
            Change::Systemd(change) => SystemdService::apply(change, system),
            Change::Sysvinit(change) => Sysvinit::apply(*change, system),
            Change::Script { calls, outcome } => {
                for call in calls {
                    if let Some(seconds) = call.pause {
                        system.sleep(std::time::Duration::from_secs(seconds));
                    }
                    tool::run(system, &call.command)?;
                }
                Ok(outcome)
            }
        }
    }
}

impl Args {
    fn sysvinit(self, system: &dyn System) -> Result<Plan<sysvinit::Change>, Error> {
        let args = sysvinit::Args {
            name: self.name,
            state: self.state,
            enabled: self.enabled,
            sleep: self.sleep.unwrap_or(sysvinit::PAUSE),
            pattern: self.pattern,
            arguments: self.arguments,
            runlevels: None,
            daemonize: false,
        };
        Sysvinit::check(args, system)
    }
}

fn check_script(args: &Args, system: &dyn System) -> Result<Plan<Change>, Error> {
    let script = PathBuf::from(SCRIPTS).join(&args.name);
    let mut calls = Vec::new();
    let mut outcome = Outcome::ok().with("name", args.name.as_str());
    if system.metadata(&script, Follow::Yes)?.is_none() {
        let message = format!(
            "Could not find the requested service {}: systemd is not running on this target and there is no {}",
            args.name,
            script.display()
        );
        return Err(Error::new(message));
    }
    if let Some(enabled) = args.enabled {
        if enabled != is_enabled(&args.name, system)? {
            calls.push(Call {
                command: enable(args, enabled, system)?,
                pause: None,
            });
        }
        outcome = outcome.with("enabled", enabled);
    }
    if let Some(state) = args.state {
        let verbs = script_verbs(
            state,
            is_running(&args.name, args.pattern.as_deref(), &script, system)?,
            args.sleep.is_some(),
        );
        let path = script.display().to_string();
        for (index, verb) in verbs.iter().enumerate() {
            let extra = args.arguments.iter().flat_map(|words| words.split_whitespace());
            calls.push(Call {
                command: Command::new([path.as_str(), verb].into_iter().chain(extra)),
                pause: args.sleep.filter(|_| index > 0),
            });
        }
        let state = if state == State::Stopped {
            "stopped"
        } else {
            "started"
        };
        outcome = outcome.with("state", state);
    }
    if calls.is_empty() {
        return Ok(Plan::Same(outcome));
    }
    outcome.changed = true;
    Ok(Plan::Change {
        change: Change::Script {
            calls,
            outcome: outcome.clone(),
        },
        predicted: outcome,
    })
}

fn script_verbs(state: State, running: bool, pause: bool) -> &'static [&'static str] {
    match (state, running) {
        (State::Started, true) | (State::Stopped, false) => &[],
        (State::Stopped, true) => &["stop"],
        (State::Restarted, true) if pause => &["stop", "start"],
        (State::Restarted, true) => &["restart"],
        (State::Reloaded, true) => &["reload"],
        (State::Started | State::Restarted | State::Reloaded, false) => &["start"],
    }
}

/// The script's own word for it (0 running, 1 to 3 not: LSB); else whether a process matches.
pub(super) fn is_running(
    name: &str,
    pattern: Option<&str>,
    script: &std::path::Path,
    system: &dyn System,
) -> Result<bool, Error> {
    if pattern.is_none() {
        let path = script.display().to_string();
        let output = system.run(&Command::new([path.as_str(), "status"]))?;
        match output.code {
            0 => return Ok(true),
            1..=3 => return Ok(false),
            _ => {}
        }
    }
    let pattern = pattern.unwrap_or(name);
    for process in system.read_dir("/proc".as_ref())? {
        let is_process = process
            .file_name()
            .is_some_and(|name| name.to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()));
        if !is_process {
            continue;
        }
        let path = PathBuf::from("/proc").join(process).join("cmdline");
        // A process may end between the listing and the look.
        let words = system.read(&path).unwrap_or_default();
        let line = String::from_utf8_lossy(&words).replace('\0', " ");
        if line.contains(pattern) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_enabled(name: &str, system: &dyn System) -> Result<bool, Error> {
    if system.which("rc-update").is_some() {
        let link = PathBuf::from(OPENRC_DEFAULT).join(name);
        return Ok(system.metadata(&link, Follow::No)?.is_some());
    }
    for folder in RUN_LEVELS {
        // A run level that the distribution does not have starts nothing.
        for link in system.read_dir(folder.as_ref()).unwrap_or_default() {
            if link
                .file_name()
                .is_some_and(|link| starts(&link.to_string_lossy(), name))
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether a run level's link (`S20nginx`) starts that service.
pub(super) fn starts(link: &str, name: &str) -> bool {
    link.strip_prefix('S').and_then(|rest| {
        rest.get(2..)
            .filter(|_| rest.as_bytes()[..2].iter().all(u8::is_ascii_digit))
    }) == Some(name)
}

fn enable(args: &Args, enabled: bool, system: &dyn System) -> Result<Command, Error> {
    let name = args.name.as_str();
    let verb = |yes: &'static str, no: &'static str| if enabled { yes } else { no };
    let has = |program: &str| system.which(program).is_some();
    Ok(if has("rc-update") {
        Command::new(["rc-update", verb("add", "del"), name, &args.runlevel])
    } else if has("update-rc.d") && enabled {
        // `enable` alone fails where no link exists yet.
        Command::new([
            "sh",
            "-c",
            r#"update-rc.d "$0" defaults && update-rc.d "$0" enable"#,
            name,
        ])
    } else if has("update-rc.d") {
        Command::new(["update-rc.d", name, "disable"])
    } else if has("chkconfig") {
        Command::new(["chkconfig", name, verb("on", "off")])
    } else if has("insserv") && enabled {
        Command::new(["insserv", name])
    } else if has("insserv") {
        Command::new(["insserv", "--remove", name])
    } else {
        return Err(Error::new(format!(
            "cannot enable service {name}: the target has none of systemd, rc-update, update-rc.d, chkconfig, insserv"
        )));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_links_that_start() {
        assert!(starts("S20nginx", "nginx"));
        assert!(!starts("K20nginx", "nginx"));
        assert!(!starts("S20nginx-extra", "nginx"));
        assert!(!starts("S2", "nginx"));
    }

    #[test]
    fn restarts_in_two_steps_only_with_a_pause() {
        assert_eq!(script_verbs(State::Restarted, true, false), ["restart"]);
        assert_eq!(script_verbs(State::Restarted, true, true), ["stop", "start"]);
        assert_eq!(script_verbs(State::Reloaded, false, false), ["start"]);
        assert!(script_verbs(State::Stopped, false, false).is_empty());
    }
}

//! `service_facts`: the services of the target, as `ansible_facts.services`. After `ansible.builtin.service_facts`.
//!
//! systemd, and init scripts as `service --status-all` lists them. Deliberately no upstart and no chkconfig: no supported distribution
//! has them any longer.

use std::path::Path;

use serde::Deserialize;

use crate::modules::{Error, Module, Plan, Return, Spec};
use crate::system::{Command, Follow, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

/// Any of these exists where systemd is in charge.
const SYSTEMD: &[&str] = &["/run/systemd/system", "/dev/.run/systemd", "/dev/.systemd"];
/// States of a unit that say more than whether it is enabled.
const BAD_STATES: &[&str] = &["not-found", "masked", "failed"];

pub struct ServiceFacts;

#[derive(Debug, Deserialize)]
pub struct Args {}

impl Module for ServiceFacts {
    type Args = Args;
    type Change = std::convert::Infallible;

    const SPEC: Spec = Spec {
        name: "service_facts",
        summary: "read the services of the target into `ansible_facts.services`",
        args: &[],
        returns: &[Return::new(
            "ansible_facts",
            "dict",
            "`services`: by name, each with `name`, `state` (running, stopped, unknown...), `status` (enabled, \
             disabled...) and `source` (systemd, sysv)",
        )],
        example: "- service_facts:\n- debug: {msg: \"{{ ansible_facts.services['ssh.service'].state }}\"}\n",
        free_form: None,
        rules: &[],
    };

    fn check(_args: Args, system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        let mut survey = Survey {
            system,
            services: Map::new(),
            warnings: Vec::new(),
        };
        survey.init_scripts()?;
        survey.openrc()?;
        survey.systemd()?;
        if survey.services.is_empty() {
            return Ok(Plan::Same(Outcome::skipped(
                "Failed to find any services. This can be due to privileges or some other configuration issue.",
            )));
        }
        let facts = Map::from_iter([("services".to_owned(), Value::Map(survey.services))]);
        let mut outcome = Outcome::ok().with("ansible_facts", facts);
        if !survey.warnings.is_empty() {
            outcome = outcome.with("warnings", survey.warnings);
        }
        Ok(Plan::Same(outcome))
    }

    fn apply(change: Self::Change, _system: &dyn System) -> Result<Outcome, Error> {
        match change {}
    }
}

struct Survey<'a> {
    system: &'a dyn System,
    services: Map,
    warnings: Vec<String>,
}

impl Survey<'_> {
    /// Standard output and, for a warning, what went wrong.
    fn ask(&self, argv: &[&str]) -> Result<(String, Option<String>), Error> {
        let command = Command::new(argv.iter().copied())
            .env("LANG", "C")
            .env("LC_ALL", "C");
        let output = self.system.run(&command)?;
        let problem = (!output.success()).then(|| output.stderr_text().trim().to_owned());
        Ok((output.stdout_text(), problem))
    }

    fn note(&mut self, name: &str, fields: &[(&str, &str)]) {
        let fields = fields
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Value::from(*value)));
        let service = [("name".to_owned(), Value::from(name))]
            .into_iter()
            .chain(fields)
            .collect();
        self.services.insert(name.to_owned(), Value::Map(service));
    }

    fn has(&self, programs: &[&str]) -> bool {
        programs
            .iter()
            .all(|program| self.system.which(program).is_some())
    }

    fn init_scripts(&mut self) -> Result<(), Error> {
        if !self.has(&["service"]) || self.has(&["chkconfig"]) || self.has(&["rc-status"]) {
            return Ok(());
        }
        let (text, problem) = self.ask(&["service", "--status-all"])?;
        let scripts = self.system.metadata(Path::new("/etc/init.d"), Follow::Yes)?;
        if let (Some(problem), Some(_)) = (problem, scripts) {
            self.warnings
                .push(format!("Unable to query 'service' tool: {problem}"));
        }
        for line in text.lines() {
            let line = line.trim_start();
            let found = [("[ + ]", "running"), ("[ - ]", "stopped")]
                .into_iter()
                .find_map(|(mark, state)| Some((line.strip_prefix(mark)?.trim(), state)));
            if let Some((name, state)) = found {
                self.note(name, &[("state", state), ("source", "sysv")]);
            }
        }
        Ok(())
    }

    fn openrc(&mut self) -> Result<(), Error> {
        if !self.has(&["rc-status", "rc-update"]) {
            return Ok(());
        }
        let (levels, _) = self.ask(&["rc-update", "show", "-v"])?;
        let (states, _) = self.ask(&["rc-status", "-a", "-s", "-m"])?;
        for line in states.lines().filter(|line| line.starts_with(' ')) {
            let line = line.replace(['[', ']'], "");
            let mut words = line.split_whitespace().filter(|word| *word != "*");
            let (Some(name), Some(state)) = (words.next(), words.next()) else {
                continue;
            };
            let of_name = |line: &&str| line.split('|').next().is_some_and(|part| part.trim() == name);
            let runlevels = levels
                .lines()
                .find(of_name)
                .and_then(|line| line.split('|').nth(1))
                .map(|levels| levels.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
                .filter(|levels| !levels.is_empty());
            self.note(name, &[("state", state), ("source", "openrc")]);
            if let Some(Value::Map(service)) = self.services.get_mut(name) {
                service.insert("runlevels".to_owned(), runlevels.map_or(Value::Null, Value::from));
            }
        }
        Ok(())
    }

    fn systemd(&mut self) -> Result<(), Error> {
        let mut in_charge = false;
        for folder in SYSTEMD {
            in_charge |= self.system.metadata(Path::new(folder), Follow::Yes)?.is_some();
        }
        if !in_charge || !self.has(&["systemctl"]) {
            return Ok(());
        }
        self.units()?;
        self.unit_files()
    }

    /// What systemd has loaded.
    fn units(&mut self) -> Result<(), Error> {
        let list = [
            "systemctl",
            "list-units",
            "--no-pager",
            "--type",
            "service",
            "--all",
            "--plain",
        ];
        let (text, problem) = self.ask(&list)?;
        if let Some(problem) = problem {
            self.warnings
                .push(format!("Could not list units from systemd: {problem}"));
            return Ok(());
        }
        for line in text.lines().filter(|line| line.contains(".service")) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let &[name, _, active, sub, ..] = fields.as_slice() else {
                continue;
            };
            let state = if sub == "running" { "running" } else { "stopped" };
            let words = &fields[..fields.len() - 1];
            let bad = BAD_STATES.iter().copied().find(|bad| words.contains(bad));
            let status = bad.unwrap_or(active);
            self.note(
                name,
                &[("state", state), ("status", status), ("source", "systemd")],
            );
        }
        Ok(())
    }

    /// What there is on the disk, and whether it is enabled.
    fn unit_files(&mut self) -> Result<(), Error> {
        let list = [
            "systemctl",
            "list-unit-files",
            "--no-pager",
            "--type",
            "service",
            "--all",
        ];
        let (text, problem) = self.ask(&list)?;
        if let Some(problem) = problem {
            self.warnings
                .push(format!("Could not get unit files data from systemd: {problem}"));
            return Ok(());
        }
        let mut unloaded = Vec::new();
        for line in text.lines().filter(|line| line.contains(".service")) {
            let mut words = line.split_whitespace();
            let (Some(name), Some(status)) = (words.next(), words.next()) else {
                continue;
            };
            match self.services.get_mut(name) {
                Some(Value::Map(service)) => {
                    let known = service.get("status").and_then(Value::as_str).unwrap_or_default();
                    if !BAD_STATES.contains(&known) {
                        service.insert("status".to_owned(), status.into());
                    }
                }
                _ => unloaded.push((name, status)),
            }
        }
        self.states_of(&unloaded)
    }

    /// The states of units that are not loaded: all in one question.
    fn states_of(&mut self, units: &[(&str, &str)]) -> Result<(), Error> {
        if units.is_empty() {
            return Ok(());
        }
        // A template has no state: systemctl would fail for it, and not answer for those after it.
        let is_template = |name: &str| name.contains("@.");
        let names = units.iter().map(|(name, _)| *name);
        let question: Vec<&str> = ["systemctl", "show", "--property=ActiveState", "--"]
            .into_iter()
            .chain(names.filter(|name| !is_template(name)))
            .collect();
        let (text, _) = self.ask(&question)?;
        // In the order of the question: a unit that is asked for by another of its names does not tell it.
        let mut states = text.lines().filter_map(|line| line.strip_prefix("ActiveState="));
        for (name, status) in units {
            let state = if is_template(name) { None } else { states.next() };
            let state = state.unwrap_or("unknown");
            self.note(
                name,
                &[("state", state), ("status", status), ("source", "systemd")],
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::run;
    use crate::system::fake::Fake;

    #[test]
    fn init_scripts_and_units() {
        let fake = Fake::new();
        fake.program("/usr/sbin/service")
            .program("/usr/bin/systemctl")
            .directory("/etc/init.d")
            .directory("/run/systemd/system");
        fake.answer("service --status-all", 0, " [ + ]  cron\n [ - ]  x11\n [ ? ]  odd\n")
            .answer(
                "systemctl list-units --no-pager --type service --all --plain",
                0,
                "UNIT LOAD ACTIVE SUB DESCRIPTION\ncron.service loaded active running Cron\n\
                 gone.service not-found inactive dead gone.service\nidle.service loaded inactive dead Idle\n\n3 loaded units",
            )
            .answer(
                "systemctl list-unit-files --no-pager --type service --all",
                0,
                "UNIT FILE STATE PRESET\ncron.service enabled enabled\nidle.service static -\n\
                 off.service disabled enabled\nt@.service static -\nother.service alias -\n",
            )
            .answer(
                "systemctl show --property=ActiveState -- off.service other.service",
                0,
                "ActiveState=inactive\n\nActiveState=active\n",
            );
        let outcome = run::<ServiceFacts>(&fake, "{}");
        let json = serde_json::to_string(&outcome.values["ansible_facts"]).unwrap();
        insta::assert_snapshot!(json.replace("},", "},\n"), @r#"
        {"services":{"cron":{"name":"cron","state":"running","source":"sysv"},
        "x11":{"name":"x11","state":"stopped","source":"sysv"},
        "cron.service":{"name":"cron.service","state":"running","status":"enabled","source":"systemd"},
        "gone.service":{"name":"gone.service","state":"stopped","status":"not-found","source":"systemd"},
        "idle.service":{"name":"idle.service","state":"stopped","status":"static","source":"systemd"},
        "off.service":{"name":"off.service","state":"inactive","status":"disabled","source":"systemd"},
        "t@.service":{"name":"t@.service","state":"unknown","status":"static","source":"systemd"},
        "other.service":{"name":"other.service","state":"active","status":"alias","source":"systemd"}}}
        "#);
    }

    #[test]
    fn a_machine_without_services() {
        assert!(run::<ServiceFacts>(&Fake::new(), "{}").skipped);
    }
}

//! `ufw`: rules, defaults and state of the uncomplicated firewall. After community.general.ufw.
//!
//! Whether a rule is there is for ufw's own dry run to say. Defaults and the level of logging are read where ufw keeps
//! them, so that a firewall that is off changes, too.

use serde::Deserialize;

use crate::modules::tool::{self, Calls};
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec};
use crate::system::foresight::Foresight;
use crate::system::{Command, Follow, System};
use crate::wire::message::Outcome;

const DEFAULTS: &str = "/etc/default/ufw";
const CONFIGURATION: &str = "/etc/ufw/ufw.conf";

/// What a dry run says where there is nothing to do.
const NOTHING: [&str; 3] = ["Skipping", "Could not delete non-existent rule", "WARN"];

pub struct Ufw;

#[derive(Debug, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the arguments are what playbooks know"
)]
pub struct Args {
    state: Option<String>,
    default: Option<String>,
    logging: Option<String>,
    direction: Option<String>,
    delete: bool,
    route: bool,
    insert: Option<u64>,
    insert_relative_to: String,
    rule: Option<String>,
    interface: Option<String>,
    interface_in: Option<String>,
    interface_out: Option<String>,
    log: bool,
    from_ip: String,
    from_port: Option<String>,
    to_ip: String,
    to_port: Option<String>,
    proto: Option<String>,
    name: Option<String>,
    comment: Option<String>,
}

impl Module for Ufw {
    type Args = Args;
    type Change = Calls;
    const SPEC: Spec = Spec {
        name: "ufw",
        summary: "keep rules of the uncomplicated firewall",
        args: &[
            Arg::str("state")
                .choices(&["enabled", "disabled", "reloaded", "reset"])
                .doc("whether it filters; `reset` forgets all rules"),
            Arg::str("default")
                .aliases(&["policy"])
                .choices(&["allow", "deny", "reject"])
                .doc("what becomes of packets that no rule is for"),
            Arg::str("logging")
                .choices(&["full", "high", "low", "medium", "off", "on"])
                .doc("how much is logged"),
            Arg::str("direction")
                .choices(&["in", "incoming", "out", "outgoing", "routed"])
                .doc("`in` or `out` for a rule, the longer words for `default`"),
            Arg::bool("delete").default("no").doc("remove the rule"),
            Arg::bool("route")
                .default("no")
                .doc("a rule for packets that are forwarded"),
            Arg::int("insert").doc("the number that the rule gets"),
            Arg::str("insert_relative_to")
                .choices(&["zero", "first-ipv4", "last-ipv4", "first-ipv6", "last-ipv6"])
                .default("zero")
                .doc("what that number counts from"),
            Arg::str("rule")
                .choices(&["allow", "deny", "limit", "reject"])
                .doc("what becomes of the packets"),
            Arg::str("interface")
                .aliases(&["if"])
                .doc("an interface; needs `direction`"),
            Arg::str("interface_in")
                .aliases(&["if_in"])
                .doc("the interface they come in by"),
            Arg::str("interface_out")
                .aliases(&["if_out"])
                .doc("the interface they leave by"),
            Arg::bool("log")
                .default("no")
                .doc("log new connections of this rule"),
            Arg::str("from_ip")
                .aliases(&["from", "src"])
                .default("any")
                .doc("source address"),
            Arg::str("from_port").doc("source port"),
            Arg::str("to_ip")
                .aliases(&["dest", "to"])
                .default("any")
                .doc("destination address"),
            Arg::str("to_port").aliases(&["port"]).doc("destination port"),
            Arg::str("proto")
                .aliases(&["protocol"])
                .choices(&["ah", "any", "esp", "ipv6", "tcp", "udp", "gre", "igmp", "vrrp"])
                .doc("protocol"),
            Arg::str("name").aliases(&["app"]).doc("an application profile"),
            Arg::str("comment").doc("a comment on the rule"),
        ],
        returns: &[
            Return::new("commands", "list of str", "what was run"),
            Return::new("msg", "str", "what `ufw status verbose` says"),
        ],
        example: "- ufw: {rule: allow, port: ssh, proto: tcp}\n- ufw: {state: enabled, policy: deny}\n",
        free_form: None,
        rules: &[
            Rule::OneOf(&["state", "default", "rule", "logging"]),
            Rule::Exclusive(&["name", "proto", "logging"]),
            Rule::Exclusive(&["direction", "interface_in"]),
            Rule::Exclusive(&["direction", "interface_out"]),
        ],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Calls>, Error> {
        tool::require(system, "ufw", "change the firewall's rules")?;
        let status = status(system)?;
        let mut calls = Calls::new(Outcome::ok());
        if let Some(state) = args.state.as_deref() {
            let active = status.contains("Status: active");
            let verb = match state {
                "enabled" => (!active).then_some("enable"),
                "disabled" => active.then_some("disable"),
                "reloaded" => Some("reload"),
                _ => Some("reset"),
            };
            if let Some(verb) = verb {
                calls.push(["ufw", "-f", verb]);
            }
        }
        if let Some(policy) = &args.default {
            default(policy, args.direction.as_deref(), &mut calls, system)?;
        }
        if let Some(rule) = &args.rule {
            let words = args.rule(rule, system)?;
            let dry = Command::new(
                ["ufw", "--dry-run"]
                    .map(str::to_owned)
                    .into_iter()
                    .chain(words.clone()),
            );
            if changes_something(&told(&dry, system)?) {
                calls.push(["ufw".to_owned()].into_iter().chain(words));
            }
        }
        if let Some(level) = &args.logging {
            let now = setting(CONFIGURATION, "LOGLEVEL", system)?;
            let same = if level == "on" {
                !now.is_empty() && now != "off"
            } else {
                now == *level
            };
            if !same {
                calls.push(["ufw", "logging", level]);
            }
        }
        let commands: Vec<String> = calls
            .commands
            .iter()
            .map(|command| shell_words::join(&command.argv))
            .collect();
        calls.outcome = calls
            .outcome
            .with("commands", commands)
            .with("msg", status.trim_end());
        Ok(calls.plan())
    }

    fn apply(change: Calls, system: &dyn System) -> Result<Outcome, Error> {
        for command in &change.commands {
            told(command, system)?;
        }
        Ok(change.outcome.with("msg", status(system)?.trim_end()))
    }

    fn foresee(change: &Calls) -> Foresight {
        change.foresee()
    }
}

fn status(system: &dyn System) -> Result<String, Error> {
    told(&Command::new(["ufw", "status", "verbose"]), system)
}

/// What ufw says; what it says of an error is the message.
fn told(command: &Command, system: &dyn System) -> Result<String, Error> {
    let command = command.clone().env("LANG", "C");
    let output = system.run(&command)?;
    if output.success() {
        return Ok(output.stdout_text());
    }
    let text = [output.stderr_text(), output.stdout_text()]
        .into_iter()
        .find(|text| !text.is_empty());
    Err(Error::new(text.unwrap_or_default().trim_end())
        .with("commands", vec![shell_words::join(&command.argv)]))
}

fn changes_something(dry: &str) -> bool {
    let lines: Vec<&str> = dry.lines().filter(|line| !line.trim().is_empty()).collect();
    !lines
        .iter()
        .all(|line| NOTHING.iter().any(|nothing| line.starts_with(nothing)))
}

/// `KEY="VALUE"` of a file that shells read; empty if it is not there.
fn setting(path: &str, key: &str, system: &dyn System) -> Result<String, Error> {
    if system.metadata(path.as_ref(), Follow::Yes)?.is_none() {
        return Ok(String::new());
    }
    let text = system.read(path.as_ref())?;
    let text = String::from_utf8_lossy(&text);
    let value = text
        .lines()
        .rev()
        .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
    Ok(value.unwrap_or_default().trim_matches('"').to_owned())
}

fn default(
    policy: &str,
    direction: Option<&str>,
    calls: &mut Calls,
    system: &dyn System,
) -> Result<(), Error> {
    let (word, key) = match direction {
        None | Some("incoming") => ("incoming", "DEFAULT_INPUT_POLICY"),
        Some("outgoing") => ("outgoing", "DEFAULT_OUTPUT_POLICY"),
        Some("routed") => ("routed", "DEFAULT_FORWARD_POLICY"),
        Some(_) => {
            return Err(Error::new(
                "For default, direction must be one of \"outgoing\", \"incoming\" and \"routed\", or direction must \
                 not be specified.",
            ));
        }
    };
    let target = match policy {
        "allow" => "ACCEPT",
        "deny" => "DROP",
        _ => "REJECT",
    };
    if setting(DEFAULTS, key, system)? != target {
        calls.push(["ufw", "default", policy, word]);
    }
    Ok(())
}

impl Args {
    /// The rule in ufw's long form.
    fn rule(&self, rule: &str, system: &dyn System) -> Result<Vec<String>, Error> {
        if self
            .direction
            .as_deref()
            .is_some_and(|direction| !["in", "out"].contains(&direction))
        {
            return Err(Error::new(
                "For rules, direction must be one of \"in\" and \"out\", or direction must not be specified.",
            ));
        }
        if self.interface.is_some() && self.direction.is_none() {
            return Err(Error::new(
                "missing parameter(s) required by 'interface': direction",
            ));
        }
        if !self.route && self.interface_in.is_some() && self.interface_out.is_some() {
            return Err(Error::new(
                "Only route rules can combine interface_in and interface_out",
            ));
        }
        let mut words: Vec<String> = Vec::new();
        let mut push = |given: &[&str]| words.extend(given.iter().map(|&word| word.to_owned()));
        let flag = |on: bool, word: [&'static str; 1]| if on { word.to_vec() } else { Vec::new() };
        push(&flag(self.route, ["route"]));
        push(&flag(self.delete, ["delete"]));
        if let Some(place) = self.place(system)? {
            push(&["insert", &place.to_string()]);
        }
        push(&[rule]);
        if let Some(direction) = &self.direction {
            push(&[direction]);
        }
        for (before, interface) in [
            (&["on"][..], &self.interface),
            (&["in", "on"], &self.interface_in),
            (&["out", "on"], &self.interface_out),
        ] {
            if let Some(interface) = interface {
                push(before);
                push(&[interface]);
            }
        }
        push(&flag(self.log, ["log"]));
        for (word, value) in [
            ("from", Some(&self.from_ip)),
            ("port", self.from_port.as_ref()),
            ("to", Some(&self.to_ip)),
            ("port", self.to_port.as_ref()),
            ("proto", self.proto.as_ref()),
            ("app", self.name.as_ref()),
            ("comment", self.comment.as_ref()),
        ] {
            if let Some(value) = value {
                push(&[word, value]);
            }
        }
        Ok(words)
    }

    /// Where it is inserted; none at the end, which ufw does not take for a number.
    fn place(&self, system: &dyn System) -> Result<Option<u64>, Error> {
        let Some(insert) = self.insert.filter(|_| !self.delete) else {
            return Ok(None);
        };
        if self.insert_relative_to == "zero" {
            return Ok(Some(insert));
        }
        let listing = told(&Command::new(["ufw", "status", "numbered"]), system)?;
        let numbers: Vec<(u64, bool)> = listing
            .lines()
            .filter_map(|line| {
                let (number, rest) = line.strip_prefix('[')?.split_once(']')?;
                Some((number.trim().parse().ok()?, rest.contains("(v6)")))
            })
            .collect();
        let last = numbers
            .iter()
            .map(|(number, _)| *number)
            .max()
            .unwrap_or_default();
        let last_ipv4 = numbers
            .iter()
            .filter(|(_, v6)| !v6)
            .map(|(number, _)| *number)
            .max();
        let start = match self.insert_relative_to.as_str() {
            "first-ipv4" => 1,
            "last-ipv4" => last_ipv4.unwrap_or(1),
            "first-ipv6" => last_ipv4.map_or(1, |number| number + 1),
            _ if numbers.iter().any(|(_, v6)| *v6) => last,
            _ => last + 1,
        };
        Ok(Some(insert + start).filter(|place| *place <= last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, failure, run};
    use crate::system::CommandOutput;
    use crate::system::fake::Fake;

    fn machine() -> Fake {
        let fake = Fake::new();
        fake.program("/usr/sbin/ufw")
            .file(
                DEFAULTS,
                "DEFAULT_INPUT_POLICY=\"DROP\"\nDEFAULT_OUTPUT_POLICY=\"ACCEPT\"\n",
            )
            .file(CONFIGURATION, "ENABLED=no\nLOGLEVEL=low\n")
            .answer_with(|_, command| {
                let line = command.argv[1..].join(" ");
                let stdout = match line.as_str() {
                    "status verbose" => "Status: inactive\n",
                    "status numbered" => "[ 1] 22 ALLOW IN Anywhere\n[ 2] 22 (v6) ALLOW IN Anywhere (v6)\n",
                    line if line.starts_with("--dry-run") && line.contains("port 22") => {
                        "Skipping adding existing rule\nSkipping adding existing rule (v6)\n"
                    }
                    line if line.starts_with("--dry-run delete") => "Could not delete non-existent rule\n",
                    line if line.starts_with("--dry-run") => "*filter\n### tuple ### allow tcp 80\n",
                    _ => "",
                };
                Some(CommandOutput {
                    stdout: stdout.into(),
                    ..CommandOutput::default()
                })
            });
        fake
    }

    fn changes(fake: &Fake, arguments: &str) -> String {
        let before = fake.ran().len();
        let predicted = check::<Ufw>(fake, arguments);
        let outcome = run::<Ufw>(fake, arguments);
        assert!(!outcome.failed, "{arguments}: {outcome:?}");
        assert_eq!(predicted, outcome);
        let ran = fake.ran().split_off(before);
        let ran: Vec<String> = ran
            .into_iter()
            .filter(|line| !line.contains("--dry-run") && !line.contains(" status "))
            .collect();
        ran.join("; ")
    }

    #[test]
    fn rules_in_the_long_form() {
        let fake = machine();
        for (arguments, expected) in [
            (r#"{"rule":"allow","port":22}"#, ""),
            (r#"{"rule":"allow","port":80,"delete":true}"#, ""),
            (
                r#"{"rule":"allow","port":"80","proto":"tcp","comment":"the web"}"#,
                "ufw allow from any to any port 80 proto tcp comment the web",
            ),
            (
                r#"{"rule":"deny","route":true,"if_in":"eth0","if_out":"eth1","src":"10.0.0.0/8","log":true}"#,
                "ufw route deny in on eth0 out on eth1 log from 10.0.0.0/8 to any",
            ),
            (
                r#"{"rule":"limit","direction":"in","if":"eth0","from_port":"1","app":"OpenSSH"}"#,
                "ufw limit in on eth0 from any port 1 to any app OpenSSH",
            ),
            (
                r#"{"rule":"reject","port":"9","insert":1}"#,
                "ufw insert 1 reject from any to any port 9",
            ),
            (
                r#"{"rule":"reject","port":"9","insert":0,"insert_relative_to":"first-ipv6"}"#,
                "ufw insert 2 reject from any to any port 9",
            ),
            (
                r#"{"rule":"reject","port":"9","insert":9,"insert_relative_to":"last-ipv4"}"#,
                "ufw reject from any to any port 9",
            ),
        ] {
            assert_eq!(changes(&fake, arguments), expected, "{arguments}");
        }
    }

    #[test]
    fn state_defaults_and_logging() {
        let fake = machine();
        for (arguments, expected) in [
            (r#"{"state":"disabled"}"#, ""),
            (
                r#"{"state":"enabled","policy":"reject"}"#,
                "ufw -f enable; ufw default reject incoming",
            ),
            (r#"{"state":"reset"}"#, "ufw -f reset"),
            (r#"{"default":"deny"}"#, ""),
            (r#"{"default":"allow","direction":"outgoing"}"#, ""),
            (
                r#"{"default":"allow","direction":"routed"}"#,
                "ufw default allow routed",
            ),
            (r#"{"logging":"on"}"#, ""),
            (r#"{"logging":"low"}"#, ""),
            (r#"{"logging":"off"}"#, "ufw logging off"),
        ] {
            assert_eq!(changes(&fake, arguments), expected, "{arguments}");
        }
    }

    #[test]
    fn refusals() {
        let fake = machine();
        for (arguments, part) in [
            (
                r#"{"default":"deny","direction":"in"}"#,
                "For default, direction must be",
            ),
            (
                r#"{"rule":"deny","direction":"routed"}"#,
                "For rules, direction must be",
            ),
            (
                r#"{"rule":"deny","if":"eth0"}"#,
                "required by 'interface': direction",
            ),
            (r#"{"rule":"deny","if_in":"a","if_out":"b"}"#, "Only route rules"),
            (r#"{"proto":"tcp"}"#, "one of the following is required"),
        ] {
            let message = failure::<Ufw>(&fake, arguments);
            assert!(message.contains(part), "{arguments}: {message}");
        }
        fake.answer_with(|_, _| {
            Some(CommandOutput {
                code: 1,
                stderr: b"ERROR: You need to be root to run this script\n".to_vec(),
                ..CommandOutput::default()
            })
        });
        let message = failure::<Ufw>(&fake, r#"{"state":"enabled"}"#);
        assert_eq!(message, "ERROR: You need to be root to run this script");
    }
}

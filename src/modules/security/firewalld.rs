//! `firewalld`: what the zones of firewalld let through. After ansible.posix.firewalld, but by way of `firewall-cmd`, so that
//! no python bindings are needed; where the daemon does not run, permanent settings go through `firewall-offline-cmd`.

use serde::Deserialize;

use crate::modules::tool::Calls;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec, tool};
use crate::system::foresight::Foresight;
use crate::system::{Command, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

/// Exit status of `firewall-cmd` where the daemon does not run.
const NOT_RUNNING: i32 = 252;
const ZONES_ARE_PERMANENT: &str = "Zone operations must be permanent. Make sure you didn't set the 'permanent' flag \
                                   to 'false' or the 'immediate' flag to 'true'.";

pub struct Firewalld;

#[derive(Debug, Deserialize)]
pub struct Args {
    state: String,
    zone: Option<String>,
    permanent: bool,
    immediate: bool,
    offline: bool,
    timeout: i64,
    port_forward: Option<Vec<Map>>,
    target: Option<String>,
    #[serde(flatten)]
    others: Map,
}

/// Arguments, the options of `firewall-cmd` that they stand for (`--add-X`), and whether results tell their change.
const ITEMS: &[(&str, &str, bool)] = &[
    ("icmp_block", "icmp-block", true),
    ("service", "service", true),
    ("protocol", "protocol", true),
    ("source", "source", false),
    ("port", "port", true),
    ("rich_rule", "rich-rule", true),
    ("interface", "interface", false),
];

/// The same for what is on or off.
const SWITCHES: &[(&str, &str, bool)] = &[
    ("icmp_block_inversion", "icmp-block-inversion", true),
    ("forward", "forward", false),
    ("masquerade", "masquerade", false),
];

impl Module for Firewalld {
    type Args = Args;
    type Change = Calls;
    const SPEC: Spec = Spec {
        name: "firewalld",
        summary: "keep services, ports and rules of firewalld's zones",
        args: &[
            Arg::str("state")
                .required()
                .choices(&["absent", "disabled", "enabled", "present"])
                .doc("`enabled` or `disabled`; of a zone itself and its target: `present` or `absent`"),
            Arg::str("zone").doc("the zone; without: the default one"),
            Arg::bool("permanent")
                .default("no")
                .doc("in the configuration, from the next reload on"),
            Arg::bool("immediate")
                .default("no")
                .doc("in the running firewall; so it is where `permanent` is not set"),
            Arg::bool("offline")
                .default("no")
                .doc("change the configuration even if firewalld does not run"),
            Arg::int("timeout")
                .default("0")
                .doc("seconds after which the running firewall forgets it"),
            Arg::str("service").doc("a service that firewalld knows"),
            Arg::str("port").doc("`80/tcp`, `8000-8100/udp`"),
            Arg::str("protocol").doc("a protocol of IP"),
            Arg::list("port_forward")
                .options(&[
                    Arg::str("port").required().doc("the port, or a range"),
                    Arg::str("proto")
                        .required()
                        .choices(&["udp", "tcp"])
                        .doc("its protocol"),
                    Arg::str("toport").required().doc("the port it goes to"),
                    Arg::str("toaddr").doc("the address it goes to"),
                ])
                .doc("one forwarded port"),
            Arg::str("rich_rule").doc("a rule in firewalld's rich language"),
            Arg::str("source").doc("a network whose packets are the zone's"),
            Arg::str("interface").doc("an interface whose packets are the zone's; needs `zone`"),
            Arg::str("icmp_block").doc("a type of ICMP to block"),
            Arg::bool("icmp_block_inversion").doc("block all types but those"),
            Arg::bool("forward").doc("forward within the zone"),
            Arg::bool("masquerade").doc("translate addresses of what leaves"),
            Arg::str("target")
                .choices(&["default", "ACCEPT", "DROP", "%%REJECT%%"])
                .doc("what becomes of everything else; needs `zone` and `permanent`"),
        ],
        returns: &[Return::new("msg", "str", "what was done, and where")],
        example: "- firewalld: {service: https, state: enabled, permanent: true, immediate: true}\n\
                  - firewalld: {zone: internal, source: 10.0.0.0/8, state: enabled, permanent: true}\n",
        free_form: None,
        rules: &[Rule::Exclusive(&[
            "icmp_block",
            "icmp_block_inversion",
            "service",
            "protocol",
            "port",
            "port_forward",
            "rich_rule",
            "interface",
            "forward",
            "masquerade",
            "source",
            "target",
        ])],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Calls>, Error> {
        let wish = Wish::new(&args)?;
        tool::require(system, "firewall-cmd", "change firewalld's zones")?;
        let state = Command::new(["firewall-cmd", "--state"]);
        let running = match system.run(&state)? {
            output if output.success() => true,
            output if output.code == NOT_RUNNING => false,
            output => return Err(tool::failure(&state, &output)),
        };
        if args.offline && !args.permanent {
            return Err(Error::new(
                "offline cannot be enabled unless permanent changes are allowed",
            ));
        }
        let immediate = (args.immediate && (running || !args.offline)) || !args.permanent;
        if immediate && !running {
            return Err(Error::new(
                "firewall is not currently running, unable to perform immediate actions without a running firewall daemon",
            ));
        }
        let mut messages = vec![match (args.permanent, immediate) {
            (true, true) => "Permanent and Non-Permanent(immediate) operation".to_owned(),
            (true, false) => "Permanent operation".to_owned(),
            (false, _) => "Non-permanent operation".to_owned(),
        }];
        if wish.is_zone_level() && immediate {
            return Err(Error::new(ZONES_ARE_PERMANENT));
        }
        let mut calls = Calls::new(Outcome::ok());
        for place in [
            immediate.then_some(Place::Running),
            args.permanent.then_some(if running {
                Place::Configured
            } else {
                Place::Offline
            }),
        ] {
            if let Some(place) = place
                && let Some(argv) = wish.change(&args, place, system)?
            {
                calls.push(argv);
            }
        }
        if !calls.commands.is_empty() {
            messages.extend(wish.told(&args.state));
        }
        if !running {
            messages.push("(offline operation: only on-disk configs were altered)".to_owned());
        }
        calls.outcome = calls.outcome.with("msg", messages.join(", "));
        Ok(calls.plan())
    }

    fn apply(change: Calls, system: &dyn System) -> Result<Outcome, Error> {
        change.apply(system)
    }

    fn foresee(change: &Calls) -> Foresight {
        change.foresee()
    }
}

/// Whose settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Running,
    Configured,
    Offline,
}

impl Place {
    fn program(self) -> Vec<String> {
        let words: &[&str] = match self {
            Self::Running => &["firewall-cmd"],
            Self::Configured => &["firewall-cmd", "--permanent"],
            Self::Offline => &["firewall-offline-cmd"],
        };
        words.iter().map(|&word| word.to_owned()).collect()
    }
}

/// What the task is about.
enum Wish {
    /// `--add-OPTION=VALUE` or `--remove-OPTION=VALUE`.
    Item {
        name: String,
        option: &'static str,
        value: Option<String>,
        on: bool,
        is_told: bool,
    },
    Target(String),
    Zone,
}

impl Wish {
    fn new(args: &Args) -> Result<Self, Error> {
        let on = args.state == "enabled" || args.state == "present";
        let wish = Self::given(args, on)?;
        if matches!(wish, Self::Item { .. }) && ["absent", "present"].contains(&args.state.as_str()) {
            return Err(Error::new(
                "absent and present state can only be used in zone level operations",
            ));
        }
        for name in ["interface", "target"] {
            let given = args.others.get(name).is_some_and(|value| *value != Value::Null)
                || (name == "target" && args.target.is_some());
            if given && args.zone.is_none() {
                return Err(Error::new(format!(
                    "missing parameter(s) required by '{name}': zone"
                )));
            }
        }
        if matches!(wish, Self::Zone)
            && (args.zone.is_none() || !["absent", "present"].contains(&args.state.as_str()))
        {
            return Err(Error::new(
                "nothing to do: give a service, a port or another setting, or a zone with state present or absent",
            ));
        }
        Ok(wish)
    }

    fn given(args: &Args, on: bool) -> Result<Self, Error> {
        let other = |name: &str| args.others.get(name).filter(|value| **value != Value::Null);
        for (name, option, is_told) in ITEMS {
            if let Some(value) = other(name) {
                let value = value.to_string();
                let proper = value
                    .trim()
                    .split_once('/')
                    .is_some_and(|(_, protocol)| !protocol.is_empty());
                if *name == "port" && !proper {
                    return Err(Error::new("improper port format (missing protocol?)"));
                }
                return Ok(Self::Item {
                    name: format!("{option} {value}").replacen("rich-rule", "rich_rule", 1),
                    option,
                    value: Some(value.trim().to_owned()),
                    on,
                    is_told: *is_told,
                });
            }
        }
        for (name, option, is_told) in SWITCHES {
            if let Some(flag) = other(name).and_then(Value::truth) {
                return Ok(Self::Item {
                    name: format!("{option} {}", Value::Bool(flag)),
                    option,
                    value: None,
                    on: on == flag,
                    is_told: *is_told,
                });
            }
        }
        if let Some(forwards) = &args.port_forward {
            let value = forward(forwards)?;
            return Ok(Self::Item {
                name: format!("port_forward {value}"),
                option: "forward-port",
                value: Some(value),
                on,
                is_told: true,
            });
        }
        Ok(args.target.clone().map_or(Self::Zone, Self::Target))
    }

    fn is_zone_level(&self) -> bool {
        !matches!(self, Self::Item { .. })
    }

    /// The program that brings it about there, if it is not so already.
    fn change(&self, args: &Args, place: Place, system: &dyn System) -> Result<Option<Vec<String>>, Error> {
        let mut argv = place.program();
        let zone = args.zone.as_deref();
        if !matches!(self, Self::Zone) {
            argv.extend(zone.map(|zone| format!("--zone={zone}")));
        }
        let ask = |options: &[String]| {
            let command = Command::new(argv.iter().chain(options).cloned());
            let output = system.run(&command)?;
            match output.code {
                0 | 1 => Ok((output.code == 0, output.stdout_text())),
                _ => Err(tool::failure(&command, &output)),
            }
        };
        let on = args.state == "enabled" || args.state == "present";
        let options: Vec<String> = match self {
            Self::Item {
                option, value, on, ..
            } => {
                let value = value
                    .as_ref()
                    .map(|value| format!("={value}"))
                    .unwrap_or_default();
                if ask(&[format!("--query-{option}{value}")])?.0 == *on {
                    return Ok(None);
                }
                let verb = match (*on, *option) {
                    // Another zone may have it.
                    (true, "interface") => "change",
                    (true, _) => "add",
                    (false, _) => "remove",
                };
                let timeout = (args.timeout > 0 && *on && place == Place::Running)
                    .then(|| format!("--timeout={}", args.timeout));
                [format!("--{verb}-{option}{value}")]
                    .into_iter()
                    .chain(timeout)
                    .collect()
            }
            Self::Target(target) => {
                let is_so = ask(&["--get-target".to_owned()])?.1.trim() == target;
                if is_so == on {
                    return Ok(None);
                }
                vec![format!("--set-target={}", if on { target } else { "default" })]
            }
            Self::Zone => {
                let zone = zone.unwrap_or_default();
                let zones = ask(&["--get-zones".to_owned()])?.1;
                if zones.split_whitespace().any(|known| known == zone) == on {
                    return Ok(None);
                }
                vec![format!("--{}-zone={zone}", if on { "new" } else { "delete" })]
            }
        };
        argv.extend(options);
        Ok(Some(argv))
    }

    fn told(&self, state: &str) -> Option<String> {
        match self {
            Self::Item {
                name, is_told: true, ..
            } => Some(format!("Changed {name} to {state}")),
            Self::Zone => Some(format!("Changed zone to {state}")),
            _ => None,
        }
    }
}

/// `port=80:proto=tcp:toport=8080:toaddr=`.
fn forward(forwards: &[Map]) -> Result<String, Error> {
    let [forward] = forwards else {
        return Err(Error::new("Only one port forward supported at a time"));
    };
    let text = |name: &str| forward.get(name).map(ToString::to_string).unwrap_or_default();
    Ok(format!(
        "port={}:proto={}:toport={}:toaddr={}",
        text("port"),
        text("proto"),
        text("toport"),
        text("toaddr")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, failure, run};
    use crate::system::CommandOutput;
    use crate::system::fake::Fake;

    /// Nothing is set, and every change succeeds.
    fn machine(running: bool) -> Fake {
        let fake = Fake::new();
        fake.program("/bin/firewall-cmd").answer_with(move |_, command| {
            let line = command.argv.join(" ");
            let (code, stdout) = match line.as_str() {
                "firewall-cmd --state" if !running => (NOT_RUNNING, ""),
                line if line.contains("--query-port=80/tcp") && !line.contains("--permanent") => (0, "yes\n"),
                line if line.contains("--query-service=none") => (101, ""),
                line if line.contains("--query-") => (1, "no\n"),
                line if line.contains("--get-target") => (0, "DROP\n"),
                line if line.contains("--get-zones") => (0, "public work\n"),
                _ => (0, ""),
            };
            Some(CommandOutput {
                code,
                stdout: stdout.into(),
                ..CommandOutput::default()
            })
        });
        fake
    }

    fn changes(fake: &Fake, arguments: &str) -> String {
        let before = fake.ran().len();
        let predicted = check::<Firewalld>(fake, arguments);
        let outcome = run::<Firewalld>(fake, arguments);
        assert!(!outcome.failed, "{arguments}: {outcome:?}");
        assert_eq!(predicted, outcome);
        let asks = ["--state", "--query-", "--get-"];
        let ran = fake.ran().split_off(before);
        let ran: Vec<String> = ran
            .into_iter()
            .filter(|line| !asks.iter().any(|ask| line.contains(ask)))
            .collect();
        ran.join("; ")
    }

    #[test]
    fn settings_and_where_they_go() {
        let fake = machine(true);
        for (arguments, expected) in [
            (
                r#"{"service":"http","state":"enabled"}"#,
                "firewall-cmd --add-service=http",
            ),
            (
                r#"{"service":"http","state":"enabled","permanent":true,"immediate":true,"timeout":9}"#,
                "firewall-cmd --add-service=http --timeout=9; firewall-cmd --permanent --add-service=http",
            ),
            (r#"{"port":"80/tcp","state":"enabled"}"#, ""),
            (
                r#"{"port":"80/tcp","zone":"work","state":"disabled"}"#,
                "firewall-cmd --zone=work --remove-port=80/tcp",
            ),
            (
                r#"{"port":"80/tcp","state":"enabled","permanent":true,"immediate":true}"#,
                "firewall-cmd --permanent --add-port=80/tcp",
            ),
            (
                r#"{"interface":"eth0","zone":"work","state":"enabled","permanent":true}"#,
                "firewall-cmd --permanent --zone=work --change-interface=eth0",
            ),
            (
                r#"{"masquerade":false,"state":"disabled"}"#,
                "firewall-cmd --add-masquerade",
            ),
            (r#"{"masquerade":true,"state":"disabled"}"#, ""),
            (
                r#"{"port_forward":[{"port":80,"proto":"tcp","toport":8080}],"state":"enabled"}"#,
                "firewall-cmd --add-forward-port=port=80:proto=tcp:toport=8080:toaddr=",
            ),
            (
                r#"{"zone":"work","target":"ACCEPT","state":"present","permanent":true}"#,
                "firewall-cmd --permanent --zone=work --set-target=ACCEPT",
            ),
            (
                r#"{"zone":"work","target":"DROP","state":"absent","permanent":true}"#,
                "firewall-cmd --permanent --zone=work --set-target=default",
            ),
            (r#"{"zone":"work","state":"present","permanent":true}"#, ""),
            (
                r#"{"zone":"new","state":"present","permanent":true}"#,
                "firewall-cmd --permanent --new-zone=new",
            ),
        ] {
            assert_eq!(changes(&fake, arguments), expected, "{arguments}");
        }
        let outcome = run::<Firewalld>(&fake, r#"{"service":"http","state":"enabled"}"#);
        assert_eq!(
            outcome.message(),
            Some("Non-permanent operation, Changed service http to enabled")
        );
    }

    #[test]
    fn without_the_daemon_only_files_change() {
        let fake = machine(false);
        assert_eq!(
            changes(
                &fake,
                r#"{"service":"http","state":"enabled","permanent":true,"immediate":true,"offline":true}"#
            ),
            "firewall-offline-cmd --add-service=http"
        );
        assert!(
            failure::<Firewalld>(&fake, r#"{"service":"http","state":"enabled"}"#)
                .contains("not currently running")
        );
    }

    #[test]
    fn refusals() {
        let fake = machine(true);
        for (arguments, part) in [
            (r#"{"port":"80","state":"enabled"}"#, "improper port format"),
            (
                r#"{"service":"http","state":"present"}"#,
                "only be used in zone level",
            ),
            (r#"{"state":"enabled"}"#, "nothing to do"),
            (
                r#"{"zone":"x","state":"present"}"#,
                "Zone operations must be permanent",
            ),
            (
                r#"{"interface":"eth0","state":"enabled"}"#,
                "required by 'interface': zone",
            ),
            (
                r#"{"service":"http","port":"80/tcp","state":"enabled"}"#,
                "mutually exclusive",
            ),
            (
                r#"{"service":"http","state":"enabled","offline":true}"#,
                "offline cannot be enabled",
            ),
            (
                r#"{"service":"none","state":"enabled"}"#,
                "failed with status 101",
            ),
            (
                r#"{"port_forward":[{"port":80}],"state":"enabled"}"#,
                "missing required arguments: proto, toport found in port_forward",
            ),
        ] {
            let message = failure::<Firewalld>(&fake, arguments);
            assert!(message.contains(part), "{arguments}: {message}");
        }
    }
}

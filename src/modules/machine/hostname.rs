//! `hostname`: the name of the machine, now and at boot. After ansible.builtin.hostname.
//!
//! With systemd as PID 1 hostnamed sets both; elsewhere the distribution's file is written, and Alpine's kernel is told at once, as
//! Ansible does. Deliberately no lines of /etc/hosts.

use serde::Deserialize;

use crate::modules::files::content::text_diff;
use crate::modules::files::steps::{Step, perform};
use crate::modules::machine::setup::{full_name, os_family};
use crate::modules::machine::systemd_service::is_booted;
use crate::modules::machine::text_file::TextFile;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec, tool};
use crate::system::foresight::{Effect, Foresight, Subject};
use crate::system::{Command, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct Hostname;

/// What hostnamed takes.
const LONGEST: usize = 64;
const KERNEL: &str = "/proc/sys/kernel/hostname";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strategy {
    Systemd,
    /// A file that holds the name alone.
    Whole(&'static str),
    /// The same, and the kernel is told.
    Alpine,
    /// A file with a line for the name: what the line begins with, and what quotes the name.
    Line(&'static str, &'static str, &'static str),
}

const FILE: Strategy = Strategy::Whole("/etc/hostname");
const REDHAT: Strategy = Strategy::Line("/etc/sysconfig/network", "HOSTNAME=", "");
const OPENRC: Strategy = Strategy::Line("/etc/conf.d/hostname", "hostname=", "\"");
const SLES: Strategy = Strategy::Whole("/etc/HOSTNAME");

/// What `use` can say, as far as it is for Linux.
const STRATEGIES: &[(&str, Strategy)] = &[
    ("alpine", Strategy::Alpine),
    ("debian", Strategy::Systemd),
    ("openrc", OPENRC),
    ("redhat", REDHAT),
    ("sles", SLES),
    ("systemd", Strategy::Systemd),
];

/// Families of distributions without systemd; others have the file of hostname(5).
const FAMILIES: &[(&str, Strategy)] = &[
    ("Alpine", Strategy::Alpine),
    ("Gentoo", OPENRC),
    ("RedHat", REDHAT),
    ("Suse", SLES),
];

#[derive(Debug, Deserialize)]
pub struct Args {
    name: String,
    r#use: Option<String>,
}

#[derive(Debug)]
pub struct Change {
    name: String,
    steps: Vec<Step>,
    calls: Vec<Command>,
    tell_kernel: bool,
    outcome: Outcome,
}

/// What the machine is called before.
struct Names {
    current: String,
    permanent: String,
}

impl Module for Hostname {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "hostname",
        summary: "set the machine's name",
        args: &[
            Arg::str("name").required().doc("the name"),
            Arg::str("use")
                .choices(&["alpine", "debian", "openrc", "redhat", "sles", "systemd"])
                .doc("how it is set; unless given, the target is looked at"),
        ],
        returns: &[
            Return::new("name", "str", "as it was given"),
            Return::new(
                "ansible_facts",
                "dict",
                "`ansible_hostname`, `ansible_nodename`, `ansible_fqdn` and `ansible_domain` as they are from now on",
            ),
        ],
        example: "- hostname:\n    name: web1.example.org\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let Args { name, r#use } = args;
        let strategy = strategy(r#use.as_deref(), system)?;
        let mut change = Change {
            name: name.clone(),
            steps: Vec::new(),
            calls: Vec::new(),
            tell_kernel: false,
            outcome: Outcome::ok(),
        };
        let before = match strategy {
            Strategy::Systemd => by_systemd(&name, &mut change, system)?,
            Strategy::Whole(file) => by_file(file, &name, &mut change, system)?,
            Strategy::Alpine => {
                let before = by_file("/etc/hostname", &name, &mut change, system)?;
                change.tell_kernel = before.permanent != name;
                before
            }
            Strategy::Line(file, key, quote) => by_line((file, key, quote), &name, &mut change, system)?,
        };
        let changed = before.current != name || before.permanent != name;
        let outcome = Outcome::changed(changed)
            .with("name", name.as_str())
            .with("ansible_facts", facts(&name, system));
        if !changed {
            return Ok(Plan::Same(outcome));
        }
        let old = if before.current == name {
            &before.permanent
        } else {
            &before.current
        };
        let line = |name: &str| format!("hostname = {name}\n");
        let predicted = outcome.clone().with_diff(text_diff(
            ("", line(old).as_bytes()),
            ("", line(&name).as_bytes()),
        ));
        change.outcome = outcome;
        Ok(Plan::Change { change, predicted })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        perform(&change.steps, system)?;
        if change.tell_kernel {
            system.overwrite(KERNEL.as_ref(), &mut change.name.as_bytes())?;
        }
        for call in &change.calls {
            ask(call, system)?;
        }
        Ok(change.outcome)
    }

    fn foresee(change: &Change) -> Foresight {
        if change.calls.is_empty() {
            return Foresight::Apply;
        }
        Foresight::Effects(vec![Effect::State {
            of: Subject::Hostname,
            name: String::new(),
            is: change.name.as_str().into(),
        }])
    }
}

fn strategy(wanted: Option<&str>, system: &dyn System) -> Result<Strategy, Error> {
    let (table, name) = match wanted {
        Some(name) => (STRATEGIES, name.to_owned()),
        None if is_booted(system)? => return Ok(Strategy::Systemd),
        None => (FAMILIES, os_family(system)),
    };
    Ok(table
        .iter()
        .find(|(known, _)| *known == name)
        .map_or(FILE, |(_, strategy)| *strategy))
}

fn by_systemd(name: &str, change: &mut Change, system: &dyn System) -> Result<Names, Error> {
    tool::require(system, "hostnamectl", "set the machine's name")?;
    let call = |words: &[&str]| Command::new(["hostnamectl"].iter().chain(words).copied());
    let asked = |kind: &str| match system.foreseen(Subject::Hostname, "") {
        Some(name) => Ok(name.to_string()),
        None => ask(&call(&[kind, "status"]), system).map(|name| name.trim().to_owned()),
    };
    let names = Names {
        permanent: asked("--static")?,
        current: asked("--transient")?,
    };
    if names.permanent != name {
        change
            .calls
            .push(call(&["--pretty", "--static", "set-hostname", name]));
    }
    if names.current != name {
        change.calls.push(call(&["--transient", "set-hostname", name]));
    }
    if name.len() > LONGEST && !change.calls.is_empty() {
        return Err(Error::new(format!(
            "name cannot be longer than {LONGEST} characters on systemd servers, try a shorter name"
        )));
    }
    Ok(names)
}

fn by_file(file: &str, name: &str, change: &mut Change, system: &dyn System) -> Result<Names, Error> {
    let file = TextFile::open(file, system)?;
    let old = file.before.trim().to_owned();
    if old != name {
        change.steps.push(file.write(format!("{name}\n"), false));
    }
    Ok(Names {
        current: old.clone(),
        permanent: old,
    })
}

fn by_line(
    (file, key, quote): (&str, &str, &str),
    name: &str,
    change: &mut Change,
    system: &dyn System,
) -> Result<Names, Error> {
    let file = TextFile::open(file, system)?;
    let value = |line: &str| Some(line.trim().strip_prefix(key)?.trim_matches('"').trim().to_owned());
    let old = file.before.lines().find_map(value).unwrap_or_default();
    if old != name {
        let wanted = format!("{key}{quote}{name}{quote}\n");
        let has = |line: &str| line.trim_start().starts_with(key);
        let mut after: String = file
            .before
            .split_inclusive('\n')
            .map(|line| if has(line) { wanted.as_str() } else { line })
            .collect();
        if !file.before.lines().any(has) {
            if !after.is_empty() && !after.ends_with('\n') {
                after.push('\n');
            }
            after.push_str(&wanted);
        }
        change.steps.push(file.write(after, false));
    }
    Ok(Names {
        current: old.clone(),
        permanent: old,
    })
}

/// What a program answers, or that it failed in the words that users know.
fn ask(command: &Command, system: &dyn System) -> Result<String, Error> {
    let output = system.run(command)?;
    let (out, err) = (output.stdout_text(), output.stderr_text());
    if output.success() {
        return Ok(out);
    }
    Err(Error {
        message: format!("Command failed rc={}, out={out}, err={err}", output.code),
        ..tool::failure(command, &output)
    })
}

fn facts(name: &str, system: &dyn System) -> Value {
    let fqdn = full_name(name, system);
    let domain = fqdn.split_once('.').map_or("", |(_, domain)| domain).to_owned();
    let short = name.split('.').next().unwrap_or(name);
    Value::Map(Map::from_iter(
        [
            ("ansible_hostname", short),
            ("ansible_nodename", name),
            ("ansible_fqdn", &fqdn),
            ("ansible_domain", &domain),
        ]
        .map(|(key, value)| (key.to_owned(), Value::from(value))),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, check_agrees, failure, run};
    use crate::system::fake::Fake;

    fn systemd() -> Fake {
        let fake = Fake::new();
        fake.directory("/run/systemd/system")
            .program("/usr/bin/hostnamectl");
        fake.answer("hostnamectl --static status", 0, "old\n")
            .answer("hostnamectl --transient status", 0, "old\n")
            .answer(
                "hostnamectl --pretty --static set-hostname new.example.org",
                0,
                "",
            )
            .answer("hostnamectl --transient set-hostname new.example.org", 0, "");
        fake
    }

    #[test]
    fn hostnamed_is_told_what_differs() {
        let fake = systemd();
        assert!(check::<Hostname>(&fake, r#"{"name":"new.example.org"}"#).changed);
        let outcome = run::<Hostname>(&fake, r#"{"name":"new.example.org"}"#);
        assert_eq!(outcome.diff[0].before, "hostname = old\n");
        assert_eq!(
            outcome.values["ansible_facts"].to_string(),
            "{'ansible_hostname': 'new', 'ansible_nodename': 'new.example.org', 'ansible_fqdn': 'new.example.org', 'ansible_domain': 'example.org'}"
        );
        assert_eq!(
            fake.ran()
                .iter()
                .filter(|line| line.contains("set-hostname"))
                .count(),
            2
        );
        assert!(!run::<Hostname>(&fake, r#"{"name":"old"}"#).changed);
        let long = "x".repeat(65);
        assert!(failure::<Hostname>(&fake, &format!(r#"{{"name":"{long}"}}"#)).contains("64 characters"));
    }

    #[test]
    fn files_without_systemd() {
        let fake = Fake::new();
        fake.file("/etc/os-release", "ID=debian\n")
            .file("/etc/hostname", "old\n");
        check_agrees::<Hostname>(&fake, r#"{"name":"new"}"#);
        assert_eq!(fake.text("/etc/hostname"), "new\n");
        fake.file("/etc/sysconfig/network", "A=1\nHOSTNAME=old\nB=2\n");
        check_agrees::<Hostname>(&fake, r#"{"name":"new","use":"redhat"}"#);
        assert_eq!(fake.text("/etc/sysconfig/network"), "A=1\nHOSTNAME=new\nB=2\n");
        fake.file("/etc/conf.d/hostname", "# name");
        check_agrees::<Hostname>(&fake, r#"{"name":"new","use":"openrc"}"#);
        assert_eq!(fake.text("/etc/conf.d/hostname"), "# name\nhostname=\"new\"\n");
    }

    #[test]
    fn alpines_kernel_knows_at_once() {
        let fake = Fake::new();
        fake.file("/etc/os-release", "ID=alpine\n")
            .file("/etc/hostname", "old\n")
            .file(KERNEL, "old\n");
        check_agrees::<Hostname>(&fake, r#"{"name":"new"}"#);
        assert_eq!(fake.text(KERNEL), "new");
    }
}

//! `seboolean`: switches of the `SELinux` policy. After ansible.posix.seboolean, without its python bindings.
//!
//! The running value is the kernel's own (`/sys/fs/selinux`). What outlasts a boot is known where the local policy says
//! it; a boolean that it does not name is set once, even if the policy's default were the same.

use serde::Deserialize;

use crate::modules::tool::Calls;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec, tool};
use crate::system::foresight::Foresight;
use crate::system::{Follow, System};
use crate::wire::message::Outcome;

const BOOLEANS: &str = "/sys/fs/selinux/booleans";

pub struct Seboolean;

#[derive(Debug, Deserialize)]
pub struct Args {
    name: String,
    state: bool,
    persistent: bool,
    ignore_selinux_state: bool,
}

impl Module for Seboolean {
    type Args = Args;
    type Change = Calls;
    const SPEC: Spec = Spec {
        name: "seboolean",
        summary: "switch booleans of the SELinux policy",
        args: &[
            Arg::str("name").required().doc("the boolean"),
            Arg::bool("state").required().doc("its value"),
            Arg::bool("persistent")
                .default("no")
                .doc("also after the next boot"),
            Arg::bool("ignore_selinux_state")
                .default("no")
                .doc("set it in the policy where SELinux is disabled, in a chroot for instance"),
        ],
        returns: &[
            Return::new("name", "str", "the boolean"),
            Return::new("state", "bool", "its value"),
            Return::new("persistent", "bool", "as given"),
        ],
        example: "- seboolean: {name: httpd_can_network_connect, state: true, persistent: true}\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Calls>, Error> {
        let outcome = Outcome::ok()
            .with("name", args.name.as_str())
            .with("state", args.state)
            .with("persistent", args.persistent);
        let mut calls = Calls::new(outcome);
        let enabled = system.metadata(BOOLEANS.as_ref(), Follow::Yes)?.is_some();
        if !enabled && !args.ignore_selinux_state {
            return Err(Error::new("SELinux is disabled on this host."));
        }
        let word = if args.state { "on" } else { "off" };
        let stored = if args.persistent {
            stored(&args.name, system)?
        } else {
            None
        };
        if !enabled {
            if args.persistent && stored != Some(args.state) {
                tool::require(system, "semanage", "set booleans where SELinux is disabled")?;
                calls.push([
                    "semanage",
                    "boolean",
                    "--modify",
                    &format!("--{word}"),
                    &args.name,
                ]);
            }
            return Ok(calls.plan());
        }
        let running = running(&args.name, system)?;
        if running != args.state || (args.persistent && stored != Some(args.state)) {
            tool::require(system, "setsebool", "set booleans of SELinux")?;
            let mut argv = vec!["setsebool"];
            if args.persistent {
                argv.push("-P");
            }
            argv.extend([args.name.as_str(), word]);
            calls.push(argv);
        }
        Ok(calls.plan())
    }

    fn apply(change: Calls, system: &dyn System) -> Result<Outcome, Error> {
        change.apply(system)
    }

    fn foresee(change: &Calls) -> Foresight {
        change.foresee()
    }
}

/// `CURRENT PENDING`, each 0 or 1.
fn running(name: &str, system: &dyn System) -> Result<bool, Error> {
    let path = format!("{BOOLEANS}/{name}");
    let known = !name.contains('/') && system.metadata(path.as_ref(), Follow::Yes)?.is_some();
    if !known {
        return Err(Error::new(format!("SELinux boolean {name} does not exist.")));
    }
    Ok(system.read(path.as_ref())?.starts_with(b"1"))
}

/// What the local policy says, if it says anything.
fn stored(name: &str, system: &dyn System) -> Result<Option<bool>, Error> {
    let policy = super::selinux::Configuration::read(super::selinux::CONFIGURATION, system)?
        .and_then(|configuration| configuration.policy)
        .unwrap_or_else(|| "targeted".to_owned());
    for path in [
        format!("/var/lib/selinux/{policy}/active/booleans.local"),
        format!("/etc/selinux/{policy}/modules/active/booleans.local"),
    ] {
        if system.metadata(path.as_ref(), Follow::Yes)?.is_none() {
            continue;
        }
        let text = system.read(path.as_ref())?;
        let text = String::from_utf8_lossy(&text);
        let value = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .find(|(key, _)| key.trim() == name);
        if let Some((_, value)) = value {
            return Ok(Some(["1", "on", "true"].contains(&value.trim())));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check_agrees, failure, run};
    use crate::system::CommandOutput;
    use crate::system::fake::Fake;

    /// `setsebool` writes what the kernel and the policy's store would have.
    fn machine() -> Fake {
        let fake = Fake::new();
        fake.program("/sbin/setsebool")
            .file("/sys/fs/selinux/booleans/httpd", "0 0")
            .file("/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=strict\n")
            .answer_with(|fake, command| {
                let [.., name, word] = command.argv.as_slice() else {
                    return None;
                };
                let bit = if word == "on" { "1" } else { "0" };
                fake.file(&format!("{BOOLEANS}/{name}"), format!("{bit} {bit}"));
                if command.argv[1] == "-P" {
                    fake.file(
                        "/var/lib/selinux/strict/active/booleans.local",
                        format!("{name}={bit}\n"),
                    );
                }
                Some(CommandOutput::default())
            });
        fake
    }

    fn runs(fake: &Fake, arguments: &str, expected: &[&str]) {
        assert!(run::<Seboolean>(fake, arguments).changed);
        assert!(
            !run::<Seboolean>(fake, arguments).changed,
            "a second run has nothing to do"
        );
        assert_eq!(fake.ran(), expected);
    }

    #[test]
    fn for_now_and_for_good() {
        let fake = machine();
        runs(&fake, r#"{"name":"httpd","state":true}"#, &["setsebool httpd on"]);
        check_agrees::<Seboolean>(&fake, r#"{"name":"httpd","state":true,"persistent":true}"#);
        assert_eq!(fake.ran().last().unwrap(), "setsebool -P httpd on");
    }

    #[test]
    fn without_selinux() {
        let fake = Fake::new();
        let message = failure::<Seboolean>(&fake, r#"{"name":"httpd","state":true}"#);
        assert_eq!(message, "SELinux is disabled on this host.");
        fake.program("/sbin/semanage")
            .answer("semanage boolean --modify --on httpd", 0, "");
        let ignoring = r#"{"name":"httpd","state":true,"persistent":true,"ignore_selinux_state":true}"#;
        assert!(run::<Seboolean>(&fake, ignoring).changed);
        let unknown = failure::<Seboolean>(&machine(), r#"{"name":"../x","state":true}"#);
        assert_eq!(unknown, "SELinux boolean ../x does not exist.");
    }
}

//! `selinux`: the mode of `SELinux`, now and after the next boot. After ansible.posix.selinux, without its python bindings.

use serde::Deserialize;

use crate::modules::files::content::{Writing, text_diff};
use crate::modules::files::steps::{Source, Step, perform};
use crate::modules::{Arg, Error, Module, Plan, Return, Spec, tool};
use crate::system::foresight::Foresight;
use crate::system::{Command, Follow, System};
use crate::wire::message::Outcome;

pub const CONFIGURATION: &str = "/etc/selinux/config";
/// `1` where the kernel refuses what the policy does not allow, `0` where it only logs; missing where `SELinux` is off.
const ENFORCE: &str = "/sys/fs/selinux/enforce";

pub struct Selinux;

#[derive(Debug, Deserialize)]
pub struct Args {
    state: String,
    policy: Option<String>,
    configfile: String,
    update_kernel_param: bool,
}

#[derive(Debug)]
pub struct Change {
    steps: Vec<Step>,
    commands: Vec<Command>,
    outcome: Outcome,
}

/// What the file says.
pub struct Configuration {
    text: String,
    pub state: Option<String>,
    pub policy: Option<String>,
}

impl Configuration {
    /// None if there is no such file.
    pub fn read(path: &str, system: &dyn System) -> Result<Option<Self>, Error> {
        if system.metadata(path.as_ref(), Follow::Yes)?.is_none() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&system.read(path.as_ref())?).into_owned();
        let value = |key: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.map(|value| value.trim().to_owned())
        };
        Ok(Some(Self {
            state: value("SELINUX"),
            policy: value("SELINUXTYPE"),
            text,
        }))
    }

    /// The text with these values, lines that are missing added.
    fn with(&self, values: [(&str, &str); 2]) -> String {
        let mut lines: Vec<String> = self.text.lines().map(str::to_owned).collect();
        for (key, value) in values {
            let wanted = format!("{key}={value}");
            let is_its = |line: &String| line.strip_prefix(key).is_some_and(|rest| rest.starts_with('='));
            if !lines.iter().any(is_its) {
                lines.push(wanted.clone());
            }
            for line in lines.iter_mut().filter(|line| is_its(line)) {
                line.clone_from(&wanted);
            }
        }
        lines.join("\n") + "\n"
    }
}

impl Module for Selinux {
    type Args = Args;
    type Change = Change;
    const SPEC: Spec = Spec {
        name: "selinux",
        summary: "set the mode and the policy of SELinux",
        args: &[
            Arg::str("state")
                .required()
                .choices(&["enforcing", "permissive", "disabled"])
                .doc("the mode; what the running kernel cannot change takes a reboot"),
            Arg::str("policy").doc("the policy's name; needed unless `disabled`"),
            Arg::str("configfile")
                .aliases(&["conf", "file"])
                .default(CONFIGURATION)
                .doc("its configuration"),
            Arg::bool("update_kernel_param")
                .default("no")
                .doc("also in the kernel's command line, by grubby"),
        ],
        returns: &[
            Return::new("msg", "str", "what has changed"),
            Return::new("reboot_required", "bool", "whether it takes a reboot"),
            Return::new("state", "str", "the mode"),
            Return::new("policy", "str", "the policy"),
            Return::new("configfile", "str", "the configuration"),
        ],
        example: "- selinux: {policy: targeted, state: enforcing}\n- selinux: {state: disabled}\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let path = args.configfile.as_str();
        let configured = Configuration::read(path, system)?.ok_or_else(|| {
            Error::new(format!("Unable to find file {path}")).with(
                "details",
                "the target has no SELinux: install the package with its policy first",
            )
        })?;
        let now = configured.policy.clone().unwrap_or_default();
        let policy = match (&args.policy, args.state.as_str()) {
            (Some(policy), _) => policy.clone(),
            (None, "disabled") => now.clone(),
            (None, _) => return Err(Error::new("Policy is required if state is not 'disabled'")),
        };
        let mut decision = Decision::default();
        if policy != now {
            let folder = format!("/etc/selinux/{policy}/policy");
            if system.metadata(folder.as_ref(), Follow::Yes)?.is_none() {
                return Err(Error::new(format!(
                    "Policy {policy} does not exist in /etc/selinux/"
                )));
            }
            decision.messages.push(format!(
                "SELinux policy configuration in '{path}' changed from '{now}' to '{policy}'"
            ));
        }
        decision.mode(&args.state, system)?;
        let state = configured.state.clone().unwrap_or_default();
        if args.state != state {
            decision.messages.push(format!(
                "Config SELinux state changed from '{state}' to '{}'",
                args.state
            ));
        }
        if args.update_kernel_param {
            decision.kernel(args.state != "disabled", system)?;
        }
        let mut outcome = Outcome::changed(!decision.messages.is_empty() || !decision.commands.is_empty())
            .with("msg", decision.messages.join(", "))
            .with("configfile", path)
            .with("policy", policy.as_str())
            .with("state", args.state.as_str())
            .with("reboot_required", decision.reboot);
        if let Some(warning) = decision.warning {
            outcome = outcome.with("warnings", vec![warning]);
        }
        let mut steps = Vec::new();
        if policy != now || args.state != state {
            let text = configured.with([("SELINUXTYPE", &policy), ("SELINUX", &args.state)]);
            outcome = outcome.with_diff(text_diff(
                (path, configured.text.as_bytes()),
                (path, text.as_bytes()),
            ));
            let writing = Writing {
                path: system.canonicalize(path.as_ref())?,
                ..Writing::default()
            };
            steps.push(Step::Write(writing, Source::Bytes(text.into_bytes())));
        }
        if !outcome.changed {
            return Ok(Plan::Same(outcome));
        }
        let predicted = outcome.clone();
        let change = Change {
            steps,
            commands: decision.commands,
            outcome,
        };
        Ok(Plan::Change { change, predicted })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        perform(&change.steps, system)?;
        for command in &change.commands {
            tool::run(system, command)?;
        }
        Ok(change.outcome)
    }

    fn foresee(change: &Change) -> Foresight {
        if change.commands.is_empty() {
            Foresight::Apply
        } else {
            Foresight::Effects(Vec::new())
        }
    }
}

/// What is to be run and to be told.
#[derive(Default)]
struct Decision {
    messages: Vec<String>,
    commands: Vec<Command>,
    warning: Option<String>,
    reboot: bool,
}

impl Decision {
    /// The running kernel's mode: enforcing and permissive can be switched, on and off cannot.
    fn mode(&mut self, wanted: &str, system: &dyn System) -> Result<(), Error> {
        let running = match system.metadata(ENFORCE.as_ref(), Follow::Yes)? {
            None => "disabled",
            Some(_) if system.read(ENFORCE.as_ref())?.starts_with(b"1") => "enforcing",
            Some(_) => "permissive",
        };
        let set = |state: &str| {
            tool::require(system, "setenforce", "switch SELinux's mode")?;
            Ok::<_, Error>(Command::new([
                "setenforce",
                if state == "enforcing" { "1" } else { "0" },
            ]))
        };
        match (running, wanted) {
            _ if running == wanted => {}
            ("disabled", _) => {
                self.warning = Some(format!("Reboot is required to set SELinux state to '{wanted}'"));
                self.reboot = true;
            }
            ("enforcing", "disabled") => {
                self.commands.push(set("permissive")?);
                self.warning = Some(format!(
                    "SELinux state temporarily changed from '{running}' to 'permissive'. State change will take \
                     effect next reboot."
                ));
                self.reboot = true;
            }
            (_, "disabled") => {
                self.warning = Some("SELinux state change will take effect next reboot".to_owned());
                self.reboot = true;
            }
            _ => {
                self.commands.push(set(wanted)?);
                self.messages
                    .push(format!("SELinux state changed from '{running}' to '{wanted}'"));
            }
        }
        Ok(())
    }

    /// `selinux=0` in the command lines of all kernels, or of none.
    fn kernel(&mut self, enabled: bool, system: &dyn System) -> Result<(), Error> {
        if system.which("grubby").is_none() {
            return Err(Error::new("'grubby' command not found on host").with(
                "details",
                "the kernel's command line is changed by grubby; install the package that has it",
            ));
        }
        let text = tool::text_of(system, &Command::new(["grubby", "--info=ALL"]))?;
        let kernels: Vec<bool> = text
            .lines()
            .filter_map(|line| line.strip_prefix("args=\"")?.strip_suffix('"'))
            .map(|args| !args.split(' ').any(|word| word == "selinux=0"))
            .collect();
        let all = |flag: bool| !kernels.is_empty() && kernels.iter().all(|kernel| *kernel == flag);
        if all(enabled) {
            return Ok(());
        }
        let word = |enabled: bool| if enabled { "enabled" } else { "disabled" };
        let before = if all(!enabled) {
            word(!enabled)
        } else {
            "<inconsistent>"
        };
        let option = if enabled { "--remove-args" } else { "--args" };
        self.commands.push(Command::new([
            "grubby",
            "--update-kernel=ALL",
            option,
            "selinux=0",
        ]));
        self.messages.push(format!(
            "Kernel SELinux state changed from '{before}' to '{}'",
            word(enabled)
        ));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check_agrees, failure, run};
    use crate::system::CommandOutput;
    use crate::system::fake::Fake;

    fn machine(enforce: Option<&str>) -> Fake {
        let fake = Fake::new();
        fake.program("/sbin/setenforce")
            .directory("/etc/selinux/targeted/policy")
            .file(
                CONFIGURATION,
                "# mode\nSELINUX=permissive\nSELINUXTYPE=targeted\n",
            )
            .answer_with(|fake, command| {
                fake.file(ENFORCE, command.argv[1].as_str());
                (command.argv[0] == "setenforce").then(CommandOutput::default)
            });
        if let Some(enforce) = enforce {
            fake.file(ENFORCE, enforce);
        }
        fake
    }

    #[test]
    fn switches_now_and_for_the_next_boot() {
        let fake = machine(Some("0"));
        let outcome = check_agrees::<Selinux>(&fake, r#"{"policy":"targeted","state":"enforcing"}"#);
        assert_eq!(fake.ran(), ["setenforce 1"]);
        assert_eq!(
            fake.text(CONFIGURATION),
            "# mode\nSELINUX=enforcing\nSELINUXTYPE=targeted\n"
        );
        assert_eq!(outcome.values["reboot_required"].to_string(), "False");
        let disabled = run::<Selinux>(&fake, r#"{"state":"disabled"}"#);
        assert_eq!(disabled.values["reboot_required"].to_string(), "True");
        assert_eq!(fake.text(ENFORCE), "0");
    }

    #[test]
    fn off_stays_off_until_a_reboot() {
        let fake = machine(None);
        let outcome = check_agrees::<Selinux>(&fake, r#"{"policy":"targeted","state":"enforcing"}"#);
        assert_eq!(outcome.values["reboot_required"].to_string(), "True");
        assert!(fake.ran().is_empty());
    }

    #[test]
    fn the_command_line_of_the_kernel() {
        let fake = machine(Some("0"));
        let info = "index=0\nargs=\"ro selinux=0\"\nargs=\"ro\"\n";
        fake.program("/sbin/grubby")
            .answer("grubby --info=ALL", 0, info)
            .answer("grubby --update-kernel=ALL --remove-args selinux=0", 0, "");
        let outcome = run::<Selinux>(
            &fake,
            r#"{"policy":"targeted","state":"permissive","update_kernel_param":true}"#,
        );
        assert_eq!(
            outcome.message(),
            Some("Kernel SELinux state changed from '<inconsistent>' to 'enabled'")
        );
    }

    #[test]
    fn refusals() {
        let fake = machine(None);
        for (arguments, message) in [
            (
                r#"{"state":"enforcing"}"#,
                "Policy is required if state is not 'disabled'",
            ),
            (
                r#"{"state":"enforcing","policy":"x"}"#,
                "Policy x does not exist in /etc/selinux/",
            ),
            (r#"{"state":"disabled","conf":"/no"}"#, "Unable to find file /no"),
            (
                r#"{"state":"disabled","update_kernel_param":true}"#,
                "'grubby' command not found on host",
            ),
        ] {
            assert_eq!(failure::<Selinux>(&fake, arguments), message);
        }
    }
}

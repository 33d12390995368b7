//! `sysctl`: parameters of the running kernel, and the file that sets them at boot. After ansible.posix.sysctl.
//!
//! Parameters are read and set below `/proc/sys`, as sysctl(8) does, so that the program need not be there; its messages are kept.
//! A reload applies the one file, with its patterns and its `-` for what may fail, as `sysctl -p FILE` does.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::modules::files::expand;
use crate::modules::files::steps::{Step, perform};
use crate::modules::machine::text_file::TextFile;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec};
use crate::system::{Follow, System};
use crate::wire::message::Outcome;

pub struct Sysctl;

const PARAMETERS: &str = "/proc/sys";

#[derive(Debug, Deserialize)]
pub struct Args {
    name: String,
    value: Option<String>,
    state: String,
    ignoreerrors: bool,
    reload: bool,
    sysctl_set: bool,
    sysctl_file: String,
}

/// In this order.
#[derive(Debug)]
pub struct Change {
    set: Option<Setting>,
    file: Option<Step>,
    reload: Vec<Setting>,
    /// Parameters that the kernel does not have are passed over.
    lenient: bool,
    outcome: Outcome,
}

/// One parameter's value.
#[derive(Debug)]
struct Setting {
    key: String,
    path: PathBuf,
    value: String,
    /// Written with a `-` in front: failing is no failure.
    optional: bool,
}

impl Module for Sysctl {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "sysctl",
        summary: "keep a kernel parameter, now and at boot",
        args: &[
            Arg::str("name")
                .aliases(&["key"])
                .required()
                .doc("the parameter: `net.ipv4.ip_forward`"),
            Arg::str("value")
                .aliases(&["val"])
                .doc("its value; yes and no are 1 and 0"),
            Arg::str("state")
                .choices(&["present", "absent"])
                .default("present")
                .doc("whether the file has it"),
            Arg::bool("ignoreerrors")
                .default("no")
                .doc("pass over parameters that the kernel does not have"),
            Arg::bool("reload")
                .default("yes")
                .doc("apply the whole file if anything was changed"),
            Arg::bool("sysctl_set")
                .default("no")
                .doc("set the parameter itself too, where the kernel has another value"),
            Arg::path("sysctl_file")
                .default("/etc/sysctl.conf")
                .doc("the file"),
        ],
        returns: &[
            Return::new("name", "str", "the parameter"),
            Return::new("value", "str", "its value, as the file has it").when("it is to be present"),
        ],
        example: "- sysctl:\n    name: net.ipv4.ip_forward\n    value: 1\n    sysctl_file: /etc/sysctl.d/50-router.conf\n    sysctl_set: true\n",
        free_form: None,
        rules: &[Rule::If("state", "present", &["value"])],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let name = args.name.trim();
        let value = wanted(args.value.as_deref().unwrap_or_default());
        let present = args.state == "present";
        if name.is_empty() {
            return Err(Error::new("name cannot be blank"));
        }
        if present && args.value.as_deref() == Some("") {
            return Err(Error::new("value cannot be blank"));
        }
        let file = TextFile::open(&args.sysctl_file, system)?;
        let in_file = assignments(&file.before).filter(|(key, _)| *key == name).last();
        let rewrite = match in_file {
            None => present,
            Some((_, old)) => !present || old != value,
        };
        let differs = present && (args.reload || args.sysctl_set) && !same(&current(name, system), &value);
        let mut outcome = Outcome::ok().with("name", name);
        if present {
            outcome = outcome.with("value", value.as_str());
        }
        if !rewrite && !differs {
            return Ok(Plan::Same(outcome));
        }
        let after = edited(&file.before, name, present.then_some(value.as_str()));
        let reload = if args.reload {
            settings(if rewrite { &after } else { &file.before }, system)?
        } else {
            Vec::new()
        };
        let set = (args.sysctl_set && differs).then(|| Setting {
            key: name.to_owned(),
            path: path_of(name),
            value,
            optional: false,
        });
        outcome.changed = true;
        let mut predicted = outcome.clone();
        if rewrite {
            predicted = predicted.with_diff(file.diff(&after));
        }
        let change = Change {
            set,
            file: rewrite.then(|| file.write(after, false)),
            reload,
            lenient: args.ignoreerrors,
            outcome,
        };
        Ok(Plan::Change { change, predicted })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        if let Some(setting) = &change.set {
            setting
                .put(change.lenient, system)
                .map_err(|why| Error::new(format!("setting {} failed: {why}", setting.key)))?;
        }
        perform(change.file.as_slice(), system)?;
        // All that can be set is set; what cannot is told at the end.
        let failures: Vec<String> = change
            .reload
            .iter()
            .filter_map(|setting| {
                setting
                    .put(change.lenient, system)
                    .err()
                    .filter(|_| !setting.optional)
            })
            .collect();
        if failures.is_empty() {
            return Ok(change.outcome);
        }
        Err(Error::new(format!(
            "Failed to reload sysctl: {}",
            failures.join("\n")
        )))
    }
}

impl Setting {
    /// Sets it, or says what sysctl(8) says.
    fn put(&self, lenient: bool, system: &dyn System) -> Result<(), String> {
        let Self { key, path, value, .. } = self;
        if !matches!(system.metadata(path, Follow::Yes), Ok(Some(_))) {
            let missing = format!(
                "sysctl: cannot stat {}: No such file or directory",
                path.display()
            );
            return if lenient { Ok(()) } else { Err(missing) };
        }
        system
            .overwrite(path, &mut format!("{value}\n").as_bytes())
            .map_err(|error| match error.source.kind() {
                io::ErrorKind::PermissionDenied => format!("sysctl: permission denied on key \"{key}\""),
                io::ErrorKind::InvalidInput => format!("sysctl: setting key \"{key}\": Invalid argument"),
                io::ErrorKind::ReadOnlyFilesystem => {
                    format!("sysctl: setting key \"{key}\": Read-only file system")
                }
                _ => format!("sysctl: setting key \"{key}\": {error}"),
            })
    }
}

/// A value as files have it.
fn wanted(value: &str) -> String {
    const YES: &[&str] = &["y", "yes", "on", "1", "true", "t", "1.0"];
    const NO: &[&str] = &["n", "no", "off", "0", "false", "f", "0.0"];
    let word = value.to_lowercase();
    if YES.contains(&word.as_str()) {
        "1".to_owned()
    } else if NO.contains(&word.as_str()) {
        "0".to_owned()
    } else {
        value.trim().to_owned()
    }
}

/// Values are the same word for word: the kernel puts tabs between them.
fn same(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}

/// The kernel's value; empty where there is none or it does not tell.
fn current(name: &str, system: &dyn System) -> String {
    let bytes = system.read(&path_of(name)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The first separator decides: after a dot, slashes stand for dots in names (`net.ipv4.conf.eth0/5.forwarding`).
fn path_of(name: &str) -> PathBuf {
    let dotted = name
        .find(['.', '/'])
        .is_some_and(|at| name[at..].starts_with('.'));
    let swapped: String = name
        .chars()
        .map(|c| match c {
            '.' if dotted => '/',
            '/' if dotted => '.',
            c => c,
        })
        .collect();
    Path::new(PARAMETERS).join(swapped)
}

/// `KEY=VALUE` of a line, neither comment nor anything else.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    (!key.starts_with(['#', ';'])).then(|| (key, value.trim()))
}

fn assignments(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(assignment)
}

/// The text with the parameter as it shall be; all assignments in one spelling, each key once.
fn edited(before: &str, name: &str, value: Option<&str>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    let mut after = String::new();
    for line in before.lines() {
        let line = match assignment(line) {
            None => line.trim().to_owned(),
            Some((key, _)) if seen.contains(&key) => continue,
            Some((key, old)) => {
                seen.push(key);
                match value {
                    _ if key != name => format!("{key}={old}"),
                    Some(value) => format!("{key}={value}"),
                    None => continue,
                }
            }
        };
        after.push_str(&line);
        after.push('\n');
    }
    if let Some(value) = value.filter(|_| !seen.contains(&name)) {
        after.extend([name, "=", value, "\n"]);
    }
    after
}

/// What a file sets, patterns expanded.
fn settings(text: &str, system: &dyn System) -> Result<Vec<Setting>, Error> {
    let mut settings = Vec::new();
    for (key, value) in assignments(text) {
        let (key, optional) = match key.strip_prefix('-') {
            Some(key) => (key.trim(), true),
            None => (key, false),
        };
        let path = path_of(key);
        let paths = if key.contains(['*', '?', '[']) {
            expand::existing(&path, system)?
        } else {
            vec![path]
        };
        settings.extend(paths.into_iter().map(|path| Setting {
            key: key.to_owned(),
            path,
            value: value.to_owned(),
            optional,
        }));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check_agrees, failure, run};
    use crate::system::fake::Fake;

    const FILE: &str = "# kernel\nvm.swappiness = 60\n\n vm.swappiness=10\nkernel.panic =3\n";

    fn fake() -> Fake {
        let fake = Fake::new();
        fake.file("/etc/sysctl.conf", FILE)
            .file("/proc/sys/vm/swappiness", "60\n")
            .file("/proc/sys/kernel/panic", "3\n")
            .file("/proc/sys/net/ipv4/conf/all/rp_filter", "0\n")
            .file("/proc/sys/net/ipv4/conf/eth0.5/rp_filter", "0\n")
            .file("/proc/sys/net/ipv4/tcp_rmem", "4096\t87380\t6291456\n");
        fake
    }

    #[test]
    fn values_go_to_the_file_and_into_the_kernel() {
        let fake = fake();
        check_agrees::<Sysctl>(&fake, r#"{"name":"vm.swappiness","value":5}"#);
        assert_eq!(
            fake.text("/etc/sysctl.conf"),
            "# kernel\nvm.swappiness=5\n\nkernel.panic=3\n"
        );
        assert_eq!(fake.text("/proc/sys/vm/swappiness"), "5\n");
        let outcome = run::<Sysctl>(
            &fake,
            r#"{"name":"net.ipv4.tcp_rmem","value":" 4096 87380 6291456 ","sysctl_file":"/etc/rmem.conf","sysctl_set":true}"#,
        );
        assert!(outcome.changed, "the file is new");
        assert_eq!(
            fake.text("/etc/rmem.conf"),
            "net.ipv4.tcp_rmem=4096 87380 6291456\n"
        );
        check_agrees::<Sysctl>(&fake, r#"{"name":"kernel.panic","state":"absent"}"#);
        assert_eq!(fake.text("/etc/sysctl.conf"), "# kernel\nvm.swappiness=5\n\n");
        assert!(!run::<Sysctl>(&fake, r#"{"name":"kernel.panic","state":"absent"}"#).changed);
    }

    #[test]
    fn what_is_in_the_file_and_not_in_the_kernel_is_applied() {
        let fake = fake();
        fake.file("/etc/sysctl.conf", "kernel.panic=7\n");
        check_agrees::<Sysctl>(&fake, r#"{"name":"kernel.panic","value":"7"}"#);
        assert_eq!(fake.text("/proc/sys/kernel/panic"), "7\n");
        let later = r#"{"name":"kernel.panic","value":"9","reload":false}"#;
        check_agrees::<Sysctl>(&fake, later);
        assert_eq!(fake.text("/proc/sys/kernel/panic"), "7\n");
        check_agrees::<Sysctl>(
            &fake,
            r#"{"name":"kernel.panic","value":"9","reload":false,"sysctl_set":true}"#,
        );
        assert_eq!(fake.text("/proc/sys/kernel/panic"), "9\n");
    }

    #[test]
    fn a_reload_knows_patterns_and_names_with_dots() {
        let fake = fake();
        fake.file("/etc/sysctl.conf", "-net.none=1\nnet.ipv4.conf.*.rp_filter=1\n");
        check_agrees::<Sysctl>(
            &fake,
            r#"{"name":"net.ipv4.conf.eth0/5.rp_filter","value":"yes"}"#,
        );
        assert_eq!(fake.text("/proc/sys/net/ipv4/conf/all/rp_filter"), "1\n");
        assert_eq!(fake.text("/proc/sys/net/ipv4/conf/eth0.5/rp_filter"), "1\n");
        assert_eq!(path_of("kernel/panic"), Path::new("/proc/sys/kernel/panic"));
    }

    #[test]
    fn refusals_say_what_sysctl_says() {
        let fake = fake();
        assert_eq!(
            failure::<Sysctl>(&fake, r#"{"name":" ","value":1}"#),
            "name cannot be blank"
        );
        assert_eq!(
            failure::<Sysctl>(&fake, r#"{"name":"a.b"}"#),
            "state is present but all of the following are missing: value"
        );
        let outcome = run::<Sysctl>(&fake, r#"{"name":"a.b","value":1}"#);
        assert_eq!(
            outcome.message(),
            Some("Failed to reload sysctl: sysctl: cannot stat /proc/sys/a/b: No such file or directory")
        );
        assert!(!run::<Sysctl>(&fake, r#"{"name":"a.b","value":1,"ignoreerrors":true}"#).failed);
        fake.fail(
            "write",
            "/proc/sys/kernel/panic",
            io::ErrorKind::ReadOnlyFilesystem,
        )
        .fail(
            "overwrite",
            "/proc/sys/kernel/panic",
            io::ErrorKind::ReadOnlyFilesystem,
        );
        let outcome = run::<Sysctl>(&fake, r#"{"name":"kernel.panic","value":1,"sysctl_set":true}"#);
        assert_eq!(
            outcome.message(),
            Some("setting kernel.panic failed: sysctl: setting key \"kernel.panic\": Read-only file system")
        );
    }
}

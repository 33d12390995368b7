//! Calling dnf, whichever there is: its options, its lock, its failures.

use std::time::Duration;

use super::{Args, Error};
use crate::modules::tool;
use crate::system::{Command, CommandOutput, System};

/// The programs that understand the same words, best first.
const PROGRAMS: &[&str] = &["dnf", "dnf5", "yum", "microdnf"];
/// The exit status of dnf 4 where another program has its lock.
const LOCKED: i32 = 200;
const PAUSE: Duration = Duration::from_secs(1);

/// The program of a target, and how patient it is.
#[derive(Debug, Clone)]
pub struct Dnfs {
    program: &'static str,
    /// It can be told not to wait for a lock; else it waits as long as it likes.
    exits_on_lock: bool,
    lock_timeout: Duration,
    pub root: String,
}

impl Dnfs {
    pub fn find(args: &Args, system: &dyn System) -> Result<Self, Error> {
        let found = PROGRAMS
            .iter()
            .find_map(|program| Some((*program, system.which(program)?)));
        let Some((program, path)) = found else {
            return Err(Error::new(format!(
                "none of {} is on the target (is this RHEL, Fedora or one of their kin?)",
                PROGRAMS.join(", ")
            )));
        };
        let real = system.canonicalize(&path)?;
        Ok(Self {
            program,
            exits_on_lock: real
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("dnf-3"))
                || (program == "dnf" && !real.ends_with("dnf5")),
            lock_timeout: Duration::from_secs(u64::try_from(args.lock_timeout).unwrap_or(0)),
            root: args.installroot.clone(),
        })
    }

    /// A call with the options of the task.
    pub fn call(&self, args: &Args, verb: &[&str], names: &[String]) -> Command {
        let mut argv = vec![self.program.to_owned(), "-y".to_owned()];
        let flags = [
            (self.exits_on_lock, "--setopt=exit_on_lock=True"),
            (args.disable_gpg_check, "--nogpgcheck"),
            (args.skip_broken, "--skip-broken"),
            (args.allowerasing, "--allowerasing"),
            (args.best == Some(true) || args.nobest == Some(false), "--best"),
            (args.best == Some(false) || args.nobest == Some(true), "--nobest"),
            (args.cacheonly, "--cacheonly"),
            (args.download_only, "--downloadonly"),
            (!args.install_weak_deps, "--setopt=install_weak_deps=False"),
            (
                verb == ["remove"] && !args.autoremove,
                "--setopt=clean_requirements_on_remove=False",
            ),
            (
                names.iter().any(|name| is_stream(name)),
                "--setopt=module_stream_switch=True",
            ),
            (
                !args.sslverify || !args.validate_certs,
                "--setopt=sslverify=False",
            ),
        ];
        let flags = flags.into_iter().filter(|(wanted, _)| *wanted);
        argv.extend(flags.map(|(_, word)| word.to_owned()));
        let lists = [
            ("--enablerepo", &args.enablerepo),
            ("--disablerepo", &args.disablerepo),
            ("--enableplugin", &args.enable_plugin),
            ("--disableplugin", &args.disable_plugin),
            ("--exclude", &args.exclude),
        ];
        for (option, values) in lists {
            let values = values.iter().filter(|value| !value.is_empty());
            argv.extend(values.map(|value| format!("{option}={value}")));
        }
        let root = (self.root != "/").then_some(&self.root);
        let options = [
            ("--disableexcludes", args.disable_excludes.as_ref()),
            ("--releasever", args.releasever.as_ref()),
            ("--installroot", root),
            ("--config", args.conf_file.as_ref()),
            (
                "--destdir",
                args.download_dir.as_ref().filter(|_| args.download_only),
            ),
        ];
        let options = options
            .into_iter()
            .filter_map(|(option, value)| Some((option, value?)));
        argv.extend(options.map(|(option, value)| format!("{option}={value}")));
        argv.extend(verb.iter().map(|word| (*word).to_owned()));
        argv.extend(names.iter().cloned());
        // Wide enough for a row of the table to be one line.
        Command::new(argv)
            .env("LANG", "C.UTF-8")
            .env("LC_ALL", "C.UTF-8")
            .env("COLUMNS", "400")
    }

    /// What a call would do.
    pub fn ask(&self, call: &Command, system: &dyn System) -> Result<String, Error> {
        let mut trial = call.clone();
        // The answer to its question; it then ends with 1, or with 0 if there was nothing to ask.
        "--assumeno".clone_into(&mut trial.argv[1]);
        let output = self.patiently(&trial, system)?;
        let text = output.stdout_text();
        let asked = ["Operation aborted", "Exiting on user", "aborted by"];
        if output.success()
            || asked
                .iter()
                .any(|words| text.contains(words) || output.stderr_text().contains(words))
        {
            return Ok(text);
        }
        Err(failure(call, &output))
    }

    pub fn run(&self, call: &Command, system: &dyn System) -> Result<String, Error> {
        let output = self.patiently(call, system)?;
        if output.success() {
            return Ok(output.stdout_text());
        }
        Err(failure(call, &output))
    }

    fn patiently(&self, call: &Command, system: &dyn System) -> Result<CommandOutput, Error> {
        let until = system.now() + self.lock_timeout;
        loop {
            let output = system.run(call)?;
            if output.code != LOCKED || !self.exits_on_lock {
                return Ok(output);
            }
            if system.now() >= until {
                return Err(Error::new(format!(
                    "dnf lockfile is held by another process: waited {} seconds; let it end, or raise lock_timeout ({})",
                    self.lock_timeout.as_secs(),
                    tool::said(&output).replace('\n', " ")
                ))
                .with("rc", 1)
                .with("results", Vec::<String>::new()));
            }
            system.sleep(PAUSE);
        }
    }
}

/// `@module:stream`, perhaps with a profile.
fn is_stream(name: &str) -> bool {
    name.starts_with('@') && name.contains(':')
}

fn failure(call: &Command, output: &CommandOutput) -> Error {
    let told = format!("{}\n{}", output.stdout_text(), output.stderr_text());
    let after = |mark: &str| -> Vec<String> {
        let lines = told.lines().filter_map(|line| line.split_once(mark));
        let mut names: Vec<String> = lines.map(|(_, name)| name.trim().to_owned()).collect();
        names.dedup();
        names
    };
    let groups = after("Module or Group '");
    let missing = after("No match for argument: ");
    let message = if let Some(group) = groups.first() {
        let name = group.split('\'').next().unwrap_or(group);
        format!("No group {name} available.")
    } else if missing.is_empty() {
        format!("`{}` failed: {}", call.argv.join(" "), tool::said(output))
    } else {
        "Failed to install some of the specified packages".to_owned()
    };
    let failures: Vec<String> = missing
        .iter()
        .map(|name| format!("No package {name} available."))
        .collect();
    Error::new(message)
        .with("rc", 1)
        .with("failures", failures)
        .with("results", Vec::<String>::new())
        .with("stdout", output.stdout_text())
        .with("stderr", output.stderr_text())
}

//! Running `apt-get`: what it says of locks and of a dpkg that was killed, and services that are not to start meanwhile.

use std::path::Path;
use std::time::Duration;

use super::{Args, Error};
use crate::modules::tool;
use crate::system::{Attributes, Command, CommandOutput, Follow, System};

/// Asked by packages whether they may start services: invoke-rc.d(8).
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// How long to wait before a lock that apt itself does not wait for is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// How the calls of a task are run.
#[derive(Debug, Clone, Default)]
pub struct Running {
    lock_timeout: u64,
    policy_rc_d: Option<i64>,
    /// Who was waited for.
    pub warnings: Vec<String>,
}

impl Running {
    pub fn new(args: &Args) -> Self {
        Self {
            lock_timeout: args.lock_timeout,
            policy_rc_d: args.policy_rc_d,
            warnings: Vec::new(),
        }
    }

    /// Runs a call that installs or removes; services are kept from starting if that is asked for.
    pub fn change(&mut self, command: &Command, system: &dyn System) -> Result<CommandOutput, Error> {
        let Some(code) = self.policy_rc_d else {
            return self.run(command, system);
        };
        let path = Path::new(POLICY);
        let before = match system.metadata(path, Follow::No)? {
            Some(metadata) => Some((system.read(path)?, metadata.mode)),
            None => None,
        };
        let script = |mode| Attributes {
            mode: Some(mode),
            ..Attributes::default()
        };
        let text = format!("#!/bin/sh\nexit {code}\n");
        system.write(path, &mut text.as_bytes(), script(0o755))?;
        let output = self.run(command, system);
        match before {
            Some((content, mode)) => system.write(path, &mut content.as_slice(), script(mode))?,
            None => system.remove_file(path)?,
        }
        output
    }

    /// Runs a call, waiting for other programs' locks; its failure says what to do.
    pub fn run(&mut self, command: &Command, system: &dyn System) -> Result<CommandOutput, Error> {
        let until = system.now() + Duration::from_secs(self.lock_timeout);
        loop {
            let output = system.run(command)?;
            let told = format!("{}\n{}", output.stdout_text(), output.stderr_text());
            let lock = lock(&told);
            if let Some(lock) = &lock {
                let warning = format!("waited for {lock}");
                if !self.warnings.contains(&warning) {
                    self.warnings.push(warning);
                }
            }
            if output.success() {
                return Ok(output);
            }
            match lock {
                Some(_) if system.now() < until => system.sleep(PAUSE),
                lock => return Err(failure(command, &output, lock, self.lock_timeout)),
            }
        }
    }
}

/// The lock that somebody else has, and who, from apt's words: `/var/lib/dpkg/lock-frontend, held by process 12 (apt-get)`.
fn lock(told: &str) -> Option<String> {
    let (_, rest) = told.split_once("Could not get lock ")?;
    let line = rest.lines().next().unwrap_or(rest);
    if let Some((path, holder)) = line.split_once(". It is held by ") {
        let end = holder.find(')').map_or(holder.len(), |end| end + 1);
        return Some(format!("{path}, held by {}", holder[..end].trim()));
    }
    let path = line.split_whitespace().next().unwrap_or(line);
    Some(path.trim_end_matches('.').to_owned())
}

fn failure(command: &Command, output: &CommandOutput, lock: Option<String>, waited: u64) -> Error {
    let stderr = output.stderr_text();
    let error = tool::failure(command, output);
    let message = if let Some(lock) = lock {
        format!(
            "Failed to lock apt for exclusive operation: waited {waited} seconds for {lock}; let it end, or raise lock_timeout"
        )
    } else if stderr.contains("dpkg was interrupted") {
        format!(
            "'{}' failed: {} (a package manager was ended in the midst of its work on the target; run `dpkg --configure -a` there, and this again)",
            command.argv.join(" "),
            stderr.trim()
        )
    } else if output.code < 0 {
        format!(
            "'{}' was ended by signal {} on the target (by hand, or for want of memory): {} (run this again; what it has left half done is then made up for, or said how)",
            command.argv.join(" "),
            -output.code,
            stderr.trim()
        )
    } else if let Some((_, name)) = stderr.split_once("E: Unable to locate package ") {
        let name = name.lines().next().unwrap_or(name);
        format!("No package matching '{name}' is available")
    } else {
        format!("'{}' failed: {}", command.argv.join(" "), stderr.trim())
    };
    Error {
        message,
        values: error.values,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::fake::Fake;

    const HELD: &str = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4242 (apt-get)\n\
        N: Be aware that removing the lock file is not a solution and may break your system.\n";

    fn failing(text: &'static str, until: Option<u64>) -> Fake {
        let fake = Fake::new();
        let start = fake.now();
        fake.answer_with(move |fake, _| {
            let free = until.is_some_and(|until| fake.now() >= start + Duration::from_secs(until));
            Some(CommandOutput {
                code: if free { 0 } else { 100 },
                stderr: if free { Vec::new() } else { text.into() },
                ..CommandOutput::default()
            })
        });
        fake
    }

    fn run(fake: &Fake, running: &mut Running) -> Result<CommandOutput, Error> {
        running.change(&Command::new(["apt-get", "install", "x"]), fake)
    }

    #[test]
    fn waits_for_a_lock_and_says_whose() {
        let mut running = Running {
            lock_timeout: 10,
            ..Running::default()
        };
        run(&failing(HELD, Some(3)), &mut running).unwrap();
        let holder = "/var/lib/dpkg/lock-frontend, held by process 4242 (apt-get)";
        assert_eq!(running.warnings, [format!("waited for {holder}")]);
        let error = run(&failing(HELD, None), &mut running).unwrap_err();
        assert_eq!(
            error.message,
            format!(
                "Failed to lock apt for exclusive operation: waited 10 seconds for {holder}; let it end, or raise lock_timeout"
            )
        );
        assert_eq!(
            lock("E: Could not get lock /var/lib/apt/lists/lock - open (11)").unwrap(),
            "/var/lib/apt/lists/lock"
        );
    }

    #[test]
    fn says_what_to_do_where_dpkg_was_killed() {
        let text =
            "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem. \n";
        let error = run(&failing(text, None), &mut Running::default()).unwrap_err();
        assert!(
            error.message.contains("run `dpkg --configure -a` there"),
            "{error}"
        );
        let error = run(
            &failing("E: Unable to locate package nosuch\n", None),
            &mut Running::default(),
        );
        assert_eq!(
            error.unwrap_err().message,
            "No package matching 'nosuch' is available"
        );
    }

    #[test]
    fn says_that_it_was_killed() {
        let fake = Fake::new();
        fake.answer_with(|_, _| {
            Some(CommandOutput {
                code: -9,
                ..CommandOutput::default()
            })
        });
        let error = run(&fake, &mut Running::default()).unwrap_err();
        assert!(error.message.contains("was ended by signal 9"), "{error}");
    }

    #[test]
    fn the_policy_is_there_for_the_call_alone() {
        for before in [None, Some("#!/bin/sh\nexit 0\n")] {
            let fake = Fake::new();
            if let Some(text) = before {
                fake.program(POLICY).file(POLICY, text);
            } else {
                fake.directory("/usr/sbin");
            }
            let listing = fake.listing();
            fake.answer_with(|fake, _| {
                assert_eq!(fake.text(POLICY), "#!/bin/sh\nexit 101\n");
                Some(CommandOutput {
                    code: 100,
                    ..CommandOutput::default()
                })
            });
            let mut running = Running {
                policy_rc_d: Some(101),
                ..Running::default()
            };
            run(&fake, &mut running).unwrap_err();
            assert_eq!(fake.listing(), listing, "put back although the call failed");
        }
    }
}

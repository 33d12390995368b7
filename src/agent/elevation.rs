//! How `sudo` and `su` are called, what they ask, and what their refusals mean to an operator.
//!
//! A password goes to the program's standard input once it asks for one, never onto a command line, where
//! every user of the target could read it.

use crate::wire::message::{Become, BecomeMethod};

/// What `sudo` is told to print when it wants a password. (`su` cannot be told.)
pub const SUDO_PROMPT: &str = "[regdeploy] password: ";

/// The command line that runs `script` in a shell of `target`'s.
pub fn argv(target: &Become, script: &str, root: bool) -> Result<Vec<String>, String> {
    if target.user.is_empty() || target.user.starts_with('-') {
        return Err(format!(
            "`{}` is no user's name: correct become_user",
            target.user
        ));
    }
    let flags = |default: &str| {
        shell_words::split(target.flags.as_deref().unwrap_or(default))
            .map_err(|error| format!("become_flags cannot be read: {error}"))
    };
    let mut argv = match &target.program {
        Some(program) => shell_words::split(program)
            .ok()
            .filter(|words| !words.is_empty())
            .ok_or_else(|| format!("`{program}` is no program: correct become_exe"))?,
        None => vec![target.method.to_string()],
    };
    match target.method {
        BecomeMethod::Sudo => {
            let mut flags = flags(target.method.usual_flags())?;
            if target.password.is_some() {
                flags.retain(|flag| !matches!(flag.as_str(), "-n" | "--non-interactive"));
                // `-k`: what another password was good for is not good for this one.
                flags.extend(["-k", "-p", SUDO_PROMPT].map(str::to_owned));
            }
            argv.extend(flags);
            argv.extend(["-u", target.user.as_str(), "/bin/sh", "-c", script].map(str::to_owned));
        }
        BecomeMethod::Su => {
            // Only root may choose a shell, and service accounts have none that runs anything.
            argv.extend(flags(if root { "-s /bin/sh" } else { "" })?);
            let command = format!("exec /bin/sh -c {}", shell_words::quote(script));
            argv.extend([target.user.as_str(), "-c", &command].map(str::to_owned));
        }
    }
    Ok(argv)
}

/// Whether the program waits for a password, judged by what it wrote to standard error since the last one.
pub fn asks_for_password(method: BecomeMethod, stderr: &str) -> bool {
    match method {
        BecomeMethod::Sudo => stderr.ends_with(SUDO_PROMPT),
        // `Password: `, in whatever language. A complaint begins with `su: `, and may come in pieces.
        BecomeMethod::Su => {
            let line = stderr.lines().last().unwrap_or_default();
            line.trim_end().ends_with([':', '\u{ff1a}']) && !line.starts_with("su:")
        }
    }
}

/// No password was given although one is needed.
pub fn password_missing(target: &Become) -> String {
    format!(
        "{} needs a password to become {}: give it with -K or ansible_become_password",
        target.method, target.user
    )
}

/// The password that was given is not the right one.
pub fn password_wrong(target: &Become) -> String {
    format!(
        "Incorrect {} password for becoming {}: correct the one given with -K or \
         ansible_become_password",
        target.method, target.user
    )
}

type Advice = fn(&Become) -> String;

/// Phrases of the programs' messages (locale C) and what to do about them; the first that fits is taken.
const ADVICE: &[(&str, Advice)] = &[
    ("a password is required", password_missing),
    ("a terminal is required to read the password", password_missing),
    ("incorrect password attempt", password_wrong),
    ("no password was provided", password_missing),
    ("Authentication failure", |target| match target.password {
        Some(_) => password_wrong(target),
        None => password_missing(target),
    }),
    ("unknown user", unknown_user),
    ("does not exist", unknown_user),
    ("not in the sudoers file", not_allowed),
    ("is not allowed to", not_allowed),
    ("may not run sudo", not_allowed),
    ("must have a tty", |target| {
        format!(
            "sudo on this target demands a terminal to become {}: remove `requiretty` from its sudoers",
            target.user
        )
    }),
    ("account is currently not available", |target| {
        format!(
            "the shell of {} runs no commands: use become_method: sudo, or become_flags: '-s /bin/sh' as root",
            target.user
        )
    }),
];

fn unknown_user(target: &Become) -> String {
    format!(
        "there is no user {} on this target: create it first, or correct become_user",
        target.user
    )
}

fn not_allowed(target: &Become) -> String {
    format!(
        "sudo does not let this user become {}: allow it in the target's sudoers, or log in as another user",
        target.user
    )
}

/// The message for a program that ended without starting anything.
pub fn explain(target: &Become, said: &str) -> String {
    let said = said.replace(SUDO_PROMPT, "").trim().to_owned();
    match ADVICE.iter().find(|(phrase, _)| said.contains(phrase)) {
        Some((_, advice)) => format!("{} ({said})", advice(target)),
        None if said.is_empty() => format!(
            "{} to {} ended without a word and without starting anything: check become_method and become_flags",
            target.method, target.user
        ),
        None => format!("cannot become {} with {}: {said}", target.user, target.method),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Secret;

    fn target(method: BecomeMethod, flags: Option<&str>, password: Option<&str>) -> Become {
        Become {
            program: None,
            directory: None,
            method,
            user: "app".to_owned(),
            flags: flags.map(str::to_owned),
            password: password.map(Secret::new),
        }
    }

    fn line(target: &Become, root: bool) -> String {
        shell_words::join(argv(target, "echo a; b", root).unwrap())
    }

    #[test]
    fn command_lines() {
        use BecomeMethod::{Su, Sudo};
        assert_eq!(
            line(&target(Sudo, None, None), false),
            "sudo -H -S -n -u app /bin/sh -c 'echo a; b'"
        );
        assert_eq!(
            line(&target(Sudo, None, Some("x")), false),
            "sudo -H -S -k -p '[regdeploy] password: ' -u app /bin/sh -c 'echo a; b'"
        );
        assert_eq!(
            line(&target(Sudo, Some("-i"), None), false),
            "sudo -i -u app /bin/sh -c 'echo a; b'"
        );
        assert_eq!(
            argv(&target(Su, None, None), "echo a; b", true).unwrap(),
            ["su", "-s", "/bin/sh", "app", "-c", "exec /bin/sh -c 'echo a; b'"]
        );
        assert_eq!(
            argv(&target(Su, None, Some("x")), "b", false).unwrap(),
            ["su", "app", "-c", "exec /bin/sh -c b"]
        );
    }

    #[test]
    fn no_password_on_any_command_line() {
        for method in [BecomeMethod::Sudo, BecomeMethod::Su] {
            assert!(!line(&target(method, None, Some("hunter2")), false).contains("hunter2"));
        }
    }

    #[test]
    fn a_name_is_never_an_option() {
        let mut target = target(BecomeMethod::Su, None, None);
        target.user = "-c".to_owned();
        assert!(argv(&target, "", false).is_err());
    }

    #[test]
    fn recognises_prompts() {
        assert!(asks_for_password(
            BecomeMethod::Sudo,
            "lecture\n[regdeploy] password: "
        ));
        assert!(!asks_for_password(BecomeMethod::Sudo, "sudo: warning:"));
        assert!(asks_for_password(BecomeMethod::Su, "Passwort: "));
        assert!(!asks_for_password(BecomeMethod::Su, "su: user x\n"));
        assert!(!asks_for_password(BecomeMethod::Su, "su: "));
    }

    #[test]
    fn says_what_to_do() {
        let target = target(BecomeMethod::Sudo, None, None);
        for (said, part) in [
            (
                "sudo: a password is required\n",
                "give it with -K or ansible_become_password",
            ),
            (
                "sudo: unknown user: app",
                "create it first, or correct become_user",
            ),
            (
                "deploy is not in the sudoers file.",
                "allow it in the target's sudoers",
            ),
            ("sudo: exploded", "cannot become app with sudo: sudo: exploded"),
            ("", "ended without a word"),
        ] {
            let message = explain(&target, said);
            assert!(message.contains(part), "{message}");
        }
    }
}

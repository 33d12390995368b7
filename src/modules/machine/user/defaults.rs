//! What a new account gets where nothing is said: `/etc/login.defs` and `/etc/default/useradd`.

use std::path::{Path, PathBuf};

use super::state::State;
use crate::modules::Error;
use crate::system::{Follow, System};

pub(super) const LOGIN_DEFS: &str = "/etc/login.defs";
const USERADD: &str = "/etc/default/useradd";
const SHELL: &str = "/bin/sh";
const HOMES: &str = "/home";

pub(super) struct Defaults {
    pub shell: String,
    /// The folder that homes are in.
    pub homes: PathBuf,
    /// Days, in the order of /etc/shadow: at least, at most, of warning, until it is closed.
    days: [Option<i64>; 4],
}

impl Defaults {
    pub fn read(system: &dyn System) -> Result<Self, Error> {
        let login = text(LOGIN_DEFS, system)?.unwrap_or_default();
        let useradd = text(USERADD, system)?.unwrap_or_default();
        let days = |text: &str, name: &str| {
            let days = setting(text, name)?.parse().ok();
            days.filter(|days| *days >= 0)
        };
        Ok(Self {
            shell: setting(&useradd, "SHELL").unwrap_or(SHELL).to_owned(),
            homes: setting(&useradd, "HOME").unwrap_or(HOMES).into(),
            days: [
                days(&login, "PASS_MIN_DAYS"),
                days(&login, "PASS_MAX_DAYS"),
                days(&login, "PASS_WARN_AGE"),
                days(&useradd, "INACTIVE"),
            ],
        })
    }

    /// A new account as /etc/shadow has it: without a password, and locked.
    pub fn line(&self) -> State {
        let [minimum, maximum, warning, inactive] = self.days;
        State {
            password: "!".to_owned(),
            minimum,
            maximum,
            warning,
            inactive,
            ..State::default()
        }
    }
}

/// The text of a file of settings, if there is such a file.
pub(super) fn text(path: &str, system: &dyn System) -> Result<Option<String>, Error> {
    let path = Path::new(path);
    if system.metadata(path, Follow::Yes)?.is_none() {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&system.read(path)?).into_owned()))
}

/// `NAME value` or `NAME=value`.
pub(super) fn setting<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let value = line.strip_prefix(name)?.strip_prefix([' ', '\t', '='])?.trim();
        (!value.is_empty()).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::fake::Fake;

    #[test]
    fn settings_are_read_in_both_forms() {
        let fake = Fake::new();
        fake.file(
            LOGIN_DEFS,
            "# PASS_MAX_DAYS 1\nPASS_MAX_DAYS\t90\nPASS_WARN_AGE 7\n",
        );
        fake.file(USERADD, "# HOME=/x\nSHELL=/bin/bash\nINACTIVE=-1\n");
        let defaults = Defaults::read(&fake).unwrap();
        assert_eq!(defaults.shell, "/bin/bash");
        assert_eq!(defaults.homes, Path::new("/home"));
        assert_eq!(defaults.days, [None, Some(90), Some(7), None]);
    }
}

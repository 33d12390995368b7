//! Options for the ssh program, as far as they mean something without it: `-o StrictHostKeyChecking=no -p 2222`.
//!
//! The program itself is not used. What only concerns how it works (multiplexing, compression) is passed over; what
//! a host could not be reached without is refused.

use std::path::PathBuf;
use std::time::Duration;

use crate::diagnostic::Diagnostic;

/// Flags that stand alone.
const PLAIN: &str = "46AaCfgKkMNnqsTtVvXxYy";

/// Keywords that lead to the host by another one.
const PROXIES: [&str; 2] = ["proxycommand", "proxyjump"];

/// What the options say of a log-in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshArguments {
    /// `StrictHostKeyChecking`: `yes` and `ask` are true.
    pub host_key_checking: Option<bool>,
    pub known_hosts: Option<PathBuf>,
    pub user: Option<String>,
    pub port: Option<u16>,
    pub identity: Option<PathBuf>,
    pub timeout: Option<Duration>,
}

/// Reads options as a shell would split them; the first that says something counts, as for the program.
pub fn parse(text: &str) -> Result<SshArguments, Diagnostic> {
    let words = shell_words::split(text)
        .map_err(|_| Diagnostic::error(format!("a quote is opened and never closed in `{text}`")))?;
    let mut found = SshArguments::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix('-').and_then(|flag| flag.chars().next()) else {
            return Err(Diagnostic::error(format!(
                "`{word}` is not an option of the ssh program"
            )));
        };
        if PLAIN.contains(flag) {
            continue;
        }
        let value = match word.len() {
            2 => words.next().unwrap_or_default(),
            _ => word[2..].to_owned(),
        };
        match flag {
            'o' => found.keyword(&value)?,
            'p' => found.set("port", &value)?,
            'l' => found.set("user", &value)?,
            'i' => found.set("identityfile", &value)?,
            'J' | 'W' => return Err(proxy(&word)),
            // What is left of the program's flags takes a value and does nothing here.
            _ => {}
        }
    }
    Ok(found)
}

fn proxy(option: &str) -> Diagnostic {
    Diagnostic::error(format!(
        "a host cannot be reached by another one: `{option}`; run regdeploy on a machine that reaches it directly"
    ))
}

impl SshArguments {
    /// `Keyword=value`, or `Keyword value`.
    fn keyword(&mut self, option: &str) -> Result<(), Diagnostic> {
        let (keyword, value) = option
            .split_once(['=', ' '])
            .map_or((option, ""), |(keyword, value)| {
                (keyword.trim(), value.trim_start_matches([' ', '=']))
            });
        let keyword = keyword.to_ascii_lowercase();
        if PROXIES.contains(&keyword.as_str()) && value != "none" {
            return Err(proxy(option));
        }
        self.set(&keyword, value.trim())
    }

    fn set(&mut self, keyword: &str, value: &str) -> Result<(), Diagnostic> {
        let wrong = || {
            Diagnostic::error(format!(
                "`{value}` is no value for `{keyword}` of the ssh program"
            ))
        };
        match keyword {
            "stricthostkeychecking" => {
                self.host_key_checking
                    .get_or_insert(!matches!(value, "no" | "off"));
            }
            "userknownhostsfile" => {
                self.known_hosts
                    .get_or_insert(super::links::home(value.to_owned()));
            }
            "user" => {
                self.user.get_or_insert(value.to_owned());
            }
            "identityfile" => {
                self.identity.get_or_insert(super::links::home(value.to_owned()));
            }
            "port" => {
                self.port.get_or_insert(value.parse().map_err(|_| wrong())?);
            }
            "connecttimeout" => {
                let seconds = value.parse().map_err(|_| wrong())?;
                self.timeout.get_or_insert(Duration::from_secs(seconds));
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_is_read() {
        let read = parse(
            "-C -o ControlMaster=auto -o ControlPersist=60s -oStrictHostKeyChecking=no -o 'UserKnownHostsFile /dev/null' -p2222 -l admin -i /k -o ConnectTimeout=3 -p 1",
        );
        assert_eq!(
            read.unwrap(),
            SshArguments {
                host_key_checking: Some(false),
                known_hosts: Some("/dev/null".into()),
                user: Some("admin".into()),
                port: Some(2222),
                identity: Some("/k".into()),
                timeout: Some(Duration::from_secs(3)),
            }
        );
        assert_eq!(parse("").unwrap(), SshArguments::default());
    }

    #[test]
    fn what_cannot_be_left_out_is_refused() {
        for (text, expected) in [
            (
                "-o ProxyCommand='ssh b -W %h:%p'",
                "a host cannot be reached by another one",
            ),
            ("-J bastion", "a host cannot be reached by another one"),
            ("-p many", "`many` is no value for `port`"),
            ("host", "`host` is not an option of the ssh program"),
            ("-o 'x", "a quote is opened and never closed"),
        ] {
            let message = parse(text).unwrap_err().message;
            assert!(message.starts_with(expected), "{text}: {message}");
        }
        assert!(parse("-o ProxyCommand=none").is_ok());
    }
}

//! What a command line means, with the environment's say: the run's settings.
//!
//! No file is read here, and nobody is asked for a password.

use std::path::PathBuf;
use std::time::Duration;

use super::arguments::{Arguments, Refused};
use crate::diagnostic::Diagnostic;
use crate::executor::Listing;

/// Ansible's defaults.
const FORKS: u32 = 5;
const TIMEOUT: Duration = Duration::from_secs(10);

/// All that a run needs to know from its command line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Settings {
    /// As given; see [`playbook_lookup`](super::playbook_lookup).
    pub playbooks: Vec<String>,
    /// May be empty: then there is only the implicit localhost.
    pub inventories: Vec<String>,
    pub limit: Option<String>,
    /// As given; see [`extra_vars`](super::extra_vars).
    pub extra_vars: Vec<String>,
    /// Never empty.
    pub tags: Vec<String>,
    pub skip_tags: Vec<String>,
    pub start_at_task: Option<String>,
    pub check: bool,
    pub diff: bool,
    pub listing: Listing,
    pub syntax_check: bool,
    pub user: Option<String>,
    pub private_key: Option<PathBuf>,
    pub connection: Option<String>,
    pub connection_password: PasswordSource,
    pub timeout: Duration,
    pub r#become: bool,
    pub become_user: Option<String>,
    pub become_method: Option<String>,
    pub become_password: PasswordSource,
    /// At least 1.
    pub forks: usize,
    pub force_handlers: bool,
    pub flush_cache: bool,
    pub verbosity: u8,
    pub colour: bool,
}

/// Where a password comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PasswordSource {
    #[default]
    None,
    Ask,
    File(PathBuf),
}

impl PasswordSource {
    fn new(ask: bool, file: Option<PathBuf>) -> Self {
        match file {
            Some(file) => Self::File(file),
            None if ask => Self::Ask,
            None => Self::None,
        }
    }
}

/// What is around the program.
pub struct Surroundings<'a> {
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// Whether standard output is a terminal.
    pub terminal: bool,
}

impl Settings {
    /// An error is one of the command line: exit code 2.
    pub fn resolve(arguments: Arguments, around: &Surroundings<'_>) -> Result<Self, Diagnostic> {
        refuse(&arguments.refused)?;
        let tags = split(&arguments.tags);
        Ok(Self {
            playbooks: arguments.playbooks,
            inventories: inventories(arguments.inventories, around),
            limit: arguments.limit.filter(|limit| !limit.trim().is_empty()),
            extra_vars: arguments.extra_vars,
            tags: if tags.is_empty() {
                vec!["all".to_owned()]
            } else {
                tags
            },
            skip_tags: split(&arguments.skip_tags),
            start_at_task: arguments.start_at_task,
            check: arguments.check,
            diff: arguments.diff,
            listing: Listing {
                hosts: arguments.list_hosts,
                tasks: arguments.list_tasks,
                tags: arguments.list_tags,
            },
            syntax_check: arguments.syntax_check,
            user: arguments.user,
            private_key: arguments.private_key,
            connection: arguments.connection,
            connection_password: PasswordSource::new(arguments.ask_pass, arguments.connection_password_file),
            timeout: arguments
                .timeout
                .map_or(TIMEOUT, |seconds| Duration::from_secs(seconds.into())),
            r#become: arguments.r#become,
            become_user: arguments.become_user,
            become_method: arguments.become_method,
            become_password: PasswordSource::new(arguments.ask_become_pass, arguments.become_password_file),
            forks: usize::try_from(arguments.forks.unwrap_or(FORKS)).unwrap_or(usize::MAX),
            force_handlers: arguments.force_handlers,
            flush_cache: arguments.flush_cache,
            verbosity: arguments.verbose,
            colour: colour(around),
        })
    }
}

/// What was given at several places and with commas, each once.
fn split(given: &[String]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in given.iter().flat_map(|words| words.split(',')).map(str::trim) {
        if !word.is_empty() && !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    words
}

/// `-i`, or else `$ANSIBLE_INVENTORY`: paths with commas between them.
fn inventories(given: Vec<String>, around: &Surroundings<'_>) -> Vec<String> {
    if !given.is_empty() {
        return given;
    }
    let paths = (around.variable)("ANSIBLE_INVENTORY").unwrap_or_default();
    if paths.trim_end().ends_with(',') {
        return vec![paths];
    }
    split(&[paths])
}

/// Whether to print in colours: `ANSIBLE_FORCE_COLOR` beats `NO_COLOR` and `ANSIBLE_NOCOLOR`, these beat the
/// terminal. Source: <https://no-color.org>
fn colour(around: &Surroundings<'_>) -> bool {
    let variable = |name| (around.variable)(name).unwrap_or_default();
    let set = |name| {
        let value = variable(name).to_lowercase();
        !matches!(value.as_str(), "" | "0" | "false" | "no" | "off" | "n" | "f")
    };
    if set("ANSIBLE_FORCE_COLOR") {
        return true;
    }
    let refused = !variable("NO_COLOR").is_empty() || set("ANSIBLE_NOCOLOR");
    !refused && around.terminal && variable("TERM") != "dumb"
}

fn refuse(refused: &Refused) -> Result<(), Diagnostic> {
    const VAULT: &str = "vaults cannot be opened yet; decrypt the files with `ansible-vault decrypt` first";
    const SSH: &str =
        "the ssh program is not used; put options into ~/.ssh/config or the inventory's ansible_* variables";
    let table = [
        (
            refused.step,
            "--step",
            "tasks cannot be confirmed one by one; use --start-at-task, --tags or --check",
        ),
        (!refused.vault_id.is_empty(), "--vault-id", VAULT),
        (
            !refused.vault_password_file.is_empty(),
            "--vault-password-file",
            VAULT,
        ),
        (refused.ask_vault_password, "--ask-vault-password", VAULT),
        (
            !refused.module_path.is_empty(),
            "--module-path",
            "modules are built into this program",
        ),
        (refused.ssh_common_args.is_some(), "--ssh-common-args", SSH),
        (refused.ssh_extra_args.is_some(), "--ssh-extra-args", SSH),
        (refused.scp_extra_args.is_some(), "--scp-extra-args", SSH),
        (refused.sftp_extra_args.is_some(), "--sftp-extra-args", SSH),
    ];
    match table.into_iter().find(|(given, ..)| *given) {
        Some((_, flag, why)) => Err(Diagnostic::error(format!("{flag} is not supported")).hint(why)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn resolve(line: &str, variables: &[(&str, &str)], terminal: bool) -> Result<Settings, Diagnostic> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
        Settings::resolve(
            arguments,
            &Surroundings {
                variable: &variable,
                terminal,
            },
        )
    }

    #[test]
    fn defaults_are_ansibles() {
        let settings = resolve("regdeploy p.yml", &[], false).unwrap();
        assert_eq!(settings.tags, ["all"]);
        assert_eq!((settings.forks, settings.timeout), (5, Duration::from_secs(10)));
        assert!(settings.inventories.is_empty() && settings.skip_tags.is_empty());
        assert!(!settings.listing.any() && !settings.colour);
        assert_eq!(settings.become_password, PasswordSource::None);
    }

    #[test]
    fn tags_are_split_at_commas() {
        let settings = resolve("regdeploy -t a,b -t c,,a --skip-tags x,y p.yml", &[], false).unwrap();
        assert_eq!(settings.tags, ["a", "b", "c"]);
        assert_eq!(settings.skip_tags, ["x", "y"]);
    }

    #[test]
    fn inventories_come_from_the_environment_too() {
        let given = |line, value| {
            resolve(line, &[("ANSIBLE_INVENTORY", value)], false)
                .unwrap()
                .inventories
        };
        assert_eq!(given("regdeploy p.yml", "a.ini,b.ini"), ["a.ini", "b.ini"]);
        assert_eq!(given("regdeploy p.yml", "h1,h2,"), ["h1,h2,"]);
        assert_eq!(given("regdeploy -i c p.yml", "a.ini"), ["c"]);
    }

    #[test]
    fn colours_follow_the_environment_and_the_terminal() {
        type Case = (&'static [(&'static str, &'static str)], bool, bool);
        let cases: &[Case] = &[
            (&[], true, true),
            (&[], false, false),
            (&[("TERM", "dumb")], true, false),
            (&[("NO_COLOR", "1")], true, false),
            (&[("NO_COLOR", "")], true, true),
            (&[("ANSIBLE_NOCOLOR", "1")], true, false),
            (&[("ANSIBLE_NOCOLOR", "False")], true, true),
            (&[("ANSIBLE_FORCE_COLOR", "1")], false, true),
            (&[("ANSIBLE_FORCE_COLOR", "yes"), ("NO_COLOR", "1")], false, true),
            (&[("ANSIBLE_FORCE_COLOR", "0")], false, false),
        ];
        for (variables, terminal, expected) in cases {
            let settings = resolve("regdeploy p.yml", variables, *terminal).unwrap();
            assert_eq!(settings.colour, *expected, "{variables:?} {terminal}");
        }
    }

    #[test]
    fn passwords_are_asked_for_or_read() {
        let settings = resolve("regdeploy -k --become-pass-file f p.yml", &[], false).unwrap();
        assert_eq!(settings.connection_password, PasswordSource::Ask);
        assert_eq!(settings.become_password, PasswordSource::File("f".into()));
    }

    #[test]
    fn what_does_nothing_is_refused() {
        let shown = |line| resolve(line, &[], false).unwrap_err().render(false);
        insta::assert_snapshot!(shown("regdeploy --step p.yml"), @r"
        error: --step is not supported
         |
         = help: tasks cannot be confirmed one by one; use --start-at-task, --tags or --check
        ");
        insta::assert_snapshot!(shown("regdeploy --vault-pass-file f p.yml"), @r"
        error: --vault-password-file is not supported
         |
         = help: vaults cannot be opened yet; decrypt the files with `ansible-vault decrypt` first
        ");
        insta::assert_snapshot!(shown("regdeploy --ssh-common-args -oX=y p.yml"), @r"
        error: --ssh-common-args is not supported
         |
         = help: the ssh program is not used; put options into ~/.ssh/config or the inventory's ansible_* variables
        ");
        for line in [
            "--vault-id x",
            "-J",
            "--ask-vault-pass",
            "-M lib",
            "--scp-extra-args -l",
            "--sftp-extra-args -l",
            "--ssh-extra-args -l",
        ] {
            assert!(
                resolve(&format!("regdeploy {line} p.yml"), &[], false).is_err(),
                "{line}"
            );
        }
    }
}

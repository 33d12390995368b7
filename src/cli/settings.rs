//! What a command line means, with the configuration's say where it says nothing: the run's settings.
//!
//! No file is read here, and nobody is asked for a password.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::arguments::{Arguments, Refused};
use crate::configuration::{Configuration, Setting, table};
use crate::diagnostic::Diagnostic;
use crate::executor::Listing;

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
    pub port: Option<u16>,
    pub private_key: Option<PathBuf>,
    pub connection: Option<String>,
    pub connection_password: PasswordSource,
    /// Options of the ssh program: common ones, further ones, its usual ones.
    pub ssh_arguments: [Option<String>; 3],
    pub host_key_checking: bool,
    pub timeout: Duration,
    pub r#become: bool,
    pub become_user: Option<String>,
    pub become_method: Option<String>,
    pub become_flags: Option<String>,
    pub become_password: PasswordSource,
    /// At least 1.
    pub forks: usize,
    pub force_handlers: bool,
    pub flush_cache: bool,
    pub verbosity: u8,
    pub colour: bool,
    /// The printer of standard output, if not the configuration's.
    pub printer: Option<String>,
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
    pub fn resolve(
        arguments: Arguments,
        configuration: &Configuration,
        around: &Surroundings<'_>,
    ) -> Result<Self, Diagnostic> {
        let run = arguments.run;
        refuse(&run.refused)?;
        let tags = given_or_set(&arguments.tags, &table::TAGS_RUN, configuration);
        let truth = |flag: bool, setting| flag || configuration.truth(setting);
        let text = |flag: Option<String>, setting| flag.or_else(|| set(setting, configuration));
        let number = |flag: Option<u32>, setting: &Setting| match flag {
            Some(number) => Ok(number),
            None => positive(setting, configuration),
        };
        let password = |ask, file: Option<PathBuf>, ask_setting, file_setting| {
            // A flag of either kind beats a setting of the other.
            if ask || file.is_some() {
                return PasswordSource::new(ask, file);
            }
            PasswordSource::new(configuration.truth(ask_setting), configuration.path(file_setting))
        };
        Ok(Self {
            playbooks: arguments.playbooks,
            inventories: inventories(run.inventories, configuration),
            limit: run.limit.filter(|limit| !limit.trim().is_empty()),
            extra_vars: run.extra_vars,
            tags: if tags.is_empty() {
                vec!["all".to_owned()]
            } else {
                tags
            },
            skip_tags: given_or_set(&arguments.skip_tags, &table::TAGS_SKIP, configuration),
            start_at_task: arguments.start_at_task,
            check: run.check,
            diff: truth(run.diff, &table::DIFF_ALWAYS),
            listing: Listing {
                hosts: run.list_hosts,
                tasks: arguments.list_tasks,
                tags: arguments.list_tags,
            },
            syntax_check: arguments.syntax_check,
            user: text(run.user, &table::DEFAULT_REMOTE_USER),
            port: configuration
                .integer(&table::DEFAULT_REMOTE_PORT)
                .and_then(|port| port.try_into().ok()),
            private_key: run
                .private_key
                .or_else(|| configuration.path(&table::DEFAULT_PRIVATE_KEY_FILE)),
            connection: text(run.connection, &table::DEFAULT_TRANSPORT),
            connection_password: password(
                run.ask_pass,
                run.connection_password_file,
                &table::DEFAULT_ASK_PASS,
                &table::CONNECTION_PASSWORD_FILE,
            ),
            ssh_arguments: [
                text(run.ssh_common_args, &table::SSH_COMMON_ARGS),
                text(run.ssh_extra_args, &table::SSH_EXTRA_ARGS),
                text(None, &table::SSH_ARGS),
            ],
            host_key_checking: configuration.truth(&table::HOST_KEY_CHECKING),
            timeout: Duration::from_secs(number(run.timeout, &table::DEFAULT_TIMEOUT)?.into()),
            r#become: truth(run.r#become, &table::DEFAULT_BECOME),
            become_user: text(run.become_user, &table::DEFAULT_BECOME_USER),
            become_method: text(run.become_method, &table::DEFAULT_BECOME_METHOD),
            become_flags: text(None, &table::DEFAULT_BECOME_FLAGS),
            become_password: password(
                run.ask_become_pass,
                run.become_password_file,
                &table::DEFAULT_BECOME_ASK_PASS,
                &table::BECOME_PASSWORD_FILE,
            ),
            forks: usize::try_from(number(run.forks, &table::DEFAULT_FORKS)?).unwrap_or(usize::MAX),
            force_handlers: truth(arguments.force_handlers, &table::DEFAULT_FORCE_HANDLERS),
            flush_cache: run.flush_cache,
            verbosity: match run.verbose {
                0 => verbosity(configuration),
                given => given,
            },
            colour: colour(configuration, around),
            printer: run.output,
        })
    }
}

/// What somebody has set; a default is left to whoever reads the variables and keywords, which beat it.
fn set(setting: &Setting, configuration: &Configuration) -> Option<String> {
    let given = configuration.is_set(setting);
    given
        .then(|| configuration.text(setting).map(str::to_owned))
        .flatten()
}

/// A setting that has to be a number of at least 1.
fn positive(setting: &Setting, configuration: &Configuration) -> Result<u32, Diagnostic> {
    let number = configuration.integer(setting).unwrap_or_default();
    u32::try_from(number)
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| {
            let name = setting.name;
            Diagnostic::error(format!("{name} is {number}, and must be a number of at least 1"))
                .hint(format!("it was set by {}", configuration.origin(setting)))
        })
}

fn verbosity(configuration: &Configuration) -> u8 {
    let number = configuration
        .integer(&table::DEFAULT_VERBOSITY)
        .unwrap_or_default();
    u8::try_from(number.max(0)).unwrap_or(u8::MAX)
}

/// The words of flags, or else those of a setting.
fn given_or_set(given: &[String], setting: &Setting, configuration: &Configuration) -> Vec<String> {
    if given.is_empty() {
        split(&configuration.list(setting))
    } else {
        split(given)
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

/// `-i`, or else what is configured. The usual place may be empty: that is no mistake.
pub fn inventories(given: Vec<String>, configuration: &Configuration) -> Vec<String> {
    if !given.is_empty() {
        return given;
    }
    let mut configured = configuration.list(&table::DEFAULT_HOST_LIST);
    if !configuration.is_set(&table::DEFAULT_HOST_LIST) {
        configured.retain(|path| Path::new(path).exists());
    }
    configured
}

/// Whether to print in colours: to force them beats to refuse them, which beats the terminal.
/// Source: <https://no-color.org>
fn colour(configuration: &Configuration, around: &Surroundings<'_>) -> bool {
    let variable = |name| (around.variable)(name).unwrap_or_default();
    if configuration.truth(&table::ANSIBLE_FORCE_COLOR) {
        return true;
    }
    let refused = !variable("NO_COLOR").is_empty() || configuration.truth(&table::ANSIBLE_NOCOLOR);
    !refused && around.terminal && variable("TERM") != "dumb"
}

fn refuse(refused: &Refused) -> Result<(), Diagnostic> {
    const SSH: &str = "files go through the agent, no scp or sftp is started";
    let table = [
        (
            refused.step,
            "--step",
            "tasks cannot be confirmed one by one; use --start-at-task, --tags or --check",
        ),
        (
            !refused.module_path.is_empty(),
            "--module-path",
            "modules are built into this program",
        ),
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
    use crate::configuration;
    use clap::Parser;

    fn resolve(line: &str, variables: &[(&str, &str)], terminal: bool) -> Result<Settings, Diagnostic> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
        let (configuration, _) = Configuration::of(&configuration::Surroundings {
            variable: &variable,
            folder: Path::new("/here"),
            home: None,
            system: Path::new("/nonexistent"),
        })?;
        Settings::resolve(
            arguments,
            &configuration,
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
        assert_eq!(
            given("regdeploy p.yml", "a.ini,b.ini"),
            ["/here/a.ini", "/here/b.ini"]
        );
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
    fn settings_count_where_no_flag_does() {
        let variables = [
            ("ANSIBLE_FORKS", "7"),
            ("ANSIBLE_TIMEOUT", "60"),
            ("ANSIBLE_RUN_TAGS", "a,b"),
            ("ANSIBLE_REMOTE_USER", "admin"),
            ("ANSIBLE_BECOME", "yes"),
            ("ANSIBLE_BECOME_ASK_PASS", "yes"),
            ("ANSIBLE_VERBOSITY", "2"),
        ];
        let settings = resolve("regdeploy p.yml", &variables, false).unwrap();
        assert_eq!((settings.forks, settings.timeout), (7, Duration::from_mins(1)));
        assert_eq!(settings.tags, ["a", "b"]);
        assert_eq!(settings.user.as_deref(), Some("admin"));
        assert_eq!((settings.r#become, settings.verbosity), (true, 2));
        assert_eq!(settings.become_password, PasswordSource::Ask);
        let line = "regdeploy -f 8 -T 1 -t c -u me -v --become-pass-file f p.yml";
        let settings = resolve(line, &variables, false).unwrap();
        assert_eq!((settings.forks, settings.timeout), (8, Duration::from_secs(1)));
        assert_eq!(settings.tags, ["c"]);
        assert_eq!((settings.user.as_deref(), settings.verbosity), (Some("me"), 1));
        assert_eq!(settings.become_password, PasswordSource::File("f".into()));
        let error = resolve("regdeploy p.yml", &[("ANSIBLE_FORKS", "0")], false).unwrap_err();
        assert_eq!(
            error.message,
            "DEFAULT_FORKS is 0, and must be a number of at least 1"
        );
    }

    #[test]
    fn what_does_nothing_is_refused() {
        let shown = |line| resolve(line, &[], false).unwrap_err().render(false);
        insta::assert_snapshot!(shown("regdeploy --step p.yml"), @r"
        error: --step is not supported
         |
         = help: tasks cannot be confirmed one by one; use --start-at-task, --tags or --check
        ");
        insta::assert_snapshot!(shown("regdeploy --scp-extra-args -l p.yml"), @r"
        error: --scp-extra-args is not supported
         |
         = help: files go through the agent, no scp or sftp is started
        ");
        for line in ["-M lib", "--sftp-extra-args -l"] {
            assert!(
                resolve(&format!("regdeploy {line} p.yml"), &[], false).is_err(),
                "{line}"
            );
        }
    }
}

//! What may be written on the command line, as one table: help, completions and manual pages derive from
//! [`Arguments::command`](clap::CommandFactory::command).
//!
//! Names and short forms are `ansible-playbook`'s. Nothing is resolved here; see
//! [`Settings`](super::settings::Settings).

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Parser};

use super::adhoc::AdHocArguments;
use super::agent;
use super::config::ConfigArguments;
use super::doc::DocArguments;
use super::explain::ExplainArguments;
use super::inventory::InventoryArguments;
use super::keyring::VaultPasswords;
use super::names::{self, Role};
use super::vault::Arguments as VaultArguments;

/// Words that, as the first argument, are verbs and not playbooks: as the help shows them, and what they do.
pub const VERBS: &[(&str, &str)] = &[
    ("adhoc PATTERN", "run a single task; see `regdeploy adhoc --help`"),
    (
        "inventory",
        "show hosts, groups and variables; see `regdeploy inventory --help`",
    ),
    (
        "explain VAR",
        "every place that sets a variable; see `regdeploy explain --help`",
    ),
    ("config", "show settings; see `regdeploy config --help`"),
    (
        "doc NAME",
        "what a module, a filter, a keyword takes; see `regdeploy doc --help`",
    ),
    (
        "init DIR",
        "write out the playbooks, roles and inventories inside this program",
    ),
    ("vault", "encrypt files and values; see `regdeploy vault --help`"),
    ("registry", "the registry server; see `regdeploy registry --help`"),
    ("agent", "what this program does on a target; not for people"),
];

/// One command line, read.
#[derive(Debug)]
pub enum Invocation {
    Play(Box<Arguments>),
    AdHoc(Box<AdHocArguments>),
    Inventory(Box<InventoryArguments>),
    Config(ConfigArguments),
    Explain(Box<ExplainArguments>),
    Doc(DocArguments),
    Init(InitArguments),
    /// The rest of the line, which the registry reads itself.
    Registry(Vec<OsString>),
    Vault(Box<VaultArguments>),
    /// The rest of the line, which the agent reads itself.
    Agent(Vec<OsString>),
    /// `--version` under one of Ansible's names.
    Version(String),
    /// A name without a counterpart, and what to do instead.
    Refused(String, &'static str),
}

impl Invocation {
    /// Reads a command line, the program's own name first. The error prints itself and knows its exit code:
    /// 2, or 0 for `--help` and `--version`.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let (program, role) = names::role(arguments.first());
        let rest = |skipped| arguments.iter().skip(skipped).cloned().collect::<Vec<_>>();
        // The program calls itself by the file that it is, which may have any name.
        if matches!(&arguments[..], [_, word, flag, ..] if word == "agent" && agent::FLAGS.iter().any(|own| flag == own))
        {
            return Ok(Self::Agent(rest(2)));
        }
        match role {
            Role::Refused(instead) => Ok(Self::Refused(program, instead)),
            Role::Verb(_) if program.starts_with("ansible") && asks_for_version(&arguments) => {
                Ok(Self::Version(program))
            }
            Role::Verb(verb) => Self::verb(verb, program, rest(1)),
            Role::Itself => {
                let word = arguments.get(1).and_then(|word| word.to_str());
                let known = VERBS
                    .iter()
                    .map(|(verb, _)| verb.split(' ').next().unwrap_or(verb));
                match known.into_iter().find(|verb| Some(*verb) == word) {
                    Some(verb) => Self::verb(verb, format!("{program} {verb}"), rest(2)),
                    None => Self::verb(names::PLAY, program, rest(1)),
                }
            }
        }
    }

    /// Reads what follows a verb; `name` is what usage and errors call the command.
    fn verb(verb: &str, name: String, rest: Vec<OsString>) -> Result<Self, clap::Error> {
        match verb {
            "registry" => Ok(Self::Registry(rest)),
            "vault" => read(name, rest).map(|read| Self::Vault(Box::new(read))),
            "agent" => Ok(Self::Agent(rest)),
            "init" => read(name, rest).map(Self::Init),
            "adhoc" => read(name, rest).map(|read| Self::AdHoc(Box::new(read))),
            "inventory" => read(name, rest).map(|read| Self::Inventory(Box::new(read))),
            "explain" => read(name, rest).map(|read| Self::Explain(Box::new(read))),
            "config" => read(name, rest).map(Self::Config),
            "doc" => read(name, rest).map(Self::Doc),
            _ => read(name, rest).map(|read| Self::Play(Box::new(read))),
        }
    }
}

/// Whether `--version` is a flag of this line, and not what an ad-hoc command is to be run with.
fn asks_for_version(arguments: &[OsString]) -> bool {
    let at = arguments.iter().position(|word| word == "--version");
    at.is_some_and(|at| at > 0 && arguments[at - 1] != "-a" && arguments[at - 1] != "--args")
}

/// Reads the arguments of a command that is called `name`.
fn read<A: clap::FromArgMatches + clap::CommandFactory>(
    name: String,
    rest: Vec<OsString>,
) -> Result<A, clap::Error> {
    let mut command = A::command().name(name.clone()).bin_name(name.clone());
    let words = std::iter::once(OsString::from(name)).chain(rest);
    let matches = command.try_get_matches_from_mut(words)?;
    A::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

const EXAMPLES: &str = "\
Examples:
  regdeploy init .                                 write out the playbooks
  regdeploy -i inventories/local.ini site.yml      this machine, without SSH
  regdeploy -i hosts.ini site.yml --check --diff   only say what would change
  regdeploy -i web1,web2, -u admin -b site.yml     no inventory file; with sudo
  regdeploy -i hosts.ini site.yml -t with_cacerts  only the tasks with a tag
  regdeploy -i hosts.ini site.yml -e port=5000     with a value of one's own
";

const EXIT_CODES: &str = "\
Exit code: 0 all went well, 1 nothing could be run, 2 a host failed or an option is wrong,
           4 a host could not be reached, 99 interrupted, 250 a defect of regdeploy";

fn after_help() -> String {
    let verbs = VERBS.iter().map(|(verb, about)| format!("  {verb:<13}  {about}"));
    let verbs = verbs.collect::<Vec<_>>().join("\n");
    format!(
        "{EXAMPLES}\nVerbs, as the first word (a playbook of that name is `./init`):\n{verbs}\n\n{EXIT_CODES}"
    )
}

/// Brings hosts to the state that playbooks describe.
#[derive(Debug, Default, Parser)]
#[command(
    name = "regdeploy",
    bin_name = "regdeploy",
    version,
    after_help = after_help(),
    args_override_self = true,
    max_term_width = 110
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Arguments {
    /// Playbooks to run, in order: paths, or names in ./playbooks
    #[arg(value_name = "PLAYBOOK", required = true)]
    pub playbooks: Vec<String>,

    #[command(flatten)]
    pub run: RunArguments,

    /// Only tasks with one of these tags, separated by commas (repeatable)
    #[arg(short, long, value_name = "TAGS", help_heading = "Values and tasks")]
    pub tags: Vec<String>,

    /// No tasks with one of these tags (repeatable)
    #[arg(long, value_name = "TAGS", help_heading = "Values and tasks")]
    pub skip_tags: Vec<String>,

    /// Start at the task of this name
    #[arg(long, value_name = "TASK", help_heading = "Values and tasks")]
    pub start_at_task: Option<String>,

    /// List the tasks and stop
    #[arg(long, help_heading = "Look first")]
    pub list_tasks: bool,

    /// List the tags and stop
    #[arg(long, help_heading = "Look first")]
    pub list_tags: bool,

    /// Read the playbooks, say what is wrong with them and stop
    #[arg(long, help_heading = "Look first")]
    pub syntax_check: bool,

    /// Run handlers that were notified even on hosts that failed
    #[arg(long, help_heading = "Running")]
    pub force_handlers: bool,
}

/// The flags of every command that runs tasks.
#[derive(Debug, Clone, Default, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct RunArguments {
    /// Hosts: an inventory file, a folder of them, or `host1,host2,` (repeatable)
    #[arg(
        short,
        long = "inventory",
        alias = "inventory-file",
        value_name = "INVENTORY",
        help_heading = "Hosts"
    )]
    pub inventories: Vec<String>,

    /// Only hosts that match a pattern: `web:!web3`, `@hosts.retry`
    #[arg(short, long, value_name = "PATTERN", help_heading = "Hosts")]
    pub limit: Option<String>,

    /// Set variables: `name=value`, YAML or JSON, or `@file` (repeatable, the last wins)
    #[arg(short, long, value_name = "VARIABLES", help_heading = "Values and tasks")]
    pub extra_vars: Vec<String>,

    /// Change nothing; say what would change
    #[arg(short = 'C', long, help_heading = "Look first")]
    pub check: bool,

    /// Show the lines that change in files
    #[arg(short = 'D', long, help_heading = "Look first")]
    pub diff: bool,

    /// List the hosts of each play and stop
    #[arg(long, help_heading = "Look first")]
    pub list_hosts: bool,

    /// Log in as this user
    #[arg(
        short,
        long,
        alias = "remote-user",
        value_name = "USER",
        help_heading = "Logging in"
    )]
    pub user: Option<String>,

    /// The key to log in with
    #[arg(
        long,
        visible_alias = "key-file",
        value_name = "FILE",
        help_heading = "Logging in"
    )]
    pub private_key: Option<PathBuf>,

    /// Ask for the password to log in with
    #[arg(
        short = 'k',
        long,
        conflicts_with = "connection_password_file",
        help_heading = "Logging in"
    )]
    pub ask_pass: bool,

    /// Take the password to log in with from a file
    #[arg(
        long,
        alias = "conn-pass-file",
        value_name = "FILE",
        help_heading = "Logging in"
    )]
    pub connection_password_file: Option<PathBuf>,

    /// How to reach hosts that do not say: `ssh` or `local`
    #[arg(short, long, value_name = "NAME", help_heading = "Logging in")]
    pub connection: Option<String>,

    /// Seconds to wait for a host's answer to a connection [default: 10]
    #[arg(short = 'T', long, value_name = "SECONDS", value_parser = at_least_one, help_heading = "Logging in")]
    pub timeout: Option<u32>,

    /// Options of the ssh program, as far as they mean something without it: `-o StrictHostKeyChecking=no`
    #[arg(
        long,
        value_name = "OPTIONS",
        allow_hyphen_values = true,
        help_heading = "Logging in"
    )]
    pub ssh_common_args: Option<String>,

    /// Further ones
    #[arg(
        long,
        value_name = "OPTIONS",
        allow_hyphen_values = true,
        help_heading = "Logging in"
    )]
    pub ssh_extra_args: Option<String>,

    /// Become another user on the host, root unless told otherwise
    #[arg(short, long, help_heading = "Becoming another user")]
    pub r#become: bool,

    /// The user to become; needs --become
    #[arg(long, value_name = "USER", help_heading = "Becoming another user")]
    pub become_user: Option<String>,

    /// How to become another user
    #[arg(long, value_name = "METHOD", value_parser = ["sudo", "su"], help_heading = "Becoming another user")]
    pub become_method: Option<String>,

    /// Ask for the password of --become
    #[arg(
        short = 'K',
        long,
        conflicts_with = "become_password_file",
        help_heading = "Becoming another user"
    )]
    pub ask_become_pass: bool,

    /// Take the password of --become from a file
    #[arg(
        long,
        alias = "become-pass-file",
        value_name = "FILE",
        help_heading = "Becoming another user"
    )]
    pub become_password_file: Option<PathBuf>,

    /// Hosts at the same time [default: 5]
    #[arg(short, long, value_name = "NUMBER", value_parser = at_least_one, help_heading = "Running")]
    pub forks: Option<u32>,

    /// Forget what was remembered of the hosts' facts
    #[arg(long, help_heading = "Running")]
    pub flush_cache: bool,

    /// Say more; up to -vvvv
    #[arg(short, long, action = ArgAction::Count, help_heading = "Running")]
    pub verbose: u8,

    /// How results are printed: default, yaml, json, minimal, oneline, null
    #[arg(long, value_name = "PRINTER", help_heading = "Running")]
    pub output: Option<String>,

    #[command(flatten)]
    pub vault_passwords: VaultPasswords,

    #[command(flatten)]
    pub refused: Refused,
}

/// A number that cannot be 0.
fn at_least_one(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "it must be a number of at least 1".to_owned())
}

/// Flags of `ansible-playbook` that are read only to say clearly why they do nothing.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Refused {
    #[arg(long, hide = true)]
    pub step: bool,
    #[arg(short = 'M', long, hide = true)]
    pub module_path: Vec<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    pub scp_extra_args: Option<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    pub sftp_extra_args: Option<String>,
}

/// Writes the playbooks, roles and inventories that are in this program to a folder.
#[derive(Debug, Parser)]
#[command(name = "regdeploy init", bin_name = "regdeploy init", max_term_width = 110)]
pub struct InitArguments {
    /// The folder; it is made if it does not exist
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,

    /// Overwrite files that have been changed
    #[arg(long)]
    pub force: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Invocation, clap::Error> {
        Invocation::parse(line.split(' ').map(OsString::from))
    }

    fn play(line: &str) -> Arguments {
        match parse(line) {
            Ok(Invocation::Play(arguments)) => *arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_table_is_sound() {
        Arguments::command().debug_assert();
        InitArguments::command().debug_assert();
        AdHocArguments::command().debug_assert();
        InventoryArguments::command().debug_assert();
        ConfigArguments::command().debug_assert();
        ExplainArguments::command().debug_assert();
        DocArguments::command().debug_assert();
        for (verb, _) in VERBS {
            let name = verb.split(' ').next().unwrap_or_default();
            assert!(
                !matches!(parse(&format!("regdeploy {name} .")), Ok(Invocation::Play(_))),
                "{name}"
            );
        }
        let help = Arguments::command().render_help().to_string();
        assert!(
            help.contains("\n  init DIR       write out the playbooks"),
            "{help}"
        );
    }

    #[test]
    fn every_flag_is_explained_under_a_heading() {
        for argument in Arguments::command().get_arguments() {
            let id = argument.get_id().as_str();
            if argument.is_hide_set() || ["playbooks", "help", "version"].contains(&id) {
                continue;
            }
            assert!(argument.get_help().is_some(), "{id} has no help");
            assert!(argument.get_help_heading().is_some(), "{id} has no heading");
        }
    }

    #[test]
    fn short_and_long_forms_are_ansibles() {
        let short = play(
            "regdeploy -i a -i b, -l web -e x=1 -e y=2 -t a,b -t c -C -D -u admin -k -c ssh -T 7 -b -K -f 9 -vvv p.yml q.yml",
        );
        let long = play(
            "regdeploy --inventory a --inventory b, --limit web --extra-vars x=1 --extra-vars y=2 --tags a,b --tags c --check --diff --user admin --ask-pass --connection ssh --timeout 7 --become --ask-become-pass --forks 9 --verbose --verbose --verbose p.yml q.yml",
        );
        assert_eq!(format!("{short:?}"), format!("{long:?}"));
        assert_eq!(short.run.inventories, ["a", "b,"]);
        assert_eq!(short.tags, ["a,b", "c"]);
        assert_eq!(short.run.extra_vars, ["x=1", "y=2"]);
        assert_eq!(
            (short.run.verbose, short.run.forks, short.run.timeout),
            (3, Some(9), Some(7))
        );
        assert_eq!(short.playbooks, ["p.yml", "q.yml"]);
    }

    #[test]
    fn flags_may_follow_playbooks_and_the_last_one_wins() {
        let arguments = play("regdeploy p.yml --skip-tags a -l one --check -l two --check --key-file k");
        assert_eq!(arguments.run.limit.as_deref(), Some("two"));
        assert_eq!(arguments.run.private_key, Some(PathBuf::from("k")));
        assert_eq!(arguments.skip_tags, ["a"]);
    }

    #[test]
    fn the_first_word_may_be_a_verb() {
        assert!(
            matches!(parse("regdeploy agent --stdio"), Ok(Invocation::Agent(rest)) if rest == ["--stdio"])
        );
        assert!(
            matches!(parse("regdeploy registry serve"), Ok(Invocation::Registry(rest)) if rest == ["serve"])
        );
        assert!(matches!(parse("regdeploy init . --force"), Ok(Invocation::Init(init)) if init.force));
        assert_eq!(play("regdeploy ./init").playbooks, ["./init"]);
        assert_eq!(play("regdeploy -C init").playbooks, ["init"]);
        let list = |line| matches!(parse(line), Ok(Invocation::Inventory(list)) if list.list);
        assert!(list("regdeploy inventory --list") && list("/usr/bin/ansible-inventory --list"));
        assert_eq!(play("ansible-playbook init").playbooks, ["init"]);
        assert!(matches!(
            parse("/opt/ansible-playbook agent --build 12"),
            Ok(Invocation::Agent(_))
        ));
        assert!(matches!(parse("ansible all -m ping"), Ok(Invocation::AdHoc(_))));
        assert!(matches!(
            parse("regdeploy adhoc all -m ping"),
            Ok(Invocation::AdHoc(_))
        ));
        assert!(matches!(parse("ansible-config dump"), Ok(Invocation::Config(_))));
        assert!(matches!(parse("ansible-doc -l"), Ok(Invocation::Doc(_))));
        assert!(matches!(
            parse("ansible-galaxy install x"),
            Ok(Invocation::Refused(..))
        ));
        assert!(
            matches!(parse("ansible -i x --version"), Ok(Invocation::Version(name)) if name == "ansible")
        );
        assert!(matches!(
            parse("ansible all -a --version"),
            Ok(Invocation::AdHoc(_))
        ));
    }

    #[test]
    fn bad_options_exit_with_2_and_say_what_is_wrong() {
        let error = |line| {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            error.to_string().lines().next().unwrap_or_default().to_owned()
        };
        assert_eq!(
            error("regdeploy --chek p.yml"),
            "error: unexpected argument '--chek' found"
        );
        assert_eq!(
            error("regdeploy -f 0 p.yml"),
            "error: invalid value '0' for '--forks <NUMBER>': it must be a number of at least 1"
        );
        assert_eq!(
            error("regdeploy -C"),
            "error: the following required arguments were not provided:"
        );
        assert_eq!(
            error("regdeploy p.yml --become-method doas"),
            "error: invalid value 'doas' for '--become-method <METHOD>'"
        );
        assert_eq!(parse("regdeploy --version").unwrap_err().exit_code(), 0);
    }
}

//! `regdeploy adhoc PATTERN -m MODULE -a ARGUMENTS`: a play of a single task, as `ansible` runs it.

use std::sync::Arc;

use clap::Parser;

use super::arguments::RunArguments;
use crate::configuration::{Configuration, table};
use crate::diagnostic::Diagnostic;
use crate::playbook::short_name;
use crate::source::{Source, Span};
use crate::value::Value;
use crate::yaml::{Entry, Kind, Mapping, Node, load};

/// What a play needs and a single task cannot be.
const SENSELESS: [&str; 3] = ["import_playbook", "meta", "import_role"];

/// Modules that do nothing without arguments.
const NEEDY: [&str; 4] = ["command", "raw", "script", "shell"];

/// Runs a single task.
#[derive(Debug, Parser)]
#[command(max_term_width = 110, args_override_self = true)]
pub struct AdHocArguments {
    /// The hosts: `web:!web3`
    #[arg(value_name = "PATTERN")]
    pub pattern: String,

    /// The module [default: command]
    #[arg(short, long, value_name = "MODULE", help_heading = "The task")]
    pub module_name: Option<String>,

    /// Its arguments: `name=value`, JSON, or the command itself
    #[arg(
        short,
        long = "args",
        value_name = "ARGUMENTS",
        allow_hyphen_values = true,
        help_heading = "The task"
    )]
    pub arguments: Option<String>,

    /// Run in the background, for so many seconds at most
    #[arg(short = 'B', long, value_name = "SECONDS", help_heading = "The task")]
    pub background: Option<u32>,

    /// Seconds between two looks at it; 0: do not wait
    #[arg(short = 'P', long = "poll", value_name = "SECONDS", help_heading = "The task")]
    pub poll_interval: Option<u32>,

    /// Seconds that it may take
    #[arg(long, value_name = "SECONDS", help_heading = "The task")]
    pub task_timeout: Option<u32>,

    /// Each result on one line
    #[arg(short, long, help_heading = "Running")]
    pub one_line: bool,

    /// The folder whose `group_vars`, `host_vars` and `roles` count [default: the current one]
    #[arg(long, value_name = "FOLDER", help_heading = "Values and tasks")]
    pub playbook_dir: Option<std::path::PathBuf>,

    /// Refused: results to a folder
    #[arg(short, long, value_name = "FOLDER", hide = true)]
    pub tree: Option<String>,

    #[command(flatten)]
    pub run: RunArguments,
}

/// A single task that is to be run.
#[derive(Debug, Clone)]
pub struct Task {
    pattern: String,
    module: String,
    arguments: String,
    background: Option<u32>,
    poll: Option<i64>,
    timeout: Option<u32>,
    /// Stands in for the playbook's folder.
    pub folder: std::path::PathBuf,
    /// The printer.
    pub printer: Option<&'static str>,
}

impl Task {
    pub fn new(arguments: &AdHocArguments, configuration: &Configuration) -> Result<Self, Diagnostic> {
        if arguments.tree.is_some() {
            return Err(Diagnostic::error("--tree is not supported")
                .hint("set ANSIBLE_CALLBACKS_ENABLED=tree and ANSIBLE_CALLBACK_TREE_DIR"));
        }
        let text = |setting| configuration.text(setting).map(str::to_owned);
        let module = arguments
            .module_name
            .clone()
            .or_else(|| text(&table::DEFAULT_MODULE_NAME));
        let given = arguments
            .arguments
            .clone()
            .or_else(|| text(&table::DEFAULT_MODULE_ARGS));
        let usual_poll = configuration.integer(&table::DEFAULT_POLL_INTERVAL);
        let folder = arguments.playbook_dir.clone();
        let folder = folder.or_else(|| configuration.path(&table::PLAYBOOK_DIR));
        let printer = match arguments.one_line {
            true => Some("oneline"),
            false if configuration.truth(&table::DEFAULT_LOAD_CALLBACK_PLUGINS) => None,
            false => Some("minimal"),
        };
        Ok(Self {
            pattern: arguments.pattern.clone(),
            module: module.unwrap_or_default(),
            arguments: given.unwrap_or_default(),
            background: arguments.background,
            poll: arguments.poll_interval.map(i64::from).or(usual_poll),
            timeout: arguments.task_timeout,
            folder: folder.unwrap_or_else(|| std::env::current_dir().unwrap_or_default()),
            printer,
        })
    }

    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The play, as if it had been written in a playbook.
    pub fn play(&self) -> Result<Node, Diagnostic> {
        let short = short_name(&self.module);
        let words = Source::new(
            "<the command line>",
            format!("{} {}", self.module, self.arguments),
        );
        let name = Span::new(&words, 0, self.module.len());
        let rest = Span::new(&words, self.module.len() + 1, words.text().len());
        if SENSELESS.contains(&short) {
            return Err(Diagnostic::error(format!(
                "'{}' is not a valid action for ad-hoc commands",
                self.module
            ))
            .at(&name));
        }
        if self.arguments.is_empty() && NEEDY.contains(&short) {
            return Err(
                Diagnostic::error(format!("No argument passed to {} module", self.module))
                    .hint(format!("write -a with what {} is to do", self.module)),
            );
        }
        let arguments = match self.arguments.trim_start().starts_with('{') {
            true => load(&Source::new("<arguments>", self.arguments.as_str()))?.root,
            false if self.arguments.is_empty() => Node::null(&words),
            false => Node::text(&self.arguments, &rest),
        };
        let place = Span::whole(&words);
        let scalar = |value: Value| Node::new(Kind::Scalar(value), &place);
        let mut task = Mapping::new();
        let mut keyword = |key: &str, at: &Span, value: Node| {
            let entry = Entry {
                key: at.clone(),
                value,
            };
            task.insert(key.to_owned(), entry);
        };
        keyword(&self.module, &name, arguments);
        if let Some(seconds) = self.background {
            keyword("async", &place, scalar(Value::from(seconds)));
            keyword("poll", &place, scalar(Value::from(self.poll.unwrap_or_default())));
        }
        if let Some(seconds) = self.timeout {
            keyword("timeout", &place, scalar(Value::from(seconds)));
        }
        let map = |map: Mapping| Node::new(Kind::Map(Arc::new(map)), &place);
        let tasks = Node::new(Kind::List(Arc::from([map(task)])), &place);
        let pattern = Source::new("<the command line>", self.pattern.as_str());
        let entries = [
            ("name", Node::text("Ansible Ad-Hoc", &place)),
            ("hosts", Node::text(&self.pattern, &Span::whole(&pattern))),
            ("gather_facts", scalar(Value::Bool(false))),
            ("tasks", tasks),
        ];
        Ok(map(entries
            .into_iter()
            .map(|(key, value)| {
                let entry = Entry {
                    key: place.clone(),
                    value,
                };
                (key.to_owned(), entry)
            })
            .collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(words: &[&str]) -> Result<Task, Diagnostic> {
        let words = ["adhoc", "web"].iter().chain(words);
        Task::new(&AdHocArguments::parse_from(words), &Configuration::default())
    }

    fn play(words: &[&str]) -> String {
        match task(words).and_then(|task| task.play()) {
            Ok(play) => {
                let tasks = play.get("tasks").and_then(Node::as_list).unwrap_or_default();
                tasks[0].to_value().to_string()
            }
            Err(error) => error.message,
        }
    }

    #[test]
    fn a_task_is_put_together() {
        for (words, expected) in [
            (&["-m", "ping"][..], "{'ping': None}"),
            (&["-a", "ls -l"], "{'command': 'ls -l'}"),
            (&["-m", "copy", "-a", "{\"a\": 1}"], "{'copy': {'a': 1}}"),
            (
                &["-a", "x", "-B", "9"],
                "{'command': 'x', 'async': 9, 'poll': 15}",
            ),
            (
                &["-a", "x", "-B", "9", "-P", "0"],
                "{'command': 'x', 'async': 9, 'poll': 0}",
            ),
            (
                &["-a", "x", "--task-timeout", "3"],
                "{'command': 'x', 'timeout': 3}",
            ),
            (&[], "No argument passed to command module"),
            (
                &["-m", "meta", "-a", "noop"],
                "'meta' is not a valid action for ad-hoc commands",
            ),
            (&["-m", "ping", "-t", "x"], "--tree is not supported"),
        ] {
            assert_eq!(play(words), expected, "{words:?}");
        }
    }

    #[test]
    fn results_are_printed_alone() {
        assert_eq!(task(&["-m", "ping"]).unwrap().printer, Some("minimal"));
        assert_eq!(task(&["-m", "ping", "-o"]).unwrap().printer, Some("oneline"));
    }
}

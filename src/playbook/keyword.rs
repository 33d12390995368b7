//! The keywords: one table, from which the parser, its error messages and the documentation derive.

use super::shape::Shape;
pub use super::shape::unconverted;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::yaml::{Entry, Mapping};

/// What a mapping in a playbook may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Play,
    Role,
    Block,
    Task,
    Handler,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Self::Play => "a play",
            Self::Role => "a role",
            Self::Block => "a block",
            Self::Task => "a task",
            Self::Handler => "a handler",
        }
    }

    /// As messages of Ansible call it.
    fn class(self) -> &'static str {
        match self {
            Self::Play => "Play",
            Self::Role => "RoleInclude",
            Self::Block => "Block",
            Self::Task => "Task",
            Self::Handler => "Handler",
        }
    }
}

/// One keyword.
#[derive(Debug)]
pub struct Keyword {
    pub name: &'static str,
    /// Where it may stand.
    pub levels: &'static [Level],
    shape: Shape,
    /// What it does; for one that is refused, what to do instead.
    pub doc: &'static str,
    /// It is read only to say that it cannot be used, and what to do instead.
    pub refused: bool,
}

const ALL: &[Level] = &[
    Level::Play,
    Level::Role,
    Level::Block,
    Level::Task,
    Level::Handler,
];
const TASK: &[Level] = &[Level::Task, Level::Handler];
const INNER: &[Level] = &[Level::Role, Level::Block, Level::Task, Level::Handler];
const PLAY: &[Level] = &[Level::Play];
const BLOCK: &[Level] = &[Level::Block];

const fn works(name: &'static str, levels: &'static [Level], shape: Shape, doc: &'static str) -> Keyword {
    Keyword {
        name,
        levels,
        shape,
        doc,
        refused: false,
    }
}

const fn refused(name: &'static str, levels: &'static [Level], doc: &'static str) -> Keyword {
    Keyword {
        name,
        levels,
        shape: Shape::Any,
        doc,
        refused: true,
    }
}

/// Every keyword. `with_*` and the names of modules are no keywords; they are recognised by the parser.
pub static KEYWORDS: &[Keyword] = &[
    works(
        "name",
        ALL,
        Shape::Text,
        "what it is called in the output; tasks are also found by it (`--start-at-task`, `notify`)",
    ),
    works(
        "tags",
        ALL,
        Shape::Texts,
        "words for `--tags` and `--skip-tags`; everything inside inherits them",
    ),
    works("vars", ALL, Shape::Variables, "variables for everything inside"),
    works(
        "when",
        INNER,
        Shape::Any,
        "a condition, or a list of them that must all hold; everything inside inherits it",
    ),
    works(
        "become",
        ALL,
        Shape::Truth,
        "whether to become another user on the target",
    ),
    works(
        "become_user",
        ALL,
        Shape::Text,
        "that user; `root` unless told otherwise",
    ),
    works("become_method", ALL, Shape::Text, "`sudo` or `su`"),
    works(
        "become_flags",
        ALL,
        Shape::Text,
        "in place of the method's usual flags",
    ),
    works(
        "become_exe",
        ALL,
        Shape::Text,
        "in place of the method's usual program",
    ),
    works("remote_user", ALL, Shape::Text, "the user to log in as"),
    works("connection", ALL, Shape::Text, "`ssh` or `local`"),
    works("port", ALL, Shape::Number, "the port to log in at"),
    works(
        "environment",
        ALL,
        Shape::Any,
        "variables for the processes that a task starts: a map, or a list of maps",
    ),
    works("no_log", ALL, Shape::Truth, "show nothing of the results"),
    works("ignore_errors", ALL, Shape::Truth, "go on after a failure"),
    works(
        "ignore_unreachable",
        ALL,
        Shape::Truth,
        "go on with the next task when the host cannot be reached",
    ),
    works(
        "check_mode",
        ALL,
        Shape::Truth,
        "predict instead of doing, or the reverse, whatever the command line says",
    ),
    works(
        "diff",
        ALL,
        Shape::Truth,
        "show differences, or not, whatever the command line says",
    ),
    works(
        "any_errors_fatal",
        ALL,
        Shape::Truth,
        "one host's failure ends the play for all",
    ),
    works(
        "module_defaults",
        ALL,
        Shape::Any,
        "arguments for modules, by the module's name",
    ),
    works(
        "collections",
        ALL,
        Shape::List,
        "read and not needed: modules have short names",
    ),
    works(
        "run_once",
        ALL,
        Shape::Truth,
        "run on the first host only; the result counts for all",
    ),
    works(
        "throttle",
        ALL,
        Shape::Number,
        "how many hosts may be at it at once",
    ),
    refused(
        "debugger",
        ALL,
        "there is no interactive debugger; use `-vvv` and `register` with `debug`",
    ),
    works(
        "timeout",
        ALL,
        Shape::Number,
        "seconds that one try may take; then it has failed",
    ),
    works("delegate_to", INNER, Shape::Text, "the host to run on instead"),
    works(
        "delegate_facts",
        INNER,
        Shape::Truth,
        "facts belong to the host that was delegated to",
    ),
    // Plays
    works(
        "hosts",
        PLAY,
        Shape::Texts,
        "the pattern of hosts that the play is for",
    ),
    works(
        "gather_facts",
        PLAY,
        Shape::Truth,
        "whether `setup` runs first; it does unless told otherwise",
    ),
    works(
        "gather_subset",
        PLAY,
        Shape::Texts,
        "which facts: `setup`'s argument",
    ),
    works(
        "gather_timeout",
        PLAY,
        Shape::Number,
        "seconds for what may hang: `setup`'s argument",
    ),
    works(
        "fact_path",
        PLAY,
        Shape::Text,
        "the folder of local facts: `setup`'s argument",
    ),
    works("roles", PLAY, Shape::List, "roles, before `tasks`"),
    works(
        "pre_tasks",
        PLAY,
        Shape::List,
        "tasks before the roles; the handlers they notify run before the roles too",
    ),
    works("tasks", PLAY, Shape::List, "the tasks"),
    works(
        "post_tasks",
        PLAY,
        Shape::List,
        "tasks after `tasks` and its handlers",
    ),
    works(
        "handlers",
        PLAY,
        Shape::List,
        "tasks that run when something notifies them",
    ),
    works(
        "vars_files",
        PLAY,
        Shape::Any,
        "files of variables; of a list inside the list, the first that exists",
    ),
    works(
        "vars_prompt",
        PLAY,
        Shape::List,
        "variables that somebody types before the play starts",
    ),
    works(
        "force_handlers",
        PLAY,
        Shape::Truth,
        "run the handlers of hosts that have failed, too",
    ),
    works(
        "max_fail_percentage",
        PLAY,
        Shape::Number,
        "end the play when more than so many percent of a batch have failed",
    ),
    works(
        "serial",
        PLAY,
        Shape::Any,
        "hosts to a batch: a number, a percentage, or a list of them",
    ),
    works(
        "strategy",
        PLAY,
        Shape::Text,
        "`linear` (in step), `free` or `host_pinned`",
    ),
    works(
        "order",
        PLAY,
        Shape::Text,
        "`inventory`, `sorted`, `shuffle`, `reverse_...`",
    ),
    refused(
        "import_playbook",
        PLAY,
        "it stands alone, without other keywords of a play",
    ),
    // Blocks
    works("block", BLOCK, Shape::List, "tasks that belong together"),
    works(
        "rescue",
        BLOCK,
        Shape::List,
        "tasks that run when one of `block` has failed",
    ),
    works(
        "always",
        BLOCK,
        Shape::List,
        "tasks that run after `block` and `rescue`, whatever happened",
    ),
    works(
        "notify",
        &[Level::Block, Level::Task, Level::Handler],
        Shape::Texts,
        "handlers to run, by name or by what they listen to, if something has changed",
    ),
    // Tasks
    works(
        "action",
        TASK,
        Shape::Any,
        "the module and its arguments, as a text or a map",
    ),
    works("local_action", TASK, Shape::Any, "the same, on the controller"),
    works("args", TASK, Shape::Any, "further arguments for the module"),
    works("loop", TASK, Shape::Any, "run once for each item of this list"),
    works(
        "loop_control",
        TASK,
        Shape::Map,
        "`loop_var`, `index_var`, `label`, `pause`, `extended`, `break_when`",
    ),
    works(
        "register",
        TASK,
        Shape::Name,
        "the variable that takes the result",
    ),
    works("until", TASK, Shape::Any, "try again until this holds"),
    works(
        "retries",
        TASK,
        Shape::Number,
        "how often; 3 unless told otherwise",
    ),
    works(
        "delay",
        TASK,
        Shape::Number,
        "seconds between tries; 5 unless told otherwise",
    ),
    works("changed_when", TASK, Shape::Any, "what counts as a change"),
    works("failed_when", TASK, Shape::Any, "what counts as a failure"),
    works(
        "listen",
        &[Level::Handler],
        Shape::Texts,
        "other names that `notify` may use",
    ),
    works(
        "async",
        TASK,
        Shape::Number,
        "let the task go on by itself, for at most so many seconds",
    ),
    works(
        "poll",
        TASK,
        Shape::Number,
        "seconds between questions for the result of `async`, 15 unless told otherwise; 0 does not wait",
    ),
    // Roles
    works(
        "role",
        &[Level::Role],
        Shape::Text,
        "the role's name; `name` is the same",
    ),
];

/// The keyword of this name at this level.
pub fn find(name: &str, level: Level) -> Option<&'static Keyword> {
    KEYWORDS
        .iter()
        .find(|keyword| keyword.name == name && keyword.levels.contains(&level))
}

/// The keywords of tasks that stand for a boolean.
pub fn truths() -> impl Iterator<Item = &'static str> {
    KEYWORDS
        .iter()
        .filter(|keyword| keyword.shape == Shape::Truth && keyword.levels.contains(&Level::Task))
        .map(|keyword| keyword.name)
}

/// All names at this level.
pub fn names(level: Level) -> impl Iterator<Item = &'static str> {
    KEYWORDS
        .iter()
        .filter(move |keyword| keyword.levels.contains(&level))
        .map(|keyword| keyword.name)
}

impl Keyword {
    /// What it takes.
    pub fn takes(&self) -> &'static str {
        self.shape.name()
    }

    /// Whether it may be used at all, and whether `value` is of its shape.
    pub fn check(&self, entry: &Entry) -> Result<(), Diagnostic> {
        if self.refused {
            return Err(
                Diagnostic::error(format!("the keyword `{}` is not supported", self.name))
                    .at(&entry.key)
                    .hint(self.doc),
            );
        }
        // What tasks have is judged when they run: such a task fails by itself, and may be rescued.
        let deferred = self.shape == Shape::Truth && self.levels.contains(&Level::Task);
        if deferred && entry.value.as_str().is_some() {
            return Ok(());
        }
        self.shape.check(self.name, &entry.value)
    }
}

/// Checks every key of a mapping that is entirely made of keywords.
pub fn check_all(map: &Mapping, level: Level) -> Result<(), Diagnostic> {
    for (name, entry) in map {
        match find(name, level) {
            Some(keyword) => keyword.check(entry)?,
            None => return Err(unknown(name, &entry.key, level)),
        }
    }
    Ok(())
}

/// What an include may say for itself; all else belongs to what it includes, under `apply`.
const OF_INCLUDES: &[&str] = &[
    "action",
    "args",
    "collections",
    "ignore_errors",
    "listen",
    "local_action",
    "loop_control",
    "name",
    "no_log",
    "notify",
    "register",
    "run_once",
    "tags",
    "vars",
    "when",
];

/// Checks the keywords of a task that includes others.
pub fn check_include(map: &Mapping, action: &str) -> Result<(), Diagnostic> {
    match map.iter().find(|(name, _)| !OF_INCLUDES.contains(&name.as_str())) {
        Some((name, entry)) => Err(Diagnostic::error(format!(
            "'{name}' is not a valid attribute for a {}",
            if action == "include_role" {
                "IncludeRole"
            } else {
                "TaskInclude"
            }
        ))
        .at(&entry.key)
        .hint(format!(
            "put it under `apply:` of `{action}`: it is meant for the tasks that are included"
        ))),
        None => Ok(()),
    }
}

/// The error for a name that is no keyword here.
pub fn unknown(name: &str, span: &Span, level: Level) -> Diagnostic {
    let diagnostic = Diagnostic::error(format!(
        "'{name}' is not a valid attribute for a {}",
        level.class()
    ))
    .at(span);
    let elsewhere = elsewhere(name);
    if elsewhere.is_empty() {
        diagnostic.nearest(name, names(level))
    } else {
        diagnostic.hint(format!("it belongs to {}", elsewhere.join(", ")))
    }
}

/// Where a keyword may stand.
pub fn elsewhere(name: &str) -> Vec<&'static str> {
    KEYWORDS
        .iter()
        .filter(|keyword| keyword.name == name)
        .flat_map(|keyword| keyword.levels.iter().map(|level| level.name()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_keyword_is_listed_twice_at_a_level() {
        for level in ALL {
            let mut seen: Vec<&str> = names(*level).collect();
            let count = seen.len();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), count, "{level:?}");
        }
    }
}

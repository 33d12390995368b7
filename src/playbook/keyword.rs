//! The keywords: one table, from which the parser, its error messages and the documentation derive.

use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::yaml::{Entry, Mapping, Node};

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
}

/// What a keyword takes; templates are allowed wherever a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Any,
    /// A boolean, or a text that evaluates to one.
    Truth,
    Number,
    Text,
    /// The name of a variable.
    Name,
    /// A text or a list of texts.
    Texts,
    List,
    Map,
}

/// One keyword.
#[derive(Debug)]
pub struct Keyword {
    pub name: &'static str,
    levels: &'static [Level],
    shape: Shape,
    /// Why it cannot be used, and what to do instead; none where it works.
    refused: Option<&'static str>,
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

const fn works(name: &'static str, levels: &'static [Level], shape: Shape) -> Keyword {
    Keyword {
        name,
        levels,
        shape,
        refused: None,
    }
}

const fn refused(name: &'static str, levels: &'static [Level], why: &'static str) -> Keyword {
    Keyword {
        name,
        levels,
        shape: Shape::Any,
        refused: Some(why),
    }
}

/// Every keyword. `with_*` and the names of modules are no keywords; they are recognised by the parser.
pub static KEYWORDS: &[Keyword] = &[
    works("name", ALL, Shape::Text),
    works("tags", ALL, Shape::Texts),
    works("vars", ALL, Shape::Map),
    works("when", INNER, Shape::Any),
    works("become", ALL, Shape::Truth),
    works("become_user", ALL, Shape::Text),
    works("become_method", ALL, Shape::Text),
    works("become_flags", ALL, Shape::Text),
    refused(
        "become_exe",
        ALL,
        "the usual program of the become method is used",
    ),
    works("remote_user", ALL, Shape::Text),
    works("connection", ALL, Shape::Text),
    works("port", ALL, Shape::Number),
    works("environment", ALL, Shape::Any),
    works("no_log", ALL, Shape::Truth),
    works("ignore_errors", ALL, Shape::Truth),
    works("ignore_unreachable", ALL, Shape::Truth),
    works("check_mode", ALL, Shape::Truth),
    works("diff", ALL, Shape::Truth),
    works("any_errors_fatal", ALL, Shape::Truth),
    works("module_defaults", ALL, Shape::Any),
    works("collections", ALL, Shape::List),
    works("run_once", ALL, Shape::Truth),
    refused("throttle", ALL, "limit the number of hosts with `-f` instead"),
    refused(
        "debugger",
        ALL,
        "there is no interactive debugger; use `-vvv` and `register` with `debug`",
    ),
    refused(
        "timeout",
        ALL,
        "limit the command itself, for example with `timeout 10 command`",
    ),
    works("delegate_to", INNER, Shape::Text),
    works("delegate_facts", INNER, Shape::Truth),
    // Plays
    works("hosts", PLAY, Shape::Texts),
    works("gather_facts", PLAY, Shape::Truth),
    works("gather_subset", PLAY, Shape::List),
    refused(
        "gather_timeout",
        PLAY,
        "facts are gathered without commands that could hang",
    ),
    refused(
        "fact_path",
        PLAY,
        "local facts are read from `/etc/ansible/facts.d`; call `setup` with `fact_path` instead",
    ),
    works("roles", PLAY, Shape::List),
    works("pre_tasks", PLAY, Shape::List),
    works("tasks", PLAY, Shape::List),
    works("post_tasks", PLAY, Shape::List),
    works("handlers", PLAY, Shape::List),
    works("vars_files", PLAY, Shape::Any),
    refused(
        "vars_prompt",
        PLAY,
        "give the values with `-e` or in a file instead",
    ),
    works("force_handlers", PLAY, Shape::Truth),
    works("max_fail_percentage", PLAY, Shape::Number),
    works("serial", PLAY, Shape::Any),
    works("strategy", PLAY, Shape::Text),
    refused("order", PLAY, "hosts run in the inventory's order"),
    refused(
        "import_playbook",
        PLAY,
        "it stands alone, without other keywords of a play",
    ),
    // Blocks
    works("block", BLOCK, Shape::List),
    works("rescue", BLOCK, Shape::List),
    works("always", BLOCK, Shape::List),
    works(
        "notify",
        &[Level::Block, Level::Task, Level::Handler],
        Shape::Texts,
    ),
    // Tasks
    works("action", TASK, Shape::Any),
    works("local_action", TASK, Shape::Any),
    works("args", TASK, Shape::Any),
    works("loop", TASK, Shape::Any),
    works("loop_control", TASK, Shape::Map),
    works("register", TASK, Shape::Name),
    works("until", TASK, Shape::Any),
    works("retries", TASK, Shape::Number),
    works("delay", TASK, Shape::Number),
    works("changed_when", TASK, Shape::Any),
    works("failed_when", TASK, Shape::Any),
    works("listen", &[Level::Handler], Shape::Texts),
    refused(
        "async",
        TASK,
        "tasks run to their end; leave it out and the task is waited for",
    ),
    refused("poll", TASK, "it goes with `async`, which is not there yet"),
    // Roles
    works("role", &[Level::Role], Shape::Text),
];

/// The keyword of this name at this level.
pub fn find(name: &str, level: Level) -> Option<&'static Keyword> {
    KEYWORDS
        .iter()
        .find(|keyword| keyword.name == name && keyword.levels.contains(&level))
}

/// All names at this level.
pub fn names(level: Level) -> impl Iterator<Item = &'static str> {
    KEYWORDS
        .iter()
        .filter(move |keyword| keyword.levels.contains(&level))
        .map(|keyword| keyword.name)
}

impl Keyword {
    /// Whether it may be used at all, and whether `value` is of its shape.
    pub fn check(&self, entry: &Entry) -> Result<(), Diagnostic> {
        if let Some(why) = self.refused {
            return Err(
                Diagnostic::error(format!("the keyword `{}` is not supported", self.name))
                    .at(&entry.key)
                    .hint(why),
            );
        }
        let value = &entry.value;
        let templated = value.as_str().is_some_and(|text| text.contains("{{"));
        let wanted = match self.shape {
            Shape::Truth if !templated && !is_truth(value) => "a boolean",
            Shape::Number if !templated && !is_number(value) => "a number",
            Shape::Name if value.as_str().is_none_or(|text| !is_name(text)) => {
                "a name of letters, digits and underscores"
            }
            Shape::Text if value.as_list().is_some() || value.as_map().is_some() => "a text",
            Shape::Texts if value.as_map().is_some() => "a text or a list of texts",
            Shape::List if !value.is_null() && value.as_list().is_none() && !templated => "a list",
            Shape::Map if !value.is_null() && value.as_map().is_none() => "a map",
            _ => return Ok(()),
        };
        Err(Diagnostic::error(format!(
            "`{}` takes {wanted}, not {}",
            self.name,
            value.described()
        ))
        .at(&value.span))
    }
}

fn is_truth(value: &Node) -> bool {
    value.is_null() || crate::playbook::arguments::truth(&value.to_value()).is_some()
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_number(value: &Node) -> bool {
    match value.to_value() {
        crate::value::Value::Str(text) => text.trim_end_matches('%').parse::<f64>().is_ok(),
        crate::value::Value::Int(_) | crate::value::Value::Float(_) => true,
        _ => false,
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
        Some((name, entry)) => Err(Diagnostic::error(format!("`{name}` has no effect on `{action}`"))
            .at(&entry.key)
            .hint(format!(
                "put it under `apply:` of `{action}`: it is meant for the tasks that are included"
            ))),
        None => Ok(()),
    }
}

/// The error for a name that is no keyword here.
pub fn unknown(name: &str, span: &Span, level: Level) -> Diagnostic {
    let diagnostic = Diagnostic::error(format!("`{name}` is not a keyword of {}", level.name())).at(span);
    let elsewhere: Vec<&str> = KEYWORDS
        .iter()
        .filter(|keyword| keyword.name == name)
        .flat_map(|keyword| keyword.levels.iter().map(|level| level.name()))
        .collect();
    if elsewhere.is_empty() {
        diagnostic.nearest(name, names(level))
    } else {
        diagnostic.hint(format!("it belongs to {}", elsewhere.join(", ")))
    }
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

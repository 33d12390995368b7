//! Tasks and blocks: a list of these is what a play runs.

use std::path::PathBuf;
use std::sync::Arc;

use super::context::Context;
use crate::source::Span;
use crate::yaml::Node;

/// An element of a list of tasks.
#[derive(Debug, Clone)]
pub enum Item {
    Task(Arc<Task>),
    Block(Arc<Block>),
}

/// `block`, `rescue` and `always`. A block's keywords are in its tasks' contexts.
#[derive(Debug)]
pub struct Block {
    pub tasks: Arc<[Item]>,
    pub rescue: Arc<[Item]>,
    pub always: Arc<[Item]>,
}

/// One task. Its own keywords are at the head of its context.
#[derive(Debug)]
pub struct Task {
    pub what: What,
    /// The module's name as written, and where.
    pub action: String,
    pub action_span: Span,
    /// A map of arguments, or a text that gives one when it is evaluated.
    pub arguments: Node,
    pub repeat: Option<Loop>,
    pub context: Arc<Context>,
    /// The user's own module that `what` names: its file.
    pub own: Option<PathBuf>,
    /// Made by the engine (facts, flushes), not by a user.
    pub implicit: bool,
}

/// What kind of thing a task does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A module or an action of the controller, by its short name.
    Run(String),
    IncludeTasks,
    IncludeRole,
    Meta(Meta),
}

/// `meta: ...`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meta {
    FlushHandlers,
    Noop,
    EndPlay,
    EndHost,
    ClearFacts,
    ClearHostErrors,
    RefreshInventory,
    ResetConnection,
    EndBatch,
    EndRole,
    /// Stands at the end of each role's tasks; no word of playbooks.
    RoleComplete,
}

impl Meta {
    /// By the word that playbooks use.
    pub const TABLE: &[(&str, Self)] = &[
        ("flush_handlers", Self::FlushHandlers),
        ("noop", Self::Noop),
        ("end_play", Self::EndPlay),
        ("end_host", Self::EndHost),
        ("clear_facts", Self::ClearFacts),
        ("clear_host_errors", Self::ClearHostErrors),
        ("refresh_inventory", Self::RefreshInventory),
        ("reset_connection", Self::ResetConnection),
        ("end_batch", Self::EndBatch),
        ("end_role", Self::EndRole),
    ];
}

/// What a task is repeated over.
#[derive(Debug)]
pub struct Loop {
    /// The lookup behind `with_NAME`; none for `loop`.
    pub lookup: Option<String>,
    pub items: Node,
    pub span: Span,
}

impl Task {
    pub fn name(&self) -> Option<&Node> {
        self.context.attributes.get("name")
    }

    /// One of the task's own keywords, not inherited.
    pub fn own(&self, keyword: &str) -> Option<&Node> {
        self.context.attributes.get(keyword)
    }

    /// Where the task starts.
    pub fn span(&self) -> &Span {
        &self.context.attributes.span
    }
}

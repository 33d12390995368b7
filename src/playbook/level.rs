//! What a mapping in a playbook may be: the levels at which keywords stand.

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
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Play => "Play",
            Self::Role => "RoleInclude",
            Self::Block => "Block",
            Self::Task => "Task",
            Self::Handler => "Handler",
        }
    }
}

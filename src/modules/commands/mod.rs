//! Modules that run what the user wrote: programs, scripts, jobs.

pub mod async_status;
pub mod command;
pub mod job;
pub mod own_module;
pub mod raw;
pub mod run_script;
pub mod shell;

use crate::modules::{AnyModule, entry};

/// Those that playbooks and actions call.
pub const MODULES: &[&dyn AnyModule] = &[
    &entry::<async_status::AsyncStatus>(),
    &entry::<command::Command>(),
    &entry::<job::Job>(),
    &entry::<own_module::RunModule>(),
    &entry::<raw::Raw>(),
    &entry::<run_script::RunScript>(),
    &entry::<shell::Shell>(),
];

//! The one integration binary, so that it links once: every tier above unit tests is a module of it.
#![expect(
    clippy::format_collect,
    clippy::unnecessary_wraps,
    clippy::zombie_processes,
    reason = "short helpers that read well; their processes are ended by signals or with the test"
)]

mod arguments;
mod case;
mod commands;
mod diagnostics;
mod differential;
mod documents;
mod e2e;
mod golden;
mod layers;
mod link;
mod modules;
mod registry;
mod vault;

//! Modules that talk over the network.

pub mod body;
mod checksum;
pub mod get_url;
pub mod ping;
pub mod uri;
pub mod wait_for;
pub mod web;

use crate::modules::{AnyModule, entry};

/// Those that playbooks and actions call.
pub const MODULES: &[&dyn AnyModule] = &[
    &entry::<get_url::GetUrl>(),
    &entry::<ping::Ping>(),
    &entry::<uri::Uri>(),
    &entry::<wait_for::WaitFor>(),
];

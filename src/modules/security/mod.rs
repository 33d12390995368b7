//! Modules for who may do what: packet filters and mandatory access control.

pub mod iptables;

use crate::modules::{AnyModule, entry};

/// Those that playbooks and actions call.
pub const MODULES: &[&dyn AnyModule] = &[&entry::<iptables::Iptables>()];

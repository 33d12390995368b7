//! Modules for who may do what: packet filters and mandatory access control.

pub mod firewalld;
pub mod iptables;
pub mod seboolean;
pub mod selinux;
pub mod ufw;

use crate::modules::{AnyModule, entry};

/// Those that playbooks and actions call.
pub const MODULES: &[&dyn AnyModule] = &[
    &entry::<firewalld::Firewalld>(),
    &entry::<iptables::Iptables>(),
    &entry::<seboolean::Seboolean>(),
    &entry::<selinux::Selinux>(),
    &entry::<ufw::Ufw>(),
];

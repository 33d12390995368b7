//! Modules of the product itself: what its own site needs and no other tool has.

pub mod install_self;
pub mod registry_probe;
pub mod relocate;

use crate::modules::{AnyModule, entry};

/// Those that playbooks and actions call.
pub const MODULES: &[&dyn AnyModule] = &[
    &entry::<install_self::InstallSelf>(),
    &entry::<registry_probe::RegistryProbe>(),
    &entry::<relocate::Relocate>(),
];

//! Modules for disks: partitions, volumes, file systems, and where they are mounted.

pub mod filesystem;
pub mod lvg;
mod lvm;
pub mod lvol;
pub mod mount;
mod mounts;
pub mod parted;
#[cfg(test)]
mod tests;

use crate::modules::{AnyModule, entry};

/// Those that playbooks and actions call.
pub const MODULES: &[&dyn AnyModule] = &[
    &entry::<filesystem::Filesystem>(),
    &entry::<lvg::Lvg>(),
    &entry::<lvol::Lvol>(),
    &entry::<mount::Mount>(),
    &entry::<parted::Parted>(),
];

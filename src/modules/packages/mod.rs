//! Modules that bring software: package managers, their sources and keys, checkouts.

pub mod apk;
pub mod apt;
pub mod apt_repository;
pub mod deb822_repository;
pub mod debconf;
pub mod dnf;
mod download;
mod foreseen;
pub mod git;
pub mod package;
pub mod package_facts;
pub mod pacman;
pub mod zypper;

use crate::modules::{AnyModule, entry};

/// Those that playbooks and actions call.
pub const MODULES: &[&dyn AnyModule] = &[
    &entry::<apk::Apk>(),
    &entry::<apt::Apt>(),
    &entry::<apt_repository::AptRepository>(),
    &entry::<deb822_repository::Deb822Repository>(),
    &entry::<debconf::Debconf>(),
    &entry::<dnf::Dnf>(),
    &entry::<git::Git>(),
    &entry::<package::Package>(),
    &entry::<package_facts::PackageFacts>(),
    &entry::<pacman::Pacman>(),
    &entry::<zypper::Zypper>(),
];

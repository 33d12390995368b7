//! Modules that bring software: package managers, their sources and keys, checkouts.

pub mod apk;
pub mod apt;
pub mod apt_key;
pub mod apt_repository;
pub mod deb822_repository;
pub mod debconf;
pub mod dnf;
mod download;
mod foreseen;
pub mod git;
pub mod npm;
mod openpgp;
pub mod package;
pub mod package_facts;
pub mod pacman;
pub mod pip;
pub mod rpm_key;
pub mod yum_repository;
pub mod zypper;

use crate::modules::{AnyModule, entry};

/// Those that playbooks and actions call.
pub const MODULES: &[&dyn AnyModule] = &[
    &entry::<apk::Apk>(),
    &entry::<apt::Apt>(),
    &entry::<apt_key::AptKey>(),
    &entry::<apt_repository::AptRepository>(),
    &entry::<deb822_repository::Deb822Repository>(),
    &entry::<debconf::Debconf>(),
    &entry::<dnf::Dnf>(),
    &entry::<git::Git>(),
    &entry::<npm::Npm>(),
    &entry::<package::Package>(),
    &entry::<package_facts::PackageFacts>(),
    &entry::<pacman::Pacman>(),
    &entry::<pip::Pip>(),
    &entry::<rpm_key::RpmKey>(),
    &entry::<yum_repository::YumRepository>(),
    &entry::<zypper::Zypper>(),
];

//! Modules that set a machine up: accounts, services, facts, and what else belongs to the machine as a whole.

pub mod getent;
pub mod group;
pub mod known_hosts;
pub mod service;
pub mod service_facts;
pub mod setup;
pub mod systemd_service;
pub mod user;

use crate::modules::{AnyModule, entry};

/// Those that playbooks and actions call.
pub const MODULES: &[&dyn AnyModule] = &[
    &entry::<getent::Getent>(),
    &entry::<group::Group>(),
    &entry::<known_hosts::KnownHosts>(),
    &entry::<service::Service>(),
    &entry::<service_facts::ServiceFacts>(),
    &entry::<setup::Setup>(),
    &entry::<systemd_service::SystemdService>(),
    &entry::<user::User>(),
];

//! Modules that set a machine up: accounts, services, facts, and what else belongs to the machine as a whole.

pub mod alternatives;
pub mod authorized_key;
pub mod cron;
pub mod getent;
pub mod group;
pub mod hostname;
pub mod known_hosts;
pub mod locale_gen;
pub mod modprobe;
pub mod pam_limits;
pub mod service;
pub mod service_facts;
pub mod setup;
pub mod sysctl;
pub mod systemd_service;
mod text_file;
pub mod timezone;
pub mod user;

use crate::modules::{AnyModule, entry};

/// Those that playbooks and actions call.
pub const MODULES: &[&dyn AnyModule] = &[
    &entry::<alternatives::Alternatives>(),
    &entry::<authorized_key::AuthorizedKey>(),
    &entry::<cron::Cron>(),
    &entry::<getent::Getent>(),
    &entry::<group::Group>(),
    &entry::<hostname::Hostname>(),
    &entry::<known_hosts::KnownHosts>(),
    &entry::<locale_gen::LocaleGen>(),
    &entry::<modprobe::Modprobe>(),
    &entry::<pam_limits::PamLimits>(),
    &entry::<service::Service>(),
    &entry::<service_facts::ServiceFacts>(),
    &entry::<setup::Setup>(),
    &entry::<sysctl::Sysctl>(),
    &entry::<systemd_service::SystemdService>(),
    &entry::<timezone::Timezone>(),
    &entry::<user::User>(),
];

//! Docker on the target, through the engine's own socket. After community.docker.
//!
//! [`engine`] is the one place where a module reaches past [`crate::system::System`]: the engine is
//! a server with a protocol of its own, spoken by `bollard`. All decisions are made on plain JSON, without it. What
//! changes the engine says what it would leave: a network that a check predicts is there for a predicted container.

pub mod container;
mod credentials;
mod difference;
mod engine;
mod filters;
pub mod host_info;
pub mod image;
pub mod login;
pub mod network;
pub mod prune;
pub mod volume;

use serde_json::Value as Json;

use crate::modules::{AnyModule, entry};
use crate::system::System;
use crate::system::foresight::Subject;
use crate::value::Value;

/// Those that playbooks and actions call.
pub const MODULES: &[&dyn AnyModule] = &[
    &entry::<container::DockerContainer>(),
    &entry::<host_info::DockerHostInfo>(),
    &entry::<image::DockerImage>(),
    &entry::<login::DockerLogin>(),
    &entry::<network::DockerNetwork>(),
    &entry::<prune::DockerPrune>(),
    &entry::<volume::DockerVolume>(),
];

/// What an earlier task of this check would have left: none if none touches it, and then none if it would be gone.
fn foreseen(of: Subject, name: &str, system: &dyn System) -> Option<Option<Json>> {
    let state = system.foreseen(of, name)?;
    Some((state != Value::Null).then(|| serde_json::to_value(state).unwrap_or_default()))
}

//! Docker on the target: containers and images, through the engine's own socket. After community.docker.
//!
//! [`engine`] is the one place where a module reaches past [`crate::system::System`]: the engine is
//! a server with a protocol of its own, spoken by `bollard`. All decisions are made on plain JSON, without it.

pub mod container;
mod difference;
mod engine;
pub mod image;
mod wanted;

use crate::modules::{AnyModule, entry};

/// Those that playbooks and actions call.
pub const MODULES: &[&dyn AnyModule] = &[
    &entry::<container::DockerContainer>(),
    &entry::<image::DockerImage>(),
];

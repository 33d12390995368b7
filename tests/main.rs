//! The one integration binary, so that it links once: every tier above unit tests is a module of it.

mod e2e;
mod layers;
mod link;
mod registry;

//! The one integration binary, so that it links once: every tier above unit tests is a module of it.

mod case;
mod diagnostics;
mod documents;
mod e2e;
mod golden;
mod layers;
mod link;
mod registry;

//! The one integration binary: every tier above unit tests is a module of it.

mod registry;

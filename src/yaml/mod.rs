//! YAML as playbook authors write it: version 1.1 scalars, tags, anchors and merge keys, with the place of
//! everything kept.
//!
//! [`load`] turns a [`Source`](crate::source::Source) into [`Node`]s. A `Node` is what a user *wrote*: its
//! texts may hold templates. What comes out of templating is a [`Value`](crate::value::Value).
//! [`emit`] goes the other way, for the filters that print YAML.

pub mod emit;
mod load;
mod node;
mod quoting;
mod scalar;

pub use self::load::{Document, load, parse_scalar};
pub use self::node::{Entry, Kind, Mapping, Node};

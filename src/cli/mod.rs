//! The command line: one file for each verb. Nothing else uses this layer.

pub mod registry;
